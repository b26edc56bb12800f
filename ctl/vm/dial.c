/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connecting to the agent of a booting VM, whatever agent that is: nothing but an answer to Check
 * shows that it listens.
 *
 *	dial_wait_driver(): QMP: the guest's driver has taken over the vsock device
 *	dial_wait_word(): the console shows that the agent listens, or a delay: a short one if the
 *	                  driver is known to be there, long with a QEMU older than 7.2
 *	dial_try(): connect and call Check, again after a moment if nothing listens
 *
 * Connecting earlier is harmful: while no driver serves the device, vhost-device-vsock (0.3.0)
 * queues junk for the guest, and may never answer again. It learns of the driver a moment after
 * QEMU, and the guest drops what arrives before its sockets are there: hence the short delay. It
 * crashes on a reply to a peer that has closed: an attempt ends when it is answered, or long after
 * any answer is due.
 */
#include "ctl/vm/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "ctl/vm/progress.h"
#include "ctl/vm/qmp.h"
#include "health.pb-c.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/ttrpc/address.h"
#include "lib/ttrpc/client.h"

/* The state of a virtio device whose driver is set up, as QEMU names it. */
#define DRIVER_OK "VIRTIO_CONFIG_S_DRIVER_OK"
/* time that QEMU takes to serve QMP */
#define QMP_MS 10000
/* Pauses between two looks at the driver, and between two connections to its guest. */
#define DRIVER_MS 10
#define POLL_MS   20
/* Console messages that are waited for if QEMU does not tell about the driver. */
#define AGENT_LISTENS "listening on vsock"
#define AGENT_STARTED "the agent is started"
/* delay before connecting to an agent that does not log that it listens: behind a driver that is
 * there, otherwise */
#define SETTLE_MS  500
#define STARTED_MS 3000
/* delay before connecting if the console shows neither message */
#define SILENT_MS 20000
#define RETRY_MS  500
/* time between the end of a connection and that of its VM */
#define GONE_MS 2000
/* Limits of one attempt. Without --boot-timeout's limit there is none: a debugger may have stopped
 * the guest. */
#define CONNECT_MS 20000
#define CHECK_MS   30000

/* State of waiting for a boot. */
struct wait {
	struct vm *vm;
	uint64_t end_ns;
	/* epoll of the next two */
	int stop_fd;
	/* readable: the VM has ended */
	int pidfd;
	/* readable: a stop was requested; the signal stays pending for the next reader */
	int signals;
	/* readable: the console has grown */
	int inotify_fd;
	/* bytes of the console read so far */
	off_t seen;
	bool started, listens;
	/* QEMU says that the guest has a driver for the vsock device */
	bool has_driver;
};

static struct ttrpc_client *dial_connect(struct wait *w, struct error *err);
static int dial_open(struct wait *w, struct error *err);
static int dial_wait_driver(struct wait *w, struct error *err);
static int dial_wait_word(struct wait *w, struct error *err);
static struct ttrpc_client *dial_try(struct wait *w, const struct address *address,
				     struct error *err);
static int dial_pause_until(struct wait *w, uint64_t until_ns, struct error *err);

struct ttrpc_client *
dial_agent(struct vm *vm, int timeout_ms, struct error *err)
{
	struct wait w = { .vm = vm, .stop_fd = -1, .pidfd = -1, .signals = -1, .inotify_fd = -1 };
	struct ttrpc_client *client;

	w.end_ns = deadline_of_timeout(timeout_ms);
	client = dial_connect(&w, err);
	close_fd(&w.stop_fd);
	close_fd(&w.pidfd);
	close_fd(&w.signals);
	close_fd(&w.inotify_fd);
	if (!client && err->code == ERROR_DEADLINE_EXCEEDED)
		error_wrap(err, "the agent did not answer within %d s; %s", timeout_ms / 1000,
			   w.has_driver ? "the guest's kernel is up, but no agent answers"
			   : w.listens  ? "on the guest's console it listens"
			   : w.started  ? "on the guest's console it was started but did not log "
					  "that it listens"
					: "the guest has no driver for its vsock device yet");
	return client;
}

static struct ttrpc_client *
dial_connect(struct wait *w, struct error *err)
{
	struct address address;

	progress_step("booting the kernel");
	if (address_parse(w->vm->address, &address, err) < 0 || dial_open(w, err) < 0 ||
	    dial_wait_driver(w, err) < 0 || dial_wait_word(w, err) < 0)
		return NULL;
	progress_step("waiting for the agent to answer");
	for (;;) {
		struct error why = ERROR_INIT;
		struct ttrpc_client *client = dial_try(w, &address, &why);
		uint64_t next = deadline_in(w->has_driver ? POLL_MS : RETRY_MS);

		if (client)
			return client;
		/* Output on the console does not shorten the pause. */
		do {
			if (dial_pause_until(w, next, err) < 0) {
				if (err->code == ERROR_DEADLINE_EXCEEDED)
					*err = why;
				return NULL;
			}
		} while (!deadline_is_over(next));
	}
}

