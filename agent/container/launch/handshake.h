/* SPDX-License-Identifier: Apache-2.0 */
/* The messages between a worker and the process that it clones for a container, over a
 * SOCK_SEQPACKET pair:
 *
 *   child -> worker  HANDSHAKE_MAPPED   it has its user namespace (only if it makes or enters that itself: ns_plan.late)
 *   worker -> child  HANDSHAKE_MAPPED   uid and gid maps are written (only with a new user namespace)
 *   child -> worker  HANDSHAKE_USER     payload: the uid of a user that was given by name (only then)
 *   child -> worker  HANDSHAKE_TTY      one fd: the pty master (only with a terminal)
 *   child <-> worker HANDSHAKE_HOOKS    before the root is changed, if there are hooks then: it is the worker's turn; it has
 *                                  run its hooks; the child has run its own, payload: what they printed. With
 *                                  ns_plan.late the last message is left out: the worker has had those run, too
 *   child -> worker  HANDSHAKE_READY    all is set up; what follows cannot fail but for execve
 *   worker -> child  HANDSHAKE_RUN      payload: the seccomp program, if it is awaited; the worker's work is done, but if
 *                                  the child makes another process (last_fork.h):
 *   child -> worker  HANDSHAKE_PROCESS  payload: its pid; one fd: its pidfd; the child ends. Before that, with startContainer
 *                                  hooks, the same of the process that runs those
 *   worker -> that   one byte      it may run its program
 *   child -> worker  HANDSHAKE_FAILED   payload: struct error; the child ends
 *
 * The gate of a container with startContainer or poststart hooks is such a socket, too:
 *
 *   child -> worker  HANDSHAKE_HOOKS    startContainer hooks have run (only if there are some), payload: what they printed
 *   child -> worker  HANDSHAKE_FAILED   one of them failed; the child ends
 *
 * Every length is checked. End of file means that the other side is dead.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"

enum handshake_type {
	HANDSHAKE_MAPPED = 1,
	HANDSHAKE_USER,
	HANDSHAKE_TTY,
	HANDSHAKE_HOOKS,
	HANDSHAKE_READY,
	HANDSHAKE_RUN,
	HANDSHAKE_FAILED,
	HANDSHAKE_PROCESS,
};

/* Limit on the payload of a message, in bytes: a filter of 4096 instructions. */
#define HANDSHAKE_PAYLOAD_MAX (40u << 10)

struct handshake_buffer {
	char bytes[sizeof(uint32_t) + HANDSHAKE_PAYLOAD_MAX];
};

/* Sends a message, with `fd` unless it is -1. Returns 0, or -1 and errno. May block. */
int handshake_send(int sock, enum handshake_type type, const void *payload, size_t size, int fd);

/* Waits for a message of this type. Returns the payload's size (at most `size`), or -1 and err,
 * which is the peer's after a HANDSHAKE_FAILED. If `fd` is not NULL, the message must carry a
 * descriptor, which the caller owns. Blocks. */
ssize_t handshake_recv(int sock, enum handshake_type type, void *payload, size_t size, int *fd,
		       struct error *err);

/* Enables credentials: the kernel adds the sender to each further message. Returns 0, or -1 and
 * errno. */
int handshake_name_senders(int sock);

/* Waits for HANDSHAKE_PROCESS from the process `sender` with pidfd sender_pidfd. Other processes
 * may hold the same end of the socket: a message from another process is refused, and the end of
 * the sender is detected even if the socket is still open. Returns 0 with *pid and *pidfd, which
 * the caller owns, or -1 and err. Blocks. */
int handshake_recv_process(int sock, pid_t sender, int sender_pidfd, pid_t *pid, int *pidfd,
			   struct error *err);

/* Works like handshake_recv(), in the caller's buffer, without allocation. */
ssize_t handshake_recv_in(struct handshake_buffer *buffer, int sock, enum handshake_type type,
			  void *payload, size_t size, int *fd, struct error *err);
