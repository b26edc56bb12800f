/* SPDX-License-Identifier: Apache-2.0 */
/* A storm: frames mutated by grammar from valid ones (tests/fuzz/mutate.h), over several
 * connections, while containers are created and removed and another process calls Check. Every
 * request on a connection that stays open must be answered exactly once. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/deadline.h"
#include "tests/fuzz/mutate.h"
#include "tests/rpc/harness.h"
#include "tests/rpc/mnl.h"
#include "tests/rpc/net.h"
#include "tests/rpc/probe.h"
#include "tests/rpc/raw.h"
#include "tests/support/elapsed.h"
#include "tests/support/soak.h"

#define CONNS 4
/* gusts of a long storm; after each, all calls are answered and all containers removed: 3 s */
#define GUSTS        10
#define GUSTS_OF(h)  ((h)->soak ? GUSTS : GUSTS / 2)
#define BATCH_FRAMES 100
/* unanswered batches on one connection */
#define BATCHES_OUT 2
#define OUT_MAX     (64u << 20)
/* share of frames that call a method with a handler */
#define SERVED_PERCENT 85
#define SKIP_MAX       64
/* number of frames after which one container is replaced */
#define ROUND_FRAMES 2000
#define END_MS       60000
/* On a busy machine the heap varies by 140 KiB. Over a million frames a loss of 12 bytes in one
 * frame of 40 still shows. */
#define RSS_GROWTH_KIB 192
/* The worst frame may come late: a loss of 12 bytes per frame still shows. */
#define RSS_GROWTH_SHORT 256

static const char *const ids[] = { "s0", "s1", "s2", "nobody", NULL };
static const char *const scripts[] = { "cat", "yes", "sleep 3600" };

/* Fate of a frame as far as its reply shows. */
enum fate {
	/* a handler ran: success, or an error of its own */
	FATE_HANDLER,
	/* a method without a handler: UNIMPLEMENTED */
	FATE_OPEN,
	/* refused before any handler */
	FATE_REFUSED,
	FATE_KINDS,
};

struct storm_conn {
	struct raw raw;
	struct buf out;
	/* STREAM_* by stream id */
	uint8_t *streams;
	uint32_t n_streams, next_stream;
	uint32_t unanswered, batches;
};

enum {
	STREAM_UNUSED,
	STREAM_ASKED,
	/* the Check at the end of a batch */
	STREAM_FENCE,
	/* An OOM event never comes, so the call waits forever unless it is refused. */
	STREAM_WAITS,
	STREAM_ANSWERED,
};

struct storm {
	struct harness *h;
	struct storm_conn conns[CONNS];
	struct mutator any, served;
	const char *skip[SKIP_MAX];
	uint8_t *frame;
	uint64_t sent, target, silent, lost, fates[FATE_KINDS];
	uint64_t next_round;
	unsigned int closed, rounds, wrong;
};

/* Fills the skip list of `served`: methods that change the machine, and those without a handler. */
static void
find_handlers(struct storm *s)
{
	const ProtobufCMethodDescriptor *method;
	const char *service;
	size_t n = 0;

	while (mutate_skip_machine[n]) {
		s->skip[n] = mutate_skip_machine[n];
		n++;
	}
	for (unsigned int i = 0; (method = mutate_method(i, &service)); i++)
		if (!raw_has_handler(&s->conns[0].raw, 2 * i + 1, service, method->name) &&
		    n < SKIP_MAX - 1)
			s->skip[n++] = method->name;
}

/* ---- replies ---- */

static enum fate
fate_of(const struct error *status)
{
	static const char *const refusals[] = {
		"stream id must be odd",
		"Stream is no longer active",
		(" " TEXT_NO_SERVICE),
		"calls in flight on",
		"take too much memory",
		"timeout",
		"ttrpc.",
		": grpc.",
		": types.",
	};

	if (status->code == ERROR_OK)
		return FATE_HANDLER;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (strstr(status->msg, refusals[i]))
			return FATE_REFUSED;
	return status->code == ERROR_UNIMPLEMENTED && strstr(status->msg, " method") ? FATE_OPEN
										     : FATE_HANDLER;
}

static void
wrong(struct storm *s, const char *what, const struct raw_reply *reply)
{
	if (s->wrong++ < 10)
		printf("# %s: stream %u, type %d, code %d: %s\n", what, reply->stream, reply->type,
		       reply->status.code, reply->status.msg);
}

