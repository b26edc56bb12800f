/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between a worker and the process that it clones for a container, over a
 * SOCK_SEQPACKET pair, in order ("->": from the worker, "<-": from the process):
 *
 *   <-  HANDSHAKE_MAPPED   the user namespace exists; only if the process makes or joins it itself
 *                          (ns_plan.late)
 *   ->  HANDSHAKE_MAPPED   uid and gid maps are written; only with a user namespace
 *   <-  HANDSHAKE_USER     payload: the uid of a user given by name; only for such a user
 *   <-  HANDSHAKE_TTY      fd: the pty master; only with a terminal
 *   <-  HANDSHAKE_HOOKS    the worker may run its hooks; these three only if there are hooks before
 *                          the root is changed
 *   ->  HANDSHAKE_HOOKS    the worker has run its hooks
 *   <-  HANDSHAKE_HOOKS    the process has run its hooks, payload: their output; not with
 *                          ns_plan.late, where the worker has run these, too
 *   ->  HANDSHAKE_RUN      payload: the seccomp program, if there is one; the process reads it
 *                          after its next message
 *   <-  HANDSHAKE_READY    the set-up is complete; only execve can still fail
 *
 * With a last fork (last_fork.h) these follow:
 *
 *   <-  HANDSHAKE_PROCESS  payload: the pid of the process for startContainer hooks, fd: its pidfd;
 *                          only with such hooks
 *   <-  HANDSHAKE_PROCESS  the same for the last process; the sender exits
 *   ->  one byte           releases the last process to its program
 *   <-  HANDSHAKE_RUNNING  from the last process, which has its pid; only with startContainer hooks
 *
 * In place of each message from the process:
 *
 *   <-  HANDSHAKE_FAILED   payload: struct error; the sender exits
 *
 * The gate of a container with startContainer or poststart hooks is such a socket, too:
 *
 *   <-  HANDSHAKE_HOOKS    startContainer hooks have run, payload: their output; only with such
 *                          hooks
 *   <-  HANDSHAKE_FAILED   one of them failed; the sender exits
 *
 * Every length is checked. End of file means that the peer has ended.
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
	HANDSHAKE_RUNNING,
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

/* Waits for HANDSHAKE_RUNNING from the process `sender`, as handshake_recv_process() does.
 * Returns 0, or -1 and err. */
int handshake_recv_running(int sock, pid_t sender, int sender_pidfd, struct error *err);

/* Works like handshake_recv(), in the caller's buffer, without allocation. */
ssize_t handshake_recv_in(struct handshake_buffer *buffer, int sock, enum handshake_type type,
			  void *payload, size_t size, int *fd, struct error *err);
