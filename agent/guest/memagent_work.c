/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reclaim and compaction in workers of the memory agent. Sources:
 * Documentation/admin-guide/cgroup-v2.rst (memory.reclaim), Documentation/accounting/psi.rst.
 */
#include "agent/guest/memagent_work.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cgroup/cgroup.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"

/* smallest amount of one step */
#define STEP_BYTES (4ull << 20)
/* approximate maximum of steps */
#define STEPS 64
/* between two steps: the kernel updates pressure ten times per window */
#define STEP_MS 100
/* reclaim ends after so many steps in a row without effect */
#define STALLED_MAX 3
#define WINDOW_USEC 1000000u
#define TEXT_MAX    (64u << 10)

static void memagent_reclaim(const struct memagent_reclaim_work *work, int fd,
			     struct memagent_target *t);
static uint64_t memagent_cold_bytes(int fd, bool swap);
static uint64_t memagent_current_bytes(int fd);
static int memagent_choose_swappiness(const struct memagent_reclaim_work *work, int fd, bool swap);
static bool memagent_has_swap(int proc);
static int memagent_reclaim_step(int fd, uint64_t bytes, int swappiness);

int
memagent_reclaim_work(struct worker *w, void *arg, struct error *err)
{
	struct memagent_reclaim_work *work = arg;

	for (size_t i = 0; i < work->n; i++) {
		struct memagent_target *t = &work->targets[i];
		struct memagent_reply reply;

		memagent_look_at(work, t);
		if (!t->seen)
			continue;
		reply = (struct memagent_reply){
			.index = i,
			.stalled_usec = t->stalled_usec,
			.quiet = t->quiet,
			.reclaimed = t->reclaimed,
			.stopped = t->stopped,
		};
		if (worker_send(w, MEMAGENT_MSG_TARGET, &reply, sizeof(reply), NULL, 0, false,
				err) < 0)
			return -1;
	}
	return 0;
}

void
memagent_look_at(const struct memagent_reclaim_work *work, struct memagent_target *t)
{
	auto_close int fd = cgroup_open(work->cgroup, t->path);
	uint64_t memory = 0, io = 0, stalled, percent = 0;
	bool tells = fd >= 0 && memagent_stalled(fd, "memory.pressure", &memory);

	t->seen = fd >= 0;
	/* removed since the list was made */
	if (fd < 0)
		return;
	(void)memagent_stalled(fd, "io.pressure", &io);
	stalled = memory + io;
	if (t->is_known && work->elapsed_usec > 0 && stalled > t->stalled_usec)
		percent = (stalled - t->stalled_usec) * 100 / work->elapsed_usec;
	t->quiet = tells && t->is_known && percent <= work->settings.period_psi_percent_limit
			   ? t->quiet + 1
			   : 0;
	t->stalled_usec = stalled;
	if (t->quiet < work->settings.eviction_run_aging_count_min || t->quiet == 0)
		return;
	memagent_reclaim(work, fd, t);
	if (t->stopped)
		t->quiet = 0;
}

static void
memagent_reclaim(const struct memagent_reclaim_work *work, int fd, struct memagent_target *t)
{
	bool swap = work->settings.swap && memagent_has_swap(work->proc);
	uint64_t goal = memagent_cold_bytes(fd, swap), asked = 0,
		 first = memagent_current_bytes(fd);
	int swappiness = memagent_choose_swappiness(work, fd, swap);
	auto_close int pressure =
		memagent_trigger(fd, "memory.pressure", work->settings.eviction_psi_percent_limit);
	uint64_t step_max = goal / STEPS > STEP_BYTES ? goal / STEPS : STEP_BYTES;
	unsigned int idle = 0;
	uint64_t last;

	if (swappiness < -1)
		return;
	while (asked < goal && idle < STALLED_MAX) {
		uint64_t before = memagent_current_bytes(fd), step = goal - asked;

		if (step > step_max)
			step = step_max;
		if (memagent_reclaim_step(fd, step, swappiness) < 0)
			break;
		asked += step;
		idle = memagent_current_bytes(fd) < before ? 0 : idle + 1;
		/* refaults after the step show up as pressure now */
		if (memagent_fired(pressure, STEP_MS)) {
			t->stopped = true;
			break;
		}
	}
	last = memagent_current_bytes(fd);
	/* 0: the container is gone */
	if (last > 0 && last < first)
		t->reclaimed = first - last;
}

/* Returns the value of a key of memory.stat, or 0. */
static uint64_t
memagent_stat_of(const char *text, const char *key)
{
	size_t n = strlen(key);
	char number[24];
	uint64_t value;

	for (const char *p = text; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
		if (strncmp(p, key, n) != 0 || p[n] != ' ')
			continue;
		(void)snprintf(number, sizeof(number), "%.*s", (int)strcspn(p + n + 1, "\n"),
			       p + n + 1);
		return parse_u64(number, &value) ? value : 0;
	}
	return 0;
}

