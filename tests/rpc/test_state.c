/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A state fuzzer: random calls that a model allows (state_calls.c), many at a time, while workers
 * are killed, the agent is stopped and continued, and connections are dropped in the middle of
 * calls. In a round without kills every call that the model allows must succeed. After each round
 * all containers are removed, and the numbers of fds, mounts, cgroups, processes and run
 * directories must be as before; the agent's memory must not grow over all rounds.
 *
 * STATE_SEED is the seed of the first round, which is printed (default 1, in a soak the time);
 * each further round adds 1. STATE_CALLS is the number of calls. STATE_DISTURB, a sum of
 * DISTURB_*, selects the same interference for every round.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "tests/rpc/net.h"
#include "tests/rpc/state.h"
#include "tests/support/elapsed.h"
#include "tests/support/soak.h"

/* calls */
#define ROUND_SHORT 500
#define ROUND_LONG  2000
/* calls in progress at a time */
#define WINDOW    24
#define ANSWER_MS 30000
/* attempts to remove one container after workers were killed */
#define REMOVALS       5
#define ROUNDS_MAX     1024
#define RSS_GROWTH_KIB 256
/* calls */
#define KILL_EVERY  12
#define STOP_EVERY  60
#define DROP_EVERY  40
#define CALLS_SHORT 2000
#define CALLS_LONG  100000
/* with sanitizers */
#define CALLS_SLOW   20000
#define CHILDREN_MAX 16384
#define SEED         1
/* after this time an idle copy worker has exited */
#define COPIER_US 1500000

/* Interference with the agent in a round. */
enum {
	DISTURB_KILL = 1 << 0,
	DISTURB_STOP = 1 << 1,
	DISTURB_DROP = 1 << 2,
};

static const unsigned int disturbances[] = {
	0, DISTURB_STOP, DISTURB_DROP, DISTURB_KILL, DISTURB_KILL | DISTURB_STOP | DISTURB_DROP,
};

static void
sleep_us(unsigned int us)
{
	(void)nanosleep(&(struct timespec){ .tv_sec = us / 1000000,
					    .tv_nsec = (long)(us % 1000000) * 1000 },
			NULL);
}

/* Handles the replies on all connections; waits briefly if there are none. */
static void
listen_for(struct state *s, int timeout_ms)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < STATE_CLIENTS; i++)
		(void)ttrpc_client_poll(s->clients[i], i == 0 ? timeout_ms : 0, &err);
}

/* ---- interference ---- */

/* Returns whether the process runs the agent's program, not a container's. */
static bool
is_ours(const struct harness *h, uint32_t pid)
{
	char path[64], program[PATH_MAX], own[PATH_MAX];
	ssize_t n, m;

	(void)snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	n = readlink(path, program, sizeof(program));
	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)h->agent);
	m = readlink(path, own, sizeof(own));
	return n > 0 && n == m && memcmp(program, own, (size_t)n) == 0;
}

/* Kills a random child of the supervisor: a worker, a container's process during its set-up, or
 * occasionally one that runs. */
static void
kill_somebody(struct state *s)
{
	const struct harness *h = s->h;
	static char text[CHILDREN_MAX];
	uint32_t list[1024], pid;
	size_t n = 0;
	char path[64], *rest = text, *word;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)h->supervisor,
		       (int)h->supervisor);
	if (read_text_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return;
	while ((word = strsep(&rest, " ")) && n < ARRAY_LEN(list)) {
		if (!parse_u32(word, &pid) || pid == (uint32_t)h->agent)
			continue;
		if (is_ours(h, pid) || state_below(s, 16) == 0)
			list[n++] = pid;
	}
	if (n > 0 && kill((pid_t)list[state_below(s, (unsigned int)n)], SIGKILL) == 0)
		s->n_kills++;
}

/* Sends calls while the agent is stopped. */
static void
stop_the_agent(struct state *s)
{
	(void)kill(s->h->agent, SIGSTOP);
	s->n_stops++;
	for (unsigned int i = state_below(s, 20); i > 0; i--)
		state_step(s);
	sleep_us(state_below(s, 20000));
	(void)kill(s->h->agent, SIGCONT);
}

