/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks at a container's start and after its end. Runs in workers. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/container/hooks/launch.h"
#include "agent/container/launch/handshake.h"
#include "agent/container/launch/launch.h"
#include "agent/job/worker.h"
#include "lib/cleanup.h"
#include "lib/io.h"

#define KILL_TIMEOUT_MS 2000

static int start_open_cgroup(const struct roots *roots, const char *id);
static int start_wait_for_exec(struct worker *w, const struct launch_start *s, struct error *err);

int
container_start_with_hooks(struct worker *w, const struct launch_start *s, struct error *err)
{
	auto_close int cgroup_fd = start_open_cgroup(s->roots, s->id);
	struct hook_context c = {
		.spec = s->spec,
		.id = s->id,
		.bundle = s->bundle,
		.pid = s->pid,
		.cgroup_fd = cgroup_fd,
		.w = w,
	};

	if (write_full(s->gate, "", 1) < 0)
		return error_sys_code(err, ERROR_FAILED_PRECONDITION,
				      "failed to start container %s: its init process has exited",
				      s->id);
	if (start_wait_for_exec(w, s, err) < 0)
		return error_wrap(err, "failed to start container %s", s->id);
	return hooks_run(&c, HOOK_POSTSTART, err);
}

/* Returns an fd of the hooks' cgroup, which the launch made, or -1. */
static int
start_open_cgroup(const struct roots *roots, const char *id)
{
	char name[CGROUP_PATH_MAX];

	hook_cgroup_name(id, name, sizeof(name));
	return roots->cgroup < 0 ? -1 : cgroup_open(roots->cgroup, name);
}

/* Waits for the execve that closes the other end of the gate. */
static int
start_wait_for_exec(struct worker *w, const struct launch_start *s, struct error *err)
{
	char said[HOOK_SAID_MAX], byte;
	ssize_t n;

	if (hooks_has(s->spec->hooks, HOOK_START_CONTAINER)) {
		n = handshake_recv(s->gate, HANDSHAKE_HOOKS, said, sizeof(said) - 1, NULL, err);
		if (n < 0)
			return -1;
		said[n] = '\0';
		if (n)
			worker_log(w, LOG_LEVEL_INFO, "%s", said);
	}
	while ((n = read(s->gate, &byte, 1)) < 0 && errno == EINTR)
		continue;
	return n < 0 ? error_sys(err, "failed to wait for the program") : 0;
}

int
container_poststop(struct worker *w, const struct teardown *t, struct error *err)
{
	auto_close int cgroup_fd = start_open_cgroup(t->roots, t->id);
	struct hook_context c = {
		.spec = t->spec,
		.id = t->id,
		.bundle = t->bundle,
		.cgroup_fd = cgroup_fd,
		.w = w,
	};
	char name[CGROUP_PATH_MAX];

	if (!t->spec || !t->spec->hooks)
		return 0;
	if (hooks_run(&c, HOOK_POSTSTOP, err) < 0)
		return -1;
	hook_cgroup_name(t->id, name, sizeof(name));
	return t->roots->cgroup < 0 ? 0
				    : cgroup_remove(t->roots->cgroup, name, KILL_TIMEOUT_MS, err);
}
