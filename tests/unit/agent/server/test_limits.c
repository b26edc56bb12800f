/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of connections, calls and memory, admission of peers, and the drain. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "agent/server/address.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/log.h"
#include "lib/ttrpc/envelope.h"
#include "tests/support/check.h"
#include "tests/unit/agent/server/bench.h"

static struct bench b;
static struct reply r;

static void
up(void)
{
	bench_init(&b);
}

static void
down(void)
{
	bench_release(&b);
}

TestSuite(limits, .init = up, .fini = down);

static bool
check_works(struct client *c)
{
	return client_call(c, 1, "Check", 0) && client_reply(c, &r) && r.code == 0;
}

Test(limits, calls_in_flight)
{
	static struct client c;
	unsigned int refused = 0;

	client_init(&c, &b);
	for (uint32_t i = 0; i < CALLS_MAX + 500; i++)
		REQUIRE(client_call(&c, 2 * i + 1, "WaitProcess", 0));
	for (uint32_t i = 0; i < 500; i++) {
		REQUIRE(client_reply(&c, &r));
		refused += r.code == ERROR_RESOURCE_EXHAUSTED;
	}
	CHECK_EQ(refused, 500);
	CHECK_EQ(server_counts(b.server).calls, CALLS_MAX);
	CHECK(check_works(&c), "health is asked for even then");
	/* The memory of a parked call. */
	CHECK_LE(server_counts(b.server).memory, CALLS_MAX * 1024);
	client_release(&c);
	bench_settle(&b);
	CHECK_EQ(b.n_cancelled, CALLS_MAX);
	CHECK_EQ(server_counts(b.server).memory, 0);
}

Test(limits, memory_of_requests)
{
	static struct client c;
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	unsigned int refused = 0, total = 40;
	struct error err = ERROR_INIT;
	struct buf out;
	size_t held;
	char *id = malloc(1u << 20);

	REQUIRE(id);
	memset(id, 'x', (1u << 20) - 1);
	id[(1u << 20) - 1] = '\0';
	wait.container_id = id;
	client_init(&c, &b);
	buf_init(&out, 2u << 20);
	for (uint32_t i = 0; i < total; i++) {
		REQUIRE_OK(envelope_append_request(&out, 2 * i + 1, "grpc.AgentService",
						   "WaitProcess", 0, &wait.base, &err),
			   &err);
		REQUIRE(client_send(&c, buf_head(&out), buf_len(&out)));
		buf_consume(&out, buf_len(&out));
	}
	bench_settle(&b);
	held = server_counts(b.server).memory;
	CHECK_LE(held, MEMORY_MAX);
	CHECK_LT(b.n_parked, 33);
	CHECK_GT(b.n_parked, 20);
	for (size_t i = b.n_parked; i < total; i++) {
		REQUIRE(client_reply(&c, &r));
		refused += r.code == ERROR_RESOURCE_EXHAUSTED;
	}
	CHECK_EQ(refused, total - b.n_parked);
	/* To the last byte: health is asked for even then. */
	REQUIRE(memory_charge(b.server, MEMORY_MAX - server_counts(b.server).memory));
	CHECK(check_works(&c));
	REQUIRE(client_call(&c, 3, "StartContainer", 0) && client_reply(&c, &r));
	CHECK_EQ(r.code, ERROR_RESOURCE_EXHAUSTED);
	memory_uncharge(b.server, server_counts(b.server).memory - held);
	client_release(&c);
	bench_settle(&b);
	CHECK_EQ(server_counts(b.server).memory, 0);
	buf_release(&out);
	free(id);
}

/* A client leaves frames incomplete forever: a connection whose frame makes no progress is
 * closed in favour of one whose frame does. */
Test(limits, half_frames)
{
	static struct client idle[12], busy;
	const struct frame_header header = { .length = FRAME_PAYLOAD_MAX,
					     .stream = 1,
					     .type = FRAME_REQUEST };
	uint8_t *frame = calloc(1, FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX);
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	struct error err = ERROR_INIT;
	struct buf out;
	char *id = malloc(3u << 20);

	REQUIRE(frame && id);
	frame_header_encode(&header, frame);
	for (size_t i = 0; i < ARRAY_LEN(idle); i++) {
		client_init(&idle[i], &b);
		(void)client_send(&idle[i], frame, FRAME_HEADER_SIZE + FRAME_PAYLOAD_MAX - 1);
		bench_settle(&b);
		CHECK_LE(server_counts(b.server).memory, READERS_MAX + READ_MAX);
	}
	client_init(&busy, &b);
	memset(id, 'x', (3u << 20) - 1);
	id[(3u << 20) - 1] = '\0';
	wait.container_id = id;
	buf_init(&out, 4u << 20);
	REQUIRE_OK(envelope_append_request(&out, 1, "grpc.AgentService", "WaitProcess", 0,
					   &wait.base, &err),
		   &err);
	CHECK(client_send(&busy, buf_head(&out), buf_len(&out)));
	bench_settle(&b);
	CHECK_EQ(b.n_parked, 1, "the large request is served");
	CHECK(check_works(&busy));
	for (size_t i = 0; i < ARRAY_LEN(idle); i++)
		client_release(&idle[i]);
	client_release(&busy);
	bench_settle(&b);
	CHECK_EQ(server_counts(b.server).memory, 0);
	CHECK_EQ(b.server->readers, 0);
	buf_release(&out);
	free(frame);
	free(id);
}

