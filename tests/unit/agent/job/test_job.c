/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs from start to done: results, what a worker inherits, messages, processes, and the pool. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/job/steps.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/sys.h"
#include "tests/support/check.h"
#include "tests/unit/agent/job/bench.h"

/* ---- results ---- */

static int
work_ok(struct worker *w, void *arg, struct error *err)
{
	(void)w;
	(void)err;
	return *(int *)arg == 42 ? 0 : -1;
}

static int
work_fail(struct worker *w, void *arg, struct error *err)
{
	(void)w;
	(void)arg;
	return error_set(err, ERROR_NOT_FOUND, "thing %d not found", 7);
}

static int
body_result(int fd, void *data)
{
	struct bench b;
	int arg = 42;

	(void)data;
	bench_init(&b, fd);
	start(&b, OPS(work_ok), &arg, 0, 0);
	REQUIRE_EQ(b.ended, 0);
	run_until(&b, 1);
	REQUIRE_EQ(b.last.code, ERROR_OK);
	start(&b, OPS(work_fail), NULL, 0, 0);
	run_until(&b, 2);
	REQUIRE_EQ(b.last.code, ERROR_NOT_FOUND);
	REQUIRE_STR(b.last.msg, "thing 7 not found");
	REQUIRE_EQ(jobs_running(b.jobs), 0);
	bench_release(&b);
	return 0;
}

Test(job, result)
{
	in_agent(body_result);
}

/* ---- what a worker inherits ---- */

struct inherit {
	int kept, other;
};

static int
count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	/* ".", ".." and the DIR itself */
	return n - 3;
}

static int
work_inherit(struct worker *w, void *arg, struct error *err)
{
	struct inherit *in = arg;
	struct stat st, null;

	(void)w;
	if (fcntl(in->kept, F_GETFD) < 0 || fcntl(in->other, F_GETFD) >= 0)
		return error_set(err, ERROR_INTERNAL, "wrong fds");
	/* stdio, the socket, the kept one */
	if (count_fds() != 3 + 1 + 1)
		return error_set(err, ERROR_INTERNAL, "%d fds", count_fds());
	if (stat("/dev/null", &null) < 0 || fstat(0, &st) < 0 || st.st_rdev != null.st_rdev ||
	    fstat(1, &st) < 0 || st.st_rdev != null.st_rdev)
		return error_set(err, ERROR_INTERNAL, "stdio is not /dev/null");
	return 0;
}

static int
body_inherit(int fd, void *data)
{
	struct bench b;
	struct error err = ERROR_INIT;
	struct inherit in = { open("/", O_PATH | O_CLOEXEC), open("/", O_PATH | O_CLOEXEC) };
	int keep[] = { in.kept, in.kept };
	struct job_spec spec = {
		.ops = OPS(work_inherit), .arg = &in, .data = &b, .keep_fds = keep, .n_keep_fds = 2
	};

	(void)data;
	bench_init(&b, fd);
	REQUIRE(job_start(b.jobs, &spec, &err));
	run_until(&b, 1);
	if (b.last.code != ERROR_OK)
		fprintf(stderr, "%s\n", b.last.msg);
	REQUIRE_EQ(b.last.code, ERROR_OK);
	bench_release(&b);
	return 0;
}

Test(job, inherits_only_what_is_kept)
{
	in_agent(body_inherit);
}

/* ---- fds that only the worker holds ---- */

struct handed {
	struct bench b;
	int pipe[2];
};

/* The agent has no copy of the writing end: its reading end sees the end of the worker. */
static int
work_handed(struct worker *w, void *arg, struct error *err)
{
	const struct handed *h = arg;

	(void)w;
	return write(h->pipe[1], "x", 1) == 1 ? 0 : error_sys(err, "write");
}

static void
hand_over(struct job *job, void *data)
{
	struct handed *h = data;

	job_forget_fd(job, h->pipe[1]);
	close_fd(&h->pipe[1]);
}

static void
on_handed(struct job *job, const struct error *err, void *data)
{
	struct handed *h = data;

	on_done(job, err, &h->b);
}

