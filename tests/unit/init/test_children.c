/* SPDX-License-Identifier: Apache-2.0 */
/* The table of registered processes compared with an array: growth, deletion, and lack of
 * memory. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/children.h"
#include "tests/support/check.h"
#include "tests/unit/init/sandbox.h"

#define PIDS 8192

Test(children, agrees_with_an_array)
{
	static uint8_t there[PIDS + 1];
	static struct children c;
	unsigned int seed = 7;

	children_init(&c);
	for (int i = 0; i < 400000; i++) {
		/* Alternates between adding and removing; pids collide in small tables. */
		pid_t pid = 1 + rand_r(&seed) % PIDS;
		bool is_adding = rand_r(&seed) % 100 < ((i / 40000) % 2 ? 20 : 80);
		struct child_entry *e = children_find(&c, pid);

		REQUIRE_EQ(e != NULL, there[pid] != 0, "pid %d, step %d", (int)pid, i);
		if (e) {
			REQUIRE_EQ(e->pid, pid);
			REQUIRE_EQ(e->status, pid * 3);
		}
		if (is_adding && !e) {
			e = children_add(&c, pid);
			REQUIRE(e);
			REQUIRE_EQ(e->flags, 0);
			e->flags = CHILD_LIVE;
			e->status = pid * 3;
			there[pid] = 1;
		} else if (!is_adding && e) {
			e->flags = 0;
			children_drop(&c, e);
			there[pid] = 0;
		}
	}
	for (pid_t pid = 1; pid <= PIDS; pid++) {
		struct child_entry *e = children_find(&c, pid);

		REQUIRE_EQ(e != NULL, there[pid] != 0);
		if (e) {
			e->flags = 0;
			children_drop(&c, e);
		}
	}
	REQUIRE_EQ(c.used, 0);
	REQUIRE_EQ(c.slots, c.first, "an empty table gives its memory back");
	children_release(&c);
}

Test(children, keeps_what_is_owed)
{
	struct children c;
	struct child_entry *e;

	children_init(&c);
	e = children_add(&c, 5);
	e->owed = 1;
	children_drop(&c, e);
	REQUIRE(children_find(&c, 5));
	e->owed = 0;
	children_drop(&c, e);
	REQUIRE_EQ(children_find(&c, 5), NULL);
	REQUIRE_EQ(children_find(&c, 0), NULL);
	REQUIRE_EQ(children_find(&c, -1), NULL);
	children_release(&c);
}

/* Without memory to grow the table fills up and rejects new entries; existing ones are still
 * found. */
static void
fill_without_memory(void)
{
	struct rlimit none = { 0, 0 };
	struct children c;
	pid_t pid = 1;

	children_init(&c);
	REQUIRE_EQ(setrlimit(RLIMIT_AS, &none), 0);
	while (children_add(&c, pid))
		pid++;
	REQUIRE_EQ(pid, CHILDREN_STATIC);
	for (pid_t p = 1; p < pid; p++)
		REQUIRE(children_find(&c, p));
	REQUIRE(!children_find(&c, pid));
	children_drop(&c, children_find(&c, 17));
	REQUIRE(children_add(&c, pid));
	_exit(0);
}

Test(children, refuses_when_full)
{
	pid_t pid = fork();
	int status;

	REQUIRE_GE(pid, 0);
	if (pid == 0)
		fill_without_memory();
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	REQUIRE_EQ(status, 0);
}
