/* SPDX-License-Identifier: Apache-2.0 */
/* Small reads, writes and messages with fds. EINTR and short I/O are handled here and nowhere else. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The value of a system call, repeated while a signal interrupts it: RETRY_EINTR(send(fd, p, n, 0)). For calls that may wait
 * without a limit, or not at all. */
#define RETRY_EINTR(call)                             \
	({                                            \
		__typeof__(call) value_;              \
		do                                    \
			value_ = (call);              \
		while (value_ < 0 && errno == EINTR); \
		value_;                               \
	})

/* All n bytes or fewer at end of file; -1 and errno. May block as fd does. */
ssize_t read_full(int fd, void *buf, size_t n);

/* All n bytes: 0, or -1 and errno. May block as fd does. */
int write_full(int fd, const void *buf, size_t n);

/* Reads at most size-1 bytes of the file `path` below dirfd and ends them with NUL; trailing newline is
 * dropped. The byte count, or -1 and errno. For trusted trees (proc, sys, cgroup): never on a share. */
ssize_t read_text_at(int dirfd, const char *path, char *buf, size_t size);

/* Writes a string in one write(2) to an existing file: 0, or -1 and errno. Trusted trees only. */
int write_text_at(int dirfd, const char *path, const char *text);

/* Tells whether a read or write that failed so may succeed later: nothing is there yet, the kernel is out of memory for a moment, or
 * a signal came. Not a reason to end a connection. */
static inline bool
io_is_for_now(int errnum)
{
	return errnum == EAGAIN || errnum == EWOULDBLOCK || errnum == EINTR || errnum == ENOBUFS ||
	       errnum == ENOMEM;
}

/* Closes all fds from 3 on but those of the list, which may be in any order; values below 3 in it mean nothing.
 * 0, or -1 and errno. Async-signal-safe, takes time in the square of n. */
int close_all_but(const int *keep, size_t n);

#define IO_FDS_MAX 8

/* One SOCK_SEQPACKET message with up to IO_FDS_MAX fds (SCM_RIGHTS); MSG_NOSIGNAL|flags.
 * 0, or -1 and errno. fds stay the caller's. */
int send_msg(int sock, const void *msg, size_t n, const int *fds, size_t n_fds, int flags);

/* Receives one message. Received fds are CLOEXEC, stored in fds (room for IO_FDS_MAX), *n_fds set; the
 * caller owns them. Returns bytes, 0 at end (behind all that was sent), or -1 and errno (EMSGSIZE: message or fds
 * were cut; all fds are closed then). flags as recvmsg(2). */
ssize_t recv_msg(int sock, void *msg, size_t size, int *fds, size_t *n_fds, int flags);
/* The same on a socket with SO_PASSCRED (unix(7)): *sender is the process that sent it, as the kernel saw it (who is in another pid
 * namespace cannot pretend to be one of ours); 0 without that option. */
ssize_t recv_msg_from(int sock, void *msg, size_t size, int *fds, size_t *n_fds, int flags,
		      pid_t *sender);
