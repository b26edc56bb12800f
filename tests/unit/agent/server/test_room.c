/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that send and read a byte at a time and take all places, and the connections that are
 * admitted nevertheless. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "tests/support/check.h"
#include "tests/unit/agent/server/bench.h"

#define SLOW (CONNS_MAX - 1)

static struct bench b;
static struct reply r;
static struct client runtime, slow[SLOW], fresh[3];
/* a frame of 1 MiB */
static const uint8_t header[] = { 0, 0x10, 0, 0, 0, 0, 0, 1, 1, 0 };

static void
up(void)
{
	bench_init(&b);
	b.server->slow_ms = 50;
	client_init(&runtime, &b);
	REQUIRE(client_call(&runtime, 1, "CreateSandbox", 0) && client_reply(&runtime, &r));
	REQUIRE(client_call(&runtime, 3, "WaitProcess", 0));
}

static void
down(void)
{
	client_release(&runtime);
	for (size_t i = 0; i < SLOW; i++) {
		if (slow[i].bench)
			client_release(&slow[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(fresh); i++) {
		if (fresh[i].bench)
			client_release(&fresh[i]);
	}
	bench_release(&b);
}

TestSuite(room, .init = up, .fini = down);

static bool
works(struct client *c)
{
	return client_call(c, 5, "Check", 0) && client_reply(c, &r) && r.code == 0;
}

/* The behaviour of a slow peer after a first call was answered: it begins something, then
 * continues by one byte. */
enum slowness {
	IN_HEADER,
	IN_BODY,
	TAKES_NOTHING,
	TAKES_BYTES,
	N_SLOWNESS,
};

static void
begin_slowly(struct client *c, enum slowness how)
{
	client_init(c, &b);
	REQUIRE(works(c));
	switch (how) {
	case IN_HEADER:
		REQUIRE(client_send(c, header, 1));
		break;
	case IN_BODY:
		REQUIRE(client_send(c, header, sizeof(header)));
		break;
	default:
		REQUIRE(client_call(c, 7, "ReadStdout", 0));
	}
}

static void
go_on_slowly(struct client *c, enum slowness how)
{
	char byte;

	if (how == IN_HEADER || how == IN_BODY)
		(void)client_send(c, "", 1);
	else if (how == TAKES_BYTES)
		(void)recv(c->fd, &byte, 1, MSG_DONTWAIT);
}

/* Lets ms pass while the slow ones go on, for `bytes` rounds. */
static void
drip(unsigned int ms, enum slowness how, size_t bytes)
{
	uint64_t end = deadline_in(ms);
	struct error err = ERROR_INIT;

	for (size_t n = 0; !deadline_is_over(end); n++) {
		for (size_t i = 0; n < bytes && i < SLOW; i++)
			go_on_slowly(&slow[i], how);
		REQUIRE_OK(loop_run_once(b.loop, 5, &err), &err);
	}
}

Test(room, slow_peers_make_room, .timeout = 120)
{
	b.read_size = 1000000;
	for (enum slowness how = 0; how < N_SLOWNESS; how++) {
		uint64_t evicted = server_counts(b.server).evicted;

		for (size_t i = 0; i < SLOW; i++) {
			/* QUEUED_MAX: no more than 40 of them */
			if (how >= TAKES_NOTHING && i >= 40)
				b.read_size = 300000;
			begin_slowly(&slow[i], how);
		}
		/* the rest of a header has fewer bytes */
		drip(80, how, how == IN_HEADER ? 5 : SIZE_MAX);
		REQUIRE_EQ(server_counts(b.server).connections, CONNS_MAX, "%d", how);
		for (size_t i = 0; i < ARRAY_LEN(fresh); i++) {
			client_init(&fresh[i], &b);
			CHECK(works(&fresh[i]), "kind %d", how);
		}
		CHECK_EQ(server_counts(b.server).evicted, evicted + ARRAY_LEN(fresh), "%d", how);
		/* one that was answered in time keeps its place */
		for (size_t i = 0; i < ARRAY_LEN(fresh); i++)
			CHECK(works(&fresh[i]), "kind %d", how);
		CHECK(works(&runtime), "kind %d", how);
		for (size_t i = 0; i < SLOW; i++)
			client_release(&slow[i]);
		for (size_t i = 0; i < ARRAY_LEN(fresh); i++)
			client_release(&fresh[i]);
		bench_settle(&b);
		REQUIRE_EQ(server_counts(b.server).connections, 1, "%d", how);
	}
}

/* The runtime's connection is slower than all others, and stays. */
Test(room, the_runtime_stays)
{
	struct error err = ERROR_INIT;
	int pair[2];

	b.read_size = 1000000;
	REQUIRE(client_call(&runtime, 7, "ReadStdout", 0));
	REQUIRE(client_send(&runtime, header, sizeof(header)));
	drip(60, IN_BODY, 0);
	/* longer than the machine may take: no other connection is slow yet */
	b.server->slow_ms = 120000;
	for (size_t i = 0; i < SLOW; i++)
		begin_slowly(&slow[i], IN_BODY);
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(server_adopt(b.server, pair[1], &err), -1);
	close_fd(&pair[0]);
	b.server->slow_ms = 50;
	drip(60, IN_BODY, 1);
	client_init(&fresh[0], &b);
	CHECK(works(&fresh[0]));
	CHECK(client_reply(&runtime, &r) && r.stream == 7);
	CHECK_EQ(b.n_cancelled, 0);
}

/* A new connection takes the place of one that was never used, but not of one that has only just
 * come. */
Test(room, the_unused_go_first)
{
	/* longer than anything below takes on a busy machine */
	b.server->slow_ms = 300;
	for (size_t i = 0; i < SLOW - 1; i++)
		begin_slowly(&slow[i], IN_BODY);
	drip(320, IN_BODY, 1);
	client_init(&slow[SLOW - 1], &b);
	client_init(&fresh[0], &b);
	CHECK(works(&fresh[0]));
	CHECK(works(&slow[SLOW - 1]));
	client_init(&fresh[1], &b);
	drip(320, IN_BODY, 1);
	client_init(&fresh[2], &b);
	CHECK(works(&fresh[2]));
	CHECK(!works(&fresh[1]));
	CHECK_EQ(server_counts(b.server).evicted, 3);
}

/* Slow connections without calls are closed first. */
Test(room, one_that_waits_for_an_answer_stays)
{
	client_init(&slow[0], &b);
	REQUIRE(client_call(&slow[0], 7, "WaitProcess", 0));
	REQUIRE(works(&slow[0]));
	REQUIRE(client_send(&slow[0], header, sizeof(header)));
	drip(20, IN_BODY, 0);
	for (size_t i = 1; i < SLOW; i++)
		begin_slowly(&slow[i], IN_BODY);
	drip(60, IN_BODY, 1);
	client_init(&fresh[0], &b);
	CHECK(works(&fresh[0]));
	CHECK_EQ(server_counts(b.server).evicted, 1);
	CHECK_EQ(b.n_cancelled, 0);
}

/* A peer that always has a frame on its way, each time another one, is not slow. */
Test(room, whole_frames_are_progress)
{
	enum { N = 9 };
	struct error err = ERROR_INIT;
	struct buf calls;
	size_t size;
	int pair[2];

	b.server->slow_ms = 200;
	for (size_t i = 0; i < SLOW; i++) {
		client_init(&slow[i], &b);
		REQUIRE(works(&slow[i]));
	}
	buf_init(&calls, FRAME_PAYLOAD_MAX);
	for (uint32_t i = 0; i < N; i++)
		make_call(&calls, 7 + 2 * i, "Check", 0);
	size = buf_len(&calls) / N;
	REQUIRE(client_send(&slow[0], buf_head(&calls), size - 1));
	for (size_t i = 1; i < N; i++) {
		drip(30, TAKES_NOTHING, 0);
		/* the last byte of one, and all but that of the next */
		REQUIRE(client_send(&slow[0], buf_head(&calls) + i * size - 1, size));
	}
	bench_settle(&b);
	buf_release(&calls);
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(server_adopt(b.server, pair[1], &err), -1);
	close_fd(&pair[0]);
}

/* A rest that does not come ends a connection at some time, but not the runtime's. */
Test(room, the_runtime_has_no_deadline)
{
	b.server->body_ms = 100;
	begin_slowly(&slow[0], IN_BODY);
	REQUIRE(client_send(&runtime, header, sizeof(header)));
	drip(300, IN_BODY, 0);
	CHECK_EQ(server_counts(b.server).connections, 1);
	CHECK_EQ(b.n_cancelled, 0);
}

/* The beginning of a header that comes with the end of a body does not get the body's time. */
Test(room, a_header_after_a_body_is_late)
{
	/* a frame of 1 KiB */
	static const uint8_t begun[] = { 0, 0, 4, 0, 0, 0, 0, 1, 1, 0 };
	const uint8_t rest[1024 + 3] = { 0 };
	struct error err = ERROR_INIT;
	uint64_t begin;

	b.server->header_ms = 200;
	b.server->body_ms = 200000;
	client_init(&slow[0], &b);
	REQUIRE(client_send(&slow[0], begun, sizeof(begun)));
	bench_settle(&b);
	REQUIRE(client_send(&slow[0], rest, sizeof(rest)));
	CHECK(client_reply(&slow[0], &r) && r.code != 0);
	begin = monotonic_ns();
	while (server_counts(b.server).connections == 2 &&
	       !deadline_is_over(begin + 60000000000ull))
		REQUIRE_OK(loop_run_once(b.loop, 5, &err), &err);
	CHECK_EQ(server_counts(b.server).connections, 1);
}

/* Any byte is not progress enough. */
Test(room, a_body_by_bytes_is_late)
{
	uint8_t more[SLOW_BYTES] = { 0 };
	struct error err = ERROR_INIT;
	uint64_t begin;

	b.server->body_ms = 5000;
	begin_slowly(&slow[0], IN_BODY);
	for (int i = 0; i < 3; i++) {
		begin = monotonic_ns();
		while (!deadline_is_over(begin + 2000000000))
			REQUIRE_OK(loop_run_once(b.loop, 5, &err), &err);
		REQUIRE(client_send(&slow[0], more, sizeof(more)));
	}
	CHECK_EQ(server_counts(b.server).connections, 2, "enough of it comes");
	begin = monotonic_ns();
	while (server_counts(b.server).connections == 2 &&
	       !deadline_is_over(begin + 60000000000ull)) {
		(void)client_send(&slow[0], more, 1);
		REQUIRE_OK(loop_run_once(b.loop, 5, &err), &err);
	}
	CHECK_EQ(server_counts(b.server).connections, 1);
}

/* All places are taken by peers that were answered in time and then became slow: without any
 * of them leaving, a waiting connection is admitted. */
Test(room, a_full_house_is_looked_at_again)
{
	char dir[] = "/tmp/test-server-XXXXXX", address[64];
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct error err = ERROR_INIT;
	uint64_t begin = monotonic_ns();

	REQUIRE(mkdtemp(dir));
	snprintf(address, sizeof(address), "unix://%s/sock", dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s/sock", dir);
	REQUIRE_OK(server_listen(b.server, address, &err), &err);
	b.server->slow_ms = 500;
	for (size_t i = 0; i < SLOW; i++)
		begin_slowly(&slow[i], IN_BODY);
	frame_reader_init(&fresh[0].reader);
	fresh[0].bench = &b;
	fresh[0].fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	REQUIRE_EQ(connect(fresh[0].fd, (struct sockaddr *)&a, sizeof(a)), 0);
	bench_settle(&b);
	CHECK(b.server->is_paused || monotonic_ns() - begin > 400000000);
	CHECK(works(&fresh[0]));
	CHECK(!b.server->is_paused);
	CHECK_EQ(server_counts(b.server).connections, CONNS_MAX);
	server_free(b.server);
	b.server = server_new(b.loop, &b.spec, &err);
	CHECK_EQ(rmdir(dir), 0);
}

/* The runtime's queue is the longest: one of the others goes. */
Test(room, the_fullest_but_the_runtime)
{
	size_t n = 0;

	b.read_size = 4000000;
	REQUIRE(client_call(&runtime, 7, "ReadStdout", 0));
	bench_settle(&b);
	b.read_size = 1000000;
	REQUIRE_GT(b.server->queued, 2 * b.read_size);
	while (n < SLOW && server_counts(b.server).connections == n + 1) {
		client_init(&slow[n], &b);
		REQUIRE(client_call(&slow[n++], 1, "ReadStdout", 0));
		bench_settle(&b);
	}
	CHECK_LT(n, SLOW);
	CHECK_LE(b.server->queued, QUEUED_MAX);
	CHECK_EQ(b.n_cancelled, 0);
	CHECK(client_reply(&runtime, &r) && r.stream == 7);
}

/* Half a frame of the runtime's has stood still for longest: one of the others goes. */
Test(room, the_stalest_but_the_runtime)
{
	uint8_t *frame = calloc(1, FRAME_PAYLOAD_MAX);
	const struct frame_header whole = { .length = FRAME_PAYLOAD_MAX,
					    .stream = 9,
					    .type = FRAME_REQUEST };

	REQUIRE(frame);
	frame_header_encode(&whole, frame);
	REQUIRE(client_send(&runtime, frame, FRAME_PAYLOAD_MAX - 1));
	bench_settle(&b);
	for (size_t i = 0; i < 8; i++) {
		client_init(&slow[i], &b);
		(void)client_send(&slow[i], frame, FRAME_PAYLOAD_MAX - 1);
		bench_settle(&b);
		CHECK_LE(server_counts(b.server).memory, READERS_MAX + READ_MAX);
	}
	CHECK_LT(server_counts(b.server).connections, 9);
	CHECK_EQ(b.n_cancelled, 0);
	free(frame);
}

/* The calls of others take all memory: a large request of the runtime's is refused, and its
 * connection stays. */
Test(room, the_runtime_without_memory)
{
	uint8_t *body = calloc(1, 1u << 20);
	size_t before = server_counts(b.server).memory;

	REQUIRE(body);
	REQUIRE(memory_charge(b.server, MEMORY_MAX - before));
	REQUIRE(client_send(&runtime, header, sizeof(header)));
	CHECK(client_send(&runtime, body, 1u << 20));
	CHECK(client_reply(&runtime, &r) && r.stream == 1 && r.code != 0);
	CHECK(works(&runtime));
	CHECK_EQ(b.n_cancelled, 0);
	CHECK_EQ(server_counts(b.server).memory, MEMORY_MAX);
	memory_uncharge(b.server, MEMORY_MAX - before);
	free(body);
}
