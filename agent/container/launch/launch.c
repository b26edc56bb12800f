/* SPDX-License-Identifier: Apache-2.0 */
/* Creation of a container: cgroup, directories, namespaces, root file system, first process.
 * Runs in a worker. */
#include "agent/container/launch/launch.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cgroup/cgroup_make.h"
#include "agent/cgroup/cgroup_owner.h"
#include "agent/container/hooks/launch.h"
#include "agent/container/launch/child.h"
#include "agent/container/launch/device_entries.h"
#include "agent/container/launch/handshake.h"
#include "agent/container/ns/namespaces.h"
#include "agent/container/rootfs/rootfs.h"
#include "agent/container/rootfs/shared_mounts.h"
#include "agent/job/steps.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/sys.h"
#include "lib/wipe.h"

/* The steps for the bundle's directories, by number; -1: not announced, or their outcome was
 * reported. */
struct launch_steps {
	int bundle, root;
};

static int launch_make_cgroup(struct worker *w, const struct launch *l, int *out,
			      struct error *err);
static uid_t launch_cgroup_owner(const Grpc__Spec *spec);
static int launch_send_cgroup(struct worker *w, const struct cgroup_made *made, struct error *err);
static int launch_announce(struct worker *w, const struct launch *l, struct launch_steps *steps,
			   struct error *err);
static int launch_make_bundle(struct worker *w, const struct launch *l, struct launch_steps *steps,
			      struct error *err);
static void launch_retract(struct worker *w, const struct launch_steps *steps);
static int launch_plan_last_fork(const struct launch *l, struct ns_plan *ns, int cgroup_fd,
				 struct container_init *e, struct wipe *wipe, struct procfs *procfs,
				 struct error *err);
static void launch_warn_of_mounts(struct worker *w, const struct launch *l, const struct rootfs *r);
static int launch_run_child(struct worker *w, const struct launch *l, struct container_init *e,
			    int cgroup_fd, struct child_process *c, struct ns_maps *maps,
			    struct error *err);
static int launch_set_up_ids(const struct launch *l, struct container_init *e,
			     const struct child_process *c, struct ns_maps *maps,
			     struct error *err);
static int launch_compile_filter(struct worker *w, const struct launch *l, struct filter **out,
				 struct error *err);
static int launch_send_namespaces(struct worker *w, const struct launch *l,
				  const struct ns_plan *ns, pid_t pid, struct error *err);

int
container_launch(struct worker *w, const struct launch *l, struct error *err)
{
	struct child_process child = CHILD_NONE;
	struct hook_stage hooks = { .cgroup_fd = -1 };
	struct rootfs rootfs = { .tree = -1, .null_tree = -1, .store = -1 };
	auto_close int cgroup_fd = -1;
	struct procfs procfs = PROCFS_NONE;
	/* Rarely used; on the stack their pages would always be touched. */
	static struct wipe wipe;
	static struct ns_maps maps;
	struct ns_plan ns;
	struct container_init entry;
	struct launch_steps steps = { -1, -1 };
	int result = -1;

	if (device_entries_apply(w, l, err) < 0 ||
	    child_entry(&entry, l->roots, l->spec, l->spec->process, err) < 0)
		return -1;
	hook_stage_init(&hooks, l);
	entry.hooks = &hooks;
	worker_hold(w);
	if (ns_plan_make(l, &ns, err) < 0 || launch_announce(w, l, &steps, err) < 0)
		goto out;
	entry.ns = &ns;
	entry.user = ns.user;
	entry.rootfs = &rootfs;
	entry.gate = l->start_gate;
	entry.id = l->id;
	entry.keyring = l->keyring;
	entry.lsm = l->lsm;
	child_caps(w, &entry, true);
	for (int i = 0; i < 3; i++)
		entry.stdio[i] = l->stdio[i];
	if (launch_make_cgroup(w, l, &cgroup_fd, err) < 0 ||
	    launch_make_bundle(w, l, &steps, err) < 0 || hook_stage_open(w, &hooks, err) < 0)
		goto out;
	if (launch_plan_last_fork(l, &ns, cgroup_fd, &entry, &wipe, &procfs, err) < 0 ||
	    rootfs_plan(l, &ns, &procfs, &rootfs, err) < 0)
		goto out;
	launch_warn_of_mounts(w, l, &rootfs);
	if ((!ns.user && child_own_stdio(&entry, err) < 0) || ns_plan_join(&ns, err) < 0)
		goto out;
	result = launch_run_child(w, l, &entry, cgroup_fd, &child, &maps, err);
out:
	child_end(&child, result < 0);
	launch_retract(w, &steps);
	if (result < 0)
		hook_stage_fail(w, &hooks);
	hook_stage_close(&hooks);
	if (rootfs.launch)
		rootfs_release(&rootfs);
	procfs_release(&procfs);
	ns_plan_release(&ns);
	return result;
}

