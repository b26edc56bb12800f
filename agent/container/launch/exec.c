/* SPDX-License-Identifier: Apache-2.0 */
/* Starting of an exec in a running container. Runs in a worker. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/container/launch/child.h"
#include "agent/container/launch/device_entries.h"
#include "agent/container/launch/inherit_fds.h"
#include "agent/container/launch/launch.h"
#include "agent/container/rootfs/mount_attr.h"
#include "agent/container/stdio/tty.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/io.h"
#include "lib/sys.h"
#include "lib/wipe.h"

static Grpc__Process exec_complete(const struct launch_exec *x);
static int exec_run_child(struct worker *w, const struct launch_exec *x, struct container_init *e,
			  struct child_process *c, struct error *err);
static bool exec_is_alive(int pidfd);
static int exec_init_has_ended(const struct launch_exec *x, struct error *err);
static int exec_open_pid_ns(const struct launch_exec *x, struct error *err);
static int exec_open_cgroup(const struct launch_exec *x, struct error *err);
static bool exec_is_frozen_below(const struct launch_exec *x, const char *path);
static int exec_enter_container(struct worker *w, const struct launch_exec *x,
				struct container_init *e, int cgroup_fd, struct roots *left,
				struct error *err);
static int exec_leave_guest(struct worker *w, const struct launch_exec *x, struct container_init *e,
			    int cgroup_fd, struct roots *left, struct error *err);

int
container_exec(struct worker *w, const struct launch_exec *x, struct error *err)
{
	struct child_process child = CHILD_NONE;
	Grpc__Process process = exec_complete(x);
	struct container_init entry;
	auto_close int pid_ns = -1;
	struct wipe wipe;
	int join[NS_KINDS];
	int result;

	device_entries_translate_env(w, x->process, x->functions, x->n_functions);
	if (child_entry(&entry, x->roots, x->spec, &process, err) < 0)
		return -1;
	for (unsigned int k = 0; k < NS_KINDS; k++)
		join[k] = k == NS_USER || k == NS_CGROUP ? x->ns[k] : -1;
	entry.join = join;
	pid_ns = exec_open_pid_ns(x, err);
	if (pid_ns < 0)
		return -1;
	entry.pid_ns = pid_ns;
	/* A pid namespace owned by the guest's user namespace can only be selected before the
	 * container's user namespace is joined. */
	entry.has_entered = entry.pid_ns >= 0 && join[NS_USER] >= 0 &&
			    !ns_is_owned_by(entry.pid_ns, join[NS_USER]);
	entry.wipe = &wipe;
	if (wipe_plan(x->roots->proc, &wipe, err) < 0)
		return -1;
	entry.id = x->container_id;
	entry.keyring = x->keyring;
	entry.lsm = x->lsm;
	entry.filtered = x->filter != NULL;
	entry.user = join[NS_USER] >= 0;
	/* Those of the container were logged at its creation. */
	child_caps(w, &entry, x->process->capabilities != NULL);
	for (int i = 0; i < 3; i++)
		entry.stdio[i] = x->stdio[i];
	if (child_own_stdio(&entry, err) < 0)
		return -1;
	result = exec_run_child(w, x, &entry, &child, err);
	child_end(&child, result < 0);
	return result;
}

/* Returns the process with missing fields taken from the container's. A host that sends no
 * capabilities does not send the other fields that restrict a process either. */
static Grpc__Process
exec_complete(const struct launch_exec *x)
{
	const Grpc__Process *container = x->spec->process;
	Grpc__Process p = *x->process;

	if (!p.capabilities) {
		p.capabilities = container->capabilities;
		p.nonewprivileges = container->nonewprivileges;
		p.oomscoreadj = container->oomscoreadj;
	}
	if (!*p.apparmorprofile)
		p.apparmorprofile = container->apparmorprofile;
	if (!*p.selinuxlabel)
		p.selinuxlabel = container->selinuxlabel;
	if (!p.n_rlimits) {
		p.n_rlimits = container->n_rlimits;
		p.rlimits = container->rlimits;
	}
	if (!p.user)
		p.user = container->user;
	if (!*p.cwd)
		p.cwd = container->cwd;
	return p;
}

static int
exec_init_has_ended(const struct launch_exec *x, struct error *err)
{
	return error_set(err, ERROR_NOT_FOUND,
			 "container %s: its init process has ended: " TEXT_PROCESS_NOT_FOUND,
			 x->container_id);
}

/* Returns an fd of the pid namespace, or -1 and err. A process cannot leave its pid namespace, so
 * that of the init process is the container's. The process is checked to be alive before and after
 * the look-up by pid, so the pid was not reused. */
