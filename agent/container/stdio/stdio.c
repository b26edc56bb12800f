/* SPDX-License-Identifier: Apache-2.0 */
/* The three streams of a process: pipes, pty, terminal size. Called by process.c and the create and
 * exec operations; the single streams are in output.c and input.c. Must never block.
 */
#include "agent/container/stdio/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/log.h"

static int stdio_make_pipe(int index, uint32_t size, int *near, int *far, struct error *err);
static int stdio_start_passing(struct stdio *s, struct error *err);

void
stdio_init(struct stdio *s, struct loop *loop, void (*on_end)(void *data), void *data)
{
	s->tty = false;
	s->splice_worker = NULL;
	for (size_t i = 0; i < ARRAY_LEN(s->pass); i++)
		s->pass[i] = -1;
	input_init(&s->in, loop, -1, false);
	output_init(&s->out, loop, -1, on_end, data);
	output_init(&s->err, loop, -1, on_end, data);
}

void
stdio_ends_close(struct stdio_ends *ends)
{
	for (size_t i = 0; i < ARRAY_LEN(ends->fd); i++)
		close_fd(&ends->fd[i]);
}

void
stdio_pass(struct stdio *s, struct splice_worker *splice_worker, int pass[3])
{
	s->splice_worker = splice_worker;
	for (size_t i = 0; i < ARRAY_LEN(s->pass); i++)
		s->pass[i] = steal_fd(&pass[i]);
}

bool
stdio_is_delivered(const struct stdio *s)
{
	return !s->out.passed && !s->err.passed;
}

int
stdio_open_pipes(struct stdio *s, uint32_t pipe_size, struct stdio_ends *ends, struct error *err)
{
	int near[3] = { -1, -1, -1 };

	*ends = (struct stdio_ends){ .fd = { -1, -1, -1 } };
	for (int i = 0; i < 3; i++) {
		if (stdio_make_pipe(i, pipe_size, &near[i], &ends->fd[i], err) < 0)
			goto failed;
	}
	s->in.fd = near[0];
	s->in.closing = false;
	s->out.fd = near[1];
	s->out.ended = false;
	s->err.fd = near[2];
	s->err.ended = false;
	if (stdio_start_passing(s, err) == 0)
		return 0;
	/* The agent's ends are closed with the process. */
	stdio_ends_close(ends);
	return -1;

failed:
	for (int i = 0; i < 3; i++)
		close_fd(&near[i]);
	stdio_ends_close(ends);
	return -1;
}

static int
stdio_set_nonblocking(int fd, struct error *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return error_sys(err, "failed to make a stream non-blocking");
	return 0;
}

/* Makes a pipe; *near is the agent's end, *far the process's. */
static int
stdio_make_pipe(int index, uint32_t size, int *near, int *far, struct error *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_sys_code(err, ERROR_RESOURCE_EXHAUSTED,
				      "failed to create a pipe for stdio");
	*near = index == 0 ? fds[1] : fds[0];
	*far = index == 0 ? fds[0] : fds[1];
	if (stdio_set_nonblocking(*near, err) < 0)
		return -1;
	if (index > 0 && size > 0 && fcntl(*near, F_SETPIPE_SZ, (int)size) < 0)
		log_warn("container", "failed to set a pipe's size to %u bytes: %s", size,
			 strerror(errno));
	return 0;
}

/* Hands the open streams for which the host has a socket to the splice worker. */
static int
stdio_start_passing(struct stdio *s, struct error *err)
{
	if (s->tty)
		close_fd(&s->pass[2]);
	if (s->pass[0] >= 0 && input_pass(&s->in, s->splice_worker, steal_fd(&s->pass[0]), err) < 0)
		return -1;
	if (s->pass[1] >= 0 &&
	    output_pass(&s->out, s->splice_worker, steal_fd(&s->pass[1]), err) < 0)
		return -1;
	if (s->pass[2] >= 0 &&
	    output_pass(&s->err, s->splice_worker, steal_fd(&s->pass[2]), err) < 0)
		return -1;
	return 0;
}

int
stdio_open_tty(struct stdio *s, int master, struct error *err)
{
	/* A second fd, because one fd cannot have separate watches for reading and writing. */
	int in = fcntl(master, F_DUPFD_CLOEXEC, 3);

	if (in < 0) {
		error_sys_code(err, ERROR_RESOURCE_EXHAUSTED,
			       "failed to duplicate the terminal's master");
	} else if (stdio_set_nonblocking(master, err) == 0) {
		s->tty = true;
		s->in.fd = in;
		s->in.tty = true;
		s->in.closing = false;
		s->out.fd = master;
		s->out.tty = true;
		s->out.ended = false;
		return stdio_start_passing(s, err);
	}
	close_fd(&in);
	close_fd(&master);
	return -1;
}

struct output *
stdio_output(struct stdio *s, int fd)
{
	return fd == STDOUT_FILENO || s->tty ? &s->out : &s->err;
}

int
stdio_resize(struct stdio *s, uint32_t rows, uint32_t columns, struct error *err)
{
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };

	if (!s->tty)
		return error_set(err, ERROR_UNAVAILABLE, TEXT_NO_TTY);
	if (rows > UINT16_MAX || columns > UINT16_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid terminal size %u x %u: over 65535", rows, columns);
	if (s->in.fd < 0)
		return error_set(err, ERROR_UNAVAILABLE, TEXT_NO_TTY ": it was closed");
	if (ioctl(s->in.fd, TIOCSWINSZ, &size) < 0)
		return error_sys(err, "failed to set the terminal's size");
	return 0;
}

bool
stdio_is_ended(const struct stdio *s)
{
	return s->out.ended && s->err.ended;
}

void
stdio_exited(struct stdio *s)
{
	input_exited(&s->in);
	output_exited(&s->out);
	output_exited(&s->err);
}

void
stdio_drain(struct stdio *s)
{
	input_linger(&s->in);
	output_drain(&s->out);
	output_drain(&s->err);
}

void
stdio_release(struct stdio *s)
{
	for (size_t i = 0; i < ARRAY_LEN(s->pass); i++)
		close_fd(&s->pass[i]);
	input_release(&s->in);
	output_release(&s->out);
	output_release(&s->err);
}
