/* SPDX-License-Identifier: Apache-2.0 */
/* See box.h. */
#include "tests/unit/agent/container/box.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/sys.h"
#include "tests/support/check.h"
#include "tests/support/fakeinit.h"
#include "tests/unit/agent/container/spec.h"

#define LIMIT_NS UINT64_C(30000000000)

static const char *const applets[] = {
	"sh",       "cat",   "ls",   "id",  "echo", "mount", "stat",  "touch", "mkdir",
	"readlink", "sleep", "true", "tty", "stty", "mknod", "dd",    "grep",  "hostname",
	"rm",       "ln",    "env",  "pwd", "wc",   "seq",   "false", "kill",  "umount",
	"sed",      "head",  "find", "awk", "sort", "ps",
};

void
box_write(const char *path, const char *text)
{
	auto_close int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(write_full(fd, text, strlen(text)), 0);
}

const char *
box_read(const char *path)
{
	static char text[4096];

	return read_text_at(AT_FDCWD, path, text, sizeof(text)) < 0 ? "" : text;
}

bool
box_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void
copy_busybox(void)
{
	auto_close int from = open("/bin/busybox", O_RDONLY | O_CLOEXEC);
	auto_close int to = open(BOX_ROOT "/bin/busybox", O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	struct stat st;
	off_t left;

	REQUIRE_GE(from, 0);
	REQUIRE_GE(to, 0);
	REQUIRE_EQ(fstat(from, &st), 0);
	for (left = st.st_size; left > 0;) {
		ssize_t n = sendfile(to, from, NULL, (size_t)left);

		REQUIRE_GT(n, 0);
		left -= n;
	}
}

static void
make_root(void)
{
	static const char *const dirs[] = {
		BOX_ROOT,        BOX_ROOT "/bin", BOX_ROOT "/dev", BOX_ROOT "/proc",
		BOX_ROOT "/sys", BOX_ROOT "/etc", BOX_ROOT "/tmp", BOX_ROOT "/run",
	};
	char link[64];

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		REQUIRE_EQ(mkdir(dirs[i], 0755), 0);
	REQUIRE_EQ(chmod(BOX_ROOT "/tmp", 01777), 0);
	copy_busybox();
	for (size_t i = 0; i < ARRAY_LEN(applets); i++) {
		snprintf(link, sizeof(link), BOX_ROOT "/bin/%s", applets[i]);
		REQUIRE_EQ(symlink("busybox", link), 0);
	}
	box_write(BOX_ROOT "/etc/passwd",
		  "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n");
}

static size_t
count_lines(const char *path)
{
	FILE *f = fopen(path, "re");
	size_t n = 0;
	int c;

	REQUIRE(f);
	while ((c = getc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

static size_t
count_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Prints details of a leak. */
static bool
show_fds(void)
{
	char path[32], target[128];

	for (int fd = 0; fd < 1024; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		if (n > 0)
			fprintf(stderr, "fd %d: %.*s\n", fd, (int)n, target);
	}
	return true;
}

/* A tmpfs each for what the test and the agent write; nothing of it reaches the machine. */
static void
make_world(void)
{
	REQUIRE_EQ(unshare(CLONE_NEWNS), 0);
	REQUIRE_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	REQUIRE(mkdir("/box", 0755) == 0 || errno == EEXIST);
	REQUIRE_EQ(mount("box", "/box", "tmpfs", 0, "mode=755"), 0);
	REQUIRE_EQ(mount("run", "/run", "tmpfs", 0, "mode=755"), 0);
	make_root();
}

struct body {
	box_body *fn;
};

static int
run_body(int init_fd, void *data)
{
	static const struct undo_kind *const kinds[] = { &undo_cgroup, NULL };
	struct body *body = data;
	struct error err = ERROR_INIT;
	size_t mounts, fds;
	struct box b = { 0 };

	log_set_level(LOG_LEVEL_WARN);
	make_world();
	for (size_t i = 0; i < NS_KINDS; i++)
		b.sandbox_ns[i] = -1;
	b.pidns_owner = -1;
	b.loop = loop_new(&err);
	REQUIRE(b.loop);
	b.link = initlink_new(b.loop, init_fd, NULL, NULL, &err);
	REQUIRE(b.link);
	REQUIRE_OK(roots_open(&b.roots, &err), &err);
	b.jobs = jobs_new(b.loop, b.link, kinds, &err);
	REQUIRE(b.jobs);
	mounts = count_lines("/proc/self/mountinfo");
	fds = count_fds();
	body->fn(&b);
	REQUIRE_EQ(count_lines("/proc/self/mountinfo"), mounts);
	/* the last worker's exit comes after its result */
	for (uint64_t since = monotonic_ns(); count_fds() != fds;) {
		REQUIRE(monotonic_ns() - since < LIMIT_NS || (show_fds() && false));
		REQUIRE_OK(loop_run_once(b.loop, 10, &err), &err);
	}
	REQUIRE_EQ(jobs_running(b.jobs), 0);
	/* the one cgroup that stays for the next container; others' tests may be using it */
	(void)unlinkat(b.roots.cgroup, "pods", AT_REMOVEDIR);
	jobs_free(b.jobs);
	initlink_free(b.link);
	loop_free(b.loop);
	roots_close(&b.roots);
	spec_release_all();
	return 0;
}

void
in_box(box_body *fn)
{
	struct body body = { fn };
	int leaked = -1;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	REQUIRE_EQ(fakeinit_run(run_body, &body, &leaked), 0);
	REQUIRE_EQ(leaked, 0, "%d processes left behind", leaked);
}
