/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of bulk data: a server of ReadStdout, WriteStdin, CopyFile and Check that is nothing
 * but its reads and writes. It receives and sends the same frames as an agent, over the same kind
 * of socket, and moves the same bytes from and to the same programs and files, each with as few
 * system calls as a blocking program needs. It checks nothing, and trusts its client.
 *
 *   bench-bare ADDRESS BUSYBOX DIRECTORY [PART]
 *
 * It listens on unix:///PATH or vsock://any:PORT, serves one connection after another, and ends
 * when its stdin does. ReadStdout reads from BUSYBOX dd if=/dev/zero, WriteStdin writes to BUSYBOX
 * cat >/dev/null, both over pipes as the kernel makes them. CopyFile writes below DIRECTORY,
 * whatever the path's parents are. PART: the most bytes of one write to the socket;
 * agent/server/conn.c explains why they are 28 KiB on vsock.
 *
 * One file without lib/, so that scripts can compile it with musl for any guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define HEADER_SIZE 10
#define FRAME_MAX   ((4u << 20) + HEADER_SIZE)
#define BACKLOG     8

static int producer, consumer, directory;
static size_t part;
static uint8_t in[FRAME_MAX], out[FRAME_MAX];

_Noreturn static void
die(const char *what)
{
	(void)fprintf(stderr, "bench-bare: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
write_all(int fd, const uint8_t *data, size_t n, size_t most)
{
	while (n) {
		ssize_t done = write(fd, data, n < most ? n : most);

		if (done < 0 && errno != EINTR)
			die("write");
		if (done > 0) {
			data += done;
			n -= (size_t)done;
		}
	}
}

/* ---- the wire ---- */

/* A field of a message: a number, or bytes. */
struct field {
	uint32_t number;
	uint64_t value;
	const uint8_t *data;
};

static uint64_t
take_varint(const uint8_t **at)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte = *(*at)++;

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			break;
	}
	return value;
}

static bool
take_field(const uint8_t **at, const uint8_t *end, struct field *f)
{
	uint64_t tag;

	if (*at >= end)
		return false;
	tag = take_varint(at);
	f->number = (uint32_t)(tag >> 3);
	f->value = take_varint(at);
	f->data = NULL;
	if ((tag & 7) == 2) {
		f->data = *at;
		*at += f->value;
	}
	return true;
}

static size_t
put_varint(uint8_t *at, uint64_t value)
{
	size_t n = 0;

	for (; value >= 0x80; value >>= 7)
		at[n++] = (uint8_t)(value | 0x80);
	at[n++] = (uint8_t)value;
	return n;
}

static size_t
varint_size(uint64_t value)
{
	uint8_t ignored[10];

	return put_varint(ignored, value);
}

static void
put_be32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t
get_be32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Sends a reply whose message is `head`, then n bytes that are at out + room already. Everything
 * before them is written in front of them, so that the frame is contiguous. */
static void
reply(int sock, const uint8_t *stream, const uint8_t *head, size_t n_head, size_t room, size_t n)
{
	size_t message = n_head + n;
	/* Response: payload = 2 (bytes); an empty one is left out */
	size_t envelope = message ? 1 + varint_size(message) : 0;
	uint8_t *at = out + room - n_head - envelope - HEADER_SIZE;
	uint8_t *begin = at;

	put_be32(at, (uint32_t)(envelope + message));
	memcpy(at + 4, stream, 4);
	/* a response, no flags */
	at[8] = 2;
	at[9] = 0;
	at += HEADER_SIZE;
	if (message) {
		*at++ = 2 << 3 | 2;
		at += put_varint(at, message);
	}
	if (n_head)
		memcpy(at, head, n_head);
	write_all(sock, begin, HEADER_SIZE + envelope + message, part);
}

/* ---- methods ---- */

#define ROOM 64

static void
read_stdout(int sock, const uint8_t *stream, const uint8_t *at, const uint8_t *end)
{
	struct field f;
	uint64_t len = 0;
	uint8_t head[16];
	size_t n_head;
	ssize_t n;

	while (take_field(&at, end, &f))
		if (f.number == 3)
			len = f.value;
	if (len > FRAME_MAX - ROOM)
		len = FRAME_MAX - ROOM;
	n = read(producer, out + ROOM, len);
	if (n <= 0)
		die("read from the producer");
	head[0] = 1 << 3 | 2;
	n_head = 1 + put_varint(head + 1, (uint64_t)n);
	reply(sock, stream, head, n_head, ROOM, (size_t)n);
}

static void
write_stdin(int sock, const uint8_t *stream, const uint8_t *at, const uint8_t *end)
{
	struct field f = { 0 };
	uint8_t head[16];

	while (take_field(&at, end, &f))
		if (f.number == 3)
			break;
	write_all(consumer, f.data, f.value, SIZE_MAX);
	head[0] = 1 << 3;
	reply(sock, stream, head, 1 + put_varint(head + 1, f.value), ROOM, 0);
}

/* Creates the parent directory "N" of "…/N/FILE" if there is none. */
static int
open_target(const char *path)
{
	const char *slash = strrchr(path, '/'), *from = slash;
	char name[64], parent[32];
	int fd;

	while (from > path && from[-1] != '/')
		from--;
	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - from), from);
	(void)snprintf(name, sizeof(name), "%s/%s", parent, slash + 1);
	fd = openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 && errno == ENOENT && mkdirat(directory, parent, 0755) == 0)
		fd = openat(directory, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		die(name);
	return fd;
}

