/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a pod's description from JSON. */
#include "ctl/pod/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/pod/expand.h"
#include "ctl/pod/quantity.h"
#include "lib/cleanup.h"

#define CPU_MILLI_MAX 1000000000
/* Bytes. A variable reference may be shorter than its value. */
#define TEXTS_MAX (64u << 20)

/* A JSON value and its path in the file. */
struct at {
	const json_t *json;
	char path[200];
};

static int manifest_read_pod(struct manifest *m, const json_error_t *why, struct error *err);
static int manifest_read_spec(struct manifest *m, const struct at *at, struct error *err);
static int manifest_read_volume(const struct at *at, struct manifest_volume *v, struct error *err);
static int manifest_read_container(struct manifest *m, const struct at *at,
				   struct manifest_container *c, struct error *err);

static int __attribute__((format(printf, 3, 4)))
manifest_wrong(struct error *err, const struct at *at, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_set(err, ERROR_INVALID_ARGUMENT, "%s: %s", at->path, text);
}

/* Returns element i of a list. */
static struct at
manifest_element(const struct at *at, const char *name, const json_t *list, size_t i)
{
	struct at e = { .json = json_array_get(list, i) };

	(void)snprintf(e.path, sizeof(e.path), "%.120s.%s[%zu]", at->path, name, i);
	return e;
}

static struct at
manifest_member(const struct at *at, const char *name, const json_t *json)
{
	struct at e = { .json = json };

	(void)snprintf(e.path, sizeof(e.path), "%.120s.%s", at->path, name);
	return e;
}

static int
manifest_check_list(const struct at *at, const char *name, const json_t *list, size_t max,
		    struct error *err)
{
	if (list && !json_is_array(list))
		return manifest_wrong(err, at, "%s: not a list", name);
	if (json_array_size(list) > max)
		return manifest_wrong(err, at, "%s: more than %zu elements", name, max);
	return 0;
}

static int
manifest_read_words(const struct at *at, const char *name, const json_t *list, const char **out,
		    size_t *n, struct error *err)
{
	const json_t *word;
	size_t i;

	if (manifest_check_list(at, name, list, MANIFEST_WORDS_MAX - *n, err) < 0)
		return -1;
	json_array_foreach(list, i, word)
	{
		if (!json_is_string(word))
			return manifest_wrong(err, at, "%s[%zu]: not a string", name, i);
		out[(*n)++] = json_string_value(word);
	}
	return 0;
}

/* Reads a quantity, given as a string or a number. NULL: absent. */
static int
manifest_read_quantity(const struct at *at, const json_t *json, int digits, uint64_t max,
		       const char *what, uint64_t *out, struct error *err)
{
	char text[64] = "";
	size_t n = 0;

	if (!json)
		return 0;
	if (json_is_string(json))
		n = (size_t)snprintf(text, sizeof(text), "%s", json_string_value(json));
	else if (json_is_number(json))
		/* 15 digits, so that 0.1 stays one tenth. */
		n = json_dumpb(json, text, sizeof(text) - 1,
			       JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
	if (n == 0 || n >= sizeof(text) || !quantity_parse(text, digits, max, out))
		return manifest_wrong(err, at, "invalid %s \"%.60s\"", what, text);
	return 0;
}

/* "64Mi", "1.5G", 1048576. */
static int
manifest_read_size(const struct at *at, const json_t *json, uint64_t *out, struct error *err)
{
	return manifest_read_quantity(at, json, 0, INT64_MAX, "size", out, err);
}

int
manifest_parse(struct manifest *m, const char *text, struct error *err)
{
	json_error_t why;

	*m = (struct manifest){ .json = json_loads(text, JSON_REJECT_DUPLICATES, &why) };
	arena_init(&m->texts, TEXTS_MAX);
	return manifest_read_pod(m, &why, err);
}

int
manifest_read(struct manifest *m, const char *path, struct error *err)
{
	json_error_t why;

	*m = (struct manifest){ .json = json_load_file(path, JSON_REJECT_DUPLICATES, &why) };
	arena_init(&m->texts, TEXTS_MAX);
	return manifest_read_pod(m, &why, err) < 0 ? error_wrap(err, "%s", path) : 0;
}

/* Unpacks the members of an object; a member that the format does not name is an error. */
#define UNPACK(err, at, ...)                                                                       \
	({                                                                                         \
		json_error_t why_;                                                                 \
		json_unpack_ex((json_t *)(uintptr_t)(at)->json, &why_, JSON_STRICT, __VA_ARGS__) < \
				0                                                                  \
			? manifest_wrong((err), (at), "%s", why_.text)                             \
			: 0;                                                                       \
	})

/* why: the reason if m->json could not be loaded. */
static int
manifest_read_pod(struct manifest *m, const json_error_t *why, struct error *err)
{
	const struct at top = { .json = m->json, .path = "pod" };
	const char *version = "v1", *kind = "Pod";
	struct at spec = { .path = "spec" };

	if (!m->json)
		return error_set(err, ERROR_INVALID_ARGUMENT, "line %d, column %d: %s", why->line,
				 why->column, why->text);
	if (UNPACK(err, &top, "{s?s, s?s, s:{s:s}, s:o}", "apiVersion", &version, "kind", &kind,
		   "metadata", "name", &m->name, "spec", &spec.json) < 0)
		return -1;
	if (strcmp(kind, "Pod") != 0)
		return manifest_wrong(err, &top, "kind %s: expected Pod", kind);
	return manifest_read_spec(m, &spec, err);
}

static int
manifest_read_restart(const struct at *at, const char *text, enum manifest_restart *out,
		      struct error *err)
{
	static const char *const names[] = { "Always", "OnFailure", "Never" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum manifest_restart)i;
			return 0;
		}
	}
	return manifest_wrong(err, at, "restartPolicy %s: expected Always, OnFailure or Never",
			      text);
}

