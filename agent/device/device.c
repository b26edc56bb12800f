/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for devices. Every "add" event of the kernel makes all waits look at sysfs again. That
 * costs a few system calls per hot-plugged device, and finds the device whatever the event's path
 * looks like.
 *
 *	device_find() -> first look, in the next turn of the loop -> a scan of the bus, if its kind
 *	has one -> a look after that and on each "add" -> found, or timed out
 */
#include "agent/device/device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/device/uevent.h"
#include "agent/job/job.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/list.h"
#include "lib/log.h"

/* Limits the events read in one turn of the loop, so that a container that makes and removes
 * devices all the time does not block it. */
#define EVENTS_A_TURN 64

/* For a scan whose device does not answer; the wait itself ends earlier. */
#define SCAN_MS 60000

struct device_watch {
	struct loop *loop;
	struct jobs *jobs;
	const struct roots *roots;
	/* uevent socket, -1 if it could not be opened */
	int fd;
	struct watch *watch;
	uint64_t timeout_ms;
	struct list waits;
	struct list listeners;
};

struct device_wait {
	struct list node;
	struct device_watch *owner;
	struct device_address address;
	struct pending pending;
	device_found_fn *found;
	void *data;
	struct timer *timer;
	struct post first_look;
	/* the scan of the bus, or NULL */
	struct pending *scan;
	/* context of the call that waits */
	struct log_context *log;
};

static void
wait_free(struct device_wait *wait)
{
	list_remove(&wait->node);
	timer_cancel(wait->timer);
	post_cancel(&wait->first_look);
	pending_cancel(&wait->scan);
	log_context_free(wait->log);
	free(wait);
}

static void
wait_finish(struct device_wait *wait, const struct error *err, const char *node)
{
	device_found_fn *found = wait->found;
	void *data = wait->data;
	struct log_context *log = steal_ptr(&wait->log);
	const struct log_context *former = log_context_set(log);

	wait_free(wait);
	found(err, node, data);
	(void)log_context_set(former);
	log_context_free(log);
}

/* Makes "/dev/<name>" of a disk's name. Checks that it exists and is a block device: devtmpfs makes
 * it before the uevent is sent. */
