/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that a host can name, from the pid to the exit code. Called by container.c, the
 * sandbox's operations and the calls on processes.
 *
 *   new -> attached -> exited -> ready -> status reported -> over
 *
 *   attached  init watches the pid; the process may still report why it cannot execute its program
 *   exited    waits until the host has its output, at most PROCESS_DELIVERY_MS
 *   ready     answers all calls that wait for the status
 *   over      its streams have ended, too: the container frees it
 *
 * Must never wait for a process: init reports exits.
 */
#include "agent/container/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/launch/exec_report.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/log_event.h"
#include "lib/sys.h"

static void process_on_report(uint32_t events, void *data);
static void process_on_exit_status(int status, bool gone, void *data);
static void process_on_stream_end(void *data);
static void process_on_delivery_late(void *data);
static void process_report_status(struct process *p);

/* Returns whether the status can be reported: the process has exited and its output has been
 * delivered. */
static bool
process_status_is_ready(const struct process *p)
{
	return p->exited && (p->undelivered || stdio_is_delivered(&p->stdio));
}

static void
process_close_report(struct process *p)
{
	loop_unwatch(p->report_watch);
	p->report_watch = NULL;
	close_fd(&p->report);
}

struct process *
process_new(const struct process_owner *owner, struct container *c, const char *container_id,
	    struct loop *loop, const char *exec_id, struct error *err)
{
	struct process *p = calloc(1, sizeof(*p));

	if (p)
		p->exec_id = strdup(exec_id);
	if (!p || !p->exec_id) {
		free(p);
		error_nomem(err, "creating a process");
		return NULL;
	}
	list_init(&p->node);
	list_init(&p->waiters);
	p->owner = owner;
	p->container = c;
	p->container_id = container_id;
	p->pidfd = p->report = -1;
	stdio_init(&p->stdio, loop, process_on_stream_end, p);
	return p;
}

int
process_attach(struct process *p, struct initlink *link, pid_t pid, int pidfd, struct error *err)
{
	p->pid = pid;
	p->pidfd = pidfd;
	p->child = initlink_watch(link, pid, process_on_exit_status, p, err);
	return p->child ? 0 : -1;
}

int
process_take_report(struct process *p, int fd, struct error *err)
{
	process_close_report(p);
	p->report = fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		error_sys(err, "failed to watch the start of process %s", p->exec_id);
		process_close_report(p);
		return -1;
	}
	p->report_watch = loop_watch(p->stdio.out.loop, fd, EPOLLIN, process_on_report, p, err);
	if (!p->report_watch)
		process_close_report(p);
	return p->report_watch ? 0 : -1;
}

static void
process_log_report(const struct process *p, struct exec_report *r)
{
	const char *why = r->errnum > 0 ? strerror(r->errnum) : "unknown error";
	const struct log_field fields[] = {
		{ "container-id", p->container_id },
		{ "exec-id", p->exec_id },
		{ "path", r->path },
		{ "reason", *r->reason ? r->reason : why },
		{ "error", why },
	};

	log_event(LOG_LEVEL_WARN, "container", EVENT_EXECUTE_FAILED, fields, ARRAY_LEN(fields),
		  "failed to execute %s: %s%s%s", r->path, r->reason, *r->reason ? ": " : "", why);
}

/* Called when the process has executed its program, has ended, or reports why it cannot execute
 * the program. */
static void
process_on_report(uint32_t events, void *data)
{
	struct process *p = data;
	struct exec_report r;

	(void)events;
	if (p->report < 0)
		return;
	if (read(p->report, &r, sizeof(r)) == sizeof(r)) {
		r.path[sizeof(r.path) - 1] = r.reason[sizeof(r.reason) - 1] = '\0';
		process_log_report(p, &r);
	}
	process_close_report(p);
}

static void
process_log_exit(const struct process *p)
{
	char status[16];
	const struct log_field fields[] = {
		{ "container-id", p->container_id },
		{ "exec-id", p->exec_id },
		{ "status", status },
	};

	(void)snprintf(status, sizeof(status), "%d", p->status);
	log_event(LOG_LEVEL_DEBUG, "container", EVENT_PROCESS_EXITED, fields, ARRAY_LEN(fields),
		  "process %s of container %s exited with status %d", p->exec_id, p->container_id,
		  p->status);
}