static void
take_reply(struct storm *s, struct storm_conn *c, const struct raw_reply *reply)
{
	uint8_t *state = reply->stream < c->n_streams ? &c->streams[reply->stream] : NULL;

	if (reply->type != FRAME_RESPONSE || reply->status.code == ERROR_DATA_LOSS)
		wrong(s, "not a response", reply);
	if (!state || *state == STREAM_UNUSED || *state == STREAM_ANSWERED) {
		wrong(s, "a reply without a pending call", reply);
		return;
	}
	if (*state == STREAM_FENCE) {
		c->batches--;
		if (reply->status.code)
			wrong(s, "Check failed", reply);
	} else {
		s->fates[fate_of(&reply->status)]++;
		c->unanswered -= *state == STREAM_ASKED;
	}
	*state = STREAM_ANSWERED;
}

/* ---- connections ---- */

static void
conn_open(struct storm *s, struct storm_conn *c)
{
	struct error err = ERROR_INIT;

	if (raw_open(&c->raw, s->h->address, &err) < 0) {
		printf("Bail out! storm: %s\n", err.msg);
		exit(1);
	}
	memset(c->streams, STREAM_UNUSED, c->n_streams);
	c->next_stream = 1;
	c->unanswered = c->batches = 0;
}

/* The agent may close a connection; its pending calls are lost. */
static void
conn_closed(struct storm *s, struct storm_conn *c)
{
	s->closed++;
	s->lost += c->unanswered;
	raw_close(&c->raw);
	buf_release(&c->out);
	conn_open(s, c);
}

static void
append_frame(struct storm *s, struct storm_conn *c)
{
	bool served = (unsigned int)(rand() % 100) < SERVED_PERCENT;
	struct mutator *m = served ? &s->served : &s->any;
	struct frame_header header;
	size_t n;

	m->next_stream = c->next_stream;
	n = mutate_next(m, s->frame, MUTATE_FRAME_MAX);
	c->next_stream = m->next_stream;
	frame_header_decode(&header, s->frame);
	if (buf_append(&c->out, s->frame, n) < 0)
		return;
	s->sent++;
	if (header.type != FRAME_REQUEST && header.type != FRAME_DATA) {
		/* ignored, without a reply */
		s->silent++;
		return;
	}
	if (strcmp(m->method, "GetOOMEvent") == 0) {
		c->streams[header.stream] = STREAM_WAITS;
		return;
	}
	c->streams[header.stream] = STREAM_ASKED;
	c->unanswered++;
}

static void
append_batch(struct storm *s, struct storm_conn *c)
{
	Grpc__CheckRequest check = GRPC__CHECK_REQUEST__INIT;

	for (int i = 0; i < BATCH_FRAMES && s->sent < s->target; i++)
		append_frame(s, c);
	c->streams[c->next_stream] = STREAM_FENCE;
	raw_request(&c->out, c->next_stream, "Check", 0, &check);
	c->next_stream += 2;
	c->batches++;
}

/* Sends and receives on the connection without waiting. */
static void
conn_turn(struct storm *s, struct storm_conn *c)
{
	struct raw_reply reply;
	int n;

	while (c->batches < BATCHES_OUT && s->sent < s->target &&
	       c->next_stream + 2 * BATCH_FRAMES + 2 < c->n_streams)
		append_batch(s, c);
	if (!raw_flush(&c->raw, &c->out)) {
		conn_closed(s, c);
		return;
	}
	while ((n = raw_next(&c->raw, 0, &reply)) > 0)
		take_reply(s, c, &reply);
	if (n < 0)
		conn_closed(s, c);
}

/* ---- containers created and removed meanwhile ---- */

static void
ignore(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	(void)data;
	(void)failure;
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

static void
start_created(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	Grpc__StartContainerRequest q = GRPC__START_CONTAINER_REQUEST__INIT;
	struct storm *s = data;
	struct error err = ERROR_INIT;

	(void)failure;
	if (!reply)
		return;
	protobuf_c_message_free_unpacked(reply, NULL);
	/* Starts all of them: the call fails for containers that run already. */
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		q.container_id = (char *)(uintptr_t)ids[i];
		(void)ttrpc_client_start(s->h->client, &grpc__agent_service__descriptor,
					 "StartContainer", &q.base, 0, ignore, NULL, &err);
	}
}

