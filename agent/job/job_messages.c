/* SPDX-License-Identifier: Apache-2.0 */
/* See job_messages.h. Called by job.c. */
#include "agent/job/job_messages.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/job/job_internal.h"
#include "agent/job/steps.h"
#include "lib/cleanup.h"
#include "lib/io.h"

static bool messages_take_and_close(struct job *job, size_t n, int *fds, size_t n_fds);
static bool messages_take(struct job *job, const struct job_wire_head *head, struct job_message *m);
static void messages_take_step(struct job *job, const struct job_wire_head *head,
			       struct job_message *m);
static void messages_take_own(struct job *job, const struct job_wire_head *head,
			      struct job_message *m);
static const struct job_message_type *messages_find_row(const struct job *job,
							const struct job_message *m,
							struct error *err);
static void messages_take_process(struct job *job, const struct job_wire_head *head,
				  struct job_message *m);
static void messages_take_output(struct job *job, const struct job_message *m);
static void messages_take_log(const struct job *job, enum log_level level, const char *payload,
			      size_t size);

/* Has job_drain() return DRAINED_ABORT. job->err is set. */
static void
messages_abort(struct job *job)
{
	job->is_cancelled = true;
}

/* Answers a waiting message, or with the refusal of an earlier one. Without an answer a worker
 * would wait until its deadline, or forever. */
static void
messages_acknowledge(struct job *job, const struct error *err)
{
	struct job_wire_ack ack = { .head.kind = JOB_WIRE_ACK,
				    .err = err->code == ERROR_OK ? job->refused : *err };

	if (send_msg(job->sock, &ack, sizeof(ack), NULL, 0, MSG_DONTWAIT) == 0 ||
	    job->state != JOB_RUNNING)
		return;
	/* It has died: its exit status is more specific. */
	if (errno == EPIPE || errno == ECONNRESET)
		return;
	error_sys(&job->err, "%s: failed to answer the worker", job->ops->name);
	messages_abort(job);
}

enum drained
job_drain(struct job *job, unsigned int max)
{
	uint8_t *in = job->jobs->in;
	int fds[IO_FDS_MAX];
	size_t n_fds;
	pid_t sender;
	ssize_t n;

	while (max-- > 0) {
		n = recv_msg_from(job->sock, in, sizeof(job->jobs->in), fds, &n_fds, MSG_DONTWAIT,
				  &sender);
		if (n < 0 && watch_may_retry(job->watch, errno))
			return DRAINED;
		if (n == 0 || (n < 0 && errno != EMSGSIZE))
			return DRAINED_EOF;
		if (n < 0 && job->state == JOB_RUNNING) {
			/* Its fds could not be received (MSG_CTRUNC, recvmsg(2)), and the worker
			 * may depend on them. */
			error_set(&job->err, ERROR_RESOURCE_EXHAUSTED,
				  "lost a message of the worker: too many open files");
			messages_abort(job);
			return DRAINED_ABORT;
		}
		if (n < 0)
			continue;
		/* A new process of a container holds the worker's end until it has run its first
		 * lines, and another process of that container that may trace it can take it from
		 * there. */
		if ((size_t)n < sizeof(struct job_wire_head) || sender != job->proc->pid)
			close_fds(fds, n_fds);
		else if (!messages_take_and_close(job, (size_t)n, fds, n_fds))
			return DRAINED_RESULT;
		/* A handler that cancels the job itself has stopped it. */
		if (job->is_cancelled && job->state == JOB_RUNNING)
			return DRAINED_ABORT;
	}
	return DRAINED;
}

/* Handles the message in jobs->in and closes the fds that no handler has kept. */
static bool
messages_take_and_close(struct job *job, size_t n, int *fds, size_t n_fds)
{
	const uint8_t *in = job->jobs->in;
	struct job_wire_head head;
	struct job_message m = {
		.payload = in + sizeof(head),
		.size = n - sizeof(head),
		.fds = fds,
		.n_fds = n_fds,
	};
	bool goes_on;

	memcpy(&head, in, sizeof(head));
	goes_on = messages_take(job, &head, &m);
	close_fds(fds, n_fds);
	return goes_on;
}

