/* SPDX-License-Identifier: Apache-2.0 */
/* See checker.h. */
#include "tests/oci/checker.h"

#include <dirent.h>
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
#include "tests/oci/oci.h"
#include "tests/support/orphan.h"

#define PAUSE_NS    2000000
#define PIDS_MAX    16
#define THREADS_MAX 64

struct checker_shared {
	atomic_bool stop, is_running;
	atomic_uint n;
	unsigned int failures;
	uint32_t slowest_us, slowest_own_us;
	char why[ERROR_MSG_MAX];
};

/* The threads of one process and the time each has waited for a processor. */
struct threads {
	unsigned int n;
	struct {
		char tid[16];
		uint64_t waited_ns;
	} row[THREADS_MAX];
};

struct machine {
	/* the last entry is this process */
	struct threads of[PIDS_MAX + 1];
};

/* Returns the second number of proc_pid_schedstat(5). */
static uint64_t
waited_ns(const char *pid, const char *tid)
{
	char path[128], text[128];
	unsigned long long ran, waited;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/task/%.16s/schedstat", pid, tid);
	if (read_text_at(AT_FDCWD, path, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%llu %llu", &ran, &waited) != 2)
		return 0;
	return waited;
}

static void
look_at(const char *pid, struct threads *t)
{
	char path[64];
	struct dirent *e;
	DIR *dir;

	t->n = 0;
	(void)snprintf(path, sizeof(path), "/proc/%.16s/task", pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir)) != NULL && t->n < THREADS_MAX) {
		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(t->row[t->n].tid, sizeof(t->row[0].tid), "%.15s", e->d_name);
		t->row[t->n].waited_ns = waited_ns(pid, e->d_name);
		t->n++;
	}
	if (dir)
		(void)closedir(dir);
}

static void
look(char *const *pids, size_t n, struct machine *m)
{
	for (size_t i = 0; i < n; i++)
		look_at(pids[i], &m->of[i]);
	look_at("self", &m->of[PIDS_MAX]);
}

/* A call passes through the processes in turn: sum the longest-waiting thread of each. */
static uint64_t
longest_ns(const struct threads *before, const struct threads *after)
{
	uint64_t longest = 0;

	for (unsigned int i = 0; i < after->n; i++) {
		for (unsigned int k = 0; k < before->n; k++) {
			uint64_t d = after->row[i].waited_ns - before->row[k].waited_ns;

			if (strcmp(after->row[i].tid, before->row[k].tid) == 0 && d > longest)
				longest = d;
		}
	}
	return longest;
}

static uint64_t
lost_ns(const struct machine *before, const struct machine *after, size_t n)
{
	uint64_t sum = longest_ns(&before->of[PIDS_MAX], &after->of[PIDS_MAX]);

	for (size_t i = 0; i < n; i++)
		sum += longest_ns(&before->of[i], &after->of[i]);
	return sum;
}

static size_t
vm_pids(char *text, char **out)
{
	char *save = NULL;
	size_t n = 0;

	for (char *w = strtok_r(text, " \n", &save); w && n < PIDS_MAX;
	     w = strtok_r(NULL, " \n", &save))
		out[n++] = w;
	return n;
}

static void
ask(struct checker_shared *s, struct ttrpc_client *client, char *const *pids, size_t n_pids)
{
	struct error err = ERROR_INIT;
	static struct machine before, after;
	uint64_t start_ns, took, waited, own;

	look(pids, n_pids, &before);
	start_ns = monotonic_ns();
	if (check_health(client, &err) < 0 && s->failures++ == 0)
		(void)snprintf(s->why, sizeof(s->why), "%s", err.msg);
	took = monotonic_ns() - start_ns;
	look(pids, n_pids, &after);
	waited = lost_ns(&before, &after, n_pids);
	own = took > waited ? took - waited : 0;
	if (took / 1000 > s->slowest_us)
		s->slowest_us = (uint32_t)(took / 1000);
	if (own / 1000 > s->slowest_own_us)
		s->slowest_own_us = (uint32_t)(own / 1000);
	s->n++;
	atomic_store(&s->is_running, true);
}

static _Noreturn void
run(struct checker_shared *s, const char *address)
{
	struct error err = ERROR_INIT;
	struct ttrpc_client *client = ttrpc_client_dial(address, 30000, &err);
	const char *env = getenv("VM_PIDS");
	char text[256], *pids[PIDS_MAX];
	size_t n_pids;

	(void)snprintf(text, sizeof(text), "%s", env ? env : "");
	n_pids = vm_pids(text, pids);
	(void)setpriority(PRIO_PROCESS, 0, -10);
	if (!client) {
		s->failures = 1;
		(void)snprintf(s->why, sizeof(s->why), "%s", err.msg);
		atomic_store(&s->is_running, true);
	}
	while (client && !atomic_load(&s->stop)) {
		ask(s, client, pids, n_pids);
		(void)nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
	}
	_exit(0);
}

void
checker_start(struct checker *c, struct oci *t)
{
	pid_t suite = getpid();

	*c = (struct checker){ 0 };
	(void)fflush(stdout);
	c->shared = mmap(NULL, sizeof(*c->shared), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	c->pid = c->shared == MAP_FAILED ? -1 : fork();
	if (c->pid < 0) {
		printf("Bail out! cannot start a process that measures\n");
		exit(1);
	}
	if (c->pid == 0) {
		die_with_parent(suite);
		run(c->shared, t->h.address);
	}
	while (!atomic_load(&c->shared->is_running))
		(void)nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
}

void
checker_await(const struct checker *c)
{
	/* the first one may have begun before */
	unsigned int n = atomic_load(&c->shared->n) + 2;

	while (atomic_load(&c->shared->n) < n && c->shared->failures == 0)
		(void)nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
}

void
checker_stop(struct checker *c, const char *what)
{
	struct checker_shared *s = c->shared;

	atomic_store(&s->stop, true);
	(void)waitpid(c->pid, NULL, 0);
	c->n = s->n;
	c->failures = s->failures;
	c->slowest_us = s->slowest_us;
	c->slowest_own_us = s->slowest_own_us;
	printf("# Check during %s: %u calls, %u failed%s%s; the slowest took %u us, "
	       "%u us without waiting for this machine\n",
	       what, s->n, s->failures, s->failures ? ": " : "", s->why, s->slowest_us,
	       s->slowest_own_us);
	(void)munmap(s, sizeof(*s));
}
