/* SPDX-License-Identifier: Apache-2.0 */
/* Client of QEMU's machine protocol: a JSON object per line in both directions. */
#include "ctl/vm/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"

/* QEMU answers at once, unless the host is out of memory. */
#define REPLY_MS       20000
#define LINE_MAX_BYTES (4u << 20)

static json_t *qmp_receive(struct qmp *q, uint64_t deadline, struct error *err);
static void qmp_note_event(struct qmp *q, const json_t *message);

int
qmp_open(struct qmp *q, const char *dir, struct error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	json_t *greeting;

	*q = (struct qmp){ .fd = -1 };
	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/qmp.sock", dir) >=
	    sizeof(addr.sun_path))
		return error_set(err, ERROR_INVALID_ARGUMENT, "path of directory %s is too long",
				 dir);
	q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (q->fd < 0 || connect(q->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_sys_code(err, ERROR_UNAVAILABLE, "failed to connect to %s",
				      addr.sun_path);
	/* QEMU serves one client at a time. */
	greeting = qmp_receive(q, deadline_in(REPLY_MS), err);
	if (!greeting)
		return error_wrap(err, "QEMU does not answer on %s", addr.sun_path);
	json_decref(greeting);
	return qmp_do(q, "qmp_capabilities", json_object(), err);
}

void
qmp_close(struct qmp *q)
{
	close_fd(&q->fd);
	free(q->buf);
	q->buf = NULL;
}

json_t *
qmp_call(struct qmp *q, const char *command, json_t *arguments, struct error *err)
{
	json_t *request = json_pack("{s:s, s:o}", "execute", command, "arguments", arguments);
	auto_free char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
	uint64_t deadline = deadline_in(REPLY_MS);

	json_decref(request);
	if (!text) {
		error_nomem(err, "building a command for QEMU");
		return NULL;
	}
	if (write_full(q->fd, text, strlen(text)) < 0 || write_full(q->fd, "\n", 1) < 0) {
		error_sys_code(err, ERROR_UNAVAILABLE, "failed to send %s to QEMU", command);
		return NULL;
	}
	for (;;) {
		json_t *reply = qmp_receive(q, deadline, err), *result;
		const char *why;

		if (!reply) {
			error_wrap(err, "no reply of QEMU to %s", command);
			return NULL;
		}
		result = json_incref(json_object_get(reply, "return"));
		why = json_string_value(json_object_get(json_object_get(reply, "error"), "desc"));
		if (!result && why)
			error_set(err, ERROR_FAILED_PRECONDITION, "QEMU refused %s: %s", command,
				  why);
		qmp_note_event(q, reply);
		json_decref(reply);
		if (result || why)
			return result;
	}
}

int
qmp_do(struct qmp *q, const char *command, json_t *arguments, struct error *err)
{
	json_t *result = qmp_call(q, command, arguments, err);

	if (!result)
		return -1;
	json_decref(result);
	return 0;
}

int
qmp_wait_event(struct qmp *q, int timeout_ms, struct error *err)
{
	json_t *event = qmp_receive(q, deadline_in((uint64_t)timeout_ms), err);

	if (!event)
		return err->code == ERROR_DEADLINE_EXCEEDED ? 0 : -1;
	qmp_note_event(q, event);
	json_decref(event);
	return 0;
}

/* Remembers that a guest did not release a device. */
static void
qmp_note_event(struct qmp *q, const json_t *message)
{
	const char *name = json_string_value(json_object_get(message, "event"));
	const char *device =
		json_string_value(json_object_get(json_object_get(message, "data"), "device"));

	if (name && device &&
	    (strcmp(name, "DEVICE_UNPLUG_GUEST_ERROR") == 0 ||
	     strcmp(name, "MEM_UNPLUG_ERROR") == 0))
		(void)snprintf(q->refused, sizeof(q->refused), "%s", device);
}

/* Returns the next message, or NULL and err: DEADLINE_EXCEEDED or UNAVAILABLE. */
static json_t *
qmp_receive(struct qmp *q, uint64_t deadline, struct error *err)
{
	for (;;) {
		char *end = q->n ? memchr(q->buf, '\n', q->n) : NULL;
		struct pollfd p = { .fd = q->fd, .events = POLLIN };
		char *larger;
		ssize_t n;

		if (end) {
			size_t line = (size_t)(end - q->buf) + 1;
			json_t *message = json_loadb(q->buf, line, 0, NULL);

			q->n -= line;
			memmove(q->buf, q->buf + line, q->n);
			if (message)
				return message;
			continue;
		}
		if (RETRY_EINTR(poll(&p, 1, deadline_left_ms(deadline))) <= 0) {
			error_set(err, ERROR_DEADLINE_EXCEEDED, "timed out");
			return NULL;
		}
		larger = q->n < LINE_MAX_BYTES ? realloc(q->buf, q->n + 65536) : NULL;
		if (!larger) {
			error_nomem(err, "receiving a message of QEMU");
			return NULL;
		}
		q->buf = larger;
		n = RETRY_EINTR(read(q->fd, q->buf + q->n, 65536));
		if (n <= 0) {
			error_set(err, ERROR_UNAVAILABLE, "QEMU has closed the connection");
			return NULL;
		}
		q->n += (size_t)n;
	}
}
