/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of bind mounts in directories that a container may change. Needs root. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/unit/agent/container/box.h"
#include "tests/unit/agent/container/spec.h"

/* A directory of a volume that another container has replaced by a link: as a source it would
 * show whatever the link names, another container's volume for instance. */
static void
body_source_link(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);
	struct box_container c;

	REQUIRE_EQ(mkdir("/box/volume", 0755), 0);
	REQUIRE_EQ(mkdir("/box/secret", 0755), 0);
	REQUIRE_EQ(mount("volume", "/box/volume", "tmpfs", 0, NULL), 0);
	REQUIRE_EQ(mkdir("/box/volume/real", 0755), 0);
	REQUIRE_EQ(symlink("../secret", "/box/volume/sub"), 0);
	spec_mount(s, "/vol", "bind", "/box/volume/sub", "rbind");
	REQUIRE_LT(box_launch(b, &c, "c1", s), 0);
	REQUIRE_EQ(b->error.code, ERROR_INVALID_ARGUMENT);
	REQUIRE_HAS(b->error.msg, "symbolic link");
	b->error = ERROR_INIT;
	s = spec_new(BOX_ROOT);
	spec_mount(s, "/vol", "bind", "/box/volume/real", "rbind");
	REQUIRE_EQ(box_launch(b, &c, "c1", s), 0);
	box_remove(b, &c);
	REQUIRE_EQ(umount2("/box/volume", MNT_DETACH), 0);
}

Test(source, through_a_link_in_a_volume)
{
	in_box(body_source_link);
}
