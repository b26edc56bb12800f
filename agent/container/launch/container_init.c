/* SPDX-License-Identifier: Apache-2.0 */
/* The set-up of a container's process: a fork of the worker with its own address space, which
 * applies the spec step by step. The order matters: a step that needs a privilege comes before the
 * privilege is dropped, and descriptors and memory of the guest are closed before files of the
 * container are accessed.
 */
#include "agent/container/launch/container_init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/hooks/launch.h"
#include "agent/container/launch/command.h"
#include "agent/container/launch/exec_report.h"
#include "agent/container/launch/handshake.h"
#include "agent/container/launch/inherit_fds.h"
#include "agent/container/launch/keyring.h"
#include "agent/container/launch/last_fork.h"
#include "agent/container/launch/program.h"
#include "agent/container/launch/rlimits.h"
#include "agent/container/launch/sysctl.h"
#include "agent/container/launch/user.h"
#include "agent/container/stdio/tty.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "lib/wipe.h"

/* The kernel's number of signals. NSIG of the C library is smaller. */
#define SIGNALS_MAX 64

static int container_init_prepare(struct container_init *e, struct program *program,
				  struct handshake_buffer **buffer, struct error *err);
static int init_set_up_container(struct container_init *e, struct error *err);
static int init_join_container(struct container_init *e, struct error *err);
static int init_enter_directory(int root_fd, const char *cwd, struct error *err);
static int init_reset_signals(struct error *err);
static int init_drop_privileges(const struct container_init *e, struct error *err);
static int init_move_program(const struct container_init *e, struct program *program,
			     struct error *err);
static void init_wait_to_run(struct container_init *e, struct handshake_buffer *buffer,
			     struct filter *filter);
_Noreturn static void init_fork_and_end(const struct container_init *e, struct program *program);

/* A memory block that is filled from its start. */
struct block {
	char *at;
};