static int
body_handed(int fd, void *data)
{
	static const struct job_ops ops = {
		.name = "handed", .work = work_handed, .done = on_handed, .started = hand_over
	};
	struct handed h;
	struct error err = ERROR_INIT;
	char got[2];

	(void)data;
	bench_init(&h.b, fd);
	REQUIRE(pipe2(h.pipe, O_CLOEXEC) == 0);
	struct job_spec spec = {
		.ops = &ops, .arg = &h, .data = &h, .keep_fds = &h.pipe[1], .n_keep_fds = 1
	};
	REQUIRE(job_start(h.b.jobs, &spec, &err));
	REQUIRE_EQ(h.pipe[1], -1);
	run_until(&h.b, 1);
	REQUIRE_EQ(h.b.last.code, ERROR_OK);
	REQUIRE_EQ(read(h.pipe[0], got, 1), 1);
	REQUIRE_EQ(read(h.pipe[0], got, 1), 0);
	close(h.pipe[0]);
	bench_release(&h.b);
	return 0;
}

Test(job, the_agent_closes_what_only_the_worker_shall_hold)
{
	in_agent(body_handed);
}

/* ---- the log ---- */

static char logged[512 << 10];

static bool
keep_lines(const char *line, size_t len, void *data)
{
	(void)data;
	strncat(logged, line, len < sizeof(logged) - strlen(logged) - 1 ? len : 0);
	return true;
}

static int
work_log(struct worker *w, void *arg, struct error *err)
{
	const struct log_field fields[] = { { "container-id", "own" }, { "path", arg } };
	char big[3000];
	const struct log_field huge[] = { { "huge", big }, { "after", arg } };

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	worker_log(w, LOG_LEVEL_WARN, "from the worker %s", (const char *)arg);
	worker_event(w, LOG_LEVEL_WARN, "test-event", fields, ARRAY_LEN(fields), "event %s",
		     (const char *)arg);
	worker_event(w, LOG_LEVEL_WARN, "test-event", huge, ARRAY_LEN(huge), "big %s%s",
		     (const char *)arg, big);
	return error_set(err, ERROR_INTERNAL, "failed");
}

static void
on_done_log(struct job *job, const struct error *err, void *data)
{
	log_warn("test", "done %s", err->msg);
	on_done(job, err, data);
}

/* Does the line that has `text` have this key with this value? NULL: is the key not there? */
static bool
line_has(const char *text, const char *key, const char *value)
{
	char part[64], line[4096];
	const char *at = strstr(logged, text), *end = at ? strchr(at, '\n') : NULL;

	if (!end)
		return false;
	while (at > logged && at[-1] != '\n')
		at--;
	(void)snprintf(line, sizeof(line), "%.*s", (int)(end - at), at);
	(void)snprintf(part, sizeof(part), value ? "\"%s\":\"%s\"" : "\"%s\":", key, value);
	return (strstr(line, part) != NULL) == (value != NULL);
}

/* Records for a job have the keys of the call that it was started for, whichever call is at work
 * when they are written, and whether the job had to wait for a worker or not. */
static int
body_log(int fd, void *data)
{
	const struct job_ops ops = { .name = "log", .work = work_log, .done = on_done_log };
	char *args[66];
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	log_set_sink(keep_lines, NULL);
	for (int i = 0; i < 66; i++) {
		char id[8];
		struct log_context call = { .method = "ExecProcess",
					    .container_id = id,
					    .exec_id = i % 2 ? "odd" : NULL };
		struct job_spec spec = { .ops = &ops, .data = &b };
		struct error err = ERROR_INIT;

		(void)snprintf(id, sizeof(id), "c%d", i);
		args[i] = malloc(16);
		REQUIRE(args[i]);
		(void)snprintf(args[i], 16, "#%d#", i);
		spec.arg = args[i];
		(void)log_context_set(&call);
		REQUIRE(job_start(b.jobs, &spec, &err));
		(void)log_context_set(NULL);
		memset(id, 'x', sizeof(id) - 1);
	}
	REQUIRE_EQ(log_context_set(NULL), NULL);
	run_until(&b, 66);
	REQUIRE_EQ(log_context_set(NULL), NULL);
	for (int i = 0; i < 66; i++) {
		char id[8], text[32];

		(void)snprintf(id, sizeof(id), "c%d", i);
		(void)snprintf(text, sizeof(text), "from the worker #%d#", i);
		REQUIRE(line_has(text, "container-id", id));
		REQUIRE(line_has(text, "method", "ExecProcess"));
		REQUIRE(line_has(text, "exec-id", i % 2 ? "odd" : NULL));
		REQUIRE(line_has(text, "event", NULL));
		(void)snprintf(text, sizeof(text), "event #%d#", i);
		REQUIRE(line_has(text, "event", "test-event"));
		REQUIRE(line_has(text, "container-id", "own"));
		REQUIRE(line_has(text, "method", "ExecProcess"));
		REQUIRE(line_has(text, "path", args[i]));
		(void)snprintf(text, sizeof(text), "big #%d#", i);
		REQUIRE(line_has(text, "huge", NULL));
		REQUIRE(line_has(text, "after", args[i]));
		free(args[i]);
	}
	REQUIRE(line_has("done failed", "method", "ExecProcess"));
	bench_release(&b);
	return 0;
}

