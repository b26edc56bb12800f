/* SPDX-License-Identifier: Apache-2.0 */
/* Planning and joining of a container's namespaces. Called by launch.c and exec.c in workers. */
#include "agent/container/ns/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/path.h"
#include "lib/sys.h"

/* `type` is the name of the runtime specification, `file` that of the link in /proc/<pid>/ns.
 * Clients send either: the Go runtime "mount" and "network", the Rust runtime and agent-ctl
 * "mnt" and "net". */
static const struct {
	const char *type;
	const char *file;
	uint64_t flag;
} kinds_table[NS_KINDS] = {
	[NS_USER] = { "user", "user", CLONE_NEWUSER },
	[NS_MNT] = { "mount", "mnt", CLONE_NEWNS },
	[NS_PID] = { "pid", "pid", CLONE_NEWPID },
	[NS_NET] = { "network", "net", CLONE_NEWNET },
	[NS_IPC] = { "ipc", "ipc", CLONE_NEWIPC },
	[NS_UTS] = { "uts", "uts", CLONE_NEWUTS },
	[NS_CGROUP] = { "cgroup", "cgroup", CLONE_NEWCGROUP },
	[NS_TIME] = { "time", "time", CLONE_NEWTIME },
};

static int ns_plan_one(const struct launch *l, struct ns_plan *p, enum ns_kind kind, int sandbox_ns,
		       struct error *err);
static int ns_open_path(const struct launch *l, const Grpc__LinuxNamespace *ns, struct error *err);
static int ns_plan_pid(const struct launch *l, struct ns_plan *p, struct error *err);
static int ns_check_not_own(const struct launch *l, int fd, struct error *err);
static void ns_plan_divide(struct ns_plan *p);
static int ns_write_map(int proc_fd, int pid, const char *file, Grpc__LinuxIDMapping *const *map,
			size_t n, struct error *err);
static int ns_read_map(int proc_fd, int pid, const char *file, struct ns_map *map,
		       struct error *err);
static int ns_loopback_up(struct error *err);

static int
ns_join_one(int fd, enum ns_kind kind, struct error *err)
{
	if (fd < 0 || setns(fd, (int)kinds_table[kind].flag) == 0)
		return 0;
	return error_sys_code(err, errno == EINVAL ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL,
			      "failed to join %s namespace", kinds_table[kind].type);
}

bool
ns_kind_parse(const char *type, enum ns_kind *out)
{
	for (unsigned int k = 0; k < NS_KINDS; k++) {
		if (strcmp(kinds_table[k].type, type) == 0 ||
		    strcmp(kinds_table[k].file, type) == 0) {
			*out = (enum ns_kind)k;
			return true;
		}
	}
	return false;
}

const char *
ns_kind_name(enum ns_kind kind)
{
	return kind < NS_KINDS ? kinds_table[kind].type : "";
}

const Grpc__LinuxNamespace *
ns_find(const Grpc__Linux *linux, enum ns_kind kind)
{
	for (size_t i = 0; i < linux->n_namespaces; i++) {
		enum ns_kind found;

		if (ns_kind_parse(linux->namespaces[i]->type, &found) && found == kind)
			return linux->namespaces[i];
	}
	return NULL;
}

int
ns_plan_make(const struct launch *l, struct ns_plan *p, struct error *err)
{
	int ipc, uts;

	*p = (struct ns_plan){ .cgroup_ns = -1, .mnt_ns = -1, .user_ns = -1, .pid_ns = -1 };
	for (unsigned int k = 0; k < NS_KINDS; k++)
		p->join[k] = p->opened[k] = -1;
	p->user = ns_find(l->spec->linux, NS_USER);
	p->uts = ns_find(l->spec->linux, NS_UTS);
	/* The sandbox's namespaces belong to the guest's user namespace, in which a container
	 * with its own user namespace has no capabilities. */
	ipc = p->user ? -1 : l->sandbox_ns[NS_IPC];
	uts = p->user ? -1 : l->sandbox_ns[NS_UTS];
	if (ns_plan_one(l, p, NS_USER, -1, err) < 0 || ns_plan_one(l, p, NS_MNT, -1, err) < 0 ||
	    ns_plan_one(l, p, NS_IPC, ipc, err) < 0 || ns_plan_one(l, p, NS_UTS, uts, err) < 0 ||
	    ns_plan_one(l, p, NS_NET, -1, err) < 0 || ns_plan_one(l, p, NS_TIME, -1, err) < 0 ||
	    ns_plan_one(l, p, NS_CGROUP, -1, err) < 0 || ns_plan_pid(l, p, err) < 0 ||
	    ns_check_not_own(l, p->join[NS_MNT], err) < 0)
		return -1;
	p->pinned |= 1u << NS_CGROUP;
	ns_plan_divide(p);
	return 0;
}

