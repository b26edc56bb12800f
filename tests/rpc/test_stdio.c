/* SPDX-License-Identifier: Apache-2.0 */
/* Streams arrive completely, in order and with their end; terminals. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/deadline.h"
#include "tests/rpc/harness.h"
#include "tests/support/elapsed.h"

#define CHUNK (256u << 10)

/* A generator whose bytes can be checked without keeping them (xorshift64). */
static void
fill(uint64_t *state, unsigned char *out, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		*state ^= *state << 13;
		*state ^= *state >> 7;
		*state ^= *state << 17;
		out[i] = (unsigned char)(*state >> 32);
	}
}

struct echo {
	struct harness *h;
	uint64_t out_state, in_state, written, read, total;
	bool writing, ended;
	unsigned char chunk[CHUNK], want[CHUNK];
};

static void next_write(struct echo *e);
static void next_read(struct echo *e);

static void
on_written(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct echo *e = data;

	e->writing = false;
	CHECK(reply, "WriteStdin: %s", failure ? failure->msg : "?");
	if (!reply)
		e->ended = true;
	else
		next_write(e);
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

static void
on_closed(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	(void)data;
	(void)failure;
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

static void
next_write(struct echo *e)
{
	struct error err = ERROR_INIT;
	Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;
	Grpc__CloseStdinRequest c = GRPC__CLOSE_STDIN_REQUEST__INIT;
	size_t n = e->total - e->written < CHUNK ? (size_t)(e->total - e->written) : CHUNK;

	if (!n) {
		c.container_id = (char *)"c1";
		c.exec_id = (char *)"c1";
		(void)ttrpc_client_start(e->h->client, &grpc__agent_service__descriptor,
					 "CloseStdin", &c.base, 0, on_closed, e, &err);
		return;
	}
	fill(&e->out_state, e->chunk, n);
	q.container_id = (char *)"c1";
	q.exec_id = (char *)"c1";
	q.data.data = e->chunk;
	q.data.len = n;
	e->written += n;
	e->writing = ttrpc_client_start(e->h->client, &grpc__agent_service__descriptor,
					"WriteStdin", &q.base, 0, on_written, e, &err) != 0;
}

static void
on_read(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct echo *e = data;
	const Grpc__ReadStreamResponse *r = (const Grpc__ReadStreamResponse *)reply;

	if (!r || r->data.len == 0) {
		CHECK(r, "ReadStdout: %s", failure ? failure->msg : "?");
		e->ended = true;
	} else {
		fill(&e->in_state, e->want, r->data.len);
		if (memcmp(e->want, r->data.data, r->data.len) != 0) {
			CHECK(false, "bytes differ after %llu", (unsigned long long)e->read);
			e->ended = true;
		}
		e->read += r->data.len;
		next_read(e);
	}
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

static void
next_read(struct echo *e)
{
	struct error err = ERROR_INIT;
	Grpc__ReadStreamRequest q = GRPC__READ_STREAM_REQUEST__INIT;

	q.container_id = (char *)"c1";
	q.exec_id = (char *)"c1";
	q.len = CHUNK;
	(void)ttrpc_client_start(e->h->client, &grpc__agent_service__descriptor, "ReadStdout",
				 &q.base, 0, on_read, e, &err);
}

/* Sends random bytes through `cat`; all return in order. */
static void
cat_gives_back_every_byte(struct harness *h)
{
	struct error err = ERROR_INIT;
	struct echo *e = calloc(1, sizeof(*e));
	uint64_t start_ns = monotonic_ns();

	e->h = h;
	e->total = !h->soak ? 32ull << 20 : h->is_product ? 1ull << 30 : 256ull << 20;
	e->out_state = e->in_state = 88172645463325252ull;
	CHECK_OK(create_start(h, "c1", ARGS("/bin/cat"), &err), &err);
	next_read(e);
	next_write(e);
	while (!e->ended && ttrpc_client_poll(h->client, 60000, &err) > 0)
		;
	CHECK_EQ(e->read, e->total, "%llu of %llu bytes came back: %s", (unsigned long long)e->read,
		 (unsigned long long)e->total, err.msg);
	printf("# %llu MiB in %llu ms\n", (unsigned long long)(e->read >> 20),
	       (unsigned long long)elapsed_ms(start_ns));
	CHECK_OK(wait_process(h, "c1", "c1", &err), &err);
	CHECK_OK(remove_container(h, "c1", &err), &err);
	free(e);
}

/* Two streams read at the same time. */
struct lines {
	struct harness *h;
	const char *method;
	char *text;
	size_t len, size;
	bool ended;
};

static void lines_read(struct lines *l);

static void
on_lines(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct lines *l = data;
	const Grpc__ReadStreamResponse *r = (const Grpc__ReadStreamResponse *)reply;

	CHECK(r, "%s: %s", l->method, failure ? failure->msg : "?");
	l->ended = !r || r->data.len == 0;
	if (!l->ended && l->len + r->data.len < l->size) {
		memcpy(l->text + l->len, r->data.data, r->data.len);
		l->len += r->data.len;
	}
	if (!l->ended)
		lines_read(l);
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

static void
lines_read(struct lines *l)
{
	struct error err = ERROR_INIT;
	Grpc__ReadStreamRequest q = GRPC__READ_STREAM_REQUEST__INIT;

	q.container_id = (char *)"c1";
	q.exec_id = (char *)"c1";
	q.len = 8192;
	(void)ttrpc_client_start(l->h->client, &grpc__agent_service__descriptor, l->method, &q.base,
				 0, on_lines, l, &err);
}

static void
lines_on_both_streams_arrive_whole(struct harness *h)
{
	struct error err = ERROR_INIT;
	struct lines l[2] = { { .h = h, .method = "ReadStdout" },
			      { .h = h, .method = "ReadStderr" } };

	CHECK_OK(create_start(h, "c1",
			      SH("i=0; while [ $i -lt 10000 ]; do echo out $i; echo err $i >&2; "
				 "i=$((i+1)); done"),
			      &err),
		 &err);
	for (int i = 0; i < 2; i++) {
		l[i].size = 1 << 20;
		l[i].text = calloc(1, l[i].size);
		lines_read(&l[i]);
	}
	while ((!l[0].ended || !l[1].ended) && ttrpc_client_poll(h->client, 30000, &err) > 0)
		;
	for (int i = 0; i < 2; i++) {
		char *at = l[i].text;
		int n = 0;

		for (; n < 10000; n++) {
			char want[32];
			size_t len = (size_t)snprintf(want, sizeof(want), "%s %d\n",
						      i ? "err" : "out", n);

			if (strncmp(at, want, len) != 0)
				break;
			at += len;
		}
		CHECK(n == 10000 && *at == '\0', "%s: %d whole lines, then \"%.20s\"", l[i].method,
		      n, at);
		free(l[i].text);
	}
	CHECK_OK(wait_process(h, "c1", "c1", &err), &err);
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

/* `sh -c 'sleep 1d &'` must end although the pipe stays open in the grandchild. */
static void
a_grandchild_does_not_hold_the_stream(struct harness *h)
{
	struct error err = ERROR_INIT;
	char out[64];

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	CHECK_OK(exec(h, "c1", "e1", SH("echo hi; sleep 3600 &"), false, &err), &err);
	CHECK_OK(wait_process(h, "c1", "e1", &err), &err);
	/* read only now: the output is still there, and ends long before the grandchild does */
	CHECK_GE(read_all(h, false, "c1", "e1", out, sizeof(out), &err), 0, "%s", err.msg);
	CHECK_STR(out, "hi\n");
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

static void
output_is_read_after_the_exit(struct harness *h)
{
	struct error err = ERROR_INIT;
	char out[64];

	CHECK_OK(create_start(h, "c1", SH("echo one; echo two >&2; exit 4"), &err), &err);
	CHECK_EQ(wait_process(h, "c1", "c1", &err), 4, "%s", err.msg);
	CHECK(read_all(h, false, "c1", "c1", out, sizeof(out), &err) >= 0 &&
		      strcmp(out, "one\n") == 0,
	      "\"%s\" %s", out, err.msg);
	CHECK(read_all(h, true, "c1", "c1", out, sizeof(out), &err) >= 0 &&
		      strcmp(out, "two\n") == 0,
	      "\"%s\" %s", out, err.msg);
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

/* A full stdin pipe blocks only the call that writes to it. */
static void
a_process_that_does_not_read(struct harness *h)
{
	struct error err = ERROR_INIT;
	Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;
	unsigned char *big = calloc(1, 1 << 20);
	uint32_t id;

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	q.container_id = (char *)"c1";
	q.exec_id = (char *)"c1";
	q.data.data = big;
	q.data.len = 1 << 20;
	id = ttrpc_client_start(h->client, &grpc__agent_service__descriptor, "WriteStdin", &q.base,
				0, NULL, NULL, &err);
	CHECK(id, "%s", err.msg);
	CHECK_OK(check_health(h->client, &err), &err);
	CHECK_FAILS(ttrpc_client_wait(h->client, id, 50, NULL, &err), &err, ERROR_DEADLINE_EXCEEDED,
		    "", "it was answered");
	CHECK_OK(kill_process(h, "c1", "", SIGKILL, &err), &err);
	CHECK(ttrpc_client_wait(h->client, id, 10000, NULL, &err) < 0 &&
		      err.code != ERROR_DEADLINE_EXCEEDED,
	      "the write must fail when its reader is gone: %s", err.msg);
	CHECK_OK(remove_container(h, "c1", &err), &err);
	free(big);
}

/* Reads until `want` has been read. */
static bool
expect(struct harness *h, const char *exec_id, char *seen, size_t size, const char *want)
{
	struct error err = ERROR_INIT;
	size_t len = strlen(seen);

	while (!strstr(seen, want)) {
		ssize_t n = len + 1 < size ? read_stream(h, false, "c1", exec_id, seen + len,
							 size - 1 - len, &err)
					   : 0;

		if (n <= 0)
			break;
		len += (size_t)n;
		seen[len] = '\0';
	}
	CHECK_HAS(seen, want, "waiting for \"%s\", saw \"%s\" (%s)", want, seen, err.msg);
	return strstr(seen, want) != NULL;
}

static void
a_shell_on_a_terminal(struct harness *h)
{
	static const char script[] = "PS1='<''>'; stty size; tty; echo a$((40+2))b\n";
	struct error err = ERROR_INIT;
	Grpc__TtyWinResizeRequest q = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;
	char seen[4096] = "", rest[64];

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	CHECK_OK(exec(h, "c1", "e1", ARGS("/bin/sh"), true, &err), &err);
	q.container_id = (char *)"c1";
	q.exec_id = (char *)"e1";
	q.row = 33;
	q.column = 101;
	CHECK_OK(call(h, "TtyWinResize", &q, NULL, &err), &err);
	CHECK_OK(write_stdin(h, "c1", "e1", script, strlen(script), &err), &err);
	/* The terminal echoes. */
	(void)expect(h, "e1", seen, sizeof(seen), "echo a$((40+2))b");
	/* A ^D before the shell's prompt is lost when the shell changes the terminal's mode. */
	(void)expect(h, "e1", seen, sizeof(seen), "a42b\r\n<>");
	CHECK_HAS(seen, "33 101");
	CHECK_HAS(seen, "/dev/pts/");
	/* ^D */
	CHECK_OK(write_stdin(h, "c1", "e1", "\x04", 1, &err), &err);
	CHECK_GE(read_all(h, false, "c1", "e1", rest, sizeof(rest), &err), 0, "%s", err.msg);
	CHECK_OK(wait_process(h, "c1", "e1", &err), &err);
	q.exec_id = (char *)"c1";
	CHECK_FAILS(call(h, "TtyWinResize", &q, NULL, &err), &err, ERROR_UNAVAILABLE, TEXT_NO_TTY,
		    "without a terminal: %d %s", err.code, err.msg);
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

static void
an_init_on_a_terminal(struct harness *h)
{
	struct error err = ERROR_INIT;
	char seen[4096] = "";

	CHECK_OK(create_start_tty(h, "c1",
				  SH("test -t 0 && echo tty$((1+1)); ls -l /dev/console; read x; "
				     "echo got:$x"),
				  &err),
		 &err);
	(void)expect(h, "c1", seen, sizeof(seen), "tty2");
	(void)expect(h, "c1", seen, sizeof(seen), "/dev/console");
	/* CloseStdin ends the input, not the terminal. */
	CHECK_OK(write_stdin(h, "c1", "c1", "abc", 3, &err), &err);
	CHECK_OK(close_stdin(h, "c1", "c1", &err), &err);
	CHECK_OK(close_stdin(h, "c1", "c1", &err), &err);
	(void)expect(h, "c1", seen, sizeof(seen), "got:abc");
	CHECK_OK(wait_process(h, "c1", "c1", &err), &err);
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

static void
read_lengths(struct harness *h)
{
	static const uint32_t lengths[] = { 1, 4u << 20, UINT32_MAX };
	struct error err = ERROR_INIT;
	Grpc__ReadStreamRequest q = GRPC__READ_STREAM_REQUEST__INIT;

	CHECK_OK(create_start(h, "c1", SH("sleep 0.2; printf abcdef; sleep 3600"), &err), &err);
	q.container_id = (char *)"c1";
	q.exec_id = (char *)"c1";
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		ProtobufCMessage *reply = NULL;

		q.len = lengths[i];
		/* Without output the call is parked, and ends with the container. */
		if (i == 2) {
			(void)ttrpc_client_start(h->client, &grpc__agent_service__descriptor,
						 "ReadStdout", &q.base, 0, on_closed, NULL, &err);
			continue;
		}
		CHECK_EQ(call(h, "ReadStdout", &q, &reply, &err), 0, "len %u: %s", q.len, err.msg);
		CHECK(reply && ((Grpc__ReadStreamResponse *)reply)->data.len == (i ? 5 : 1),
		      "len %u", q.len);
		if (reply)
			protobuf_c_message_free_unpacked(reply, NULL);
	}
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

const struct test tests_stdio[] = {
	{ "cat returns every byte", cat_gives_back_every_byte },
	{ "10,000 lines on both streams arrive complete", lines_on_both_streams_arrive_whole },
	{ "a grandchild with an open pipe does not delay the end",
	  a_grandchild_does_not_hold_the_stream },
	{ "output is read after the exit", output_is_read_after_the_exit },
	{ "a process that does not read its stdin", a_process_that_does_not_read },
	{ "a shell on a terminal", a_shell_on_a_terminal },
	{ "an init on a terminal", an_init_on_a_terminal },
	{ "read lengths", read_lengths },
};
const size_t n_tests_stdio = ARRAY_LEN(tests_stdio);
