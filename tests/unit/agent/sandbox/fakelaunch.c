/* SPDX-License-Identifier: Apache-2.0 */
/* See fakelaunch.h. */
#include "tests/unit/agent/sandbox/fakelaunch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup/path.h"
#include "agent/container/launch/launch.h"
#include "agent/container/ns/sandbox_ns.h"
#include "agent/container/spec/validate.h"
#include "agent/job/worker.h"
#include "lib/cleanup.h"
#include "lib/sys.h"

struct child {
	/* -1: does not wait for a gate. */
	int gate;
	const int *stdio;
	const char *says;
	/* Waits for the end of its stdin. */
	bool waits;
	int exit_code;
};

static void
child_run(const struct child *child)
{
	char buf[64];

	if (child->gate >= 0 && read(child->gate, buf, 1) != 1)
		_exit(99);
	if (child->says[0] != '\0' && child->stdio[1] >= 0)
		(void)!write(child->stdio[1], child->says, strlen(child->says));
	while (child->waits && read(child->stdio[0], buf, sizeof(buf)) > 0)
		;
	_exit(child->exit_code);
}

/* Forks a child of the fake init that waits until the agent has been told its pid. */
static pid_t
child_start(struct worker *w, const struct child *child, struct error *err)
{
	int go[2];
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_PARENT | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd,
	};
	pid_t pid;
	char byte;

	if (pipe2(go, O_CLOEXEC) < 0)
		return error_sys(err, "pipe");
	pid = sys_clone3(&args);
	if (pid < 0)
		return error_sys(err, "clone");
	if (pid == 0) {
		close(go[1]);
		close(worker_fd(w));
		if (read(go[0], &byte, 1) != 1)
			_exit(98);
		child_run(child);
	}
	if (worker_process(w, pid, pidfd, err) < 0)
		pid = -1;
	else
		(void)!write(go[1], "", 1);
	close(pidfd);
	close(go[0]);
	close(go[1]);
	return pid;
}

int
container_launch(struct worker *w, const struct launch *l, struct error *err)
{
	const char *how = l->spec->hostname;
	bool quick = strcmp(how, "quick") == 0;
	struct child child = {
		.gate = l->start_gate,
		.stdio = l->stdio,
		.says = quick ? "" : "up\n",
		.waits = !quick,
		.exit_code = quick ? 3 : 7,
	};
	uint8_t kinds[] = { NS_PID };
	pid_t pid = child_start(w, &child, err);
	auto_close int ns = -1;

	if (pid < 0)
		return -1;
	if (strcmp(how, "hang") == 0)
		pause();
	if (strcmp(how, "fail") == 0)
		return error_set(err, ERROR_INTERNAL, "launch of %s failed", l->id);
	if (strcmp(how, "dead") == 0)
		kill(pid, SIGKILL);
	ns = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	return worker_send(w, LAUNCH_MSG_NAMESPACES, kinds, sizeof(kinds), &ns, 1, true, err);
}

int
container_exec(struct worker *w, const struct launch_exec *e, struct error *err)
{
	const char *how = e->process->n_args > 0 ? e->process->args[0] : "";
	struct child child = { .gate = -1, .stdio = e->stdio, .says = "exec\n", .exit_code = 5 };

	if (strcmp(how, "hang") == 0)
		pause();
	if (strcmp(how, "fail") == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "no such program");
	return child_start(w, &child, err) < 0 ? -1 : 0;
}

int
container_teardown(struct worker *w, const struct teardown *t, struct error *err)
{
	(void)w;
	if (strcmp(t->spec->version, "stubborn") == 0)
		return error_set(err, ERROR_INTERNAL, "%s stays", t->id);
	return 0;
}

int
spec_validate(const Grpc__Spec *spec, struct error *err)
{
	if (!spec->process)
		return error_set(err, ERROR_INVALID_ARGUMENT, "no process");
	return 0;
}

int
process_validate(const Grpc__Process *process, struct error *err)
{
	(void)process;
	(void)err;
	return 0;
}

int
cgroup_path_from_spec(const char *cgroups_path, const char *id, char *out, size_t size,
		      struct error *err)
{
	(void)err;
	snprintf(out, size, "pods/%s", cgroups_path[0] != '\0' ? cgroups_path : id);
	return 0;
}

int
sandbox_namespaces_make(struct worker *w, const char *hostname, int *ipc_fd, int *uts_fd,
			struct error *err)
{
	(void)w;
	if (strcmp(hostname, "fail") == 0)
		return error_set(err, ERROR_INTERNAL, "no namespaces today");
	if (strcmp(hostname, "hang") == 0)
		pause();
	*ipc_fd = open("/proc/self/ns/ipc", O_RDONLY | O_CLOEXEC);
	*uts_fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
	return 0;
}