static void
process_on_exit_status(int status, bool gone, void *data)
{
	struct process *p = data;
	struct error err = ERROR_INIT;

	p->child = NULL;
	process_on_report(0, p);
	p->exited = true;
	p->status = gone ? 128 + SIGKILL : process_exit_code(status);
	process_log_exit(p);
	stdio_exited(&p->stdio);
	if (!stdio_is_delivered(&p->stdio)) {
		p->delivery = loop_timer(p->stdio.out.loop, PROCESS_DELIVERY_MS,
					 process_on_delivery_late, p, &err);
		/* Without a timer, delivery is not awaited. */
		p->undelivered = !p->delivery;
	}
	if (process_status_is_ready(p))
		process_report_status(p);
	p->owner->exited(p->container, p);
}

static void
process_on_stream_end(void *data)
{
	struct process *p = data;

	if (process_status_is_ready(p))
		process_report_status(p);
	p->owner->changed(p->container);
}

static void
process_on_delivery_late(void *data)
{
	struct process *p = data;
	const struct log_field fields[] = {
		{ "container-id", p->container_id },
		{ "exec-id", p->exec_id },
	};

	p->delivery = NULL;
	p->undelivered = true;
	log_write(LOG_LEVEL_WARN, "container", fields, ARRAY_LEN(fields),
		  "process %s: timed out waiting for the host to read its output", p->exec_id);
	process_report_status(p);
	p->owner->changed(p->container);
}

static void
process_report_status(struct process *p)
{
	struct error none = ERROR_INIT;

	timer_cancel(p->delivery);
	p->delivery = NULL;
	if (!list_is_empty(&p->waiters)) {
		p->status_reported = true;
		stdio_drain(&p->stdio);
	}
	while (!list_is_empty(&p->waiters)) {
		struct process_waiter *w = list_entry(p->waiters.next, struct process_waiter, node);

		list_remove(&w->node);
		(void)pending_end(&w->pending);
		w->done(w, p->status, &none);
	}
}

static void
process_waiter_unwanted(struct pending *p)
{
	list_remove(&pending_entry(p, struct process_waiter, pending)->node);
}

int
process_wait(struct process *p, struct process_waiter *w, int *status)
{
	list_init(&w->node);
	if (!process_status_is_ready(p)) {
		list_append(&p->waiters, &w->node);
		w->pending.cancel = process_waiter_unwanted;
		return 1;
	}
	*status = p->status;
	p->status_reported = true;
	stdio_drain(&p->stdio);
	p->owner->changed(p->container);
	return 0;
}

bool
process_is_over(const struct process *p)
{
	return p->status_reported && stdio_is_ended(&p->stdio);
}

int
process_exit_code(int wait_status)
{
	if (WIFSIGNALED(wait_status))
		return 128 + WTERMSIG(wait_status);
	return WEXITSTATUS(wait_status);
}

int
process_signal(const struct process *p, int signal, struct error *err)
{
	if (p->exited || p->pidfd < 0)
		return 0;
	if (sys_pidfd_send_signal(p->pidfd, signal) == 0 || errno == ESRCH)
		return 0;
	return error_sys(err, "failed to send signal %d to process %s", signal, p->exec_id);
}

void
process_free(struct process *p)
{
	struct error err = ERROR_INIT;

	list_remove(&p->node);
	child_unwatch(p->child);
	process_close_report(p);
	timer_cancel(p->term.timer);
	timer_cancel(p->delivery);
	stdio_release(&p->stdio);
	error_set(&err, ERROR_NOT_FOUND, "process %s was removed", p->exec_id);
	while (!list_is_empty(&p->waiters)) {
		struct process_waiter *w = list_entry(p->waiters.next, struct process_waiter, node);

		list_remove(&w->node);
		(void)pending_end(&w->pending);
		w->done(w, 0, &err);
	}
	close_fd(&p->pidfd);
	free(p->exec_id);
	free(p);
}
