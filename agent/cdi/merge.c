/* SPDX-License-Identifier: Apache-2.0 */
/* See merge.h. */
#include "agent/cdi/merge.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Returns whether two entries of a list have the same name. */
typedef bool merge_same_fn(const void *a, const void *b);

/* Joins two lists of pointers. An entry of the second one replaces those of the same name before
 * it; without `same`, none. */
static void *
merge_lists(struct arena *arena, void *const *a, size_t n_a, void *const *b, size_t n_b,
	    merge_same_fn *same, size_t *n)
{
	void **out = arena_zalloc(arena, n_a + n_b + 1, sizeof(void *));

	*n = 0;
	for (size_t i = 0; out && i < n_a + n_b; i++) {
		void *item = i < n_a ? a[i] : b[i - n_a];
		size_t kept = 0;

		for (size_t k = 0; k < *n; k++) {
			if (i < n_a || !same || !same(out[k], item))
				out[kept++] = out[k];
		}
		out[kept++] = item;
		*n = kept;
	}
	return out;
}

static bool
merge_same_variable(const void *a, const void *b)
{
	size_t n = strcspn(b, "=");

	return strncmp(a, b, n) == 0 && ((const char *)a)[n] == '=';
}

static bool
merge_same_device(const void *a, const void *b)
{
	return strcmp(((const Grpc__LinuxDevice *)a)->path, ((const Grpc__LinuxDevice *)b)->path) ==
	       0;
}

static bool
merge_same_mount(const void *a, const void *b)
{
	return strcmp(((const Grpc__Mount *)a)->destination,
		      ((const Grpc__Mount *)b)->destination) == 0;
}

/* Returns the number of parts of a path. */
static size_t
merge_depth(const char *path)
{
	size_t n = 0;

	for (const char *p = path; *p; p += strcspn(p, "/")) {
		p += strspn(p, "/");
		n += *p != '\0';
	}
	return n;
}

/* Orders mounts by the depth of their destination, so that none covers a later one. Mounts of the
 * same depth keep their order. */
static void
merge_sort_mounts(Grpc__Mount **mounts, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		Grpc__Mount *m = mounts[i];
		size_t at = i;

		for (; at > 0 &&
		       merge_depth(mounts[at - 1]->destination) > merge_depth(m->destination);
		     at--)
			mounts[at] = mounts[at - 1];
		mounts[at] = m;
	}
}

/* Joins the hooks of one kind. */
#define MERGE_HOOKS(arena, out, a, b, kind)                                                        \
	((out)->kind = merge_lists((arena), (void **)(a)->kind, (a)->n_##kind, (void **)(b)->kind, \
				   (b)->n_##kind, NULL, &(out)->n_##kind))

static Grpc__Hooks *
merge_hooks(struct arena *arena, const Grpc__Hooks *a, const Grpc__Hooks *b)
{
	static const Grpc__Hooks none = GRPC__HOOKS__INIT;
	Grpc__Hooks *out = arena_zalloc(arena, 1, sizeof(*out));

	if (!out)
		return NULL;
	grpc__hooks__init(out);
	a = a ? a : &none;
	b = b ? b : &none;
	if (!MERGE_HOOKS(arena, out, a, b, prestart) ||
	    !MERGE_HOOKS(arena, out, a, b, createruntime) ||
	    !MERGE_HOOKS(arena, out, a, b, createcontainer) ||
	    !MERGE_HOOKS(arena, out, a, b, startcontainer) ||
	    !MERGE_HOOKS(arena, out, a, b, poststart) || !MERGE_HOOKS(arena, out, a, b, poststop))
		return NULL;
	return out;
}

/* Copies the user and appends groups. */
static Grpc__User *
merge_user(struct arena *arena, const Grpc__User *user, const Grpc__User *edits)
{
	Grpc__User *out = arena_zalloc(arena, 1, sizeof(*out));
	size_t n_a = user ? user->n_additionalgids : 0, n_b = edits ? edits->n_additionalgids : 0;

	if (!out)
		return NULL;
	grpc__user__init(out);
	if (user)
		*out = *user;
	out->additionalgids = arena_zalloc(arena, n_a + n_b + 1, sizeof(uint32_t));
	if (!out->additionalgids)
		return NULL;
	if (n_a)
		memcpy(out->additionalgids, user->additionalgids, n_a * sizeof(uint32_t));
	if (n_b)
		memcpy(out->additionalgids + n_a, edits->additionalgids, n_b * sizeof(uint32_t));
	out->n_additionalgids = n_a + n_b;
	return out;
}

static Grpc__Process *
merge_process(struct arena *arena, const Grpc__Process *process, const Grpc__Process *edits)
{
	Grpc__Process *out = arena_zalloc(arena, 1, sizeof(*out));

	if (!out)
		return NULL;
	grpc__process__init(out);
	if (process)
		*out = *process;
	if (!edits)
		return out;
	out->user = merge_user(arena, out->user, edits->user);
	out->env = merge_lists(arena, (void **)out->env, out->n_env, (void **)edits->env,
			       edits->n_env, merge_same_variable, &out->n_env);
	return out->user && out->env ? out : NULL;
}

static Grpc__Linux *
merge_linux(struct arena *arena, const Grpc__Linux *spec, const Grpc__Linux *edits)
{
	Grpc__Linux *out = arena_zalloc(arena, 1, sizeof(*out));

	if (!out)
		return NULL;
	grpc__linux__init(out);
	if (spec)
		*out = *spec;
	if (!edits)
		return out;
	out->devices =
		merge_lists(arena, (void **)out->devices, out->n_devices, (void **)edits->devices,
			    edits->n_devices, merge_same_device, &out->n_devices);
	return out->devices ? out : NULL;
}

const Grpc__Spec *
cdi_merge(struct arena *arena, const Grpc__Spec *spec, const Grpc__Spec *edits, struct error *err)
{
	Grpc__Spec *out = arena_zalloc(arena, 1, sizeof(*out));

	if (!out)
		goto failed;
	*out = *spec;
	out->process = merge_process(arena, spec->process, edits->process);
	out->linux = merge_linux(arena, spec->linux, edits->linux);
	out->hooks = merge_hooks(arena, spec->hooks, edits->hooks);
	out->mounts =
		merge_lists(arena, (void **)spec->mounts, spec->n_mounts, (void **)edits->mounts,
			    edits->n_mounts, merge_same_mount, &out->n_mounts);
	if (!out->process || !out->linux || !out->hooks || !out->mounts)
		goto failed;
	if (edits->n_mounts > 0)
		merge_sort_mounts(out->mounts, out->n_mounts);
	return out;
failed:
	error_nomem(err, "adding CDI devices to a container");
	return NULL;
}

int
cdi_numbers(const Grpc__Spec *edits, struct device_number *out, size_t max, struct error *err)
{
	const Grpc__LinuxResources *r = edits->linux ? edits->linux->resources : NULL;

	if (r && r->n_devices > max)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "more than %zu CDI device nodes",
				 max);
	for (size_t i = 0; r && i < r->n_devices; i++) {
		const Grpc__LinuxDeviceCgroup *rule = r->devices[i];

		out[i] = (struct device_number){
			.type = (uint32_t)rule->type[0],
			.host_major = DEVICE_NOT_ON_HOST,
			.major = (uint32_t)rule->major,
			.minor = (uint32_t)rule->minor,
		};
		(void)snprintf(out[i].access, sizeof(out[i].access), "%s", rule->access);
	}
	return r ? (int)r->n_devices : 0;
}
