/* SPDX-License-Identifier: Apache-2.0 */
/* Peers and containers that exhaust resources: others are still served, and nothing is left. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/ttrpc/address.h"
#include "tests/rpc/harness.h"
#include "tests/rpc/probe.h"
#include "tests/rpc/raw.h"

/* connections that the agent accepts */
#define CONNS_MAX 64
/* calls in progress that the agent accepts on a connection */
#define CALLS_MAX 4096
/* time that the agent allows for a header */
#define HEADER_MS 10000
#define REPLY_MS  10000

static int
dial(struct harness *h)
{
	struct error err = ERROR_INIT;
	struct address address;

	if (address_parse(h->address, &address, &err) < 0)
		return -1;
	return address_dial(&address, 5000, &err);
}

/* Checks that calls succeeded; tests/bench/run measures their times, which are not judged here. */
static void
check_short(struct probe *p, const char *what)
{
	probe_stop(p, what);
	CHECK_NE(p->p99_us, UINT32_MAX, "a call failed");
}

static unsigned int
fds_of_agent(const struct harness *h)
{
	struct counts now;

	harness_count(h, &now);
	return now.fds;
}

/* ---- connections ---- */

static void
connections_that_say_nothing(struct harness *h)
{
	enum { OPEN = 200 };
	unsigned int n = h->soak ? 10000 : 2000, most = 0, before = fds_of_agent(h);
	int fds[OPEN];
	struct probe probe;

	memset(fds, -1, sizeof(fds));
	probe_start(&probe, h);
	for (unsigned int i = 0; i < n; i++) {
		int *fd = &fds[i % OPEN];
		unsigned int now;

		close_fd(fd);
		*fd = dial(h);
		CHECK_GE(*fd, 0, "connection %u", i);
		if (*fd < 0)
			break;
		now = i % 50 ? 0 : fds_of_agent(h);
		most = now > most ? now : most;
	}
	check_short(&probe, "Check during a flood of connections");
	CHECK_LE(most, before + CONNS_MAX, "%u fds, %u before", most, before);
	for (size_t i = 0; i < OPEN; i++)
		close_fd(&fds[i]);
}

/* 60 connections that send a header byte by byte: each has 10 s in total, in which it sends four
 * bytes. */
static void
slow_headers(struct harness *h)
{
	enum { N = 60 };
	uint64_t start_ns = monotonic_ns();
	struct raw *raws = calloc(N, sizeof(*raws));
	struct error err = ERROR_INIT;
	unsigned int closed = 0, bytes = 0;
	struct probe probe;

	for (size_t i = 0; i < N; i++)
		CHECK_OK(raw_open(&raws[i], h->address, &err), &err);
	probe_start(&probe, h);
	while (h->soak && closed < N && bytes < 8) {
		bool due = monotonic_ns() - start_ns > bytes * 3000000000ull;

		for (size_t i = 0; i < N; i++) {
			if (raws[i].fd >= 0 && raw_is_closed(&raws[i], 1)) {
				raw_close(&raws[i]);
				closed++;
			} else if (raws[i].fd >= 0 && due) {
				(void)raw_send(&raws[i], "", 1);
			}
		}
		bytes += due;
	}
	for (size_t i = 0; !h->soak && i < N; i++)
		CHECK(raw_send(&raws[i], "", 1), "send");
	check_short(&probe, "Check during slow headers");
	CHECK(!h->soak || closed == N, "%u of %d were closed when each had sent %u bytes", closed,
	      N, bytes);
	for (size_t i = 0; i < N; i++)
		raw_close(&raws[i]);
	free(raws);
}

/* A client that never reads its replies: the agent stops reading its requests. */
static void
a_client_that_never_reads(struct harness *h)
{
	enum { TRIES = 2000 };
	Grpc__GuestDetailsRequest q = GRPC__GUEST_DETAILS_REQUEST__INIT;
	struct counts before, after;
	struct error err = ERROR_INIT;
	struct buf frames;
	struct raw *r = malloc(sizeof(*r));
	struct probe probe;
	size_t sent = 0;
	int stuck = 0;

	harness_count(h, &before);
	CHECK_OK(raw_open(r, h->address, &err), &err);
	probe_start(&probe, h);
	buf_init(&frames, 1 << 20);
	for (uint32_t i = 0; i < 1000; i++)
		raw_request(&frames, 2 * i + 1, "GetGuestDetails", 0, &q);
	for (int i = 0; i < TRIES && stuck < 100; i++) {
		struct buf copy;
		size_t left;

		buf_init(&copy, 1 << 20);
		(void)buf_append(&copy, buf_head(&frames), buf_len(&frames));
		(void)raw_flush(r, &copy);
		left = buf_len(&copy);
		sent += buf_len(&frames) - left;
		stuck = left == buf_len(&frames) ? stuck + 1 : 0;
		buf_release(&copy);
		if (stuck)
			(void)check_health(h->client, &err);
	}
	harness_count(h, &after);
	probe_stop(&probe, "Check next to a client that never reads");
	CHECK_NE(probe.p99_us, UINT32_MAX, "a call failed");
	printf("# it took %zu KiB of requests; RSS %llu -> %llu KiB\n", sent >> 10,
	       (unsigned long long)before.rss_kib, (unsigned long long)after.rss_kib);
	CHECK_GE(stuck, 100, "the agent still takes requests");
	CHECK(!h->is_product || after.rss_kib < before.rss_kib + 2048, "RSS grew");
	buf_release(&frames);
	raw_close(r);
	free(r);
}

