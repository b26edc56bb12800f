/* SPDX-License-Identifier: Apache-2.0 */
/* See probe.h. The results are passed in shared memory. */
#include "tests/rpc/probe.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/deadline.h"
#include "lib/io.h"
#include "tests/rpc/harness.h"
#include "tests/support/orphan.h"

#define SAMPLES_MAX (1u << 20)
#define PAUSE_NS    1000000

struct probe_shared {
	atomic_bool stop, is_running;
	uint32_t n, failures;
	char why[ERROR_MSG_MAX];
	uint32_t us[SAMPLES_MAX];
	/* without the waits of the agent and of this process for a processor */
	uint32_t own_us[SAMPLES_MAX];
};

/* Returns how long a process has waited for a processor since it started (second number of
 * proc_pid_schedstat(5)). */
static uint64_t
waited_ns(pid_t pid)
{
	char path[64], text[128];
	unsigned long long ran, waited = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	if (read_text_at(AT_FDCWD, path, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%llu %llu", &ran, &waited) != 2)
		return 0;
	return waited;
}

static void
ask(struct probe_shared *s, struct ttrpc_client *client, pid_t agent)
{
	struct error err = ERROR_INIT;
	uint64_t waited = waited_ns(agent) + waited_ns(getpid());
	uint64_t ns = monotonic_ns();

	if (check_health(client, &err) < 0 && s->failures++ == 0)
		(void)snprintf(s->why, sizeof(s->why), "%s", err.msg);
	ns = monotonic_ns() - ns;
	waited = waited_ns(agent) + waited_ns(getpid()) - waited;
	s->us[s->n] = (uint32_t)(ns / 1000);
	/* Waits overlap on two processors. */
	s->own_us[s->n++] = ns > waited ? (uint32_t)((ns - waited) / 1000) : 0;
	atomic_store(&s->is_running, true);
}

static _Noreturn void
run(struct probe_shared *s, const char *address, pid_t agent)
{
	struct error err = ERROR_INIT;
	struct ttrpc_client *client = ttrpc_client_dial(address, 10000, &err);

	/* Raise the priority: the agent is to be measured, not this process's wait for a
	 * processor. */
	(void)setpriority(PRIO_PROCESS, 0, -10);
	if (!client) {
		s->failures = 1;
		(void)snprintf(s->why, sizeof(s->why), "%s", err.msg);
	}
	while (client && !atomic_load(&s->stop) && s->n < SAMPLES_MAX) {
		ask(s, client, agent);
		(void)nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
	}
	_exit(0);
}

void
probe_start(struct probe *p, const struct harness *h)
{
	pid_t suite = getpid();

	*p = (struct probe){ .h = h, .start_ns = monotonic_ns(), .waited_ns = waited_ns(h->agent) };
	p->shared = mmap(NULL, sizeof(*p->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	p->pid = p->shared == MAP_FAILED ? -1 : fork();
	if (p->pid < 0) {
		printf("Bail out! cannot start a process that measures\n");
		exit(1);
	}
	if (p->pid == 0) {
		die_with_parent(suite);
		run(p->shared, h->address, h->agent);
	}
	for (int i = 0; i < 10000 && !atomic_load(&p->shared->is_running); i++)
		(void)nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void
probe_stop(struct probe *p, const char *what)
{
	uint64_t ns = monotonic_ns() - p->start_ns;
	struct probe_shared *s = p->shared;
	uint32_t n;

	atomic_store(&s->stop, true);
	(void)waitpid(p->pid, NULL, 0);
	n = s->n;
	qsort(s->us, n, sizeof(s->us[0]), compare);
	qsort(s->own_us, n, sizeof(s->own_us[0]), compare);
	p->p99_us = n > 0 && s->failures == 0 ? s->us[(uint64_t)n * 99 / 100] : UINT32_MAX;
	p->waited_percent = (unsigned int)((waited_ns(p->h->agent) - p->waited_ns) * 100 / ns);
	if (n > 0)
		printf("# %s: %u calls, p50 %u us, p99 %u us, own p99 %u us, longest %u us; "
		       "the agent waited for a processor %u percent of the time\n",
		       what, n, s->us[n / 2], s->us[(uint64_t)n * 99 / 100],
		       s->own_us[(uint64_t)n * 99 / 100], s->us[n - 1], p->waited_percent);
	if (s->failures > 0)
		printf("# %s: %u calls failed: %s\n", what, s->failures, s->why);
	(void)munmap(s, sizeof(*s));
}
