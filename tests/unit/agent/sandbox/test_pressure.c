/* SPDX-License-Identifier: Apache-2.0 */
/* Restoring the limits of held containers, in a worker with synthetic system calls. */
#include <criterion/criterion.h>
#include <errno.h>

#include "agent/cgroup/pressure.h"
#include "agent/sandbox/pressure.h"
#include "agent/sandbox/sandbox_internal.h"
#include "lib/log_event.h"
#include "tests/support/check.h"

/* errno of the next write of a limit; 0: it succeeds. */
static int failure;
static uint64_t written;
static int releases;

static bool
fake_is_over(int root, const char *path, uint64_t limit, bool *mine)
{
	(void)root, (void)path, (void)limit;
	*mine = true;
	return true;
}

static int
fake_set_limit(int root, const char *path, uint64_t limit)
{
	(void)root, (void)path;
	errno = failure;
	if (failure)
		return -1;
	written = limit;
	return 0;
}

static int
fake_send(struct worker *w, uint32_t type, const void *payload, size_t size, const int *fds,
	  size_t n_fds, bool wait, struct error *err)
{
	(void)w, (void)type, (void)payload, (void)size, (void)fds, (void)n_fds, (void)wait,
		(void)err;
	releases++;
	return 0;
}

static void
fake_log(struct worker *w, enum log_level level, const char *fmt, ...)
{
	(void)w, (void)level, (void)fmt;
}

/* The number of reported events of restored limits. */
static int n_events;

static void
fake_event(struct worker *w, enum log_level level, const char *event,
	   const struct log_field *fields, size_t n_fields, const char *fmt, ...)
{
	(void)w, (void)level, (void)fmt;
	CHECK_STR(event, EVENT_MEMORY_RELEASED);
	REQUIRE_EQ(n_fields, 1);
	CHECK_STR(fields[0].key, "container-id");
	CHECK_STR(fields[0].value, "web");
	n_events++;
}

/* Replaces the function of agent/cgroup. */
#define pressure_is_over   fake_is_over
#define pressure_set_limit fake_set_limit
#define worker_send        fake_send
#define worker_log         fake_log
#define worker_event       fake_event
#include "agent/sandbox/pressure.c"

Test(sandbox_pressure, failed_restore_is_retried)
{
	static char id[] = "web", path[] = "pods/web";
	const struct roots roots = { -1, -1, -1, -1, -1, -1 };
	struct hold hold = { .limit = 1000, .own = 5000, .id = "web" };
	struct container c = { .id = id, .cgroup_path = path };
	struct sandbox s = { .parts.roots = &roots };
	struct pressure p = { .s = &s };
	struct error err = ERROR_INIT;

	list_init(&s.containers);
	list_append(&s.containers, &c.node);
	list_init(&p.holds);
	list_append(&p.holds, &hold.node);
	failure = ENOMEM;
	REQUIRE_OK(pressure_restore(NULL, &p, &err), &err);
	CHECK_EQ(releases, 0);
	failure = 0;
	REQUIRE_OK(pressure_restore(NULL, &p, &err), &err);
	CHECK_EQ(releases, 1);
	CHECK_EQ(written, 5000);
	/* The cgroup is being removed. */
	failure = ENOENT;
	REQUIRE_OK(pressure_restore(NULL, &p, &err), &err);
	CHECK_EQ(releases, 2);
	CHECK_EQ(n_events, 1);
}
