/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between a worker and the process that it sets up. Used by launch.c, exec.c and
 * container_init.c. */
#include "agent/container/launch/handshake.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/container/hooks/hooks.h"
#include "lib/cleanup.h"
#include "lib/io.h"

/* Limit on a payload that is sent without allocation, in bytes. Only filters are larger. */
#define SMALL_MAX 4096u

_Static_assert(SMALL_MAX >= sizeof(struct error) && SMALL_MAX >= HOOK_SAID_MAX,
	       "errors and hook output are sent without allocation");

int
handshake_send(int sock, enum handshake_type type, const void *payload, size_t size, int fd)
{
	uint32_t head = (uint32_t)type;
	char small[sizeof(head) + SMALL_MAX];
	auto_free char *msg = NULL;

	/* Small messages are sent without allocation, because memory may be exhausted. */
	if (size <= SMALL_MAX) {
		memcpy(small, &head, sizeof(head));
		if (size)
			memcpy(small + sizeof(head), payload, size);
		return send_msg(sock, small, sizeof(head) + size, &fd, fd >= 0 ? 1 : 0, 0);
	}
	if (size > HANDSHAKE_PAYLOAD_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	msg = malloc(sizeof(head) + size);
	if (!msg)
		return -1;
	memcpy(msg, &head, sizeof(head));
	memcpy(msg + sizeof(head), payload, size);
	return send_msg(sock, msg, sizeof(head) + size, &fd, fd >= 0 ? 1 : 0, 0);
}

/* Copies the peer's struct error to *err after checks. */
static int
handshake_take_failure(const char *payload, size_t size, struct error *err)
{
	struct error got;

	if (size != sizeof(got))
		return error_set(err, ERROR_INTERNAL, "the process sent an invalid error report");
	memcpy(&got, payload, sizeof(got));
	got.msg[sizeof(got.msg) - 1] = '\0';
	*err = got;
	return -1;
}

ssize_t
handshake_recv(int sock, enum handshake_type type, void *payload, size_t size, int *fd,
	       struct error *err)
{
	auto_free struct handshake_buffer *buffer = malloc(sizeof(*buffer));

	if (!buffer)
		return error_nomem(err, "waiting for the process");
	return handshake_recv_in(buffer, sock, type, payload, size, fd, err);
}

ssize_t
handshake_recv_in(struct handshake_buffer *buffer, int sock, enum handshake_type type,
		  void *payload, size_t size, int *fd, struct error *err)
{
	char *msg = buffer->bytes;
	int fds[IO_FDS_MAX];
	size_t n_fds = 0;
	uint32_t head;
	ssize_t n;

	n = recv_msg(sock, msg, sizeof(buffer->bytes), fds, &n_fds, 0);
	if (n < 0)
		return error_sys(err, "failed to receive from a process during its set-up");
	if (n == 0)
		return error_set(err, ERROR_INTERNAL, "the process ended during its set-up");
	memcpy(&head, msg, (size_t)n < sizeof(head) ? (size_t)n : sizeof(head));
	if ((size_t)n >= sizeof(head) && head == type && (size_t)n - sizeof(head) <= size &&
	    n_fds == (fd ? 1 : 0)) {
		n -= (ssize_t)sizeof(head);
		if (n)
			memcpy(payload, msg + sizeof(head), (size_t)n);
		if (fd)
			*fd = fds[0];
		return n;
	}
	for (size_t i = 0; i < n_fds; i++)
		(void)close(fds[i]);
	if ((size_t)n >= sizeof(head) && head == HANDSHAKE_FAILED)
		return handshake_take_failure(msg + sizeof(head), (size_t)n - sizeof(head), err);
	return error_set(err, ERROR_INTERNAL,
			 "the process sent an unexpected message during its set-up");
}

int
handshake_name_senders(int sock)
{
	return setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &(int){ 1 }, sizeof(int));
}

/* Waits for a message or for the end of its sender. */
static int
handshake_await(int sock, int sender_pidfd, struct error *err)
{
	struct pollfd fds[] = { { .fd = sock, .events = POLLIN },
				{ .fd = sender_pidfd, .events = POLLIN } };

	if (RETRY_EINTR(poll(fds, ARRAY_LEN(fds), -1)) < 0)
		return error_sys(err, "failed to receive from a process during its set-up");
	return 0;
}

/* Receives a message of this type from the process `sender`, with a payload of exactly `size` bytes
 * and, if fd is not NULL, a descriptor. */
static int
handshake_recv_from(int sock, pid_t sender, int sender_pidfd, enum handshake_type type,
		    void *payload, size_t size, int *fd, struct error *err)
{
	char msg[sizeof(uint32_t) + sizeof(struct error)];
	int fds[IO_FDS_MAX];
	size_t n_fds = 0;
	uint32_t head = 0;
	pid_t from = 0;
	ssize_t n;

	if (handshake_await(sock, sender_pidfd, err) < 0)
		return -1;
	/* A message that the sender sent before its end is readable now. */
	n = recv_msg_from(sock, msg, sizeof(msg), fds, &n_fds, MSG_DONTWAIT, &from);
	if (n < 0 && errno != EAGAIN)
		return error_sys(err, "failed to receive from a process during its set-up");
	if (n <= 0)
		return error_set(err, ERROR_INTERNAL, "the process ended during its set-up");
	if ((size_t)n >= sizeof(head))
		memcpy(&head, msg, sizeof(head));
	if (from == sender && head == type && (size_t)n == sizeof(head) + size &&
	    n_fds == (fd ? 1 : 0)) {
		if (size > 0)
			memcpy(payload, msg + sizeof(head), size);
		if (fd)
			*fd = fds[0];
		return 0;
	}
	close_fds(fds, n_fds);
	if (from == sender && head == HANDSHAKE_FAILED)
		return handshake_take_failure(msg + sizeof(head), (size_t)n - sizeof(head), err);
	return error_set(err, ERROR_INTERNAL,
			 "the process sent an unexpected message during its set-up");
}

int
handshake_recv_process(int sock, pid_t sender, int sender_pidfd, pid_t *pid, int *pidfd,
		       struct error *err)
{
	return handshake_recv_from(sock, sender, sender_pidfd, HANDSHAKE_PROCESS, pid, sizeof(*pid),
				   pidfd, err);
}

int
handshake_recv_running(int sock, pid_t sender, int sender_pidfd, struct error *err)
{
	return handshake_recv_from(sock, sender, sender_pidfd, HANDSHAKE_RUNNING, NULL, 0, NULL,
				   err);
}
