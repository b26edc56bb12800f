/* SPDX-License-Identifier: Apache-2.0 */
/* The announced steps of a job are undone however it ends, unless it succeeds. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/job/steps.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/sys.h"
#include "tests/support/check.h"
#include "tests/support/elapsed.h"
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
	const struct undo mounted = { .kind = &undo_umount, .fd = fd, .id = INT32_MAX };
	const struct undo never = { .kind = &undo_rmdir, .fd = fd, .name = "never" };

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
		REQUIRE_EQ(b.last.code, rows[i].code);
		REQUIRE_HAS(b.last.msg, rows[i].text);
		REQUIRE(!is_there("a"));
	}
	/* Late: killed, undone, and only then done. */
	ending = END_HANG;
	start(&b, OPS(work_journal), &ending, 100, 0);
	run_until(&b, ++ended);
	REQUIRE_EQ(b.last.code, ERROR_DEADLINE_EXCEEDED);
	REQUIRE(!is_there("a"));
	/* Cancelled in the middle. */
	b.n_messages = 0;
	struct job *job = start(&b, OPS(work_journal), &ending, 0, 0);
	struct error err = ERROR_INIT;
	while (b.n_messages == 0)
		REQUIRE_OK(loop_run_once(b.loop, 5000, &err), &err);
	REQUIRE(is_there("a/b/c/file"));
	job_cancel(job, ERROR_CANCELLED, "changed my mind");
	job_cancel(job, ERROR_CANCELLED, "twice");
	REQUIRE_EQ(b.ended, ended);
	run_until(&b, ++ended);
	REQUIRE_EQ(b.last.code, ERROR_CANCELLED);
	REQUIRE_STR(b.last.msg, "changed my mind");
	REQUIRE(!is_there("a"));
	/* Success is not undone. */
	ending = END_OK;
	start(&b, OPS(work_journal), &ending, 0, 0);
	run_until(&b, ++ended);
	REQUIRE_EQ(b.last.code, ERROR_OK);
	REQUIRE(is_there("a/b/c/file"));
	bench_release(&b);
	return 0;
}

static void
make_dir(void)
{
	REQUIRE(mkdtemp(dir));
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
	const struct undo step = { .kind = &undo_rmdir, .fd = worker_fd(w), .name = "nonexistent" };

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
	REQUIRE_EQ(b.last.code, ERROR_RESOURCE_EXHAUSTED);
	bench_release(&b);
	return 0;
}

Test(job, journal_is_bounded)
{
	in_agent(body_bounded);
}

/* ---- steps that are announced together ---- */

/* "old" exists before; "never" is announced only. */
static int
work_together(struct worker *w, void *arg, struct error *err)
{
	static const char *const names[] = { "a", "old", "a/b", "never" };
	auto_close int top = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int steps[ARRAY_LEN(names)];

	if (mkdirat(top, "old", 0700) < 0 || mkdirat(top, "never", 0700) < 0)
		return error_sys(err, "mkdir");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		steps[i] = worker_announce_mkdir(w, top, names[i], err);
		if (steps[i] < 0)
			return -1;
	}
	/* Its answer follows those of the announcements. */
	if (worker_send(w, 1, "ready", 5, NULL, 0, true, err) < 0)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		int made = worker_mkdir_announced(w, steps[i], top, names[i], 0700, err);

		if (made != (i != 1))
			return made < 0 ? -1 : error_set(err, ERROR_INTERNAL, "step %zu", i);
	}
	if (worker_step_taken(w, steps[3], NULL, err) < 0)
		return -1;
	if (*(enum ending *)arg == END_CRASH)
		raise(SIGSEGV);
	return *(enum ending *)arg == END_OK ? 0 : error_set(err, ERROR_ABORTED, "as told");
}

static int
work_refused(struct worker *w, void *arg, struct error *err)
{
	auto_close int top = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct error ignored = ERROR_INIT;
	int x, y;

	(void)arg;
	if (worker_report(w, 1, "ready", 5, NULL, 0, err) < 0)
		return -1;
	x = worker_announce_mkdir(w, top, "x", err);
	y = worker_announce_mkdir(w, top, "y", err);
	if (x < 0 || y < 0)
		return -1;
	if (worker_mkdir_announced(w, x, top, "x", 0700, err) >= 0)
		return error_set(err, ERROR_INTERNAL, "a refused step was taken");
	/* No answer is left that would be taken for that of this message. */
	if (worker_send(w, 1, "again", 5, NULL, 0, true, &ignored) == 0)
		return error_set(err, ERROR_INTERNAL, "a refused message was accepted");
	return -1;
}