/* ---- calls ---- */

static void
more_calls_than_may_wait(struct harness *h)
{
	enum { N = 10000 };
	Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;
	struct error err = ERROR_INIT;
	struct raw *r = malloc(sizeof(*r));
	struct raw_reply reply = { 0 };
	unsigned int refused = 0;
	struct buf frames;

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	CHECK_OK(raw_open(r, h->address, &err), &err);
	q.container_id = (char *)"c1";
	q.exec_id = (char *)"c1";
	buf_init(&frames, 4 << 20);
	for (uint32_t i = 0; i < N; i++)
		raw_request(&frames, 2 * i + 1, "WaitProcess", 0, &q);
	CHECK(raw_send(r, buf_head(&frames), buf_len(&frames)), "send");
	while (refused < N - CALLS_MAX && raw_next(r, REPLY_MS, &reply) > 0) {
		CHECK(reply.status.code == ERROR_RESOURCE_EXHAUSTED && reply.stream > 2 * CALLS_MAX,
		      "stream %u: %d %s", reply.stream, reply.status.code, reply.status.msg);
		refused++;
	}
	CHECK_EQ(refused, N - CALLS_MAX, "%u were refused", refused);
	CHECK(raw_check(r, 2 * N + 1) && raw_wait(r, 2 * N + 1, REPLY_MS, &reply) &&
		      !reply.status.code,
	      "Check on that connection: %s", reply.status.msg);
	raw_close(r);
	CHECK_OK(remove_container(h, "c1", &err), &err);
	buf_release(&frames);
	free(r);
}

