/* SPDX-License-Identifier: Apache-2.0 */
/* Containers and execs natively; see lives.h. */
#include "tests/bench/lives.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "tests/bench/floor.h"
#include "tests/bench/profile.h"
#include "tests/bench/rows.h"

/* samples in a round */
#define PER_ROUND 60
#define WARM_UP   20
/* running containers, for the file descriptors of each */
#define RUNNING 20
/* execs one after the other, and how many of them are shown at each end */
#define MANY_EXECS       10000
#define MANY_EXECS_SHOWN 1000

#define CONTAINER_FLOOR "clone+pivot_root+exec+wait"
#define EXEC_FLOOR      "setns+fork+exec+wait"

Grpc__CreateContainerRequest *
bench_container(struct harness *h, struct arena *a, const char *id, const char *const *args)
{
	Grpc__CreateContainerRequest *q = make_create(h, a, id, args, false);

	if (q)
		q->oci->linux->seccomp = profile_default(a);
	return q;
}

static double
lives_us_since(uint64_t start_ns)
{
	return (double)(monotonic_ns() - start_ns) / 1e3;
}

static void
lives_create(struct harness *h, const char *id, const char *const *args)
{
	struct error err = ERROR_INIT;
	struct arena a;

	arena_init(&a, 1 << 20);
	if (call(h, "CreateContainer", bench_container(h, &a, id, args), NULL, &err) < 0)
		bench_die("create", &err);
	arena_release(&a);
}

/* ---- a container's life ---- */

/* Times of one life until it was started, and until it was removed. */
static void
lives_container(struct harness *h, double *started_us, double *removed_us)
{
	struct error err = ERROR_INIT;
	struct arena a;
	Grpc__CreateContainerRequest *q;
	uint64_t start_ns;

	arena_init(&a, 1 << 20);
	q = bench_container(h, &a, "bench", ARGS("/bin/true"));
	start_ns = monotonic_ns();
	if (call(h, "CreateContainer", q, NULL, &err) < 0 || start(h, "bench", &err) < 0)
		bench_die("create and start", &err);
	*started_us = lives_us_since(start_ns);
	if (wait_process(h, "bench", "bench", &err) != 0 || remove_container(h, "bench", &err) < 0)
		bench_die("wait and remove", &err);
	*removed_us = lives_us_since(start_ns);
	arena_release(&a);
}

static void
lives_containers(struct harness *h)
{
	struct row started = {
		.name = "create+start", .unit = "us", .floor = CONTAINER_FLOOR, .warm_up = WARM_UP
	};
	struct row removed = { .name = "create+start+wait+remove",
			       .unit = "us",
			       .floor = CONTAINER_FLOOR,
			       .warm_up = WARM_UP };
	double started_us, removed_us;

	if (!row_is_wanted(started.name) && !row_is_wanted(removed.name))
		return;
	for (int i = 0; i < WARM_UP; i++) {
		lives_container(h, &started_us, &removed_us);
		(void)floor_container(h->rootfs);
	}
	for (unsigned int round = 0; round < rows_rounds(); round++) {
		for (int i = 0; i < PER_ROUND; i++) {
			lives_container(h, &started_us, &removed_us);
			row_sample(&started, OURS, started_us);
			row_sample(&removed, OURS, removed_us);
		}
		for (int i = 0; i < PER_ROUND; i++) {
			double us = (double)floor_container(h->rootfs) / 1e3;

			row_sample(&started, FLOOR, us);
			row_sample(&removed, FLOOR, us);
		}
		row_round(&started);
		row_round(&removed);
	}
	row_print(&started);
	row_print(&removed);
}

/* ---- execs ---- */

static bool
lives_is_in_another_pid_namespace(pid_t pid)
{
	char path[64], ours[64] = "", theirs[64] = "";

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)pid);
	return readlink("/proc/self/ns/pid", ours, sizeof(ours) - 1) > 0 &&
	       readlink(path, theirs, sizeof(theirs) - 1) > 0 && strcmp(ours, theirs) != 0;
}

/* Returns the pid of the only container's init, a child of the supervisor like the agent and its
 * workers. */
static pid_t
lives_init_of(const struct harness *h)
{
	char path[64], text[128], *save = NULL;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)h->supervisor,
		       (int)h->supervisor);
	if (read_text_at(-1, path, text, sizeof(text)) <= 0)
		return 0;
	for (char *word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save))
		if (lives_is_in_another_pid_namespace((pid_t)atol(word)))
			return (pid_t)atol(word);
	return 0;
}

/* Times of one exec until the agent has answered ExecProcess and StartContainer's counterpart has
 * run, and until it has ended. */
static void
lives_exec(struct harness *h, double *started_us, double *ended_us)
{
	static unsigned int next;
	struct error err = ERROR_INIT;
	uint64_t start_ns;
	char exec_id[16];

	(void)snprintf(exec_id, sizeof(exec_id), "e%u", next++);
	start_ns = monotonic_ns();
	if (exec(h, "bench", exec_id, ARGS("/bin/true"), false, &err) < 0)
		bench_die("exec", &err);
	*started_us = lives_us_since(start_ns);
	if (wait_process(h, "bench", exec_id, &err) != 0)
		bench_die("wait for an exec", &err);
	*ended_us = lives_us_since(start_ns);
}