/* A file that comes in parts stays open until its last part. */
static void
copy_file(int sock, const uint8_t *stream, const uint8_t *at, const uint8_t *end)
{
	static int fd = -1;
	struct field f;
	uint64_t size = 0, offset = 0, n = 0;
	const uint8_t *data = NULL;
	char path[256] = "";

	while (take_field(&at, end, &f)) {
		if (f.number == 1)
			(void)snprintf(path, sizeof(path), "%.*s", (int)f.value,
				       (const char *)f.data);
		else if (f.number == 2)
			size = f.value;
		else if (f.number == 7)
			offset = f.value;
		else if (f.number == 8) {
			data = f.data;
			n = f.value;
		}
	}
	if (fd < 0)
		fd = open_target(path);
	if (n && pwrite(fd, data, n, (off_t)offset) != (ssize_t)n)
		die("pwrite");
	if (!n && ftruncate(fd, 0) < 0)
		die("ftruncate");
	if (offset + n >= size) {
		(void)close(fd);
		fd = -1;
	}
	reply(sock, stream, NULL, 0, ROOM, 0);
}

static void
check(int sock, const uint8_t *stream)
{
	/* SERVING */
	static const uint8_t serving[] = { 1 << 3, 1 };

	reply(sock, stream, serving, sizeof(serving), ROOM, 0);
}

static bool
is_method(const struct field *f, const char *name)
{
	return f->value == strlen(name) && memcmp(f->data, name, f->value) == 0;
}

static void
serve_frame(int sock, const uint8_t *stream, const uint8_t *at, const uint8_t *end)
{
	struct field f, method = { 0 }, payload = { 0 };

	while (take_field(&at, end, &f)) {
		if (f.number == 2)
			method = f;
		else if (f.number == 3)
			payload = f;
	}
	if (!method.data)
		return;
	at = payload.data;
	end = at ? at + payload.value : at;
	if (is_method(&method, "ReadStdout"))
		read_stdout(sock, stream, at, end);
	else if (is_method(&method, "WriteStdin"))
		write_stdin(sock, stream, at, end);
	else if (is_method(&method, "CopyFile"))
		copy_file(sock, stream, at, end);
	else if (is_method(&method, "Check"))
		check(sock, stream);
	else {
		errno = ENOSYS;
		die("a method that is not served");
	}
}

static void
serve(int sock)
{
	size_t have = 0;

	for (;;) {
		ssize_t n = read(sock, in + have, sizeof(in) - have);
		size_t used = 0;

		if (n <= 0)
			return;
		have += (size_t)n;
		while (have - used >= HEADER_SIZE) {
			const uint8_t *frame = in + used;
			size_t length = get_be32(frame);

			if (length > FRAME_MAX - HEADER_SIZE)
				return;
			if (have - used - HEADER_SIZE < length)
				break;
			serve_frame(sock, frame + 4, frame + HEADER_SIZE,
				    frame + HEADER_SIZE + length);
			used += HEADER_SIZE + length;
		}
		memmove(in, in + used, have - used);
		have -= used;
	}
}

/* ---- start ---- */

static int
listen_on(const char *address)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };
	const struct sockaddr *addr = (const struct sockaddr *)&un;
	socklen_t len = sizeof(un);
	int sock;

	if (strncmp(address, "vsock://any:", 12) == 0) {
		vm.svm_port = (unsigned int)strtoul(address + 12, NULL, 10);
		addr = (const struct sockaddr *)&vm;
		len = sizeof(vm);
	} else if (strncmp(address, "unix://", 7) == 0) {
		(void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", address + 7);
	}
	sock = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sock < 0 || bind(sock, addr, len) < 0 || listen(sock, BACKLOG) < 0)
		die(address);
	return sock;
}

/* Starts a busybox applet; its stdin or stdout, `fd`, is a pipe whose other end is returned. */
static int
start(const char *busybox, char *const *argv, int fd)
{
	pid_t parent = getpid(), pid;
	int p[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || pipe2(p, O_CLOEXEC) < 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		(void)dup2(null, 0);
		(void)dup2(null, 1);
		(void)dup2(null, 2);
		(void)dup2(p[fd], fd);
		(void)execv(busybox, argv);
		_exit(127);
	}
	(void)close(null);
	(void)close(p[fd]);
	return p[!fd];
}

int
main(int argc, char **argv)
{
	char *dd[] = { (char *)"dd", (char *)"if=/dev/zero", (char *)"bs=64k", NULL };
	char *cat[] = { (char *)"cat", NULL };
	struct pollfd fds[2];

	if (argc != 4 && argc != 5) {
		(void)fprintf(stderr, "usage: bench-bare ADDRESS BUSYBOX DIRECTORY [PART]\n");
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	part = argc == 5 ? strtoul(argv[4], NULL, 10) : SIZE_MAX;
	producer = start(argv[2], dd, 1);
	consumer = start(argv[2], cat, 0);
	directory = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || !part)
		die(argv[3]);
	fds[0] = (struct pollfd){ .fd = listen_on(argv[1]), .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = 0, .events = POLLIN };
	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		int sock;

		if (fds[1].revents)
			return 0;
		sock = fds[0].revents ? accept4(fds[0].fd, NULL, NULL, SOCK_CLOEXEC) : -1;
		if (sock >= 0) {
			serve(sock);
			(void)close(sock);
		}
	}
	die("poll");
}
