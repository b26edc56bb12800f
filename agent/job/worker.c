/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's side of a job, from the fork to _exit(). Straight-line code that may block. It never
 * runs the agent's loop and never touches the agent's tables.
 */
#include "agent/job/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/job/wire.h"
#include "lib/cleanup.h"
#include "lib/crash.h"
#include "lib/io.h"
#include "lib/log.h"

/* A message that is held back (worker_hold()), with duplicates of its fds. */
struct held {
	char *msg;
	size_t size;
	int fds[IO_FDS_MAX];
	size_t n_fds;
};

struct worker {
	int sock;
	const struct undo_kind *const *kinds;
	/* Number of steps journalled, counted as the agent does. */
	size_t steps;
	/* Announcements whose answers have not been received. They precede all later answers. */
	size_t unanswered;
	bool holds;
	struct held held[WORKER_HELD_MAX];
	size_t n_held;
};

void
worker_hold(struct worker *w)
{
	w->holds = true;
}

/* Sends the messages that were held back. All are released, even if that fails. */
static int
worker_send_held(struct worker *w, struct error *err)
{
	int result = 0;

	for (size_t i = 0; i < w->n_held; i++) {
		struct held *h = &w->held[i];

		if (result == 0 && send_msg(w->sock, h->msg, h->size, h->fds, h->n_fds, 0) < 0)
			result = error_sys(err, "failed to report to the agent");
		close_fds(h->fds, h->n_fds);
		free(h->msg);
	}
	w->n_held = 0;
	return result;
}

int
worker_flush(struct worker *w, struct error *err)
{
	w->holds = false;
	return worker_send_held(w, err);
}

/* Holds a message back; takes ownership of msg. Returns false if that is not possible. */
static bool
worker_held(struct worker *w, char *msg, size_t size, const int *fds, size_t n_fds)
{
	struct held *h = &w->held[w->n_held];

	if (w->n_held == WORKER_HELD_MAX || n_fds > IO_FDS_MAX)
		return false;
	*h = (struct held){ .msg = msg, .size = size };
	for (; h->n_fds < n_fds; h->n_fds++) {
		h->fds[h->n_fds] = fcntl(fds[h->n_fds], F_DUPFD_CLOEXEC, 3);
		if (h->fds[h->n_fds] < 0) {
			close_fds(h->fds, h->n_fds);
			return false;
		}
	}
	w->n_held++;
	return true;
}

/* Returns whether nothing waits for an answer to the message, or for the message itself. */
static bool
worker_may_hold(const struct job_wire_head *head)
{
	return head->kind == JOB_WIRE_TAKEN ||
	       (head->kind == JOB_WIRE_MESSAGE && head->reply != JOB_REPLY_NOW);
}

/* Sends head and payload as one message, after those that were held back. */
static int
worker_send_wire(struct worker *w, const struct job_wire_head *head, const void *payload,
		 size_t size, const int *fds, size_t n_fds, struct error *err)
{
	auto_free char *msg = malloc(sizeof(*head) + size);

	if (!msg)
		return error_nomem(err, "reporting to the agent");
	memcpy(msg, head, sizeof(*head));
	if (size > 0)
		memcpy(msg + sizeof(*head), payload, size);
	if (w->holds && worker_may_hold(head) &&
	    worker_held(w, msg, sizeof(*head) + size, fds, n_fds)) {
		(void)steal_ptr(&msg);
		return 0;
	}
	if (worker_send_held(w, err) < 0)
		return -1;
	if (send_msg(w->sock, msg, sizeof(*head) + size, fds, n_fds, 0) < 0)
		return error_sys(err, "failed to report to the agent");
	return 0;
}

/* Blocks until the agent has answered. Returns 0, or -1 and the agent's error. */
static int
worker_wait_for(struct worker *w, enum job_wire kind, struct error *err)
{
	struct job_wire_ack ack;
	int fds[IO_FDS_MAX];
	size_t n_fds;
	ssize_t n;

	n = recv_msg(w->sock, &ack, sizeof(ack), fds, &n_fds, 0);
	if (n < 0)
		return error_sys(err, "failed to wait for the agent");
	if (n != sizeof(ack) || ack.head.kind != kind)
		return error_set(err, ERROR_CANCELLED, "the agent has exited");
	if (ack.err.code != ERROR_OK) {
		*err = ack.err;
		return -1;
	}
	return 0;
}