/* Removes one container, whatever its state, and creates it again; its parked calls end. */
static void
renew(struct storm *s)
{
	Grpc__RemoveContainerRequest gone = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
	size_t i = s->rounds++ % ARRAY_LEN(scripts);
	const ProtobufCServiceDescriptor *service = &grpc__agent_service__descriptor;
	struct error err = ERROR_INIT;
	struct arena a;

	arena_init(&a, 1 << 20);
	gone.container_id = (char *)(uintptr_t)ids[i];
	(void)ttrpc_client_start(s->h->client, service, "RemoveContainer", &gone.base, 0, ignore,
				 NULL, &err);
	(void)ttrpc_client_start(s->h->client, service, "CreateContainer",
				 &make_create(s->h, &a, ids[i], SH(scripts[i]), false)->base, 0,
				 start_created, s, &err);
	arena_release(&a);
	s->next_round += ROUND_FRAMES;
}

static void
wait_for_something(struct storm *s)
{
	struct pollfd p[CONNS + 1];
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < CONNS; i++)
		p[i] = (struct pollfd){
			.fd = s->conns[i].raw.fd,
			.events = (short)(POLLIN | (buf_len(&s->conns[i].out) ? POLLOUT : 0)),
		};
	p[CONNS] = (struct pollfd){ .fd = ttrpc_client_fd(s->h->client),
				    .events = ttrpc_client_events(s->h->client) };
	(void)poll(p, ARRAY_LEN(p), 100);
	if (p[CONNS].revents)
		(void)ttrpc_client_handle(s->h->client, &err);
}

static uint64_t
unanswered(const struct storm *s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < CONNS; i++)
		n += s->conns[i].unanswered + s->conns[i].batches;
	return n;
}

static void
remove_all(struct storm *s)
{
	struct error err = ERROR_INIT;

	while (ttrpc_client_n_pending(s->h->client) &&
	       ttrpc_client_poll(s->h->client, END_MS, &err) > 0)
		;
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++)
		(void)remove_container(s->h, ids[i], &err);
}

/* Sends n frames and waits until all requests are answered. */
static void
blow(struct storm *s, uint64_t n)
{
	uint64_t end = 0;
	bool is_removed = false;

	s->target = s->sent + n;
	s->next_round = s->sent;
	while (end == 0 || (unanswered(s) && !deadline_is_over(end))) {
		if (s->sent >= s->next_round && s->sent < s->target)
			renew(s);
		for (size_t i = 0; i < CONNS; i++)
			conn_turn(s, &s->conns[i]);
		if (s->sent < s->target) {
			wait_for_something(s);
			continue;
		}
		if (!is_removed)
			remove_all(s);
		is_removed = true;
		if (end == 0)
			end = deadline_in(END_MS);
		wait_for_something(s);
	}
}

/* ---- the test ---- */

static void
storm_init(struct storm *s, struct harness *h, uint64_t frames)
{
	memset(s, 0, sizeof(*s));
	s->h = h;
	s->frame = malloc(MUTATE_FRAME_MAX);
	for (size_t i = 0; i < CONNS; i++) {
		struct storm_conn *c = &s->conns[i];

		/* The frames may be distributed unevenly. */
		c->n_streams = (uint32_t)(2 * (frames + frames / BATCH_FRAMES) + 4096);
		c->streams = malloc(c->n_streams);
		buf_init(&c->out, OUT_MAX);
		conn_open(s, c);
	}
	find_handlers(s);
	raw_close(&s->conns[0].raw);
	conn_open(s, &s->conns[0]);
	mutate_init(&s->any, 0x5707a11, ids);
	s->any.skip = mutate_skip_machine;
	s->any.seldom = s->served.seldom = mutate_seldom_worker;
	mutate_init(&s->served, 0x5707a12, ids);
	s->served.skip = s->skip;
	srand(1);
}

static void
storm_free(struct storm *s)
{
	for (size_t i = 0; i < CONNS; i++) {
		raw_close(&s->conns[i].raw);
		buf_release(&s->conns[i].out);
		free(s->conns[i].streams);
	}
	free(s->frame);
}

