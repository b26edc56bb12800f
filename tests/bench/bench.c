/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures an agent that runs natively on a unix socket, and prints rows (rows.h). Started by
 * tests/bench/run. AGENT names the agent, which only has to speak the protocol, BARE the bare
 * server (bare.c).
 */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/loop.h"
#include "tests/bench/bulk.h"
#include "tests/bench/floor.h"
#include "tests/bench/lives.h"
#include "tests/bench/rows.h"

#define BARE_ADDRESS "unix:///run/bare.sock"
#define BARE_FILES   "/run/bare"
#define SENT_SIZE    (256ull << 20)
#define SMALL_FILES  10000
#define PLACE        "/run/kata-containers/shared/containers/rss"

static const struct bulk_sizes native = { .mib = 64, .files = 1000, .checks = 1000 };

/* ---- the bare server ---- */

/* Returns the pid of the bare server, which ends when *gate is closed. */
static pid_t
bare_start(const struct harness *h, int *gate)
{
	char busybox[sizeof(h->rootfs) + 32];
	const char *program = getenv("BARE");
	struct error err = ERROR_INIT;
	int p[2];
	pid_t pid;

	if (!program || pipe2(p, O_CLOEXEC) < 0 || mkdir(BARE_FILES, 0755) < 0) {
		(void)error_set(&err, ERROR_INTERNAL, "BARE is not set, or no pipe");
		bench_die("start the bare server", &err);
	}
	(void)snprintf(busybox, sizeof(busybox), "%s/bin/busybox", h->rootfs);
	pid = fork();
	if (pid == 0) {
		(void)dup2(p[0], 0);
		(void)execl(program, "bench-bare", BARE_ADDRESS, busybox, BARE_FILES, NULL);
		_exit(127);
	}
	(void)close(p[0]);
	*gate = p[1];
	return pid;
}

/* Moves the agent, its parent and this program to a set of processors, with all that they start
 * from now on. */
static void
place(const struct harness *h, const cpu_set_t *set)
{
	const pid_t pids[] = { h->supervisor, h->agent, 0 };
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(pids); i++)
		if (sched_setaffinity(pids[i], sizeof(*set), set) < 0) {
			error_sys(&err, "failed to choose a processor");
			bench_die("bulk data", &err);
		}
}

/*
 * All processes share one processor: client, agent, bare server, and the programs of both. What is
 * compared is the work of both sides. With several processors, the scheduler has the three or four
 * processes of a side alternate on one or wake each other across two, for seconds, as it happens;
 * in a virtual machine, each wake-up of an idle processor takes longer than the whole call, and in
 * the same round one side was 8 times as fast as the other, in either direction.
 */
static void
bulk(struct harness *h)
{
	struct harness bare = { 0 };
	struct error err = ERROR_INIT;
	cpu_set_t all, one;
	int gate, first = 0;
	pid_t pid;

	CPU_ZERO(&all);
	(void)sched_getaffinity(0, sizeof(all), &all);
	while (first < CPU_SETSIZE - 1 && !CPU_ISSET(first, &all))
		first++;
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	place(h, &one);
	pid = bare_start(h, &gate);
	bare.client = ttrpc_client_dial(BARE_ADDRESS, 20000, &err);
	if (!bare.client)
		bench_die("connect to the bare server", &err);
	bench_bulk(h, &bare, "", &native);
	ttrpc_client_free(bare.client);
	(void)close(gate);
	(void)waitpid(pid, NULL, 0);
	place(h, &all);
}

/* ---- others ---- */

/* Cost of sending at most 28 KiB at a time on vsock (agent/server/conn.c): parts of 64 KiB are
 * the kernel's own packets there. Measured on a unix socket, because the fault that makes it
 * necessary is in a program on the host's side of vsock. */
static void
sends(void)
{
	struct row row = {
		.name = "sends in parts of 28 KiB",
		.unit = "MiB/s",
		.good = HIGH_IS_GOOD,
		.floor = "in parts of 64 KiB",
		.warm_up = 1,
	};

	if (!row_is_wanted(row.name))
		return;
	(void)floor_send(SENT_SIZE, 28u << 10);
	for (unsigned int i = 0; i < rows_rounds(); i++) {
		row_sample(&row, OURS, floor_send(SENT_SIZE, 28u << 10));
		row_sample(&row, FLOOR, floor_send(SENT_SIZE, 64u << 10));
		row_round(&row);
	}
	row_print(&row);
}

