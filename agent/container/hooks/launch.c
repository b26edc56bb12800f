/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks during a launch (launch.h). */
#include "agent/container/hooks/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/container/launch/handshake.h"
#include "agent/container/launch/user.h"
#include "agent/container/spec/json.h"
#include "agent/job/steps.h"
#include "agent/job/worker.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"

/* The namespaces of a container with a user namespace, except the pid namespace. */
#define CONTAINER_NAMESPACES \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP)

/* Limit on config.json, in bytes. */
#define CONFIG_MAX (16u << 20)

static const struct {
	const char *file;
	int flag;
} namespaces[HOOK_NAMESPACES] = {
	{ "self/ns/ipc", CLONE_NEWIPC },       { "self/ns/uts", CLONE_NEWUTS },
	{ "self/ns/net", CLONE_NEWNET },       { "self/ns/pid", CLONE_NEWPID },
	{ "self/ns/cgroup", CLONE_NEWCGROUP }, { "self/ns/time", CLONE_NEWTIME },
};

static int hook_stage_make_cgroup(struct worker *w, struct hook_stage *stage, struct error *err);
static int hook_stage_fill_bundle(struct worker *w, const struct launch *l, struct error *err);
static int hook_stage_write_config(struct worker *w, const struct launch *l, int dir,
				   struct error *err);
static int hook_stage_bind_root(struct worker *w, const struct launch *l, int dir,
				struct error *err);
static int hook_stage_leave_namespaces(struct hook_stage *stage, struct error *err);
static ssize_t lead_worker_hooks(const struct hook_stage *stage, pid_t pid, int pidfd, char *said,
				 size_t size, struct error *err);

static struct hook_context
hook_stage_context(const struct hook_stage *stage, struct worker *w, pid_t pid)
{
	return (struct hook_context){
		.spec = stage->launch->spec,
		.id = stage->launch->id,
		.bundle = stage->launch->bundle,
		.pid = pid,
		.cgroup_fd = w ? stage->cgroup_fd : -1,
		.w = w,
	};
}

void
hook_cgroup_name(const char *id, char *out, size_t size)
{
	(void)snprintf(out, size, "hooks-%s", id);
}

void
hook_stage_init(struct hook_stage *stage, const struct launch *l)
{
	const Grpc__Hooks *hooks = l->spec->hooks;

	*stage = (struct hook_stage){ .launch = l, .cgroup_fd = -1 };
	for (size_t i = 0; i < HOOK_NAMESPACES; i++)
		stage->own[i] = -1;
	stage->early = hooks_has(hooks, HOOK_PRESTART) || hooks_has(hooks, HOOK_CREATE_RUNTIME) ||
		       hooks_has(hooks, HOOK_CREATE_CONTAINER);
}

int
hook_stage_open(struct worker *w, struct hook_stage *stage, struct error *err)
{
	const struct launch *l = stage->launch;
	const Grpc__Hooks *hooks = l->spec->hooks;

	if (!stage->early && !hooks_has(hooks, HOOK_POSTSTART) && !hooks_has(hooks, HOOK_POSTSTOP))
		return 0;
	for (size_t i = 0; i < HOOK_NAMESPACES; i++) {
		stage->own[i] = openat(l->roots->proc, namespaces[i].file, O_RDONLY | O_CLOEXEC);
		if (stage->own[i] < 0 && errno != ENOENT)
			return error_sys(err, "failed to open %s", namespaces[i].file);
	}
	if (hook_stage_make_cgroup(w, stage, err) < 0)
		return -1;
	return hook_stage_fill_bundle(w, l, err);
}

/* Makes the hooks' cgroup. Processes that hooks leave behind end with the container. */
static int
hook_stage_make_cgroup(struct worker *w, struct hook_stage *stage, struct error *err)
{
	const struct launch *l = stage->launch;
	char name[CGROUP_PATH_MAX];
	const struct undo undo = { .kind = &undo_cgroup, .fd = l->roots->cgroup, .name = name };

	if (l->roots->cgroup < 0)
		return 0;
	hook_cgroup_name(l->id, name, sizeof(name));
	if (worker_step(w, &undo, err) < 0)
		return -1;
	stage->cgroup_fd = cgroup_create(l->roots->cgroup, name, err);
	return stage->cgroup_fd < 0 ? error_wrap(err, "failed to create the cgroup for hooks") : 0;
}