int
worker_settle(struct worker *w, struct error *err)
{
	struct error why = ERROR_INIT;

	/* All answers are received, so that none is taken for that of a later message. */
	for (; w->unanswered > 0; w->unanswered--) {
		struct error answer = ERROR_INIT;

		if (worker_wait_for(w, JOB_WIRE_ACK, &answer) < 0 && why.code == ERROR_OK)
			why = answer;
	}
	if (why.code == ERROR_OK)
		return 0;
	*err = why;
	return -1;
}

/* Blocks until the agent has answered the last message. Returns 0, or -1 and the error of that or
 * of an announcement before it. */
static int
worker_wait_ack(struct worker *w, struct error *err)
{
	struct error answer = ERROR_INIT;
	int settled = worker_settle(w, err);

	if (worker_wait_for(w, JOB_WIRE_ACK, &answer) == 0 || settled < 0)
		return settled;
	*err = answer;
	return -1;
}

int
worker_fd(const struct worker *w)
{
	return w->sock;
}

static int
worker_has_room(const struct worker *w, struct error *err)
{
	if (w->steps >= JOURNAL_STEPS_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "more than %d steps in one job",
				 JOURNAL_STEPS_MAX);
	return 0;
}

int
worker_step(struct worker *w, const struct undo *undo, struct error *err)
{
	return worker_announce(w, undo, err) < 0 || worker_settle(w, err) < 0 ? -1 : 0;
}

int
worker_announce(struct worker *w, const struct undo *undo, struct error *err)
{
	struct job_wire_head head = { .kind = JOB_WIRE_STEP,
				      .pid = undo->id,
				      .reply = JOB_REPLY_NOW };
	size_t len = undo->name ? strnlen(undo->name, JOURNAL_NAME_MAX + 1) : 0;

	while (w->kinds[head.type] && w->kinds[head.type] != undo->kind)
		head.type++;
	if (!w->kinds[head.type])
		return error_set(err, ERROR_INTERNAL, "unknown kind of step: %s", undo->kind->name);
	if (len > JOURNAL_NAME_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "path too long: %.64s...",
				 undo->name);
	if (worker_has_room(w, err) < 0)
		return -1;
	if (worker_send_wire(w, &head, undo->name, len, &undo->fd, 1, err) < 0)
		return -1;
	w->unanswered++;
	return (int)w->steps++;
}

int
worker_taken(struct worker *w, const struct stat *made, struct error *err)
{
	return worker_step_taken(w, (int)w->steps - 1, made, err);
}

int
worker_step_taken(struct worker *w, int step, const struct stat *made, struct error *err)
{
	struct job_wire_head head = { .kind = JOB_WIRE_TAKEN, .type = (uint32_t)step };
	struct job_wire_taken taken = { 0 };

	if (made) {
		taken.dev = made->st_dev;
		taken.ino = made->st_ino;
	}
	return worker_send_wire(w, &head, &taken, made ? sizeof(taken) : 0, NULL, 0, err);
}

/* Sends a message of the job's own. */
static int
worker_send_message(struct worker *w, uint32_t type, enum job_wire_reply reply, const void *payload,
		    size_t size, const int *fds, size_t n_fds, struct error *err)
{
	const struct job_wire_head head = { .kind = JOB_WIRE_MESSAGE,
					    .type = type,
					    .reply = reply };

	if (size > JOB_MESSAGE_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "message to the agent too large: %zu bytes", size);
	return worker_send_wire(w, &head, payload, size, fds, n_fds, err);
}

int
worker_send(struct worker *w, uint32_t type, const void *payload, size_t size, const int *fds,
	    size_t n_fds, bool wait, struct error *err)
{
	if (worker_send_message(w, type, wait ? JOB_REPLY_NOW : JOB_REPLY_NONE, payload, size, fds,
				n_fds, err) < 0)
		return -1;
	return wait ? worker_wait_ack(w, err) : 0;
}

int
worker_report(struct worker *w, uint32_t type, const void *payload, size_t size, const int *fds,
	      size_t n_fds, struct error *err)
{
	return worker_send_message(w, type, JOB_REPLY_LATER, payload, size, fds, n_fds, err);
}

int
worker_output(struct worker *w, const void *data, size_t size, struct error *err)
{
	const struct job_wire_head head = { .kind = JOB_WIRE_OUTPUT };
	const char *p = data;

	while (size > 0) {
		size_t n = size < JOB_OUTPUT_PIECE ? size : JOB_OUTPUT_PIECE;

		if (worker_send_wire(w, &head, p, n, NULL, 0, err) < 0)
			return -1;
		p += n;
		size -= n;
	}
	return 0;
}