static void
on_timer(void *data)
{
	(void)data;
}

/* Returns the nanoseconds to set each of n timers, with increasing timeouts, and cancel them in
 * that order. */
static double
timers_ns(size_t n)
{
	auto_free struct timer **t = calloc(n, sizeof(struct timer *));
	struct error err = ERROR_INIT;
	struct loop *loop = loop_new(&err);
	uint64_t start_ns;

	if (!t || !loop)
		bench_die("timers", &err);
	start_ns = monotonic_ns();
	for (size_t i = 0; i < n; i++) {
		t[i] = loop_timer(loop, 60000 + i, on_timer, NULL, &err);
		if (!t[i])
			bench_die("timers", &err);
	}
	for (size_t i = 0; i < n; i++)
		timer_cancel(t[i]);
	start_ns = monotonic_ns() - start_ns;
	loop_free(loop);
	return (double)start_ns / (double)n;
}

/* As many timers as parked calls can have, against as many as a busy pod has. */
static void
timers(void)
{
	struct row row = { .name = "a timer of 262,144 set and cancelled",
			   .unit = "ns",
			   .floor = "one of 100",
			   .warm_up = 1 };

	if (!row_is_wanted(row.name))
		return;
	/* the memory is allocated already */
	(void)timers_ns(10000);
	for (unsigned int i = 0; i < rows_rounds(); i++) {
		row_sample(&row, OURS, timers_ns(64u * 4096u));
		for (int n = 0; n < 20; n++)
			row_sample(&row, FLOOR, timers_ns(100));
		row_round(&row);
	}
	row_print(&row);
}

/* The agent's memory before and after many small files. */
static void
files_memory(struct harness *h)
{
	static const char name[] = "the agent's RSS after 10,000 small files";
	struct counts before, after;
	struct error err = ERROR_INIT;
	uint8_t data[1024] = { 0 };
	char path[128];

	if (!row_is_wanted(name))
		return;
	harness_settle(h, &before);
	for (unsigned int i = 0; i < SMALL_FILES; i++) {
		Grpc__CopyFileRequest q = GRPC__COPY_FILE_REQUEST__INIT;

		(void)snprintf(path, sizeof(path), PLACE "/%u/%u", i / 100, i);
		q.path = path;
		q.file_mode = S_IFREG | 0644;
		q.dir_mode = 0755;
		q.file_size = sizeof(data);
		q.data.data = data;
		q.data.len = sizeof(data);
		if (call(h, "CopyFile", &q, NULL, &err) < 0)
			bench_die("CopyFile", &err);
	}
	harness_settle(h, &after);
	row_print_once(name, "KiB", (double)after.rss_kib, "before", (double)before.rss_kib);
}

/* Memory of agent and supervisor after the benchmarks, when idle. */
static double
pss_kib(pid_t pid)
{
	char path[64], line[128];
	unsigned long kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %lu kB", &kib) == 1)
			break;
	if (f)
		(void)fclose(f);
	return (double)kib;
}

/* Idle means that the memory of the last large requests has been released, which takes two
 * seconds: the least of three seconds counts. */
static void
idle_pss(const struct harness *h)
{
	static const char name[] = "PSS of agent and its parent, native, idle";
	double least = pss_kib(h->agent) + pss_kib(h->supervisor);

	if (!row_is_wanted(name))
		return;
	for (int i = 0; i < 30; i++) {
		double now;

		(void)poll(NULL, 0, 100);
		now = pss_kib(h->agent) + pss_kib(h->supervisor);
		least = now < least ? now : least;
	}
	row_print_once(name, "KiB", least, "this program", pss_kib(getpid()));
}

int
main(void)
{
	struct harness h = { 0 };

	(void)signal(SIGPIPE, SIG_IGN);
	harness_start(&h);
	bulk(&h);
	bench_lives(&h);
	files_memory(&h);
	sends();
	timers();
	idle_pss(&h);
	(void)freopen("/dev/null", "w", stdout);
	harness_stop(&h);
	return 0;
}
