/* SPDX-License-Identifier: Apache-2.0 */
/* The table of configuration keys, and reading the kernel command line and the environment. */
#include "agent/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/keys.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

#define BLANKS " \t\n\v\f\r"
#define DAY    86400
/* as in memagent.c */
#define YEAR      (366 * DAY)
#define VALUE_MAX 1024
#define FILE_KEY  "agent.config_file="

#define FIELD(name) offsetof(struct config, name)

static const char *const rest_apis[] = { "all", "attestation", "resource", NULL };
static const char *const components[] = { "none", "attestation-agent", "confidential-data-hub",
					  "api-server-rest", NULL };

const struct config_key config_keys[] = {
	{ "agent.log", "log_level", "KATA_AGENT_LOG_LEVEL", CONFIG_LEVEL, FIELD(log_level), 0, 0,
	  0 },
	{ "agent.log_vport", 0, 0, CONFIG_PORT, FIELD(log_vport), 1, INT32_MAX, 0 },
	{ "agent.server_addr", 0, "KATA_AGENT_SERVER_ADDR", CONFIG_STRING, FIELD(server_addr), 1,
	  CONFIG_ADDR_MAX, 0 },
	{ "agent.debug_console", 0, 0, CONFIG_FLAG, FIELD(debug_console), 0, 0, 0 },
	{ "agent.debug_console_vport", 0, 0, CONFIG_PORT, FIELD(debug_console_vport), 1, INT32_MAX,
	  0 },
	{ "agent.passfd_listener_port", 0, 0, CONFIG_PORT, FIELD(passfd_listener_port), 1,
	  INT32_MAX, 0 },
	{ "agent.trace", "tracing", "KATA_AGENT_TRACING", CONFIG_FLAG_BOOL, FIELD(tracing), 0, 0,
	  0 },
	{ "agent.hotplug_timeout", 0, 0, CONFIG_SECONDS, FIELD(hotplug_timeout_s), 1, DAY, 0 },
	{ "agent.container_pipe_size", 0, 0, CONFIG_U32, FIELD(container_pipe_size), 0, INT32_MAX,
	  0 },
	{ "agent.strict_lsm", 0, 0, CONFIG_BOOL, FIELD(strict_lsm), 0, 0, 0 },
	{ "agent.any_disk", 0, 0, CONFIG_BOOL, FIELD(any_disk), 0, 0, 0 },
	{ "systemd.unified_cgroup_hierarchy", "unified_cgroup_hierarchy", 0, CONFIG_BOOL,
	  FIELD(unified_cgroup), 0, 0, 0 },
	{ "cgroup_no_v1", "", 0, CONFIG_ALL, FIELD(cgroup_no_v1), 0, 0, 0 },
	{ NULL, "policy_file", "KATA_AGENT_POLICY_FILE", CONFIG_STRING, FIELD(policy_file), 0,
	  CONFIG_ADDR_MAX, 0 },
	{ "agent.mem_agent_enable", 0, 0, CONFIG_BOOL, FIELD(mem_agent.enable), 0, 0, 0 },
	{ "agent.mem_agent_memcg_disable", 0, 0, CONFIG_BOOL, FIELD(mem_agent.memcg_disable), 0, 0,
	  0 },
	{ "agent.mem_agent_memcg_swap", 0, 0, CONFIG_BOOL, FIELD(mem_agent.memcg_swap), 0, 0, 0 },
	{ "agent.mem_agent_memcg_swappiness_max", 0, 0, CONFIG_U32,
	  FIELD(mem_agent.memcg_swappiness_max), 0, 200, 0 },
	{ "agent.mem_agent_memcg_period_secs", 0, 0, CONFIG_U64, FIELD(mem_agent.memcg_period_s), 1,
	  YEAR, 0 },
	{ "agent.mem_agent_memcg_period_psi_percent_limit", 0, 0, CONFIG_U32,
	  FIELD(mem_agent.memcg_period_psi_percent), 0, 100, 0 },
	{ "agent.mem_agent_memcg_eviction_psi_percent_limit", 0, 0, CONFIG_U32,
	  FIELD(mem_agent.memcg_eviction_psi_percent), 0, 100, 0 },
	{ "agent.mem_agent_memcg_eviction_run_aging_count_min", 0, 0, CONFIG_U64,
	  FIELD(mem_agent.memcg_eviction_run_aging_count_min), 0, INT64_MAX, 0 },
	{ "agent.mem_agent_compact_disable", 0, 0, CONFIG_BOOL, FIELD(mem_agent.compact_disable), 0,
	  0, 0 },
	{ "agent.mem_agent_compact_period_secs", 0, 0, CONFIG_U64,
	  FIELD(mem_agent.compact_period_s), 1, YEAR, 0 },
	{ "agent.mem_agent_compact_period_psi_percent_limit", 0, 0, CONFIG_U32,
	  FIELD(mem_agent.compact_period_psi_percent), 0, 100, 0 },
	{ "agent.mem_agent_compact_psi_percent_limit", 0, 0, CONFIG_U32,
	  FIELD(mem_agent.compact_psi_percent), 0, 100, 0 },
	{ "agent.mem_agent_compact_sec_max", 0, 0, CONFIG_U64, FIELD(mem_agent.compact_s_max), 0,
	  YEAR, 0 },
	{ "agent.mem_agent_compact_order", 0, 0, CONFIG_U32, FIELD(mem_agent.compact_order), 1, 255,
	  0 },
	{ "agent.mem_agent_compact_threshold", 0, 0, CONFIG_U64, FIELD(mem_agent.compact_threshold),
	  0, INT64_MAX, 0 },
	{ "agent.mem_agent_compact_force_times", 0, 0, CONFIG_U64,
	  FIELD(mem_agent.compact_force_times), 0, INT64_MAX, 0 },
	{ "agent.guest_components_procs", 0, 0, CONFIG_WORD, FIELD(guest_components_procs), 0, 0,
	  components },
	{ "agent.guest_components_rest_api", 0, 0, CONFIG_WORD, FIELD(guest_components_rest_api), 0,
	  0, rest_apis },
	{ "agent.secure_storage_integrity", 0, 0, CONFIG_BOOL, FIELD(secure_storage_integrity), 0,
	  0, 0 },
	{ "agent.cdh_api_timeout", 0, 0, CONFIG_SECONDS, FIELD(cdh_api_timeout_s), 1, DAY, 0 },
	{ "agent.image_pull_timeout", 0, 0, CONFIG_SECONDS, FIELD(image_pull_timeout_s), 1, DAY,
	  0 },
	{ "agent.cdi_timeout", 0, 0, CONFIG_SECONDS, FIELD(cdi_timeout_s), 1, DAY, 0 },
	{ "agent.launch_process_timeout", 0, 0, CONFIG_SECONDS, FIELD(launch_process_timeout_s), 1,
	  DAY, 0 },
	{ "agent.visible_cdi_devices", 0, 0, CONFIG_BOOL, FIELD(visible_cdi_devices), 0, 0, 0 },
	{ "agent.https_proxy", 0, 0, CONFIG_URL, FIELD(https_proxy), 0, CONFIG_STRING_MAX, 0 },
	{ "agent.no_proxy", 0, 0, CONFIG_STRING, FIELD(no_proxy), 0, CONFIG_STRING_MAX, 0 },
	{ "agent.devmode", "dev_mode", 0, CONFIG_FLAG, FIELD(dev_mode), 0, 0, 0 },
};
const size_t config_n_keys = ARRAY_LEN(config_keys);
_Static_assert(ARRAY_LEN(config_keys) <= CONFIG_KEYS_MAX, "source[] has an element for each row");

