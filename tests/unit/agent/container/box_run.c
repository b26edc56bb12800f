/* SPDX-License-Identifier: Apache-2.0 */
/* Containers and processes in the box (box.h). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/container/launch/launch.h"
#include "agent/container/spec/validate.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "tests/support/check.h"
#include "tests/unit/agent/container/box.h"

#define LIMIT_NS UINT64_C(30000000000)

static void
turn(struct box *b, uint64_t since)
{
	struct error err = ERROR_INIT;

	REQUIRE_LT(monotonic_ns() - since, LIMIT_NS);
	REQUIRE_OK(loop_run_once(b->loop, 1000, &err), &err);
}

static void
on_done(struct job *job, const struct error *err, void *data)
{
	struct box *b = data;

	(void)job;
	b->done = true;
	b->error = *err;
}

static void
on_end(int status, bool gone, void *data)
{
	struct box_process *p = data;

	p->ended = true;
	p->status = gone ? 255 : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* A running launch or exec job. */
struct task {
	struct hung_cgroups *hung;
	struct box *box;
	struct box_container *c;
	struct box_process *p;
	const Grpc__Process *process;
	int stdio[3];
	int gate;
};

static void
task_done(struct job *job, const struct error *err, void *data)
{
	struct task *t = data;

	on_done(job, err, t->box);
}

static int
take_tty(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct task *t = data;

	(void)job;
	(void)err;
	t->p->pty = steal_fd(&m->fds[0]);
	return 0;
}

static int
take_filter(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct task *t = data;

	(void)job;
	(void)err;
	memcpy(&t->c->filter, m->payload, m->size);
	return 0;
}

static int
take_cgroup(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct task *t = data;

	(void)job;
	(void)m;
	if (t->p->box->refuses_cgroup)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "no watches are left");
	return 0;
}

static int
take_nothing(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	(void)job, (void)m, (void)data, (void)err;
	return 0;
}

static int
take_namespaces(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct task *t = data;
	const uint8_t *kinds = m->payload;

	(void)job;
	(void)err;
	REQUIRE_GE(m->size, m->n_fds);
	for (size_t i = 0; i < m->n_fds; i++) {
		REQUIRE_LT(kinds[i], NS_KINDS);
		REQUIRE_LT(t->c->ns[kinds[i]], 0);
		t->c->ns[kinds[i]] = steal_fd(&m->fds[i]);
	}
	for (size_t i = m->n_fds; i < m->size; i++) {
		REQUIRE_LT(kinds[i], NS_KINDS);
		t->c->ns[kinds[i]] = fcntl(t->box->sandbox_ns[kinds[i]], F_DUPFD_CLOEXEC, 3);
		REQUIRE_GE(t->c->ns[kinds[i]], 0);
	}
	return 0;
}

static const struct job_message_type messages[] = {
	[LAUNCH_MSG_TTY] = { .handler = take_tty, .n_fds = 1 },
	[LAUNCH_MSG_FILTER] = { .handler = take_filter, .size_max = sizeof(struct filter) },
	[LAUNCH_MSG_DEVICES] = { .handler = take_nothing,
				 .size = 8,
				 .size_max = JOB_MESSAGE_MAX,
				 .n_fds = 1 },
	[LAUNCH_MSG_CGROUP] = { .handler = take_cgroup,
				.size = sizeof(struct launch_cgroup),
				.n_fds_max = 1 },
	[LAUNCH_MSG_REPORT] = { .handler = take_nothing, .n_fds = 1 },
	[LAUNCH_MSG_NAMESPACES] = { .handler = take_namespaces,
				    .size_max = NS_KINDS,
				    .n_fds_max = NS_KINDS },
};

static int
task_process(struct job *job, pid_t pid, int pidfd, void *data, struct error *err)
{
	struct task *t = data;

	(void)job;
	t->p->pid = pid;
	t->p->pidfd = pidfd;
	return initlink_watch(t->box->link, pid, on_end, t->p, err) ? 0 : -1;
}

