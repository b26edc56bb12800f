/* SPDX-License-Identifier: Apache-2.0 */
/* Each kind of undo record on the real thing: mounts, trees, cgroups, processes. Needs root. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/magic.h>

#include "agent/cgroup/cgroup.h"
#include "agent/job/steps.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "tests/support/check.h"
#include "tests/unit/agent/job/bench.h"

static char dir[] = "/tmp/test-undo-XXXXXX";

static void
make_dir(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	REQUIRE(mkdtemp(dir));
}

static void
remove_dir(void)
{
	(void)rmdir(dir);
}

/* ---- mounts ---- */

static int
new_tmpfs(void)
{
	auto_close int fs = sys_fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0 || sys_fsconfig(fs, SYS_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return sys_fsmount(fs, FSMOUNT_CLOEXEC, 0);
}

static int
work_mounts(struct worker *w, void *arg, struct error *err)
{
	auto_close int top = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)arg;
	if (worker_mkdir(w, top, "mount", 0755, NULL, err) < 0)
		return -1;
	/* Two of them, one upon the other. */
	for (int i = 0; i < 2; i++) {
		auto_close int point = openat(top, "mount", O_PATH | O_DIRECTORY | O_CLOEXEC);
		auto_close int tree = new_tmpfs();

		if (worker_mount(w, tree, point, "a tmpfs", NULL, err) < 0)
			return -1;
	}
	/* In use: the mount is still detached. */
	if (fchdir(top) < 0 || chdir("mount") < 0 || mknod("busy", S_IFREG | 0600, 0) < 0)
		return error_sys(err, "chdir");
	return error_set(err, ERROR_ABORTED, "as told");
}

static int
body_mounts(int fd, void *data)
{
	struct bench b;

	(void)data;
	REQUIRE_EQ(unshare(CLONE_NEWNS), 0);
	REQUIRE_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	bench_init(&b, fd);
	start(&b, OPS(work_mounts), NULL, 0, 0);
	run_until(&b, 1);
	if (b.last.code != ERROR_ABORTED)
		fprintf(stderr, "%s\n", b.last.msg);
	REQUIRE_EQ(b.last.code, ERROR_ABORTED);
	REQUIRE_EQ(rmdir(dir), 0);
	bench_release(&b);
	return 0;
}

Test(undo, mounts, .init = make_dir, .fini = remove_dir)
{
	in_agent(body_mounts);
}

/* ---- cgroups ---- */

/* Its parents go with it, but for the first. */
#define TOP    "top"
#define PARENT TOP "/a"
#define CGROUP PARENT "/b"

static int
work_cgroup(struct worker *w, void *arg, struct error *err)
{
	int root = *(int *)arg, ready[2];
	struct clone_args args = { .flags = CLONE_PARENT };
	char byte;
	pid_t pid;

	const struct undo undo = { .kind = &undo_cgroup, .fd = root, .name = CGROUP };

	if (worker_step(w, &undo, err) < 0)
		return -1;
	if (mkdirat(root, TOP, 0755) < 0 || mkdirat(root, PARENT, 0755) < 0 ||
	    mkdirat(root, CGROUP, 0755) < 0 || mkdirat(root, CGROUP "/below", 0755) < 0 ||
	    mkdirat(root, CGROUP "/below/it", 0755) < 0 || pipe2(ready, O_CLOEXEC) < 0)
		return error_sys(err, "make cgroups");
	pid = sys_clone3(&args);
	if (pid == 0) {
		(void)close(worker_fd(w));
		if (write_text_at(root, CGROUP "/below/it/cgroup.procs", "0") < 0)
			_exit(1);
		(void)!write(ready[1], "x", 1);
		for (;;)
			pause();
	}
	(void)close(ready[1]);
	if (pid < 0 || read(ready[0], &byte, 1) != 1)
		return error_sys(err, "start a process in the cgroup");
	return error_set(err, ERROR_ABORTED, "as told");
}

static int
cgroup_root(void)
{
	static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		int fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd >= 0 && fd_is_fstype(fd, CGROUP2_SUPER_MAGIC))
			return fd;
		close_fd(&fd);
	}
	return -1;
}

static int
body_cgroup(int fd, void *data)
{
	static const struct undo_kind *const kinds[] = { &undo_cgroup, NULL };
	struct bench b;
	int root = *(int *)data;
	struct job_spec spec = { .ops = OPS(work_cgroup),
				 .arg = &root,
				 .data = &b,
				 .keep_fds = &root,
				 .n_keep_fds = 1 };
	struct error err = ERROR_INIT;

	bench_init(&b, fd);
	jobs_free(b.jobs);
	b.jobs = jobs_new(b.loop, b.link, kinds, &err);
	REQUIRE(b.jobs);
	REQUIRE(job_start(b.jobs, &spec, &err));
	run_until(&b, 1);
	if (b.last.code != ERROR_ABORTED)
		fprintf(stderr, "%s\n", b.last.msg);
	REQUIRE_EQ(b.last.code, ERROR_ABORTED);
	REQUIRE_LT(faccessat(root, PARENT, F_OK, 0), 0);
	REQUIRE_EQ(unlinkat(root, TOP, AT_REMOVEDIR), 0);
	bench_release(&b);
	return 0;
}

Test(undo, cgroups, .init = make_dir, .fini = remove_dir)
{
	auto_close int parent = cgroup_root();
	char own[64];
	int root;

	/* Other clones run this test, too. */
	(void)snprintf(own, sizeof(own), "tatami-test-undo-%d", (int)getpid());
	if (parent < 0 || mkdirat(parent, own, 0755) < 0)
		cr_skip_test("no cgroup v2 to write to");
	root = openat(parent, own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_GE(root, 0);
	CHECK_EQ(fakeinit_run(body_cgroup, &root, NULL), 0);
	close_fd(&root);
	CHECK_EQ(unlinkat(parent, own, AT_REMOVEDIR), 0);
}
