/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's side with real workers: order, parts, invalid requests, and the death of a worker. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "agent/job/initlink.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "tests/support/check.h"
#include "tests/support/fakeinit.h"
#include "tests/unit/agent/files/tree.h"

#define MANY 2000

/* The number of further calls of send(2) that fail with EINTR. */
static int interruptions;

/* Replaces the function of the C library. */
ssize_t
send(int fd, const void *bytes, size_t n, int flags)
{
	if (interruptions > 0) {
		interruptions--;
		errno = EINTR;
		return -1;
	}
	return sendto(fd, bytes, n, flags, NULL, 0);
}

struct bench {
	struct tree t;
	struct loop *loop;
	struct initlink *link;
	struct jobs *jobs;
	struct roots roots;
	struct copies *copies;
	unsigned int ended, failed;
	struct error last;
};

static void
on_done(const struct error *err, void *data)
{
	struct bench *b = data;

	b->ended++;
	b->failed += err->code != ERROR_OK;
	b->last = *err;
}

static void
run_until(struct bench *b, unsigned int ended)
{
	struct error err = ERROR_INIT;
	uint64_t limit = deadline_in(30000);

	while (b->ended < ended) {
		REQUIRE(!deadline_is_over(limit));
		REQUIRE_OK(loop_run_once(b->loop, 1000, &err), &err);
	}
}

static void
run_for(struct bench *b, uint64_t ms)
{
	struct error err = ERROR_INIT;
	uint64_t end = deadline_in(ms);

	while (!deadline_is_over(end))
		REQUIRE_OK(loop_run_once(b->loop, 10, &err), &err);
}

static struct pending *
submit(struct bench *b, const char *name, uint32_t mode, int64_t size, int64_t offset,
       const char *data)
{
	static char path[PATH_MAX + 128];
	struct copy_part part = { .path = path,
				  .file_mode = mode,
				  .uid = -1,
				  .gid = -1,
				  .file_size = size,
				  .offset = offset,
				  .len = strlen(data),
				  .data = (const uint8_t *)data };

	(void)snprintf(path, sizeof(path), "%s%s", COPY_DIR, name);
	b->last = ERROR_INIT;
	return copies_submit(b->copies, &part, on_done, b, &b->last);
}

/* Submits a part and waits for it. Returns its error code. */
static enum error_code
copy(struct bench *b, const char *name, uint32_t mode, int64_t size, int64_t offset,
     const char *data)
{
	if (submit(b, name, mode, size, offset, data))
		run_until(b, b->ended + 1);
	return b->last.code;
}

static void
bench_init(struct bench *b, int init_fd)
{
	struct error err = ERROR_INIT;

	memset(b, 0, sizeof(*b));
	(void)signal(SIGPIPE, SIG_IGN);
	tree_make(&b->t);
	b->loop = loop_new(&err);
	REQUIRE(b->loop);
	b->link = initlink_new(b->loop, init_fd, NULL, NULL, &err);
	REQUIRE(b->link);
	b->jobs = jobs_new(b->loop, b->link, NULL, &err);
	REQUIRE(b->jobs);
	b->roots = (struct roots){
		.proc = b->t.proc, .sys = -1, .dev = -1, .cgroup = -1, .run = b->t.run, .root = -1
	};
	b->copies = copies_new(b->loop, b->jobs, &b->roots, &err);
	REQUIRE(b->copies);
}

static void
bench_release(struct bench *b)
{
	uint64_t limit = deadline_in(10000);
	struct error err = ERROR_INIT;

	/* the workers exit when they are idle */
	while (jobs_running(b->jobs) > 0) {
		REQUIRE(!deadline_is_over(limit));
		REQUIRE_OK(loop_run_once(b->loop, 100, &err), &err);
	}
	jobs_free(b->jobs);
	copies_free(b->copies);
	initlink_free(b->link);
	loop_free(b->loop);
	REQUIRE_EQ(tree_canary(&b->t), b->t.canary);
	tree_end(&b->t);
}

static void
in_agent(fakeinit_body *body)
{
	int leaked = -1;

	REQUIRE_EQ(fakeinit_run(body, NULL, &leaked), 0);
	REQUIRE_EQ(leaked, 0, "%d processes left behind", leaked);
}