static void
lives_execs(struct harness *h)
{
	struct row started = {
		.name = "exec to execve", .unit = "us", .floor = EXEC_FLOOR, .warm_up = WARM_UP
	};
	struct row ended = {
		.name = "exec+wait", .unit = "us", .floor = EXEC_FLOOR, .warm_up = WARM_UP
	};
	struct error err = ERROR_INIT;
	double started_us, ended_us;
	pid_t init;

	if (!row_is_wanted(started.name) && !row_is_wanted(ended.name))
		return;
	lives_create(h, "bench", ARGS("/bin/sleep", "3600"));
	if (start(h, "bench", &err) < 0)
		bench_die("start", &err);
	init = lives_init_of(h);
	for (int i = 0; i < WARM_UP; i++) {
		lives_exec(h, &started_us, &ended_us);
		(void)floor_exec(init);
	}
	for (unsigned int round = 0; round < rows_rounds(); round++) {
		for (int i = 0; i < PER_ROUND; i++) {
			lives_exec(h, &started_us, &ended_us);
			row_sample(&started, OURS, started_us);
			row_sample(&ended, OURS, ended_us);
		}
		for (int i = 0; i < PER_ROUND; i++) {
			double us = (double)floor_exec(init) / 1e3;

			row_sample(&started, FLOOR, us);
			row_sample(&ended, FLOOR, us);
		}
		row_round(&started);
		row_round(&ended);
	}
	row_print(&started);
	row_print(&ended);
	if (remove_container(h, "bench", &err) < 0)
		bench_die("remove", &err);
}

/* ---- file descriptors ---- */

static void
lives_fds(struct harness *h)
{
	static const char name[] = "fds per running container";
	struct error err = ERROR_INIT;
	struct counts before, after;
	char id[16];

	if (!row_is_wanted(name))
		return;
	harness_settle(h, &before);
	for (int i = 0; i < RUNNING; i++) {
		(void)snprintf(id, sizeof(id), "fds%d", i);
		lives_create(h, id, ARGS("/bin/sleep", "3600"));
		if (start(h, id, &err) < 0)
			bench_die("start", &err);
	}
	harness_settle(h, &after);
	for (int i = 0; i < RUNNING; i++) {
		(void)snprintf(id, sizeof(id), "fds%d", i);
		if (remove_container(h, id, &err) < 0)
			bench_die("remove", &err);
	}
	row_print_once(name, "fds", ((double)after.fds - before.fds) / RUNNING,
		       "pipes of its stdio", 3);
}

/* ---- many execs, one after the other ---- */

/* Returns the processor time that the agent itself has used. */
static uint64_t
lives_agent_ns(const struct harness *h)
{
	struct error err = ERROR_INIT;
	char path[64], text[128];
	unsigned long long ran;

	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)h->agent);
	if (read_text_at(-1, path, text, sizeof(text)) <= 0 || sscanf(text, "%llu", &ran) != 1) {
		(void)error_set(&err, ERROR_INTERNAL, "%s: unreadable", path);
		bench_die("measure the agent's processor time", &err);
	}
	return ran;
}

/* One long round: what an exec costs at the end is compared with what it did at the beginning. */
static void
lives_many_execs(struct harness *h)
{
	struct row whole = { .name = "exec+wait, the last 1,000 of 10,000",
			     .unit = "us",
			     .floor = "the first 1,000",
			     .warm_up = WARM_UP };
	struct row own = {
		.name = "the agent's processor time of an exec, the last 1,000 of 10,000",
		.unit = "us",
		.floor = "the first 1,000",
		.warm_up = WARM_UP
	};
	static const char rss[] = "the agent's RSS after 10,000 execs";
	static const char fds[] = "the agent's fds after 10,000 execs";
	struct error err = ERROR_INIT;
	struct counts before, after;
	double started_us, ended_us;

	if (!row_is_wanted(whole.name) && !row_is_wanted(own.name) && !row_is_wanted(rss) &&
	    !row_is_wanted(fds))
		return;
	lives_create(h, "bench", ARGS("/bin/sleep", "3600"));
	if (start(h, "bench", &err) < 0)
		bench_die("start", &err);
	for (int i = 0; i < WARM_UP; i++)
		lives_exec(h, &started_us, &ended_us);
	/* the same after the warm-up */
	(void)poll(NULL, 0, 1000);
	harness_settle(h, &before);
	for (int i = 0; i < MANY_EXECS; i++) {
		uint64_t agent_ns = lives_agent_ns(h);

		lives_exec(h, &started_us, &ended_us);
		if (i >= MANY_EXECS_SHOWN && i < MANY_EXECS - MANY_EXECS_SHOWN)
			continue;
		row_sample(&whole, i < MANY_EXECS_SHOWN ? FLOOR : OURS, ended_us);
		row_sample(&own, i < MANY_EXECS_SHOWN ? FLOOR : OURS,
			   (double)(lives_agent_ns(h) - agent_ns) / 1e3);
	}
	/* The output of an exec can be read for a while after its end. */
	for (int i = 0; i < 100; i++) {
		harness_settle(h, &after);
		if (after.fds <= before.fds)
			break;
		(void)poll(NULL, 0, 100);
	}
	row_round(&whole);
	row_round(&own);
	row_print(&whole);
	row_print(&own);
	row_print_once(rss, "KiB", (double)after.rss_kib, "before", (double)before.rss_kib);
	row_print_once(fds, "fds", after.fds, "before", before.fds);
	if (remove_container(h, "bench", &err) < 0)
		bench_die("remove", &err);
}

void
bench_lives(struct harness *h)
{
	lives_containers(h);
	lives_execs(h);
	lives_fds(h);
	lives_many_execs(h);
}
