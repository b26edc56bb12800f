/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures an agent that runs natively on a unix socket: round trips, exec, create and start,
 * output. Prints rows for out/bench.tsv: name, value, unit, name and value of the baseline, ratio.
 * Started by tests/bench/run; AGENT names the agent, which only has to speak the protocol.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/loop.h"
#include "tests/bench/copy.h"
#include "tests/bench/floor.h"
#include "tests/bench/profile.h"
#include "tests/rpc/harness.h"

#define ROUNDS      300
#define WARM_UP     30
#define CHECKS      3000
#define OUTPUT_SIZE (64ull << 20)
#define SENT_SIZE   (1ull << 30)

static int
by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorts the values and returns the given percentile, in milliseconds. */
static double
percentile(uint64_t *ns, size_t n, unsigned int percent)
{
	qsort(ns, n, sizeof(*ns), by_size);
	return (double)ns[(n - 1) * percent / 100] / 1e6;
}

static void
row(const char *name, double value, const char *unit, const char *baseline, double base)
{
	printf("%s\t%.4f\t%s\t%s\t%.4f\t%.2f\n", name, value, unit, baseline, base,
	       base > 0 ? value / base : 0.0);
	(void)fflush(stdout);
}

static void
die_of(const char *what, const struct error *err)
{
	(void)fprintf(stderr, "bench: %s: %s\n", what, err->msg);
	exit(1);
}

/* Returns the request of the measured container: the default spec with the default profile. */
static Grpc__CreateContainerRequest *
default_container(struct harness *h, struct arena *a, const char *id, const char *const *args)
{
	Grpc__CreateContainerRequest *q = make_create(h, a, id, args, false);

	if (q)
		q->oci->linux->seccomp = profile_default(a);
	return q;
}

static void
check_round_trip(struct harness *h)
{
	static uint64_t agent[CHECKS], echo[CHECKS];
	struct error err = ERROR_INIT;
	pid_t pid;
	auto_close int fd = floor_echo_start(&pid);
	double p50, p99;

	for (size_t i = 0; i < CHECKS; i++) {
		uint64_t start_ns = monotonic_ns();

		if (check_health(h->client, &err) < 0)
			die_of("Check", &err);
		agent[i] = monotonic_ns() - start_ns;
		echo[i] = floor_echo(fd);
	}
	p99 = percentile(agent, CHECKS, 99);
	p50 = percentile(agent, CHECKS, 50);
	row("Check round trip p50", p50, "ms", "bare echo p50", percentile(echo, CHECKS, 50));
	row("Check round trip p99", p99, "ms", "bare echo p99", percentile(echo, CHECKS, 99));
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static void
create_and_start(struct harness *h)
{
	static uint64_t created[ROUNDS], whole[ROUNDS], bare[ROUNDS];
	struct error err = ERROR_INIT;
	double p50;

	for (int i = -WARM_UP; i < ROUNDS; i++) {
		struct arena a;
		Grpc__CreateContainerRequest *q;
		uint64_t start_ns, floor_ns = floor_container(h->rootfs);

		arena_init(&a, 1 << 20);
		q = default_container(h, &a, "bench", ARGS("/bin/true"));
		start_ns = monotonic_ns();
		if (call(h, "CreateContainer", q, NULL, &err) < 0 || start(h, "bench", &err) < 0)
			die_of("create and start", &err);
		if (i >= 0)
			created[i] = monotonic_ns() - start_ns;
		if (wait_process(h, "bench", "bench", &err) != 0 ||
		    remove_container(h, "bench", &err) < 0)
			die_of("wait and remove", &err);
		if (i >= 0) {
			whole[i] = monotonic_ns() - start_ns;
			bare[i] = floor_ns;
		}
		arena_release(&a);
	}
	p50 = percentile(bare, ROUNDS, 50);
	row("create+start /bin/true p50", percentile(created, ROUNDS, 50), "ms",
	    "clone+pivot_root+exec+wait p50", p50);
	row("create+start /bin/true p99", percentile(created, ROUNDS, 99), "ms",
	    "clone+pivot_root+exec+wait p50", p50);
	row("create+start+wait+remove p50", percentile(whole, ROUNDS, 50), "ms",
	    "clone+pivot_root+exec+wait p50", p50);
}

static bool
is_in_another_pid_namespace(pid_t pid)
{
	char path[64], ours[64] = "", theirs[64] = "";

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	return readlink("/proc/self/ns/pid", ours, sizeof(ours) - 1) > 0 &&
	       readlink(path, theirs, sizeof(theirs) - 1) > 0 && strcmp(ours, theirs) != 0;
}

/* Returns the pid of the only container's init, a child of the supervisor like the agent and its
 * workers. */
static pid_t
init_of(const struct harness *h)
{
	char path[64], text[128], *save = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)h->supervisor,
		       (int)h->supervisor);
	if (read_text_at(-1, path, text, sizeof(text)) <= 0)
		return 0;
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		if (is_in_another_pid_namespace((pid_t)atol(word)))
			return (pid_t)atol(word);
	return 0;
}