/* Returns the bytes that have not been used recently. With CONFIG_LRU_GEN, all generations except
 * the youngest two count as inactive. */
static uint64_t
memagent_cold_bytes(int fd, bool swap)
{
	auto_free char *text = malloc(TEXT_MAX);

	if (!text || read_text_at(fd, "memory.stat", text, TEXT_MAX) < 0)
		return 0;
	return memagent_stat_of(text, "inactive_file") +
	       (swap ? memagent_stat_of(text, "inactive_anon") : 0);
}

static uint64_t
memagent_current_bytes(int fd)
{
	char text[32];
	uint64_t bytes;

	return read_text_at(fd, "memory.current", text, sizeof(text)) >= 0 &&
			       parse_u64(text, &bytes)
		       ? bytes
		       : 0;
}

/* Returns the swappiness for memory.reclaim (0: files only), -1 if it need not be given, or -2 if
 * the kernel cannot be limited to files: kernels before 6.8 do not accept a swappiness, which only
 * matters if there is swap. */
static int
memagent_choose_swappiness(const struct memagent_reclaim_work *work, int fd, bool swap)
{
	int wanted = swap ? (int)work->settings.swappiness_max : 0;

	/* the kernel parses this, but reclaims nothing */
	if (memagent_reclaim_step(fd, 0, wanted) == 0)
		return wanted;
	return swap || !memagent_has_swap(work->proc) ? -1 : -2;
}

static bool
memagent_has_swap(int proc)
{
	char text[256];

	/* a heading, and a line per swap area */
	return read_text_at(proc, "swaps", text, sizeof(text)) > 0 && strchr(text, '\n') != NULL;
}

/* Asks the kernel once to reclaim memory. EAGAIN means that it reclaimed less than requested, which
 * is no error. */
static int
memagent_reclaim_step(int fd, uint64_t bytes, int swappiness)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);

	if (swappiness >= 0)
		(void)snprintf(text + n, sizeof(text) - (size_t)n, " swappiness=%d", swappiness);
	return write_text_at(fd, "memory.reclaim", text) < 0 && errno != EAGAIN ? -1 : 0;
}

int
memagent_compact_work(struct worker *w, void *arg, struct error *err)
{
	const int *proc = arg;

	(void)w;
	if (write_text_at(*proc, "sys/vm/compact_memory", "1") < 0)
		return error_sys(err, "failed to write /proc/sys/vm/compact_memory");
	return 0;
}

/* ---- what the kernel reports ---- */

bool
memagent_stalled(int dirfd, const char *path, uint64_t *usec)
{
	static const char key[] = " total=";
	char text[512], *total;

	if (read_text_at(dirfd, path, text, sizeof(text)) < 0 || strncmp(text, "some ", 5) != 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	total = strstr(text, key);
	return total && parse_u64(total + strlen(key), usec);
}

int
memagent_trigger(int dirfd, const char *path, uint32_t percent)
{
	auto_close int fd = openat(dirfd, path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	char text[64];

	if (fd < 0)
		return -1;
	/* the kernel expects the NUL */
	(void)snprintf(text, sizeof(text), "some %u %u",
		       percent > 0 ? percent * (WINDOW_USEC / 100) : 1, WINDOW_USEC);
	if (write_full(fd, text, strlen(text) + 1) < 0)
		return -1;
	return steal_fd(&fd);
}

bool
memagent_fired(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLPRI };

	return poll(&p, 1, timeout_ms) > 0 && (p.revents & POLLPRI);
}

/* Counts the pages in fragments of a line "Node 0, zone   Normal      5      3 ...": blocks of 2^0,
 * 2^1, ... pages. */
static uint64_t
memagent_fragments_of(char *line, uint32_t order)
{
	char *word, *counts = strstr(line, "zone");
	uint64_t pages = 0, n;
	uint32_t i = 0;

	if (!counts)
		return 0;
	counts += strcspn(counts, " ");
	counts += strspn(counts, " ");
	counts += strcspn(counts, " ");
	while (i < order && i < 32 && (word = strsep(&counts, " ")) != NULL) {
		if (!*word)
			continue;
		if (!parse_u64(word, &n))
			break;
		pages += n << i++;
	}
	return pages;
}

bool
memagent_fragments(int proc, uint32_t order, uint64_t *pages)
{
	auto_free char *text = malloc(TEXT_MAX);
	char *rest = text, *line;

	*pages = 0;
	if (!text || read_text_at(proc, "buddyinfo", text, TEXT_MAX) <= 0)
		return false;
	while ((line = strsep(&rest, "\n")) != NULL)
		*pages += memagent_fragments_of(line, order);
	return true;
}
