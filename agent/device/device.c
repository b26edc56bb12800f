/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for devices. Every "add" event of the kernel makes all waits look at sysfs again. That
 * costs a few system calls per hot-plugged device, and finds the device whatever the event's path
 * looks like.
 *
 *	device_find_block() -> first look, in the next turn of the loop -> a look on each "add"
 *	-> found, or timed out
 */
#include "agent/device/device.h"

#include <dirent.h>
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

#include "agent/device/pci.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/list.h"
#include "lib/log.h"

/* Limits the events read in one turn of the loop, so that a container that makes and removes
 * devices all the time does not block it. */
#define EVENTS_A_TURN 64

struct device_watch {
	struct loop *loop;
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
	bool by_pci;
	struct pci_path pci;
	char location[128];
	struct pending pending;
	device_found_fn *found;
	void *data;
	struct timer *timer;
	struct post first_look;
	/* context of the call that waits */
	struct log_context *log;
};

static void
wait_free(struct device_wait *wait)
{
	list_remove(&wait->node);
	timer_cancel(wait->timer);
	post_cancel(&wait->first_look);
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

/* Finds the first entry of dir whose name starts with prefix, and copies its name. */
static bool
first_entry(int sysfd, const char *dir, const char *prefix, char *name, size_t size)
{
	int fd = openat(sysfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	bool found = false;
	DIR *d;

	if (fd < 0)
		return false;
	d = fdopendir(fd);
	if (!d) {
		(void)close(fd);
		return false;
	}
	while (!found && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0)
			continue;
		found = (size_t)snprintf(name, size, "%s", e->d_name) < size;
	}
	(void)closedir(d);
	return found;
}

/* Returns 0 and fills node if the device exists, 1 if it does not exist yet, or -1 and sets err. */
static int
look_pci(const struct device_wait *wait, char node[DEVICE_NODE_MAX], struct error *err)
{
	int sysfd = wait->owner->roots->sys;
	char dir[512], sub[640], virtio[64], name[48];
	int r = pci_path_resolve(sysfd, &wait->pci, dir, sizeof(dir), err);

	if (r)
		return r;
	if (!first_entry(sysfd, dir, "virtio", virtio, sizeof(virtio)))
		return 1;
	(void)snprintf(sub, sizeof(sub), "%s/%s/block", dir, virtio);
	if (!first_entry(sysfd, sub, "", name, sizeof(name)))
		return 1;
	(void)snprintf(node, DEVICE_NODE_MAX, "/dev/%s", name);
	return 0;
}

/* Checks that the node exists and is a block device. devtmpfs makes it before the uevent is
 * sent. */
static int
look_node(const struct device_wait *wait, const char *node, struct error *err)
{
	struct stat st;

	if (fstatat(wait->owner->roots->dev, node + strlen("/dev/"), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 1;
	if (!S_ISBLK(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a block device", node);
	return 0;
}

static int
device_look(const struct device_wait *wait, char node[DEVICE_NODE_MAX], struct error *err)
{
	int r = 0;

	if (wait->by_pci)
		r = look_pci(wait, node, err);
	else
		(void)snprintf(node, DEVICE_NODE_MAX, "%.*s", DEVICE_NODE_MAX - 1, wait->location);
	return r ? r : look_node(wait, node, err);
}

/* Finishes the wait if the device exists or can never exist. Returns whether it did. */
static bool
try_finish(struct device_wait *wait)
{
	struct error err = ERROR_INIT;
	char node[DEVICE_NODE_MAX];
	int r = device_look(wait, node, &err);

	if (r == 1)
		return false;
	if (r < 0) {
		error_wrap(&err, "failed to find block device %s", wait->location);
		wait_finish(wait, &err, NULL);
	} else {
		wait_finish(wait, &err, node);
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
		  "failed to find block device %s: not there after %llu ms (" TEXT_NO_UEVENT ")",
		  wait->location, (unsigned long long)wait->owner->timeout_ms);
	wait_finish(wait, &err, NULL);
}

static void
on_first_look(void *data)
{
	struct device_wait *wait = data;
	struct error err = ERROR_INIT;

	if (try_finish(wait))
		return;
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

static int
uevent_socket(struct error *err)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	auto_close int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				   NETLINK_KOBJECT_UEVENT);
	int size = 1 << 20;

	if (fd < 0)
		return error_sys(err, "failed to open the uevent socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_sys(err, "failed to bind the uevent socket");
	return steal_fd(&fd);
}

struct device_watch *
device_watch_new(struct loop *loop, const struct roots *roots, uint64_t timeout_ms,
		 struct error *err)
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
	w->roots = roots;
	w->timeout_ms = timeout_ms;
	w->fd = uevent_socket(&why);
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
	list_for_each_safe (pos, tmp, &w->waits)
		wait_free(list_entry(pos, struct device_wait, node));
	loop_unwatch(w->watch);
	close_fd(&w->fd);
	free(w);
}

static int
check_node_name(const char *location, struct error *err)
{
	const char *name = location + strlen("/dev/");

	if (!*name || strchr(name, '/') || strcmp(name, "..") == 0 || name[0] == '.' ||
	    strlen(location) >= DEVICE_NODE_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid block device \"%.80s\": expected /dev/<name>", location);
	return 0;
}

static void
wait_cancel(struct pending *p)
{
	wait_free(pending_entry(p, struct device_wait, pending));
}

struct pending *
device_find_block(struct device_watch *w, const char *location, device_found_fn *found, void *data,
		  struct error *err)
{
	struct device_wait *wait = calloc(1, sizeof(*wait));
	int r;

	if (!wait) {
		error_nomem(err, "waiting for a device");
		return NULL;
	}
	list_init(&wait->node);
	wait->owner = w;
	wait->pending.cancel = wait_cancel;
	wait->found = found;
	wait->data = data;
	wait->by_pci = strncmp(location, "/dev/", 5) != 0;
	if (wait->by_pci)
		r = pci_path_parse(location, &wait->pci, err);
	else
		r = check_node_name(location, err);
	if (r < 0) {
		free(wait);
		return NULL;
	}
	wait->log = log_context_copy();
	post_init(&wait->first_look, on_first_look, wait);
	loop_post(w->loop, &wait->first_look);
	(void)snprintf(wait->location, sizeof(wait->location), "%s", location);
	list_append(&w->waits, &wait->node);
	return &wait->pending;
}
