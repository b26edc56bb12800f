/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies to a shared directory in which attackers exchange directories with symlinks that lead out
 * of it, all the time. Nothing outside may change. `make soak` makes a million copies.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/sys.h"
#include "tests/support/check.h"
#include "tests/support/orphan.h"
#include "tests/support/soak.h"
#include "tests/unit/agent/files/tree.h"

#define ROUNDS      20000
#define ROUNDS_SOAK 1000000

/* Exchanges pairs of names in dir forever. */
_Noreturn static void
flip(int dir, const char *const pairs[][2], size_t n)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned int i = 0;; i++)
		(void)sys_renameat2(dir, pairs[i % n][0], dir, pairs[i % n][1],
				    SYS_RENAME_EXCHANGE);
}

static void
place_links(const struct tree *t)
{
	char outside[128];

	(void)snprintf(outside, sizeof(outside), "%s/outside", t->dir);
	REQUIRE_EQ(mkdirat(t->shared, "d", 0755), 0);
	REQUIRE_EQ(mkdirat(t->shared, "d/sub", 0755), 0);
	REQUIRE_EQ(symlinkat(outside, t->shared, "d-link"), 0);
	REQUIRE_EQ(symlinkat("../../../outside", t->shared, "d/sub-link"), 0);
	REQUIRE_EQ(symlinkat("../../../../outside/f", t->shared, "d/f-link"), 0);
}

/* Makes the i-th kind of copy. Whether it succeeds depends on the race. */
static bool
copy_one(const struct tree *t, unsigned int i)
{
	static const struct {
		const char *path;
		uint32_t mode;
		const char *data;
	} kinds[] = {
		{ "d/f", S_IFREG | 0666, "evil" },   { "d/sub/f", S_IFREG | 04777, "evil" },
		{ "d/sub", S_IFDIR | 0777, "" },     { "d/sub/f", S_IFLNK | 0777, "/etc/passwd" },
		{ "d/sub", S_IFREG | 0600, "evil" }, { "d/new/x/f", S_IFREG | 0666, "evil" },
		{ "d/sub/sub", S_IFDIR | 0777, "" }, { "d/new", S_IFREG | 0666, "evil" },
		{ "d/sub/f", S_IFDIR | 0777, "" },   { "d/sub", S_IFDIR | 0755, "" },
	};
	struct copy_result r;
	size_t k = i % (sizeof(kinds) / sizeof(kinds[0]));

	return tree_put(t, kinds[k].path, kinds[k].mode, kinds[k].data, &r) == ERROR_OK;
}

Test(files_race, nothing_outside_changes, .timeout = 1800)
{
	static const char *const directories[][2] = { { "d", "d-link" } };
	static const char *const inner[][2] = { { "sub", "sub-link" }, { "f", "f-link" } };
	unsigned int rounds = is_soak() ? (unsigned int)soak_count(ROUNDS_SOAK) : ROUNDS;
	unsigned int succeeded = 0;
	struct tree t;
	pid_t test = getpid(), pids[2];
	int dir;

	tree_make(&t);
	place_links(&t);
	/* by descriptor, so that the attacker does not follow its own link */
	dir = openat(t.shared, "d", O_PATH | O_DIRECTORY | O_CLOEXEC);
	REQUIRE_GE(dir, 0);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		REQUIRE_GE(pids[i], 0);
		if (pids[i] == 0) {
			die_with_parent(test);
			flip(i ? dir : t.shared, i ? inner : directories, i ? 2 : 1);
		}
	}
	for (unsigned int i = 0; i < rounds; i++) {
		succeeded += copy_one(&t, i);
		if (i % 4096 == 0)
			REQUIRE_EQ(tree_canary(&t), t.canary, "changed by round %u", i);
	}
	for (int i = 0; i < 2; i++) {
		REQUIRE_EQ(kill(pids[i], SIGKILL), 0);
		REQUIRE_EQ(waitpid(pids[i], NULL, 0), pids[i]);
	}
	close(dir);
	/* both, or there was no race */
	CHECK(succeeded > 0 && succeeded < rounds, "%u of %u succeeded", succeeded, rounds);
	tree_end(&t);
}