static void
open_stdio(struct task *t, bool terminal)
{
	int out[2], in;

	for (int i = 0; i < 3; i++)
		t->stdio[i] = -1;
	if (terminal)
		return;
	REQUIRE_EQ(pipe2(out, O_CLOEXEC), 0);
	in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	REQUIRE_GE(in, 0);
	REQUIRE_EQ(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
	t->p->out = out[0];
	t->stdio[0] = in;
	t->stdio[1] = out[1];
	t->stdio[2] = fcntl(out[1], F_DUPFD_CLOEXEC, 3);
}

static size_t
keep_roots(const struct box *b, int *keep)
{
	const int all[] = {
		b->roots.proc,   b->roots.sys, b->roots.dev,
		b->roots.cgroup, b->roots.run, b->roots.root,
	};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i] >= 0)
			keep[n++] = all[i];
	}
	return n;
}

static int
run_job(struct box *b, const struct job_ops *ops, struct task *t, const int *more, size_t n_more)
{
	int keep[48];
	size_t n = keep_roots(b, keep);
	struct error err = ERROR_INIT;
	struct job_spec spec = {
		.ops = ops, .arg = t, .data = t, .keep_fds = keep, .deadline_ms = 60000
	};
	uint64_t since = monotonic_ns();

	for (size_t i = 0; i < n_more; i++) {
		if (more[i] >= 0)
			keep[n++] = more[i];
	}
	spec.n_keep_fds = n;
	b->done = false;
	REQUIRE(job_start(b->jobs, &spec, &err));
	while (!b->done)
		turn(b, since);
	return b->error.code == ERROR_OK ? 0 : -1;
}

static int
launch_work(struct worker *w, void *arg, struct error *err)
{
	struct task *t = arg;
	struct launch l = {
		.id = t->c->id,
		.sandbox_id = "box",
		.spec = t->c->spec,
		.roots = &t->box->roots,
		.cgroup_path = t->c->cgroup_path,
		.bundle = t->c->bundle,
		.start_gate = t->gate,
		.pidns_owner = t->box->pidns_owner,
		.sends_pid_ns = t->box->sends_pid_ns,
	};

	memcpy(l.stdio, t->stdio, sizeof(l.stdio));
	memcpy(l.sandbox_ns, t->box->sandbox_ns, sizeof(l.sandbox_ns));
	return container_launch(w, &l, err);
}

static void
process_init(struct box_process *p, struct box *b)
{
	*p = (struct box_process){ .pidfd = -1, .out = -1, .gate = -1, .pty = -1, .box = b };
}

static void
process_release(struct box_process *p)
{
	close_fd(&p->pidfd);
	close_fd(&p->out);
	close_fd(&p->gate);
	close_fd(&p->pty);
}

/* After a launch that failed: its process, if there was one, is dead and reported. */
static void
drop_failed(struct box *b, struct box_process *p)
{
	uint64_t since = monotonic_ns();

	while (p->pid && !p->ended)
		turn(b, since);
	process_release(p);
}

int
box_launch(struct box *b, struct box_container *c, const char *id, const Grpc__Spec *spec)
{
	static const struct job_ops ops = {
		.name = "launch",
		.work = launch_work,
		.messages = messages,
		.n_messages = ARRAY_LEN(messages),
		.process = task_process,
		.done = task_done,
	};
	struct task t = { .box = b, .c = c, .p = &c->init };
	int gate[2], more[3 + 1 + NS_KINDS + 1], result;

	memset(c, 0, sizeof(*c));
	c->spec = spec;
	process_init(&c->init, b);
	for (size_t i = 0; i < NS_KINDS; i++)
		c->ns[i] = -1;
	snprintf(c->id, sizeof(c->id), "%s", id);
	snprintf(c->bundle, sizeof(c->bundle), RUN_DIR "/%s", id);
	snprintf(c->cgroup_path, sizeof(c->cgroup_path), "pods/test-%d/%s", (int)getpid(), id);
	if (spec_validate(spec, &b->error) < 0)
		return -1;
	open_stdio(&t, spec->process->terminal);
	REQUIRE_EQ(pipe2(gate, O_CLOEXEC), 0);
	t.gate = gate[0];
	c->init.gate = gate[1];
	memcpy(more, t.stdio, sizeof(t.stdio));
	more[3] = gate[0];
	memcpy(more + 4, b->sandbox_ns, sizeof(b->sandbox_ns));
	more[4 + NS_KINDS] = b->pidns_owner;
	result = run_job(b, &ops, &t, more, ARRAY_LEN(more));
	close_fd(&gate[0]);
	for (int i = 0; i < 3; i++)
		close_fd(&t.stdio[i]);
	if (result < 0) {
		drop_failed(b, &c->init);
		for (size_t i = 0; i < NS_KINDS; i++)
			close_fd(&c->ns[i]);
	}
	return result;
}