static int
hook_stage_fill_bundle(struct worker *w, const struct launch *l, struct error *err)
{
	auto_close int dir =
		openat(l->roots->run, l->id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	char path[PATH_MAX];

	if (dir < 0)
		return error_sys(err, "failed to open %s", l->bundle);
	if (hook_stage_write_config(w, l, dir, err) < 0)
		return -1;
	/* The root may be a storage that is already mounted there. */
	(void)snprintf(path, sizeof(path), "%s/rootfs", l->bundle);
	return strcmp(path, l->spec->root->path) == 0 ? 0 : hook_stage_bind_root(w, l, dir, err);
}

/* Writes config.json, which hooks expect in the bundle, with root.path pointing into the bundle
 * as well. */
static int
hook_stage_write_config(struct worker *w, const struct launch *l, int dir, struct error *err)
{
	Grpc__Spec spec = *l->spec;
	Grpc__Root root = *spec.root;
	char path[PATH_MAX];
	struct buf text;
	auto_close int fd = -1;
	int result = 0;

	(void)snprintf(path, sizeof(path), "%s/rootfs", l->bundle);
	root.path = path;
	spec.root = &root;
	fd = worker_create(w, dir, "config.json", 0600, NULL, err);
	if (fd < 0)
		return error_wrap(err, "failed to create config.json for hooks");
	buf_init(&text, CONFIG_MAX);
	if (json_spec(&text, &spec) < 0)
		result = error_nomem(err, "writing config.json for hooks");
	else if (write_full(fd, buf_head(&text), buf_len(&text)) < 0)
		result = error_sys(err, "failed to write config.json for hooks");
	buf_release(&text);
	return result;
}

/* Binds the container's root file system, without the mounts of the spec, at rootfs in the
 * bundle. */
static int
hook_stage_bind_root(struct worker *w, const struct launch *l, int dir, struct error *err)
{
	auto_close int from = path_try_open(l->roots->root, l->spec->root->path,
					    O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_NONE);
	auto_close int tree = -1;
	auto_close int at = -1;

	if (from < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT,
				      "failed to open root file system %s", l->spec->root->path);
	tree = sys_open_tree(from, "",
			     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);
	if (tree < 0)
		return error_sys(err, "failed to clone root file system %s", l->spec->root->path);
	at = openat(dir, "rootfs", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (at < 0)
		return error_sys(err, "failed to open %s/rootfs", l->bundle);
	return worker_mount(w, tree, at, "the root file system for hooks", NULL, err);
}

int
hook_stage_lead(struct worker *w, struct hook_stage *stage, int sock, pid_t pid, int pidfd,
		struct error *err)
{
	struct hook_context c = hook_stage_context(stage, w, pid);
	ssize_t n = 0;

	if (!stage->early)
		return 0;
	if (handshake_recv(sock, HANDSHAKE_HOOKS, NULL, 0, NULL, err) < 0 ||
	    hook_stage_leave_namespaces(stage, err) < 0)
		return -1;
	stage->begun = true;
	if (hooks_run(&c, HOOK_PRESTART, err) < 0 || hooks_run(&c, HOOK_CREATE_RUNTIME, err) < 0)
		return -1;
	if (stage->in_worker)
		n = lead_worker_hooks(stage, pid, pidfd, c.said, sizeof(c.said) - 1, err);
	if (n >= 0 && handshake_send(sock, HANDSHAKE_HOOKS, NULL, 0, -1) < 0)
		return error_sys(err, "failed to resume the container's process after hooks");
	if (!stage->in_worker)
		n = handshake_recv(sock, HANDSHAKE_HOOKS, c.said, sizeof(c.said) - 1, NULL, err);
	if (n > 0) {
		c.said[n] = '\0';
		worker_log(w, LOG_LEVEL_INFO, "%s", c.said);
	}
	return n < 0 ? -1 : 0;
}

/* Returns the worker to the guest's namespaces. The container's process keeps its own alive. */
static int
hook_stage_leave_namespaces(struct hook_stage *stage, struct error *err)
{
	for (size_t i = 0; i < HOOK_NAMESPACES; i++) {
		if (stage->own[i] >= 0 && setns(stage->own[i], namespaces[i].flag) < 0)
			return error_sys(err, "failed to return to the guest's namespace %s",
					 namespaces[i].file);
		close_fd(&stage->own[i]);
	}
	return 0;
}

/* Runs the createContainer hooks in a child of the worker. Used for a shared pid namespace: a
 * child of the container's process would be born in it, and other containers could trace it
 * while it has access to the guest's files. */
_Noreturn static void
run_worker_hooks(const struct hook_stage *stage, pid_t pid, int pidfd, int sock)
{
	struct hook_context c = hook_stage_context(stage, NULL, pid);
	struct error err = ERROR_INIT;

	(void)umask(022);
	if (setns(pidfd, CONTAINER_NAMESPACES) < 0)
		error_sys(&err, "failed to enter the container's namespaces");
	else if (user_become_root(&err) == 0 && hooks_run(&c, HOOK_CREATE_CONTAINER, &err) == 0)
		_exit(handshake_send(sock, HANDSHAKE_HOOKS, c.said, strlen(c.said), -1) < 0);
	_exit(handshake_send(sock, HANDSHAKE_FAILED, &err, sizeof(err), -1) < 0);
}

/* Starts run_worker_hooks() in a child of the worker and waits for its output. Returns like
 * handshake_recv(). */
static ssize_t
lead_worker_hooks(const struct hook_stage *stage, pid_t pid, int pidfd, char *said, size_t size,
		  struct error *err)
{
	struct clone_args args = {
		.flags = stage->cgroup_fd >= 0 ? CLONE_INTO_CGROUP : 0,
		.exit_signal = SIGCHLD,
		.cgroup = stage->cgroup_fd >= 0 ? (uint64_t)stage->cgroup_fd : 0,
	};
	pid_t child;
	int pair[2];
	ssize_t n;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_sys(err, "failed to create a socket pair");
	child = sys_clone3(&args);
	if (child == 0) {
		(void)close(pair[0]);
		run_worker_hooks(stage, pid, pidfd, pair[1]);
	}
	if (child < 0)
		error_sys(err, "failed to clone a process for hooks");
	(void)close(pair[1]);
	n = child < 0 ? -1 : handshake_recv(pair[0], HANDSHAKE_HOOKS, said, size, NULL, err);
	(void)close(pair[0]);
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		continue;
	return n;
}

int
hook_stage_follow(const struct hook_stage *stage, int sock, struct error *err)
{
	struct hook_context c = hook_stage_context(stage, NULL, getpid());
	mode_t mask;
	int result;

	if (!stage->early)
		return 0;
	if (handshake_send(sock, HANDSHAKE_HOOKS, NULL, 0, -1) < 0)
		return error_sys(err, "failed to request hooks from the worker");
	if (handshake_recv(sock, HANDSHAKE_HOOKS, NULL, 0, NULL, err) < 0)
		return -1;
	if (stage->in_worker)
		return 0;
	/* The set-up before and after runs with umask 0. */
	mask = umask(022);
	result = hooks_run(&c, HOOK_CREATE_CONTAINER, err);
	(void)umask(mask);
	if (result < 0)
		return -1;
	if (handshake_send(sock, HANDSHAKE_HOOKS, c.said, strlen(c.said), -1) < 0)
		return error_sys(err, "failed to report the hooks' output to the worker");
	return 0;
}

void
hook_stage_fail(struct worker *w, struct hook_stage *stage)
{
	struct hook_context c = hook_stage_context(stage, w, 0);
	struct error err = ERROR_INIT;

	if (!stage->begun)
		return;
	if (hooks_run(&c, HOOK_POSTSTOP, &err) < 0)
		worker_log(w, LOG_LEVEL_WARN, "container %s: %s", c.id, err.msg);
}

void
hook_stage_close(struct hook_stage *stage)
{
	for (size_t i = 0; i < HOOK_NAMESPACES; i++)
		close_fd(&stage->own[i]);
	close_fd(&stage->cgroup_fd);
}

int
hook_stage_plan_start(const struct hook_stage *stage, struct hook_plan *plan, struct error *err)
{
	struct hook_context c = hook_stage_context(stage, NULL, HOOK_PID_LATER);

	return hooks_plan(&c, HOOK_START_CONTAINER, plan, err);
}

int
hook_stage_start_planned(struct hook_plan *plan, pid_t pid, int gate)
{
	struct hook_context c = { .cgroup_fd = -1 };
	struct error err = ERROR_INIT;

	hooks_plan_name_process(plan, pid);
	if (hooks_run_plan(&c, plan, &err) < 0) {
		(void)handshake_send(gate, HANDSHAKE_FAILED, &err, sizeof(err), -1);
		return -1;
	}
	return handshake_send(gate, HANDSHAKE_HOOKS, c.said, strlen(c.said), -1);
}

int
hook_stage_start(const struct hook_stage *stage, int gate, struct error *err)
{
	struct hook_context c = hook_stage_context(stage, NULL, getpid());

	if (!hooks_has(c.spec->hooks, HOOK_START_CONTAINER))
		return 0;
	if (hooks_run(&c, HOOK_START_CONTAINER, err) < 0) {
		(void)handshake_send(gate, HANDSHAKE_FAILED, err, sizeof(*err), -1);
		return -1;
	}
	if (handshake_send(gate, HANDSHAKE_HOOKS, c.said, strlen(c.said), -1) < 0)
		return error_sys(err, "failed to report the hooks' output to the agent");
	return 0;
}