static void
drop(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	REQUIRE_EQ(rmdir(path), 0);
}

static int
body_together(int fd, void *data)
{
	enum ending ending[] = { END_FAIL, END_CRASH, END_OK };
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	for (size_t i = 0; i < ARRAY_LEN(ending); i++) {
		start(&b, OPS(work_together), &ending[i], 0, 0);
		run_until(&b, (int)i + 1);
		REQUIRE_EQ(is_there("a/b"), ending[i] == END_OK, "%zu: %s", i, b.last.msg);
		REQUIRE_EQ(is_there("a"), ending[i] == END_OK, "%zu: %s", i, b.last.msg);
		/* Each outcome is that of its own step. */
		REQUIRE(is_there("old") && is_there("never"));
		drop("old");
		drop("never");
	}
	REQUIRE_EQ(b.last.code, ERROR_OK);
	/* A refused message fails the steps after it, of which none is taken. */
	b.refuse = true;
	start(&b, OPS(work_refused), NULL, 0, 0);
	run_until(&b, 4);
	REQUIRE_EQ(b.last.code, ERROR_ALREADY_EXISTS);
	REQUIRE(!is_there("x") && !is_there("y"));
	bench_release(&b);
	return 0;
}

Test(job, steps_announced_together, .init = make_dir, .fini = remove_dir)
{
	in_agent(body_together);
}

/* ---- a step that does not reach the journal ---- */

static struct rlimit files;

static int
work_lost_step(struct worker *w, void *arg, struct error *err)
{
	auto_close int top = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)arg;
	if (worker_mkdir(w, top, "a", 0700, NULL, err) < 0 ||
	    worker_send(w, 1, "ready", 5, NULL, 0, true, err) < 0)
		return -1;
	return worker_mkdir(w, top, "lost", 0700, NULL, err) < 0 ? -1 : 0;
}

/* From here on the agent has room for no other fd. */
static int
on_ready(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct rlimit none;

	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
	none = files;
	none.rlim_cur = 3;
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	return on_message(job, m, data, err);
}

/* The job is being undone, which needs fds again. */
static void
give_files_back(void *data)
{
	(void)data;
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
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

	(void)data;
	bench_init(&b, fd);
	start(&b, &ops, NULL, 0, 0);
	while (b.n_messages == 0)
		REQUIRE_OK(loop_run_once(b.loop, 5000, &err), &err);
	REQUIRE(loop_timer(b.loop, 500, give_files_back, NULL, &err));
	run_until(&b, 1);
	REQUIRE_EQ(b.last.code, ERROR_RESOURCE_EXHAUSTED);
	REQUIRE_HAS(b.last.msg, "too many open files");
	/* a step that could not be undone was not taken */
	REQUIRE(!is_there("lost"));
	REQUIRE(!is_there("a"));
	bench_release(&b);
	return 0;
}

Test(job, a_step_that_is_not_in_the_journal_is_not_taken, .init = make_dir, .fini = remove_dir)
{
	in_agent(body_lost_step);
}

/* ---- kinds of steps ---- */

static int
work_kinds(struct worker *w, void *arg, struct error *err)
{
	const struct undo_kind *const *kinds = arg;

	for (; *kinds; kinds++) {
		const struct undo undo = {
			.kind = *kinds, .fd = worker_fd(w), .id = 7, .name = "x"
		};

		if (worker_step(w, &undo, err) < 0)
			return -1;
	}
	return error_set(err, ERROR_ABORTED, "as told");
}

static int
undo_noted(const struct step *step, struct error *err)
{
	char path[128];

	/* it runs in a worker: a file tells that it did */
	snprintf(path, sizeof(path), "%s/%s", dir, step->kind->name);
	if (step->id != 7 || strcmp(step->name, "x") != 0 || fcntl(step->fd, F_GETFD) < 0)
		return error_set(err, ERROR_INTERNAL, "another step");
	return mkdir(path, 0700);
}

static int
undo_fails(const struct step *step, struct error *err)
{
	(void)undo_noted(step, err);
	return error_set(err, ERROR_INTERNAL, "nothing can be undone");
}

