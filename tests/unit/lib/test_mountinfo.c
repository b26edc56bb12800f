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

Test(mountinfo, a_line)
{
	char line[] = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw";
	struct mountinfo m;

	cr_assert(mountinfo_parse(line, &m));
	cr_assert_eq(m.id, 36);
	cr_assert_eq(m.parent, 35);
	cr_assert_str_eq(m.point, "/mnt2");
}

Test(mountinfo, escapes)
{
	char line[] = "1 2 0:1 / /a\\040b\\011c\\012d\\134e\\9\\4 rw - tmpfs x rw";
	struct mountinfo m;

	cr_assert(mountinfo_parse(line, &m));
	cr_assert_str_eq(m.point, "/a b\tc\nd\\e\\9\\4");
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
		cr_assert_not(mountinfo_parse(line, &m), "\"%s\"", bad[i]);
	}
}

Test(mountinfo, the_kernels_own_list_has_the_id_of_a_mount)
{
	struct error err = ERROR_INIT;
	auto_free char *text = mountinfo_read(AT_FDCWD, "/proc/self/mountinfo", &err);
	char *rest = text, *line;
	struct mountinfo m;
	int id = sys_mount_id(AT_FDCWD, "/proc", 0), found = 0;

	cr_assert(text, "%s", err.msg);
	cr_assert(id > 0);
	while ((line = strsep(&rest, "\n")) && *line) {
		cr_assert(mountinfo_parse(line, &m), "%s", line);
		found += m.id == id && strcmp(m.point, "/proc") == 0;
	}
	cr_assert_eq(found, 1);
	cr_assert_eq(sys_mount_id(AT_FDCWD, "/no/such/file", 0), -1);
	cr_assert_null(mountinfo_read(AT_FDCWD, "/no/such/file", &err));
	cr_assert(strstr(err.msg, "/no/such/file"));
}
