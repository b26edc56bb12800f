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

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "tests/unit/job/bench.h"

static char dir[] = "/tmp/test-undo-XXXXXX";

static void
make_dir(void)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	cr_assert(mkdtemp(dir));
}

static void
remove_dir(void)
{
	(void)rmdir(dir);
}

/* ---- mounts and trees ---- */

static int
make_at(const char *name, mode_t mode, struct error *err)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return mknod(path, mode, 0) < 0 ? error_sys(err, "make %s", path) : 0;
}

static int
work_mounts(struct worker *w, void *arg, struct error *err)
{
	char path[64];

	(void)arg;
	(void)snprintf(path, sizeof(path), "%s/tree", dir);
	if (worker_step_path(w, UNDO_REMOVE_TREE, err, "%s", path) < 0)
		return -1;
	if (mkdir(path, 0755) < 0)
		return error_sys(err, "mkdir");
	if (make_at("tree/file", S_IFREG | 0600, err) < 0 ||
	    make_at("tree/fifo", S_IFIFO | 0600, err) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/tree/mount", dir);
	if (mkdir(path, 0755) < 0)
		return error_sys(err, "mkdir");
	/* Two of them, one upon the other. */
	for (int i = 0; i < 2; i++) {
		if (worker_step_path(w, UNDO_UMOUNT, err, "%s", path) < 0)
			return -1;
		if (mount("tmpfs", path, "tmpfs", 0, NULL) < 0)
			return error_sys(err, "mount");
	}
	/* In use: the mount goes all the same. */
	if (chdir(path) < 0 || make_at("tree/mount/busy", S_IFREG | 0600, err) < 0)
		return error_sys(err, "chdir");
	return error_set(err, ERROR_ABORTED, "as told");
}

static int
body_mounts(int fd, void *data)
{
	struct bench b;

	(void)data;
	CHECK(unshare(CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	bench_init(&b, fd);
	start(&b, OPS(work_mounts), NULL, 0, 0);
	run_until(&b, 1);
	if (b.last.code != ERROR_ABORTED)
		fprintf(stderr, "%s\n", b.last.msg);
	CHECK(b.last.code == ERROR_ABORTED);
	CHECK(rmdir(dir) == 0);
	bench_release(&b);
	return 0;
}

Test(undo, mounts_and_trees, .init = make_dir, .fini = remove_dir)
{
	in_agent(body_mounts);
}

/* ---- cgroups ---- */

#define CGROUP "tatami-test-undo"

static int
work_cgroup(struct worker *w, void *arg, struct error *err)
{
	int root = *(int *)arg, ready[2];
	struct clone_args args = { .flags = CLONE_PARENT };
	char byte;
	pid_t pid;

	if (worker_step_path(w, UNDO_CGROUP, err, CGROUP) < 0)
		return -1;
	if (mkdirat(root, CGROUP, 0755) < 0 || mkdirat(root, CGROUP "/below", 0755) < 0 ||
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
	b.jobs = jobs_new(b.loop, b.link, root, &err);
	CHECK(b.jobs);
	CHECK(job_start(b.jobs, &spec, &err));
	run_until(&b, 1);
	if (b.last.code != ERROR_ABORTED)
		fprintf(stderr, "%s\n", b.last.msg);
	CHECK(b.last.code == ERROR_ABORTED);
	CHECK(faccessat(root, CGROUP, F_OK, 0) < 0);
	bench_release(&b);
	return 0;
}

Test(undo, cgroups, .init = make_dir, .fini = remove_dir)
{
	int root = cgroup_root();

	if (root < 0 || mkdirat(root, CGROUP ".probe", 0755) < 0)
		cr_skip_test("no cgroup v2 to write to");
	(void)unlinkat(root, CGROUP ".probe", AT_REMOVEDIR);
	cr_expect_eq(fakeinit_run(body_cgroup, &root, NULL), 0);
	close_fd(&root);
}