static void
execs(struct harness *h)
{
	static uint64_t released[ROUNDS], whole[ROUNDS], bare[ROUNDS];
	struct error err = ERROR_INIT;
	struct arena a;
	double p50;
	pid_t init;

	arena_init(&a, 1 << 20);
	if (call(h, "CreateContainer",
		 default_container(h, &a, "bench", ARGS("/bin/sleep", "3600")), NULL, &err) < 0 ||
	    start(h, "bench", &err) < 0)
		die_of("create", &err);
	init = init_of(h);
	for (int i = -WARM_UP; i < ROUNDS; i++) {
		char exec_id[16];
		uint64_t floor_ns = floor_exec(init), start_ns;

		(void)snprintf(exec_id, sizeof(exec_id), "e%d", i + WARM_UP);
		start_ns = monotonic_ns();
		if (exec(h, "bench", exec_id, ARGS("/bin/true"), false, &err) < 0)
			die_of("exec", &err);
		if (i >= 0)
			released[i] = monotonic_ns() - start_ns;
		if (wait_process(h, "bench", exec_id, &err) != 0)
			die_of("wait", &err);
		if (i >= 0) {
			whole[i] = monotonic_ns() - start_ns;
			bare[i] = floor_ns;
		}
	}
	if (remove_container(h, "bench", &err) < 0)
		die_of("remove", &err);
	arena_release(&a);
	p50 = percentile(bare, ROUNDS, 50);
	row("exec /bin/true p50", percentile(released, ROUNDS, 50), "ms",
	    "setns+fork+exec+wait p50", p50);
	row("exec /bin/true p99", percentile(released, ROUNDS, 99), "ms",
	    "setns+fork+exec+wait p50", p50);
	row("exec+wait /bin/true p50", percentile(whole, ROUNDS, 50), "ms",
	    "setns+fork+exec+wait p50", p50);
}

static void
output(struct harness *h)
{
	static char block[32 << 10];
	struct error err = ERROR_INIT;
	char script[128];
	uint64_t start_ns = 0, got = 0;
	ssize_t n;

	(void)snprintf(script, sizeof(script), "exec dd if=/dev/zero bs=64k count=%llu 2>/dev/null",
		       (unsigned long long)(OUTPUT_SIZE >> 16));
	if (create_start(h, "bench", SH(script), &err) < 0)
		die_of("create", &err);
	while ((n = read_stream(h, false, "bench", "bench", block, sizeof(block), &err)) > 0) {
		if (!start_ns)
			start_ns = monotonic_ns();
		got += (uint64_t)n;
	}
	start_ns = monotonic_ns() - start_ns;
	if (got != OUTPUT_SIZE || wait_process(h, "bench", "bench", &err) != 0 ||
	    remove_container(h, "bench", &err) < 0)
		die_of("read the output", &err);
	row("ReadStdout 32 KiB reads", (double)got / 1048576 * 1e9 / (double)start_ns, "MiB/s",
	    "plain pipe", floor_pipe(OUTPUT_SIZE) / 1048576);
}

/* Cost of sending at most 28 KiB at a time on vsock (agent/server/conn.c): parts of 64 KiB are
 * the kernel's own packets there. Measured on a unix socket, because the fault that makes it
 * necessary is in a program on the host's side of vsock. */
static void
sends(void)
{
	row("sends in parts of 28 KiB", floor_send(SENT_SIZE, 28u << 10), "MiB/s",
	    "in parts of 64 KiB", floor_send(SENT_SIZE, 64u << 10));
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
		die_of("timers", &err);
	start_ns = monotonic_ns();
	for (size_t i = 0; i < n; i++) {
		t[i] = loop_timer(loop, 60000 + i, on_timer, NULL, &err);
		if (!t[i])
			die_of("timers", &err);
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
	/* the memory is allocated already */
	(void)timers_ns(10000);
	row("a timer of 262,144 set and cancelled", timers_ns(64u * 4096u), "ns", "one of 100",
	    timers_ns(100));
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
 * seconds: returns the minimum over three. */
static double
idle_pss_kib(const struct harness *h)
{
	double least = pss_kib(h->agent) + pss_kib(h->supervisor);

	for (int i = 0; i < 30; i++) {
		double now;

		(void)poll(NULL, 0, 100);
		now = pss_kib(h->agent) + pss_kib(h->supervisor);
		least = now < least ? now : least;
	}
	return least;
}

int
main(void)
{
	struct harness h = { 0 };

	(void)signal(SIGPIPE, SIG_IGN);
	harness_start(&h);
	check_round_trip(&h);
	create_and_start(&h);
	execs(&h);
	output(&h);
	bench_copies(&h);
	sends();
	timers();
	row("PSS of agent and its parent, native, idle", idle_pss_kib(&h), "KiB", "this program",
	    pss_kib(getpid()));
	(void)freopen("/dev/null", "w", stdout);
	harness_stop(&h);
	return 0;
}
