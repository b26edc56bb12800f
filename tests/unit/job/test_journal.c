/* SPDX-License-Identifier: Apache-2.0 */
/* What a job has announced is undone, however it ends but well. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/sys.h"
#include "tests/unit/job/bench.h"

static char dir[] = "/tmp/test-job-XXXXXX";

/* ---- the journal ---- */

enum ending { END_FAIL, END_CRASH, END_EXIT, END_HANG, END_OK };

static int
work_journal(struct worker *w, void *arg, struct error *err)
{
	static const char *const names[] = { "a", "b", "c" };
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < 3; i++) {
		int at = fd;

		if (worker_mkdir(w, at, names[i], 0700, NULL, err) < 0)
			return -1;
		fd = openat(at, names[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	if (worker_create(w, fd, "file", 0600, NULL, err) < 0)
		return -1;
	/* Announced and not taken. */
	const struct undo mounted = { .kind = UNDO_UMOUNT, .fd = fd, .id = INT32_MAX };
	const struct undo never = { .kind = UNDO_RMDIR, .fd = fd, .name = "never" };

	if (worker_step(w, &mounted, err) < 0 || worker_step(w, &never, err) < 0)
		return -1;
	if (worker_send(w, 1, "ready", 5, NULL, 0, false, err) < 0)
		return -1;
	switch (*(enum ending *)arg) {
	case END_FAIL:
		return error_set(err, ERROR_ABORTED, "as told");
	case END_CRASH:
		raise(SIGSEGV);
		break;
	case END_EXIT:
		_exit(9);
	case END_HANG:
		for (;;)
			pause();
	case END_OK:
		break;
	}
	return 0;
}

static bool
is_there(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static int
body_journal(int fd, void *data)
{
	static const struct {
		enum ending ending;
		enum error_code code;
		const char *text;
	} rows[] = {
		{ END_FAIL, ERROR_ABORTED, "as told" },
		{ END_CRASH, ERROR_INTERNAL, "signal 11" },
		{ END_EXIT, ERROR_INTERNAL, "status 9" },
	};
	struct bench b;
	enum ending ending;
	int ended = 0;

	(void)data;
	bench_init(&b, fd);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ending = rows[i].ending;
		start(&b, OPS(work_journal), &ending, 0, 0);
		run_until(&b, ++ended);
		if (b.last.code != rows[i].code || !strstr(b.last.msg, rows[i].text))
			fprintf(stderr, "row %zu: %d %s\n", i, b.last.code, b.last.msg);
		CHECK(b.last.code == rows[i].code);
		CHECK(strstr(b.last.msg, rows[i].text));
		CHECK(!is_there("a"));
	}
	/* Late: killed, undone, and only then done. */
	ending = END_HANG;
	start(&b, OPS(work_journal), &ending, 100, 0);
	run_until(&b, ++ended);
	CHECK(b.last.code == ERROR_DEADLINE_EXCEEDED);
	CHECK(!is_there("a"));
	/* Cancelled in the middle. */
	b.n_messages = 0;
	struct job *job = start(&b, OPS(work_journal), &ending, 0, 0);
	struct error err = ERROR_INIT;
	while (b.n_messages == 0)
		CHECK(loop_run_once(b.loop, 5000, &err) == 0);
	CHECK(is_there("a/b/c/file"));
	job_cancel(job, ERROR_CANCELLED, "changed my mind");
	job_cancel(job, ERROR_CANCELLED, "twice");
	CHECK(b.ended == ended);
	run_until(&b, ++ended);
	CHECK(b.last.code == ERROR_CANCELLED && strcmp(b.last.msg, "changed my mind") == 0);
	CHECK(!is_there("a"));
	/* Success is not undone. */
	ending = END_OK;
	start(&b, OPS(work_journal), &ending, 0, 0);
	run_until(&b, ++ended);
	CHECK(b.last.code == ERROR_OK);
	CHECK(is_there("a/b/c/file"));
	bench_release(&b);
	return 0;
}

static void
make_dir(void)
{
	cr_assert(mkdtemp(dir));
}

static void
remove_dir(void)
{
	char command[256];
	static const char *const names[] = { "a/b/c/file", "a/b/c", "a/b", "a", "" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(command, sizeof(command), "%s/%s", dir, names[i]);
		(void)remove(command);
	}
}

Test(job, journal_is_undone, .init = make_dir, .fini = remove_dir)
{
	in_agent(body_journal);
}

static int
work_endless_steps(struct worker *w, void *arg, struct error *err)
{
	const struct undo step = { .kind = UNDO_RMDIR, .fd = worker_fd(w), .name = "nonexistent" };

	(void)arg;
	for (;;) {
		if (worker_step(w, &step, err) < 0)
			return -1;
	}
}

static int
body_bounded(int fd, void *data)
{
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	start(&b, OPS(work_endless_steps), NULL, 0, 0);
	run_until(&b, 1);
	CHECK(b.last.code == ERROR_RESOURCE_EXHAUSTED);
	bench_release(&b);
	return 0;
}

Test(job, journal_is_bounded)
{
	in_agent(body_bounded);
}

/* ---- a worker that cannot be killed ---- */

static int
body_left_to_itself(int fd, void *data)
{
	struct bench b;
	struct error err = ERROR_INIT;
	enum ending ending = END_HANG;
	struct job *job;
	uint64_t begin;

	(void)data;
	bench_init(&b, fd);
	job = start(&b, OPS(work_journal), &ending, 0, 0);
	while (b.n_messages == 0)
		CHECK(loop_run_once(b.loop, 5000, &err) == 0);
	begin = monotonic_ns();
	job_cancel(job, ERROR_CANCELLED, "it hangs");
	/* The kernel has killed it, but nobody says so. */
	run_until(&b, 1);
	CHECK(b.last.code == ERROR_CANCELLED && strcmp(b.last.msg, "it hangs") == 0);
	CHECK(monotonic_ns() - begin >= 5000000000);
	CHECK(!is_there("a"));
	ending = END_OK;
	start(&b, OPS(work_journal), &ending, 0, 0);
	run_until(&b, 2);
	CHECK(b.last.code == ERROR_OK);
	bench_release(&b);
	return 0;
}

Test(job, worker_that_does_not_die_is_left_to_itself, .init = make_dir, .fini = remove_dir)
{
	cr_assert_eq(fakeinit_run_silent(body_left_to_itself, NULL), 0);
}
