/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Check while the agent or its machine is under load, and the cost of one more container among
 * many. Prints rows (rows.h). Started by tests/bench/run; AGENT names the agent.
 *
 * The time of a Check is a matter of the machine, too: with more runnable processes than processors
 * every wake-up waits. The agent's own time is therefore what is left of the whole time when the
 * waits for a processor (run queue delay of proc_pid_schedstat(5)) of the agent and of the client
 * are taken away. It includes what the agent did for other calls meanwhile, and what it spent
 * blocked in a system call.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/ttrpc/address.h"
#include "lib/ttrpc/envelope.h"
#include "tests/bench/rows.h"
#include "tests/rpc/harness.h"
#include "tests/support/orphan.h"

/* Checks in a round, and the pause between two */
#define CHECKS   300
#define PAUSE_NS 1000000
/* the slow readers: connections, calls at first, bytes of a read */
#define READERS     50
#define ASKED_AHEAD 8
#define READ_SIZE   512
/* running containers whose metrics they read */
#define CONTAINERS 10
#define BOMB_TASKS 256
/* has no other process on any machine */
#define BOMB_USER 1999999999

static void
load_pause(long ns)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = ns }, NULL);
}

/* ---- the probe ---- */

struct probe_times {
	double whole_us[CHECKS], own_us[CHECKS];
};