static int
dial_open(struct wait *w, struct error *err)
{
	struct epoll_event e = { .events = EPOLLIN };
	sigset_t set;

	spawn_end_signals(&set);
	w->pidfd = vm_end_fd(w->vm);
	w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	w->stop_fd = epoll_create1(EPOLL_CLOEXEC);
	w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->pidfd < 0 || w->signals < 0 || w->stop_fd < 0 || w->inotify_fd < 0 ||
	    epoll_ctl(w->stop_fd, EPOLL_CTL_ADD, w->pidfd, &e) < 0 ||
	    epoll_ctl(w->stop_fd, EPOLL_CTL_ADD, w->signals, &e) < 0 ||
	    inotify_add_watch(w->inotify_fd, w->vm->dir, IN_CREATE | IN_MODIFY) < 0)
		return error_sys(err, "failed to watch the VM in %s", w->vm->dir);
	return 0;
}

/* Returns 1 if the guest has set up the driver of the vsock device at `path`, which is found first,
 * 0 if not, or -1 if QEMU does not tell. */
static int
dial_ask_driver(struct qmp *q, char *path, size_t size)
{
	struct error ignored = ERROR_INIT;
	json_t *list, *status, *item;
	int ready = 0;
	size_t i;

	if (!path[0]) {
		list = qmp_call(q, "x-query-virtio", json_object(), &ignored);
		json_array_foreach(list, i, item)
		{
			const char *name = json_string_value(json_object_get(item, "name"));
			const char *at = json_string_value(json_object_get(item, "path"));

			if (name && at && strstr(name, "vsock"))
				(void)snprintf(path, size, "%s", at);
		}
		json_decref(list);
		if (!path[0])
			return -1;
	}
	status = qmp_call(q, "x-query-virtio-status", json_pack("{s:s}", "path", path), &ignored);
	if (!status)
		return -1;
	list = json_object_get(json_object_get(status, "status"), "statuses");
	json_array_foreach(list, i, item)
	{
		const char *text = json_string_value(item);

		ready |= text && strncmp(text, DRIVER_OK, strlen(DRIVER_OK)) == 0;
	}
	json_decref(status);
	return ready;
}

/* Scans the new part of the console and a short overlap with the old. */
static void
dial_look(struct wait *w)
{
	char text[4096];
	auto_close int fd = open(w->vm->console, O_RDONLY | O_CLOEXEC);
	off_t overlap = sizeof(AGENT_STARTED) + sizeof(AGENT_LISTENS);
	ssize_t n;

	if (fd < 0)
		return;
	do {
		n = pread(fd, text, sizeof(text), w->seen > overlap ? w->seen - overlap : 0);
		if (n <= 0)
			return;
		/* The kernel is quiet: this is PID 1. */
		if (w->seen == 0)
			progress_step("waiting for the agent to listen");
		w->started |= memmem(text, (size_t)n, AGENT_STARTED, strlen(AGENT_STARTED)) != NULL;
		w->listens |= memmem(text, (size_t)n, AGENT_LISTENS, strlen(AGENT_LISTENS)) != NULL;
		w->seen = (w->seen > overlap ? w->seen - overlap : 0) + n;
	} while (n == sizeof(text));
}

/* Waits until the guest's driver serves the vsock device. Sets has_driver unless QEMU does not
 * tell. */
static int
dial_wait_driver(struct wait *w, struct error *err)
{
	uint64_t limit = deadline_in(QMP_MS);
	struct error ignored = ERROR_INIT;
	struct qmp q = { .fd = -1 };
	char path[256] = "";
	int ready = -1, r = 0;

	/* QEMU makes the socket some time after its start. */
	while (ready < 0 && r == 0 && !w->listens && !deadline_is_over(limit)) {
		qmp_close(&q);
		ready = qmp_open(&q, w->vm->dir, &ignored) < 0 ? -1 : 0;
		if (ready < 0)
			r = dial_pause_until(w, deadline_in(DRIVER_MS), err);
		dial_look(w);
	}
	while (ready == 0 && r == 0) {
		ready = dial_ask_driver(&q, path, sizeof(path));
		if (ready == 0)
			r = dial_pause_until(w, deadline_in(DRIVER_MS), err);
	}
	qmp_close(&q);
	w->has_driver = ready > 0;
	return r;
}

/* Waits for the console messages, or for the delay after which the agent is tried anyway. */
static int
dial_wait_word(struct wait *w, struct error *err)
{
	/* Without a time limit, the guest may be stopped in a debugger for as long as it takes. */
	uint64_t limit = w->has_driver                 ? deadline_in(SETTLE_MS)
			 : w->end_ns == DEADLINE_NEVER ? DEADLINE_NEVER
						       : deadline_in(SILENT_MS);

	for (;;) {
		bool started = w->started;

		dial_look(w);
		if (w->started && !started && !w->has_driver)
			limit = deadline_in(STARTED_MS);
		if (w->listens || deadline_is_over(limit))
			return 0;
		if (dial_pause_until(w, limit, err) < 0)
			return -1;
	}
}