/* Makes the container's cgroup. Leaves *out unchanged if the guest has no cgroups. */
static int
launch_make_cgroup(struct worker *w, const struct launch *l, int *out, struct error *err)
{
	const struct cgroup_spec spec = {
		.roots = l->roots,
		.path = l->cgroup_path,
		.id = l->id,
		.spec = l->spec,
		.any_disk = l->any_disk,
		.known = l->device_program,
		.owner = launch_cgroup_owner(l->spec),
	};
	struct cgroup_made made = CGROUP_MADE_NONE;
	int result = cgroup_make(w, &spec, &made, err);

	if (result == 0 && made.fd >= 0)
		result = launch_send_cgroup(w, &made, err);
	if (result == 0)
		*out = steal_fd(&made.fd);
	cgroup_made_release(&made);
	return result;
}

/* Returns the user of the guest that the container's cgroup is delegated to: that of its
 * program, which can then make cgroups below it, if the container has its own cgroup namespace
 * and a writable cgroup mount. 0: none. */
static uid_t
launch_cgroup_owner(const Grpc__Spec *spec)
{
	const Grpc__Linux *l = spec->linux;
	const Grpc__LinuxNamespace *ns = ns_find(l, NS_CGROUP);
	uint32_t inside = spec->process->user ? spec->process->user->uid : 0;
	uint32_t uid;

	if ((ns && *ns->path) || !cgroup_is_mounted_writable(spec) ||
	    !ns_id_outside(l->uidmappings, l->n_uidmappings, inside, &uid))
		return 0;
	return uid;
}

/* Sends the agent the descriptor and state that it needs to watch the cgroup. */
static int
launch_send_cgroup(struct worker *w, const struct cgroup_made *made, struct error *err)
{
	const struct launch_cgroup message = { .oom_kills = made->oom_kills,
					       .device_program = made->device_program };
	const struct device_program *loaded = &made->loaded;
	struct error ignored = ERROR_INIT;

	/* Further containers often have the same rules. Errors are ignored. */
	if (loaded->fd >= 0 && loaded->n <= DEVICE_PROGRAM_KEPT)
		(void)worker_send(w, LAUNCH_MSG_DEVICES, loaded->instructions,
				  loaded->n * sizeof(*loaded->instructions), &loaded->fd, 1, false,
				  &ignored);
	/* A container whose OOM kills are not watched must not run. */
	return worker_report(w, LAUNCH_MSG_CGROUP, &message, sizeof(message), &made->events,
			     made->events >= 0, err);
}

/* Announces the cgroup and the bundle's directories together, so that the worker waits once, and
 * has something else to do meanwhile. No container can rename a directory of the agent's tmpfs. */
static int
launch_announce(struct worker *w, const struct launch *l, struct launch_steps *steps,
		struct error *err)
{
	char root[NAME_MAX + sizeof("/rootfs")];

	if (cgroup_announce(w, l->roots, l->cgroup_path, err) < 0)
		return -1;
	if (snprintf(root, sizeof(root), "%s/rootfs", l->id) >= (int)sizeof(root))
		return error_set(err, ERROR_INVALID_ARGUMENT, "container id %.64s... is too long",
				 l->id);
	steps->bundle = worker_announce_mkdir(w, l->roots->run, l->id, err);
	if (steps->bundle >= 0)
		steps->root = worker_announce_mkdir(w, l->roots->run, root, err);
	return steps->root < 0 ? -1 : 0;
}

/* Reports the steps that the launch has failed to reach: a directory that a storage has made is
 * not removed. */
static void
launch_retract(struct worker *w, const struct launch_steps *steps)
{
	struct error ignored = ERROR_INIT;

	if (steps->bundle >= 0)
		(void)worker_step_taken(w, steps->bundle, NULL, &ignored);
	if (steps->root >= 0)
		(void)worker_step_taken(w, steps->root, NULL, &ignored);
}

/* Makes the bundle directory, on the agent's tmpfs, and the mount point of the root in it. A
 * storage may have made them already. */
static int
launch_make_bundle(struct worker *w, const struct launch *l, struct launch_steps *steps,
		   struct error *err)
{
	auto_close int dir = -1;
	int step = steps->bundle;

	steps->bundle = -1;
	if (worker_mkdir_announced(w, step, l->roots->run, l->id, 0711, err) < 0)
		return error_wrap(err, "failed to create bundle %s", l->bundle);
	dir = openat(l->roots->run, l->id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return error_sys(err, "failed to open bundle %s", l->bundle);
	step = steps->root;
	steps->root = -1;
	if (worker_mkdir_announced(w, step, dir, "rootfs", 0711, err) < 0)
		return error_wrap(err, "failed to create bundle %s", l->bundle);
	return 0;
}

/* Plans a last fork for a shared pid namespace, whose other processes may be able to trace the
 * new one: it enters the namespace as the last step. */
static int
launch_plan_last_fork(const struct launch *l, struct ns_plan *ns, int cgroup_fd,
		      struct container_init *e, struct wipe *wipe, struct procfs *procfs,
		      struct error *err)
{
	int pid_ns = ns->user_ns >= 0 ? ns->pid_ns : ns->join[NS_PID];

