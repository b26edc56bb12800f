/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that are passed through, with a real splice worker, real processes, and sockets as the
 * host's ends. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/job/job_internal.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/sandbox/bench.h"

/* The host's and the agent's ends of three connections. */
struct host {
	int fd[3], ours[3];
};

static void
connect_host(struct host *h)
{
	for (int i = 0; i < 3; i++) {
		int fds[2];

		REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			   0);
		h->fd[i] = fds[0];
		h->ours[i] = fds[1];
	}
}

/* Reads from a host's end until the other side closes it, running the loop meanwhile. */
static void
read_to_end(struct bench *b, int fd, char *out, size_t size)
{
	size_t len = 0;

	for (;;) {
		ssize_t n = read(fd, out + len, size - 1 - len);

		if (n == 0)
			break;
		if (n > 0)
			len += (size_t)n;
		else
			UNTIL(b, poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0) == 1);
	}
	out[len] = '\0';
}

static void
create_with(struct bench *b, const char *how, struct host *h)
{
	struct result r = { 0 };
	struct sandbox_container_request request = { .id = "c1", .spec = &r.spec };

	connect_host(h);
	request.pass = h->ours;
	grpc__process__init(&r.process);
	grpc__spec__init(&r.spec);
	r.spec.process = &r.process;
	r.spec.hostname = (char *)(uintptr_t)how;
	r.spec.version = (char *)(uintptr_t)how;
	r.outcome = sandbox_create_container(b->s, &request, on_done, &r, &r.pending, &r.err);
	for (int i = 0; i < 3; i++)
		REQUIRE_EQ(h->ours[i], -1);
	finish(b, &r);
	REQUIRE_EQ(r.err.code == ERROR_OK, strcmp(how, "fail") != 0);
}

static int
body_through(int fd, void *data)
{
	struct waiter w = { .waiter.done = waited };
	struct error err = ERROR_INIT;
	struct host h;
	struct bench b;
	struct process *p;
	char text[64];
	int status;

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	create_with(&b, "", &h);
	REQUIRE_EQ(start(&b, "c1"), ERROR_OK);
	p = sandbox_process(b.s, "c1", "", CONTAINER_CALL_WAIT, &err);
	REQUIRE(p);
	REQUIRE_EQ(process_wait(p, &w.waiter, &status), 1);
	/* The process ends with its stdin; calls cannot write to it. */
	REQUIRE_EQ(input_write(&p->stdio.in, &(struct stdio_write){ .len = 1 }, &err),
		   STDIO_FAILED);
	REQUIRE_HAS(err.msg, "passed through");
	REQUIRE_EQ(output_read(&p->stdio.out, &(struct stdio_read){ .max = 9 }, &err), STDIO_DONE);
	REQUIRE_EQ(write(h.fd[0], "abc", 3), 3);
	close(h.fd[0]);
	read_to_end(&b, h.fd[1], text, sizeof(text));
	REQUIRE_STR(text, "up\n");
	read_to_end(&b, h.fd[2], text, sizeof(text));
	REQUIRE_EQ(text[0], '\0');
	UNTIL(&b, w.ended);
	REQUIRE_EQ(w.status, 7);
	REQUIRE_EQ(removed(&b, "c1"), ERROR_OK);
	close(h.fd[1]);
	close(h.fd[2]);
	bench_release(&b);
	return 0;
}

Test(pass, both_directions_and_exit_after_output)
{
	in_agent(body_through);
}

static int
body_failed(int fd, void *data)
{
	struct host h;
	struct bench b;
	char text[64];

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	create_with(&b, "fail", &h);
	for (int i = 0; i < 3; i++) {
		read_to_end(&b, h.fd[i], text, sizeof(text));
		REQUIRE_EQ(text[0], '\0');
		close(h.fd[i]);
	}
	bench_release(&b);
	return 0;
}

Test(pass, failed_create_closes_streams)
{
	in_agent(body_failed);
}

static void
kill_pump(const struct bench *b)
{
	struct list *pos;

	list_for_each (pos, &b->jobs->processes) {
		const struct worker_proc *slot = list_entry(pos, struct worker_proc, node);

		if (slot->job && strcmp(slot->job->ops->name, "splice streams") == 0)
			worker_proc_kill(slot);
	}
}

static int
body_pump_dies(int fd, void *data)
{
	struct host h, second;
	struct bench b;
	struct result gone;
	char text[64];

	(void)data;
	bench_init(&b, fd);
	make_sandbox(&b);
	create_with(&b, "", &h);
	REQUIRE_EQ(jobs_running(b.jobs), 1);
	kill_pump(&b);
	for (int i = 1; i < 3; i++) {
		read_to_end(&b, h.fd[i], text, sizeof(text));
		close(h.fd[i]);
	}
	close(h.fd[0]);
	submit_remove(&b, "c1", 0, &gone);
	finish(&b, &gone);
	REQUIRE_EQ(gone.err.code, ERROR_OK);
	UNTIL(&b, jobs_running(b.jobs) == 0);
	/* The next container gets a new splice worker. */
	create_with(&b, "quick", &second);
	REQUIRE_EQ(start(&b, "c1"), ERROR_OK);
	REQUIRE_EQ(wait_for(&b, "c1", ""), 3);
	REQUIRE_EQ(removed(&b, "c1"), ERROR_OK);
	for (int i = 0; i < 3; i++)
		close(second.fd[i]);
	bench_release(&b);
	return 0;
}

Test(pass, dead_splice_worker_is_replaced)
{
	in_agent(body_pump_dies);
}