#define AGENT_TEST(name)                                    \
	static void body_##name(struct bench *b);           \
	static int in_agent_##name(int init_fd, void *data) \
	{                                                   \
		static struct bench b;                      \
                                                            \
		(void)data;                                 \
		bench_init(&b, init_fd);                    \
		body_##name(&b);                            \
		bench_release(&b);                          \
		return 0;                                   \
	}                                                   \
	Test(files_copies, name)                            \
	{                                                   \
		in_agent(in_agent_##name);                  \
	}                                                   \
	static void body_##name(struct bench *b)

AGENT_TEST(parts_in_any_size_and_order_become_the_file)
{
	REQUIRE_EQ(copy(b, "a", S_IFREG | 0600, 9, 0, "abc"), ERROR_OK);
	REQUIRE_EQ(tree_mode(&b->t, "a"), 0);
	REQUIRE_EQ(tree_temps(&b->t, "."), 1);
	REQUIRE_EQ(copies_unfinished(b->copies), 1);
	REQUIRE_EQ(copy(b, "a", S_IFREG | 0600, 9, 6, "ghi"), ERROR_OK);
	REQUIRE_EQ(tree_mode(&b->t, "a"), 0);
	REQUIRE_EQ(copy(b, "a", S_IFREG | 0604, 9, 2, "cdef"), ERROR_OK);
	REQUIRE(tree_has(&b->t, "a", "abcdefghi"));
	REQUIRE_EQ(tree_mode(&b->t, "a"), S_IFREG | 0604);
	REQUIRE_EQ(tree_temps(&b->t, "."), 0);
	REQUIRE_EQ(copies_unfinished(b->copies), 0);
	/* whole, and empty */
	REQUIRE_EQ(copy(b, "a", S_IFREG | 0600, 3, 0, "new"), ERROR_OK);
	REQUIRE(tree_has(&b->t, "a", "new"));
	REQUIRE_EQ(copy(b, "a", S_IFREG | 0600, 0, 0, ""), ERROR_OK);
	REQUIRE(tree_has(&b->t, "a", ""));
}

AGENT_TEST(interrupted_send_is_repeated)
{
	interruptions = 3;
	REQUIRE_EQ(copy(b, "a", S_IFREG | 0600, 3, 0, "abc"), ERROR_OK);
	REQUIRE_EQ(interruptions, 0);
	REQUIRE(tree_has(&b->t, "a", "abc"));
}

AGENT_TEST(files_that_differ_in_the_extension_are_separate)
{
	REQUIRE_EQ(copy(b, "x.conf", S_IFREG | 0600, 4, 0, "AA"), ERROR_OK);
	REQUIRE_EQ(copy(b, "x.key", S_IFREG | 0600, 4, 0, "BB"), ERROR_OK);
	REQUIRE_EQ(copy(b, "x.conf", S_IFREG | 0600, 4, 2, "aa"), ERROR_OK);
	REQUIRE_EQ(copy(b, "x.key", S_IFREG | 0600, 4, 2, "bb"), ERROR_OK);
	REQUIRE(tree_has(&b->t, "x.conf", "AAaa") && tree_has(&b->t, "x.key", "BBbb"));
}

AGENT_TEST(second_part_at_offset_0_starts_over)
{
	REQUIRE_EQ(copy(b, "a", S_IFREG | 0600, 6, 0, "old"), ERROR_OK);
	REQUIRE_EQ(copy(b, "a", S_IFREG | 0600, 6, 0, "new"), ERROR_OK);
	REQUIRE_EQ(copy(b, "a", S_IFREG | 0600, 6, 3, "er!"), ERROR_OK);
	REQUIRE(tree_has(&b->t, "a", "newer!"));
	/* another size, another kind */
	REQUIRE_EQ(copy(b, "d/a", S_IFREG | 0600, 6, 0, "old"), ERROR_OK);
	REQUIRE_EQ(copy(b, "d/a", S_IFREG | 0600, 2, 0, "ok"), ERROR_OK);
	REQUIRE_EQ(copy(b, "d/b", S_IFREG | 0600, 6, 0, "old"), ERROR_OK);
	REQUIRE_EQ(copy(b, "d/b", S_IFLNK, 1, 0, "a"), ERROR_OK);
	REQUIRE_EQ(copy(b, "d/c", S_IFREG | 0600, 6, 0, "old"), ERROR_OK);
	REQUIRE_EQ(copy(b, "d/c", S_IFDIR | 0700, 0, 0, ""), ERROR_OK);
	REQUIRE_EQ(tree_names(&b->t, "d"), 3);
	REQUIRE_EQ(copies_unfinished(b->copies), 0);
}

AGENT_TEST(part_without_a_copy_is_refused)
{
	REQUIRE_EQ(copy(b, "a", S_IFREG, 3, 1, "x"), ERROR_FAILED_PRECONDITION);
}

AGENT_TEST(invalid_requests_are_refused)
{
	static const uint32_t types[] = { 0, S_IFBLK, S_IFCHR, S_IFSOCK, S_IFIFO, S_IFMT };
	static const char *const paths[] = {
		"", ".", "..", "/", "a/../b", "./a", "a/.", "a/..", "../containers/a", "a/",
	};
	char name[NAME_MAX + 8];

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		REQUIRE_EQ(copy(b, "t", types[i] | 0600, 1, 0, "x"), ERROR_INVALID_ARGUMENT);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		REQUIRE_EQ(copy(b, paths[i], S_IFREG | 0600, 1, 0, "x"), ERROR_INVALID_ARGUMENT);
	REQUIRE_EQ(copy(b, "a", S_IFREG, 1, -1, "x"), ERROR_INVALID_ARGUMENT);
	REQUIRE_EQ(copy(b, "a", S_IFREG, -1, 0, ""), ERROR_INVALID_ARGUMENT);
	REQUIRE_EQ(copy(b, "a", S_IFREG, 3, 3, "x"), ERROR_INVALID_ARGUMENT);
	REQUIRE_EQ(copy(b, "a", S_IFREG, INT64_MAX, INT64_MAX, "x"), ERROR_INVALID_ARGUMENT);
	REQUIRE_EQ(copy(b, "a", S_IFLNK, 0, 0, ""), ERROR_INVALID_ARGUMENT);
	REQUIRE_EQ(copy(b, "a", S_IFREG, 3, 1, "x"), ERROR_FAILED_PRECONDITION);
	memset(name, 'n', sizeof(name));
	name[NAME_MAX] = '\0';
	REQUIRE_EQ(copy(b, name, S_IFREG | 0600, 1, 0, "x"), ERROR_OK);
	REQUIRE(tree_has(&b->t, name, "x"));
	name[NAME_MAX] = 'n';
	name[NAME_MAX + 1] = '\0';
	REQUIRE_EQ(copy(b, name, S_IFREG | 0600, 1, 0, "x"), ERROR_INVALID_ARGUMENT);
	/* extra slashes are ignored */
	REQUIRE_EQ(copy(b, "d//e///", S_IFDIR | 0700, 0, 0, ""), ERROR_OK);
	REQUIRE_EQ(tree_mode(&b->t, "d/e"), S_IFDIR | 0700);
	REQUIRE_EQ(tree_names(&b->t, "."), 2);
}

AGENT_TEST(failed_part_discards_the_file)
{
	REQUIRE_EQ(copy(b, "d/a", S_IFREG | 0600, 6, 0, "abc"), ERROR_OK);
	REQUIRE_EQ(copy(b, "d/a", S_IFREG | 0600, 7, 3, "def"), ERROR_FAILED_PRECONDITION);
	REQUIRE_HAS(b->last.msg, "d/a");
	REQUIRE_EQ(copy(b, "d/a", S_IFREG | 0600, 6, 3, "def"), ERROR_FAILED_PRECONDITION);
	run_for(b, 100);
	REQUIRE_EQ(tree_names(&b->t, "."), 0);
	REQUIRE_EQ(copies_unfinished(b->copies), 0);
	/* the parent is no longer there */
	REQUIRE_EQ(copy(b, "d/a", S_IFREG | 0600, 6, 0, "abc"), ERROR_OK);
	REQUIRE_EQ(renameat(b->t.shared, "d", b->t.shared, "e"), 0);
	REQUIRE_NE(copy(b, "d/a", S_IFREG | 0600, 6, 3, "def"), ERROR_OK);
	REQUIRE_EQ(tree_temps(&b->t, "e"), 1);
}

AGENT_TEST(parts_of_one_path_are_written_in_order)
{
	static const char *const text[] = { "0", "1", "2", "3", "4", "5", "6", "7", "8", "9" };

	for (int i = 0; i < 10; i++)
		REQUIRE(submit(b, "a", S_IFREG | 0600, 10, i, text[i]));
	REQUIRE(submit(b, "b", S_IFDIR | 0700, 0, 0, ""));
	REQUIRE(submit(b, "b/c", S_IFREG | 0600, 1, 0, "c"));
	REQUIRE(submit(b, "a2", S_IFLNK, 0, 0, "a"));
	REQUIRE(submit(b, "a2", S_IFREG | 0600, 2, 0, "a2"));
	run_until(b, 14);
	REQUIRE_EQ(b->failed, 0);
	REQUIRE(tree_has(&b->t, "a", "0123456789") && tree_has(&b->t, "b/c", "c"));
	REQUIRE_EQ(tree_mode(&b->t, "a2"), S_IFREG | 0600);
}

/* Different workers make a directory and a file in it, in any order. */
AGENT_TEST(directory_and_its_file_in_parallel)
{
	char name[32];

	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "e%d", i);
		REQUIRE(submit(b, name, S_IFDIR | 0750, 0, 0, ""));
		(void)snprintf(name, sizeof(name), "e%d/c", i);
		REQUIRE(submit(b, name, S_IFREG | 0600, 1, 0, "c"));
	}
	run_until(b, 600);
	REQUIRE_EQ(b->failed, 0);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "e%d/c", i);
		REQUIRE(tree_has(&b->t, name, "c"));
		(void)snprintf(name, sizeof(name), "e%d", i);
		REQUIRE_EQ(tree_mode(&b->t, name), S_IFDIR | 0750);
	}
}

