/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's process before its program: a fork of the worker, alone in its address space, that turns
 * itself into what the spec says, step by step. Order matters everywhere: what needs a privilege comes before
 * it is given up, what could be used against us (files, directories, memory) is closed before the container's
 * own things are touched.
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
#include "agent/container/launch/wipe.h"
#include "agent/container/stdio/tty.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"

/* Of the kernel; what the C library calls NSIG leaves some out. */
#define SIGNALS_MAX 64

/* A terminal in place of the three stdio fds; the master goes to the worker. */
static int
set_up_terminal(struct container_init *e, int root_fd, int dev_fd, struct error *err)
{
	auto_close int master = -1;
	auto_close int slave = -1;

	if (tty_open(root_fd, e->roots, &master, &slave, err) < 0)
		return -1;
	tty_resize(master, e->process->consolesize);
	if (e->who.uid && fchown(slave, e->who.uid, (gid_t)-1) < 0)
		return error_sys(err, "give the terminal to user %u", e->who.uid);
	if (dev_fd >= 0 && tty_console(dev_fd, slave, err) < 0)
		return -1;
	if (handshake_send(e->sock, HANDSHAKE_TTY, NULL, 0, master) < 0)
		return error_sys(err, "hand over the terminal");
	for (int i = 0; i < 3; i++) {
		e->stdio[i] = fcntl(slave, F_DUPFD_CLOEXEC, INHERIT_FDS_FREE);
		if (e->stdio[i] < 0)
			return error_sys(err, "copy the terminal");
	}
	return 0;
}

/* A name is looked up in the container's files, which are in place; the worker owes that user its stdio. */
static int
find_user(struct container_init *e, int root_fd, struct error *err)
{
	const Grpc__User *user = e->process->user;

	if (user_resolve(root_fd, user, &e->who, err) < 0)
		return -1;
	if (user && *user->username &&
	    handshake_send(e->sock, HANDSHAKE_USER, &e->who.uid, sizeof(e->who.uid), -1) < 0)
		return error_sys(err, "tell the user's id");
	return 0;
}

/* Everything that only a container's first process does. */
static int
set_up_container(struct container_init *e, struct error *err)
{
	struct rootfs *r = e->rootfs;

	if (e->ns->late) {
		if (ns_plan_enter_user(e->ns, e->pid_ns, err) < 0)
			return -1;
		if (handshake_send(e->sock, HANDSHAKE_MAPPED, NULL, 0, -1) < 0)
			return error_sys(err, "ask for id maps");
	}
	if (e->user && handshake_recv(e->sock, HANDSHAKE_MAPPED, NULL, 0, NULL, err) < 0)
		return -1;
	if (ns_plan_enter(e->ns, e->hostname, err) < 0 || rootfs_enter(r, err) < 0)
		return -1;
	if (e->user && user_become_root(err) < 0)
		return -1;
	if (rootfs_fill(r, err) < 0 || find_user(e, r->root, err) < 0)
		return -1;
	if (e->process->terminal && set_up_terminal(e, r->root, r->dev, err) < 0)
		return -1;
	if (hook_stage_follow(e->hooks, e->sock, err) < 0)
		return -1;
	if (rootfs_protect(r, err) < 0 ||
	    sysctl_apply(e->roots->proc, r->launch->spec->linux, err) < 0)
		return -1;
	return rootfs_pivot(r, err);
}

/* The same for one more process. */
static int
join_container(struct container_init *e, struct error *err)
{
	auto_close int root = -1;

	/* the container can see this process already: what is of the guest is closed first */
	if (inherit_fds_close_others(e, err) < 0)
		return -1;
	if (e->has_entered && setns(e->pid_ns, CLONE_NEWPID) < 0)
		return error_sys(err, "join pid namespace");
	if (ns_join_all(e->join, err) < 0)
		return -1;
	if (e->user && user_become_root(err) < 0)
		return -1;
	root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_sys(err, "open the container's root");
	if (find_user(e, root, err) < 0)
		return -1;
	return e->process->terminal ? set_up_terminal(e, root, -1, err) : 0;
}

/* The working directory, never reached by a magic link, and inside the root (a directory of the guest that
 * somehow got hold of would be "(unreachable)"). */
static int
enter_directory(int root_fd, const char *cwd, struct error *err)
{
	char seen[PATH_MAX];
	auto_close int fd = -1;

	fd = path_try_open(root_fd, cwd, O_PATH | O_DIRECTORY, 0, PATH_FOLLOW_ALL);
	if (fd < 0 || fchdir(fd) < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "enter working directory %s",
				      cwd);
	/* the C library's: the system call alone succeeds with "(unreachable)/..." */
	if (!getcwd(seen, sizeof(seen)))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "working directory %s is outside the container", cwd);
	return 0;
}