static bool config_find_file(const char *text, char *out, size_t size);
static bool config_load_file(struct config *c, const char *name, unsigned int *warned);
static bool config_take_token(struct config *c, const char *token, size_t n);
static bool config_set_value(void *field, const struct config_key *key, const char *value,
			     bool is_file);
static bool config_set_string(char *field, size_t size, const char *value, bool may_be_empty);
static bool config_set_number(void *field, const struct config_key *key, const char *value,
			      uint64_t min);

unsigned int
config_load(struct config *c, const char *file, const char *cmdline)
{
	char named[CONFIG_ADDR_MAX];
	unsigned int warned = 0;

	config_init(c);
	if (!file && config_find_file(cmdline, named, sizeof(named)))
		file = named;
	if (!file || !config_load_file(c, file, &warned))
		warned += config_read_cmdline(c, cmdline);
	return warned + config_read_env(c);
}

void
config_init(struct config *c)
{
	*c = (struct config){
		.log_level = LOG_LEVEL_INFO,
		.server_addr = CONFIG_DEFAULT_ADDR,
		.hotplug_timeout_s = 3,
		.unified_cgroup = true,
		.mem_agent = {
			.memcg_swappiness_max = 50,
			.memcg_period_s = 600,
			.memcg_period_psi_percent = 1,
			.memcg_eviction_psi_percent = 1,
			.memcg_eviction_run_aging_count_min = 3,
			.compact_period_s = 600,
			.compact_period_psi_percent = 1,
			.compact_psi_percent = 5,
			.compact_s_max = 300,
			.compact_order = 9,
			.compact_threshold = 1024,
			.compact_force_times = INT64_MAX,
		},
		.guest_components_procs = GUEST_COMPONENTS_API_SERVER,
		.guest_components_rest_api = GUEST_REST_API_RESOURCE,
		.secure_storage_integrity = true,
		.cdh_api_timeout_s = 50,
		.image_pull_timeout_s = 1200,
		.cdi_timeout_s = 100,
		.launch_process_timeout_s = 6,
	};
}