/* A cancelled part is dropped if no worker has begun it, and completed otherwise. */
AGENT_TEST(cancelled_parts)
{
	struct pending *first = submit(b, "a", S_IFREG | 0600, 2, 0, "a");
	struct pending *second = submit(b, "a", S_IFREG | 0600, 2, 1, "b");

	REQUIRE(first && second);
	pending_cancel(&second);
	run_until(b, 1);
	REQUIRE_EQ(tree_mode(&b->t, "a"), 0);
	first = submit(b, "c", S_IFREG | 0600, 1, 0, "c");
	REQUIRE(first);
	/* until a worker has begun it, or done it */
	run_for(b, 1);
	if (b->ended == 1)
		pending_cancel(&first);
	run_for(b, 100);
	REQUIRE(tree_has(&b->t, "c", "c"));
}

/* Sends a signal to all copy workers: the other children of this process's parent. Returns whether
 * there was one. */
static bool
signal_workers(int sig)
{
	char path[64], text[256];
	bool found = false;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getppid(),
		       (int)getppid());
	REQUIRE_GT(read_text_at(AT_FDCWD, path, text, sizeof(text)), 0);
	for (char *save = NULL, *word = strtok_r(text, " ", &save); word;
	     word = strtok_r(NULL, " ", &save))
		if ((pid_t)atol(word) != getpid())
			found |= kill((pid_t)atol(word), sig) == 0;
	return found;
}