static int
check_node(const struct device_wait *wait, char name[DEVICE_NODE_MAX], struct error *err)
{
	char disk[DEVICE_NODE_MAX];
	struct stat st;

	memcpy(disk, name, sizeof(disk));
	if ((size_t)snprintf(name, DEVICE_NODE_MAX, "/dev/%s", disk) >= DEVICE_NODE_MAX)
		return error_set(err, ERROR_INTERNAL, "the name of the disk is too long");
	if (fstatat(wait->owner->roots->dev, disk, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 1;
	if (!S_ISBLK(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a block device", name);
	return 0;
}

/* Finishes the wait if the device exists or can never exist. Returns whether it did. */
static bool
try_finish(struct device_wait *wait)
{
	const struct device_kind *kind = wait->address.kind;
	struct error err = ERROR_INIT;
	char name[DEVICE_NODE_MAX];
	int r = kind->look(wait->owner->roots, &wait->address, name, &err);

	if (r == 0 && kind->is_disk)
		r = check_node(wait, name, &err);
	if (r == 1)
		return false;
	if (r < 0) {
		error_wrap(&err, "failed to find %s %s", kind->what, wait->address.text);
		wait_finish(wait, &err, NULL);
	} else {
		wait_finish(wait, &err, name);
	}
	return true;
}

static void
device_on_timeout(void *data)
{
	struct device_wait *wait = data;
	struct error err = ERROR_INIT;

	wait->timer = NULL;
	if (try_finish(wait))
		return;
	error_set(&err, ERROR_NOT_FOUND,
		  "failed to find %s %s: not there after %llu ms (" TEXT_NO_UEVENT ")",
		  wait->address.kind->what, wait->address.text,
		  (unsigned long long)wait->owner->timeout_ms);
	wait_finish(wait, &err, NULL);
}

/* ---- scans ---- */

struct scan_arg {
	struct device_address address;
	struct roots roots;
};

static int
scan_work(struct worker *w, void *arg, struct error *err)
{
	const struct scan_arg *a = arg;

	(void)w;
	return a->address.kind->scan(&a->roots, &a->address, err);
}

static void
scan_on_done(struct job *job, const struct error *err, void *data)
{
	struct device_wait *wait = data;

	(void)job;
	wait->scan = NULL;
	if (err->code != ERROR_OK)
		log_warn("device", "%s", err->msg);
	(void)try_finish(wait);
}

static const struct job_ops scan_job = {
	.name = "scan bus",
	.work = scan_work,
	.done = scan_on_done,
};

static void
start_scan(struct device_wait *wait)
{
	const struct roots *roots = wait->owner->roots;
	struct scan_arg *arg = malloc(sizeof(*arg));
	const struct job_spec spec = {
		.ops = &scan_job,
		.arg = arg,
		.free_arg = free,
		.data = wait,
		.keep_fds = &roots->sys,
		.n_keep_fds = 1,
		.deadline_ms = SCAN_MS,
	};
	struct error err = ERROR_INIT;

	if (arg) {
		arg->address = wait->address;
		arg->roots = *roots;
		wait->scan = job_pending(job_start(wait->owner->jobs, &spec, &err));
	} else {
		error_nomem(&err, "scanning a bus");
	}
	if (!wait->scan)
		log_warn("device", "failed to scan for %s: %s", wait->address.text, err.msg);
}

/* ---- waits ---- */

static void
on_first_look(void *data)
{
	struct device_wait *wait = data;
	struct error err = ERROR_INIT;

	if (try_finish(wait))
		return;
	if (wait->address.kind->scan && wait->owner->jobs)
		start_scan(wait);
	wait->timer = loop_timer(wait->owner->loop, wait->owner->timeout_ms, device_on_timeout,
				 wait, &err);
	if (!wait->timer)
		wait_finish(wait, &err, NULL);
}

/* Looks again for all waits. Starts over after each one that finished, since its callback may
 * cancel or start others. */
static void
search_again(struct device_watch *w)
{
	struct list *pos;

again:
	list_for_each (pos, &w->waits) {
		struct device_wait *wait = list_entry(pos, struct device_wait, node);

		if (!post_is_pending(&wait->first_look) && try_finish(wait))
			goto again;
	}
}

void
device_listen(struct device_watch *w, struct device_listener *l, device_event_fn *fn, void *data)
{
	l->fn = fn;
	l->data = data;
	list_init(&l->node);
	if (w)
		list_append(&w->listeners, &l->node);
}

void
device_unlisten(struct device_listener *l)
{
	if (l->node.next)
		list_remove(&l->node);
}

/* Calls all listeners. A listener may remove itself and others and add new ones, so those that were
 * called are moved to a second list. */
static void
call_listeners(struct device_watch *w, const struct device_event *event)
{
	struct list called;

	list_init(&called);
	while (!list_is_empty(&w->listeners)) {
		struct device_listener *l =
			list_entry(w->listeners.next, struct device_listener, node);

		list_remove(&l->node);
		list_append(&called, &l->node);
		l->fn(event, l->data);
	}
	while (!list_is_empty(&called)) {
		struct list *node = called.next;

		list_remove(node);
		list_append(&w->listeners, node);
	}
}

void
device_event_parse(char *text, size_t n, struct device_event *event)
{
	static const char subsystem[] = "SUBSYSTEM=";
	char *at = strchr(text, '@');

	*event = (struct device_event){ .action = text, .path = "", .subsystem = "" };
	if (at) {
		*at = '\0';
		event->path = at + 1;
	}
	for (size_t i = strlen(event->path) + (at ? (size_t)(at + 1 - text) : strlen(text)); i < n;
	     i += strlen(text + i) + 1) {
		if (strncmp(text + i, subsystem, strlen(subsystem)) == 0)
			event->subsystem = text + i + strlen(subsystem);
	}
}

/* Reads pending events. Returns true if a device was added or events were lost. */
static bool
drain_events(struct device_watch *w)
{
	static const struct device_event lost = { "", "", "" };
	bool added = false;

	for (int i = 0; i < EVENTS_A_TURN; i++) {
		char text[4096];
		struct sockaddr_nl from = { 0 };
		socklen_t from_len = sizeof(from);
		struct device_event event;
		ssize_t n = recvfrom(w->fd, text, sizeof(text) - 1, MSG_DONTWAIT,
				     (struct sockaddr *)&from, &from_len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno != ENOBUFS)
				return added;
			added = true;
			call_listeners(w, &lost);
			continue;
		}
		if (n == 0)
			return added;
		/* The kernel sends from port 0; any process in the network namespace may send here,
		 * too. */
		if (from_len < sizeof(from) || from.nl_pid != 0)
			continue;
		text[n] = '\0';
		device_event_parse(text, (size_t)n, &event);
		added = added || strcmp(event.action, "add") == 0;
		call_listeners(w, &event);
	}
	return added;
}

static void
on_uevent(uint32_t events, void *data)
{
	struct device_watch *w = data;

	(void)events;
	if (drain_events(w))
		search_again(w);
}

struct device_watch *
device_watch_new(struct loop *loop, struct jobs *jobs, const struct roots *roots,
		 uint64_t timeout_ms, struct error *err)
{
	struct device_watch *w = calloc(1, sizeof(*w));
	struct error why = ERROR_INIT;

	if (!w) {
		error_nomem(err, "watching devices");
		return NULL;
	}
	list_init(&w->waits);
	list_init(&w->listeners);
	w->loop = loop;
	w->jobs = jobs;
	w->roots = roots;
	w->timeout_ms = timeout_ms;
	w->fd = uevent_open(&why);
	if (w->fd < 0) {
		log_warn("device", "hot-plugged devices will not be detected: %s", why.msg);
		return w;
	}
	w->watch = loop_watch(loop, w->fd, EPOLLIN, on_uevent, w, err);
	if (!w->watch) {
		device_watch_free(w);
		return NULL;
	}
	return w;
}

void
device_watch_free(struct device_watch *w)
{
	struct list *pos, *tmp;

	if (!w)
		return;
	list_for_each_safe (pos, tmp, &w->waits) {
		struct device_wait *wait = list_entry(pos, struct device_wait, node);

		/* The jobs are freed already. */
		wait->scan = NULL;
		wait_free(wait);
	}
	loop_unwatch(w->watch);
	close_fd(&w->fd);
	free(w);
}

struct loop *
device_watch_loop(const struct device_watch *w)
{
	return w->loop;
}

struct jobs *
device_watch_jobs(const struct device_watch *w)
{
	return w->jobs;
}

const struct roots *
device_watch_roots(const struct device_watch *w)
{
	return w->roots;
}

static void
wait_cancel(struct pending *p)
{
	wait_free(pending_entry(p, struct device_wait, pending));
}

struct pending *
device_find(struct device_watch *w, const struct device_address *address, device_found_fn *found,
	    void *data, struct error *err)
{
	struct device_wait *wait = calloc(1, sizeof(*wait));

	if (!wait) {
		error_nomem(err, "waiting for a device");
		return NULL;
	}
	wait->owner = w;
	wait->address = *address;
	wait->pending.cancel = wait_cancel;
	wait->found = found;
	wait->data = data;
	wait->log = log_context_copy();
	post_init(&wait->first_look, on_first_look, wait);
	loop_post(w->loop, &wait->first_look);
	list_append(&w->waits, &wait->node);
	return &wait->pending;
}
