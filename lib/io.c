/* SPDX-License-Identifier: Apache-2.0 */
/* Small reads, writes and messages with fds. Handles EINTR and short I/O. */
#include "lib/io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/sys.h"

static ssize_t io_recv_once(int sock, struct msghdr *hdr, void *control, size_t control_size,
			    int flags);
static size_t io_take_fds(struct msghdr *hdr, int *fds);
static pid_t io_sender_of(struct msghdr *hdr);

ssize_t
read_full(int fd, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = read(fd, (char *)buf + done, n - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

int
write_full(int fd, const void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = write(fd, (const char *)buf + done, n - done);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		done += (size_t)r;
	}
	return 0;
}

ssize_t
read_text_at(int dirfd, const char *path, char *buf, size_t size)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;
	int saved;

	if (fd < 0)
		return -1;
	n = read_full(fd, buf, size - 1);
	saved = errno;
	(void)close(fd);
	errno = saved;
	if (n < 0)
		return -1;
	if (n && buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return n;
}

int
write_text_at(int dirfd, const char *path, const char *text)
{
	int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = strlen(text);
	ssize_t n;
	int saved;

	if (fd < 0)
		return -1;
	do
		n = write(fd, text, len);
	while (n < 0 && errno == EINTR);
	saved = errno;
	(void)close(fd);
	errno = saved;
	if (n < 0)
		return -1;
	if ((size_t)n != len) {
		errno = EIO;
		return -1;
	}
	return 0;
}

int
send_msg(int sock, const void *msg, size_t n, const int *fds, size_t n_fds, int flags)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * IO_FDS_MAX)];
	} control;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)msg, .iov_len = n };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t r;

	if (n_fds > IO_FDS_MAX) {
		errno = EINVAL;
		return -1;
	}
	if (n_fds) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		hdr.msg_control = control.space;
		hdr.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c = CMSG_FIRSTHDR(&hdr);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n_fds);
	}
	do
		r = sendmsg(sock, &hdr, MSG_NOSIGNAL | flags);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -1;
	return 0;
}

ssize_t
recv_msg(int sock, void *msg, size_t size, int *fds, size_t *n_fds, int flags)
{
	pid_t ignored;

	return recv_msg_from(sock, msg, size, fds, n_fds, flags, &ignored);
}

/* The kernel checks the queue and then whether the peer has closed; the peer may send its last
 * message in between, so the end is checked twice. ECONNRESET, if the peer has not read all data,
 * is reported once, before the peer's own messages. */
ssize_t
recv_msg_from(int sock, void *msg, size_t size, int *fds, size_t *n_fds, int flags, pid_t *sender)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int) * IO_FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec iov = { .iov_base = msg, .iov_len = size };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	bool is_reset = false, is_end = false;
	ssize_t r;

	*n_fds = 0;
	*sender = 0;
	for (;;) {
		r = io_recv_once(sock, &hdr, control.space, sizeof(control.space), flags);
		if (r < 0 && errno == ECONNRESET && !is_reset)
			is_reset = true;
		else if (r == 0 && !is_end)
			is_end = true;
		else
			break;
	}
	if (r < 0)
		return -1;
	*n_fds = io_take_fds(&hdr, fds);
	*sender = io_sender_of(&hdr);
	if (hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		for (size_t i = 0; i < *n_fds; i++)
			(void)close(fds[i]);
		*n_fds = 0;
		errno = EMSGSIZE;
		return -1;
	}
	return r;
}

static ssize_t
io_recv_once(int sock, struct msghdr *hdr, void *control, size_t control_size, int flags)
{
	ssize_t r;

	hdr->msg_control = control;
	hdr->msg_controllen = control_size;
	do
		r = recvmsg(sock, hdr, MSG_CMSG_CLOEXEC | flags);
	while (r < 0 && errno == EINTR);
	return r;
}

/* Copies received fds out of hdr, and closes those that do not fit. */
static size_t
io_take_fds(struct msghdr *hdr, int *fds)
{
	size_t count = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (count < IO_FDS_MAX)
				fds[count++] = fd;
			else
				(void)close(fd);
		}
	}
	return count;
}

static pid_t
io_sender_of(struct msghdr *hdr)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(hdr); c; c = CMSG_NXTHDR(hdr, c)) {
		struct ucred who;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&who, CMSG_DATA(c), sizeof(who));
		return who.pid;
	}
	return 0;
}

int
close_all_but(const int *keep, size_t n)
{
	unsigned int next = 3;

	for (;;) {
		unsigned int least = ~0u;

		for (size_t i = 0; i < n; i++)
			if (keep[i] >= 0 && (unsigned int)keep[i] >= next &&
			    (unsigned int)keep[i] < least)
				least = (unsigned int)keep[i];
		if (least == ~0u)
			return sys_close_range(next, ~0u, 0);
		if (least > next && sys_close_range(next, least - 1, 0) < 0)
			return -1;
		next = least + 1;
	}
}

void
io_open_standard(void)
{
	int fd;

	for (;;) {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0 || fd > 2)
			break;
		(void)fcntl(fd, F_SETFD, 0);
	}
	close_fd(&fd);
}
