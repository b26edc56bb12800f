/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends signals to a container's processes, immediately and without a fork: they must arrive when
 * everything else hangs. Called by SignalProcess and when a container is torn down. Must never wait
 * for the processes that it kills.
 */
#include "agent/sandbox/sandbox_internal.h"

#include <errno.h>
#include <signal.h>

#include "agent/cgroup/cgroup.h"

/* _NSIG of every architecture except MIPS. */
#define SIGNAL_MAX 64

int
sandbox_kill_all(struct sandbox *s, struct container *c, struct error *err)
{
	if (s->parts.roots->cgroup >= 0 && *c->cgroup_path) {
		if (cgroup_kill(s->parts.roots->cgroup, c->cgroup_path) == 0)
			return 0;
		if (errno != ENOENT && errno != ENODEV)
			return error_sys(err, "failed to kill the processes of container %s",
					 c->id);
	}
	container_kill_processes(c);
	return 0;
}

int
sandbox_signal(struct sandbox *s, struct process *p, uint32_t signal, struct error *err)
{
	if (signal > SIGNAL_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid signal %u: the maximum is %d", signal, SIGNAL_MAX);
	if (signal == SIGTERM && p == p->container->init && !p->exited)
		return sandbox_terminate(s, p, err);
	return process_signal(p, (int)signal, err);
}
