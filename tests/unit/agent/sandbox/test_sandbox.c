/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's operations one by one: their effects, and that a failure at any stage leaves
 * nothing behind. */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "lib/client_texts.h"
#include "tests/support/check.h"
#include "tests/unit/agent/sandbox/bench.h"

/* ---- the sandbox ---- */

static int
body_sandbox(int fd, void *data)
{
	struct bench b;
	struct result r;

	(void)data;
	bench_init(&b, fd);
	REQUIRE_EQ(create(&b, "c1", ""), ERROR_FAILED_PRECONDITION);
	submit_sandbox(&b, "fail", &r);
	finish(&b, &r);
	REQUIRE_EQ(r.err.code, ERROR_INTERNAL);
	REQUIRE_HAS(r.err.msg, "no namespaces today");
	REQUIRE(!sandbox_is_created(b.s));
	/* A cancelled CreateSandbox has no effect. */
	submit_sandbox(&b, "hang", &r);
	REQUIRE_EQ(r.outcome, OP_PENDING);
	pending_cancel(&r.pending);
	UNTIL(&b, jobs_running(b.jobs) == 0);
	submit_sandbox(&b, "01234567890123456789012345678901234567890123456789012345678901234", &r);
	REQUIRE_EQ(r.outcome, OP_FAILED);
	REQUIRE_EQ(r.err.code, ERROR_INVALID_ARGUMENT);
	make_sandbox(&b);
	submit_sandbox(&b, "pod", &r);
	REQUIRE_EQ(r.outcome, OP_FAILED);
	REQUIRE_EQ(r.err.code, ERROR_ALREADY_EXISTS);
	bench_release(&b);
	return 0;
}

Test(sandbox, is_created_once)
{
	in_agent(body_sandbox);
}

/* ---- one container from end to end ---- */

static int
body_life(int fd, void *data)
{
	struct bench b;
	struct error err = ERROR_INIT;
	struct process *p;

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	REQUIRE_EQ(create(&b, "c1", ""), ERROR_OK);
	REQUIRE_EQ(create(&b, "c1", ""), ERROR_ALREADY_EXISTS);
	REQUIRE_EQ(create(&b, "..", ""), ERROR_INVALID_ARGUMENT);
	REQUIRE_EQ(start(&b, "c1"), ERROR_OK);
	REQUIRE_EQ(start(&b, "c1"), ERROR_FAILED_PRECONDITION);
	REQUIRE_EQ(start(&b, "c2"), ERROR_INVALID_ARGUMENT);
	p = sandbox_process(b.s, "c1", "", CONTAINER_CALL_STREAM, &err);
	REQUIRE(p);
	input_close(&p->stdio.in);
	REQUIRE_EQ(wait_for(&b, "c1", "c1"), 7);
	REQUIRE_EQ(start(&b, "c1"), ERROR_FAILED_PRECONDITION);
	REQUIRE_EQ(removed(&b, "c1"), ERROR_OK);
	REQUIRE_EQ(removed(&b, "c1"), ERROR_INVALID_ARGUMENT);
	REQUIRE_EQ(sandbox_containers(b.s), 0);
	bench_release(&b);
	return 0;
}

Test(sandbox, container_from_create_to_remove)
{
	in_agent(body_life);
}

static int
body_running(int fd, void *data)
{
	struct bench b;
	struct waiter w = { .waiter.done = waited };
	struct error err = ERROR_INIT;
	struct result r;
	struct process *p;
	int status;

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	REQUIRE_EQ(create(&b, "c1", ""), ERROR_OK);
	REQUIRE_EQ(start(&b, "c1"), ERROR_OK);
	p = sandbox_process(b.s, "c1", "", CONTAINER_CALL_WAIT, &err);
	REQUIRE(p);
	REQUIRE_EQ(process_wait(p, &w.waiter, &status), 1);
	submit_remove(&b, "c1", 0, &r);
	/* The parked waiter still gets the exit code. */
	finish(&b, &r);
	REQUIRE_EQ(r.err.code, ERROR_OK);
	REQUIRE_EQ(w.ended, 1);
	REQUIRE_EQ(w.status, 137);
	/* The same for a container that was not started. */
	REQUIRE_EQ(create(&b, "c1", ""), ERROR_OK);
	REQUIRE_EQ(removed(&b, "c1"), ERROR_OK);
	bench_release(&b);
	return 0;
}

Test(sandbox, remove_kills_running_container)
{
	in_agent(body_running);
}

/* ---- failures ---- */

static int
body_failures(int fd, void *data)
{
	struct bench b;
	struct result r;

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	REQUIRE_EQ(create(&b, "c1", "fail"), ERROR_INTERNAL);
	REQUIRE_EQ(sandbox_containers(b.s), 0);
	REQUIRE_EQ(create(&b, "c1", "dead"), ERROR_OK);
	REQUIRE_EQ(wait_for(&b, "c1", ""), 137);
	REQUIRE_EQ(start(&b, "c1"), ERROR_FAILED_PRECONDITION);
	REQUIRE_EQ(removed(&b, "c1"), ERROR_OK);
	/* The call is cancelled while the launch hangs. */
	submit_create(&b, "c1", "hang", &r);
	REQUIRE_EQ(r.outcome, OP_PENDING);
	pending_cancel(&r.pending);
	UNTIL(&b, sandbox_containers(b.s) == 0);
	REQUIRE_EQ(r.ended, 0);
	bench_release(&b);
	return 0;
}

