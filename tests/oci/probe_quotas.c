/* SPDX-License-Identifier: Apache-2.0 */
/* A probe that exhausts one of the kernel's quotas, which are per user or for the whole guest.
 * See probe.c. */
#include "tests/oci/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* fds in each epoll instance */
#define WATCHED 400
/* fds in one message; the kernel allows 253, the C library fewer */
#define IN_FLIGHT 240
#define PIPE_ROOM (1 << 20)
/* bytes in a user key */
#define KEY_BYTES 32767

/* Each function takes one more piece and returns 0, or -1 and errno when the kernel refuses. */

static int
take_watch(unsigned long n)
{
	static int watched[WATCHED], ep = -1;
	static unsigned long last = ~0ul;
	struct epoll_event ev = { .events = EPOLLET };

	for (int i = 0; n == 0 && i < WATCHED; i++) {
		watched[i] = eventfd(0, EFD_CLOEXEC);
		if (watched[i] < 0)
			return -1;
	}
	if (n % WATCHED == 0 && n != last) {
		ep = epoll_create1(EPOLL_CLOEXEC);
		last = n;
	}
	return ep < 0 ? -1 : epoll_ctl(ep, EPOLL_CTL_ADD, watched[n % WATCHED], &ev);
}

/* Starts with the largest keys and continues with smaller ones until none fits. */
static int
take_key(unsigned long n)
{
	static char payload[KEY_BYTES];
	size_t size = KEY_BYTES;
	char name[32];

	(void)snprintf(name, sizeof(name), "%lx", n);
	for (; size > 0; size /= 2) {
		/* -2: KEY_SPEC_PROCESS_KEYRING */
		if (syscall(SYS_add_key, "user", name, payload, size, -2) >= 0)
			return 0;
		if (errno != EDQUOT)
			return -1;
	}
	return -1;
}

static int
take_inotify(unsigned long n)
{
	(void)n;
	return inotify_init1(IN_CLOEXEC) < 0 ? -1 : 0;
}

static int
take_signal(unsigned long n)
{
	union sigval value = { .sival_int = (int)n };
	sigset_t set;

	if (n == 0) {
		sigemptyset(&set);
		sigaddset(&set, SIGRTMIN);
		(void)sigprocmask(SIG_BLOCK, &set, NULL);
	}
	return sigqueue(getpid(), SIGRTMIN, value);
}

static int
take_queue(unsigned long n)
{
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = 8192 };
	char name[32];

	(void)snprintf(name, sizeof(name), "/quota%lu", n);
	return mq_open(name, O_RDWR | O_CREAT, 0600, &attr) < 0 ? -1 : 0;
}

static int
take_pipe(unsigned long n)
{
	int fds[2];

	(void)n;
	if (pipe(fds) < 0)
		return -1;
	if (fcntl(fds[0], F_SETPIPE_SZ, PIPE_ROOM) >= 0)
		return 0;
	(void)close(fds[0]);
	(void)close(fds[1]);
	return -1;
}

static int
take_pty(unsigned long n)
{
	(void)n;
	return open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC) < 0 ? -1 : 0;
}

static int
take_file(unsigned long n)
{
	if (n > 0 && n % 1000 == 0) {
		if (fork() > 0) {
			for (;;)
				(void)pause();
		}
		(void)syscall(SYS_close_range, 3, ~0u, 0);
	}
	return open("/", O_PATH | O_DIRECTORY | O_CLOEXEC) < 0 ? -1 : 0;
}

/* Sends a message full of descriptors that is never received. */
static int
take_in_flight(unsigned long n)
{
	static int pair[2] = { -1, -1 };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(IN_FLIGHT * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = (void *)"x", .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	int fds[IN_FLIGHT] = { 0 };

	memset(&control, 0, sizeof(control));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	control.head.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&control.head), fds, sizeof(fds));
	for (int tries = 0; tries < 2; tries++) {
		if (n > 0 && sendmsg(pair[0], &msg, MSG_DONTWAIT) >= 0)
			return 0;
		if (n > 0 && errno != EAGAIN)
			return -1;
		n = 1;
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
			return -1;
	}
	return sendmsg(pair[0], &msg, MSG_DONTWAIT) < 0 ? -1 : 0;
}

/* Creates one more namespace, held by an fd. A user namespace of its own provides the
 * capability; in the guest's, namespaces count for root. */
static int
take_namespace(unsigned long n, int flag, const char *path)
{
	if (n == 0 && unshare(CLONE_NEWUSER) < 0)
		return -1;
	if (unshare(flag) < 0)
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC) < 0 ? -1 : 0;
}

static int
take_mnt(unsigned long n)
{
	return take_namespace(n, CLONE_NEWNS, "/proc/self/ns/mnt");
}

static int
take_cgroup(unsigned long n)
{
	return take_namespace(n, CLONE_NEWCGROUP, "/proc/self/ns/cgroup");
}

static int
keep_user(void *kept)
{
	*(int *)kept = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	return 0;
}

/* User namespaces cannot be nested deeply: each is created in a child, which shares memory and
 * files and exits at once. */
static int
take_user(unsigned long n)
{
	static char stack[16384] __attribute__((aligned(16)));
	int kept = -1;
	pid_t pid = clone(keep_user, stack + sizeof(stack),
			  CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_NEWUSER | SIGCHLD, &kept);

	(void)n;
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return pid > 0 && kept >= 0 ? 0 : -1;
}

static const struct {
	const char *name;
	int (*take)(unsigned long n);
} quotas[] = {
	{ "watches", take_watch },  { "keys", take_key },      { "inotify", take_inotify },
	{ "signals", take_signal }, { "queues", take_queue },  { "pipes", take_pipe },
	{ "ptys", take_pty },       { "files", take_file },    { "in-flight", take_in_flight },
	{ "mnt", take_mnt },        { "cgroup", take_cgroup }, { "user", take_user },
};

/* quota NAME MOST: takes all pieces, at most MOST, prints how many and why it stopped, keeps them,
 * and takes each piece that becomes free. */
int
probe_quota(int n, char **args)
{
	unsigned long taken = 0, most = n > 1 ? strtoul(args[1], NULL, 10) : 0;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	for (size_t i = 0; n > 0 && i < sizeof(quotas) / sizeof(quotas[0]); i++) {
		if (strcmp(quotas[i].name, args[0]) != 0)
			continue;
		errno = 0;
		while (taken < most && quotas[i].take(taken) == 0)
			taken++;
		printf("armed\n%s: %lu, then %s\n", args[0], taken, strerror(errno));
		(void)fflush(stdout);
		for (;;) {
			if (taken < most && quotas[i].take(taken) == 0)
				taken++;
			else
				(void)nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
		}
	}
	return 2;
}
