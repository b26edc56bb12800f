/* SPDX-License-Identifier: Apache-2.0 */
/* Probes and lifecycle hooks of a container. */
#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/image/config.h"
#include "ctl/pod/expand.h"
#include "ctl/pod/manifest_internal.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

#define SECONDS_MAX 1000000
#define HEADERS_MAX 32
#define HEADER_NAME "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

/* Sets the arguments of a request that the pause container's program makes (init/probe.h). */
static int
manifest_set_request(struct manifest_reader *m, struct manifest_action *a, const char *const *words,
		     size_t n)
{
	a->is_request = true;
	a->args = arena_zalloc(m->r.arena, n + 2, sizeof(*a->args));
	if (!a->args)
		return field_nomem(&m->r);
	a->args[0] = "/probe";
	memcpy(a->args + 1, words, n * sizeof(*words));
	for (size_t i = 0; i < n; i++)
		if (!words[i])
			return field_nomem(&m->r);
	return 0;
}

/* Reads the host of a request: an address, or the pod itself. */
static int
manifest_read_host(struct manifest_reader *m, const struct field *map, const char **out)
{
	unsigned char ignored[sizeof(struct in6_addr)];
	struct field f;

	*out = "";
	if (field_text(&m->r, map, "host", out) < 0)
		return -1;
	if (strcmp(*out, "localhost") == 0)
		*out = "127.0.0.1";
	field_get(map, "host", &f);
	if (**out && inet_pton(AF_INET, *out, ignored) != 1 &&
	    inet_pton(AF_INET6, *out, ignored) != 1)
		return field_wrong(&m->r, &f, "must be an address or localhost");
	return 0;
}

/* Reads a port: a number, or the name of one of the container's ports. */
static int
manifest_read_probe_port(struct manifest_reader *m, const struct field *container,
			 const struct field *map, const char **out)
{
	struct field f, ports;
	int64_t port = 0;

	field_get(map, "port", &f);
	field_get(container, "ports", &ports);
	if (!f.node || !f.node->text)
		return field_wrong(&m->r, map, "port is missing");
	if (!yaml_int(f.node, &port)) {
		for (const struct yaml_node *e = ports.node ? ports.node->first : NULL; e;
		     e = e->next) {
			const struct yaml_node *name =
				e->kind == YAML_MAP ? yaml_get(e, "name") : NULL;
			const struct yaml_node *number =
				e->kind == YAML_MAP ? yaml_get(e, "containerPort") : NULL;

			if (name && number && name->text && strcmp(name->text, f.node->text) == 0)
				(void)yaml_int(number, &port);
		}
	}
	if (port < 1 || port > UINT16_MAX)
		return field_wrong(&m->r, &f, "\"%.64s\": no such port of the container",
				   f.node->text);
	*out = arena_printf(m->r.arena, "%d", (int)port);
	return *out ? 0 : field_nomem(&m->r);
}

static int
manifest_read_http(struct manifest_reader *m, const struct field *container, const struct field *f,
		   struct manifest_action *a)
{
	static const struct field_keys keys = { "path port host scheme httpHeaders", "", "" };
	static const struct field_keys header_keys = { "name value", "", "" };
	static const char *const schemes[] = { "HTTP", "HTTPS" };
	const char *words[4 + HEADERS_MAX] = { "http", "", NULL, "/" };
	struct field headers, header, scheme, host;
	unsigned int choice = 0;
	uint32_t port = 0;
	size_t n = 4, i = 0;

