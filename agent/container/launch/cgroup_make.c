/* SPDX-License-Identifier: Apache-2.0 */
/* Creation of a container's cgroup. Called by launch.c before any process of the container runs. */
#include "agent/container/launch/cgroup_make.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/cgroup/devices.h"
#include "agent/cgroup/limits.h"
#include "agent/cgroup/oom.h"
#include "agent/cgroup/unified.h"
#include "agent/container/launch/cgroup_owner.h"
#include "agent/job/job.h"
#include "init/cgroups.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

#define CGROUPS_BELOW "4096"

/* Sends the device program to the agent for reuse, because further containers often have the
 * same rules. Errors are ignored. */
static void
cgroup_make_offer_program(struct worker *w, const struct device_program *p)
{
	struct error ignored = ERROR_INIT;

	if (p->n <= DEVICE_PROGRAM_KEPT)
		(void)worker_send(w, LAUNCH_MSG_DEVICES, p->instructions,
				  p->n * sizeof(*p->instructions), &p->fd, 1, false, &ignored);
}

static int
attach_devices(struct worker *w, const struct launch *l, int fd, const struct device_rules *rules,
	       uint32_t *id, struct error *err)
{
	struct device_program program;
	int known = device_program_load(rules, l->device_program, &program, err);
	int result;

	if (known < 0)
		return -1;
	result = device_program_attach(fd, &program, id, err);
	if (result == 0 && !known)
		cgroup_make_offer_program(w, &program);
	device_program_release(&program);
	return result;
}

static int
apply_devices(struct worker *w, const struct launch *l, int fd, uint32_t *program,
	      struct error *err)
{
	const Grpc__Linux *linux = l->spec->linux;
	const Grpc__LinuxResources *r = linux->resources;
	struct device_rules rules;
	int result;

	if (device_rules_make(r ? r->devices : NULL, r ? r->n_devices : 0, linux->devices,
			      linux->n_devices, l->any_disk, &rules, err) < 0)
		return -1;
	result = attach_devices(w, l, fd, &rules, program, err);
	free(rules.list);
	/* The spec has no rules: on a kernel without device programs, the container starts
	 * without the default ones. */
	if (result < 0 && err->code == ERROR_FAILED_PRECONDITION && (!r || !r->n_devices)) {
		worker_log(w, LOG_LEVEL_WARN,
			   "container %s: access to devices is not restricted: %s", l->id,
			   err->msg);
		*err = ERROR_INIT;
		return 0;
	}
	return result;
}

/* Sends the agent the descriptor and state that it needs to watch the cgroup. Waits for the
 * acknowledgement, because a container whose OOM kills are not watched must not run. */
static int
cgroup_make_tell(struct worker *w, int fd, uint32_t program, struct error *err)
{
	struct launch_cgroup message = { .device_program = program };
	auto_close int events = openat(fd, "memory.events", O_RDONLY | O_CLOEXEC);

	/* A kernel without the memory controller does not have the file. */
	if (events < 0 && errno != ENOENT)
		return error_sys(err, "failed to open memory.events");
	/* The cgroup may have been used before. */
	if (events >= 0 && cgroup_oom_kills(events, &message.oom_kills) < 0)
		return error_sys(err, "failed to read memory.events");
	return worker_send(w, LAUNCH_MSG_CGROUP, &message, sizeof(message), &events, events >= 0,
			   true, err);
}

/* Applies limits that hosts do not send, so that a container cannot exhaust what new processes
 * and containers need: three quarters of the tasks of all pods, if it has no limit of its own,
 * and the number of cgroups below its own. The kernel supports 65535 cgroups with memory limits. */
static int
cgroup_make_limit(int fd, const struct launch *l, struct error *err)
{
	const Grpc__LinuxResources *r = l->spec->linux->resources;
	char text[32];
	uint64_t tasks;

	if (write_text_at(fd, "cgroup.max.descendants", CGROUPS_BELOW) < 0 && errno != ENOENT)
		return error_sys(err, "failed to limit the cgroups below %s", l->cgroup_path);
	/* A missing limit is 0 or not sent at all; -1 explicitly means no limit. */
	if ((r && r->pids && r->pids->limit != 0) ||
	    read_text_at(l->roots->cgroup, CGROUP_PODS "/pids.max", text, sizeof(text)) < 0 ||
	    !parse_u64(text, &tasks))
		return 0;
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)(tasks - tasks / 4));
	if (write_text_at(fd, "pids.max", text) < 0 && errno != ENOENT)
		return error_sys(err, "failed to limit the tasks of cgroup %s", l->cgroup_path);
	return 0;
}

int
cgroup_make(struct worker *w, const struct launch *l, int *out, struct error *err)
{
	const struct undo undo = { .kind = &undo_cgroup,
				   .fd = l->roots->cgroup,
				   .name = l->cgroup_path };
	auto_close int fd = -1;
	uint32_t program = 0;

	if (l->roots->cgroup < 0)
		return 0;
	/* The undo would remove a cgroup that is used by another container. */
	if (cgroup_is_populated(l->roots->cgroup, l->cgroup_path))
		return error_set(err, ERROR_ALREADY_EXISTS,
				 "linux.cgroupsPath: cgroup %s is in use", l->cgroup_path);
	if (worker_step(w, &undo, err) < 0)
		return -1;
	fd = cgroup_create(l->roots->cgroup, l->cgroup_path, err);
	if (fd < 0)
		return -1;
	if (cgroup_make_limit(fd, l, err) < 0 ||
	    cgroup_limits_apply(fd, l->roots->cgroup, l->spec->linux->resources, err) < 0 ||
	    unified_apply(fd, l->spec, err) < 0 ||
	    cgroup_give(fd, l->roots->sys, l->spec, err) < 0 ||
	    apply_devices(w, l, fd, &program, err) < 0 || cgroup_make_tell(w, fd, program, err) < 0)
		return -1;
	*out = steal_fd(&fd);
	return 0;
}