void
box_start(struct box_container *c)
{
	REQUIRE_EQ(write(c->init.gate, "", 1), 1);
	close_fd(&c->init.gate);
}

/* Reads the available output. Returns false at the end. */
static bool
drain(struct box_process *p)
{
	int fd = p->pty >= 0 ? p->pty : p->out;

	for (;;) {
		ssize_t n;

		if (fd < 0)
			return false;
		REQUIRE_LT(p->n_output, sizeof(p->output) - 1);
		if (p->pty >= 0)
			(void)fcntl(fd, F_SETFL, O_NONBLOCK);
		n = read(fd, p->output + p->n_output, sizeof(p->output) - 1 - p->n_output);
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		p->n_output += (size_t)n;
	}
}

int
box_wait(struct box *b, struct box_process *p)
{
	uint64_t since = monotonic_ns();

	while (drain(p) || !p->ended) {
		struct error err = ERROR_INIT;

		REQUIRE_LT(monotonic_ns() - since, LIMIT_NS);
		REQUIRE_OK(loop_run_once(b->loop, 2, &err), &err);
	}
	close_fd(&p->out);
	close_fd(&p->pty);
	close_fd(&p->pidfd);
	return p->status;
}

void
box_expect(struct box *b, struct box_process *p, const char *text)
{
	uint64_t since = monotonic_ns();

	while (!strstr(p->output, text)) {
		struct error err = ERROR_INIT;
		bool more = drain(p);

		if (strstr(p->output, text))
			return;
		if (!more || monotonic_ns() - since > LIMIT_NS)
			fprintf(stderr, "waiting for \"%s\", got \"%s\"\n", text, p->output);
		REQUIRE(more);
		REQUIRE_LT(monotonic_ns() - since, LIMIT_NS);
		REQUIRE_OK(loop_run_once(b->loop, 2, &err), &err);
	}
}

static int
exec_work(struct worker *w, void *arg, struct error *err)
{
	struct task *t = arg;
	struct launch_exec x = {
		.container_id = t->c->id,
		.spec = t->c->spec,
		.process = t->process,
		.filter = t->c->filter.n ? &t->c->filter : NULL,
		.roots = &t->box->roots,
		.init_pidfd = t->c->init.pidfd,
		.init_pid = t->c->init.pid,
		.cgroup_path = t->c->cgroup_path,
	};

	memcpy(x.ns, t->c->ns, sizeof(x.ns));
	memcpy(x.stdio, t->stdio, sizeof(x.stdio));
	return container_exec(w, &x, err);
}

int
box_exec(struct box *b, struct box_container *c, const Grpc__Process *process,
	 struct box_process *p)
{
	static const struct job_ops ops = {
		.name = "exec",
		.work = exec_work,
		.messages = messages,
		.n_messages = ARRAY_LEN(messages),
		.process = task_process,
		.done = task_done,
	};
	struct task t = { .box = b, .c = c, .p = p, .process = process };
	int more[3 + 1 + NS_KINDS], result;

	process_init(p, b);
	if (process_validate(process, &b->error) < 0)
		return -1;
	open_stdio(&t, process->terminal);
	memcpy(more, t.stdio, sizeof(t.stdio));
	more[3] = c->init.pidfd;
	memcpy(more + 4, c->ns, sizeof(c->ns));
	result = run_job(b, &ops, &t, more, ARRAY_LEN(more));
	for (int i = 0; i < 3; i++)
		close_fd(&t.stdio[i]);
	if (result < 0)
		drop_failed(b, p);
	return result;
}

static int
remove_work(struct worker *w, void *arg, struct error *err)
{
	struct task *t = arg;
	struct teardown down = {
		.id = t->c->id,
		.roots = &t->box->roots,
		.cgroup_path = t->c->cgroup_path,
		.bundle = t->c->bundle,
		.spec = t->c->spec,
		.hung = t->hung,
	};

	return container_teardown(w, &down, err);
}

static int
take_hung(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct task *t = data;

	(void)job, (void)m, (void)err;
	t->hung->path[t->hung->n++] = t->c->cgroup_path;
	return 0;
}