	field_get(f, "httpHeaders", &headers);
	if (field_check_map(&m->r, f, &keys) < 0 ||
	    manifest_read_probe_port(m, container, f, &words[2]) < 0 ||
	    manifest_read_host(m, f, &words[1]) < 0 ||
	    field_text(&m->r, f, "path", &words[3]) < 0 ||
	    field_choice(&m->r, f, "scheme", schemes, ARRAY_LEN(schemes), &choice) < 0 ||
	    field_check_list(&m->r, &headers, HEADERS_MAX) < 0)
		return -1;
	(void)parse_u32(words[2], &port);
	if (words[3][0] != '/')
		words[3] = arena_printf(m->r.arena, "/%s", words[3]);
	for (const struct yaml_node *e = headers.node ? headers.node->first : NULL; e;
	     e = e->next) {
		const char *name, *value = "";

		field_element(&headers, e, i++, &header);
		if (field_check_map(&m->r, &header, &header_keys) < 0 ||
		    field_required(&m->r, &header, "name", &name) < 0 ||
		    field_text(&m->r, &header, "value", &value) < 0)
			return -1;
		if (strspn(name, HEADER_NAME) != strlen(name) || strpbrk(value, "\r\n"))
			return field_wrong(&m->r, &header, "invalid header");
		words[n++] = arena_printf(m->r.arena, "%s: %s", name, value);
	}
	if (manifest_set_request(m, a, words, n) < 0)
		return -1;
	if (choice == 0)
		return 0;
	field_get(f, "host", &host);
	if (host.node)
		return field_wrong(&m->r, &host, "not supported with HTTPS");
	field_get(f, "scheme", &scheme);
	a->is_request = false;
	a->https_port = (unsigned int)port;
	a->https_path = a->args[4];
	a->https_headers = a->args + 5;
	a->line = scheme.node->line;
	a->field = arena_strdup(m->r.arena, scheme.path);
	return a->field ? 0 : field_nomem(&m->r);
}

static int
manifest_read_tcp(struct manifest_reader *m, const struct field *container, const struct field *f,
		  struct manifest_action *a)
{
	static const struct field_keys keys = { "port host", "", "" };
	const char *words[3] = { "tcp", "" };

	if (field_check_map(&m->r, f, &keys) < 0 ||
	    manifest_read_probe_port(m, container, f, &words[2]) < 0 ||
	    manifest_read_host(m, f, &words[1]) < 0)
		return -1;
	return manifest_set_request(m, a, words, ARRAY_LEN(words));
}

static int
manifest_read_grpc(struct manifest_reader *m, const struct field *container, const struct field *f,
		   struct manifest_action *a)
{
	static const struct field_keys keys = { "port service", "", "" };
	const char *words[4] = { "grpc", "", NULL, "" };

	if (field_check_map(&m->r, f, &keys) < 0 ||
	    manifest_read_probe_port(m, container, f, &words[2]) < 0 ||
	    field_text(&m->r, f, "service", &words[3]) < 0)
		return -1;
	return manifest_set_request(m, a, words, ARRAY_LEN(words));
}

static int
manifest_read_exec(struct manifest_reader *m, const struct field *f,
		   const struct manifest_container *c, struct manifest_action *a)
{
	static const struct field_keys keys = { "command", "", "" };
	size_t n;

	if (field_check_map(&m->r, f, &keys) < 0 ||
	    field_words(&m->r, f, "command", MANIFEST_WORDS_MAX, &a->args, &n) < 0)
		return -1;
	if (n == 0)
		return field_wrong(&m->r, f, "command is missing");
	for (size_t i = 0; i < n; i++) {
		a->args[i] = expand_text(m->r.arena, a->args[i], c->env, c->n_env);
		if (!a->args[i])
			return field_nomem(&m->r);
	}
	return 0;
}

/* Reads the handler of a probe or hook. Its keys are checked. */
static int
manifest_read_action(struct manifest_reader *m, const struct field *container,
		     const struct field *f, const struct manifest_container *c,
		     struct manifest_action *a)
{
	static const struct field_keys sleep_keys = { "seconds", "", "" };
	static const char *const kinds[] = { "exec", "httpGet", "tcpSocket", "grpc", "sleep" };
	const char *found = NULL;
	int64_t seconds = 0;
	struct field part;

	a->sleep_s = -1;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!field_has(f, kinds[i]))
			continue;
		if (found)
			return field_wrong(&m->r, f, "has both %s and %s", found, kinds[i]);
		found = kinds[i];
	}
	if (!found)
		return field_wrong(&m->r, f, "must have exec, httpGet, tcpSocket or grpc");
	field_get(f, found, &part);
	switch (found[0]) {
	case 'e':
		return manifest_read_exec(m, &part, c, a);
	case 'h':
		return manifest_read_http(m, container, &part, a);
	case 't':
		return manifest_read_tcp(m, container, &part, a);
	case 'g':
		return manifest_read_grpc(m, container, &part, a);
	default:
		if (field_check_map(&m->r, &part, &sleep_keys) < 0 ||
		    field_number(&m->r, &part, "seconds", 0, SECONDS_MAX, &seconds) < 0)
			return -1;
		a->sleep_s = (int)seconds;
		return 0;
	}
}