Test(limits, who_never_reads)
{
	static struct client c, other;
	uint32_t sent = 0, got = 0;
	struct buf out;

	client_init(&c, &b);
	client_init(&other, &b);
	b.read_size = 32768;
	buf_init(&out, 4096);
	/* Until the server takes no more: it has stopped reading. */
	for (;;) {
		make_call(&out, 2 * sent + 1, "ReadStdout", 0);
		if (send(c.fd, buf_head(&out), buf_len(&out), MSG_NOSIGNAL | MSG_DONTWAIT) !=
		    (ssize_t)buf_len(&out))
			break;
		buf_consume(&out, buf_len(&out));
		sent++;
		bench_settle(&b);
		REQUIRE_LE(b.server->queued, OUT_HIGH + 20u * 32768u);
		REQUIRE_LT(sent, 100000);
	}
	CHECK(check_works(&other), "others go on");
	while (got < sent && client_reply(&c, &r)) {
		REQUIRE_EQ(r.stream, 2 * got + 1);
		got++;
	}
	CHECK_EQ(got, sent, "%u of %u", got, sent);
	CHECK_EQ(b.server->queued, 0);
	client_release(&c);
	client_release(&other);
	buf_release(&out);
}

/* Together they hold more than there may be: the one that holds most goes, not the one that came
 * last. */
Test(limits, the_fullest_goes)
{
	static struct client greedy, modest[20];
	size_t n = 0, all;

	b.read_size = 4000000;
	client_init(&greedy, &b);
	REQUIRE(client_call(&greedy, 1, "ReadStdout", 0));
	bench_settle(&b);
	REQUIRE_GT(b.server->queued, 3000000);
	b.read_size = 3500000;
	all = server_counts(b.server).connections;
	while (n < ARRAY_LEN(modest) && server_counts(b.server).connections == all + n) {
		REQUIRE_LE(b.server->queued, QUEUED_MAX);
		client_init(&modest[n], &b);
		REQUIRE(client_call(&modest[n++], 1, "ReadStdout", 0));
		bench_settle(&b);
	}
	REQUIRE_LT(n, ARRAY_LEN(modest));
	CHECK_LE(b.server->queued, QUEUED_MAX);
	for (size_t i = 0; i < n; i++) {
		CHECK(client_reply(&modest[i], &r), "%zu of %zu", i, n);
		CHECK_GE(r.payload, b.read_size);
	}
	CHECK(!client_reply(&greedy, &r));
	CHECK(greedy.is_closed);
	CHECK_EQ(b.server->queued, 0);
	client_release(&greedy);
	for (size_t i = 0; i < n; i++)
		client_release(&modest[i]);
}

Test(limits, connections_and_eviction)
{
	static struct client clients[CONNS_MAX + 3];
	struct error err = ERROR_INIT;
	int pair[2];

	for (int i = 0; i < CONNS_MAX; i++)
		client_init(&clients[i], &b);
	REQUIRE(check_works(&clients[0]));
	/* The oldest that was never used goes. */
	client_init(&clients[CONNS_MAX], &b);
	CHECK(check_works(&clients[CONNS_MAX]));
	CHECK_EQ(server_counts(b.server).evicted, 1);
	CHECK(!check_works(&clients[1]));
	CHECK(check_works(&clients[0]), "one that was used stays");
	for (int i = 2; i < CONNS_MAX; i++)
		CHECK(check_works(&clients[i]));
	/* All in use: no room, and no connection is closed. */
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(server_adopt(b.server, pair[1], &err), -1);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	close_fd(&pair[0]);
	CHECK_EQ(server_counts(b.server).connections, CONNS_MAX);
	CHECK_EQ(server_counts(b.server).evicted, 1);
	for (int i = 0; i <= CONNS_MAX; i++)
		client_release(&clients[i]);
}

static bool
count_line(const char *line, size_t len, void *data)
{
	(void)line;
	(void)len;
	++*(unsigned int *)data;
	return true;
}