/* Finds the last configuration file on the command line. Returns false if there is none, or its
 * name is too long. */
static bool
config_find_file(const char *text, char *out, size_t size)
{
	static const char key[] = FILE_KEY;
	bool found = false;
	size_t n;

	for (text += strspn(text, BLANKS); *text; text += n, text += strspn(text, BLANKS)) {
		n = strcspn(text, BLANKS);
		if (n <= strlen(key) || n - strlen(key) >= size ||
		    strncmp(text, key, strlen(key)) != 0)
			continue;
		memcpy(out, text + strlen(key), n - strlen(key));
		out[n - strlen(key)] = '\0';
		found = true;
	}
	return found;
}

/* Reads a configuration file. Returns false, after a warning, if it cannot be read. */
static bool
config_load_file(struct config *c, const char *name, unsigned int *warned)
{
	auto_free char *text = malloc(CONFIG_FILE_MAX + 2);
	ssize_t n = -1;

	if (text)
		n = read_text_at(AT_FDCWD, name, text, CONFIG_FILE_MAX + 2);
	else
		errno = ENOMEM;
	if (n >= CONFIG_FILE_MAX)
		errno = EFBIG;
	if (n < 0 || n >= CONFIG_FILE_MAX) {
		log_warn("config", "configuration file %s: %s; the kernel command line is used",
			 name, strerror(errno));
		++*warned;
		return false;
	}
	*warned += config_read_file(c, text, (size_t)n, name);
	(void)config_set_string(c->file, sizeof(c->file), name, true);
	return true;
}

/* ---- sources ---- */

unsigned int
config_read_cmdline(struct config *c, const char *text)
{
	unsigned int warned = 0;
	size_t n;

	for (text += strspn(text, BLANKS); *text; text += n, text += strspn(text, BLANKS)) {
		n = strcspn(text, BLANKS);
		if (!config_take_token(c, text, n))
			warned++;
	}
	return warned;
}

/* Returns false if the token has one of our keys and an invalid value. The value is not logged: it
 * may contain the password of a proxy. */
static bool
config_take_token(struct config *c, const char *token, size_t n)
{
	const char *equals = memchr(token, '=', n);
	size_t key_len = equals ? (size_t)(equals - token) : n;
	size_t value_len = equals ? n - key_len - 1 : 0;
	char value[VALUE_MAX];

	for (size_t i = 0; i < config_n_keys; i++) {
		const struct config_key *key = &config_keys[i];

		if (!key->key || strlen(key->key) != key_len ||
		    memcmp(key->key, token, key_len) != 0)
			continue;
		if (value_len < sizeof(value)) {
			if (equals)
				memcpy(value, equals + 1, value_len);
			value[value_len] = '\0';
			if (config_set(c, key, equals ? value : NULL, CONFIG_CMDLINE))
				return true;
		}
		log_warn("config", "kernel parameter %s: invalid value, ignored", key->key);
		return false;
	}
	return true;
}

