/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's ends of a process's stdio: pipes, or the master of its pty. Reads and writes wait in the
 * order they came; nothing is kept here beyond what a waiting request holds. Loop side: never blocks.
 * Callbacks are the last thing done for an event, so that they may free what they like.
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

#define STDIO_READ_MAX (1u << 20) /* bytes of one read, whatever was asked for */
#define STDIO_RETRY_MS 100 /* between tries to write to a full terminal that no process has open */
#define STDIO_QUIET_MS 500 /* of silence after the exit end a stream that someone else holds open */
/* Life of output that the host does not take once the process's status was taken, from the last read on. */
#define STDIO_UNREAD_MS 60000

struct splice_worker;
struct splice_stream;

/* Of a read or write: at once, or done() follows. */
enum stdio_outcome {
	STDIO_FAILED = -1,
	STDIO_DONE = 0,
	STDIO_WAITS = 1,
};

/* A request to read, in its owner's memory. max and the functions are set by the owner. */
struct stdio_read {
	struct list node;
	struct pending pending;
	struct output *output;
	size_t max;
	/* Memory for n bytes of the reply, NULL if there is none. Called once something is there to read. */
	uint8_t *(*buffer)(struct stdio_read *r, size_t n);
	void (*done)(struct stdio_read *r, const struct error *err);
	uint8_t *data; /* result: len 0 is the stream's end */
	size_t len;
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
};

/* stdout or stderr. */
struct output {
	struct loop *loop;
	int fd; /* -1: none */
	struct watch *watch;
	struct timer *quiet; /* silence after the exit, or the life of bytes that nobody reads */
	uint64_t unread_ms;  /* STDIO_UNREAD_MS, but in tests */
	struct list readers;
	bool tty;      /* the master of a pty */
	bool exited;   /* the process has: silence may end the stream */
	bool draining; /* its status was taken: nobody may be going to read on */
	bool ended;
	bool is_passed;               /* goes to the host by itself: there is nothing to read */
	struct splice_stream *passed; /* NULL: not, or not any more */
	void (*on_end)(void *data);   /* ended became true; must not free the output */
	void *data;
};

/* stdin. */
struct input {
	struct loop *loop;
	int fd; /* -1: none, or closed */
	bool tty;
	bool closing; /* no write is taken any more; `end` is queued or done */
	struct watch *watch;
	struct timer *retry; /* while no process has the terminal open that is to take more */
	bool exited;         /* the process has: nothing is waited for any more */
	struct splice_stream
		*passed; /* comes from the host by itself: nothing else is written; NULL: not */
	struct list writers;
	struct stdio_write end; /* closes the pipe, or types the terminal's VEOF */
	bool mid_line; /* a terminal's last line is not finished: one VEOF only hands it over */
	uint8_t veof[2];
};

/* Takes fd over (-1: a stream that has ended). It must be non-blocking. */
void output_init(struct output *o, struct loop *loop, int fd, void (*on_end)(void *data),
		 void *data);

/* Ends waiting reads with an empty reply, closes the fd. */
void output_release(struct output *o);

/* STDIO_DONE: r->data and r->len hold what was there (empty at the stream's end, and for max 0). STDIO_WAITS:
 * r->done is called with the same, for which r->pending waits. Not both. RESOURCE_EXHAUSTED if buffer() has no memory. */
enum stdio_outcome output_read(struct output *o, struct stdio_read *r, struct error *err);

/* The process has exited: from now on what is there can be read, and then STDIO_QUIET_MS of silence are
 * the end, whoever else has the stream open. A terminal has no end before that, also while no process has it open. */
void output_exited(struct output *o);

/* The process's status was taken as well: a stream without unread bytes ends by itself, and unread bytes are dropped
 * STDIO_UNREAD_MS after the last read. */
void output_drain(struct output *o);

/* What is written from now on goes to the socket `to` (taken over, also on failure) without being read here; reads get
 * the stream's end at once. Only for a stream that is open and has no readers. 0, or -1 and err. */
int output_pass(struct output *o, struct splice_worker *splice_worker, int to, struct error *err);

/* Takes fd over (-1: closed). It must be non-blocking. */
void input_init(struct input *in, struct loop *loop, int fd, bool tty);

/* Fails waiting writes with ABORTED, closes the fd. */
void input_release(struct input *in);

/* STDIO_DONE: all of it was taken. STDIO_WAITS: done follows, for which w->pending waits; what was written
 * already is not written again, and stays written.
 * INTERNAL `Cannot get writer` after input_close(), and when the reading end is gone (EPIPE, EIO). */
enum stdio_outcome input_write(struct input *in, struct stdio_write *w, struct error *err);

/* End of input behind the writes that wait already: a pipe is closed, on a terminal its end-of-file
 * character is typed. Again: nothing. */
void input_close(struct input *in);

/* From now on stdin comes from the socket `from` (taken over, also on failure), and its end is end of input; writes are
 * refused. Only for an open stream without writers. 0, or -1 and err. */
int input_pass(struct input *in, struct splice_worker *splice_worker, int from, struct error *err);

/* The process has exited: writes that a terminal without any user does not take fail from now on. */
void input_exited(struct input *in);

/* The process's status was taken: nobody reads what the host may still send. Fails waiting writes, closes the fd. */
void input_linger(struct input *in);

/* A process's three streams. On a terminal stderr is stdout. */
struct stdio {
	bool tty;
	struct input in;
	struct output out;
	struct output err;
	struct splice_worker *splice_worker;
	int pass[3]; /* the host's sockets until the streams are open; -1: the stream is read and written by calls */
};

/* Sockets of the host to pass streams through: stdin, stdout, stderr, each may be -1. Taken over, and used once the
 * streams are opened. */
void stdio_pass(struct stdio *s, struct splice_worker *splice_worker, int pass[3]);

/* Has the host all output of the streams that it was promised to get by itself? */
bool stdio_is_delivered(const struct stdio *s);

/* The process's ends of new pipes, to be closed by the caller once the process has them. */
struct stdio_ends {
	int fd[3]; /* -1: none */
};

/* Every stream as if it had ended; for a process that has none (yet). */
void stdio_init(struct stdio *s, struct loop *loop, void (*on_end)(void *data), void *data);

/* Makes pipes and takes their near ends; pipe_size bytes for stdout and stderr if not 0. 0, or -1 with
 * nothing kept. */
int stdio_open_pipes(struct stdio *s, uint32_t pipe_size, struct stdio_ends *ends,
		     struct error *err);

/* Takes over the master of the process's pty. 0, or -1 with it closed. */
int stdio_open_tty(struct stdio *s, int master, struct error *err);

/* The output that ReadStdout (STDOUT_FILENO) or ReadStderr (STDERR_FILENO) means. */
struct output *stdio_output(struct stdio *s, int fd);

/* Size of the terminal in characters. UNAVAILABLE `no tty` without one, INVALID_ARGUMENT over 65535. */
int stdio_resize(struct stdio *s, uint32_t rows, uint32_t columns, struct error *err);

bool stdio_is_ended(const struct stdio *s);
void stdio_exited(struct stdio *s);
void stdio_drain(struct stdio *s);
void stdio_release(struct stdio *s);

void stdio_ends_close(struct stdio_ends *ends);
