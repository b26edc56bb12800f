/* SPDX-License-Identifier: Apache-2.0 */
/* Small reads, writes and messages with fds. The only place where EINTR and short I/O are
 * handled. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Repeats a system call while it is interrupted by a signal: RETRY_EINTR(send(fd, p, n, 0)). For
 * calls that wait indefinitely, or not at all. */
#define RETRY_EINTR(call)                             \
	({                                            \
		__typeof__(call) value_;              \
		do                                    \
			value_ = (call);              \
		while (value_ < 0 && errno == EINTR); \
		value_;                               \
	})

/* Reads n bytes, or fewer at the end of the file. Returns their number, or -1 and errno. May block
 * if fd does. */
ssize_t read_full(int fd, void *buf, size_t n);

/* Writes all n bytes. Returns 0, or -1 and errno. May block if fd does. */
int write_full(int fd, const void *buf, size_t n);

/* Reads at most size-1 bytes of the file `path` below dirfd, drops a trailing newline and appends
 * NUL. Returns the number of bytes, or -1 and errno. Only for trusted trees (proc, sys, cgroup),
 * not for shares. */
ssize_t read_text_at(int dirfd, const char *path, char *buf, size_t size);

/* Writes a string in one write(2) to an existing file. Returns 0, or -1 and errno. Only for trusted
 * trees. */
int write_text_at(int dirfd, const char *path, const char *text);

/* Returns whether a read or write that failed with this errno may succeed later: it would block,
 * was interrupted, or the kernel is temporarily out of memory. Not a reason to close a
 * connection. */
static inline bool
io_is_for_now(int errnum)
{
	return errnum == EAGAIN || errnum == EWOULDBLOCK || errnum == EINTR || errnum == ENOBUFS ||
	       errnum == ENOMEM;
}

/* Opens /dev/null as each of the fds 0 to 2 that is closed: a file opened later would take its
 * place, and be read or written as standard input or output. Called first in main(). */
void io_open_standard(void);

/* Closes all fds from 3 on except those in the list, which may be in any order; values below 3 are
 * ignored. Returns 0, or -1 and errno. Async-signal-safe; takes time quadratic in n. */
int close_all_but(const int *keep, size_t n);

#define IO_FDS_MAX 8

/* Sends one SOCK_SEQPACKET message with up to IO_FDS_MAX fds (SCM_RIGHTS), with MSG_NOSIGNAL|flags.
 * The caller still owns fds. Returns 0, or -1 and errno. */
int send_msg(int sock, const void *msg, size_t n, const int *fds, size_t n_fds, int flags);

/* Receives one message and up to IO_FDS_MAX fds, which are close-on-exec and owned by the caller.
 * Returns the number of bytes, 0 at the end (after all messages), or -1 and errno: EMSGSIZE, with
 * all fds closed, if message or fds were truncated. flags as for recvmsg(2). */
ssize_t recv_msg(int sock, void *msg, size_t size, int *fds, size_t *n_fds, int flags);
/* As recv_msg() on a socket with SO_PASSCRED (unix(7)): *sender is the pid of the sender
 * according to the kernel, which a process in another pid namespace cannot fake; 0 without that
 * option. */
ssize_t recv_msg_from(int sock, void *msg, size_t size, int *fds, size_t *n_fds, int flags,
		      pid_t *sender);