static void *
block_copy(struct block *b, const void *from, size_t size)
{
	void *to = b->at;

	memcpy(to, from, size);
	b->at += (size + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
	return to;
}

static char **
block_copy_strings(struct block *b, char *const *list)
{
	size_t n = 0;
	char **to;

	while (list[n])
		n++;
	to = block_copy(b, list, (n + 1) * sizeof(*list));
	for (size_t i = 0; i < n; i++)
		to[i] = block_copy(b, list[i], strlen(list[i]) + 1);
	return to;
}

/* Returns an upper bound on the memory that block_copy_strings() uses. */
static size_t
block_strings_size(char *const *list)
{
	size_t size = sizeof(*list);

	for (; *list; list++)
		size += 2 * sizeof(*list) + strlen(*list) + 1;
	return size;
}

_Noreturn void
container_init_run(struct container_init *e)
{
	struct error err = ERROR_INIT;
	struct handshake_buffer *buffer = NULL;
	/* On the stack all of its pages would be touched. */
	static struct program program;
	char *no_words[] = { NULL };
	char byte;

	program.filter.n = 0;
	program.hooks.n = 0;
	program.pid = NULL;
	program.go = -1;
	/* container_init_prepare() sets these; the analyzer does not see that. */
	program.args = no_words;
	program.env = no_words;
	if (container_init_prepare(e, &program, &buffer, &err) < 0 ||
	    (e->pid_ns >= 0 && init_move_program(e, &program, &err) < 0)) {
		(void)handshake_send(e->sock, HANDSHAKE_FAILED, &err, sizeof(err), -1);
		_exit(1);
	}
	if (handshake_send(e->sock, HANDSHAKE_READY, NULL, 0, -1) < 0)
		_exit(1);
	init_wait_to_run(e, buffer, &program.filter);
	if (e->pid_ns >= 0)
		init_fork_and_end(e, &program);
	if (e->gate >= 0 && read_full(e->gate, &byte, 1) != 1)
		_exit(1);
	if (e->hooks && hook_stage_start(e->hooks, e->gate, &err) < 0)
		_exit(1);
	program_run(e, &program, false);
}

/* Performs all steps before the gate and execve. */
static int
container_init_prepare(struct container_init *e, struct program *program,
		       struct handshake_buffer **buffer, struct error *err)
{
	auto_close int root = -1;

	(void)umask(0);
	/* An exec closes the agent's procfs when it joins, so its label is set before. The label
	 * of a first process is set later, so that it does not apply to hooks. */
	if (!e->rootfs && lsm_apply(e->roots->proc, &e->lsm, e->process, err) < 0)
		return -1;
	if (e->rootfs ? init_set_up_container(e, err) < 0 : init_join_container(e, err) < 0)
		return -1;
	if (e->rootfs && lsm_apply(e->roots->proc, &e->lsm, e->process, err) < 0)
		return -1;
	if (keyring_join(e->keyring, err) < 0)
		return -1;
	(void)umask(022);
	if (inherit_fds_arrange(e, err) < 0)
		return -1;
	if (e->pid_ns < 0 && program_make_session(e) < 0)
		return error_sys(err, "failed to create a session");
	root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_sys(err, "failed to open the container's root");
	*buffer = malloc(sizeof(**buffer));
	if (!*buffer)
		return error_nomem(err, "preparing the process");
	program->args = command_arguments(e->process, err);
	if (!program->args)
		return -1;
	program->env = command_environment(e->process, root, e->who.uid, err);
	if (!program->env || init_enter_directory(root, e->process->cwd, err) < 0)
		return -1;
	close_fd(&root);
	if (init_reset_signals(err) < 0 || init_drop_privileges(e, err) < 0)
		return -1;
	return command_find(program->args[0], program->env, program->path, err);
}

/* Resolves the user. A name is looked up in the container's files, and the uid is sent to the
 * worker, which changes the owner of the stdio pipes. */
static int
init_find_user(struct container_init *e, int root_fd, struct error *err)
{
	const Grpc__User *user = e->process->user;

	if (user_resolve(root_fd, user, &e->who, err) < 0)
		return -1;
	if (user && *user->username &&
	    handshake_send(e->sock, HANDSHAKE_USER, &e->who.uid, sizeof(e->who.uid), -1) < 0)
		return error_sys(err, "failed to send the user's id to the worker");
	return 0;
}

/* Opens a terminal for the three stdio fds and sends the master to the worker. */
static int
init_set_up_terminal(struct container_init *e, int root_fd, int dev_fd, struct error *err)
{
	auto_close int master = -1;
	auto_close int slave = -1;

	if (tty_open(root_fd, e->roots, &master, &slave, err) < 0)
		return -1;
	tty_resize(master, e->process->consolesize);
	if (e->who.uid && fchown(slave, e->who.uid, (gid_t)-1) < 0)
		return error_sys(err, "failed to change the owner of the terminal to user %u",
				 e->who.uid);
	if (dev_fd >= 0 && tty_console(dev_fd, slave, err) < 0)
		return -1;
	if (handshake_send(e->sock, HANDSHAKE_TTY, NULL, 0, master) < 0)
		return error_sys(err, "failed to send the terminal to the agent");
	for (int i = 0; i < 3; i++) {
		e->stdio[i] = fcntl(slave, F_DUPFD_CLOEXEC, INHERIT_FDS_FREE);
		if (e->stdio[i] < 0)
			return error_sys(err, "failed to duplicate the terminal");
	}
	return 0;
}

/* Performs the steps of a container's first process. */
static int
init_set_up_container(struct container_init *e, struct error *err)
{
	struct rootfs *r = e->rootfs;

	if (e->ns->late) {
		if (ns_plan_enter_user(e->ns, e->pid_ns, err) < 0)
			return -1;
		if (handshake_send(e->sock, HANDSHAKE_MAPPED, NULL, 0, -1) < 0)
			return error_sys(err, "failed to request id maps");
	}
	if (e->user && handshake_recv(e->sock, HANDSHAKE_MAPPED, NULL, 0, NULL, err) < 0)
		return -1;
	if (ns_plan_enter(e->ns, e->hostname, err) < 0 || rootfs_enter(r, err) < 0)
		return -1;
	if (e->user && user_become_root(err) < 0)
		return -1;
	if (rootfs_fill(r, err) < 0 || init_find_user(e, r->root, err) < 0)
		return -1;
	if (e->process->terminal && init_set_up_terminal(e, r->root, r->dev, err) < 0)
		return -1;
	if (hook_stage_follow(e->hooks, e->sock, err) < 0)
		return -1;
	if (rootfs_protect(r, err) < 0 ||
	    sysctl_apply(e->roots->proc, r->launch->spec->linux, err) < 0)
		return -1;
	return rootfs_pivot(r, err);
}

/* Performs the steps of an exec. */
static int
init_join_container(struct container_init *e, struct error *err)
{
	auto_close int root = -1;

	/* The container can already see this process, so the guest's descriptors are closed
	 * first. */
	if (inherit_fds_close_others(e, err) < 0)
		return -1;
	if (e->has_entered && setns(e->pid_ns, CLONE_NEWPID) < 0)
		return error_sys(err, "failed to join the pid namespace");
	if (ns_join_all(e->join, err) < 0)
		return -1;
	if (e->user && user_become_root(err) < 0)
		return -1;
	root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_sys(err, "failed to open the container's root");
	if (init_find_user(e, root, err) < 0)
		return -1;
	return e->process->terminal ? init_set_up_terminal(e, root, -1, err) : 0;
}

/* Enters the working directory, without following magic links, and checks that it is inside the
 * root. A directory of the guest would be reported as "(unreachable)". */
static int
init_enter_directory(int root_fd, const char *cwd, struct error *err)
{
	char seen[PATH_MAX];
	auto_close int fd = -1;

	fd = path_try_open(root_fd, cwd, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_ALL);
	if (fd < 0 || fchdir(fd) < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT,
				      "failed to enter working directory %s", cwd);
	/* The C library's getcwd() fails for "(unreachable)/…", while the system call succeeds. */
	if (!getcwd(seen, sizeof(seen)))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "working directory %s is outside the container", cwd);
	return 0;
}

