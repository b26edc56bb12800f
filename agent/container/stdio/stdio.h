/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's ends of a process's stdio: pipes, or the master of its pty. Reads and writes are
 * queued in order of arrival; no data is buffered except in a waiting request. A callback is the
 * last step of an event, so it may free the streams. Loop side: never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/pending.h"

/* Limit on one read, in bytes. */
#define STDIO_READ_MAX (1u << 20)
/* Interval between attempts to write to a full terminal that no process has open. */
#define STDIO_RETRY_MS 100
/* Time without data after the exit, after which a stream that another process holds open ends. */
#define STDIO_QUIET_MS 500
/* Time from the last read, after which unread output is dropped if the process's status was
 * reported. */
#define STDIO_UNREAD_MS 60000

struct splice_worker;
struct splice_stream;

/* The outcome of starting a read or write: complete, or done() follows. */
enum stdio_outcome {
	STDIO_FAILED = -1,
	STDIO_DONE = 0,
	STDIO_WAITS = 1,
};

/* A request to read, in its owner's memory. The owner sets max and the functions. */
struct stdio_read {
	struct list node;
	struct pending pending;
	struct output *output;
	size_t max;
	/* Returns memory for n bytes of the reply, or NULL. Called when there is something to
	 * read. */
	uint8_t *(*buffer)(struct stdio_read *r, size_t n);
	void (*done)(struct stdio_read *r, const struct error *err);
	/* The result; len 0 is the end of the stream. */
	uint8_t *data;
	size_t len;
	/* Called as soon as there is data in that memory, before anything else happens; done()
	 * follows, or STDIO_DONE. May be NULL. */
	void (*filled)(struct stdio_read *r);
};

/* A request to write all of data, in its owner's memory. */
struct stdio_write {
	struct list node;
	struct pending pending;
	struct input *input;
	const uint8_t *data;
	size_t len;
	size_t written;
	void (*done)(struct stdio_write *w, const struct error *err);
	/* Bytes that were written before input_move_rest(). */
	size_t before;
};

/* The agent's end of stdout or stderr. */
struct output {
	struct loop *loop;
	/* -1: none. */
	int fd;
	struct watch *watch;
	/* Runs for STDIO_QUIET_MS after the exit, or for unread_ms. */
	struct timer *quiet;
	/* STDIO_UNREAD_MS except in tests. */
	uint64_t unread_ms;
	struct list readers;
	/* The fd is the master of a pty. */
	bool tty;
	/* The process has exited: the stream may end by timeout. */
	bool exited;
	/* The status was reported: there may be no further reads. */
	bool draining;
	bool ended;
	/* The stream is passed through to the host: reads return its end. */
	bool is_passed;
	/* NULL: not passed through, or ended. */
	struct splice_stream *passed;
	/* Called when `ended` becomes true; must not free the output. */
	void (*on_end)(void *data);
	void *data;
};

/* The agent's end of stdin. */
struct input {
	struct loop *loop;
	/* -1: none, or closed. */
	int fd;
	bool tty;
	/* Writes are refused; `end` is queued or done. */
	bool closing;
	struct watch *watch;
	/* Runs while data waits for a terminal that no process has open. */
	struct timer *retry;
	/* The process has exited: writes no longer wait for a terminal to be reopened. */
	bool exited;
	/* The stream is passed through from the host; NULL: it is not. */
	struct splice_stream *passed;
	struct list writers;
	/* The last write: closes the pipe, or writes the terminal's VEOF. */
	struct stdio_write end;
	/* The terminal's last line is incomplete: the first VEOF only flushes it. */
	bool mid_line;
	uint8_t veof[2];
};

/* Initialises an output that owns `fd`, which must be non-blocking (-1: a stream that has
 * ended). */
void output_init(struct output *o, struct loop *loop, int fd, void (*on_end)(void *data),
		 void *data);

/* Completes waiting reads with an empty reply and closes the fd. */
void output_release(struct output *o);

/* Starts a read. Returns STDIO_DONE with the result in r->data and r->len (len 0 at the end of
 * the stream, and for max 0), or STDIO_WAITS, after which r->done is called with the result
 * unless r->pending is cancelled, or STDIO_FAILED and err; RESOURCE_EXHAUSTED if buffer()
 * returns NULL. */
enum stdio_outcome output_read(struct output *o, struct stdio_read *r, struct error *err);