static int
exec_open_pid_ns(const struct launch_exec *x, struct error *err)
{
	auto_close int fd = -1;
	char path[48];

	if (x->ns[NS_PID] >= 0) {
		fd = fcntl(x->ns[NS_PID], F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? error_sys(err, "failed to duplicate the pid namespace")
			      : steal_fd(&fd);
	}
	if (!exec_is_alive(x->init_pidfd))
		return exec_init_has_ended(x, err);
	(void)snprintf(path, sizeof(path), "%d/ns/pid", (int)x->init_pid);
	fd = openat(x->roots->proc, path, O_RDONLY | O_CLOEXEC);
	if (!exec_is_alive(x->init_pidfd))
		return exec_init_has_ended(x, err);
	return fd < 0 ? error_sys(err, "failed to open the container's pid namespace")
		      : steal_fd(&fd);
}

/* Returns whether a process is alive. A pidfd is readable after its process has ended, reaped or
 * not. */
static bool
exec_is_alive(int pidfd)
{
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && RETRY_EINTR(poll(&ended, 1, 0)) == 0;
}

static int
exec_run_child(struct worker *w, const struct launch_exec *x, struct container_init *e,
	       struct child_process *c, struct error *err)
{
	auto_close int cgroup_fd = x->roots->cgroup >= 0 ? exec_open_cgroup(x, err) : -1;
	struct roots left;

	if (x->roots->cgroup >= 0 && cgroup_fd < 0)
		return -1;
	if (exec_enter_container(w, x, e, cgroup_fd, &left, err) < 0)
		return -1;
	if (child_start(w, e, 0, cgroup_fd, c, err) < 0) {
		/* cgroups(7), "no internal processes": the container has enabled controllers for
		 * cgroups below. */
		if (err->errnum == EBUSY)
			return error_set(err, ERROR_FAILED_PRECONDITION,
					 "container %s: cgroup %s cannot have processes, "
					 "and the cgroup of the init process is frozen",
					 x->container_id, x->cgroup_path);
		return -1;
	}
	if (child_lead(w, c, e, x->filter, err) < 0)
		return -1;
	if (child_fork_last(w, c, e, err) == 0)
		return 0;
	/* The init process of the pid namespace has ended, so the namespace accepts no processes
	 * or has killed this one. */
	if (exec_is_alive(x->init_pidfd) || (err->code != ERROR_INTERNAL && err->errnum != ENOMEM))
		return -1;
	return exec_init_has_ended(x, err);
}

/* Returns the cgroup directory as a detached read-only mount, and closes cgroup_fd. The new
 * process briefly holds the descriptor, and another process of the container may get hold of it:
 * in a mount without a parent, it does not lead to the guest's cgroups. */
static int
exec_confine_cgroup(int cgroup_fd, struct error *err)
{
	auto_close int dir = cgroup_fd;
	auto_close int fd =
		sys_open_tree(dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (fd < 0)
		return error_sys(err, "failed to clone the container's cgroup directory");
	if (mount_set(fd, MOUNT_ATTR_RDONLY, 0, 0, false, err) < 0)
		return -1;
	return steal_fd(&fd);
}

/* Opens the current cgroup of the init process, which may have moved below the container's, or
 * the container's cgroup if that one is frozen. The process is checked to be alive before and
 * after the look-up by pid, so the pid was not reused. */
static int
exec_open_cgroup(const struct launch_exec *x, struct error *err)
{
	char path[CGROUP_PATH_MAX + 1];
	size_t n = strlen(x->cgroup_path);
	int fd;

	if (exec_is_alive(x->init_pidfd) &&
	    cgroup_of_process(x->roots->proc, x->init_pid, path, sizeof(path)) == 0 &&
	    exec_is_alive(x->init_pidfd) && strncmp(path, x->cgroup_path, n) == 0 &&
	    (path[n] == '/' || !path[n]) && !exec_is_frozen_below(x, path)) {
		fd = cgroup_open(x->roots->cgroup, path);
		if (fd >= 0)
			return exec_confine_cgroup(fd, err);
	}
	fd = cgroup_open(x->roots->cgroup, x->cgroup_path);
	if (fd < 0)
		return error_sys(err, "failed to open cgroup %s", x->cgroup_path);
	return exec_confine_cgroup(fd, err);
}

/* Returns whether a cgroup between the container's own and `path`, which is below it, is frozen.
 * A process in it would stop before its program, while the caller waits. */
static bool
exec_is_frozen_below(const struct launch_exec *x, const char *path)
{
	char part[CGROUP_PATH_MAX + 1], value[8];
	const char *end = path + strlen(x->cgroup_path);

	while (*end) {
		auto_close int dir = -1;

		end++;
		end += strcspn(end, "/");
		memcpy(part, path, (size_t)(end - path));
		part[end - path] = '\0';
		dir = cgroup_open(x->roots->cgroup, part);
		if (dir >= 0 && read_text_at(dir, "cgroup.freeze", value, sizeof(value)) > 0 &&
		    *value == '1')
			return true;
	}
	return false;
}

/* Joins the container's namespaces except those that only the new process can join, and except
 * the pid namespace: its processes could see the worker and may have the capability to trace it,
 * so only the last fork enters it. */
static int
exec_enter_container(struct worker *w, const struct launch_exec *x, struct container_init *e,
		     int cgroup_fd, struct roots *left, struct error *err)
{
	int outer[NS_KINDS];

	memcpy(outer, x->ns, sizeof(outer));
	/* The capabilities of the guest's user namespace are needed to clone into the cgroup. */
	outer[NS_USER] = outer[NS_CGROUP] = outer[NS_PID] = -1;
	if (child_set_oom_score(0, e, err) < 0 || ns_join_all(outer, err) < 0)
		return -1;
	return exec_leave_guest(w, x, e, cgroup_fd, left, err);
}

/* Closes the guest's descriptors after the container was entered, except those that are still
 * needed. */
static int
exec_leave_guest(struct worker *w, const struct launch_exec *x, struct container_init *e,
		 int cgroup_fd, struct roots *left, struct error *err)
{
	auto_close int root = openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const Grpc__Process *p = e->process;
	int keep[] = { worker_fd(w),     x->init_pidfd,      cgroup_fd,    e->stdio[0],
		       e->stdio[1],      e->stdio[2],        -1 /* dev */, -1 /* proc */,
		       e->join[NS_USER], e->join[NS_CGROUP], e->pid_ns };

	if (root < 0)
		return error_sys(err, "failed to open the container's root");
	*left = (struct roots){ -1, -1, -1, -1, -1, -1 };
	if (p->terminal && !tty_has_own(root))
		keep[6] = left->dev = x->roots->dev;
	if (*p->apparmorprofile || *p->selinuxlabel)
		keep[7] = left->proc = x->roots->proc;
	e->roots = left;
	return inherit_fds_keep(keep, ARRAY_LEN(keep), err);
}