static struct ttrpc_client *
dial_try(struct wait *w, const struct address *address, struct error *err)
{
	Grpc__CheckRequest q = GRPC__CHECK_REQUEST__INIT;
	struct ttrpc_client *client = NULL;
	int left = deadline_left_ms(w->end_ns);
	int fd = address_connect_unless(address, left < CONNECT_MS ? left : CONNECT_MS, w->stop_fd,
					err);

	if (fd >= 0)
		client = ttrpc_client_new(fd, err);
	if (client && dial_call(w->vm, client, &grpc__health__descriptor, "Check", &q.base,
				left > CHECK_MS ? CHECK_MS : left, true, err) == 0)
		return client;
	ttrpc_client_free(client);
	return NULL;
}

/* Sleeps until the console may have grown or `until_ns` is reached. Returns -1 and err if the
 * wait has ended. */
static int
dial_pause_until(struct wait *w, uint64_t until_ns, struct error *err)
{
	struct pollfd p[] = { { .fd = w->stop_fd, .events = POLLIN },
			      { .fd = w->inotify_fd, .events = POLLIN } };
	char events[4096], why[400];

	(void)poll(p, ARRAY_LEN(p), deadline_left_ms(until_ns < w->end_ns ? until_ns : w->end_ns));
	while (read(w->inotify_fd, events, sizeof(events)) > 0)
		continue;
	if (vm_has_ended(w->vm, why, sizeof(why)))
		return error_set(err, ERROR_UNAVAILABLE,
				 "the VM ended before its agent answered: %s", why);
	if (p[0].revents)
		return error_set(err, ERROR_CANCELLED, "interrupted while the VM was booting");
	if (deadline_is_over(w->end_ns))
		return error_set(err, ERROR_DEADLINE_EXCEEDED,
				 "timed out waiting for the guest's console");
	return 0;
}

/* ---- calls ---- */

struct dialled {
	bool done;
	struct error failure;
};

static void
dial_on_reply(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct dialled *d = data;

	d->done = true;
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
	else
		d->failure = *failure;
}

int
dial_call(struct vm *vm, struct ttrpc_client *client, const ProtobufCServiceDescriptor *service,
	  const char *method, const ProtobufCMessage *request, int timeout_ms, bool interruptible,
	  struct error *err)
{
	int64_t timeout_ns = timeout_ms < 0 ? 0 : timeout_ms * (int64_t)NS_PER_MS;
	uint64_t deadline = deadline_of_timeout(timeout_ms);
	struct dialled d = { .failure = ERROR_INIT };
	struct error ignored = ERROR_INIT;
	auto_close int pidfd = vm_end_fd(vm);
	auto_close int signals = -1;
	char why[400];
	sigset_t set;
	uint32_t id = ttrpc_client_start(client, service, method, request, timeout_ns,
					 dial_on_reply, &d, err);

	if (!id)
		return -1;
	spawn_end_signals(&set);
	signals = interruptible ? signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK) : -1;
	while (!d.done) {
		struct pollfd p[] = { { .fd = ttrpc_client_fd(client),
					.events = ttrpc_client_events(client) },
				      { .fd = pidfd, .events = POLLIN },
				      { .fd = signals, .events = POLLIN } };
		int n = poll(p, ARRAY_LEN(p), deadline_left_ms(deadline));

		if (n < 0 && errno != EINTR) {
			error_sys(err, "failed to wait for the agent");
			break;
		}
		/* A failure of the connection is that of the call. */
		if (n > 0 && p[0].revents)
			(void)ttrpc_client_handle(client, &ignored);
		if (d.done)
			break;
		if (n > 0 && p[1].revents) {
			(void)vm_has_ended(vm, why, sizeof(why));
			error_set(err, ERROR_UNAVAILABLE, "the VM has ended: %s", why);
			break;
		}
		if (n > 0 && p[2].revents) {
			error_set(err, ERROR_CANCELLED, "interrupted");
			break;
		}
		if (n == 0) {
			error_set(err, ERROR_DEADLINE_EXCEEDED, "timed out after %d ms",
				  timeout_ms);
			break;
		}
	}
	if (!d.done) {
		ttrpc_client_forget(client, id);
		return -1;
	}
	if (d.failure.code == ERROR_OK)
		return 0;
	*err = d.failure;
	if (ttrpc_client_is_broken(client) && vm_ends_within(vm, GONE_MS, why, sizeof(why)))
		error_set(err, ERROR_UNAVAILABLE, "the VM has ended: %s", why);
	return -1;
}