int
worker_process(struct worker *w, pid_t pid, int pidfd, struct error *err)
{
	const struct job_wire_head head = { .kind = JOB_WIRE_PROCESS,
					    .pid = pid,
					    .reply = JOB_REPLY_NOW };
	/* For the journal and for job_ops.process. */
	const int fds[] = { pidfd, pidfd };

	if (worker_has_room(w, err) < 0 ||
	    worker_send_wire(w, &head, NULL, 0, fds, ARRAY_LEN(fds), err) < 0 ||
	    worker_wait_ack(w, err) < 0)
		return -1;
	w->steps++;
	return 0;
}

/* Appends a text with its NUL, or nothing if it does not fit. */
static bool
worker_put_text(char *out, size_t *len, size_t size, const char *text)
{
	size_t n = strlen(text) + 1;

	if (n > size - *len)
		return false;
	memcpy(out + *len, text, n);
	*len += n;
	return true;
}

static void worker_send_log(struct worker *w, enum log_level level, const char *event,
			    const struct log_field *fields, size_t n_fields, const char *fmt,
			    va_list ap) __attribute__((format(printf, 6, 0)));

static void
worker_send_log(struct worker *w, enum log_level level, const char *event,
		const struct log_field *fields, size_t n_fields, const char *fmt, va_list ap)
{
	struct job_wire_head head = { .kind = JOB_WIRE_LOG, .type = level };
	const size_t head_max = JOB_LOG_MAX - ERROR_MSG_MAX - 1;
	struct error err = ERROR_INIT;
	char payload[JOB_LOG_MAX];
	size_t len = 0;
	int n;

	(void)worker_put_text(payload, &len, head_max, event);
	for (size_t i = 0; i < n_fields && i < WORKER_FIELDS_MAX; i++) {
		size_t before = len;

		if (!worker_put_text(payload, &len, head_max, fields[i].key) ||
		    !worker_put_text(payload, &len, head_max, fields[i].value))
			len = before;
	}
	payload[len++] = '\0';
	n = vsnprintf(payload + len, ERROR_MSG_MAX, fmt, ap);
	if (n > 0)
		(void)worker_send_wire(w, &head, payload,
				       len + strnlen(payload + len, ERROR_MSG_MAX), NULL, 0, &err);
}

void
worker_log(struct worker *w, enum log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	worker_send_log(w, level, "", NULL, 0, fmt, ap);
	va_end(ap);
}

void
worker_event(struct worker *w, enum log_level level, const char *event,
	     const struct log_field *fields, size_t n_fields, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	worker_send_log(w, level, event, fields, n_fields, fmt, ap);
	va_end(ap);
}

/* Drops lines of the worker's own copy of the log: only worker_log() reaches the agent's log. */
static bool
worker_drop_line(const char *line, size_t len, void *data)
{
	(void)line;
	(void)len;
	(void)data;
	return true;
}

/* Resets the signals that the agent has changed, except SIGPIPE, which stays ignored here. */
static void
worker_reset_signals(void)
{
	sigset_t none;

	for (size_t i = 0; i < CRASH_SIGNALS; i++)
		(void)signal(crash_signals[i], SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

_Noreturn void
worker_enter(const struct worker_start *start)
{
	struct job_wire_head head = { .kind = JOB_WIRE_RESULT };
	struct worker w = { .sock = start->sock, .kinds = start->kinds };
	struct error err = ERROR_INIT, ignored = ERROR_INIT;
	int failed = -1;

	log_set_sink(worker_drop_line, NULL);
	worker_reset_signals();
	for (int fd = 0; fd < 3; fd++)
		(void)dup2(start->dev_null, fd);
	if (close_all_but(start->keep, start->n_keep) < 0)
		error_sys(&err, "failed to close the agent's files");
	else if (worker_wait_for(&w, JOB_WIRE_GO, &err) == 0)
		failed = start->work(&w, start->arg, &err);
	if (failed && err.code == ERROR_OK)
		error_set(&err, ERROR_INTERNAL, "failed without a reason");
	if (!failed)
		err = ERROR_INIT;
	(void)worker_send_wire(&w, &head, &err, sizeof(err), NULL, 0, &ignored);
	_exit(0);
}
