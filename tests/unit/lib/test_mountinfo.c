/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of mountinfo, and mount ids. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/mountinfo.h"
#include "lib/sys.h"
#include "tests/support/check.h"

Test(mountinfo, a_line)
{
	char line[] = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw";
	struct mountinfo m;

	REQUIRE(mountinfo_parse(line, &m));
	REQUIRE_EQ(m.id, 36);
	REQUIRE_EQ(m.parent, 35);
	REQUIRE_STR(m.point, "/mnt2");
	REQUIRE_STR(m.type, "ext3");
}

Test(mountinfo, escapes)
{
	char line[] = "1 2 0:1 / /a\\040b\\011c\\012d\\134e\\9\\4 rw - tmpfs x rw";
	struct mountinfo m;

	REQUIRE(mountinfo_parse(line, &m));
	REQUIRE_STR(m.point, "/a b\tc\nd\\e\\9\\4");
	REQUIRE_STR(m.type, "tmpfs");
}

Test(mountinfo, no_type)
{
	static const char *const lines[] = { "1 2 0:1 / /a", "1 2 0:1 / /a\\040 rw shared:1",
					     "1 2 0:1 / /a rw -" };

	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		char line[64];
		struct mountinfo m;

		(void)snprintf(line, sizeof(line), "%s", lines[i]);
		REQUIRE(mountinfo_parse(line, &m), "\"%s\"", lines[i]);
		REQUIRE_STR(m.type, "");
	}
}

Test(mountinfo, what_is_no_line)
{
	static const char *const bad[] = { "",
					   "1",
					   "1 2",
					   "1 2 0:1",
					   "1 2 0:1 /",
					   "x 2 0:1 / /",
					   "1 -2 0:1 / /",
					   "99999999999 2 0:1 / /",
					   "1  2 0:1 / /" };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		char line[64];
		struct mountinfo m;

		(void)snprintf(line, sizeof(line), "%s", bad[i]);
		REQUIRE(!mountinfo_parse(line, &m), "\"%s\"", bad[i]);
	}
}

Test(mountinfo, the_kernels_own_list_has_the_id_of_a_mount)
{
	struct error err = ERROR_INIT;
	auto_free char *text = mountinfo_read(AT_FDCWD, "/proc/self/mountinfo", &err);
	char *rest = text, *line;
	struct mountinfo m;
	int id = sys_mount_id(AT_FDCWD, "/proc", 0), found = 0;

	REQUIRE(text, "%s", err.msg);
	REQUIRE_GT(id, 0);
	while ((line = strsep(&rest, "\n")) && *line) {
		REQUIRE(mountinfo_parse(line, &m), "%s", line);
		found += m.id == id && strcmp(m.point, "/proc") == 0;
	}
	REQUIRE_EQ(found, 1);
	REQUIRE_EQ(sys_mount_id(AT_FDCWD, "/no/such/file", 0), -1);
	REQUIRE_EQ(mountinfo_read(AT_FDCWD, "/no/such/file", &err), NULL);
	REQUIRE_HAS(err.msg, "/no/such/file");
}
