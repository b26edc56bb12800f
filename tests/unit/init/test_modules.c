/* SPDX-License-Identifier: Apache-2.0 */
/* The list of kernel modules, and malformed lists. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "init/modules.h"
#include "lib/log.h"
#include "lib/modtree.h"
#include "tests/support/check.h"

struct seen {
	char text[4096];
};

static void
note(unsigned int line, const char *path, const char *params, void *data)
{
	struct seen *seen = data;
	size_t n = strlen(seen->text);

	(void)snprintf(seen->text + n, sizeof(seen->text) - n, "%u|%s|%s;", line, path, params);
}

static void
check(const char *name, const char *list, size_t len, const char *expected)
{
	struct seen seen = { "" };
	int fd = memfd_create("modules", MFD_CLOEXEC);

	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(write(fd, list, len), (ssize_t)len);
	REQUIRE_EQ(lseek(fd, 0, SEEK_SET), 0);
	REQUIRE_EQ(modules_parse(fd, note, &seen), 0);
	CHECK_STR(seen.text, expected, "%s: %s", name, seen.text);
	(void)close(fd);
}

static bool
drop(const char *line, size_t len, void *data)
{
	(void)line;
	(void)len;
	(void)data;
	return true;
}

Test(modules, parses_lists)
{
	static const struct {
		const char *name, *list, *expected;
	} rows[] = {
		{ "empty", "", "" },
		{ "one", "/m/a.ko\n", "1|/m/a.ko|;" },
		{ "no newline at the end", "/m/a.ko\n/m/b.ko", "1|/m/a.ko|;2|/m/b.ko|;" },
		{ "parameters", "/m/a.ko  x=1 y=\"2 3\" \t\r\n", "1|/m/a.ko|x=1 y=\"2 3\";" },
		{ "comments", "# one\n\n  \t\n  # two\n/m/a.ko.xz\n", "5|/m/a.ko.xz|;" },
		{ "relative", "m/a.ko\n/m/b.ko\n", "2|/m/b.ko|;" },
		{ "leading blanks", " \t/m/a.ko\n", "1|/m/a.ko|;" },
	};

	log_set_sink(drop, NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(rows[i].name, rows[i].list, strlen(rows[i].list), rows[i].expected);
	check("NUL", "/m/a\0b.ko\n/m/c.ko\n", 18, "1|/m/a?b.ko|;2|/m/c.ko|;");
}

Test(modules, skips_lines_that_are_too_long)
{
	char list[6000];
	struct seen seen = { "" };
	char path[1023];

	log_set_sink(drop, NULL);
	memset(list, 'a', sizeof(list));
	list[0] = '/';
	memcpy(list + 4000, "\n/m/b.ko\n/", 10);
	check("long line between, long line last", list, sizeof(list), "2|/m/b.ko|;");
	/* The longest valid line: 1023 bytes. */
	memset(path, 'p', sizeof(path));
	path[0] = '/';
	memcpy(list, path, sizeof(path));
	list[sizeof(path)] = '\n';
	(void)snprintf(seen.text, sizeof(seen.text), "1|%.*s|;", (int)sizeof(path), path);
	check("longest line", list, sizeof(path) + 1, seen.text);
}

Test(modules, knows_packed_ones)
{
	CHECK_EQ(modtree_flags("/m/a.ko"), 0);
	CHECK_EQ(modtree_flags("/m/a.ko.xz"), 4);
	CHECK_EQ(modtree_flags("/m/a.ko.zst"), 4);
	CHECK_EQ(modtree_flags("/m/a.ko.gz"), 4);
	CHECK_EQ(modtree_flags("/m/a.xz.ko"), 0);
	CHECK_EQ(modtree_flags(".xz"), 0);
}

Test(modules, no_list_is_no_failure)
{
	unsigned int failed = 9;

	log_set_sink(drop, NULL);
	CHECK_EQ(modules_load("/nonexistent/modules", &failed), 0u);
	CHECK_EQ(failed, 0u);
}

Test(modules, goes_on_after_a_failure)
{
	char name[] = "/tmp/tatami-modules-XXXXXX";
	int fd = mkstemp(name);
	unsigned int failed = 0;

	log_set_sink(drop, NULL);
	REQUIRE_GE(fd, 0);
	REQUIRE_GT(dprintf(fd, "/nonexistent/a.ko\n/nonexistent/b.ko.xz\n"), 0);
	CHECK_EQ(modules_load(name, &failed), 0u);
	CHECK_EQ(failed, 2u);
	(void)unlink(name);
	(void)close(fd);
}