/* Plans the sandbox's namespace of a kind, or a new one if sandbox_ns is -1. */
static void
ns_plan_new_or_sandbox(struct ns_plan *p, enum ns_kind kind, int sandbox_ns)
{
	if (sandbox_ns < 0) {
		p->clone_flags |= kinds_table[kind].flag;
		return;
	}
	p->join[kind] = sandbox_ns;
	p->of_sandbox |= 1u << kind;
}

/* Plans one kind: a namespace by path, the sandbox's if sandbox_ns is not -1, or a new one. */
static int
ns_plan_one(const struct launch *l, struct ns_plan *p, enum ns_kind kind, int sandbox_ns,
	    struct error *err)
{
	const Grpc__LinuxNamespace *ns = ns_find(l->spec->linux, kind);

	if (!ns)
		return 0;
	p->pinned |= 1u << kind;
	if (*ns->path) {
		p->opened[kind] = p->join[kind] = ns_open_path(l, ns, err);
		return p->join[kind] < 0 ? -1 : 0;
	}
	ns_plan_new_or_sandbox(p, kind, sandbox_ns);
	return 0;
}

/* Returns the part of "/proc/<pid>/ns/<file>" below /proc, or NULL for another path. Such a link
 * can only be opened in a procfs, and only the agent's private one is known to be one. */
static const char *
ns_proc_path(const char *path)
{
	const char *rest = strncmp(path, "/proc/", 6) == 0 ? path + 6 : NULL;
	size_t digits = rest ? strspn(rest, "0123456789") : 0;

	if (!digits || strncmp(rest + digits, "/ns/", 4) != 0)
		return NULL;
	return strchr(rest + digits + 4, '/') ? NULL : rest;
}

/* Opens a namespace named by a path of the guest. setns(2) checks its type. */
static int
ns_open_path(const struct launch *l, const Grpc__LinuxNamespace *ns, struct error *err)
{
	const char *rest = ns_proc_path(ns->path);
	int fd = rest ? openat(l->roots->proc, rest, O_RDONLY | O_CLOEXEC)
		      : path_try_open(l->roots->root, ns->path, O_RDONLY | O_NONBLOCK, 0,
				      PATH_FOLLOW_ALL);

	if (fd < 0)
		error_sys_code(err, ERROR_INVALID_ARGUMENT,
			       "linux.namespaces: %s: failed to open %s", ns->type, ns->path);
	else if (!fd_is_fstype(fd, NSFS_MAGIC)) {
		close_fd(&fd);
		error_set(err, ERROR_INVALID_ARGUMENT,
			  "linux.namespaces: %s: %s is not a namespace", ns->type, ns->path);
	}
	return fd;
}

/* Plans the pid namespace, which hosts do not list: the sandbox's if it is shared, otherwise a
 * new one. */
static int
ns_plan_pid(const struct launch *l, struct ns_plan *p, struct error *err)
{
	const Grpc__LinuxNamespace *ns = ns_find(l->spec->linux, NS_PID);

	p->pinned |= 1u << NS_PID;
	if (ns && *ns->path)
		return ns_plan_one(l, p, NS_PID, -1, err);
	ns_plan_new_or_sandbox(p, NS_PID, l->sandbox_ns[NS_PID]);
	return 0;
}

/* Refuses the guest's own mount namespace. A mount namespace by path gets a new root, for all of
 * its processes. */
static int
ns_check_not_own(const struct launch *l, int fd, struct error *err)
{
	struct stat own, other;

	if (fd < 0)
		return 0;
	if (fstatat(l->roots->proc, "self/ns/mnt", &own, 0) < 0 || fstat(fd, &other) < 0)
		return error_sys(err, "failed to stat a mount namespace");
	if (own.st_dev != other.st_dev || own.st_ino != other.st_ino)
		return 0;
	return error_set(err, ERROR_INVALID_ARGUMENT,
			 "linux.namespaces: mount: the path is the guest's own namespace");
}