/* Closes a connection while its calls are in progress, or before all of them have been read. */
static void
drop_a_connection(struct state *s)
{
	struct error err = ERROR_INIT;

	s->other = ttrpc_client_dial(s->h->address, 5000, &err);
	if (!s->other) {
		printf("# round %u: %s\n", s->round, err.msg);
		s->wrong++;
		return;
	}
	s->n_drops++;
	for (unsigned int i = 1 + state_below(s, 8); i > 0; i--)
		state_step(s);
	if (state_below(s, 2))
		(void)ttrpc_client_poll(s->other, (int)state_below(s, 4), &err);
	ttrpc_client_free(s->other);
	s->other = NULL;
}

static void
disturb(struct state *s, unsigned int how)
{
	if (how & DISTURB_KILL && state_below(s, KILL_EVERY) == 0)
		kill_somebody(s);
	if (how & DISTURB_STOP && state_below(s, STOP_EVERY) == 0)
		stop_the_agent(s);
	if (how & DISTURB_DROP && state_below(s, DROP_EVERY) == 0)
		drop_a_connection(s);
}

/* ---- a round ---- */

static void
wait_until(struct state *s, unsigned int pending, unsigned int parked)
{
	uint64_t end = deadline_in(ANSWER_MS);

	while ((s->pending > pending || s->parked > parked) && !deadline_is_over(end))
		listen_for(s, 5);
	CHECK(s->pending <= pending && s->parked <= parked,
	      "round %u: %u calls and %u that may wait have no reply after %d ms", s->round,
	      s->pending, s->parked, ANSWER_MS);
}

/* A removal whose workers are killed may fail, but not forever. */
static void
remove_boxes(struct state *s)
{
	for (size_t i = 0; i < STATE_BOXES; i++) {
		struct box *b = &s->boxes[i];
		struct error err = ERROR_INIT;
		bool is_gone = false;

		for (int n = 0; n < REMOVALS && !is_gone; n++) {
			err = ERROR_INIT;
			is_gone = remove_container(s->h, b->id, &err) == 0 ||
				  strstr(err.msg, "not found");
		}
		CHECK(is_gone, "round %u: remove %s: %s", s->round, b->id, err.msg);
		b->phase = PHASE_ABSENT;
		b->is_loose = b->is_dying = false;
	}
}

/* Only files with the requested names may exist. */
static void
check_copies(struct state *s)
{
	char path[128];
	struct dirent *e;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%d/root" STATE_COPIES, (int)s->h->agent);
	dir = opendir(path);
	while (dir && (e = readdir(dir)) != NULL)
		CHECK(e->d_name[0] == '.' ? strspn(e->d_name, ".") == strlen(e->d_name)
					  : strlen(e->d_name) == 2,
		      "round %u: %s is left in " STATE_COPIES, s->round, e->d_name);
	if (dir)
		(void)closedir(dir);
}

static void
play_round(struct state *s, unsigned int how, unsigned int calls)
{
	uint64_t end = s->n_calls + calls;

	s->is_harsh = how & DISTURB_KILL;
	while (s->n_calls < end) {
		state_step(s);
		disturb(s, how);
		listen_for(s, 0);
		if (s->pending > WINDOW)
			wait_until(s, WINDOW, UINT32_MAX);
	}
	wait_until(s, 0, UINT32_MAX);
	remove_boxes(s);
	wait_until(s, 0, 0);
	state_complete_copies(s);
	check_copies(s);
}

/* ---- all rounds ---- */

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	uint64_t value;

	return text && parse_u64(text, &value) ? value : otherwise;
}

static void
connect_all(struct state *s)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < STATE_CLIENTS; i++) {
		s->clients[i] = ttrpc_client_dial(s->h->address, 5000, &err);
		if (!s->clients[i]) {
			printf("Bail out! %s\n", err.msg);
			exit(1);
		}
	}
	for (unsigned int i = 0; i < STATE_BOXES; i++)
		(void)snprintf(s->boxes[i].id, sizeof(s->boxes[i].id), "f%u", i);
}