static void
wait_races(struct harness *h)
{
	struct error err = ERROR_INIT;

	CHECK_OK(create_start(h, "c1", SH("exit 6"), &err), &err);
	CHECK_EQ(wait_process(h, "c1", "c1", &err), 6, "%s", err.msg);
	CHECK_FAILS(wait_process(h, "c1", "", &err), &err, ERROR_NOT_FOUND, "",
		    "second wait: %d "
		    "%s",
		    err.code, err.msg);
	CHECK_OK(remove_container(h, "c1", &err), &err);
	CHECK_FAILS(wait_process(h, "c1", "c1", &err), &err, ERROR_INVALID_ARGUMENT, "",
		    "after the remove: %d %s", err.code, err.msg);
	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	CHECK_OK(exec(h, "c1", "e1", SH("exit 2"), false, &err), &err);
	CHECK_EQ(wait_process(h, "c1", "e1", &err), 2, "%s", err.msg);
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

/* ---- file descriptors of the agent ---- */

/* Limits the agent's fds to n. */
static void
limit_fds(struct harness *h, rlim_t n)
{
	struct rlimit limit;

	CHECK_EQ(prlimit(h->agent, RLIMIT_NOFILE, NULL, &limit), 0, "prlimit");
	limit.rlim_cur = n < limit.rlim_max ? n : limit.rlim_max;
	CHECK_EQ(prlimit(h->agent, RLIMIT_NOFILE, &limit, NULL), 0, "prlimit");
}

static void
no_file_descriptors_left(struct harness *h)
{
	enum { N = 30 };
	struct rlimit old = { 0 };
	struct error err = ERROR_INIT;
	int fds[N];
	char out[64];

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	CHECK_EQ(prlimit(h->agent, RLIMIT_NOFILE, NULL, &old), 0, "prlimit");
	for (unsigned int spare = 0; spare < 24; spare += h->soak ? 1 : 5) {
		/* The limit applies to fd numbers, which equal the number of open fds if there are
		 * no gaps. */
		limit_fds(h, fds_of_agent(h) + spare);
		for (size_t i = 0; i < N; i++)
			fds[i] = dial(h);
		CHECK_EQ(check_health(h->client, &err), 0, "%u spare: %s", spare, err.msg);
		if (create(h, "c2", SH("true"), &err) == 0)
			CHECK_GT(spare, 4, "created with %u fds left", spare);
		if (exec(h, "c1", "e1", SH("true"), false, &err) == 0)
			(void)wait_process(h, "c1", "e1", &err);
		for (size_t i = 0; i < N; i++)
			close_fd(&fds[i]);
		limit_fds(h, old.rlim_cur);
		(void)remove_container(h, "c2", &err);
		CHECK_OK(run_container(h, "c2", SH("true"), out, sizeof(out), &err), &err,
			 "with fds again");
	}
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

/* ---- streams ---- */

/* Containers that write endlessly without a reader. */
static void
floods_that_nobody_reads(struct harness *h)
{
	enum { N = 10 };
	struct timespec while_it_flows = { .tv_sec = h->soak ? 10 : 1 };
	struct counts before, after;
	struct error err = ERROR_INIT;
	struct probe probe;
	char id[8];

	harness_count(h, &before);
	for (int i = 0; i < N; i++) {
		(void)snprintf(id, sizeof(id), "f%d", i);
		CHECK_EQ(create_start(h, id, ARGS("/bin/yes"), &err), 0, "%s: %s", id, err.msg);
	}
	probe_start(&probe, h);
	(void)nanosleep(&while_it_flows, NULL);
	check_short(&probe, "Check during ten floods");
	harness_count(h, &after);
	printf("# RSS %llu -> %llu KiB\n", (unsigned long long)before.rss_kib,
	       (unsigned long long)after.rss_kib);
	CHECK(!h->is_product || after.rss_kib < before.rss_kib + 2048, "RSS grew");
	for (int i = 0; i < N; i++) {
		(void)snprintf(id, sizeof(id), "f%d", i);
		CHECK_EQ(remove_container(h, id, &err), 0, "%s: %s", id, err.msg);
	}
}

/* Each exec leaves a background process that holds its stdout. */
static void
background_children(struct harness *h)
{
	int n = h->soak ? 200 : 20;
	struct error err = ERROR_INIT;

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	for (int i = 0; i < n && !h->failures; i++) {
		char exec_id[16];

		(void)snprintf(exec_id, sizeof(exec_id), "e%d", i);
		CHECK_EQ(exec(h, "c1", exec_id, SH("sleep 86400 &"), false, &err), 0, "%s: %s",
			 exec_id, err.msg);
		CHECK_EQ(wait_process(h, "c1", exec_id, &err), 0, "%s: %s", exec_id, err.msg);
	}
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

static void
small_outputs_while_one_is_stuck(struct harness *h)
{
	int n = h->soak ? 500 : 50;
	struct error err = ERROR_INIT;
	Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;
	uint32_t stuck;
	uint8_t *big = calloc(1, 1 << 20);

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	q.container_id = (char *)"c1";
	q.exec_id = (char *)"c1";
	q.data.data = big;
	q.data.len = 1 << 20;
	stuck = ttrpc_client_start(h->client, &grpc__agent_service__descriptor, "WriteStdin",
				   &q.base, 0, NULL, NULL, &err);
	for (int i = 0; i < n && !h->failures; i++) {
		char exec_id[16], out[32], want[32];

		(void)snprintf(exec_id, sizeof(exec_id), "e%d", i);
		(void)snprintf(want, sizeof(want), "%d\n", i);
		want[strlen(want) - 1] = '\0';
		CHECK_EQ(exec(h, "c1", exec_id, ARGS("/bin/echo", "-n", want), false, &err), 0,
			 "%s: %s", exec_id, err.msg);
		CHECK(read_all(h, false, "c1", exec_id, out, sizeof(out), &err) >= 0 &&
			      strcmp(out, want) == 0,
		      "%s: \"%s\" %s", exec_id, out, err.msg);
		CHECK_EQ(wait_process(h, "c1", exec_id, &err), 0, "%s: %s", exec_id, err.msg);
	}
	CHECK_OK(close_stdin(h, "c1", "c1", &err), &err);
	CHECK_OK(remove_container(h, "c1", &err), &err);
	CHECK_LT(ttrpc_client_wait(h->client, stuck, REPLY_MS, NULL, &err), 0, "it was written");
	free(big);
}

static void
resized_again_and_again(struct harness *h)
{
	enum { N = 1000 };
	int rounds = h->soak ? 100 : 5;
	Grpc__TtyWinResizeRequest q = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;
	struct error err = ERROR_INIT;
	uint32_t ids[N];

	CHECK_OK(create_start_tty(h, "c1", SH("sleep 3600"), &err), &err);
	q.container_id = (char *)"c1";
	q.exec_id = (char *)"c1";
	for (int round = 0; round < rounds; round++) {
		for (uint32_t i = 0; i < N; i++) {
			q.row = i;
			q.column = UINT32_MAX - i;
			ids[i] = ttrpc_client_start(h->client, &grpc__agent_service__descriptor,
						    "TtyWinResize", &q.base, 0, NULL, NULL, &err);
		}
		for (uint32_t i = 0; i < N; i++)
			(void)ttrpc_client_wait(h->client, ids[i], REPLY_MS, NULL, &err);
	}
	q.column = 80;
	CHECK_OK(call(h, "TtyWinResize", &q, NULL, &err), &err);
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

const struct test tests_attack[] = {
	{ "silent connections", connections_that_say_nothing },
	{ "slow headers", slow_headers },
	{ "a client that never reads", a_client_that_never_reads },
	{ "the limit of waiting calls", more_calls_than_may_wait },
	{ "WaitProcess before, after and without a process", wait_races },
	{ "no file descriptors left", no_file_descriptors_left },
	{ "unread floods of output", floods_that_nobody_reads },
	{ "background children delay nothing", background_children },
	{ "small outputs while one stream is stuck", small_outputs_while_one_is_stuck },
	{ "repeated resizes of a terminal", resized_again_and_again },
};
const size_t n_tests_attack = ARRAY_LEN(tests_attack);