/* Writes half a file, and gives the rest to a worker that is stopped. */
static void
stop_with_half_a_file(struct bench *b)
{
	REQUIRE_EQ(copy(b, "d/a", S_IFREG | 0600, 6, 0, "abc"), ERROR_OK);
	REQUIRE(signal_workers(SIGSTOP));
	REQUIRE(submit(b, "d/a", S_IFREG | 0600, 6, 3, "def"));
	run_for(b, 50);
	REQUIRE_EQ(b->ended, 1);
}

/* Waits for the worker that removes the remains, at most 20 s. */
static void
run_until_empty(struct bench *b)
{
	for (int i = 0; i < 2000 && tree_names(&b->t, ".") != 0; i++)
		run_for(b, 10);
	REQUIRE_EQ(tree_names(&b->t, "."), 0);
}

AGENT_TEST(worker_that_dies_leaves_nothing)
{
	stop_with_half_a_file(b);
	REQUIRE(signal_workers(SIGKILL));
	run_until(b, 2);
	REQUIRE_EQ(b->last.code, ERROR_INTERNAL);
	REQUIRE_HAS(b->last.msg, "d/a");
	run_until_empty(b);
	REQUIRE_EQ(copies_unfinished(b->copies), 0);
	REQUIRE_EQ(copy(b, "d/a", S_IFREG | 0600, 3, 0, "abc"), ERROR_OK);
}

/* The worker that removes the remains is killed while it waits to be registered. */
AGENT_TEST(workers_that_die_while_removing_leave_nothing)
{
	struct error err = ERROR_INIT;

	stop_with_half_a_file(b);
	for (int killed = 0; killed < 3;) {
		killed += signal_workers(SIGKILL);
		run_until(b, killed > 0 ? 2 : 1);
		REQUIRE_OK(loop_run_once(b->loop, 10, &err), &err);
	}
	REQUIRE_EQ(b->last.code, ERROR_INTERNAL);
	run_until_empty(b);
	REQUIRE_EQ(copies_unfinished(b->copies), 0);
}

AGENT_TEST(many_small_files)
{
	char name[32];

	for (unsigned int i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "m/%u", i);
		REQUIRE(submit(b, name, S_IFREG | 0600, 3, 0, "abc"));
		if (i % 64 == 63)
			run_until(b, i + 1);
	}
	run_until(b, MANY);
	REQUIRE_EQ(b->failed, 0);
	REQUIRE_EQ(tree_names(&b->t, "m"), MANY);
}
