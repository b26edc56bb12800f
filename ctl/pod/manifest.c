/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a pod's description; see manifest.h. */
#include "ctl/pod/manifest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/image/image.h"
#include "ctl/pod/expand.h"
#include "ctl/pod/manifest_internal.h"
#include "lib/cleanup.h"
#include "lib/io.h"

#define CPU_MILLI_MAX 1000000000
/* Bytes. A variable reference may be shorter than its value. */
#define TEXTS_MAX (64u << 20)
#define GRACE_MAX 3600
/* Default place of a termination message. */
#define MESSAGE_PATH "/dev/termination-log"

const char *const manifest_pulls[MANIFEST_PULLS] = {
	[IMAGE_PULL_IF_NOT_PRESENT] = "IfNotPresent",
	[IMAGE_PULL_ALWAYS] = "Always",
	[IMAGE_PULL_NEVER] = "Never",
};

static int manifest_read_pod(struct manifest_reader *m);
static int manifest_ignore_names(struct manifest_reader *m);
static int manifest_read_metadata(struct manifest_reader *m);
static int manifest_read_containers(struct manifest_reader *m, const struct field *spec,
				    const char *key, bool is_init);
static int manifest_read_mounts(struct manifest_reader *m, const struct field *spec);

int
manifest_read(struct manifest *m, const char *path, const struct manifest_guest *guest,
	      struct error *err)
{
	auto_close int opened = -1;
	auto_free char *text = malloc(YAML_SIZE_MAX + 2);
	size_t size = 0;
	ssize_t n = 1;
	int fd = STDIN_FILENO;