/* Divides the plan: the worker joins what it can before the clone, the child does the rest. */
static void
ns_plan_divide(struct ns_plan *p)
{
	/* The root of a new cgroup namespace is the cgroup of its creator: the child makes it in
	 * its own cgroup. */
	p->clone_flags &= ~(uint64_t)CLONE_NEWCGROUP;
	p->cgroup_ns = p->join[NS_CGROUP];
	/* clone3() accepts CLONE_NEWTIME in newer kernels only. unshare() applies it to the
	 * children, too. */
	p->time = p->clone_flags & CLONE_NEWTIME;
	p->clone_flags &= ~(uint64_t)CLONE_NEWTIME;
	p->mnt_ns = p->join[NS_MNT];
	p->user_ns = p->join[NS_USER];
	p->net = p->clone_flags & CLONE_NEWNET;
	if (p->user_ns >= 0) {
		p->pid_ns = p->join[NS_PID];
		p->join[NS_PID] = -1;
	}
	p->join[NS_CGROUP] = p->join[NS_MNT] = p->join[NS_USER] = -1;
}

void
ns_plan_release(struct ns_plan *p)
{
	for (unsigned int k = 0; k < NS_KINDS; k++)
		close_fd(&p->opened[k]);
}

bool
ns_is_owned_by(int ns, int user_ns)
{
	auto_close int fd = ioctl(ns, NS_GET_USERNS);
	struct stat owner, user;

	return fd >= 0 && fstat(fd, &owner) == 0 && fstat(user_ns, &user) == 0 &&
	       owner.st_dev == user.st_dev && owner.st_ino == user.st_ino;
}

bool
ns_plan_owns_net(const struct ns_plan *p)
{
	/* clone3() makes the user namespace first; it owns the others made by the same call. */
	if (p->net || p->opened[NS_NET] < 0 || p->user_ns < 0)
		return p->net;
	return ns_is_owned_by(p->opened[NS_NET], p->user_ns);
}

int
ns_plan_leave_pid(struct ns_plan *p)
{
	int fd = p->user_ns >= 0 ? p->pid_ns : p->join[NS_PID];

	p->join[NS_PID] = p->pid_ns = -1;
	p->late = p->user;
	return fd;
}

int
ns_plan_enter_user(const struct ns_plan *p, int pid_ns, struct error *err)
{
	if (ns_join_one(pid_ns, NS_PID, err) < 0 || ns_join_one(p->user_ns, NS_USER, err) < 0)
		return -1;
	return unshare((int)p->clone_flags) < 0 ? error_sys(err, "failed to create namespaces") : 0;
}

int
ns_plan_join(const struct ns_plan *p, struct error *err)
{
	for (unsigned int k = 0; k < NS_KINDS; k++) {
		if (ns_join_one(p->join[k], (enum ns_kind)k, err) < 0)
			return -1;
	}
	if (p->time && unshare(CLONE_NEWTIME) < 0)
		return error_sys_code(err,
				      errno == EINVAL ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL,
				      "linux.namespaces: failed to create a time namespace");
	return 0;
}

int
ns_join_all(const int fds[NS_KINDS], struct error *err)
{
	/* The user namespace is last, because joining it drops the capabilities that the others
	 * need. */
	for (unsigned int k = 0; k < NS_KINDS; k++) {
		if (k != NS_USER && ns_join_one(fds[k], (enum ns_kind)k, err) < 0)
			return -1;
	}
	return ns_join_one(fds[NS_USER], NS_USER, err);
}

int
ns_open_of(int proc_fd, int pid, uint32_t which, uint8_t *kinds, int *fds, struct error *err)
{
	char path[48];
	int n = 0;

	for (unsigned int k = 0; k < NS_KINDS; k++) {
		if (!(which & 1u << k))
			continue;
		(void)snprintf(path, sizeof(path), "%d/ns/%s", pid, kinds_table[k].file);
		fds[n] = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
		if (fds[n] < 0) {
			error_sys(err, "failed to open %s namespace of process %d",
				  kinds_table[k].type, pid);
			while (n > 0)
				close_fd(&fds[--n]);
			return -1;
		}
		kinds[n++] = (uint8_t)k;
	}
	return n;
}

