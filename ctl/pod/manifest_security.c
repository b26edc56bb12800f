/* SPDX-License-Identifier: Apache-2.0 */
/* Security contexts of a pod and its containers. */
#include <string.h>
#include <strings.h>

#include "ctl/pod/manifest_internal.h"
#include "lib/cleanup.h"

#define SYSCTL_NAME_MAX 253

static int manifest_read_sysctls(struct manifest_reader *m, const struct field *security);

static int
manifest_read_seccomp(struct manifest_reader *m, const struct field *security,
		      struct manifest_filter *out)
{
	static const struct field_keys keys = { "type localhostProfile", "", "" };
	static const char *const names[] = { "Unconfined", "RuntimeDefault", "Localhost" };
	unsigned int kind = out->type;
	const char *type;
	struct field f, path;

	field_get(security, "seccompProfile", &f);
	if (!f.node)
		return 0;
	*out = (struct manifest_filter){ 0 };
	if (field_check_map(&m->r, &f, &keys) < 0 || field_required(&m->r, &f, "type", &type) < 0 ||
	    field_choice(&m->r, &f, "type", names, ARRAY_LEN(names), &kind) < 0 ||
	    field_text(&m->r, &f, "localhostProfile", &out->path) < 0)
		return -1;
	out->type = (enum manifest_seccomp)kind;
	field_get(&f, "localhostProfile", &path);
	if (out->path && out->type != SECCOMP_LOCALHOST)
		return field_wrong(&m->r, &path, "only for type Localhost");
	if (out->type != SECCOMP_LOCALHOST)
		return 0;
	if (!out->path || !out->path[0])
		return field_wrong(&m->r, &f, "localhostProfile is missing");
	if (out->path[0] == '/' || strstr(out->path, ".."))
		return field_wrong(&m->r, &path, "must be a relative path without ..");
	out->line = path.node->line;
	out->field = arena_strdup(m->r.arena, path.path);
	return out->field ? 0 : field_nomem(&m->r);
}

/* Reads the fields that pod and container have in common. */
static int
manifest_read_user(struct manifest_reader *m, const struct field *security,
		   struct manifest_container *c)
{
	if (field_number(&m->r, security, "runAsUser", 0, UINT32_MAX - 1, &c->uid) < 0 ||
	    field_number(&m->r, security, "runAsGroup", 0, UINT32_MAX - 1, &c->gid) < 0 ||
	    field_bool(&m->r, security, "runAsNonRoot", &c->run_as_non_root) < 0)
		return -1;
	return manifest_read_seccomp(m, security, &c->seccomp);
}

int
manifest_read_pod_security(struct manifest_reader *m, const struct field *security)
{
	static const struct field_keys keys = {
		"runAsUser runAsGroup runAsNonRoot fsGroup fsGroupChangePolicy "
		"supplementalGroups supplementalGroupsPolicy seccompProfile sysctls",
		"seLinuxOptions seLinuxChangePolicy appArmorProfile windowsOptions", ""
	};
	static const char *const policies[] = { "Merge", "Strict" };
	static const char *const changes[] = { "Always", "OnRootMismatch" };
	unsigned int policy = 0, change = 0;
	struct field list, f;
	int64_t gid;
	size_t i = 0;

	m->m->fs_group = -1;
	field_get(security, "supplementalGroups", &list);
	if (field_check_map(&m->r, security, &keys) < 0 ||
	    field_number(&m->r, security, "fsGroup", 0, UINT32_MAX - 1, &m->m->fs_group) < 0 ||
	    field_choice(&m->r, security, "fsGroupChangePolicy", changes, ARRAY_LEN(changes),
			 &change) < 0 ||
	    field_choice(&m->r, security, "supplementalGroupsPolicy", policies, ARRAY_LEN(policies),
			 &policy) < 0 ||
	    field_check_list(&m->r, &list, MANIFEST_GROUPS_MAX - 1) < 0)
		return -1;
	m->m->has_strict_groups = policy == 1;
	m->m->fs_group_on_mismatch = change == 1;
	for (const struct yaml_node *e = list.node ? list.node->first : NULL; e; e = e->next) {
		field_element(&list, e, i++, &f);
		if (!yaml_int(e, &gid) || gid < 0 || gid >= UINT32_MAX)
			return field_wrong(&m->r, &f, "must be a group id");
		m->m->groups[m->m->n_groups++] = (uint32_t)gid;
	}
	if (m->m->fs_group >= 0)
		m->m->groups[m->m->n_groups++] = (uint32_t)m->m->fs_group;
	return manifest_read_sysctls(m, security);
}

/* Returns a copy of a parameter's name in which dots separate and slashes are dots of names. As in
 * sysctl(8), it is written the other way round if its first separator is a slash. */
static const char *
manifest_sysctl_name(struct manifest_reader *m, const char *name)
{
	char *copy = arena_strdup(m->r.arena, name);

	if (copy && name[strcspn(name, "./")] == '/')
		for (char *c = copy; *c; c++)
			*c = (char)(*c == '/' ? '.' : *c == '.' ? '/' : *c);
	return copy;
}

/* Returns whether a name has the form that the API server requires: its parts begin and end with a
 * small letter or a digit. */
