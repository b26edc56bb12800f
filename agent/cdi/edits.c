/* SPDX-License-Identifier: Apache-2.0 */
/* See edits.h. */
#include "agent/cdi/edits.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"

/* Bits of a mode, and the kernel's limits on the numbers of a device. */
#define MODE_MAX  07777
#define MAJOR_MAX 4095
#define MINOR_MAX 1048575

#define HOOK_TIMEOUT_MAX_S 86400

static int edits_add_env(struct cdi_edits *e, const struct yaml_node *list, struct error *err);
static int edits_add_node(struct cdi_edits *e, const struct yaml_node *map,
			  enum cdi_version version, struct error *err);
static int edits_add_mount(struct cdi_edits *e, const struct yaml_node *map,
			   enum cdi_version version, struct error *err);
static int edits_add_hook(struct cdi_edits *e, const struct yaml_node *map,
			  enum cdi_version version, struct error *err);
static int edits_add_gids(struct cdi_edits *e, const struct yaml_node *list, struct error *err);
static int edits_check_rdt(struct cdi_edits *e, const struct yaml_node *map,
			   enum cdi_version version, struct error *err);
static int edits_check_net(struct cdi_edits *e, const struct yaml_node *map,
			   enum cdi_version version, struct error *err);

/* ---- fields ---- */

