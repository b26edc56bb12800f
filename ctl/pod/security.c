/* SPDX-License-Identifier: Apache-2.0 */
/* Security contexts; see security.h. */
#include "ctl/pod/security.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ctl/pod/seccomp.h"
#include "ctl/spec/spec.h"
#include "lib/cleanup.h"

static bool
security_has(const char *const *words, const char *word)
{
	for (; words && *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

/* Returns the capabilities of a container, or NULL if memory is exhausted. */
static const char **
security_caps(const struct manifest_container *c, struct arena *a, size_t *n)
{
	size_t n_all, n_default;
	const char *const *all = spec_all_caps(&n_all);
	const char *const *by_default = spec_default_caps(&n_default);
	const char **list = arena_zalloc(a, n_all + 1, sizeof(*list));

	*n = 0;
	for (size_t i = 0; list && i < n_all; i++) {
		bool has = false;

		for (size_t k = 0; k < n_default; k++)
			has |= strcmp(by_default[k], all[i]) == 0;
		/* A capability that is added by name remains with "drop: [ALL]". */
		if (security_has(c->drop_caps, "ALL") || security_has(c->drop_caps, all[i]))
			has = false;
		if (security_has(c->add_caps, "ALL") && !security_has(c->drop_caps, all[i]))
			has = true;
		if (security_has(c->add_caps, all[i]) || c->privileged)
			has = true;
		if (has)
			list[(*n)++] = all[i];
	}
	return list;
}

int
security_read_profiles(struct manifest *m, const char *dir, const char *arch, struct error *err)
{
	struct seccomp_target target = { .arch = arch };
	char path[PATH_MAX];

	for (size_t i = 0; i < m->n_containers; i++) {
		struct manifest_container *c = &m->containers[i];

		/* As in container engines, a privileged container has none. */
		if (c->seccomp.type == SECCOMP_UNCONFINED || c->privileged)
			continue;
		target.caps = security_caps(c, &m->texts, &target.n_caps);
		if (!target.caps)
			return error_nomem(err, "reading a seccomp profile");
		if (c->seccomp.type == SECCOMP_RUNTIME_DEFAULT) {
			c->seccomp.profile = seccomp_default(&m->texts, &target);
			if (!c->seccomp.profile)
				return error_nomem(err, "reading a seccomp profile");
			continue;
		}
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, c->seccomp.path) >=
		    sizeof(path))
			error_set(err, ERROR_INVALID_ARGUMENT, "the path is too long");
		else if (seccomp_read_file(&m->texts, path, &target, &c->seccomp.profile, err) == 0)
			continue;
		return error_wrap(err, "line %u: %s", c->seccomp.line, c->seccomp.field);
	}
	return 0;
}

/* Adds a group unless it is there. */
static void
security_add_group(Grpc__User *user, uint32_t gid)
{
	for (size_t i = 0; i < user->n_additionalgids; i++)
		if (user->additionalgids[i] == gid)
			return;
	user->additionalgids[user->n_additionalgids++] = gid;
}

/* Sets the groups: the process's own, as containerd does, those of the image, and the pod's. */
static int
security_apply_groups(const struct manifest *m, const struct manifest_container *c, struct arena *a,
		      Grpc__User *user)
{
	user->n_additionalgids = 0;
	user->additionalgids =
		arena_zalloc(a, 1 + c->n_image_groups + m->n_groups, sizeof(*user->additionalgids));
	if (!user->additionalgids)
		return -1;
	security_add_group(user, user->gid);
	for (size_t i = 0; i < c->n_image_groups && !m->has_strict_groups; i++)
		security_add_group(user, c->image_groups[i]);
	for (size_t i = 0; i < m->n_groups; i++)
		security_add_group(user, m->groups[i]);
	return 0;
}

int
security_apply_process(const struct manifest *m, const struct manifest_container *c,
		       struct arena *a, Grpc__Process *process)
{
	Grpc__LinuxCapabilities *caps = process->capabilities;
	size_t n;
	char **list = (char **)(uintptr_t)security_caps(c, a, &n);

	process->nonewprivileges = c->no_new_privileges;
	if (!list || !caps || security_apply_groups(m, c, a, process->user) < 0)
		return -1;
	caps->bounding = caps->effective = caps->permitted = list;
	caps->n_bounding = caps->n_effective = caps->n_permitted = n;
	return 0;
}