static void
print_figures(const struct storm *s, uint64_t ms)
{
	printf("# %llu frames sent in %llu ms: %llu reached a handler, %llu a method without one, "
	       "%llu were refused before, %llu ignored, %llu lost with %u closed connections; "
	       "%u containers replaced\n",
	       (unsigned long long)s->sent, (unsigned long long)ms,
	       (unsigned long long)s->fates[FATE_HANDLER], (unsigned long long)s->fates[FATE_OPEN],
	       (unsigned long long)s->fates[FATE_REFUSED], (unsigned long long)s->silent,
	       (unsigned long long)s->lost, s->closed, s->rounds);
}

static uint64_t
lowest(const uint64_t *v, size_t n)
{
	uint64_t low = v[0];

	for (size_t i = 1; i < n; i++)
		low = v[i] < low ? v[i] : low;
	return low;
}

/* The heap varies, but leaked memory is never freed: compares the minimum of the first gusts with
 * that of the last. */
static void
check_flat(struct harness *h, const uint64_t *rss, unsigned int fds_before, unsigned int fds_after)
{
	unsigned int n = GUSTS_OF(h), some = n > 5 ? 3 : 2;
	uint64_t first = lowest(rss, some), last = lowest(rss + n - some, some);

	printf("# fds %u -> %u, RSS in KiB after each gust:", fds_before, fds_after);
	for (unsigned int i = 0; i < n; i++)
		printf(" %llu", (unsigned long long)rss[i]);
	printf("\n");
	/* The last jobs of the warm-up may still have some; harness_check_leaks() is exact. */
	CHECK_LE(fds_after, fds_before, "fds: %u before, %u after", fds_before, fds_after);
	if (h->is_product)
		CHECK_LE(last, first + (h->soak ? RSS_GROWTH_KIB : RSS_GROWTH_SHORT),
			 "RSS grew from %llu to %llu KiB", (unsigned long long)first,
			 (unsigned long long)last);
}

/* Replaces the connections, which may have large buffers. */
static void
reopen(struct storm *s)
{
	for (size_t i = 0; i < CONNS; i++) {
		raw_close(&s->conns[i].raw);
		conn_open(s, &s->conns[i]);
	}
}

/* Blows GUSTS_OF() gusts and records the agent's memory after each. */
static void
blow_measured(struct storm *s, uint64_t frames, struct probe *probe, uint64_t rss[GUSTS])
{
	uint64_t start_ns = monotonic_ns();

	s->sent = s->silent = s->lost = 0;
	memset(s->fates, 0, sizeof(s->fates));
	probe_start(probe, s->h);
	for (unsigned int i = 0; i < GUSTS_OF(s->h); i++) {
		struct counts now;

		blow(s, frames / GUSTS_OF(s->h));
		reopen(s);
		harness_settle(s->h, &now);
		rss[i] = now.rss_kib;
	}
	print_figures(s, elapsed_ms(start_ns));
	probe_stop(probe, "Check during the storm");
}

static void
storm(struct harness *h)
{
	uint64_t frames = h->soak ? soak_count(h->is_product ? 1000000 : 100000) : 30000;
	struct storm *s = malloc(sizeof(*s));
	struct counts before, after;
	uint64_t rss[GUSTS];
	struct probe probe;

	/* The only interface name in tests/fuzz/words.c that exists; calls wait for others. */
	(void)mnl_add_link("storm0", 1);
	storm_init(s, h, 2 * frames);
	/* warm up */
	blow(s, frames / 10);
	harness_settle(h, &before);
	blow_measured(s, frames, &probe, rss);
	harness_settle(h, &after);
	CHECK_GE(2 * s->fates[FATE_HANDLER], s->sent,
		 "fewer than half of the frames reached a "
		 "handler");
	check_flat(h, rss, before.fds, after.fds);
	CHECK_NE(probe.p99_us, UINT32_MAX, "Check failed");
	CHECK_EQ(s->wrong, 0, "%u replies were wrong", s->wrong);
	CHECK_EQ(unanswered(s), 0, "%llu requests were never answered",
		 (unsigned long long)unanswered(s));
	storm_free(s);
	remove_links();
	remove_copies(h);
	free(s);
}

const struct test tests_storm[] = {
	{ "a storm of mutated frames", storm },
};
const size_t n_tests_storm = ARRAY_LEN(tests_storm);