/* Notes that the process has exited. The remaining data can be read; the stream then ends after
 * STDIO_QUIET_MS without data, even if another process has it open. A terminal does not end
 * before the exit, even if no process has it open. */
void output_exited(struct output *o);

/* Notes that the process's status was reported. A stream without unread data then ends without a
 * read, and unread data is dropped STDIO_UNREAD_MS after the last read. */
void output_drain(struct output *o);

/* Passes the stream through to the socket `to`, which is consumed, also on failure. Reads get
 * the end of the stream at once. The stream must be open and have no readers. Returns 0, or -1
 * and err. */
int output_pass(struct output *o, struct splice_worker *splice_worker, int to, struct error *err);

/* Initialises an input that owns `fd`, which must be non-blocking (-1: closed). */
void input_init(struct input *in, struct loop *loop, int fd, bool tty);

/* Fails waiting writes with ABORTED and closes the fd. */
void input_release(struct input *in);

/* Starts a write. Returns STDIO_DONE after all data was written, or STDIO_WAITS, after which
 * w->done is called unless w->pending is cancelled, or STDIO_FAILED and err: INTERNAL `Cannot
 * get writer` after input_close(), INTERNAL if the reading end is closed (EPIPE, EIO).
 * As with write(2), a failure after a part was written, for lack of memory for instance, is a
 * success with a smaller number: w->before + w->written. Cancelling does not undo a partial
 * write. */
enum stdio_outcome input_write(struct input *in, struct stdio_write *w, struct error *err);

/* Has a waiting write continue from `rest`, a copy of the bytes that were not written yet. */
void input_move_rest(struct stdio_write *w, const uint8_t *rest);

/* Ends the input after the waiting writes: closes a pipe, or writes a terminal's end-of-file
 * character. Does nothing if the input is already closing. */
void input_close(struct input *in);

/* Passes stdin through from the socket `from`, which is consumed, also on failure; its end is
 * the end of input. Writes are refused. The stream must be open and have no writers. Returns 0,
 * or -1 and err. */
int input_pass(struct input *in, struct splice_worker *splice_worker, int from, struct error *err);

/* Notes that the process has exited: writes to a full terminal that no process has open now
 * fail. */
void input_exited(struct input *in);

/* Notes that the process's status was reported: input would not be read. Fails waiting writes
 * and closes the fd. */
void input_linger(struct input *in);

/* The three streams of a process. With a terminal, stderr is stdout. */
struct stdio {
	bool tty;
	struct input in;
	struct output out;
	struct output err;
	struct splice_worker *splice_worker;
	/* Sockets of the host, until the streams are open; -1: the stream is read or written by
	 * calls. */
	int pass[3];
};

/* Sets the host's sockets for stdin, stdout and stderr, each of which may be -1. They are owned
 * by `s` and used when the streams are opened. */
void stdio_pass(struct stdio *s, struct splice_worker *splice_worker, int pass[3]);

/* Returns whether all output of streams that are passed through has been delivered. */
bool stdio_is_delivered(const struct stdio *s);

/* The process's ends of new pipes. The caller closes them after the process has inherited them. */
struct stdio_ends {
	/* -1: none. */
	int fd[3];
};

/* Initialises all streams as ended, for a process without streams. */
void stdio_init(struct stdio *s, struct loop *loop, void (*on_end)(void *data), void *data);

/* Makes the pipes and keeps the agent's ends; the size of stdout and stderr is pipe_size bytes
 * unless 0. Returns 0, or -1 and err with all pipes closed. */
int stdio_open_pipes(struct stdio *s, uint32_t pipe_size, struct stdio_ends *ends,
		     struct error *err);

/* Consumes the master of the process's pty. Returns 0, or -1 and err with it closed. */
int stdio_open_tty(struct stdio *s, int master, struct error *err);

/* Returns the output for ReadStdout (STDOUT_FILENO) or ReadStderr (STDERR_FILENO). */
struct output *stdio_output(struct stdio *s, int fd);

/* Sets the size of the terminal in characters. Returns 0, or -1: UNAVAILABLE `no tty` without a
 * terminal, INVALID_ARGUMENT if a value exceeds 65535. */
int stdio_resize(struct stdio *s, uint32_t rows, uint32_t columns, struct error *err);

bool stdio_is_ended(const struct stdio *s);
void stdio_exited(struct stdio *s);
void stdio_drain(struct stdio *s);
void stdio_release(struct stdio *s);

void stdio_ends_close(struct stdio_ends *ends);