static int
init_reset_signals(struct error *err)
{
	sigset_t none;

	/* Fails for signals that cannot be changed. */
	for (int s = 1; s <= SIGNALS_MAX; s++)
		(void)sys_reset_signal(s);
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return error_sys(err, "failed to unblock signals");
	return 0;
}

/* Drops the privileges that the spec does not grant. */
static int
init_drop_privileges(const struct container_init *e, struct error *err)
{
	uint64_t extra = 0;

	if (rlimits_reset_files(e->rlimits, e->n_rlimits, err) < 0)
		return -1;
	if (!e->user && e->pid_ns < 0 && rlimits_apply(0, e->rlimits, e->n_rlimits, err) < 0)
		return -1;
	if (cap_bounding_limit(&e->caps, err) < 0)
		return -1;
	if (user_become(&e->who, err) < 0)
		return -1;
	if (e->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_sys(err, "failed to set no_new_privs");
	/* The filter is loaded as the last step before execve, so that it can forbid any system
	 * call. Without no_new_privs that requires a capability, which does not affect the
	 * program's capabilities after execve. Entering the pid namespace requires the same one. */
	if ((e->pid_ns >= 0 && !e->has_entered) || (e->filtered && !e->no_new_privs))
		extra = UINT64_C(1) << CAP_SYS_ADMIN;
	return cap_sets_apply(&e->caps, extra, err);
}

static void
block_copy_hooks(struct block *b, struct hook_plan *hooks)
{
	hooks->state = block_copy(b, hooks->state, strlen(hooks->state) + 1);
	hooks->runs = block_copy(b, hooks->runs, hooks->n * sizeof(*hooks->runs));
	for (size_t i = 0; i < hooks->n; i++) {
		struct hook_run *run = &hooks->runs[i];

		run->path = block_copy(b, run->path, strlen(run->path) + 1);
		run->args = block_copy_strings(b, run->args);
		run->env = block_copy_strings(b, run->env);
	}
}

static size_t
block_hooks_size(const struct hook_plan *hooks)
{
	size_t size = 2 * sizeof(void *) + (hooks->n ? strlen(hooks->state) : 0);

	for (size_t i = 0; i < hooks->n; i++)
		size += sizeof(hooks->runs[i]) + strlen(hooks->runs[i].path) + 2 * sizeof(void *) +
			block_strings_size(hooks->runs[i].args) +
			block_strings_size(hooks->runs[i].env);
	return size;
}

/* Moves the arguments of execve and hooks to separate memory. The mapping is shared, because it
 * may be placed at an address that the wipe plan contains: MADV_DONTNEED keeps the content of
 * shared memory, but clears private memory. */
static int
init_move_program(const struct container_init *e, struct program *program, struct error *err)
{
	size_t size = sizeof(uint64_t);
	struct block b;

	if (e->hooks && hook_stage_plan_start(e->hooks, &program->hooks, err) < 0)
		return -1;
	size += block_strings_size(program->args) + block_strings_size(program->env) +
		block_hooks_size(&program->hooks);
	b.at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (b.at == MAP_FAILED)
		return error_nomem(err, "preparing the process");
	if (program->hooks.n) {
		program->pid = block_copy(&b, &(uint64_t){ 0 }, sizeof(uint64_t));
		block_copy_hooks(&b, &program->hooks);
	}
	program->args = block_copy_strings(&b, program->args);
	program->env = block_copy_strings(&b, program->env);
	return 0;
}

/* Waits for HANDSHAKE_RUN, with the filter if there is one, and closes the socket unless a last
 * fork needs it. */
static void
init_wait_to_run(struct container_init *e, struct handshake_buffer *buffer, struct filter *filter)
{
	struct error err = ERROR_INIT;
	ssize_t n = handshake_recv_in(buffer, e->sock, HANDSHAKE_RUN, filter,
				      e->filtered ? sizeof(*filter) : 0, NULL, &err);

	if (e->pid_ns < 0)
		close_fd(&e->sock);
	if (n < 0)
		_exit(EXIT_NOT_LOADED);
	if (e->filtered && (n < (ssize_t)offsetof(struct filter, insns) || !filter->n ||
			    filter->n > FILTER_MAX || (size_t)n != filter_size(filter)))
		_exit(EXIT_NOT_LOADED);
}

/* Reports a new process to the worker. */
static void
init_report_process(const struct container_init *e, pid_t pid, int pidfd)
{
	struct error err = ERROR_INIT;

	if (pid < 0) {
		error_sys(&err, "failed to clone a process");
	} else if (handshake_send(e->sock, HANDSHAKE_PROCESS, &pid, sizeof(pid), pidfd) < 0) {
		/* The process holds the socket as well: the worker would wait as long as it
		 * lives. */
		error_sys(&err, "failed to report a process to the worker");
		(void)sys_pidfd_send_signal(pidfd, SIGKILL);
	} else {
		return;
	}
	(void)handshake_send(e->sock, HANDSHAKE_FAILED, &err, sizeof(err), -1);
	_exit(0);
}

/* Makes the last fork and reports the process to the worker. The memory has been wiped: nothing
 * may be allocated. */
_Noreturn static void
init_fork_and_end(const struct container_init *e, struct program *program)
{
	int pidfd = -1, go[2] = { -1, -1 };
	pid_t pid;

	wipe_apply(e->wipe);
	if (program->hooks.n) {
		pid = pipe2(go, O_CLOEXEC) < 0 ? -1
					       : last_fork_for_hooks(e, program, go[1], &pidfd);
		init_report_process(e, pid, pidfd);
		/* Closed here, so that the last process notices the end of the hooks process. */
		close_fd(&go[1]);
		close_fd(&pidfd);
		program->go = go[0];
	}
	pid = last_fork(e, program, &pidfd);
	init_report_process(e, pid, pidfd);
	_exit(0);
}

int
program_make_session(const struct container_init *e)
{
	if (setsid() < 0)
		return -1;
	return e->terminal ? ioctl(0, TIOCSCTTY, 0) : 0;
}

_Noreturn void
program_run(const struct container_init *e, const struct program *program, bool is_filtered)
{
	if (program->filter.n && !is_filtered && filter_load(&program->filter) != 0) {
		exec_report_reason(e->report, program->path, "its seccomp filter cannot be loaded",
				   errno);
		_exit(EXIT_NOT_LOADED);
	}
	(void)execve(program->path, program->args, program->env);
	_exit(exec_report_failure(e->report, program->path, errno,
				  program->filter.n ? &program->filter : NULL));
}