static int
take_gone(struct job *job, const struct job_message *m, void *data, struct error *err)
{
	struct task *t = data;

	(void)job, (void)err;
	REQUIRE_STR((const char *)m->payload, t->hung->path[0]);
	t->hung->n = 0;
	return 0;
}

int
box_try_remove(struct box *b, struct box_container *c, struct hung_cgroups *hung)
{
	static const struct job_message_type types[] = {
		[TEARDOWN_MSG_HUNG] = { .handler = take_hung, .size = 1, .size_max = 256 },
		[TEARDOWN_MSG_GONE] = { .handler = take_gone, .size = 1, .size_max = 256 },
	};
	static const struct job_ops ops = { .name = "remove",
					    .work = remove_work,
					    .messages = types,
					    .n_messages = ARRAY_LEN(types),
					    .done = task_done };
	struct task t = { .box = b, .c = c, .hung = hung };

	return run_job(b, &ops, &t, NULL, 0);
}

/* Checks that no part of a container is left. */
static void
check_gone(struct box *b, struct box_container *c)
{
	auto_close int fd =
		b->roots.cgroup >= 0 ? cgroup_open(b->roots.cgroup, c->cgroup_path) : -1;

	REQUIRE_LT(fd, 0);
	REQUIRE(!box_exists(c->bundle));
}

void
box_remove(struct box *b, struct box_container *c)
{
	static const struct job_ops ops = { .name = "remove",
					    .work = remove_work,
					    .done = task_done };
	struct task t = { .box = b, .c = c };

	if (run_job(b, &ops, &t, NULL, 0) < 0)
		fprintf(stderr, "remove: %s\n", b->error.msg);
	REQUIRE_EQ(b->error.code, ERROR_OK);
	(void)box_wait(b, &c->init);
	for (size_t i = 0; i < NS_KINDS; i++)
		close_fd(&c->ns[i]);
	process_release(&c->init);
	check_gone(b, c);
}

int
box_run(struct box *b, struct box_container *c, const Grpc__Spec *spec)
{
	int status;

	if (box_launch(b, c, "c1", spec) < 0)
		fprintf(stderr, "launch: %s\n", b->error.msg);
	REQUIRE_EQ(b->error.code, ERROR_OK);
	box_start(c);
	status = box_wait(b, &c->init);
	box_remove(b, c);
	return status;
}

void
box_refuse(struct box *b, const Grpc__Spec *spec, enum error_code code, const char *text)
{
	struct box_container c;
	int result = box_launch(b, &c, "c1", spec);

	if (result == 0 || b->error.code != code || !strstr(b->error.msg, text))
		fprintf(stderr, "launch: %d, %s: %s\n", result, error_code_name(b->error.code),
			b->error.msg);
	REQUIRE_LT(result, 0);
	REQUIRE_EQ(b->error.code, code);
	REQUIRE_HAS(b->error.msg, text);
	check_gone(b, &c);
	b->error = ERROR_INIT;
}

struct own_work {
	/* first: what the callbacks take */
	struct task task;
	job_work_fn *fn;
	void *arg;
};

static int
own_work(struct worker *w, void *arg, struct error *err)
{
	struct own_work *own = arg;

	return own->fn(w, own->arg, err);
}

int
box_work(struct box *b, job_work_fn *work, void *arg)
{
	static const struct job_ops ops = { .name = "test", .work = own_work, .done = task_done };
	struct own_work own = { .task = { .box = b }, .fn = work, .arg = arg };

	return run_job(b, &ops, &own.task, NULL, 0);
}

void
box_sh(struct box *b, const Grpc__Spec *spec, const char *script, const char *output)
{
	char *args[] = { "/bin/sh", "-c", (char *)(uintptr_t)script };
	Grpc__Process process = *spec->process;
	Grpc__Spec s = *spec;
	struct box_container c;
	int status;

	process.args = args;
	process.n_args = ARRAY_LEN(args);
	s.process = &process;
	status = box_run(b, &c, &s);
	if (status != 0 || strcmp(c.init.output, output) != 0)
		fprintf(stderr, "%s: status %d, expected \"%s\", got \"%s\"\n", script, status,
			output, c.init.output);
	REQUIRE_EQ(status, 0);
	REQUIRE_STR(c.init.output, output);
}
