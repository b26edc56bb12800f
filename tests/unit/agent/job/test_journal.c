/* SPDX-License-Identifier: Apache-2.0 */
/* What a job has announced is undone, however it ends but well. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/sys.h"
#include "tests/unit/agent/job/bench.h"

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

/* ---- a step of which the agent does not learn ---- */

static int all_said[2];
static struct rlimit files;

static int
work_lost_step(struct worker *w, void *arg, struct error *err)
{
	auto_close int top = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct undo lost = { .kind = UNDO_RMDIR, .fd = top, .name = "lost" };

	(void)arg;
	if (worker_mkdir(w, top, "a", 0700, NULL, err) < 0 ||
	    worker_send(w, 1, "ready", 5, NULL, 0, false, err) < 0 ||
	    worker_step(w, &lost, err) < 0 || worker_taken(w, NULL, err) < 0)
		return -1;
	(void)write_full(all_said[1], "", 1);
	for (;;)
		(void)pause();
}

/* From here on it can open no file; what follows is in the socket by then. */
static int
on_ready(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct rlimit none;
	char byte;

	CHECK(read_full(all_said[0], &byte, 1) == 1);
	CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
	none = files;
	none.rlim_cur = 3;
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	return on_message(job, m, data, err);
}

static int
body_lost_step(int fd, void *data)
{
	static const struct job_message_type messages[] = {
		[1] = { .handler = on_ready, .size = 5 },
	};
	static const struct job_ops ops = { .name = "lost step",
					    .work = work_lost_step,
					    .messages = messages,
					    .n_messages = ARRAY_LEN(messages),
					    .done = on_done };
	struct error err = ERROR_INIT;
	struct bench b;
	int keep[1];
	struct job_spec spec = { .ops = &ops, .data = &b, .keep_fds = keep, .n_keep_fds = 1 };

	(void)data;
	bench_init(&b, fd);
	CHECK(pipe2(all_said, O_CLOEXEC) == 0);
	keep[0] = all_said[1];
	CHECK(job_start(b.jobs, &spec, &err));
	while (b.n_messages == 0)
		CHECK(loop_run_once(b.loop, 5000, &err) == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
	run_until(&b, 1);
	CHECK(b.last.code == ERROR_RESOURCE_EXHAUSTED);
	CHECK(strstr(b.last.msg, "too many open files"));
	/* that "lost" was not made says nothing about it */
	CHECK(!is_there("a"));
	close_fd(&all_said[0]);
	close_fd(&all_said[1]);
	bench_release(&b);
	return 0;
}

Test(job, lost_step_does_not_change_the_one_before, .init = make_dir, .fini = remove_dir)
{
	in_agent(body_lost_step);
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
