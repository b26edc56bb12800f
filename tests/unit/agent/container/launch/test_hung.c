/* SPDX-License-Identifier: Apache-2.0 */
/* Removal of a container with a process that hangs: it waits for a FUSE server that has taken its
 * request and does not answer, and no signal ends that. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fuse.h>

#include "agent/cgroup/cgroup.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/container/box.h"
#include "tests/unit/agent/container/spec.h"

#define SHARE BOX_ROOT "/share"

/* Mounts a file system whose server is this process. Returns its descriptor, or -1 if the machine
 * has no FUSE. */
static int
share_mount(void)
{
	char options[96], request[FUSE_MIN_READ_BUFFER];
	struct {
		struct fuse_out_header header;
		struct fuse_init_out init;
	} reply = { .header = { .len = sizeof(reply) },
		    .init = { .major = FUSE_KERNEL_VERSION,
			      .minor = FUSE_KERNEL_MINOR_VERSION,
			      .max_write = 4096 } };
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -1;
	REQUIRE_EQ(mkdir(SHARE, 0755), 0);
	(void)snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	REQUIRE_EQ(mount("share", SHARE, "fuse", 0, options), 0, "%s", strerror(errno));
	REQUIRE_GT(read(fd, request, sizeof(request)), 0);
	reply.header.unique = ((struct fuse_in_header *)(void *)request)->unique;
	REQUIRE_EQ(write(fd, &reply, sizeof(reply)), (ssize_t)sizeof(reply));
	return fd;
}

static void
body_left(struct box *b)
{
	struct box_container c;
	Grpc__Spec *s = spec_new(BOX_ROOT);
	struct hung_cgroups hung = { 0 };
	char request[FUSE_MIN_READ_BUFFER];
	int fd = share_mount(), sys = b->roots.sys;

	if (fd < 0)
		return;
	/* No disks of the machine are flushed. */
	b->roots.sys = open("/box", O_PATH | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_GE(b->roots.sys, 0);
	spec_sh(s->process, "stat /share/x");
	REQUIRE_EQ(box_launch(b, &c, "c1", s), 0, "%s", b->error.msg);
	box_start(&c);
	/* Its request is taken: it hangs from now on. */
	REQUIRE_GT(read(fd, request, sizeof(request)), 0);
	REQUIRE_EQ(box_try_remove(b, &c, &hung), 0, "%s", b->error.msg);
	REQUIRE_EQ(hung.n, 1);
	REQUIRE_STR(hung.path[0], c.cgroup_path);
	REQUIRE(cgroup_is_populated(b->roots.cgroup, c.cgroup_path));
	/* The next removal takes its cgroup away, once it has ended. */
	REQUIRE_EQ(close(fd), 0);
	(void)box_wait(b, &c.init);
	REQUIRE_EQ(box_try_remove(b, &c, &hung), 0, "%s", b->error.msg);
	REQUIRE_EQ(hung.n, 0);
	box_remove(b, &c);
	REQUIRE_EQ(close(b->roots.sys), 0);
	b->roots.sys = sys;
	(void)umount2(SHARE, MNT_DETACH);
	REQUIRE_EQ(rmdir(SHARE), 0);
}

Test(hung, a_process_that_hangs_is_left_behind, .timeout = 120)
{
	in_box(body_left);
}
