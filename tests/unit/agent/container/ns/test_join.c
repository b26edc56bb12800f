/* SPDX-License-Identifier: Apache-2.0 */
/* Joining namespaces by path: those of a process, and files to which a namespace is bound. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/support/orphan.h"
#include "tests/unit/agent/container/box.h"
#include "tests/unit/agent/container/spec.h"

/* Starts a process in new namespaces and waits until it is ready; it is killed with the test. */
static pid_t
start_holder(int flags)
{
	int ready[2];
	pid_t test = getpid(), pid;
	char byte;

	REQUIRE_EQ(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	REQUIRE_GE(pid, 0);
	if (pid == 0) {
		die_with_parent(test);
		if (unshare(flags) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	REQUIRE_EQ(read(ready[0], &byte, 1), 1);
	close_fd(&ready[0]);
	close_fd(&ready[1]);
	return pid;
}

static void
stop_holder(pid_t pid)
{
	REQUIRE_EQ(kill(pid, SIGKILL), 0);
	REQUIRE_EQ(waitpid(pid, NULL, 0), pid);
}

static const char *
ns_of(pid_t pid, const char *file)
{
	static char text[64];
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, file);
	n = readlink(path, text, sizeof(text) - 2);
	REQUIRE_GT(n, 0);
	text[n] = '\n';
	text[n + 1] = '\0';
	return text;
}

static void
set_path(Grpc__Spec *s, const char *type, const char *path)
{
	for (size_t i = 0; i < s->linux->n_namespaces; i++) {
		if (strcmp(s->linux->namespaces[i]->type, type) == 0)
			s->linux->namespaces[i]->path = (char *)(uintptr_t)path;
	}
}

/* A mount namespace by path gets the container's root. */
static void
body_mounts(struct box *b)
{
	pid_t holder = start_holder(CLONE_NEWNS);
	Grpc__Spec *s = spec_new(BOX_ROOT);
	struct box_container c;
	struct box_process p;
	Grpc__Process *x = spec_exec();
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)holder);
	set_path(s, "mount", path);
	spec_sh(s->process, "readlink /proc/self/ns/mnt; ls -d /box; sleep 100");
	/* The agent's directory, in which the root is attached, is visible in the namespace and
	 * not shared. */
	REQUIRE_EQ(box_launch(b, &c, "c1", s), 0);
	box_start(&c);
	box_expect(b, &c.init, ns_of(holder, "mnt"));
	spec_sh(x, "readlink /proc/self/ns/mnt; ls /box");
	REQUIRE_EQ(box_exec(b, &c, x, &p), 0);
	REQUIRE_NE(box_wait(b, &p), 0);
	REQUIRE_HAS(p.output, ns_of(holder, "mnt"));
	REQUIRE_HAS(p.output, "/box: No such file");
	box_remove(b, &c);
	/* The guest is unchanged; its own namespace is refused. */
	REQUIRE(box_exists(BOX_ROOT "/bin/busybox"));
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)getpid());
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "the guest's own");
	stop_holder(holder);
}

Test(join, mounts)
{
	in_box(body_mounts);
}

/* A namespace bound to a file, as by ip-netns(8). */
static void
body_bound(struct box *b)
{
	pid_t holder = start_holder(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWNS);
	Grpc__Spec *s = spec_new(BOX_ROOT);
	char source[64];

	box_write("/box/net", "");
	snprintf(source, sizeof(source), "/proc/%d/ns/net", (int)holder);
	REQUIRE_EQ(mount(source, "/box/net", NULL, MS_BIND, NULL), 0);
	spec_namespace(s, "network", "/box/net");
	box_sh(b, s, "readlink /proc/self/ns/net", ns_of(holder, "net"));
	/* Through a link, too, but not through a magic link of procfs. */
	REQUIRE_EQ(symlink("net", "/box/link"), 0);
	set_path(s, "network", "/box/link");
	box_sh(b, s, "readlink /proc/self/ns/net", ns_of(holder, "net"));
	REQUIRE_EQ(unlink("/box/link"), 0);
	REQUIRE_EQ(symlink(source, "/box/link"), 0);
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "/box/link");
	REQUIRE_EQ(umount2("/box/net", MNT_DETACH), 0);
	set_path(s, "network", "/box/net");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "is not a namespace");
	stop_holder(holder);
}

Test(join, bound_files)
{
	in_box(body_bound);
}
