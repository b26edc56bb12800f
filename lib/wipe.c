/* SPDX-License-Identifier: Apache-2.0 */
/* Clearing of a worker's memory (wipe.h). */
#include "lib/wipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/parse.h"

/* Stack below the caller's frame that is not wiped, because functions called afterwards use it. */
#define WIPE_STACK_ROOM (32u << 10)

/* A line of /proc/PID/maps (proc_pid_maps(5)). */
struct mapping {
	uintptr_t start, end;
	bool is_private, is_writable, has_file, is_stack, is_special;
};

static bool
parse_mapping(char *line, struct mapping *m)
{
	char *rest = NULL, *dash = strchr(line, '-'), *perms = strchr(line, ' '), *name;
	uint64_t start, end;

	if (!dash || !perms || dash > perms)
		return false;
	*dash = *perms++ = '\0';
	if (!parse_hex(line, &start) || !parse_hex(dash + 1, &end) || strlen(perms) < 5)
		return false;
	name = strrchr(perms, ' ');
	rest = name ? name + 1 : perms;
	*m = (struct mapping){
		.start = (uintptr_t)start,
		.end = (uintptr_t)end,
		.is_writable = perms[1] == 'w',
		.is_private = perms[3] == 'p',
		.has_file = *rest == '/',
		.is_stack = strcmp(rest, "[stack]") == 0,
		.is_special = *rest == '[' && strcmp(rest, "[heap]") != 0 &&
			      strncmp(rest, "[anon", 5) != 0,
	};
	return true;
}

/* Returns whether a mapping is private memory to be wiped. Exceptions are the mapping after that
 * of a file, which holds variables of the program or a library, and the one with the C library's
 * variables of this thread: both are still needed. */
static bool
is_private_memory(const struct mapping *m, const struct mapping *before)
{
	uintptr_t own = (uintptr_t)&errno;

	return m->is_private && m->is_writable && !m->has_file && !m->is_special &&
	       !(before->has_file && before->end == m->start) && !(own >= m->start && own < m->end);
}

static int
wipe_add(struct wipe *plan, const struct mapping *m, const struct mapping *before,
	 struct error *err)
{
	bool is_shared = !m->is_private && !m->is_special;

	if (m->is_stack)
		plan->stack = m->start;
	if (!is_shared && !is_private_memory(m, before))
		return 0;
	/* Two ranges with only a hole between them are merged, because madvise(2) continues
	 * after a hole. */
	if (!is_shared && plan->n > 0 && plan->range[plan->n - 1].end == before->end &&
	    !plan->range[plan->n - 1].is_shared) {
		plan->range[plan->n - 1].end = m->end;
		return 0;
	}
	if (plan->n == WIPE_RANGES_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "failed to plan the memory wipe: more than %d ranges",
				 WIPE_RANGES_MAX);
	plan->range[plan->n].is_shared = is_shared;
	plan->range[plan->n].start = m->start;
	plan->range[plan->n++].end = m->end;
	return 0;
}

int
wipe_plan(int proc_fd, struct wipe *plan, struct error *err)
{
	int fd = openat(proc_fd, "self/maps", O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "re");
	struct mapping m, before = { 0 };
	char line[PATH_MAX + 128];
	int result = 0;

	plan->n = 0;
	plan->stack = 0;
	if (!f) {
		error_sys(err, "failed to read the worker's memory map");
		close_fd(&fd);
		return -1;
	}
	while (result == 0 && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!parse_mapping(line, &m)) {
			result = error_set(err, ERROR_INTERNAL,
					   "invalid line in the worker's memory map");
			break;
		}
		result = wipe_add(plan, &m, &before, err);
		before = m;
	}
	(void)fclose(f);
	return result;
}

#ifdef __SANITIZE_ADDRESS__
void
wipe_apply(const struct wipe *plan)
{
	/* The sanitizer's own memory would be wiped. */
	(void)plan;
}
#else
void
wipe_apply(const struct wipe *plan)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), here = (uintptr_t)&page;
	uintptr_t end = (here - WIPE_STACK_ROOM) & ~(page - 1);

	/* Private anonymous memory reads as zeros afterwards. Shared memory is unmapped, which
	 * does not affect other processes. */
	for (size_t i = 0; i < plan->n; i++) {
		void *start = (void *)plan->range[i].start;
		size_t size = plan->range[i].end - plan->range[i].start;

		(void)(plan->range[i].is_shared ? munmap(start, size)
						: madvise(start, size, MADV_DONTNEED));
	}
	if (plan->stack && plan->stack < end && end < here)
		(void)madvise((void *)plan->stack, end - plan->stack, MADV_DONTNEED);
}
#endif