	if (pid_ns < 0 || pid_ns != l->sandbox_ns[NS_PID] || l->pidns_owner < 0)
		return 0;
	e->pid_ns = ns_plan_leave_pid(ns);
	e->has_entered = e->hooks->in_worker = ns->late;
	e->wipe = wipe;
	if (procfs_open(l, e->pid_ns, cgroup_fd, procfs, err) < 0)
		return -1;
	return wipe_plan(l->roots->proc, wipe, err);
}

/* Warns of mount options that have no effect, which other runtimes ignore silently. */
static void
launch_warn_of_mounts(struct worker *w, const struct launch *l, const struct rootfs *r)
{
	for (size_t i = 0; i < r->n_mounts; i++) {
		const struct container_mount *m = &r->mounts[i];

		if (m->ignored)
			worker_log(
				w, LOG_LEVEL_WARN,
				"container %s: mount %s: ignoring option %.64s: a bind mount has "
				"the options of its source's file system",
				l->id, m->spec->destination, m->ignored);
	}
}

/* Clones the process and leads it to the gate. */
static int
launch_run_child(struct worker *w, const struct launch *l, struct container_init *e, int cgroup_fd,
		 struct child_process *c, struct ns_maps *maps, struct error *err)
{
	auto_free struct filter *compiled = NULL;
	const struct filter *filter = e->filtered ? l->filter : NULL;

	if (child_start(w, e, e->ns->late ? 0 : e->ns->clone_flags, cgroup_fd, c, err) < 0)
		return -1;
	worker_hold(w);
	if (e->user && launch_set_up_ids(l, e, c, maps, err) < 0)
		return -1;
	/* The child sets itself up at the same time. */
	if (e->filtered && !filter) {
		if (launch_compile_filter(w, l, &compiled, err) < 0)
			return -1;
		filter = compiled;
	}
	if (child_lead(w, c, e, filter, err) < 0 ||
	    (e->pid_ns >= 0 && child_fork_last(w, c, e, err) < 0) ||
	    launch_send_namespaces(w, l, e->ns, c->pid, err) < 0 ||
	    shared_mounts_apply(w, l, c->pid, err) < 0)
		return -1;
	return 0;
}

/* Writes the id maps of the user namespace and prepares what depends on them, while the process
 * waits. */
static int
launch_set_up_ids(const struct launch *l, struct container_init *e, const struct child_process *c,
		  struct ns_maps *maps, struct error *err)
{
	if (e->ns->late && handshake_recv(c->sock, HANDSHAKE_MAPPED, NULL, 0, NULL, err) < 0)
		return -1;
	if (e->ns->user_ns < 0 && ns_write_id_maps(l->roots->proc, c->pid, l->spec->linux, err) < 0)
		return -1;
	if (ns_read_id_maps(l->roots->proc, c->pid, maps, err) < 0)
		return -1;
	e->maps = maps;
	if (rootfs_map_ids(e->rootfs, c->pid, maps, err) < 0 || child_own_stdio(e, err) < 0)
		return -1;
	if (handshake_send(c->sock, HANDSHAKE_MAPPED, NULL, 0, -1) < 0)
		return error_sys(err, "failed to resume the process after id maps");
	return 0;
}

/* Compiles the seccomp profile and sends it to the agent for later containers and execs. */
static int
launch_compile_filter(struct worker *w, const struct launch *l, struct filter **out,
		      struct error *err)
{
	struct filter *filter = calloc(1, sizeof(*filter));

	*out = filter;
	if (!filter)
		return error_nomem(err, "compiling a seccomp profile");
	if (filter_compile(l->spec->linux->seccomp, filter, err) < 0)
		return -1;
	/* Without it a later process would run without a filter. */
	return worker_report(w, LAUNCH_MSG_FILTER, filter, filter_size(filter), NULL, 0, err);
}

/* Sends the container's namespaces to the agent, which keeps them for later processes. */
static int
launch_send_namespaces(struct worker *w, const struct launch *l, const struct ns_plan *ns,
		       pid_t pid, struct error *err)
{
	uint32_t sent = ns->pinned & ~ns->of_sandbox;
	uint8_t kinds[NS_KINDS];
	int fds[NS_KINDS], n, result;
	size_t n_kinds;

	_Static_assert(NS_KINDS <= IO_FDS_MAX, "all namespaces fit in one message");
	if (ns->clone_flags & CLONE_NEWPID && !l->sends_pid_ns)
		sent &= ~(1u << NS_PID);
	n = ns_open_of(l->roots->proc, pid, sent, kinds, fds, err);
	if (n < 0)
		return -1;
	n_kinds = (size_t)n;
	for (unsigned int k = 0; k < NS_KINDS; k++)
		if (ns->of_sandbox & 1u << k)
			kinds[n_kinds++] = (uint8_t)k;
	/* Without them a later process would run in the guest's namespaces. */
	result = worker_report(w, LAUNCH_MSG_NAMESPACES, kinds, n_kinds, fds, (size_t)n, err);
	while (n > 0)
		close_fd(&fds[--n]);
	return result;
}