Test(job, records_have_the_keys_of_the_call)
{
	in_agent(body_log);
}

/* ---- messages ---- */

static int
work_talk(struct worker *w, void *arg, struct error *err)
{
	int p[2];
	char got[3] = "";

	(void)arg;
	if (pipe2(p, O_CLOEXEC) < 0)
		return error_sys(err, "pipe");
	if (worker_send(w, 5, "hello", 5, &p[1], 1, true, err) < 0)
		return -1;
	close(p[1]);
	if (read(p[0], got, 2) != 2 || strcmp(got, "fd") != 0)
		return error_set(err, ERROR_INTERNAL, "fd did not work");
	for (int i = 0; i < 1000; i++) {
		if (worker_send(w, 6, "more", 4, NULL, 0, false, err) < 0)
			return -1;
	}
	return 0;
}

static int
body_talk(int fd, void *data)
{
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	start(&b, OPS(work_talk), NULL, 0, 0);
	run_until(&b, 1);
	REQUIRE_EQ(b.last.code, ERROR_OK);
	REQUIRE_EQ(b.n_messages, 1001);
	b.refuse = true;
	start(&b, OPS(work_talk), NULL, 0, 0);
	run_until(&b, 2);
	REQUIRE_EQ(b.last.code, ERROR_ALREADY_EXISTS);
	REQUIRE_STR(b.last.msg, "no 5");
	bench_release(&b);
	return 0;
}

Test(job, messages_and_fds)
{
	in_agent(body_talk);
}

/* Holds back as many reports as there is room for, and one more. A report that is held back keeps a
 * duplicate of its fd. */
static int
work_hold(struct worker *w, void *arg, struct error *err)
{
	int p[2], before;
	char got[2 * (WORKER_HELD_MAX + 1)];

	(void)arg;
	if (pipe2(p, O_CLOEXEC) < 0)
		return error_sys(err, "pipe");
	before = count_fds();
	worker_hold(w);
	for (int i = 0; i < WORKER_HELD_MAX; i++) {
		if (worker_report(w, 5, "early", 5, &p[1], 1, err) < 0)
			return -1;
		if (count_fds() != before + i + 1)
			return error_set(err, ERROR_INTERNAL, "report %d was not held back", i);
	}
	if (worker_report(w, 5, "later", 5, &p[1], 1, err) < 0)
		return -1;
	if (count_fds() != before)
		return error_set(err, ERROR_INTERNAL, "reports were not sent");
	if (worker_report(w, 5, "again", 5, &p[1], 1, err) < 0 ||
	    worker_send(w, 6, "wait", 4, NULL, 0, true, err) < 0)
		return -1;
	if (count_fds() != before)
		return error_set(err, ERROR_INTERNAL, "a report was held back too long");
	close(p[1]);
	for (size_t n = 0; n < sizeof(got);) {
		ssize_t r = read(p[0], got, sizeof(got));

		if (r <= 0)
			return error_set(err, ERROR_INTERNAL, "only %zu bytes", n);
		n += (size_t)r;
	}
	return worker_report(w, 5, "final", 5, NULL, 0, err);
}

static int
body_hold(int fd, void *data)
{
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	start(&b, OPS(work_hold), NULL, 0, 0);
	run_until(&b, 1);
	REQUIRE_OK(b.last.code == ERROR_OK ? 0 : -1, &b.last);
	REQUIRE_EQ(b.n_messages, WORKER_HELD_MAX + 4);
	REQUIRE_STR(b.text, "final");
	bench_release(&b);
	return 0;
}

