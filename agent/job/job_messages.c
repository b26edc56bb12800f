/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker says, taken from its socket and handed to the job's callbacks. Called by job.c. Never blocks. */
#include "agent/job/job_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "lib/io.h"

/* Answers a waiting message. A worker that is never answered would wait until its time is over, or forever. */
static void
acknowledge(struct job *job, const struct error *err)
{
	struct job_wire_ack ack = { .head.kind = JOB_WIRE_ACK, .err = *err };

	if (send_msg(job->sock, &ack, sizeof(ack), NULL, 0, MSG_DONTWAIT) == 0 ||
	    job->state != JOB_RUNNING)
		return;
	/* it has died: its exit status says more */
	if (errno == EPIPE || errno == ECONNRESET)
		return;
	error_sys(&job->err, "%s: answer the worker", job->ops->name);
	job->is_cancelled = true;
	job_stop(job);
}

/* Makes a callback's verdict and its error agree. */
static void
settle(int result, struct error *err)
{
	if (result == 0)
		*err = ERROR_INIT;
	else if (err->code == ERROR_OK)
		error_set(err, ERROR_INTERNAL, "refused by the agent");
}

static void
close_all(int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close_fd(&fds[i]);
}

static void
take_step(struct job *job, const struct job_wire_head *head, const char *name, size_t len, int *fds,
	  size_t n_fds)
{
	const struct journal_step step = {
		.kind = (enum undo_kind)head->type,
		.id = head->pid,
		.fd = n_fds > 0 ? steal_fd(&fds[0]) : -1,
		.name = (char *)(uintptr_t)name,
	};

	close_all(fds, n_fds);
	if (journal_add(&job->journal, &step, len) == 0)
		return;
	/* What cannot be undone must not be done. */
	if (job->state != JOB_RUNNING)
		return;
	error_sys_code(&job->err, ERROR_RESOURCE_EXHAUSTED, "keep the journal");
	job->is_cancelled = true;
	job_stop(job);
}

static void
take_taken(struct job *job, const void *payload, size_t size)
{
	struct job_wire_taken taken = { 0 };

	if (size == sizeof(taken))
		memcpy(&taken, payload, sizeof(taken));
	journal_taken(&job->journal, size == sizeof(taken), taken.dev, taken.ino);
}

static void
take_message(struct job *job, const struct job_wire_head *head, const void *payload, size_t size,
	     int *fds, size_t n_fds)
{
	struct error err = ERROR_INIT;

	if (job->state != JOB_RUNNING || !job->ops->message) {
		close_all(fds, n_fds);
		error_set(&err, ERROR_CANCELLED, "message %u is not wanted", head->type);
	} else {
		settle(job->ops->message(job, head->type, payload, size, fds, n_fds, job->data,
					 &err),
		       &err);
	}
	if (head->wait)
		acknowledge(job, &err);
	else if (err.code != ERROR_OK && job->state == JOB_RUNNING)
		log_warn("job", "%s: message %u of the worker was refused: %s", job->ops->name,
			 head->type, err.msg);
}

static void
take_process(struct job *job, const struct job_wire_head *head, int *fds, size_t n_fds)
{
	struct error err = ERROR_INIT;

	if (n_fds != 1 || job->state != JOB_RUNNING || !job->ops->process) {
		close_all(fds, n_fds);
		error_set(&err, ERROR_CANCELLED, "process %d is not wanted", (int)head->pid);
	} else {
		settle(job->ops->process(job, head->pid, fds[0], job->data, &err), &err);
	}
	acknowledge(job, &err);
}

/* One message. Returns false when the job has ended by it. */
static bool
take(struct job *job, const uint8_t *in, size_t n, int *fds, size_t n_fds)
{
	struct job_wire_head head;
	const void *payload = in + sizeof(head);
	size_t size = n - sizeof(head);

	memcpy(&head, in, sizeof(head));
	if (head.kind != JOB_WIRE_MESSAGE && head.kind != JOB_WIRE_PROCESS &&
	    head.kind != JOB_WIRE_STEP)
		close_all(fds, n_fds);
	switch ((enum job_wire)head.kind) {
	case JOB_WIRE_STEP:
		take_step(job, &head, payload, size, fds, n_fds);
		return true;
	case JOB_WIRE_TAKEN:
		take_taken(job, payload, size);
		return true;
	case JOB_WIRE_MESSAGE:
		take_message(job, &head, payload, size, fds, n_fds);
		return true;
	case JOB_WIRE_PROCESS:
		take_process(job, &head, fds, n_fds);
		return true;
	case JOB_WIRE_LOG:
		log_write((enum log_level)head.type, "job", NULL, 0, "%s: %.*s", job->ops->name,
			  (int)size, (const char *)payload);
		return true;
	case JOB_WIRE_RESULT:
		if (size != sizeof(job->err) || job->state != JOB_RUNNING)
			return true;
		memcpy(&job->err, payload, sizeof(job->err));
		job_result(job);
		return false;
	case JOB_WIRE_GO:
	case JOB_WIRE_ACK:
		break;
	}
	return true;
}

/* Its fds found no room here (MSG_CTRUNC, recvmsg(2)). What the worker goes on to do may rest on it. */
static void
message_lost(struct job *job)
{
	/* it may have been a step: what is told about that is not about the one before */
	job->journal.is_lost = true;
	if (job->state != JOB_RUNNING)
		return;
	error_set(&job->err, ERROR_RESOURCE_EXHAUSTED,
		  "a message of the worker is lost: too many open files");
	job->is_cancelled = true;
	job_stop(job);
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
		if (n < 0 && io_is_for_now(errno))
			return DRAINED;
		if (n < 0 && errno == EMSGSIZE) {
			message_lost(job);
			continue;
		}
		if (n <= 0)
			return DRAINED_EOF;
		/* A new process of a container holds the worker's end until it has run its first lines, and another one of that
		 * container, if it may trace, can take it from there. */
		if ((size_t)n < sizeof(struct job_wire_head) || sender != job->slot->pid)
			close_all(fds, n_fds);
		else if (!take(job, in, (size_t)n, fds, n_fds))
			return DRAINED_ENDED;
	}
	return DRAINED;
}