Test(limits, lines_about_failed_calls)
{
	static struct client c;
	unsigned int lines = 0;
	uint64_t begin = monotonic_ns(), seconds;

	log_set_level(LOG_LEVEL_INFO);
	log_set_sink(count_line, &lines);
	client_init(&c, &b);
	for (uint32_t i = 0; i < 2000; i++) {
		REQUIRE(client_call(&c, 2 * i + 1, "RemoveContainer", 0));
		REQUIRE(client_reply(&c, &r));
	}
	seconds = (monotonic_ns() - begin) / 1000000000u + 1;
	CHECK_GE(lines, FAILURES_LOGGED);
	CHECK_LE(lines, (FAILURES_LOGGED + 1) * seconds + 1);
	client_release(&c);
}

/* ---- listeners ---- */

static int
dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	REQUIRE_GE(fd, 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	close(fd);
	return -1;
}

Test(limits, a_full_house_opens_again)
{
	static struct client clients[CONNS_MAX];
	char dir[] = "/tmp/test-server-XXXXXX", address[64];
	struct error err = ERROR_INIT;
	int waiting;

	REQUIRE(mkdtemp(dir));
	snprintf(address, sizeof(address), "unix://%s/sock", dir);
	REQUIRE_OK(server_listen(b.server, address, &err), &err);
	for (int i = 0; i < CONNS_MAX; i++) {
		client_init(&clients[i], &b);
		REQUIRE(check_works(&clients[i]));
	}
	waiting = dial(address + strlen("unix://"));
	REQUIRE_GE(waiting, 0);
	bench_settle(&b);
	CHECK(b.server->is_paused, "the listener does not spin");
	client_release(&clients[9]);
	bench_settle(&b);
	CHECK(!b.server->is_paused);
	CHECK_EQ(server_counts(b.server).connections, CONNS_MAX);
	close(waiting);
	for (int i = 0; i < CONNS_MAX; i++)
		client_release(&clients[i]);
	bench_settle(&b);
	/* An old socket of the same name is replaced; anything else is not. */
	server_free(b.server);
	b.server = server_new(b.loop, &b.spec, &err);
	REQUIRE_EQ(access(address + strlen("unix://"), F_OK), -1);
	REQUIRE_EQ(rmdir(dir), 0);
}

Test(limits, the_server_may_go_in_the_middle_of_a_pause)
{
	static struct client clients[CONNS_MAX];
	char dir[] = "/tmp/test-server-XXXXXX", address[64];
	struct error err = ERROR_INIT;
	int waiting;

	REQUIRE(mkdtemp(dir));
	snprintf(address, sizeof(address), "unix://%s/sock", dir);
	REQUIRE_OK(server_listen(b.server, address, &err), &err);
	for (int i = 0; i < CONNS_MAX; i++) {
		client_init(&clients[i], &b);
		REQUIRE(check_works(&clients[i]));
	}
	waiting = dial(address + strlen("unix://"));
	REQUIRE_GE(waiting, 0);
	bench_settle(&b);
	REQUIRE(b.server->is_paused);
	/* its connections go with it, each of which would end the pause */
	server_free(b.server);
	b.server = server_new(b.loop, &b.spec, &err);
	close(waiting);
	for (int i = 0; i < CONNS_MAX; i++)
		client_release(&clients[i]);
	REQUIRE_EQ(rmdir(dir), 0);
}