	arena_init(&m->texts, TEXTS_MAX);
	if (!text)
		return error_nomem(err, "reading a pod");
	if (strcmp(path, "-") != 0)
		fd = opened = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to open %s", path);
	while (n > 0 && size <= YAML_SIZE_MAX) {
		n = RETRY_EINTR(read(fd, text + size, YAML_SIZE_MAX + 1 - size));
		size += n > 0 ? (size_t)n : 0;
	}
	if (n < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to read %s", path);
	if (manifest_parse(m, text, size, guest, err) < 0)
		return error_wrap(err, "%s", path);
	return 0;
}

int
manifest_parse(struct manifest *m, const char *text, size_t size,
	       const struct manifest_guest *guest, struct error *err)
{
	auto_free struct manifest_reader *reader = calloc(1, sizeof(*reader));
	const struct yaml_node *documents;
	const char *ignored = "";

	arena_init(&m->texts, TEXTS_MAX);
	if (!reader)
		return error_nomem(err, "reading a pod");
	reader->m = m;
	reader->guest = guest;
	reader->r = (struct field_reader){ .arena = &m->texts, .err = err };
	m->text = size ? arena_memdup(&m->texts, text, size) : "";
	m->text_size = size;
	if (!m->text)
		return error_nomem(err, "reading a pod");
	documents = yaml_parse_documents(&m->texts, text, size, err);
	if (!documents || objects_read(&reader->r, documents, &reader->objects) < 0 ||
	    manifest_read_pod(reader) < 0)
		return -1;
	for (size_t i = 0; ignored && i < reader->r.n_ignored; i++)
		ignored = arena_printf(&m->texts, "%s%s%s", ignored, i ? ", " : "",
				       reader->r.ignored[i]);
	m->ignored = ignored;
	return ignored ? 0 : error_nomem(err, "reading a pod");
}

static int
manifest_read_pod(struct manifest_reader *m)
{
	static const struct field_keys keys = {
		"containers initContainers volumes hostname subdomain setHostnameAsFQDN dnsPolicy "
		"restartPolicy "
		"terminationGracePeriodSeconds securityContext shareProcessNamespace hostAliases "
		"dnsConfig hostPID hostIPC activeDeadlineSeconds os",
		"serviceAccountName serviceAccount automountServiceAccountToken nodeSelector "
		"nodeName tolerations affinity topologySpreadConstraints schedulerName "
		"priorityClassName priority preemptionPolicy runtimeClassName imagePullSecrets "
		"enableServiceLinks overhead readinessGates schedulingGates hostNetwork hostUsers",
		"ephemeralContainers resourceClaims resources "
		"hostnameOverride workloadRef"
	};
	static const char *const policies[] = { "Always", "OnFailure", "Never" };
	static const struct field_keys os_keys = { "name", "", "" };
	static const char *const systems[] = { "linux" };
	const struct field *spec = &m->objects.spec;
	bool host_pid = false, host_ipc = false;
	unsigned int restart = RESTART_ALWAYS, os = 0;
	struct field f;
	int64_t grace = 30;
	size_t i = 0;

	if (manifest_read_metadata(m) < 0 || field_check_map(&m->r, spec, &keys) < 0)
		return -1;
	if (manifest_read_job(m) < 0 || manifest_read_hostname(m, spec) < 0 ||
	    field_bool(&m->r, spec, "shareProcessNamespace", &m->m->share_pids) < 0 ||
	    field_bool(&m->r, spec, "hostPID", &host_pid) < 0 ||
	    field_bool(&m->r, spec, "hostIPC", &host_ipc) < 0 ||
	    field_choice(&m->r, spec, "restartPolicy", policies, ARRAY_LEN(policies), &restart) <
		    0 ||
	    field_number(&m->r, spec, "terminationGracePeriodSeconds", 0, GRACE_MAX, &grace) < 0 ||
	    field_number(&m->r, spec, "activeDeadlineSeconds", 1, INT32_MAX, &m->m->deadline_s) < 0)
		return -1;
	field_get(spec, host_pid ? "hostPID" : "hostIPC", &f);
	if (host_pid || host_ipc)
		return field_wrong(&m->r, &f, "not supported");
	field_get(spec, "os", &f);
	if (field_check_map(&m->r, &f, &os_keys) < 0 ||
	    field_choice(&m->r, &f, "name", systems, ARRAY_LEN(systems), &os) < 0)
		return -1;
	m->m->restart = (enum manifest_restart)restart;
	m->m->grace_s = (int)grace;
	field_get(spec, "securityContext", &f);
	if (manifest_read_dns(m, spec) < 0 || manifest_read_aliases(m, spec) < 0 ||
	    manifest_read_pod_security(m, &f) < 0 ||
	    manifest_read_containers(m, spec, "initContainers", true) < 0 ||
	    manifest_read_containers(m, spec, "containers", false) < 0)
		return -1;
	if (m->m->n_containers == m->m->n_init)
		return field_wrong(&m->r, spec, "no containers");
	field_get(spec, "volumes", &f);
	if (field_check_list(&m->r, &f, MANIFEST_VOLUMES_MAX) < 0)
		return -1;
	for (const struct yaml_node *e = f.node ? f.node->first : NULL; e; e = e->next) {
		struct field v;

		field_element(&f, e, i++, &v);
		if (manifest_read_volume(m, &v, &m->m->volumes[m->m->n_volumes]) < 0)
			return -1;
		for (size_t k = 0; k < m->m->n_volumes; k++)
			if (strcmp(m->m->volumes[k].name, m->m->volumes[m->m->n_volumes].name) == 0)
				return field_wrong(&m->r, &v, "a second volume %s",
						   m->m->volumes[k].name);
		m->m->n_volumes++;
	}
	if (manifest_read_claim_templates(m) < 0 || manifest_ignore_claims(m) < 0 ||
	    manifest_read_mounts(m, spec) < 0)
		return -1;
	if (m->m->kind && manifest_ignore_names(m) < 0)
		return -1;
	field_get(&m->objects.template_metadata, "labels", &f);
	if (f.node && !m->has_used_labels && field_ignore(&m->r, f.path) < 0)
		return -1;
	field_get(&m->objects.template_metadata, "annotations", &f);
	return f.node && !m->has_used_annotations ? field_ignore(&m->r, f.path) : 0;
}

/* ---- the pod ---- */

/* Records what an object with a template has itself and the pod does not get, and the other way
 * round: the name of the pod is that of the object. */
static int
manifest_ignore_names(struct manifest_reader *m)
{
	static const char *const of_object[] = { "labels", "annotations" };
	static const char *const of_template[] = { "name", "generateName" };
	struct field f;

	for (size_t i = 0; i < ARRAY_LEN(of_object); i++) {
		field_get(&m->objects.metadata, of_object[i], &f);
		if (f.node && field_ignore(&m->r, f.path) < 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(of_template); i++) {
		field_get(&m->objects.template_metadata, of_template[i], &f);
		if (f.node && field_ignore(&m->r, f.path) < 0)
			return -1;
	}
	return 0;
}

static int
manifest_read_metadata(struct manifest_reader *m)
{
	static const struct field_keys keys = {
		"name generateName labels annotations",
		"namespace uid creationTimestamp deletionTimestamp finalizers ownerReferences "
		"resourceVersion generation selfLink managedFields",
		""
	};
	bool is_pod = strcmp(m->objects.kind, "Pod") == 0;
	const char *prefix = NULL;

	m->m->kind = is_pod ? NULL : m->objects.kind;
	if (field_check_map(&m->r, &m->objects.metadata, &keys) < 0 ||
	    field_check_map(&m->r, &m->objects.template_metadata, &keys) < 0 ||
	    field_text(&m->r, &m->objects.metadata, "name", &m->m->name) < 0 ||
	    field_text(&m->r, &m->objects.metadata, "generateName", &prefix) < 0)
		return -1;
	if (!m->m->name && prefix) {
		size_t n = strlen(prefix);

		n -= n > 1 && prefix[n - 1] == '-';
		m->m->name = arena_printf(m->r.arena, "%.*s", (int)n, prefix);
		if (!m->m->name)
			return field_nomem(&m->r);
	}
	if (!m->m->name)
		return field_wrong(&m->r, &m->objects.metadata, "name is missing");
	if (!m->m->name[0] || strlen(m->m->name) > 253 || m->m->name[0] == '.' ||
	    strspn(m->m->name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != strlen(m->m->name))
		return field_wrong(&m->r, &m->objects.metadata, "invalid name \"%.64s\"",
				   m->m->name);
	return 0;
}

/* ---- a container ---- */

/* Refuses resources other than those that each node has: devices, and huge pages. */
static int
manifest_check_devices(struct manifest_reader *m, const struct field *resources)
{
	struct field f;

	for (const struct yaml_node *e = resources->node && resources->node->kind == YAML_MAP
						 ? resources->node->first
						 : NULL;
	     e; e = e->next) {
		if (!strchr(e->key, '/') && strncmp(e->key, "hugepages-", 10) != 0)
			continue;
		field_get(resources, e->key, &f);
		if (f.node)
			return field_wrong(&m->r, &f, "not supported");
	}
	return 0;
}

static int
manifest_read_resources(struct manifest_reader *m, const struct field *container,
			struct manifest_container *c)
{
	static const struct field_keys keys = { "limits requests", "", "claims" };
	static const struct field_keys kinds = { "cpu memory", "ephemeral-storage", "" };
	struct field resources, limits, requests, f;
	uint64_t milli = 0, requested = 0, memory = 0;

	field_get(container, "resources", &resources);
	field_get(&resources, "limits", &limits);
	field_get(&resources, "requests", &requests);
	if (manifest_check_devices(m, &limits) < 0 || manifest_check_devices(m, &requests) < 0 ||
	    field_check_map(&m->r, &resources, &keys) < 0 ||
	    field_check_map(&m->r, &limits, &kinds) < 0 ||
	    field_check_map(&m->r, &requests, &kinds) < 0 ||
	    field_quantity(&m->r, &limits, "memory", 0, &c->memory) < 0 ||
	    field_quantity(&m->r, &limits, "cpu", 3, &milli) < 0 ||
	    field_quantity(&m->r, &requests, "memory", 0, &memory) < 0 ||
	    field_quantity(&m->r, &requests, "cpu", 3, &requested) < 0)
		return -1;
	if (field_quantity(&m->r, &limits, "ephemeral-storage", 0, &c->storage) < 0)
		return -1;
	c->requested_storage = c->storage;
	if (field_quantity(&m->r, &requests, "ephemeral-storage", 0, &c->requested_storage) < 0)
		return -1;
	field_get(&limits, "cpu", &f);
	if (f.node && (milli == 0 || milli > CPU_MILLI_MAX))
		return field_wrong(&m->r, &f, "invalid number of processors");
	if (!field_has(&requests, "cpu"))
		requested = milli;
	c->requested_memory = field_has(&requests, "memory") ? memory : c->memory;
	c->milli = (unsigned int)milli;
	c->requested_milli = (unsigned int)(requested < CPU_MILLI_MAX ? requested : CPU_MILLI_MAX);
	return 0;
}

static int
manifest_read_port(struct manifest_reader *m, const struct field *f)
{
	static const struct field_keys keys = { "name containerPort hostPort hostIP protocol", "",
						"" };
	static const char *const protocols[] = { "TCP", "UDP", "SCTP" };
	const char *host = "127.0.0.1", *name = NULL;
	struct manifest *out = m->m;
	int64_t guest = 0, port = 0;
	struct in6_addr ignored;
	struct field address;
	bool is_ipv6;
	unsigned int protocol = 0;

	if (field_check_map(&m->r, f, &keys) < 0 || field_text(&m->r, f, "name", &name) < 0 ||
	    field_number(&m->r, f, "containerPort", 1, UINT16_MAX, &guest) < 0 ||
	    field_number(&m->r, f, "hostPort", 0, UINT16_MAX, &port) < 0 ||
	    field_text(&m->r, f, "hostIP", &host) < 0 ||
	    field_choice(&m->r, f, "protocol", protocols, ARRAY_LEN(protocols), &protocol) < 0)
		return -1;
	if (!guest)
		return field_wrong(&m->r, f, "containerPort is missing");
	if (!port)
		return 0;
	if (protocol != 0)
		return field_wrong(&m->r, f, "only TCP ports can be published on the host");
	field_get(f, "hostIP", &address);
	is_ipv6 = strchr(host, ':') != NULL;
	if (inet_pton(is_ipv6 ? AF_INET6 : AF_INET, host, &ignored) != 1)
		return field_wrong(&m->r, &address, "invalid IP address \"%.64s\"", host);
	if (is_ipv6 && !m->guest->publishes_ipv6)
		return field_wrong(&m->r, &address,
				   "ports of IPv6 addresses require --network passt");
	if (out->n_ports == MANIFEST_PORTS_MAX)
		return field_wrong(&m->r, f, "more than %d host ports", MANIFEST_PORTS_MAX);
	(void)snprintf(out->ports[out->n_ports++], sizeof(out->ports[0]),
		       is_ipv6 ? "[%.60s]:%d:%d" : "%.60s:%d:%d", host, (int)port, (int)guest);
	return 0;
}

/* Reads a list of words with references to the container's variables. *out is NULL if it is
 * missing. */
static int
manifest_read_command(struct manifest_reader *m, const struct field *map, const char *key,
		      const struct manifest_container *c, const char ***out)
{
	size_t n;

	*out = NULL;
	if (!field_has(map, key))
		return 0;
	if (field_words(&m->r, map, key, MANIFEST_WORDS_MAX, out, &n) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		(*out)[i] = expand_text(m->r.arena, (*out)[i], c->env, c->n_env);
		if (!(*out)[i])
			return field_nomem(&m->r);
	}
	if (n == 0)
		*out = NULL;
	return 0;
}

static int
manifest_read_container(struct manifest_reader *m, const struct field *f,
			struct manifest_container *c)
{
	static const struct field_keys keys = {
		"name image imagePullPolicy command args env envFrom workingDir volumeMounts "
		"ports resources "
		"securityContext startupProbe readinessProbe livenessProbe lifecycle tty stdin "
		"restartPolicy terminationMessagePath terminationMessagePolicy",
		"stdinOnce resizePolicy", "volumeDevices restartPolicyRules"
	};
	static const char *const always[] = { "Always" };
	static const char *const messages[] = { "File", "FallbackToLogsOnError" };
	struct field ports, port, image, pod_security, policy;
	unsigned int restart = 1, message = 0;
	size_t i = 0;

	c->message_path = MESSAGE_PATH;
	field_get(&m->objects.spec, "securityContext", &pod_security);
	field_get(f, "ports", &ports);
	field_get(f, "image", &image);
	field_get(f, "restartPolicy", &policy);
	if (field_check_map(&m->r, f, &keys) < 0 ||
	    field_required(&m->r, f, "name", &c->name) < 0 ||
	    field_required(&m->r, f, "image", &c->image) < 0 ||
	    field_choice(&m->r, f, "imagePullPolicy", manifest_pulls, MANIFEST_PULLS, &c->pull) <
		    0 ||
	    field_text(&m->r, f, "workingDir", &c->cwd) < 0 ||
	    field_text(&m->r, f, "terminationMessagePath", &c->message_path) < 0 ||
	    field_choice(&m->r, f, "terminationMessagePolicy", messages, ARRAY_LEN(messages),
			 &message) < 0 ||
	    field_bool(&m->r, f, "tty", &c->terminal) < 0 ||
	    field_bool(&m->r, f, "stdin", &c->keeps_stdin) < 0 ||
	    manifest_read_security(m, &pod_security, f, c) < 0 ||
	    manifest_read_resources(m, f, c) < 0 || manifest_read_env(m, f, c) < 0 ||
	    manifest_read_command(m, f, "command", c, &c->command) < 0 ||
	    manifest_read_command(m, f, "args", c, &c->args) < 0 ||
	    field_check_list(&m->r, &ports, MANIFEST_WORDS_MAX) < 0)
		return -1;
	c->line = image.node->line;
	if (strlen(c->name) > 63 ||
	    strspn(c->name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(c->name))
		return field_wrong(&m->r, f,
				   "invalid name: expected at most 63 small letters, digits and -");
	field_get(f, "terminationMessagePath", &port);
	if (!c->message_path[0])
		c->message_path = MESSAGE_PATH;
	if (c->message_path[0] != '/' || strstr(c->message_path, ".."))
		return field_wrong(&m->r, &port, "must be an absolute path without ..");
	c->has_message_of_log = message == 1;
	if (policy.node && !c->is_init)
		return field_wrong(&m->r, &policy, "not supported");
	if (field_choice(&m->r, f, "restartPolicy", always, 1, &restart) < 0)
		return -1;
	c->is_sidecar = restart == 0;
	for (const struct yaml_node *e = ports.node ? ports.node->first : NULL; e; e = e->next) {
		field_element(&ports, e, i++, &port);
		if (manifest_read_port(m, &port) < 0)
			return -1;
	}
	return manifest_read_probes(m, f, c);
}

static int
manifest_read_containers(struct manifest_reader *m, const struct field *spec, const char *key,
			 bool is_init)
{
	struct field list, f;
	size_t i = 0;

	field_get(spec, key, &list);
	if (field_check_list(&m->r, &list, MANIFEST_CONTAINERS_MAX - m->m->n_containers) < 0)
		return -1;
	for (const struct yaml_node *e = list.node ? list.node->first : NULL; e; e = e->next) {
		struct manifest_container *c = &m->m->containers[m->m->n_containers];

		field_element(&list, e, i++, &f);
		c->is_init = is_init;
		if (manifest_read_container(m, &f, c) < 0)
			return -1;
		for (size_t k = 0; k < m->m->n_containers; k++)
			if (strcmp(m->m->containers[k].name, c->name) == 0)
				return field_wrong(&m->r, &f, "a second container %s", c->name);
		m->m->n_containers++;
		m->m->n_init += is_init;
	}
	return 0;
}

/* ---- mounts, once the volumes are known ---- */

static int
manifest_read_mount(struct manifest_reader *m, const struct field *f,
		    const struct manifest_container *c, struct manifest_mount *out)
{
	static const struct field_keys keys = { "name mountPath subPath subPathExpr readOnly "
						"mountPropagation recursiveReadOnly",
						"", "" };
	/* No volume has mounts below it, so one that is read-only is so as a whole. */
	static const char *const recursive[] = { "Disabled", "IfPossible", "Enabled" };
	static const char *const propagation[] = { "None", "HostToContainer", "Bidirectional" };
	unsigned int is_recursive = 0, propagates = 0;
	const char *name, *expression = NULL;
	struct field sub, part;

	out->sub_path = "";
	if (field_check_map(&m->r, f, &keys) < 0 || field_required(&m->r, f, "name", &name) < 0 ||
	    field_required(&m->r, f, "mountPath", &out->path) < 0 ||
	    field_text(&m->r, f, "subPath", &out->sub_path) < 0 ||
	    field_text(&m->r, f, "subPathExpr", &expression) < 0 ||
	    field_bool(&m->r, f, "readOnly", &out->read_only) < 0 ||
	    field_choice(&m->r, f, "recursiveReadOnly", recursive, ARRAY_LEN(recursive),
			 &is_recursive) < 0 ||
	    field_choice(&m->r, f, "mountPropagation", propagation, ARRAY_LEN(propagation),
			 &propagates) < 0)
		return -1;
	field_get(f, "recursiveReadOnly", &part);
	if (is_recursive == 2 && !out->read_only)
		return field_wrong(&m->r, &part, "requires readOnly");
	field_get(f, "mountPropagation", &part);
	if (propagates && field_ignore(&m->r, part.path) < 0)
		return -1;
	field_get(f, expression ? "subPathExpr" : "subPath", &sub);
	if (expression)
		out->sub_path = expand_text(m->r.arena, expression, c->env, c->n_env);
	if (!out->sub_path)
		return field_nomem(&m->r);
	if (out->sub_path[0] == '/' || strstr(out->sub_path, ".."))
		return field_wrong(&m->r, &sub, "must be a relative path without ..");
	if (out->path[0] != '/')
		return field_wrong(&m->r, f, "mountPath is not absolute");
	for (size_t i = 0; i < m->m->n_volumes; i++) {
		if (strcmp(m->m->volumes[i].name, name) == 0) {
			out->volume = (unsigned int)i;
			return 0;
		}
	}
	field_get(f, "name", &part);
	return field_wrong(&m->r, &part, "unknown volume %s", name);
}

static int
manifest_read_mounts(struct manifest_reader *m, const struct field *spec)
{
	for (size_t i = 0; i < m->m->n_containers; i++) {
		struct manifest_container *c = &m->m->containers[i];
		struct field containers, container, list, f;
		const struct yaml_node *node;
		size_t k = 0;

		field_get(spec, c->is_init ? "initContainers" : "containers", &containers);
		node = containers.node->first;
		for (size_t n = c->is_init ? i : i - m->m->n_init; n > 0; n--)
			node = node->next;
		field_element(&containers, node, c->is_init ? i : i - m->m->n_init, &container);
		field_get(&container, "volumeMounts", &list);
		if (field_check_list(&m->r, &list, MANIFEST_MOUNTS_MAX) < 0)
			return -1;
		for (const struct yaml_node *e = list.node ? list.node->first : NULL; e;
		     e = e->next) {
			field_element(&list, e, k++, &f);
			if (manifest_read_mount(m, &f, c, &c->mounts[c->n_mounts++]) < 0)
				return -1;
		}
	}
	return 0;
}

void
manifest_release(struct manifest *m)
{
	arena_release(&m->texts);
	*m = (struct manifest){ 0 };
}
