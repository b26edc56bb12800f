/* SPDX-License-Identifier: Apache-2.0 */
/* Creation of a container's cgroup, before any process of the container runs (cgroup_make.h). */
#include "agent/cgroup/cgroup_make.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/cgroup/cgroup_owner.h"
#include "agent/cgroup/limits.h"
#include "agent/cgroup/oom.h"
#include "agent/cgroup/unified.h"
#include "agent/job/worker.h"
#include "init/cgroups.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

#define CGROUPS_BELOW "4096"

static int cgroup_make_apply_devices(struct worker *w, const struct cgroup_spec *c,
				     struct cgroup_made *made, struct error *err);
static int cgroup_make_attach_devices(const struct cgroup_spec *c, const struct device_rules *rules,
				      struct cgroup_made *made, struct error *err);
static int cgroup_make_limit(int fd, const struct cgroup_spec *c, struct error *err);

int
cgroup_announce(struct worker *w, const struct roots *roots, const char *path, struct error *err)
{
	const struct undo undo = { .kind = &undo_cgroup, .fd = roots->cgroup, .name = path };

	if (roots->cgroup < 0)
		return 0;
	/* The undo would remove a cgroup that is used by another container. */
	if (cgroup_is_populated(roots->cgroup, path))
		return error_set(err, ERROR_ALREADY_EXISTS,
				 "linux.cgroupsPath: cgroup %s is in use", path);
	return worker_announce(w, &undo, err) < 0 ? -1 : 0;
}

int
cgroup_make(struct worker *w, const struct cgroup_spec *c, struct cgroup_made *made,
	    struct error *err)
{
	if (c->roots->cgroup < 0)
		return 0;
	if (worker_settle(w, err) < 0)
		return -1;
	made->fd = cgroup_create(c->roots->cgroup, c->path, err);
	if (made->fd < 0)
		return -1;
	if (cgroup_make_limit(made->fd, c, err) < 0 ||
	    cgroup_limits_apply(made->fd, c->roots->cgroup, c->spec->linux->resources, err) < 0 ||
	    unified_apply(made->fd, c->spec, err) < 0 ||
	    cgroup_give(made->fd, c->roots->sys, c->owner, err) < 0 ||
	    cgroup_make_apply_devices(w, c, made, err) < 0)
		return -1;
	made->events = openat(made->fd, "memory.events", O_RDONLY | O_CLOEXEC);
	/* A kernel without the memory controller does not have the file. */
	if (made->events < 0 && errno != ENOENT)
		return error_sys(err, "failed to open memory.events");
	/* The cgroup may have been used before. */
	if (made->events >= 0 && cgroup_oom_kills(made->events, &made->oom_kills) < 0)
		return error_sys(err, "failed to read memory.events");
	return 0;
}

/* Applies limits that hosts do not send, so that a container cannot exhaust what new processes
 * and containers need: three quarters of the tasks of all pods, if it has no limit of its own,
 * and the number of cgroups below its own. The kernel supports 65535 cgroups with memory limits. */
static int
cgroup_make_limit(int fd, const struct cgroup_spec *c, struct error *err)
{
	const Grpc__LinuxResources *r = c->spec->linux->resources;
	char text[32];
	uint64_t tasks;

	if (write_text_at(fd, "cgroup.max.descendants", CGROUPS_BELOW) < 0 && errno != ENOENT)
		return error_sys(err, "failed to limit the cgroups below %s", c->path);
	/* A missing limit is 0 or not sent at all; -1 explicitly means no limit. */
	if ((r && r->pids && r->pids->limit != 0) ||
	    read_text_at(c->roots->cgroup, CGROUP_PODS "/pids.max", text, sizeof(text)) < 0 ||
	    !parse_u64(text, &tasks))
		return 0;
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)(tasks - tasks / 4));
	if (write_text_at(fd, "pids.max", text) < 0 && errno != ENOENT)
		return error_sys(err, "failed to limit the tasks of cgroup %s", c->path);
	return 0;
}

static int
cgroup_make_apply_devices(struct worker *w, const struct cgroup_spec *c, struct cgroup_made *made,
			  struct error *err)
{
	const Grpc__Linux *linux = c->spec->linux;
	const Grpc__LinuxResources *r = linux->resources;
	struct device_rules rules;
	int result;

	if (device_rules_make(r ? r->devices : NULL, r ? r->n_devices : 0, linux->devices,
			      linux->n_devices, c->any_disk, &rules, err) < 0)
		return -1;
	result = cgroup_make_attach_devices(c, &rules, made, err);
	free(rules.list);
	/* The spec has no rules: on a kernel without device programs, the container starts
	 * without the default ones. */
	if (result < 0 && err->code == ERROR_FAILED_PRECONDITION && (!r || !r->n_devices)) {
		worker_log(w, LOG_LEVEL_WARN,
			   "container %s: access to devices is not restricted: %s", c->id,
			   err->msg);
		*err = ERROR_INIT;
		return 0;
	}
	return result;
}

static int
cgroup_make_attach_devices(const struct cgroup_spec *c, const struct device_rules *rules,
			   struct cgroup_made *made, struct error *err)
{
	struct device_program program;
	int was_known = device_program_load(rules, c->known, &program, err);
	int result;

	if (was_known < 0)
		return -1;
	result = device_program_attach(made->fd, &program, &made->device_program, err);
	if (result == 0 && !was_known)
		made->loaded = program;
	else
		device_program_release(&program);
	return result;
}

void
cgroup_made_release(struct cgroup_made *made)
{
	close_fd(&made->fd);
	close_fd(&made->events);
	device_program_release(&made->loaded);
}