Test(limits, no_fds_left)
{
	char dir[] = "/tmp/test-server-XXXXXX", address[64];
	struct error err = ERROR_INIT;
	struct rlimit limit, few;
	int fds[3], top;

	REQUIRE(mkdtemp(dir));
	snprintf(address, sizeof(address), "unix://%s/sock", dir);
	REQUIRE_OK(server_listen(b.server, address, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = dial(address + strlen("unix://"));
	top = dup(0);
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = (struct rlimit){ (rlim_t)top, limit.rlim_max };
	close(top);
	for (int i = 3; i < top; i++) {
		/* every number below the limit is taken */
		if (dup(0) < 0)
			break;
	}
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (dup(0) >= 0)
		continue;
	bench_settle(&b);
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	/* Each was taken off the queue and closed: readable, at its end. */
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		char byte;

		CHECK_EQ(recv(fds[i], &byte, 1, MSG_DONTWAIT), 0, "connection %zu", i);
	}
	CHECK_GE(b.server->spare_fd, 0);
	server_free(b.server);
	b.server = server_new(b.loop, &b.spec, &err);
	REQUIRE_EQ(rmdir(dir), 0);
}

Test(limits, addresses)
{
	static const struct {
		const char *address;
		/* 0: refused */
		int family;
	} rows[] = {
		{ "", 0 },
		{ "vsock", 0 },
		{ "vsock://", 0 },
		{ "vsock://1024", 0 },
		{ "vsock://-2:1024", 0 },
		{ "vsock://-1:", 0 },
		{ "vsock://-1:x", 0 },
		{ "vsock://-1:99999999999", 0 },
		{ "unix://", 0 },
		{ "tcp://", 0 },
		{ "tcp://example.org:1", 0 },
		{ "tcp://127.0.0.1", 0 },
		{ "tcp://127.0.0.1:65536", 0 },
		{ "tcp://[::1:0", 0 },
		{ "http://127.0.0.1:0", 0 },
		{ "unix:///nonexistent/dir/x", 0 },
		{ "hvsock:///run/vm.sock:1024", 0 },
		{ "tcp://127.0.0.1:0", AF_INET },
		{ "tcp://localhost:0", AF_INET },
		{ "unix://@tatami-test-address", AF_UNIX },
	};
	char long_path[200] = "unix://";

	memset(long_path + strlen(long_path), 'x', sizeof(long_path) - strlen(long_path) - 1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;
		char *path = NULL;
		int family = 0, fd = address_listen(rows[i].address, &family, &path, &err);

		CHECK_EQ(fd >= 0, rows[i].family != 0, "%s: %s", rows[i].address, err.msg);
		if (fd >= 0)
			CHECK_EQ(family, rows[i].family);
		else
			CHECK_HAS(err.msg, rows[i].address);
		close_fd(&fd);
		free(path);
	}
	struct error err = ERROR_INIT;
	char *path = NULL;
	int family;
	CHECK_EQ(address_listen(long_path, &family, &path, &err), -1);
}

/* ---- the end ---- */

static void
drained(void *data)
{
	++*(int *)data;
}

Test(limits, drain)
{
	static struct client c;
	int n = 0;

	client_init(&c, &b);
	REQUIRE(client_call(&c, 1, "WaitProcess", 0));
	bench_settle(&b);
	/* As DestroySandbox does: asks for the end, then replies. */
	server_drain(b.server, drained, &n);
	server_drain(b.server, drained, &n);
	CHECK_EQ(n, 0, "never from inside");
	call_reply(b.parked[0]);
	REQUIRE(client_reply(&c, &r));
	CHECK_EQ(r.stream, 1);
	CHECK_EQ(r.code, ERROR_OK);
	bench_settle(&b);
	CHECK_EQ(n, 0, "the reply may still be on its way to the client");
	CHECK(!client_reply(&c, &r), "the end of replies");
	CHECK(c.is_closed);
	client_release(&c);
	bench_settle(&b);
	CHECK_EQ(n, 1);
}

Test(limits, drain_takes_no_new_connections)
{
	static struct client c;
	char dir[] = "/tmp/test-server-XXXXXX", address[64];
	struct error err = ERROR_INIT;
	int pair[2], n = 0;

	REQUIRE(mkdtemp(dir));
	snprintf(address, sizeof(address), "unix://%s/sock", dir);
	REQUIRE_OK(server_listen(b.server, address, &err), &err);
	client_init(&c, &b);
	server_drain(b.server, drained, &n);
	CHECK_EQ(dial(address + strlen("unix://")), -1);
	CHECK_EQ(access(address + strlen("unix://"), F_OK), -1);
	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_EQ(server_adopt(b.server, pair[1], &err), -1);
	close_fd(&pair[0]);
	client_release(&c);
	REQUIRE_EQ(rmdir(dir), 0);
}

/* A client that does not close its connection delays the end for a fifth of a second. */
Test(limits, drain_with_a_silent_connection)
{
	static struct client c;
	struct error err = ERROR_INIT;
	uint64_t begin = monotonic_ns();
	int n = 0;

	client_init(&c, &b);
	bench_settle(&b);
	server_drain(b.server, drained, &n);
	while (n == 0 && monotonic_ns() - begin < 60000000000)
		REQUIRE_OK(loop_run_once(b.loop, 100, &err), &err);
	CHECK_EQ(n, 1);
	CHECK_GE(monotonic_ns() - begin, 190000000);
	client_release(&c);
}

Test(limits, drain_waits_a_second_for_who_does_not_read)
{
	static struct client c, other;
	struct error err = ERROR_INIT;
	uint64_t begin;
	int n = 0;

	client_init(&c, &b);
	client_init(&other, &b);
	b.read_size = 4000000;
	REQUIRE(client_call(&c, 1, "ReadStdout", 0));
	bench_settle(&b);
	REQUIRE_GT(b.server->queued, 0);
	begin = monotonic_ns();
	server_drain(b.server, drained, &n);
	REQUIRE(client_call(&other, 1, "Check", 0));
	REQUIRE(client_reply(&other, &r));
	CHECK_EQ(r.code, ERROR_UNAVAILABLE);
	while (n == 0 && monotonic_ns() - begin < 60000000000)
		REQUIRE_OK(loop_run_once(b.loop, 100, &err), &err);
	CHECK_EQ(n, 1);
	CHECK_GE(monotonic_ns() - begin, 900000000);
	client_release(&other);
	client_release(&c);
}
