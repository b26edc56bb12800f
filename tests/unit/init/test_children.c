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

		cr_assert_eq(e != NULL, there[pid] != 0, "pid %d, step %d", (int)pid, i);
		if (e) {
			cr_assert_eq(e->pid, pid);
			cr_assert_eq(e->status, pid * 3);
		}
		if (is_adding && !e) {
			e = children_add(&c, pid);
			cr_assert_not_null(e);
			cr_assert_eq(e->flags, 0);
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

		cr_assert_eq(e != NULL, there[pid] != 0);
		if (e) {
			e->flags = 0;
			children_drop(&c, e);
		}
	}
	cr_assert_eq(c.used, 0);
	cr_assert_eq(c.slots, c.first, "an empty table gives its memory back");
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
	cr_assert_not_null(children_find(&c, 5));
	e->owed = 0;
	children_drop(&c, e);
	cr_assert_null(children_find(&c, 5));
	cr_assert_null(children_find(&c, 0));
	cr_assert_null(children_find(&c, -1));
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
	MUST(setrlimit(RLIMIT_AS, &none) == 0);
	while (children_add(&c, pid))
		pid++;
	MUST(pid == CHILDREN_STATIC);
	for (pid_t p = 1; p < pid; p++)
		MUST(children_find(&c, p));
	MUST(!children_find(&c, pid));
	children_drop(&c, children_find(&c, 17));
	MUST(children_add(&c, pid));
	_exit(0);
}

Test(children, refuses_when_full)
{
	pid_t pid = fork();
	int status;

	cr_assert(pid >= 0);
	if (pid == 0)
		fill_without_memory();
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}
