/* SPDX-License-Identifier: Apache-2.0 */
/* The wait for CDI devices. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cdi/cdi.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "oci.pb-c.h"
#include "tests/support/check.h"
#include "tests/unit/agent/cdi/tree.h"
#include "tests/unit/agent/job/bench.h"

#define SPEC(name) \
	"{cdiVersion: 0.3.0, kind: v/c, devices: [{name: " name ", containerEdits: {env: [X=1]}}]}"

/* On a machine that is ten times slower, too. */
#define LONG_MS 120000

struct state {
	struct tree tree;
	struct bench b;
	struct cdi_name name;
	struct cdi_names names;
	struct pending *wait;
	int calls;
	struct error err;
	char env[16];
};

static void
on_found(const struct error *err, const uint8_t *edits, size_t size, void *data)
{
	struct state *s = data;
	Grpc__Spec *spec;

	s->wait = NULL;
	s->calls++;
	s->err = *err;
	if (err->code != ERROR_OK)
		return;
	spec = grpc__spec__unpack(NULL, size, edits);
	REQUIRE(spec && spec->process && spec->process->n_env == 1);
	(void)snprintf(s->env, sizeof(s->env), "%s", spec->process->env[0]);
	grpc__spec__free_unpacked(spec, NULL);
}

static void
begin(struct state *s, int init_fd, uint64_t timeout_ms, uint64_t device_ms)
{
	struct cdi_parts parts = { .timeout_ms = timeout_ms, .device_ms = device_ms };

	*s = (struct state){ .name = { "v/c", "x" }, .err = ERROR_INIT };
	s->names = (struct cdi_names){ &s->name, 1 };
	tree_make(&s->tree);
	bench_init(&s->b, init_fd);
	parts.loop = s->b.loop;
	parts.jobs = s->b.jobs;
	parts.roots = &s->tree.roots;
	s->wait = cdi_find(&parts, &s->names, 0, 0, on_found, s, &s->err);
	REQUIRE(s->wait, "%s", s->err.msg);
	REQUIRE_EQ(s->calls, 0);
}

static void
finish(struct state *s)
{
	bench_release(&s->b);
	tree_remove(&s->tree);
}

/* Runs the loop until the wait is over, or until no worker runs. */
static void
run(struct state *s, bool until_idle)
{
	uint64_t limit = deadline_in(LONG_MS);

	do {
		REQUIRE(!deadline_is_over(limit));
		REQUIRE_EQ(loop_run_once(s->b.loop, 1000, &s->err), 0);
	} while (s->calls == 0 && (!until_idle || jobs_running(s->b.jobs) > 0));
}

static int
body_appears(int fd, void *data)
{
	struct state s;

	(void)data;
	begin(&s, fd, LONG_MS, LONG_MS);
	run(&s, true);
	REQUIRE_EQ(s.calls, 0);
	/* No worker is occupied by the wait. */
	REQUIRE_EQ(jobs_running(s.b.jobs), 0u);
	tree_file(&s.tree, "run/cdi/a.yaml", SPEC("y"));
	run(&s, true);
	run(&s, true);
	REQUIRE_EQ(s.calls, 0);
	tree_file(&s.tree, "run/cdi/b.yaml", SPEC("x"));
	run(&s, false);
	REQUIRE_EQ(s.err.code, ERROR_OK, "%s", s.err.msg);
	REQUIRE_STR(s.env, "X=1");
	finish(&s);
	return 0;
}

Test(cdi, device_that_appears)
{
	in_agent(body_appears);
}

static int
body_kind_timed_out(int fd, void *data)
{
	struct state s;

	(void)data;
	begin(&s, fd, 30, LONG_MS);
	run(&s, false);
	REQUIRE_EQ(s.err.code, ERROR_NOT_FOUND);
	REQUIRE(strstr(s.err.msg, "timed out: CDI device v/c=x: no CDI spec in /etc/cdi and "
				  "/var/run/cdi has kind v/c"),
		"%s", s.err.msg);
	finish(&s);
	return 0;
}

Test(cdi, kind_that_does_not_appear)
{
	in_agent(body_kind_timed_out);
}

/* A device that the specs of its kind lack is waited for a shorter time. */
static int
body_device_timed_out(int fd, void *data)
{
	struct state s;

	(void)data;
	begin(&s, fd, LONG_MS * 10, 30);
	tree_file(&s.tree, "run/cdi/a.yaml", SPEC("y"));
	run(&s, false);
	REQUIRE_EQ(s.err.code, ERROR_NOT_FOUND);
	REQUIRE(strstr(s.err.msg, "of its kind"), "%s", s.err.msg);
	finish(&s);
	return 0;
}

Test(cdi, device_that_does_not_appear)
{
	in_agent(body_device_timed_out);
}

/* Without inotify the specs are read every second. */
static int
body_polls(int fd, void *data)
{
	static const char limit[] = "/proc/sys/user/max_inotify_instances";
	struct state s;

	(void)data;
	if (unshare(CLONE_NEWUSER) < 0 || write_text_at(AT_FDCWD, limit, "0") < 0)
		return 0;
	begin(&s, fd, LONG_MS, LONG_MS);
	run(&s, true);
	REQUIRE_EQ(s.calls, 0);
	tree_file(&s.tree, "run/cdi/a.yaml", SPEC("x"));
	run(&s, false);
	REQUIRE_EQ(s.err.code, ERROR_OK, "%s", s.err.msg);
	REQUIRE_STR(s.env, "X=1");
	finish(&s);
	return 0;
}

Test(cdi, no_inotify_instance_left)
{
	in_agent(body_polls);
}

static int
body_cancelled(int fd, void *data)
{
	struct state s;

	(void)data;
	/* while the worker runs */
	begin(&s, fd, LONG_MS, LONG_MS);
	pending_cancel(&s.wait);
	while (jobs_running(s.b.jobs) > 0)
		REQUIRE_EQ(loop_run_once(s.b.loop, 1000, &s.err), 0);
	REQUIRE_EQ(s.calls, 0);
	finish(&s);
	return 0;
}

Test(cdi, cancelled_while_reading)
{
	in_agent(body_cancelled);
}

static int
body_cancelled_waiting(int fd, void *data)
{
	struct state s;

	(void)data;
	begin(&s, fd, LONG_MS, LONG_MS);
	run(&s, true);
	pending_cancel(&s.wait);
	tree_file(&s.tree, "run/cdi/a.yaml", SPEC("x"));
	REQUIRE_EQ(loop_run_once(s.b.loop, 10, &s.err), 0);
	REQUIRE_EQ(s.calls, 0);
	finish(&s);
	return 0;
}

Test(cdi, cancelled_while_waiting)
{
	in_agent(body_cancelled_waiting);
}