static int
manifest_read_spec(struct manifest *m, const struct at *at, struct error *err)
{
	const json_t *containers = NULL, *volumes = NULL, *servers = NULL;
	const char *restart = "Always";
	int share = 0;

	m->hostname = m->name;
	if (UNPACK(err, at, "{s:o, s?o, s?s, s?b, s?s, s?{s:o}}", "containers", &containers,
		   "volumes", &volumes, "hostname", &m->hostname, "shareProcessNamespace", &share,
		   "restartPolicy", &restart, "dnsConfig", "nameservers", &servers) < 0 ||
	    manifest_read_restart(at, restart, &m->restart, err) < 0 ||
	    manifest_check_list(at, "volumes", volumes, MANIFEST_VOLUMES_MAX, err) < 0 ||
	    manifest_check_list(at, "containers", containers, MANIFEST_CONTAINERS_MAX, err) < 0 ||
	    manifest_read_words(at, "dnsConfig.nameservers", servers, m->servers, &m->n_servers,
				err) < 0)
		return -1;
	m->share_pids = share;
	for (size_t i = 0; i < json_array_size(volumes); i++) {
		const struct at e = manifest_element(at, "volumes", volumes, i);

		if (manifest_read_volume(&e, &m->volumes[m->n_volumes++], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < json_array_size(containers); i++) {
		const struct at e = manifest_element(at, "containers", containers, i);

		if (manifest_read_container(m, &e, &m->containers[m->n_containers++], err) < 0)
			return -1;
	}
	if (m->n_containers == 0)
		return manifest_wrong(err, at, "no containers");
	return 0;
}

static int
manifest_read_volume(const struct at *at, struct manifest_volume *v, struct error *err)
{
	const json_t *config = NULL, *secret = NULL, *empty = NULL, *host = NULL;
	const json_t *size = NULL;
	const char *medium = "";

	if (UNPACK(err, at, "{s:s, s?o, s?o, s?o, s?o}", "name", &v->name, "configMap", &config,
		   "secret", &secret, "emptyDir", &empty, "hostPath", &host) < 0)
		return -1;
	if (!v->name[0] || strchr(v->name, '/') || v->name[0] == '.')
		return manifest_wrong(err, at, "invalid volume name \"%s\"", v->name);
	if (!!config + !!secret + !!empty + !!host != 1)
		return manifest_wrong(err, at,
				      "must be one of configMap, secret, emptyDir and hostPath");
	if (config) {
		const struct at e = manifest_member(at, "configMap", config);

		v->kind = VOLUME_CONFIG_MAP;
		return UNPACK(err, &e, "{s?o, s?o}", "data", &v->text, "binaryData", &v->bytes);
	}
	if (secret) {
		const struct at e = manifest_member(at, "secret", secret);

		v->kind = VOLUME_SECRET;
		return UNPACK(err, &e, "{s?o, s?o}", "stringData", &v->text, "data", &v->bytes);
	}
	if (host) {
		const struct at e = manifest_member(at, "hostPath", host);

		v->kind = VOLUME_HOST_PATH;
		return UNPACK(err, &e, "{s:s}", "path", &v->path);
	}
	v->kind = VOLUME_EMPTY_DIR;
	{
		const struct at e = manifest_member(at, "emptyDir", empty);

		if (UNPACK(err, &e, "{s?s, s?o}", "medium", &medium, "sizeLimit", &size) < 0)
			return -1;
		v->in_memory = strcmp(medium, "Memory") == 0;
		return manifest_read_size(&e, size, &v->size, err);
	}
}

/* ---- a container ---- */

/* Expands the references to variables in the words of a command. */
static int
manifest_expand_words(struct manifest *m, const struct manifest_container *c, const char **words,
		      struct error *err)
{
	for (; *words; words++) {
		*words = expand_text(&m->texts, *words, c->env, c->n_env);
		if (!*words)
			return error_nomem(err, "reading a pod");
	}
	return 0;
}

/* A value may refer to the variables before it. */
static int
manifest_read_env(struct manifest *m, const struct at *at, const json_t *list,
		  struct manifest_container *c, struct error *err)
{
	const char *name, *value;

	if (manifest_check_list(at, "env", list, MANIFEST_WORDS_MAX - 1, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const struct at e = manifest_element(at, "env", list, i);

		value = "";
		if (UNPACK(err, &e, "{s:s, s?s}", "name", &name, "value", &value) < 0)
			return -1;
		if (!*name || strchr(name, '='))
			return manifest_wrong(err, &e, "invalid variable name \"%s\"", name);
		value = expand_text(&m->texts, value, c->env, c->n_env);
		c->env[c->n_env] = value ? arena_printf(&m->texts, "%s=%s", name, value) : NULL;
		if (!c->env[c->n_env])
			return error_nomem(err, "reading a pod");
		c->n_env++;
	}
	return 0;
}

static int
manifest_read_mount(const struct manifest *m, const struct at *at, struct manifest_mount *out,
		    struct error *err)
{
	const char *name;
	int read_only = 0;

	if (UNPACK(err, at, "{s:s, s:s, s?b}", "name", &name, "mountPath", &out->path, "readOnly",
		   &read_only) < 0)
		return -1;
	out->read_only = read_only;
	if (out->path[0] != '/')
		return manifest_wrong(err, at, "mountPath is not absolute");
	for (size_t i = 0; i < m->n_volumes; i++) {
		if (strcmp(m->volumes[i].name, name) == 0) {
			out->volume = (unsigned int)i;
			return 0;
		}
	}
	return manifest_wrong(err, at, "unknown volume %s", name);
}

static int
manifest_read_port(struct manifest *m, const struct at *at, struct error *err)
{
	const char *host = "127.0.0.1", *name = NULL, *protocol = "TCP";
	int guest = 0, port = 0;

	if (UNPACK(err, at, "{s:i, s?i, s?s, s?s, s?s}", "containerPort", &guest, "hostPort", &port,
		   "hostIP", &host, "name", &name, "protocol", &protocol) < 0)
		return -1;
	if (!port)
		return 0;
	if (strcmp(protocol, "TCP") != 0)
		return manifest_wrong(err, at, "only TCP ports can be published on the host");
	if (m->n_ports == MANIFEST_PORTS_MAX)
		return manifest_wrong(err, at, "too many host ports: at most %d",
				      MANIFEST_PORTS_MAX);
	(void)snprintf(m->ports[m->n_ports++], sizeof(m->ports[0]), "%.60s:%d:%d", host, port,
		       guest);
	return 0;
}

/* Reads the list members of a container. */
static int
manifest_read_lists(struct manifest *m, const struct at *at, struct manifest_container *c,
		    const json_t *mounts, const json_t *ports, struct error *err)
{
	if (manifest_check_list(at, "volumeMounts", mounts, MANIFEST_MOUNTS_MAX, err) < 0 ||
	    manifest_check_list(at, "ports", ports, MANIFEST_WORDS_MAX, err) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(mounts); i++) {
		const struct at e = manifest_element(at, "volumeMounts", mounts, i);

		if (manifest_read_mount(m, &e, &c->mounts[c->n_mounts++], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < json_array_size(ports); i++) {
		const struct at e = manifest_element(at, "ports", ports, i);

		if (manifest_read_port(m, &e, err) < 0)
			return -1;
	}
	return 0;
}

/* "500m", "0.5", 2. */
static int
manifest_read_cpu(const struct at *at, const json_t *json, unsigned int *out, struct error *err)
{
	uint64_t milli = 0;

	if (manifest_read_quantity(at, json, 3, CPU_MILLI_MAX, "number of processors", &milli,
				   err) < 0)
		return -1;
	if (json && milli == 0)
		return manifest_wrong(err, at, "number of processors must not be 0");
	*out = (unsigned int)milli;
	return 0;
}

static int
manifest_read_limits(const struct at *parent, const json_t *json, struct manifest_container *c,
		     struct error *err)
{
	const struct at at = manifest_member(parent, "resources", json);
	const json_t *memory = NULL, *cpu = NULL, *requests = NULL;

	if (!json)
		return 0;
	if (UNPACK(err, &at, "{s?{s?o, s?o}, s?o}", "limits", "memory", &memory, "cpu", &cpu,
		   "requests", &requests) < 0 ||
	    manifest_read_size(&at, memory, &c->memory, err) < 0)
		return -1;
	return manifest_read_cpu(&at, cpu, &c->milli, err);
}

static int
manifest_read_security(const struct at *parent, const json_t *json, struct manifest_container *c,
		       struct error *err)
{
	const struct at at = manifest_member(parent, "securityContext", json);
	int read_only = 0, privileged = 0;

	if (json &&
	    UNPACK(err, &at, "{s?i, s?i, s?b, s?b}", "runAsUser", &c->uid, "runAsGroup", &c->gid,
		   "readOnlyRootFilesystem", &read_only, "privileged", &privileged) < 0)
		return -1;
	c->read_only = read_only;
	c->privileged = privileged;
	return 0;
}

static int
manifest_read_probe(const struct at *parent, const char *name, const json_t *json,
		    struct manifest_probe *p, struct error *err)
{
	const struct at at = manifest_member(parent, name, json);
	const json_t *command = NULL;
	size_t n = 0;

	*p = (struct manifest_probe){ .period_s = 10, .timeout_s = 1, .failures = 3 };
	if (!json)
		return 0;
	if (UNPACK(err, &at, "{s:{s:o}, s?i, s?i, s?i, s?i}", "exec", "command", &command,
		   "initialDelaySeconds", &p->delay_s, "periodSeconds", &p->period_s,
		   "timeoutSeconds", &p->timeout_s, "failureThreshold", &p->failures) < 0 ||
	    manifest_read_words(&at, "exec.command", command, p->command, &n, err) < 0)
		return -1;
	if (n == 0 || p->delay_s < 0 || p->period_s < 1 || p->timeout_s < 1 || p->failures < 1)
		return manifest_wrong(err, &at, "must have a command and positive numbers");
	return 0;
}

static int
manifest_read_container(struct manifest *m, const struct at *at, struct manifest_container *c,
			struct error *err)
{
	const json_t *command = NULL, *args = NULL, *env = NULL, *mounts = NULL, *ports = NULL;
	const json_t *limits = NULL, *security = NULL, *ready = NULL, *alive = NULL;
	size_t n = 0;

	c->cwd = "/";
	if (UNPACK(err, at, "{s:s, s:s, s?o, s?o, s?o, s?s, s?o, s?o, s?o, s?o, s?o, s?o}", "name",
		   &c->name, "image", &c->image, "command", &command, "args", &args, "env", &env,
		   "workingDir", &c->cwd, "volumeMounts", &mounts, "ports", &ports, "resources",
		   &limits, "securityContext", &security, "readinessProbe", &ready, "livenessProbe",
		   &alive) < 0)
		return -1;
	if (strlen(c->name) == 0 || strlen(c->name) > 63 ||
	    strspn(c->name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(c->name))
		return manifest_wrong(err, at,
				      "invalid name: expected at most 63 letters, digits and -");
	if (manifest_read_words(at, "command", command, c->command, &n, err) < 0 ||
	    manifest_read_words(at, "args", args, c->command, &n, err) < 0 ||
	    manifest_read_env(m, at, env, c, err) < 0 ||
	    manifest_expand_words(m, c, c->command, err) < 0 ||
	    manifest_read_lists(m, at, c, mounts, ports, err) < 0 ||
	    manifest_read_limits(at, limits, c, err) < 0 ||
	    manifest_read_security(at, security, c, err) < 0 ||
	    manifest_read_probe(at, "readinessProbe", ready, &c->readiness, err) < 0)
		return -1;
	if (n == 0)
		return manifest_wrong(
			err, at, "command and args are empty, and images have no default command");
	if (manifest_read_probe(at, "livenessProbe", alive, &c->liveness, err) < 0 ||
	    manifest_expand_words(m, c, c->readiness.command, err) < 0)
		return -1;
	return manifest_expand_words(m, c, c->liveness.command, err);
}

void
manifest_release(struct manifest *m)
{
	arena_release(&m->texts);
	json_decref(m->json);
	*m = (struct manifest){ 0 };
}
