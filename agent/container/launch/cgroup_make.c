/* SPDX-License-Identifier: Apache-2.0 */
/* Making a container's cgroup. Called by launch.c; nothing of the container runs yet. */
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

/* The next container has probably the same rules. Not worth failing for. */
static void
offer(struct worker *w, const struct device_program *p)
{
	struct error ignored = ERROR_INIT;

	if (p->n <= DEVICE_PROGRAM_KEPT)
		(void)worker_send(w, LAUNCH_MSG_DEVICES, p->instructions,
				  p->n * sizeof(*p->instructions), &p->fd, 1, false, &ignored);
}

static int
put_in_force(struct worker *w, const struct launch *l, int fd, const struct device_rules *rules,
	     uint32_t *id, struct error *err)
{
	struct device_program program;
	int known = device_program_load(rules, l->device_program, &program, err);
	int result;

	if (known < 0)
		return -1;
	result = device_program_attach(fd, &program, id, err);
	if (result == 0 && !known)
		offer(w, &program);
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
	result = put_in_force(w, l, fd, &rules, program, err);
	free(rules.list);
	/* nobody asked for rules, and a kernel without them has served containers without them */
	if (result < 0 && err->code == ERROR_FAILED_PRECONDITION && (!r || !r->n_devices)) {
		worker_log(w, LOG_LEVEL_WARN, "container %s: every device may be opened: %s", l->id,
			   err->msg);
		*err = ERROR_INIT;
		return 0;
	}
	return result;
}

/* What the agent needs of the cgroup from now on. Waits for the answer: a container whose OOM
 * kills are not watched must not run as if they were. */
static int
cgroup_make_tell(struct worker *w, int fd, uint32_t program, struct error *err)
{
	struct launch_cgroup message = { .device_program = program };
	auto_close int events = openat(fd, "memory.events", O_RDONLY | O_CLOEXEC);

	/* a kernel without the memory controller has none */
	if (events < 0 && errno != ENOENT)
		return error_sys(err, "open memory.events");
	/* it may have been somebody's before */
	if (events >= 0 && cgroup_oom_kills(events, &message.oom_kills) < 0)
		return error_sys(err, "read memory.events");
	return worker_send(w, LAUNCH_MSG_CGROUP, &message, sizeof(message), &events, events >= 0,
			   true, err);
}

/* Bounds that no host sends, so that one container cannot take what new processes and containers
 * need: of the tasks of all pods three quarters, if it has no limit of its own, and cgroups
 * below its own. The kernel has 65535 cgroups with memory limits. */
static int
bound(int fd, const struct launch *l, struct error *err)
{
	const Grpc__LinuxResources *r = l->spec->linux->resources;
	char text[32];
	uint64_t tasks;

	if (write_text_at(fd, "cgroup.max.descendants", CGROUPS_BELOW) < 0 && errno != ENOENT)
		return error_sys(err, "limit the cgroups below %s", l->cgroup_path);
	/* none is sent as 0 or not at all; a host that sends -1 wants no limit */
	if ((r && r->pids && r->pids->limit != 0) ||
	    read_text_at(l->roots->cgroup, CGROUP_PODS "/pids.max", text, sizeof(text)) < 0 ||
	    !parse_u64(text, &tasks))
		return 0;
	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)(tasks - tasks / 4));
	if (write_text_at(fd, "pids.max", text) < 0 && errno != ENOENT)
		return error_sys(err, "limit the tasks of cgroup %s", l->cgroup_path);
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
	/* somebody else's would be taken down by the undo */
	if (cgroup_is_populated(l->roots->cgroup, l->cgroup_path))
		return error_set(err, ERROR_ALREADY_EXISTS,
				 "linux.cgroupsPath: cgroup %s is in use", l->cgroup_path);
	if (worker_step(w, &undo, err) < 0)
		return -1;
	fd = cgroup_create(l->roots->cgroup, l->cgroup_path, err);
	if (fd < 0)
		return -1;
	if (bound(fd, l, err) < 0 ||
	    cgroup_limits_apply(fd, l->roots->cgroup, l->spec->linux->resources, err) < 0 ||
	    unified_apply(fd, l->spec, err) < 0 ||
	    cgroup_give(fd, l->roots->sys, l->spec, err) < 0 ||
	    apply_devices(w, l, fd, &program, err) < 0 || cgroup_make_tell(w, fd, program, err) < 0)
		return -1;
	*out = steal_fd(&fd);
	return 0;
}