unsigned int
config_read_env(struct config *c)
{
	unsigned int warned = 0;

	for (size_t i = 0; i < config_n_keys; i++) {
		const char *value = config_keys[i].env ? getenv(config_keys[i].env) : NULL;

		if (!value || config_set(c, &config_keys[i], value, CONFIG_ENV))
			continue;
		/* values of variables are never logged */
		log_warn("config", "environment variable %s: invalid value, ignored",
			 config_keys[i].env);
		warned++;
	}
	return warned;
}

/* ---- a value ---- */

bool
config_set(struct config *c, const struct config_key *key, const char *value,
	   enum config_source source)
{
	if (!config_set_value((char *)c + key->offset, key, value, source == CONFIG_FILE))
		return false;
	c->source[key - config_keys] = (unsigned char)source;
	return true;
}

/* Returns whether a string is a scheme, "://" and more. */
static bool
config_is_url(const char *s)
{
	size_t n = strcspn(s, ":");

	return n > 0 &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.") ==
		       n &&
	       strncmp(s + n, "://", 3) == 0 && s[n + 3];
}

static bool
config_set_value(void *field, const struct config_key *key, const char *value, bool is_file)
{
	if (!value) {
		if (key->type != CONFIG_FLAG && key->type != CONFIG_FLAG_BOOL)
			return false;
		*(bool *)field = true;
		return true;
	}
	switch (key->type) {
	case CONFIG_FLAG:
		return is_file && parse_bool(value, field);
	case CONFIG_FLAG_BOOL:
	case CONFIG_BOOL:
		return parse_bool(value, field);
	case CONFIG_U32:
	case CONFIG_U64:
	case CONFIG_SECONDS:
		return config_set_number(field, key, value, key->min);
	case CONFIG_PORT:
		return config_set_number(field, key, value, is_file ? 0 : key->min);
	case CONFIG_URL:
		return (config_is_url(value) || (is_file && !*value)) &&
		       config_set_string(field, key->max, value, is_file);
	case CONFIG_STRING:
		return config_set_string(field, key->max, value, is_file && key->min == 0);
	case CONFIG_LEVEL:
		return log_level_parse(value, field);
	case CONFIG_WORD:
		for (unsigned int i = 0; key->words[i]; i++) {
			if (strcmp(key->words[i], value) == 0) {
				*(unsigned int *)field = i;
				return true;
			}
		}
		return false;
	case CONFIG_ALL:
		*(bool *)field = strcmp(value, "all") == 0;
		return true;
	}
	return false;
}

static bool
config_set_string(char *field, size_t size, const char *value, bool may_be_empty)
{
	size_t n = strlen(value);

	if ((n == 0 && !may_be_empty) || n >= size || !utf8_is_valid(value, n))
		return false;
	memset(field, 0, size);
	memcpy(field, value, n);
	return true;
}

static bool
config_set_number(void *field, const struct config_key *key, const char *value, uint64_t min)
{
	uint64_t number;

	if (!parse_u64(value, &number) || number < min || number > key->max)
		return false;
	if (key->type == CONFIG_U64)
		*(uint64_t *)field = number;
	else
		*(uint32_t *)field = (uint32_t)number;
	return true;
}

/* ---- keys ---- */

const char *
config_file_name(const struct config_key *key)
{
	if (!key->toml)
		return key->key + strlen("agent.");
	return *key->toml ? key->toml : NULL;
}

enum config_source
config_source_of(const struct config *c, const char *name)
{
	for (size_t i = 0; i < config_n_keys; i++) {
		const char *own = config_file_name(&config_keys[i]);

		if (own && strcmp(own, name) == 0)
			return (enum config_source)c->source[i];
	}
	return CONFIG_DEFAULT;
}