static void
messages_take_taken(struct job *job, const struct job_wire_head *head, const struct job_message *m)
{
	struct job_wire_taken taken = { 0 };

	if (m->size == sizeof(taken))
		memcpy(&taken, m->payload, sizeof(taken));
	journal_taken(&job->journal, head->type, m->size == sizeof(taken), taken.dev, taken.ino);
}

/* Handles one message. Returns false if it is the result. */
static bool
messages_take(struct job *job, const struct job_wire_head *head, struct job_message *m)
{
	switch ((enum job_wire)head->kind) {
	case JOB_WIRE_STEP:
		messages_take_step(job, head, m);
		return true;
	case JOB_WIRE_TAKEN:
		messages_take_taken(job, head, m);
		return true;
	case JOB_WIRE_MESSAGE:
		messages_take_own(job, head, m);
		return true;
	case JOB_WIRE_PROCESS:
		messages_take_process(job, head, m);
		return true;
	case JOB_WIRE_OUTPUT:
		messages_take_output(job, m);
		return true;
	case JOB_WIRE_LOG:
		messages_take_log(job, (enum log_level)head->type, m->payload, m->size);
		return true;
	case JOB_WIRE_RESULT:
		if (m->size != sizeof(job->err) || job->state != JOB_RUNNING)
			return true;
		memcpy(&job->err, m->payload, sizeof(job->err));
		if (job->err.code == ERROR_OK)
			job->err = job->refused;
		if (job->err.code == ERROR_OK && buf_len(&job->output) < job->ops->output_min)
			error_set(&job->err, ERROR_INTERNAL,
				  "the worker exited without reporting its output");
		return false;
	case JOB_WIRE_GO:
	case JOB_WIRE_ACK:
		break;
	}
	return true;
}

/* Adds a step to the journal, with its fd. Returns false if the job is to be stopped: a step that
 * cannot be undone must not be taken. */
static bool
messages_add_step(struct job *job, struct step *step, int *fd, size_t name_len)
{
	step->fd = steal_fd(fd);
	if (journal_add(&job->journal, step, name_len) == 0)
		return true;
	error_sys_code(&job->err, ERROR_RESOURCE_EXHAUSTED, "failed to extend the journal");
	messages_abort(job);
	return false;
}

static void
messages_take_step(struct job *job, const struct job_wire_head *head, struct job_message *m)
{
	const struct undo_kind *kind = NULL;
	const struct error ok = ERROR_INIT;
	struct step step = { .id = head->pid, .name = (char *)(uintptr_t)m->payload };

	if (head->type < UNDO_KINDS_MAX)
		kind = job->jobs->kinds[head->type];
	/* The worker waits for the answer, so a worker that is being killed has not taken the
	 * step. */
	if (job->state != JOB_RUNNING)
		return;
	if (!kind || m->n_fds != 1) {
		error_set(&job->err, ERROR_INTERNAL,
			  "the worker announced a step of unknown kind %u, or with %zu fds",
			  head->type, m->n_fds);
		messages_abort(job);
		return;
	}
	step.kind = kind;
	if (job->refused.code != ERROR_OK || messages_add_step(job, &step, &m->fds[0], m->size))
		messages_acknowledge(job, &ok);
}

/* Makes a callback's result and its error agree. */
static void
messages_settle(int result, struct error *err)
{
	if (result == 0)
		*err = ERROR_INIT;
	else if (err->code == ERROR_OK)
		error_set(err, ERROR_INTERNAL, "refused by the agent");
}