static bool
manifest_is_sysctl(const char *name)
{
	static const char ends[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char all[] = "abcdefghijklmnopqrstuvwxyz0123456789-_./";
	size_t n = strlen(name);

	if (n == 0 || n > SYSCTL_NAME_MAX || strspn(name, all) != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		bool begins = i == 0 || strchr("./", name[i - 1]);
		bool stops = i + 1 == n || strchr("./", name[i + 1]);

		if ((begins || stops) && !strchr(ends, name[i]))
			return false;
	}
	return true;
}

/* Returns whether a parameter belongs to the network or ipc namespace of a pod, as a kubelet
 * decides. It permits some of these only where its administrator does; here no other pod shares the
 * kernel. */
static bool
manifest_is_namespaced(const char *name, bool *is_of_network)
{
	static const char *const prefixes[] = { "kernel.shm", "kernel.msg", "fs.mqueue." };

	*is_of_network = strncmp(name, "net.", 4) == 0;
	if (*is_of_network || strcmp(name, "kernel.sem") == 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static int
manifest_read_sysctls(struct manifest_reader *m, const struct field *security)
{
	static const struct field_keys keys = { "name value", "", "" };
	struct manifest *out = m->m;
	bool has_host_network = false, is_of_network;
	struct field list, f, name;
	size_t i = 0;

	field_get(security, "sysctls", &list);
	if (field_check_list(&m->r, &list, MANIFEST_SYSCTLS_MAX) < 0 ||
	    field_bool(&m->r, &m->objects.spec, "hostNetwork", &has_host_network) < 0)
		return -1;
	for (const struct yaml_node *e = list.node ? list.node->first : NULL; e; e = e->next) {
		struct manifest_sysctl *s = &out->sysctls[out->n_sysctls];

		field_element(&list, e, i++, &f);
		field_get(&f, "name", &name);
		s->value = "";
		if (field_check_map(&m->r, &f, &keys) < 0 ||
		    field_required(&m->r, &f, "name", &s->name) < 0 ||
		    field_text(&m->r, &f, "value", &s->value) < 0)
			return -1;
		if (!manifest_is_sysctl(s->name))
			return field_wrong(&m->r, &name, "invalid name \"%.64s\"", s->name);
		s->name = manifest_sysctl_name(m, s->name);
		if (!s->name)
			return field_nomem(&m->r);
		if (!manifest_is_namespaced(s->name, &is_of_network))
			return field_wrong(&m->r, &name,
					   "%.64s belongs to no namespace of a pod: expected "
					   "kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.* or "
					   "net.*",
					   s->name);
		if (is_of_network && has_host_network)
			return field_wrong(&m->r, &name, "%.64s is not permitted with hostNetwork",
					   s->name);
		for (size_t k = 0; k < out->n_sysctls; k++)
			if (strcmp(out->sysctls[k].name, s->name) == 0)
				return field_wrong(&m->r, &name, "%.64s is set twice", s->name);
		out->n_sysctls++;
	}
	return 0;
}

/* Makes "NET_ADMIN" "CAP_NET_ADMIN". */
static int
manifest_read_caps(struct manifest_reader *m, const struct field *caps, const char *key,
		   const char ***out)
{
	size_t n;

	if (field_words(&m->r, caps, key, MANIFEST_WORDS_MAX, out, &n) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const char *name = (*out)[i];

		if (strcasecmp(name, "ALL") == 0)
			(*out)[i] = "ALL";
		else if (strncmp(name, "CAP_", 4) != 0)
			(*out)[i] = arena_printf(m->r.arena, "CAP_%s", name);
		if (!(*out)[i])
			return field_nomem(&m->r);
	}
	return 0;
}

int
manifest_read_security(struct manifest_reader *m, const struct field *pod_security,
		       const struct field *container, struct manifest_container *c)
{
	static const struct field_keys keys = {
		"runAsUser runAsGroup runAsNonRoot privileged readOnlyRootFilesystem "
		"allowPrivilegeEscalation capabilities seccompProfile procMount",
		"seLinuxOptions appArmorProfile windowsOptions", ""
	};
	static const char *const proc_mounts[] = { "Default", "Unmasked" };
	static const struct field_keys cap_keys = { "add drop", "", "" };
	struct field security, caps, f;
	bool may_escalate = true;
	unsigned int proc_mount = 0;

	c->uid = c->gid = -1;
	field_get(container, "securityContext", &security);
	field_get(&security, "capabilities", &caps);
	if (manifest_read_user(m, pod_security, c) < 0 ||
	    field_check_map(&m->r, &security, &keys) < 0 ||
	    manifest_read_user(m, &security, c) < 0 ||
	    field_bool(&m->r, &security, "privileged", &c->privileged) < 0 ||
	    field_bool(&m->r, &security, "readOnlyRootFilesystem", &c->read_only) < 0 ||
	    field_bool(&m->r, &security, "allowPrivilegeEscalation", &may_escalate) < 0 ||
	    field_choice(&m->r, &security, "procMount", proc_mounts, ARRAY_LEN(proc_mounts),
			 &proc_mount) < 0 ||
	    field_check_map(&m->r, &caps, &cap_keys) < 0 ||
	    manifest_read_caps(m, &caps, "add", &c->add_caps) < 0 ||
	    manifest_read_caps(m, &caps, "drop", &c->drop_caps) < 0)
		return -1;
	c->no_new_privileges = !may_escalate;
	c->has_unmasked_proc = proc_mount == 1;
	field_get(&security, "allowPrivilegeEscalation", &f);
	if (!may_escalate && c->privileged)
		return field_wrong(&m->r, &f, "must not be false in a privileged container");
	field_get(&security, "runAsNonRoot", &f);
	if (c->run_as_non_root && c->uid == 0)
		return field_wrong(&m->r, f.node ? &f : &security,
				   "runAsNonRoot, but the user is 0");
	return 0;
}