static const struct undo_kind kind_a = { .name = "a", .undo = undo_noted };
static const struct undo_kind kind_b = { .name = "b", .undo = undo_fails };
static const struct undo_kind kind_unknown = { .name = "lost", .undo = undo_noted };

static int
body_kinds(int fd, void *data)
{
	static const struct undo_kind *const known[] = { &kind_a, &kind_b, NULL };
	static const struct undo_kind *const unknown[] = { &kind_unknown, NULL };
	struct error err = ERROR_INIT;
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	jobs_free(b.jobs);
	b.jobs = jobs_new(b.loop, b.link, known, &err);
	REQUIRE(b.jobs);
	start(&b, OPS(work_kinds), (void *)(uintptr_t)known, 0, 0);
	run_until(&b, 1);
	REQUIRE_EQ(b.last.code, ERROR_ABORTED);
	/* the one that fails keeps no other from being undone */
	REQUIRE(is_there("a") && is_there("b"));
	start(&b, OPS(work_kinds), (void *)(uintptr_t)unknown, 0, 0);
	run_until(&b, 2);
	REQUIRE_EQ(b.last.code, ERROR_INTERNAL);
	REQUIRE_HAS(b.last.msg, "unknown kind of step: lost");
	REQUIRE(!is_there("lost"));
	bench_release(&b);
	return 0;
}

Test(job, steps_are_undone_by_their_kind, .init = make_dir, .fini = remove_dir)
{
	in_agent(body_kinds);
}

/* ---- the time for an undo ---- */

/* undos that were begun, in any worker */
static _Atomic unsigned int *begun;

static int
undo_hangs(const struct step *step, struct error *err)
{
	(void)step;
	(void)err;
	++*begun;
	while (pause() < 0)
		continue;
	return 0;
}

static int
undo_dies_late(const struct step *step, struct error *err)
{
	(void)step;
	(void)err;
	++*begun;
	(void)usleep(4000000);
	(void)raise(SIGKILL);
	return 0;
}

/* The first worker dies after 4 s, and so would the next ones: all of them together have 5 s, so
 * that there is time for two. */
static int
body_late_undo(int fd, void *data)
{
	static const struct undo_kind hangs = { .name = "hang", .undo = undo_hangs };
	static const struct undo_kind dies = { .name = "die", .undo = undo_dies_late };
	static const struct undo_kind *const kinds[] = { &hangs, &dies, NULL };
	static const struct undo_kind *const rows[][2] = { { &hangs, NULL }, { &dies, NULL } };
	struct error err = ERROR_INIT;
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	begun = mmap(NULL, sizeof(*begun), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	REQUIRE(begun != MAP_FAILED);
	jobs_free(b.jobs);
	b.jobs = jobs_new(b.loop, b.link, kinds, &err);
	REQUIRE(b.jobs);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t begin = monotonic_ns();

		*begun = 0;
		start(&b, OPS(work_kinds), (void *)(uintptr_t)rows[i], 0, 0);
		run_until(&b, (int)i + 1);
		REQUIRE_EQ(b.last.code, ERROR_ABORTED);
		REQUIRE_GE(elapsed_ms(begin), 4900, "row %zu", i);
		REQUIRE_LE(*begun, i + 1);
	}
	bench_release(&b);
	return 0;
}

Test(job, an_undo_is_given_up_after_five_seconds)
{
	in_agent(body_late_undo);
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
		REQUIRE_OK(loop_run_once(b.loop, 5000, &err), &err);
	begin = monotonic_ns();
	job_cancel(job, ERROR_CANCELLED, "it hangs");
	/* The kernel has killed it, but its exit is not reported. */
	run_until(&b, 1);
	REQUIRE_EQ(b.last.code, ERROR_CANCELLED);
	REQUIRE_STR(b.last.msg, "it hangs");
	REQUIRE_GE(monotonic_ns() - begin, 5000000000);
	REQUIRE(!is_there("a"));
	ending = END_OK;
	start(&b, OPS(work_journal), &ending, 0, 0);
	run_until(&b, 2);
	REQUIRE_EQ(b.last.code, ERROR_OK);
	bench_release(&b);
	return 0;
}

Test(job, worker_that_does_not_die_is_left_to_itself, .init = make_dir, .fini = remove_dir)
{
	REQUIRE_EQ(fakeinit_run_silent(body_left_to_itself, NULL), 0);
}