static void
messages_take_own(struct job *job, const struct job_wire_head *head, struct job_message *m)
{
	const struct job_message_type *row;
	struct error err = ERROR_INIT;

	/* Its worker is being killed: nothing would read the answer. */
	if (job->state != JOB_RUNNING)
		return;
	m->type = head->type;
	row = messages_find_row(job, m, &job->err);
	if (!row) {
		messages_abort(job);
		return;
	}
	messages_settle(row->handler(job, m, job->data, &err), &err);
	if (head->reply == JOB_REPLY_NOW)
		messages_acknowledge(job, &err);
	else if (err.code == ERROR_OK || job->state != JOB_RUNNING)
		return;
	else if (head->reply == JOB_REPLY_NONE)
		log_warn("job", "%s: refused message %u of the worker: %s", job->ops->name,
			 head->type, err.msg);
	else if (job->refused.code == ERROR_OK)
		job->refused = err;
}

static bool
messages_is_within(size_t n, size_t exact, size_t max)
{
	return max > 0 ? n >= exact && n <= max : n == exact;
}

/* Returns the row of a message, or NULL and err if it has no row or does not match it. */
static const struct job_message_type *
messages_find_row(const struct job *job, const struct job_message *m, struct error *err)
{
	const struct job_message_type *row = NULL;

	if (m->type < job->ops->n_messages && job->ops->messages[m->type].handler)
		row = &job->ops->messages[m->type];
	if (!row)
		error_set(err, ERROR_INTERNAL, "the worker sent a message of unknown type %u",
			  m->type);
	else if (!messages_is_within(m->size, row->size, row->size_max) ||
		 !messages_is_within(m->n_fds, row->n_fds, row->n_fds_max))
		error_set(err, ERROR_INTERNAL,
			  "the worker sent message %u with %zu bytes and %zu fds, not %zu and %zu",
			  m->type, m->size, m->n_fds, row->size, row->n_fds);
	else
		return row;
	return NULL;
}

static void
messages_take_process(struct job *job, const struct job_wire_head *head, struct job_message *m)
{
	struct step step = { .kind = &undo_kill, .id = head->pid, .name = "" };
	struct error err = ERROR_INIT;

	if (m->n_fds != 2 || job->state != JOB_RUNNING || !job->ops->process)
		error_set(&err, ERROR_CANCELLED, "process %d is no longer wanted", (int)head->pid);
	else if (job->refused.code != ERROR_OK)
		err = job->refused;
	else if (!messages_add_step(job, &step, &m->fds[0], 0))
		return;
	else
		messages_settle(
			job->ops->process(job, head->pid, steal_fd(&m->fds[1]), job->data, &err),
			&err);
	messages_acknowledge(job, &err);
}

static void
messages_take_output(struct job *job, const struct job_message *m)
{
	uint8_t *at;

	if (job->state != JOB_RUNNING)
		return;
	at = buf_reserve(&job->output, m->size + 1);
	if (!at) {
		error_set(&job->err, ERROR_RESOURCE_EXHAUSTED,
			  "no room for more than %zu bytes of the worker's output",
			  buf_len(&job->output));
		messages_abort(job);
		return;
	}
	memcpy(at, m->payload, m->size);
	at[m->size] = '\0';
	buf_commit(&job->output, m->size);
}

/* Takes one NUL-terminated text from the beginning. Returns NULL if there is none. */
static const char *
messages_next_text(const char **at, size_t *left)
{
	const char *text = *at, *end = memchr(text, '\0', *left);

	if (!end)
		return NULL;
	*left -= (size_t)(end + 1 - text);
	*at = end + 1;
	return text;
}

static void
messages_take_log(const struct job *job, enum log_level level, const char *payload, size_t size)
{
	struct log_field fields[WORKER_FIELDS_MAX];
	const char *event = messages_next_text(&payload, &size);
	const char *key;
	size_t n = 0;

	while ((key = messages_next_text(&payload, &size)) != NULL && *key) {
		const char *value = messages_next_text(&payload, &size);

		if (!value || n == WORKER_FIELDS_MAX)
			return;
		fields[n++] = (struct log_field){ key, value };
	}
	if (!key)
		return;
	log_event(level, "job", *event ? event : NULL, fields, n, "%s: %.*s", job->ops->name,
		  (int)size, payload);
}