int
ns_write_id_maps(int proc_fd, int pid, const Grpc__Linux *linux, struct error *err)
{
	if (ns_write_map(proc_fd, pid, "uid_map", linux->uidmappings, linux->n_uidmappings, err) <
	    0)
		return -1;
	return ns_write_map(proc_fd, pid, "gid_map", linux->gidmappings, linux->n_gidmappings, err);
}

static int
ns_write_map(int proc_fd, int pid, const char *file, Grpc__LinuxIDMapping *const *map, size_t n,
	     struct error *err)
{
	/* The kernel's limit is one page (user_namespaces(7)). */
	char text[4096], path[32];
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		int w;

		if (!map[i]->size)
			continue;
		w = snprintf(text + len, sizeof(text) - len, "%u %u %u\n", map[i]->containerid,
			     map[i]->hostid, map[i]->size);
		if (w < 0 || (size_t)w >= sizeof(text) - len)
			return error_set(err, ERROR_INVALID_ARGUMENT, "%s: too many mappings",
					 file);
		len += (size_t)w;
	}
	(void)snprintf(path, sizeof(path), "%d/%s", pid, file);
	if (write_text_at(proc_fd, path, text) < 0)
		return error_sys_code(err,
				      errno == EINVAL ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL,
				      "failed to write %s", file);
	return 0;
}

int
ns_read_id_maps(int proc_fd, int pid, struct ns_maps *out, struct error *err)
{
	if (ns_read_map(proc_fd, pid, "uid_map", &out->uid, err) < 0)
		return -1;
	return ns_read_map(proc_fd, pid, "gid_map", &out->gid, err);
}

/* Parses a map of lines "inside outside size". */
static int
ns_read_map(int proc_fd, int pid, const char *file, struct ns_map *map, struct error *err)
{
	char path[32], text[16384], *rest = text, *line;

	(void)snprintf(path, sizeof(path), "%d/%s", pid, file);
	if (read_text_at(proc_fd, path, text, sizeof(text)) < 0)
		return error_sys(err, "failed to read %s", file);
	if (!*text)
		rest = NULL;
	for (map->n = 0; map->n < NS_MAP_RANGES && (line = strsep(&rest, "\n")); map->n++) {
		uint32_t number[3];
		char *word;
		unsigned int i;

		for (i = 0; i < 3; i++) {
			do {
				word = strsep(&line, " ");
			} while (word && !*word);
			if (!word || !parse_u32(word, &number[i]))
				return error_set(err, ERROR_INTERNAL, "invalid line in %s", file);
		}
		map->range[map->n].inside = number[0];
		map->range[map->n].outside = number[1];
		map->range[map->n].size = number[2];
	}
	return 0;
}

bool
ns_map_find(const struct ns_map *map, uint32_t inside, uint32_t *out)
{
	for (unsigned int i = 0; i < map->n; i++) {
		uint32_t first = map->range[i].inside;

		if (inside >= first && inside - first < map->range[i].size) {
			*out = map->range[i].outside + (inside - first);
			return true;
		}
	}
	return false;
}

int
ns_plan_enter(const struct ns_plan *p, const char *hostname, struct error *err)
{
	if (p->cgroup_ns < 0 && unshare(CLONE_NEWCGROUP) < 0)
		return error_sys(err, "failed to create a cgroup namespace");
	if (ns_join_one(p->cgroup_ns, NS_CGROUP, err) < 0 ||
	    ns_join_one(p->mnt_ns, NS_MNT, err) < 0)
		return -1;
	if (p->uts && *hostname && sethostname(hostname, strlen(hostname)) < 0)
		return error_sys(err, "failed to set host name %.80s", hostname);
	return p->net ? ns_loopback_up(err) : 0;
}

/* Sets the loopback interface of a new network namespace up. */
static int
ns_loopback_up(struct error *err)
{
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "lo" };

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return error_sys(err, "failed to get the flags of the loopback interface");
	request.ifr_flags = (short)(request.ifr_flags | IFF_UP | IFF_RUNNING);
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		return error_sys(err, "failed to set the loopback interface up");
	return 0;
}

bool
ns_id_outside(Grpc__LinuxIDMapping *const *map, size_t n, uint32_t inside, uint32_t *out)
{
	if (!n)
		*out = inside;
	for (size_t i = 0; i < n; i++) {
		if (inside >= map[i]->containerid && inside - map[i]->containerid < map[i]->size) {
			*out = map[i]->hostid + (inside - map[i]->containerid);
			return true;
		}
	}
	return !n;
}