Test(job, messages_held_back_arrive_together_and_in_order)
{
	in_agent(body_hold);
}

/* Reports, then takes a step if arg is set. */
static int
work_report(struct worker *w, void *arg, struct error *err)
{
	const struct undo step = { .kind = &undo_umount, .fd = worker_fd(w), .name = "nothing" };

	for (int i = 0; i < 2; i++) {
		if (worker_report(w, 5, i == 0 ? "first" : "again", 5, NULL, 0, err) < 0)
			return -1;
	}
	if (arg && worker_step(w, &step, err) == 0)
		return error_set(err, ERROR_INTERNAL, "the step was allowed");
	return arg ? -1 : 0;
}

static int
body_report(int fd, void *data)
{
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	start(&b, OPS(work_report), NULL, 0, 0);
	run_until(&b, 1);
	REQUIRE(b.last.code == ERROR_OK && b.n_messages == 2 && strcmp(b.text, "again") == 0);
	b.refuse = true;
	start(&b, OPS(work_report), NULL, 0, 0);
	run_until(&b, 2);
	REQUIRE(b.last.code == ERROR_ALREADY_EXISTS && strcmp(b.last.msg, "no 5") == 0);
	start(&b, OPS(work_report), &b, 0, 0);
	run_until(&b, 3);
	REQUIRE(b.last.code == ERROR_ALREADY_EXISTS && strcmp(b.last.msg, "no 5") == 0);
	bench_release(&b);
	return 0;
}

Test(job, a_refused_report_fails_the_job)
{
	in_agent(body_report);
}

/* ---- the table of messages ---- */

/* A message, and what becomes of the job that sends it. */
struct odd_message {
	uint32_t type;
	size_t size, n_fds;
	bool wait;
	/* NULL: it is taken */
	const char *error;
};

static const struct odd_message odd_messages[] = {
	{ .type = 1, .size = 0 },
	{ .type = 1, .size = JOB_MESSAGE_MAX },
	{ .type = 1, .size = 8, .n_fds = 1, .error = "message 1 with 8 bytes and 1 fds" },
	{ .type = 2, .size = 8, .n_fds = 2 },
	{ .type = 2, .size = 16, .n_fds = 2 },
	{ .type = 2, .size = 7, .n_fds = 2, .error = "message 2 with 7 bytes and 2 fds" },
	{ .type = 2, .size = 17, .n_fds = 2, .error = "message 2 with 17 bytes and 2 fds" },
	{ .type = 2, .size = 8, .n_fds = 1, .error = "message 2 with 8 bytes and 1 fds" },
	{ .type = 2, .size = 8, .n_fds = 3, .error = "message 2 with 8 bytes and 3 fds" },
	{ .type = 2, .size = 8, .wait = true, .error = "message 2 with 8 bytes and 0 fds" },
	{ .type = 3, .size = 4, .n_fds = 0 },
	{ .type = 3, .size = 4, .n_fds = 1 },
	{ .type = 3, .size = 4, .n_fds = 2, .error = "message 3 with 4 bytes and 2 fds" },
	{ .type = 3, .size = 5, .error = "message 3 with 5 bytes and 0 fds" },
	{ .type = 0, .error = "unknown type 0" },
	{ .type = 4, .n_fds = 2, .wait = true, .error = "unknown type 4" },
	{ .type = 5, .error = "unknown type 5" },
	{ .type = UINT32_MAX, .n_fds = 8, .error = "unknown type 4294967295" },
};

static int
work_odd(struct worker *w, void *arg, struct error *err)
{
	static const char payload[JOB_MESSAGE_MAX];
	const struct odd_message *m = arg;
	int fds[8];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = worker_fd(w);
	return worker_send(w, m->type, payload, m->size, fds, m->n_fds, m->wait, err);
}

static int
take_and_keep_none(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct bench *b = data;

	(void)job;
	(void)err;
	REQUIRE_EQ((uintptr_t)m->payload % _Alignof(max_align_t), 0);
	b->n_messages++;
	return 0;
}