static uint64_t
lowest(const uint64_t *list, size_t n)
{
	uint64_t low = UINT64_MAX;

	for (size_t i = 0; i < n; i++)
		low = list[i] < low ? list[i] : low;
	return low;
}

/* Leaked memory is never freed: compares the minimum of the last rounds with that of the first. */
static void
check_memory(struct state *s, const uint64_t *rss, size_t n)
{
	size_t some = n / 4;
	uint64_t first, last;

	/* The first rounds fill caches, and the sanitizers keep freed memory. */
	if (!s->h->is_product || some < 2)
		return;
	first = lowest(rss + some, some);
	last = lowest(rss + n - some, some);
	printf("# RSS: first %llu KiB, last %llu KiB\n", (unsigned long long)first,
	       (unsigned long long)last);
	CHECK_LE(last, first + RSS_GROWTH_KIB, "RSS grew from %llu to %llu KiB",
		 (unsigned long long)first, (unsigned long long)last);
}

static void
play(struct state *s, uint64_t calls)
{
	static uint64_t rss[ROUNDS_MAX];
	struct counts before, after;
	unsigned int how, per_round = calls > 10 * ROUND_LONG ? ROUND_LONG : ROUND_SHORT;

	harness_settle(s->h, &before);
	while (s->n_calls < calls && s->h->failures == 0 && s->wrong == 0) {
		s->rng = s->seed + s->round;
		how = disturbances[(s->seed + s->round) % ARRAY_LEN(disturbances)];
		play_round(s, (unsigned int)number_of("STATE_DISTURB", how), per_round);
		if (!harness_check_leaks(s->h, &before))
			printf("# after round %u\n", s->round);
		harness_count(s->h, &after);
		if (s->round < ROUNDS_MAX)
			rss[s->round] = after.rss_kib;
		s->round++;
	}
	check_memory(s, rss, s->round < ROUNDS_MAX ? s->round : ROUNDS_MAX);
}

static void
random_calls(struct harness *h)
{
	struct state s = { .h = h,
			   .seed = number_of("STATE_SEED", h->soak ? (uint64_t)time(NULL) : SEED) };
	uint64_t calls = number_of("STATE_CALLS", !h->soak        ? CALLS_SHORT
						  : h->is_product ? soak_count(CALLS_LONG)
								  : soak_count(CALLS_SLOW));
	uint64_t start_ns = monotonic_ns();
	struct counts idle;

	printf("# STATE_SEED=%llu STATE_CALLS=%llu\n", (unsigned long long)s.seed,
	       (unsigned long long)calls);
	(void)fflush(stdout);
	make_eth0(h);
	state_prepare(&s);
	sleep_us(COPIER_US);
	harness_settle(h, &idle);
	connect_all(&s);
	play(&s, calls);
	for (size_t i = 0; i < STATE_CLIENTS; i++)
		ttrpc_client_free(s.clients[i]);
	(void)harness_check_leaks(h, &idle);
	remove_links();
	remove_copies(h);
	printf("# %llu calls in %u rounds, %llu ms: %llu succeeded, %llu failed, "
	       "%llu were dropped\n",
	       (unsigned long long)s.n_calls, s.round, (unsigned long long)elapsed_ms(start_ns),
	       (unsigned long long)s.n_succeeded, (unsigned long long)s.n_failed,
	       (unsigned long long)s.n_dropped);
	printf("# %u processes were killed, the agent was stopped %u times, "
	       "%u connections dropped\n",
	       s.n_kills, s.n_stops, s.n_drops);
	CHECK_EQ(s.wrong, 0, "%u wrong replies; repeat with STATE_SEED=%llu", s.wrong,
		 (unsigned long long)(s.seed + s.round - 1));
	CHECK_EQ(h->failures, 0, "again with STATE_SEED=%llu",
		 (unsigned long long)(s.seed + s.round - 1));
}

const struct test tests_state[] = {
	{ "random calls while workers are killed and connections dropped", random_calls,
	  .leaves_volumes = true },
};
const size_t n_tests_state = ARRAY_LEN(tests_state);