static int
manifest_read_probe(struct manifest_reader *m, const struct field *container, const char *name,
		    const struct manifest_container *c, struct manifest_probe *p)
{
	static const struct field_keys keys = {
		"exec httpGet tcpSocket grpc initialDelaySeconds periodSeconds timeoutSeconds "
		"successThreshold failureThreshold terminationGracePeriodSeconds",
		"", ""
	};
	int64_t delay = 0, period = 10, timeout = 1, successes = 1, failures = 3, grace = -1;
	struct field f, part;

	field_get(container, name, &f);
	p->action.sleep_s = -1;
	if (!f.node)
		return 0;
	if (field_check_map(&m->r, &f, &keys) < 0 ||
	    field_number(&m->r, &f, "initialDelaySeconds", 0, SECONDS_MAX, &delay) < 0 ||
	    field_number(&m->r, &f, "periodSeconds", 1, SECONDS_MAX, &period) < 0 ||
	    field_number(&m->r, &f, "timeoutSeconds", 1, SECONDS_MAX, &timeout) < 0 ||
	    field_number(&m->r, &f, "successThreshold", 1, SECONDS_MAX, &successes) < 0 ||
	    field_number(&m->r, &f, "failureThreshold", 1, SECONDS_MAX, &failures) < 0 ||
	    field_number(&m->r, &f, "terminationGracePeriodSeconds", 1, SECONDS_MAX, &grace) < 0)
		return -1;
	field_get(&f, "successThreshold", &part);
	if (successes != 1 && p != &c->readiness)
		return field_wrong(&m->r, &part, "must be 1");
	*p = (struct manifest_probe){
		.delay_s = (int)delay,
		.period_s = (int)period,
		.timeout_s = (int)timeout,
		.failures = (int)failures,
		.successes = (int)successes,
		.grace_s = (int)grace,
	};
	return manifest_read_action(m, container, &f, c, &p->action);
}

int
manifest_read_probes(struct manifest_reader *m, const struct field *container,
		     struct manifest_container *c)
{
	static const struct field_keys keys = { "postStart preStop stopSignal", "", "" };
	static const struct field_keys hook_keys = { "exec httpGet tcpSocket sleep", "", "" };
	struct field lifecycle, hook;
	const char *signal = NULL;

	c->post_start.sleep_s = c->pre_stop.sleep_s = -1;
	field_get(container, "lifecycle", &lifecycle);
	if (manifest_read_probe(m, container, "startupProbe", c, &c->startup) < 0 ||
	    manifest_read_probe(m, container, "readinessProbe", c, &c->readiness) < 0 ||
	    manifest_read_probe(m, container, "livenessProbe", c, &c->liveness) < 0 ||
	    field_check_map(&m->r, &lifecycle, &keys) < 0 ||
	    field_text(&m->r, &lifecycle, "stopSignal", &signal) < 0)
		return -1;
	if (signal) {
		c->stop_signal = strncmp(signal, "SIG", 3) == 0 ? image_signal(signal) : 0;
		field_get(&lifecycle, "stopSignal", &hook);
		if (!c->stop_signal)
			return field_wrong(&m->r, &hook, "unknown signal \"%.64s\"", signal);
	}
	if (c->is_init && !c->is_sidecar &&
	    (c->startup.action.args || c->readiness.action.args || c->liveness.action.args ||
	     lifecycle.node))
		return field_wrong(&m->r, container, "an init container has no probes and hooks");
	field_get(&lifecycle, "postStart", &hook);
	if (hook.node && (field_check_map(&m->r, &hook, &hook_keys) < 0 ||
			  manifest_read_action(m, container, &hook, c, &c->post_start) < 0))
		return -1;
	field_get(&lifecycle, "preStop", &hook);
	if (hook.node && (field_check_map(&m->r, &hook, &hook_keys) < 0 ||
			  manifest_read_action(m, container, &hook, c, &c->pre_stop) < 0))
		return -1;
	return 0;
}