Test(sandbox, failed_create_leaves_nothing)
{
	in_agent(body_failures);
}

static int
body_storage(int fd, void *data)
{
	static const struct storage_spec storage = {
		.driver = "no-such-driver", .source = "s", .fstype = "f", .mount_point = "/m"
	};
	struct bench b;
	struct result r = { 0 };
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	struct sandbox_container_request request = {
		.id = "c1", .spec = &spec, .storages = &storage, .n_storages = 1
	};

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	spec.process = &process;
	r.outcome = sandbox_create_container(b.s, &request, on_done, &r, &r.pending, &r.err);
	finish(&b, &r);
	REQUIRE_NE(r.err.code, ERROR_OK);
	REQUIRE_HAS(r.err.msg, "no-such-driver");
	REQUIRE_EQ(sandbox_containers(b.s), 0);
	REQUIRE_EQ(storages_count(b.storages), 0);
	bench_release(&b);
	return 0;
}

Test(sandbox, unavailable_storage)
{
	in_agent(body_storage);
}

/* ---- the shared pid namespace ---- */

/* The message of the last refused create. */
static char refusal[ERROR_MSG_MAX];

static enum error_code
create_sharing(struct bench *b, const char *id)
{
	struct result r = { 0 };
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	struct sandbox_container_request request = { .id = id,
						     .spec = &spec,
						     .sandbox_pidns = true };

	spec.process = &process;
	r.outcome = sandbox_create_container(b->s, &request, on_done, &r, &r.pending, &r.err);
	finish(b, &r);
	memcpy(refusal, r.err.msg, sizeof(refusal));
	return r.err.code;
}

static int
body_pidns(int fd, void *data)
{
	struct bench b;
	struct error err = ERROR_INIT;
	struct process *p;

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	REQUIRE_EQ(create_sharing(&b, "c1"), ERROR_OK);
	REQUIRE_EQ(create_sharing(&b, "c2"), ERROR_OK);
	/* The namespace ends with the first container's init ... */
	p = sandbox_process(b.s, "c1", "", CONTAINER_CALL_SIGNAL, &err);
	REQUIRE(p);
	REQUIRE_OK(sandbox_signal(b.s, p, SIGKILL, &err), &err);
	REQUIRE_EQ(wait_for(&b, "c1", ""), 137);
	REQUIRE_EQ(create_sharing(&b, "c3"), ERROR_FAILED_PRECONDITION);
	/* ... and no new one is made until all containers are removed. */
	REQUIRE_EQ(removed(&b, "c1"), ERROR_OK);
	REQUIRE_EQ(create_sharing(&b, "c3"), ERROR_FAILED_PRECONDITION);
	REQUIRE_HAS(refusal, TEXT_NO_SANDBOX_PIDNS);
	REQUIRE_EQ(removed(&b, "c2"), ERROR_OK);
	REQUIRE_EQ(create_sharing(&b, "c3"), ERROR_OK);
	REQUIRE_EQ(removed(&b, "c3"), ERROR_OK);
	bench_release(&b);
	return 0;
}

Test(sandbox, shared_pid_namespace)
{
	in_agent(body_pidns);
}

/* ---- cgroups ---- */

static int
body_cgroups(int fd, void *data)
{
	static const struct {
		const char *path;
		bool allowed;
	} rows[] = {
		{ "k8s/pod/a", false }, { "k8s/pod", false },  { "k8s/pod/a/b", false },
		{ "k8s/pod/ab", true }, { "k8s/pod/b", true }, { "", true },
	};
	struct bench b;

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	for (size_t i = 0; i <= sizeof(rows) / sizeof(rows[0]); i++) {
		struct result r = { 0 };
		Grpc__Spec spec = GRPC__SPEC__INIT;
		Grpc__Process process = GRPC__PROCESS__INIT;
		Grpc__Linux linux_part = GRPC__LINUX__INIT;
		struct sandbox_container_request request = { .id = i == 0 ? "first" : "next",
							     .spec = &spec };
		bool allowed = i == 0 || rows[i - 1].allowed;

		spec.process = &process;
		spec.linux = &linux_part;
		linux_part.cgroupspath =
			(char *)(uintptr_t)(i == 0 ? "k8s/pod/a" : rows[i - 1].path);
		r.outcome =
			sandbox_create_container(b.s, &request, on_done, &r, &r.pending, &r.err);
		finish(&b, &r);
		REQUIRE_EQ(r.err.code, allowed ? ERROR_OK : ERROR_INVALID_ARGUMENT);
		if (i > 0 && allowed)
			REQUIRE_EQ(removed(&b, "next"), ERROR_OK);
	}
	REQUIRE_EQ(removed(&b, "first"), ERROR_OK);
	bench_release(&b);
	return 0;
}

Test(sandbox, overlapping_cgroups_are_refused)
{
	in_agent(body_cgroups);
}
