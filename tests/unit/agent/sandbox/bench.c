/* SPDX-License-Identifier: Apache-2.0 */
/* See bench.h. */
#include "tests/unit/agent/sandbox/bench.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "agent/container/stdio/splice_worker.h"
#include "lib/deadline.h"
#include "tests/support/check.h"

static int
count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	REQUIRE(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

void
bench_init(struct bench *b, int init_fd)
{
	struct error err = ERROR_INIT;
	struct sandbox_parts parts;

	memset(b, 0, sizeof(*b));
	signal(SIGPIPE, SIG_IGN);
	b->fds_before = count_fds();
	strcpy(b->dir, "/tmp/test-sandbox-XXXXXX");
	REQUIRE(mkdtemp(b->dir));
	b->roots = (struct roots){ .proc = open("/proc", O_PATH | O_CLOEXEC),
				   .sys = -1,
				   .dev = open(b->dir, O_PATH | O_CLOEXEC),
				   .cgroup = -1,
				   .run = open(b->dir, O_PATH | O_CLOEXEC),
				   .root = open(b->dir, O_PATH | O_CLOEXEC) };
	b->loop = loop_new(&err);
	REQUIRE(b->loop);
	b->link = initlink_new(b->loop, init_fd, NULL, NULL, &err);
	REQUIRE(b->link);
	b->jobs = jobs_new(b->loop, b->link, NULL, &err);
	REQUIRE(b->jobs);
	b->splice_worker = splice_worker_new(b->loop, b->jobs, &err);
	REQUIRE(b->splice_worker);
	b->storages = storages_new(b->loop, b->jobs, NULL, &b->roots, &err);
	REQUIRE(b->storages);
	parts = (struct sandbox_parts){ .loop = b->loop,
					.splice_worker = b->splice_worker,
					.jobs = b->jobs,
					.init = b->link,
					.storages = b->storages,
					.roots = &b->roots,
					.cdi_timeout_ms = 600000,
					.cdi_device_ms = 600000 };
	b->s = sandbox_new(&parts, &err);
	REQUIRE(b->s);
}

void
bench_release(struct bench *b)
{
	jobs_free(b->jobs);
	sandbox_free(b->s);
	splice_worker_free(b->splice_worker);
	storages_free(b->storages);
	initlink_free(b->link);
	loop_free(b->loop);
	close(b->roots.proc);
	close(b->roots.run);
	close(b->roots.dev);
	close(b->roots.root);
	REQUIRE_EQ(rmdir(b->dir), 0);
	/* The link has taken over an fd that was opened before. */
	REQUIRE_EQ(count_fds(), b->fds_before - 1);
}

void
on_done(const struct error *err, void *data)
{
	struct result *r = data;

	r->ended++;
	r->err = *err;
}

void
finish(struct bench *b, struct result *r)
{
	struct error err = ERROR_INIT;
	uint64_t limit = deadline_in(60000);

	while (r->outcome == OP_PENDING && !r->ended) {
		REQUIRE(!deadline_is_over(limit));
		REQUIRE_OK(loop_run_once(b->loop, 1000, &err), &err);
	}
}

void
submit_sandbox(struct bench *b, const char *hostname, struct result *r)
{
	struct sandbox_request request = { .id = "sb",
					   .hostname = hostname,
					   .guest_hook_path = "" };

	*r = (struct result){ 0 };
	r->outcome = sandbox_create(b->s, &request, on_done, r, &r->pending, &r->err);
}

void
make_sandbox(struct bench *b)
{
	struct result r;

	submit_sandbox(b, "pod", &r);
	finish(b, &r);
	REQUIRE_EQ(r.err.code, ERROR_OK);
	REQUIRE(sandbox_is_created(b->s));
	REQUIRE_STR(sandbox_id(b->s), "sb");
}

void
submit_create(struct bench *b, const char *id, const char *how, struct result *r)
{
	struct sandbox_container_request request = { .id = id, .spec = &r->spec };

	*r = (struct result){ 0 };
	grpc__process__init(&r->process);
	grpc__spec__init(&r->spec);
	r->spec.process = &r->process;
	r->spec.hostname = (char *)(uintptr_t)how;
	/* A result stores only this member of the spec. */
	r->spec.version = (char *)(uintptr_t)how;
	r->outcome = sandbox_create_container(b->s, &request, on_done, r, &r->pending, &r->err);
}

enum error_code
create(struct bench *b, const char *id, const char *how)
{
	struct result r;

	submit_create(b, id, how, &r);
	finish(b, &r);
	return r.err.code;
}

void
submit_start(struct bench *b, const char *id, struct result *r)
{
	*r = (struct result){ 0 };
	r->outcome = sandbox_start_container(b->s, id, on_done, r, &r->pending, &r->err);
}

enum error_code
start(struct bench *b, const char *id)
{
	struct result r;

	submit_start(b, id, &r);
	finish(b, &r);
	return r.err.code;
}

void
submit_exec(struct bench *b, const char *id, const char *exec_id, const char *how, struct result *r)
{
	struct sandbox_exec_request request = { .id = id, .exec_id = exec_id };

	*r = (struct result){ .args = { (char *)(uintptr_t)how } };
	grpc__process__init(&r->process);
	r->process.n_args = 1;
	r->process.args = r->args;
	request.process = &r->process;
	r->outcome = sandbox_exec(b->s, &request, on_done, r, &r->pending, &r->err);
}

void
submit_remove(struct bench *b, const char *id, uint32_t timeout, struct result *r)
{
	*r = (struct result){ 0 };
	r->outcome = sandbox_remove_container(b->s, id, timeout, on_done, r, &r->pending, &r->err);
}

enum error_code
removed(struct bench *b, const char *id)
{
	struct result r;

	submit_remove(b, id, 0, &r);
	finish(b, &r);
	return r.err.code;
}

void
waited(struct process_waiter *w, int status, const struct error *err)
{
	struct waiter *waiter = (struct waiter *)w;

	waiter->ended++;
	waiter->status = status;
	waiter->err = *err;
}

int
wait_for(struct bench *b, const char *id, const char *exec_id)
{
	struct waiter w = { .waiter.done = waited };
	struct error err = ERROR_INIT;
	struct process *p = sandbox_process(b->s, id, exec_id, CONTAINER_CALL_WAIT, &err);
	int status = -1;

	REQUIRE(p);
	if (process_wait(p, &w.waiter, &status) == 0)
		return status;
	UNTIL(b, w.ended);
	REQUIRE_EQ(w.err.code, ERROR_OK);
	return w.status;
}

void
in_agent(fakeinit_body *body)
{
	int leaked = -1;

	REQUIRE_EQ(fakeinit_run(body, NULL, &leaked), 0);
	REQUIRE_EQ(leaked, 0, "%d processes left behind", leaked);
}