static int
body_odd(int fd, void *data)
{
	static const struct job_message_type messages[] = {
		[1] = { .handler = take_and_keep_none, .size_max = JOB_MESSAGE_MAX },
		[2] = { .handler = take_and_keep_none, .size = 8, .size_max = 16, .n_fds = 2 },
		[3] = { .handler = take_and_keep_none, .size = 4, .n_fds_max = 1 },
		[5] = { .size = 0 },
	};
	static const struct job_ops ops = { .name = "odd",
					    .work = work_odd,
					    .messages = messages,
					    .n_messages = ARRAY_LEN(messages),
					    .done = on_done };
	struct bench b;
	struct error err = ERROR_INIT;
	int before;

	(void)data;
	bench_init(&b, fd);
	before = count_fds();
	for (size_t i = 0; i < ARRAY_LEN(odd_messages); i++) {
		struct odd_message m = odd_messages[i];
		int n = b.n_messages;

		start(&b, &ops, &m, 0, 0);
		run_until(&b, b.ended + 1);
		if (b.n_messages - n != !m.error || (m.error && !strstr(b.last.msg, m.error)))
			fprintf(stderr, "row %zu: %d %s\n", i, b.last.code, b.last.msg);
		REQUIRE_EQ(b.n_messages - n, !m.error);
		REQUIRE_EQ(b.last.code, m.error ? ERROR_INTERNAL : ERROR_OK);
		REQUIRE(!m.error || strstr(b.last.msg, m.error));
		/* the worker's end has gone when its exit was heard of */
		while (count_fds() > before)
			REQUIRE_OK(loop_run_once(b.loop, 5000, &err), &err);
	}
	bench_release(&b);
	return 0;
}

Test(job, a_message_against_the_table_ends_the_job)
{
	in_agent(body_odd);
}

/* ---- an answer that cannot be sent ---- */

static bool answers_fail;

/* Stands in for the C library's: with answers_fail, the next message that may not wait finds no
 * memory. */
ssize_t
sendmsg(int fd, const struct msghdr *hdr, int flags)
{
	if (answers_fail && flags & MSG_DONTWAIT) {
		answers_fail = false;
		errno = ENOBUFS;
		return -1;
	}
	return syscall(SYS_sendmsg, fd, hdr, flags);
}

static int
work_ask(struct worker *w, void *arg, struct error *err)
{
	(void)arg;
	return worker_send(w, 5, "hello", 5, NULL, 0, true, err);
}

static int
on_question(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	answers_fail = true;
	return on_message(job, m, data, err);
}

static int
body_unanswered(int fd, void *data)
{
	static const struct job_message_type messages[] = {
		[5] = { .handler = on_question, .size = 5 },
	};
	static const struct job_ops ops = { .name = "ask",
					    .work = work_ask,
					    .messages = messages,
					    .n_messages = ARRAY_LEN(messages),
					    .done = on_done };
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	start(&b, &ops, NULL, 0, 0);
	run_until(&b, 1);
	REQUIRE(b.last.code == ERROR_INTERNAL || b.last.code == ERROR_RESOURCE_EXHAUSTED);
	REQUIRE_HAS(b.last.msg, "answer the worker");
	bench_release(&b);
	return 0;
}

Test(job, a_lost_answer_ends_the_job)
{
	in_agent(body_unanswered);
}

/* Sends a message from another process that holds the worker's end: a fork, like a new process of
 * a container. */