int
cdi_invalid(const struct yaml_node *node, struct error *err, const char *fmt, ...)
{
	char text[ERROR_MSG_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_set(err, ERROR_INVALID_ARGUMENT, "line %u: %s", node->line, text);
}

int
cdi_map_check(const struct yaml_node *map, const char *what, const struct cdi_field *fields,
	      size_t n, enum cdi_version version, struct error *err)
{
	if (map->kind != YAML_MAP)
		return cdi_invalid(map, err, "%s: expected a map", what);
	for (const struct yaml_node *f = map->first; f; f = f->next) {
		size_t i = 0;

		while (i < n && strcmp(fields[i].name, f->key) != 0)
			i++;
		if (i == n)
			return cdi_invalid(f, err, "%s: unknown field \"%.64s\"", what, f->key);
		if (fields[i].since > version && cdi_field(map, f->key))
			return cdi_invalid(f, err, "%s: \"%s\" needs a newer cdiVersion", what,
					   f->key);
	}
	return 0;
}

const struct yaml_node *
cdi_field(const struct yaml_node *map, const char *name)
{
	const struct yaml_node *field = yaml_get(map, name);

	return field && !yaml_is_null(field) ? field : NULL;
}

int
cdi_text(const struct yaml_node *map, const char *name, const char **out, struct error *err)
{
	const struct yaml_node *field = cdi_field(map, name);

	*out = field && field->text ? field->text : "";
	if (field && !field->text)
		return cdi_invalid(field, err, "%s: expected a text", name);
	return 0;
}

/* Sets *out to the number in a field, if it is given. Returns 1, 0 if it is missing, or -1 and
 * err. */
static int
edits_number(const struct yaml_node *map, const char *name, int64_t min, int64_t max, int64_t *out,
	     struct error *err)
{
	const struct yaml_node *field = cdi_field(map, name);

	if (!field)
		return 0;
	if (!yaml_int(field, out) || *out < min || *out > max)
		return cdi_invalid(field, err, "%s: expected a number from %lld to %lld", name,
				   (long long)min, (long long)max);
	return 1;
}

/* Sets *out to the text in a field, which has to be an absolute path without "..". */
static int
edits_path(const struct yaml_node *map, const char *name, const char **out, struct error *err)
{
	const char *p;

	if (cdi_text(map, name, out, err) < 0)
		return -1;
	if (**out != '/' || strlen(*out) >= PATH_MAX)
		return cdi_invalid(map, err, "%s: \"%.128s\" is not an absolute path", name, *out);
	for (p = *out; (p = strstr(p, "/..")) != NULL; p += 3) {
		if (p[3] == '/' || p[3] == '\0')
			return cdi_invalid(map, err, "%s: \"%.128s\" contains \"..\"", name, *out);
	}
	return 0;
}

/* Calls fn for each element of a list of maps. */
static int
edits_each(struct cdi_edits *e, const struct yaml_node *list, enum cdi_version version,
	   int (*fn)(struct cdi_edits *e, const struct yaml_node *map, enum cdi_version version,
		     struct error *err),
	   struct error *err)
{
	if (list->kind != YAML_LIST)
		return cdi_invalid(list, err, "%s: expected a list", list->key);
	for (const struct yaml_node *item = list->first; item; item = item->next) {
		if (fn(e, item, version, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- lists of the result ---- */

static void **
edits_new_list(struct cdi_edits *e)
{
	return arena_zalloc(e->arena, CDI_EDITS_MAX, sizeof(void *));
}

int
cdi_edits_init(struct cdi_edits *e, struct arena *arena, struct error *err)
{
	*e = (struct cdi_edits){ .arena = arena };
	grpc__spec__init(&e->spec);
	grpc__process__init(&e->process);
	grpc__user__init(&e->user);
	grpc__hooks__init(&e->hooks);
	e->spec.process = &e->process;
	e->spec.hooks = &e->hooks;
	e->process.user = &e->user;
	e->process.env = (char **)edits_new_list(e);
	e->user.additionalgids = arena_zalloc(arena, CDI_EDITS_MAX, sizeof(uint32_t));
	e->spec.mounts = (Grpc__Mount **)edits_new_list(e);
	e->nodes = (struct cdi_node **)edits_new_list(e);
	e->hooks.prestart = (Grpc__Hook **)edits_new_list(e);
	e->hooks.createruntime = (Grpc__Hook **)edits_new_list(e);
	e->hooks.createcontainer = (Grpc__Hook **)edits_new_list(e);
	e->hooks.startcontainer = (Grpc__Hook **)edits_new_list(e);
	e->hooks.poststart = (Grpc__Hook **)edits_new_list(e);
	e->hooks.poststop = (Grpc__Hook **)edits_new_list(e);
	if (!e->process.env || !e->user.additionalgids || !e->spec.mounts || !e->nodes ||
	    !e->hooks.prestart || !e->hooks.createruntime || !e->hooks.createcontainer ||
	    !e->hooks.startcontainer || !e->hooks.poststart || !e->hooks.poststop)
		return error_nomem(err, "collecting the changes of CDI devices");
	return 0;
}

/* Checks that a list has room for one more. */
static int
edits_room(const struct yaml_node *node, size_t n, struct error *err)
{
	if (n < CDI_EDITS_MAX)
		return 0;
	return error_set(err, ERROR_RESOURCE_EXHAUSTED,
			 "line %u: the CDI devices of a container add more than %d entries",
			 node->line, CDI_EDITS_MAX);
}

static void *
edits_alloc(struct cdi_edits *e, size_t size, struct error *err)
{
	void *p = arena_zalloc(e->arena, 1, size);

	if (!p)
		error_nomem(err, "collecting the changes of CDI devices");
	return p;
}

/* Protobuf's fields are not const; nothing writes to the text. */
static char *
edits_text(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* Sets *out to the texts of a list, of which `check` is a condition. e may be NULL: only checks. */
static int
edits_texts(struct cdi_edits *e, const struct yaml_node *map, const char *name,
	    bool (*check)(const char *text), char ***out, size_t *n, struct error *err)
{
	const struct yaml_node *list = cdi_field(map, name);

	*n = 0;
	if (!list)
		return 0;
	if (list->kind != YAML_LIST)
		return cdi_invalid(list, err, "%s: expected a list", name);
	if (e) {
		*out = arena_zalloc(e->arena, list->n + 1, sizeof(char *));
		if (!*out)
			return error_nomem(err, "collecting the changes of CDI devices");
	}
	for (const struct yaml_node *item = list->first; item; item = item->next) {
		if (!item->text || (check && !check(item->text)))
			return cdi_invalid(item, err, "%s: invalid entry \"%.128s\"", name,
					   item->text ? item->text : "");
		if (e)
			(*out)[(*n)++] = edits_text(item->text);
	}
	return 0;
}

/* ---- the changes ---- */

static const struct cdi_field edits_fields[] = {
	{ "env", CDI_0_3 },
	{ "deviceNodes", CDI_0_3 },
	{ "netDevices", CDI_1_1 },
	{ "hooks", CDI_0_3 },
	{ "mounts", CDI_0_3 },
	{ "intelRdt", CDI_0_7 },
	{ "additionalGids", CDI_0_7 },
};

int
cdi_edits_add(struct cdi_edits *e, const struct yaml_node *edits, enum cdi_version version,
	      struct error *err)
{
	const struct yaml_node *field;

	if (cdi_map_check(edits, "containerEdits", edits_fields, ARRAY_LEN(edits_fields), version,
			  err) < 0)
		return -1;
	if ((field = cdi_field(edits, "env")) && edits_add_env(e, edits, err) < 0)
		return -1;
	if ((field = cdi_field(edits, "deviceNodes")) &&
	    edits_each(e, field, version, edits_add_node, err) < 0)
		return -1;
	if ((field = cdi_field(edits, "netDevices")) &&
	    edits_each(e, field, version, edits_check_net, err) < 0)
		return -1;
	if ((field = cdi_field(edits, "mounts")) &&
	    edits_each(e, field, version, edits_add_mount, err) < 0)
		return -1;
	if ((field = cdi_field(edits, "hooks")) &&
	    edits_each(e, field, version, edits_add_hook, err) < 0)
		return -1;
	if ((field = cdi_field(edits, "intelRdt")) && edits_check_rdt(e, field, version, err) < 0)
		return -1;
	field = cdi_field(edits, "additionalGids");
	return field ? edits_add_gids(e, field, err) : 0;
}

static bool
edits_is_variable(const char *text)
{
	return *text != '=' && strchr(text, '=');
}

static int
edits_add_env(struct cdi_edits *e, const struct yaml_node *edits, struct error *err)
{
	char **env = NULL;
	size_t n;

	if (edits_texts(e, edits, "env", edits_is_variable, &env, &n, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (edits_room(edits, e->process.n_env, err) < 0)
			return -1;
		e->process.env[e->process.n_env++] = env[i];
	}
	return 0;
}

static const struct cdi_field node_fields[] = {
	{ "path", CDI_0_3 },        { "hostPath", CDI_0_5 }, { "type", CDI_0_3 },
	{ "major", CDI_0_3 },       { "minor", CDI_0_3 },    { "fileMode", CDI_0_3 },
	{ "permissions", CDI_0_3 }, { "uid", CDI_0_3 },      { "gid", CDI_0_3 },
};

/* Reads a device node into *out. */
static int
edits_read_node(const struct yaml_node *map, enum cdi_version version, struct cdi_node *out,
		struct error *err)
{
	const char *path, *type;
	int64_t mode = 0, uid = 0, gid = 0;
	int given[3];

	if (cdi_map_check(map, "deviceNodes", node_fields, ARRAY_LEN(node_fields), version, err) <
		    0 ||
	    edits_path(map, "path", &path, err) < 0 || cdi_text(map, "type", &type, err) < 0 ||
	    cdi_text(map, "permissions", &out->access, err) < 0 ||
	    edits_number(map, "major", 0, MAJOR_MAX, &out->device.major, err) < 0 ||
	    edits_number(map, "minor", 0, MINOR_MAX, &out->device.minor, err) < 0)
		return -1;
	given[0] = edits_number(map, "fileMode", 0, MODE_MAX, &mode, err);
	given[1] = given[0] < 0 ? -1 : edits_number(map, "uid", 0, UINT32_MAX - 1, &uid, err);
	given[2] = given[1] < 0 ? -1 : edits_number(map, "gid", 0, UINT32_MAX - 1, &gid, err);
	if (given[2] < 0)
		return -1;
	if (strncmp(path, "/dev/", 5) != 0)
		return cdi_invalid(map, err, "path: \"%.128s\" is not below /dev", path);
	out->host_path = path;
	if (cdi_field(map, "hostPath") && edits_path(map, "hostPath", &out->host_path, err) < 0)
		return -1;
	if (*type && (type[1] || !strchr("bcup", type[0])))
		return cdi_invalid(map, err, "%.128s: invalid type \"%.16s\"", path, type);
	if (strcmp(out->access, "none") != 0 &&
	    (strlen(out->access) > 3 || out->access[strspn(out->access, "rwm")]))
		return cdi_invalid(map, err, "%.128s: invalid permissions \"%.16s\"", path,
				   out->access);
	out->device.path = edits_text(path);
	/* Both letters mean a character device. */
	out->device.type = edits_text(*type == 'u' ? "c" : type);
	out->device.filemode = (uint32_t)mode;
	out->device.uid = (uint32_t)uid;
	out->device.gid = (uint32_t)gid;
	out->has_mode = given[0] > 0;
	out->has_uid = given[1] > 0;
	out->has_gid = given[2] > 0;
	return 0;
}

static int
edits_add_node(struct cdi_edits *e, const struct yaml_node *map, enum cdi_version version,
	       struct error *err)
{
	struct cdi_node checked = { .access = "" }, *node = e ? NULL : &checked;
	size_t i = 0;

	if (e &&
	    (edits_room(map, e->n_nodes, err) < 0 || !(node = edits_alloc(e, sizeof(*node), err))))
		return -1;
	grpc__linux_device__init(&node->device);
	if (edits_read_node(map, version, node, err) < 0)
		return -1;
	/* A later node replaces an earlier one of the same path. */
	while (e && i < e->n_nodes && strcmp(e->nodes[i]->device.path, node->device.path) != 0)
		i++;
	if (e) {
		e->nodes[i] = node;
		e->n_nodes += i == e->n_nodes;
	}
	return 0;
}

static const struct cdi_field mount_fields[] = {
	{ "hostPath", CDI_0_3 },
	{ "containerPath", CDI_0_3 },
	{ "options", CDI_0_3 },
	{ "type", CDI_0_4 },
};

static int
edits_add_mount(struct cdi_edits *e, const struct yaml_node *map, enum cdi_version version,
		struct error *err)
{
	const char *source, *destination, *type;
	Grpc__Mount *mount;
	char **options = NULL;
	size_t n;

	if (cdi_map_check(map, "mounts", mount_fields, ARRAY_LEN(mount_fields), version, err) < 0 ||
	    edits_path(map, "containerPath", &destination, err) < 0 ||
	    cdi_text(map, "hostPath", &source, err) < 0 || cdi_text(map, "type", &type, err) < 0 ||
	    edits_texts(e, map, "options", NULL, &options, &n, err) < 0)
		return -1;
	if (!*source)
		return cdi_invalid(map, err, "hostPath is missing");
	if (!e)
		return 0;
	if (edits_room(map, e->spec.n_mounts, err) < 0 ||
	    !(mount = edits_alloc(e, sizeof(*mount), err)))
		return -1;
	grpc__mount__init(mount);
	mount->source = edits_text(source);
	mount->destination = edits_text(destination);
	mount->type = edits_text(*type ? type : "bind");
	mount->options = options;
	mount->n_options = n;
	e->spec.mounts[e->spec.n_mounts++] = mount;
	return 0;
}

/* Sets list and n to the hooks of a name. Returns 0, or -1 if there are none of this name. */
static int
edits_hooks(Grpc__Hooks *h, const char *name, Grpc__Hook ***list, size_t **n)
{
	const struct {
		const char *name;
		Grpc__Hook **list;
		size_t *n;
	} kinds[] = {
		{ "prestart", h->prestart, &h->n_prestart },
		{ "createRuntime", h->createruntime, &h->n_createruntime },
		{ "createContainer", h->createcontainer, &h->n_createcontainer },
		{ "startContainer", h->startcontainer, &h->n_startcontainer },
		{ "poststart", h->poststart, &h->n_poststart },
		{ "poststop", h->poststop, &h->n_poststop },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0) {
			*list = kinds[i].list;
			*n = kinds[i].n;
			return 0;
		}
	}
	return -1;
}

static const struct cdi_field hook_fields[] = {
	{ "hookName", CDI_0_3 }, { "path", CDI_0_3 },    { "args", CDI_0_3 },
	{ "env", CDI_0_3 },      { "timeout", CDI_0_3 },
};

static int
edits_add_hook(struct cdi_edits *e, const struct yaml_node *map, enum cdi_version version,
	       struct error *err)
{
	Grpc__Hooks none = GRPC__HOOKS__INIT;
	Grpc__Hook read = GRPC__HOOK__INIT, *hook, **list;
	const char *name, *path;
	size_t *n;

	if (cdi_map_check(map, "hooks", hook_fields, ARRAY_LEN(hook_fields), version, err) < 0 ||
	    cdi_text(map, "hookName", &name, err) < 0 || edits_path(map, "path", &path, err) < 0 ||
	    edits_texts(e, map, "args", NULL, &read.args, &read.n_args, err) < 0 ||
	    edits_texts(e, map, "env", edits_is_variable, &read.env, &read.n_env, err) < 0 ||
	    edits_number(map, "timeout", 1, HOOK_TIMEOUT_MAX_S, &read.timeout, err) < 0)
		return -1;
	if (edits_hooks(e ? &e->hooks : &none, name, &list, &n) < 0)
		return cdi_invalid(map, err, "invalid hookName \"%.64s\"", name);
	if (!e)
		return 0;
	if (edits_room(map, *n, err) < 0 || !(hook = edits_alloc(e, sizeof(*hook), err)))
		return -1;
	*hook = read;
	hook->path = edits_text(path);
	list[(*n)++] = hook;
	return 0;
}

static int
edits_add_gids(struct cdi_edits *e, const struct yaml_node *list, struct error *err)
{
	if (list->kind != YAML_LIST)
		return cdi_invalid(list, err, "additionalGids: expected a list");
	for (const struct yaml_node *item = list->first; item; item = item->next) {
		int64_t gid;

		if (!yaml_int(item, &gid) || gid < 0 || gid >= UINT32_MAX)
			return cdi_invalid(item, err, "additionalGids: invalid group");
		/* 0 is ignored. */
		if (!e || gid == 0)
			continue;
		if (edits_room(item, e->user.n_additionalgids, err) < 0)
			return -1;
		e->user.additionalgids[e->user.n_additionalgids++] = (uint32_t)gid;
	}
	return 0;
}

static const struct cdi_field rdt_fields[] = {
	{ "closID", CDI_0_7 },           { "l3CacheSchema", CDI_0_7 }, { "memBwSchema", CDI_0_7 },
	{ "schemata", CDI_1_1 },         { "enableCMT", CDI_0_7 },     { "enableMBM", CDI_0_7 },
	{ "enableMonitoring", CDI_1_1 },
};

static int
edits_check_rdt(struct cdi_edits *e, const struct yaml_node *map, enum cdi_version version,
		struct error *err)
{
	if (cdi_map_check(map, "intelRdt", rdt_fields, ARRAY_LEN(rdt_fields), version, err) < 0)
		return -1;
	return e ? error_set(err, ERROR_FAILED_PRECONDITION,
			     "line %u: intelRdt is not supported: there is no resctrl in a guest",
			     map->line)
		 : 0;
}

static const struct cdi_field net_fields[] = {
	{ "hostInterfaceName", CDI_1_1 },
	{ "name", CDI_1_1 },
};

static int
edits_check_net(struct cdi_edits *e, const struct yaml_node *map, enum cdi_version version,
		struct error *err)
{
	if (cdi_map_check(map, "netDevices", net_fields, ARRAY_LEN(net_fields), version, err) < 0)
		return -1;
	return e ? error_set(err, ERROR_FAILED_PRECONDITION,
			     "line %u: netDevices is not supported: containers have the guest's "
			     "network",
			     map->line)
		 : 0;
}