static int
reset_signals(struct error *err)
{
	sigset_t none;

	for (int s = 1; s <= SIGNALS_MAX; s++)
		(void)sys_reset_signal(s); /* fails for those that cannot be changed */
	sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return error_sys(err, "unblock signals");
	return 0;
}

/* Gives up what the spec does not grant. */
static int
drop_privileges(const struct container_init *e, struct error *err)
{
	uint64_t extra = 0;

	if (rlimits_reset_files(e->rlimits, e->n_rlimits, err) < 0)
		return -1;
	if (!e->user && e->pid_ns < 0 && rlimits_apply(0, e->rlimits, e->n_rlimits, err) < 0)
		return -1;
	if (cap_bounding_limit(e->caps.bounding, err) < 0)
		return -1;
	if (user_become(&e->who, err) < 0)
		return -1;
	if (e->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_sys(err, "set no_new_privs");
	/* The filter is loaded as the last thing before execve, so that it may forbid whatever it wants. Without
	 * no_new_privs that takes one capability, which execve does not look at when it computes the program's. So does
	 * entering the pid namespace. */
	if ((e->pid_ns >= 0 && !e->has_entered) || (e->filtered && !e->no_new_privs))
		extra = UINT64_C(1) << CAP_SYS_ADMIN;
	return cap_sets_apply(&e->caps, extra, err);
}

/* Everything up to execve but for the gate. */
static int
container_init_prepare(struct container_init *e, struct program *program,
		       struct handshake_buffer **buffer, struct error *err)
{
	auto_close int root = -1;

	(void)umask(0);
	/* a process that joins closes the agent's procfs as it does so; hooks of a first one are not to be labelled */
	if (!e->rootfs && lsm_apply(e->roots->proc, &e->lsm, e->process, err) < 0)
		return -1;
	if (e->rootfs ? set_up_container(e, err) < 0 : join_container(e, err) < 0)
		return -1;
	if (e->rootfs && lsm_apply(e->roots->proc, &e->lsm, e->process, err) < 0)
		return -1;
	if (keyring_join(e->keyring, err) < 0)
		return -1;
	(void)umask(022);
	if (inherit_fds_arrange(e, err) < 0)
		return -1;
	if (e->pid_ns < 0 && program_make_session(e) < 0)
		return error_sys(err, "make a session");
	root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_sys(err, "open the container's root");
	*buffer = malloc(sizeof(**buffer));
	if (!*buffer)
		return error_nomem(err, "preparing a process");
	program->args = command_arguments(e->process, err);
	if (!program->args)
		return -1;
	program->env = command_environment(e->process, root, e->who.uid, err);
	if (!program->env || enter_directory(root, e->process->cwd, err) < 0)
		return -1;
	close_fd(&root);
	if (reset_signals(err) < 0 || drop_privileges(e, err) < 0)
		return -1;
	return command_find(program->args[0], program->env, program->path, err);
}

/* Waits for the worker's last word, perhaps with the filter; the socket is closed then. */
static void
wait_to_run(struct container_init *e, struct handshake_buffer *buffer, struct filter *filter)
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

/* Memory that is filled from its beginning. */
struct arena {
	char *at;
};

static void *
arena_copy(struct arena *a, const void *from, size_t size)
{
	void *to = a->at;

	memcpy(to, from, size);
	a->at += (size + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
	return to;
}

static char **
arena_copy_strings(struct arena *a, char *const *list)
{
	size_t n = 0;
	char **to;

	while (list[n])
		n++;
	to = arena_copy(a, list, (n + 1) * sizeof(*list));
	for (size_t i = 0; i < n; i++)
		to[i] = arena_copy(a, list[i], strlen(list[i]) + 1);
	return to;
}

/* No less than arena_copy_strings() takes. */
static size_t
strings_size(char *const *list)
{
	size_t size = sizeof(*list);

	for (; *list; list++)
		size += 2 * sizeof(*list) + strlen(*list) + 1;
	return size;
}

static size_t
hooks_size(const struct hook_plan *hooks)
{
	size_t size = 2 * sizeof(void *) + (hooks->n ? strlen(hooks->state) : 0);

	for (size_t i = 0; i < hooks->n; i++)
		size += sizeof(hooks->runs[i]) + strlen(hooks->runs[i].path) + 2 * sizeof(void *) +
			strings_size(hooks->runs[i].args) + strings_size(hooks->runs[i].env);
	return size;
}

static void
arena_copy_hooks(struct arena *a, struct hook_plan *hooks)
{
	hooks->state = arena_copy(a, hooks->state, strlen(hooks->state) + 1);
	hooks->runs = arena_copy(a, hooks->runs, hooks->n * sizeof(*hooks->runs));
	for (size_t i = 0; i < hooks->n; i++) {
		struct hook_run *run = &hooks->runs[i];

		run->path = arena_copy(a, run->path, strlen(run->path) + 1);
		run->args = arena_copy_strings(a, run->args);
		run->env = arena_copy_strings(a, run->env);
	}
}

/* Puts what execve and hooks get into memory of its own. It may come to lie where something lay that was unmapped after the
 * wipe was planned: shared memory keeps its content when it is wiped (MADV_DONTNEED), private memory would be zeros. */
static int
move_program(const struct container_init *e, struct program *program, struct error *err)
{
	size_t size = sizeof(uint64_t);
	struct arena a;

	if (e->hooks && hook_stage_plan_start(e->hooks, &program->hooks, err) < 0)
		return -1;
	size += strings_size(program->args) + strings_size(program->env) +
		hooks_size(&program->hooks);
	a.at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (a.at == MAP_FAILED)
		return error_nomem(err, "preparing a process");
	if (program->hooks.n) {
		program->pid = arena_copy(&a, &(uint64_t){ 0 }, sizeof(uint64_t));
		arena_copy_hooks(&a, &program->hooks);
	}
	program->args = arena_copy_strings(&a, program->args);
	program->env = arena_copy_strings(&a, program->env);
	return 0;
}

/* Tells the worker of a process. */
static void
report_process(const struct container_init *e, pid_t pid, int pidfd)
{
	struct error err = ERROR_INIT;

	if (pid < 0) {
		error_sys(&err, "clone a process");
	} else if (handshake_send(e->sock, HANDSHAKE_PROCESS, &pid, sizeof(pid), pidfd) < 0) {
		/* the process holds the socket too: while it lives, the worker would wait */
		error_sys(&err, "report a process");
		(void)sys_pidfd_send_signal(pidfd, SIGKILL);
	} else {
		return;
	}
	(void)handshake_send(e->sock, HANDSHAKE_FAILED, &err, sizeof(err), -1);
	_exit(0);
}

/* The last fork: the worker is told of the process. Its own memory of all else is gone: nothing may be allocated. */
_Noreturn static void
fork_and_end(const struct container_init *e, struct program *program)
{
	int pidfd = -1, go[2] = { -1, -1 };
	pid_t pid;

	wipe_apply(e->wipe);
	if (program->hooks.n) {
		pid = pipe2(go, O_CLOEXEC) < 0 ? -1
					       : last_fork_for_hooks(e, program, go[1], &pidfd);
		report_process(e, pid, pidfd);
		/* if it dies, the last process sees that */
		close_fd(&go[1]);
		close_fd(&pidfd);
		program->go = go[0];
	}
	pid = last_fork(e, program, &pidfd);
	report_process(e, pid, pidfd);
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

_Noreturn void
container_init_run(struct container_init *e)
{
	struct error err = ERROR_INIT;
	struct handshake_buffer *buffer = NULL;
	struct program program;
	char *no_words[] = { NULL };
	char byte;

	program.filter.n = 0;
	program.hooks.n = 0;
	program.pid = NULL;
	program.go = -1;
	/* set by prepare(), which is more than the analyzer follows */
	program.args = no_words;
	program.env = no_words;
	if (container_init_prepare(e, &program, &buffer, &err) < 0 ||
	    (e->pid_ns >= 0 && move_program(e, &program, &err) < 0)) {
		(void)handshake_send(e->sock, HANDSHAKE_FAILED, &err, sizeof(err), -1);
		_exit(1);
	}
	if (handshake_send(e->sock, HANDSHAKE_READY, NULL, 0, -1) < 0)
		_exit(1);
	wait_to_run(e, buffer, &program.filter);
	if (e->pid_ns >= 0)
		fork_and_end(e, &program);
	if (e->gate >= 0 && read_full(e->gate, &byte, 1) != 1)
		_exit(1);
	if (e->hooks && hook_stage_start(e->hooks, e->gate, &err) < 0)
		_exit(1);
	program_run(e, &program, false);
}