/* Returns how long a process has waited for a processor. */
static uint64_t
load_waited_ns(pid_t pid)
{
	unsigned long long ran, waited = 0;
	char path[64], text[128];
	struct error err = ERROR_INIT;

	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	if (read_text_at(AT_FDCWD, path, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%llu %llu", &ran, &waited) != 2) {
		(void)error_set(&err, ERROR_INTERNAL, "%s: unreadable", path);
		bench_die("measure the waits", &err);
	}
	return waited;
}

/* Calls Check in a process of its own, which has a higher priority than the load. */
static void
load_probe(const struct harness *h, struct probe_times *times)
{
	pid_t bench = getpid(), pid = fork();
	struct error err = ERROR_INIT;
	struct ttrpc_client *client;
	int status = 0;

	if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
		return;
	if (pid != 0) {
		(void)error_set(&err, ERROR_INTERNAL, "the probe failed");
		bench_die("Check under load", &err);
	}
	die_with_parent(bench);
	(void)setpriority(PRIO_PROCESS, 0, -10);
	client = ttrpc_client_dial(h->address, 10000, &err);
	for (int i = 0; client && i < CHECKS; i++) {
		uint64_t waited = load_waited_ns(h->agent) + load_waited_ns(getpid());
		uint64_t ns = monotonic_ns();

		if (check_health(client, &err) < 0)
			bench_die("Check under load", &err);
		ns = monotonic_ns() - ns;
		waited = load_waited_ns(h->agent) + load_waited_ns(getpid()) - waited;
		times->whole_us[i] = (double)ns / 1e3;
		/* Waits overlap on two processors, and a sample is positive. */
		times->own_us[i] = ns > waited ? (double)(ns - waited) / 1e3 : 0.001;
		load_pause(PAUSE_NS);
	}
	_exit(client == NULL);
}

/* ---- slow readers of GetMetrics ---- */

static void
load_ask(int fd, uint32_t *stream)
{
	Grpc__GetMetricsRequest q = GRPC__GET_METRICS_REQUEST__INIT;
	struct error err = ERROR_INIT;
	struct buf out;

	buf_init(&out, 4096);
	if (envelope_append_request(&out, *stream, "grpc.AgentService", "GetMetrics", 0, &q.base,
				    &err) < 0)
		bench_die("GetMetrics", &err);
	*stream += 2;
	/* A connection that is full or closed is still a slow reader. */
	(void)write(fd, buf_head(&out), buf_len(&out));
	buf_release(&out);
}

_Noreturn static void
load_read_slowly(const struct harness *h)
{
	uint32_t streams[READERS];
	struct error err = ERROR_INIT;
	struct address address;
	int fds[READERS];

	if (address_parse(h->address, &address, &err) < 0)
		bench_die("slow readers", &err);
	for (int i = 0; i < READERS; i++) {
		streams[i] = 1;
		fds[i] = address_connect(&address, 10000, &err);
		if (fds[i] < 0)
			bench_die("slow readers", &err);
		for (int n = 0; n < ASKED_AHEAD; n++)
			load_ask(fds[i], &streams[i]);
	}
	for (unsigned int turn = 1;; turn++) {
		char data[READ_SIZE];

		for (int i = 0; i < READERS; i++) {
			(void)read(fds[i], data, sizeof(data));
			/* about as often as a reply has been read */
			if (turn % 16 == 0)
				load_ask(fds[i], &streams[i]);
		}
		load_pause(10000000);
	}
}

static pid_t readers;

static void
load_readers_start(struct harness *h)
{
	pid_t bench = getpid();

	readers = fork();
	if (readers == 0) {
		die_with_parent(bench);
		load_read_slowly(h);
	}
}

static void
load_readers_stop(struct harness *h)
{
	(void)h;
	(void)kill(readers, SIGKILL);
	(void)waitpid(readers, NULL, 0);
}

/* ---- a fork bomb ---- */

static void
load_bomb_start(struct harness *h)
{
	Grpc__POSIXRlimit tasks = GRPC__POSIXRLIMIT__INIT, *list = &tasks;
	Grpc__CreateContainerRequest *q;
	struct error err = ERROR_INIT;
	struct arena a;

	arena_init(&a, 1 << 20);
	/* A shell that cannot fork ends, so the tasks that fork forever stay below the limit. */
	q = make_create(h, &a, "bomb",
			SH("i=0; while test $i -lt 64; do "
			   "(while :; do /bin/true; done) & i=$((i + 1)); done; wait"),
			false);
	/* The limit of a user's tasks: a machine may have no pids controller for its containers. */
	tasks.type = (char *)(uintptr_t) "RLIMIT_NPROC";
	tasks.hard = tasks.soft = BOMB_TASKS;
	q->oci->process->rlimits = &list;
	q->oci->process->n_rlimits = 1;
	q->oci->process->user->uid = q->oci->process->user->gid = BOMB_USER;
	if (call(h, "CreateContainer", q, NULL, &err) < 0 || start(h, "bomb", &err) < 0)
		bench_die("start a fork bomb", &err);
	arena_release(&a);
	/* until all of them run */
	load_pause(300000000);
}

static void
load_bomb_stop(struct harness *h)
{
	struct error err = ERROR_INIT;

	if (remove_container(h, "bomb", &err) < 0)
		bench_die("remove the fork bomb", &err);
}

/* ---- rows of load ---- */

struct load {
	const char *name;
	void (*start)(struct harness *h);
	void (*stop)(struct harness *h);
};

static const struct load loads[] = {
	{ "50 slow readers of GetMetrics", load_readers_start, load_readers_stop },
	{ "a fork bomb", load_bomb_start, load_bomb_stop },
};

static void
load_take(struct row *whole, struct row *own, enum side side, const struct probe_times *times)
{
	for (int i = 0; i < CHECKS; i++) {
		row_sample(whole, side, times->whole_us[i]);
		row_sample(own, side, times->own_us[i]);
	}
}

/* A round is Checks under load, then Checks of the same agent without it. */
static void
load_measure(struct harness *h, const struct load *load, struct probe_times *times)
{
	char name[96], own_name[128];
	struct row whole = { .name = name, .unit = "us", .floor = "without load" };
	struct row own = { .name = own_name, .unit = "us", .floor = "without load" };

	(void)snprintf(name, sizeof(name), "Check, %s", load->name);
	(void)snprintf(own_name, sizeof(own_name), "%s: the agent's own time", name);
	if (!row_is_wanted(name) && !row_is_wanted(own_name))
		return;
	for (unsigned int round = 0; round < rows_rounds(); round++) {
		load->start(h);
		load_probe(h, times);
		load->stop(h);
		load_take(&whole, &own, OURS, times);
		load_probe(h, times);
		load_take(&whole, &own, FLOOR, times);
		row_round(&whole);
		row_round(&own);
	}
	row_print(&whole);
	row_print(&own);
}

/* ---- many containers ---- */

#define LEVELS 3
/* samples at each level of a round */
#define PER_LEVEL 20

static const unsigned int levels[LEVELS] = { 10, 100, 1000 };

static double
many_create(struct harness *h, const char *id)
{
	uint64_t start_ns = monotonic_ns();
	struct error err = ERROR_INIT;

	if (create_start(h, id, ARGS("/bin/sleep", "36000"), &err) < 0)
		bench_die("create one of many", &err);
	return (double)(monotonic_ns() - start_ns) / 1e3;
}

static double
many_exec(struct harness *h)
{
	static unsigned int next;
	uint64_t start_ns = monotonic_ns();
	struct error err = ERROR_INIT;
	char id[16];

	(void)snprintf(id, sizeof(id), "e%u", next++);
	if (exec(h, "many0", id, ARGS("/bin/true"), false, &err) < 0 ||
	    wait_process(h, "many0", id, &err) != 0)
		bench_die("exec in one of many", &err);
	return (double)(monotonic_ns() - start_ns) / 1e3;
}

static double
many_stats(struct harness *h)
{
	Grpc__StatsContainerRequest q = GRPC__STATS_CONTAINER_REQUEST__INIT;
	uint64_t start_ns = monotonic_ns();
	struct error err = ERROR_INIT;

	q.container_id = (char *)(uintptr_t) "many0";
	if (call(h, "StatsContainer", &q, NULL, &err) < 0)
		bench_die("statistics of one of many", &err);
	return (double)(monotonic_ns() - start_ns) / 1e3;
}

static void
many_remove(struct harness *h, const char *id)
{
	struct error err = ERROR_INIT;

	if (remove_container(h, id, &err) < 0)
		bench_die("remove one of many", &err);
}

/* Returns the time of a GetMetrics for each running container. */
static double
many_metrics(struct harness *h, unsigned int containers)
{
	Grpc__GetMetricsRequest q = GRPC__GET_METRICS_REQUEST__INIT;
	uint64_t start_ns = monotonic_ns();
	struct error err = ERROR_INIT;

	if (call(h, "GetMetrics", &q, NULL, &err) < 0)
		bench_die("metrics of many", &err);
	return (double)(monotonic_ns() - start_ns) / 1e3 / containers;
}

enum { MANY_CREATE, MANY_EXEC, MANY_STATS, MANY_METRICS, MANY_KINDS };

/* Samples of all kinds with some containers running: ours at a level, and the floor at the
 * first. */
static void
many_sample(struct harness *h, struct row rows[LEVELS][MANY_KINDS], int level)
{
	for (int i = 0; i < PER_LEVEL; i++) {
		double us[MANY_KINDS];

		us[MANY_CREATE] = many_create(h, "more");
		many_remove(h, "more");
		us[MANY_EXEC] = many_exec(h);
		us[MANY_STATS] = many_stats(h);
		us[MANY_METRICS] = many_metrics(h, levels[level]);
		for (int kind = 0; kind < MANY_KINDS; kind++) {
			if (level > 0)
				row_sample(&rows[level][kind], OURS, us[kind]);
			for (int other = 1; level == 0 && other < LEVELS; other++)
				row_sample(&rows[other][kind], FLOOR, us[kind]);
		}
	}
}

/* A round grows the pod from 10 to 1,000 containers, and removes them. */
static void
many_measure(struct harness *h)
{
	static const char *const kinds[MANY_KINDS] = {
		[MANY_CREATE] = "create+start",
		[MANY_EXEC] = "exec+wait",
		[MANY_STATS] = "StatsContainer",
		[MANY_METRICS] = "GetMetrics, for each container,",
	};
	static struct row rows[LEVELS][MANY_KINDS];
	static char names[LEVELS][MANY_KINDS][64];
	bool wanted = false;
	char id[16];

	for (int level = 1; level < LEVELS; level++)
		for (int kind = 0; kind < MANY_KINDS; kind++) {
			char *name = names[level][kind];

			(void)snprintf(name, sizeof(names[0][0]), "%s with %u containers",
				       kinds[kind], levels[level]);
			rows[level][kind] =
				(struct row){ .name = name, .unit = "us", .floor = "with 10" };
			wanted |= row_is_wanted(name);
		}
	for (unsigned int round = 0; wanted && round < rows_rounds(); round++) {
		unsigned int n = 0;

		for (int level = 0; level < LEVELS; level++) {
			for (; n < levels[level]; n++) {
				(void)snprintf(id, sizeof(id), "many%u", n);
				(void)many_create(h, id);
			}
			many_sample(h, rows, level);
		}
		while (n-- > 0) {
			(void)snprintf(id, sizeof(id), "many%u", n);
			many_remove(h, id);
		}
		for (int level = 1; level < LEVELS; level++)
			for (int kind = 0; kind < MANY_KINDS; kind++)
				row_round(&rows[level][kind]);
	}
	for (int level = 1; wanted && level < LEVELS; level++)
		for (int kind = 0; kind < MANY_KINDS; kind++)
			row_print(&rows[level][kind]);
}

int
main(void)
{
	struct harness h = { 0 };
	struct probe_times *times = mmap(NULL, sizeof(*times), PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char id[16];

	(void)signal(SIGPIPE, SIG_IGN);
	if (times == MAP_FAILED)
		return 1;
	harness_start(&h);
	for (int i = 0; i < CONTAINERS; i++) {
		(void)snprintf(id, sizeof(id), "load%d", i);
		(void)many_create(&h, id);
	}
	for (size_t i = 0; i < ARRAY_LEN(loads); i++)
		load_measure(&h, &loads[i], times);
	for (int i = 0; i < CONTAINERS; i++) {
		(void)snprintf(id, sizeof(id), "load%d", i);
		many_remove(&h, id);
	}
	many_measure(&h);
	(void)freopen("/dev/null", "w", stdout);
	harness_stop(&h);
	return 0;
}