static int
work_robbed(struct worker *w, void *arg, struct error *err)
{
	int status;
	pid_t pid;

	(void)arg;
	pid = fork();
	if (pid == 0)
		_exit(worker_send(w, 6, "fake", 4, NULL, 0, false, err) ? 1 : 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return error_set(err, ERROR_INTERNAL, "nothing was forged");
	return worker_send(w, 6, "mine", 4, NULL, 0, false, err);
}

static int
body_robbed(int fd, void *data)
{
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	start(&b, OPS(work_robbed), NULL, 0, 0);
	run_until(&b, 1);
	REQUIRE_EQ(b.last.code, ERROR_OK);
	REQUIRE_EQ(b.n_messages, 1);
	bench_release(&b);
	return 0;
}

Test(job, only_the_worker_itself_is_heard)
{
	in_agent(body_robbed);
}

/* Sends an fd without waiting for the answer, then would continue as if it had arrived. */
static int
work_send_and_go(struct worker *w, void *arg, struct error *err)
{
	(void)arg;
	return worker_send(w, 5, "hello", 5, (int[]){ worker_fd(w) }, 1, false, err);
}

static int
body_lost(int fd, void *data)
{
	struct rlimit few = { .rlim_cur = 3, .rlim_max = 1024 };
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	start(&b, OPS(work_send_and_go), NULL, 0, 0);
	/* from here on there is no room for one more */
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	run_until(&b, 1);
	REQUIRE_EQ(b.last.code, ERROR_RESOURCE_EXHAUSTED);
	REQUIRE_HAS(b.last.msg, "too many open files");
	REQUIRE_EQ(b.n_messages, 0);
	bench_release(&b);
	return 0;
}

Test(job, a_message_whose_fds_find_no_room_fails_the_job)
{
	in_agent(body_lost);
}

/* ---- a process of its own ---- */

static int
work_process(struct worker *w, void *arg, struct error *err)
{
	struct clone_args args = { .flags = CLONE_PARENT | CLONE_PIDFD };
	int gate[2], pidfd = -1;
	pid_t pid;

	args.pidfd = (uintptr_t)&pidfd;
	if (pipe2(gate, O_CLOEXEC) < 0)
		return error_sys(err, "pipe");
	pid = sys_clone3(&args);
	if (pid == 0) {
		char c;

		close(gate[1]);
		close(worker_fd(w));
		while (arg)
			pause();
		_exit(read(gate[0], &c, 1) == 1 ? 33 : 1);
	}
	if (pid < 0)
		return error_sys(err, "clone");
	if (worker_process(w, pid, pidfd, err) < 0)
		return -1;
	if (arg)
		return error_set(err, ERROR_ABORTED, "with a process");
	if (write(gate[1], "x", 1) != 1)
		return error_sys(err, "write");
	return 0;
}

static int
body_process(int fd, void *data)
{
	struct bench b;
	struct error err = ERROR_INIT;

	(void)data;
	bench_init(&b, fd);
	start(&b, OPS(work_process), NULL, 0, 0);
	while (!b.child_ended)
		REQUIRE_OK(loop_run_once(b.loop, 5000, &err), &err);
	run_until(&b, 1);
	REQUIRE(WIFEXITED(b.child_status));
	REQUIRE_EQ(WEXITSTATUS(b.child_status), 33);
	bench_release(&b);
	return 0;
}

Test(job, process_of_a_worker_is_inits_child)
{
	in_agent(body_process);
}

static int
body_process_undone(int fd, void *data)
{
	struct bench b;
	struct error err = ERROR_INIT;

	(void)data;
	bench_init(&b, fd);
	start(&b, OPS(work_process), &b, 0, 0);
	run_until(&b, 1);
	REQUIRE_EQ(b.last.code, ERROR_ABORTED);
	while (!b.child_ended)
		REQUIRE_OK(loop_run_once(b.loop, 5000, &err), &err);
	/* It does not look at its gate. */
	REQUIRE(WIFSIGNALED(b.child_status) && WTERMSIG(b.child_status) == SIGKILL);
	bench_release(&b);
	return 0;
}

Test(job, process_of_a_failed_job_is_killed)
{
	in_agent(body_process_undone);
}

/* ---- the pool ---- */

static int
work_hang(struct worker *w, void *arg, struct error *err)
{
	(void)arg;
	if (worker_send(w, 1, "up", 2, NULL, 0, false, err) < 0)
		return -1;
	for (;;)
		pause();
}

static int
body_pool(int fd, void *data)
{
	struct bench b;
	struct job *hung[70], *urgent[3];
	int arg = 42;
	struct error err = ERROR_INIT;

	(void)data;
	bench_init(&b, fd);
	for (int i = 0; i < 70; i++)
		hung[i] = start(&b, OPS(work_hang), NULL, 0, 0);
	while (b.n_messages < 62)
		REQUIRE_OK(loop_run_once(b.loop, 5000, &err), &err);
	REQUIRE_EQ(jobs_running(b.jobs), 62);
	/* Two are kept for what is urgent; it passes the queue. */
	start(&b, OPS(work_ok), &arg, 0, JOB_URGENT);
	run_until(&b, 1);
	REQUIRE_EQ(b.last.code, ERROR_OK);
	for (int i = 0; i < 3; i++)
		urgent[i] = start(&b, OPS(work_hang), NULL, 0, JOB_URGENT);
	REQUIRE_EQ(jobs_running(b.jobs), 64);
	/* One that waits may be cancelled, or be late. */
	job_cancel(hung[69], ERROR_CANCELLED, "was queued");
	REQUIRE_EQ(b.ended, 1);
	run_until(&b, 2);
	REQUIRE_EQ(b.last.code, ERROR_CANCELLED);
	start(&b, OPS(work_ok), &arg, 50, 0);
	run_until(&b, 3);
	REQUIRE_EQ(b.last.code, ERROR_DEADLINE_EXCEEDED);
	/* Or both: its time is over before the loop comes to what was cancelled. */
	job_cancel(start(&b, OPS(work_ok), &arg, 1, 0), ERROR_CANCELLED, "was queued, too");
	(void)usleep(5000);
	run_until(&b, 4);
	REQUIRE_EQ(b.last.code, ERROR_CANCELLED);
	/* Each that ends lets the next in, in order. */
	for (int i = 0; i < 3; i++)
		job_cancel(urgent[i], ERROR_CANCELLED, "end");
	for (int i = 0; i < 69; i++)
		job_cancel(hung[i], ERROR_CANCELLED, "end");
	run_until(&b, 4 + 3 + 69);
	REQUIRE_EQ(jobs_running(b.jobs), 0);
	bench_release(&b);
	return 0;
}

Test(job, pool_and_queue)
{
	in_agent(body_pool);
}

/* ---- lanes ---- */

#define LANE_JOBS 4

static int lane_pipe[2];
static char lane_order[LANE_JOBS + 1];

/* Says its letter when it begins, and ends when it is let. */
static int
work_in_lane(struct worker *w, void *arg, struct error *err)
{
	char byte;

	if (worker_send(w, 1, arg, 1, NULL, 0, true, err) < 0)
		return -1;
	return read(lane_pipe[0], &byte, 1) == 1 ? 0 : error_sys(err, "wait");
}

static int
on_letter(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct bench *b = data;

	(void)job;
	(void)err;
	lane_order[b->n_messages++] = *(const char *)m->payload;
	return 0;
}

static void
until_messages(struct bench *b, int n)
{
	struct error err = ERROR_INIT;

	while (b->n_messages < n)
		REQUIRE_OK(loop_run_once(b->loop, 5000, &err), &err);
}

static int
body_lane(int fd, void *data)
{
	static const struct job_message_type messages[] = {
		[1] = { .handler = on_letter, .size = 1 },
	};
	static const struct job_ops ops = { .name = "lane",
					    .work = work_in_lane,
					    .messages = messages,
					    .n_messages = ARRAY_LEN(messages),
					    .done = on_done };
	struct job_lane lane = { 0 };
	struct job *jobs[LANE_JOBS];
	struct error err = ERROR_INIT;
	char letters[] = "abcd";
	int arg = 42;
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	REQUIRE_EQ(pipe2(lane_pipe, O_CLOEXEC), 0);
	for (int i = 0; i < LANE_JOBS; i++) {
		const struct job_spec spec = { .ops = &ops,
					       .arg = &letters[i],
					       .data = &b,
					       .keep_fds = lane_pipe,
					       .n_keep_fds = 1,
					       .deadline_ms = 5000,
					       .lane = &lane };

		jobs[i] = job_start(b.jobs, &spec, &err);
		REQUIRE(jobs[i]);
	}
	until_messages(&b, 1);
	/* a job without a lane overtakes */
	start(&b, OPS(work_ok), &arg, 0, 0);
	run_until(&b, 1);
	REQUIRE_EQ(b.last.code, ERROR_OK);
	REQUIRE_EQ(b.n_messages, 1);
	REQUIRE(job_has_begun(jobs[0]) && !job_has_begun(jobs[1]) && !job_has_begun(jobs[3]));
	REQUIRE_EQ(jobs_running(b.jobs), 1);
	/* one that has not begun sees what its argument is when it begins, or never does */
	letters[1] = 'B';
	job_cancel(jobs[2], ERROR_CANCELLED, "was in the lane");
	run_until(&b, 2);
	REQUIRE_EQ(b.last.code, ERROR_CANCELLED);
	REQUIRE_EQ(write(lane_pipe[1], "x", 1), 1);
	run_until(&b, 3);
	REQUIRE_EQ(b.last.code, ERROR_OK);
	until_messages(&b, 2);
	REQUIRE(!job_has_begun(jobs[3]));
	/* the job whose turn it is fails: the next one still gets its turn */
	job_cancel(jobs[1], ERROR_CANCELLED, "has begun");
	run_until(&b, 4);
	until_messages(&b, 3);
	REQUIRE_EQ(write(lane_pipe[1], "x", 1), 1);
	run_until(&b, 5);
	REQUIRE_EQ(b.last.code, ERROR_OK);
	REQUIRE_STR(lane_order, "aBd");
	REQUIRE(!lane.turn);
	REQUIRE_EQ(jobs_running(b.jobs), 0);
	close_fd(&lane_pipe[0]);
	close_fd(&lane_pipe[1]);
	bench_release(&b);
	return 0;
}

Test(job, one_after_the_other_in_a_lane)
{
	in_agent(body_lane);
}

/* The time of a job begins with its turn, also when no worker is free for it. */
static int
body_lane_deadline(int fd, void *data)
{
	struct job_lane lane = { 0 };
	struct job_spec spec = { .ops = OPS(work_hang), .deadline_ms = 300, .lane = &lane };
	struct error err = ERROR_INIT;
	uint64_t begin;
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	spec.data = &b;
	begin = monotonic_ns();
	REQUIRE(job_start(b.jobs, &spec, &err) && job_start(b.jobs, &spec, &err));
	run_until(&b, 1);
	REQUIRE_EQ(b.last.code, ERROR_DEADLINE_EXCEEDED);
	run_until(&b, 2);
	REQUIRE_EQ(b.last.code, ERROR_DEADLINE_EXCEEDED);
	REQUIRE_GE(monotonic_ns() - begin, 600000000);
	for (int i = 0; i < 62; i++)
		start(&b, OPS(work_hang), NULL, 0, 0);
	REQUIRE(job_start(b.jobs, &spec, &err) && job_start(b.jobs, &spec, &err));
	run_until(&b, 4);
	REQUIRE_EQ(b.last.code, ERROR_DEADLINE_EXCEEDED);
	REQUIRE_HAS(b.last.msg, "waiting for a worker");
	REQUIRE(!lane.turn);
	/* jobs that wait in a lane are freed with the pool */
	REQUIRE(job_start(b.jobs, &spec, &err) && job_start(b.jobs, &spec, &err));
	bench_release(&b);
	REQUIRE(!lane.turn);
	return 0;
}

Test(job, time_in_a_lane)
{
	in_agent(body_lane_deadline);
}

static int
body_many(int fd, void *data)
{
	struct bench b;
	struct error err = ERROR_INIT;
	int arg = 42, before;
	uint64_t t0, limit;

	(void)data;
	bench_init(&b, fd);
	before = count_fds();
	t0 = monotonic_ns();
	for (int i = 0; i < 500; i++) {
		start(&b, OPS(work_ok), &arg, 20000, 0);
		run_until(&b, i + 1);
		REQUIRE_EQ(b.last.code, ERROR_OK);
	}
	fprintf(stderr, "# %llu us a job\n", (unsigned long long)(monotonic_ns() - t0) / 500000);
	/* the last worker's exit may be on its way */
	limit = deadline_in(60000);
	while (count_fds() != before) {
		REQUIRE(!deadline_is_over(limit), "%d fds, %d before", count_fds(), before);
		REQUIRE_OK(loop_run_once(b.loop, 100, &err), &err);
	}
	bench_release(&b);
	return 0;
}

Test(job, many_leave_nothing)
{
	in_agent(body_many);
}

static int
body_free_running(int fd, void *data)
{
	struct bench b;
	struct error err = ERROR_INIT;

	(void)data;
	bench_init(&b, fd);
	for (int i = 0; i < 70; i++)
		start(&b, OPS(work_hang), NULL, 0, 0);
	while (b.n_messages < 62)
		REQUIRE_OK(loop_run_once(b.loop, 5000, &err), &err);
	bench_release(&b);
	return 0;
}

Test(job, freeing_the_pool_kills_what_runs)
{
	in_agent(body_free_running);
}
