/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the containers of a pod. Of each container:
 *
 *	 podrun_start()        WaitProcess answers         removed, not to be restarted
 *	---------------> UP ------------------------> EXITED ---------------------------> OVER
 *	                 ^                              |
 *	                 | its delay has passed         | removed, to be restarted
 *	                 +---------- WAITING <----------+
 */
#include "ctl/pod/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "agent.pb-c.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/ttrpc/client.h"

#define CHUNK   (64u << 10)
#define CALL_MS 60000
/* Longest delay before a restart. The delay starts at 500 ms and doubles. */
#define RESTART_MAX_MS 10000

struct container;

/* State of a probe. */
struct probing {
	const struct manifest_probe *p;
	struct container *c;
	const char *kind;
	/* start of the next run; deadline of the current one */
	uint64_t due_ns, until_ns;
	unsigned int runs;
	bool is_running, is_answered;
	/* exit code of the last run, -1: none */
	int result;
	int failures;
};

struct container {
	struct podrun *run;
	const struct manifest_container *m;
	size_t index;
	char id[160];
	int log;
	/* is_over: not restarted */
	bool is_up, is_ready, has_exited, is_over;
	unsigned int open_streams, restarts;
	int status;
	/* time of the next start */
	uint64_t start_ns;
	struct probing ready, live;
};

/* One of a container's two output streams. */
struct reading {
	struct container *c;
	bool from_stderr;
};

struct podrun {
	const struct podspec *spec;
	char dir[PATH_MAX];
	struct container containers[MANIFEST_CONTAINERS_MAX];
	struct reading readings[2 * MANIFEST_CONTAINERS_MAX];
	size_t n;
	bool is_changed;
};

static bool podrun_step(struct podrun *p, int stop_fd, int vm_fd, uint64_t until_ns);
static uint64_t podrun_turn(struct podrun *p);
static int podrun_start_container(struct container *c, struct error *err);
static void podrun_read_on(struct reading *r);
static void podrun_on_output(void *data, ProtobufCMessage *reply, const struct error *failure);
static void podrun_container_ended(struct container *c);
static void podrun_probe_turn(struct probing *b);
static void podrun_write_status(struct podrun *p);

static char *
podrun_text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static bool
podrun_start_call(struct podrun *p, const char *method, const void *request, ttrpc_reply_fn *fn,
		  void *data)
{
	struct error err = ERROR_INIT;

	return ttrpc_client_start(p->spec->client, &grpc__agent_service__descriptor, method,
				  request, 0, fn, data, &err) != 0;
}

static int
podrun_call(struct podrun *p, const char *method, const void *request, struct error *err)
{
	return ttrpc_client_call(p->spec->client, &grpc__agent_service__descriptor, method, request,
				 CALL_MS, NULL, err);
}

static void
podrun_drop(ProtobufCMessage *reply)
{
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

static void
podrun_ignore_reply(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	(void)data;
	(void)failure;
	podrun_drop(reply);
}

struct podrun *
podrun_new(const struct podspec *spec, const char *dir, struct error *err)
{
	struct podrun *p = calloc(1, sizeof(*p));
	char path[PATH_MAX + 128];

	if (!p) {
		error_nomem(err, "starting a pod");
		return NULL;
	}
	p->spec = spec;
	p->n = spec->m->n_containers;
	(void)snprintf(p->dir, sizeof(p->dir), "%s", dir);
	for (size_t i = 0; i < p->n; i++) {
		struct container *c = &p->containers[i];

		*c = (struct container){ .run = p, .m = &spec->m->containers[i], .index = i };
		podspec_id(spec, i, c->id, sizeof(c->id));
		(void)snprintf(path, sizeof(path), "%s/%s.log", dir, c->m->name);
		c->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
		c->ready = (struct probing){ .p = &c->m->readiness, .c = c, .kind = "readiness" };
		c->live = (struct probing){ .p = &c->m->liveness, .c = c, .kind = "liveness" };
		p->readings[2 * i] = (struct reading){ .c = c };
		p->readings[2 * i + 1] = (struct reading){ .c = c, .from_stderr = true };
	}
	return p;
}

static bool
podrun_all_ready(const struct podrun *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->containers[i].is_ready && !p->containers[i].is_over)
			return false;
	return true;
}

int
podrun_start(struct podrun *p, int timeout_ms, struct error *err)
{
	uint64_t until = deadline_in((uint64_t)timeout_ms);

	for (size_t i = 0; i < p->n; i++)
		if (podrun_start_container(&p->containers[i], err) < 0)
			return -1;
	while (!podrun_all_ready(p)) {
		if (!deadline_is_over(until) && podrun_step(p, -1, -1, until))
			continue;
		for (size_t i = 0; i < p->n; i++)
			if (!p->containers[i].is_ready)
				return error_set(err, ERROR_DEADLINE_EXCEEDED,
						 "container %s is not ready: timed out after %d s",
						 p->containers[i].m->name, timeout_ms / 1000);
	}
	podrun_write_status(p);
	return 0;
}

static bool
podrun_all_over(const struct podrun *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->containers[i].is_over)
			return false;
	return true;
}

void
podrun_watch(struct podrun *p, int stop_fd, int vm_fd)
{
	while (!podrun_all_over(p) && podrun_step(p, stop_fd, vm_fd, DEADLINE_NEVER))
		continue;
	podrun_write_status(p);
}

static uint64_t
podrun_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Performs all due work and handles events until the next deadline. Returns false if a fd is
 * readable or the connection broke. */
static bool
podrun_step(struct podrun *p, int stop_fd, int vm_fd, uint64_t until_ns)
{
	struct pollfd fds[] = { { .fd = ttrpc_client_fd(p->spec->client) },
				{ .fd = stop_fd, .events = POLLIN },
				{ .fd = vm_fd, .events = POLLIN } };
	uint64_t next = podrun_earlier(podrun_turn(p), until_ns);
	struct error err = ERROR_INIT;

	fds[0].events = ttrpc_client_events(p->spec->client);
	if (poll(fds, ARRAY_LEN(fds), deadline_left_ms(next)) < 0)
		return errno == EINTR;
	if (fds[1].revents || fds[2].revents)
		return false;
	return !fds[0].revents || ttrpc_client_handle(p->spec->client, &err) == 0;
}

/* Performs all due work. Returns the deadline of the next. */
static uint64_t
podrun_turn(struct podrun *p)
{
	uint64_t next = DEADLINE_NEVER;

	for (size_t i = 0; i < p->n; i++) {
		struct container *c = &p->containers[i];
		struct probing *probes[] = { &c->ready, &c->live };
		struct error err = ERROR_INIT;

		if (c->is_up && c->has_exited)
			podrun_container_ended(c);
		if (!c->is_up && !c->is_over && deadline_is_over(c->start_ns)) {
			c->restarts++;
			if (podrun_start_container(c, &err) < 0)
				c->start_ns = deadline_in(RESTART_MAX_MS);
		}
		if (!c->is_up)
			next = podrun_earlier(next, c->is_over ? DEADLINE_NEVER : c->start_ns);
		for (size_t k = 0; k < ARRAY_LEN(probes); k++) {
			podrun_probe_turn(probes[k]);
			if (c->is_up && probes[k]->p->command[0])
				next = podrun_earlier(next, probes[k]->is_running
								    ? probes[k]->until_ns
								    : probes[k]->due_ns);
		}
	}
	if (p->is_changed)
		podrun_write_status(p);
	return next;
}

/* ---- a container ---- */

static void
podrun_on_exit_code(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct container *c = data;

	(void)failure;
	c->has_exited = true;
	c->is_ready = false;
	c->status = reply ? ((Grpc__WaitProcessResponse *)reply)->status : 255;
	c->run->is_changed = true;
	podrun_drop(reply);
}

static void
podrun_reset_probe(struct probing *b)
{
	b->due_ns = b->p->command[0] ? deadline_in((uint64_t)b->p->delay_s * 1000) : DEADLINE_NEVER;
	b->is_running = false;
	b->failures = 0;
}

static int
podrun_start_container(struct container *c, struct error *err)
{
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	Grpc__CloseStdinRequest close_stdin = GRPC__CLOSE_STDIN_REQUEST__INIT;
	struct podrun *p = c->run;

	if (podspec_start(p->spec, c->index, err) < 0)
		return -1;
	c->is_up = true;
	c->has_exited = false;
	c->is_ready = !c->m->readiness.command[0];
	c->start_ns = DEADLINE_NEVER;
	c->open_streams = 2;
	podrun_read_on(&p->readings[2 * c->index]);
	podrun_read_on(&p->readings[2 * c->index + 1]);
	wait.container_id = wait.exec_id = c->id;
	(void)podrun_start_call(p, "WaitProcess", &wait.base, podrun_on_exit_code, c);
	close_stdin.container_id = close_stdin.exec_id = c->id;
	(void)podrun_start_call(p, "CloseStdin", &close_stdin.base, podrun_ignore_reply, NULL);
	podrun_reset_probe(&c->ready);
	podrun_reset_probe(&c->live);
	p->is_changed = true;
	return 0;
}

static void
podrun_read_on(struct reading *r)
{
	Grpc__ReadStreamRequest q = GRPC__READ_STREAM_REQUEST__INIT;

	q.container_id = q.exec_id = r->c->id;
	q.len = CHUNK;
	if (!podrun_start_call(r->c->run, r->from_stderr ? "ReadStderr" : "ReadStdout", &q.base,
			       podrun_on_output, r))
		r->c->open_streams--;
}

static void
podrun_on_output(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct reading *r = data;
	const Grpc__ReadStreamResponse *read = (const Grpc__ReadStreamResponse *)reply;

	(void)failure;
	if (read && read->data.len > 0) {
		if (r->c->log >= 0)
			(void)write_full(r->c->log, read->data.data, read->data.len);
		podrun_read_on(r);
	} else {
		r->c->open_streams--;
	}
	podrun_drop(reply);
}

/* Removes a container that has exited and schedules its restart if the policy asks for it. */
static void
podrun_container_ended(struct container *c)
{
	enum manifest_restart policy = c->run->spec->m->restart;
	Grpc__RemoveContainerRequest remove = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
	unsigned int doublings = c->restarts < 5 ? c->restarts : 5;
	uint64_t ms = 500ull << doublings;
	struct error err = ERROR_INIT;

	remove.container_id = c->id;
	(void)podrun_call(c->run, "RemoveContainer", &remove.base, &err);
	for (uint64_t end = deadline_in(5000); c->open_streams > 0 && !deadline_is_over(end);)
		if (ttrpc_client_poll(c->run->spec->client, deadline_left_ms(end), &err) < 0)
			break;
	c->is_up = false;
	c->has_exited = false;
	c->run->is_changed = true;
	if (policy == RESTART_NEVER || (policy == RESTART_ON_FAILURE && c->status == 0))
		c->is_over = true;
	else
		c->start_ns = deadline_in(ms < RESTART_MAX_MS ? ms : RESTART_MAX_MS);
}

/* ---- probes ---- */

static void
podrun_on_probe_exit(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct probing *b = data;

	(void)failure;
	b->is_answered = true;
	b->result = reply ? ((Grpc__WaitProcessResponse *)reply)->status : -1;
	podrun_drop(reply);
}

static void
podrun_probe_id(const struct probing *b, char *out, size_t size)
{
	(void)snprintf(out, size, "%s-%u", b->kind, b->runs);
}

static void
podrun_probe_begin(struct probing *b)
{
	Grpc__ExecProcessRequest exec = GRPC__EXEC_PROCESS_REQUEST__INIT;
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	Grpc__ReadStreamRequest read = GRPC__READ_STREAM_REQUEST__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__User user = GRPC__USER__INIT;
	const char *env[MANIFEST_WORDS_MAX + 1];
	struct podrun *p = b->c->run;
	struct error err = ERROR_INIT;
	char id[64];

	b->runs++;
	podrun_probe_id(b, id, sizeof(id));
	b->until_ns = deadline_in((uint64_t)b->p->timeout_s * 1000);
	b->is_running = true;
	b->is_answered = false;
	user.uid = (uint32_t)b->c->m->uid;
	user.gid = (uint32_t)b->c->m->gid;
	process.user = &user;
	process.args = (char **)(uintptr_t)b->p->command;
	while (b->p->command[process.n_args])
		process.n_args++;
	process.env = (char **)(uintptr_t)env;
	process.n_env = podspec_env(b->c->m, env);
	process.cwd = podrun_text(b->c->m->cwd);
	exec.container_id = wait.container_id = read.container_id = b->c->id;
	exec.exec_id = wait.exec_id = read.exec_id = id;
	exec.process = &process;
	read.len = CHUNK;
	if (podrun_call(p, "ExecProcess", &exec.base, &err) < 0) {
		b->is_answered = true;
		b->result = -1;
		return;
	}
	/* The output of a probe is read and discarded. */
	(void)podrun_start_call(p, "ReadStdout", &read.base, podrun_ignore_reply, NULL);
	(void)podrun_start_call(p, "ReadStderr", &read.base, podrun_ignore_reply, NULL);
	(void)podrun_start_call(p, "WaitProcess", &wait.base, podrun_on_probe_exit, b);
}

static void
podrun_send_kill(struct podrun *p, const char *id, const char *exec_id)
{
	Grpc__SignalProcessRequest q = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

	q.container_id = podrun_text(id);
	q.exec_id = podrun_text(exec_id);
	q.signal = SIGKILL;
	(void)podrun_start_call(p, "SignalProcess", &q.base, podrun_ignore_reply, NULL);
}

/* Records the result of a probe run. */
static void
podrun_probe_result(struct probing *b, bool passed)
{
	struct container *c = b->c;
	bool was_ready = c->is_ready;

	b->is_running = false;
	b->due_ns = deadline_in((uint64_t)b->p->period_s * 1000);
	b->failures = passed ? 0 : b->failures + 1;
	if (b == &c->ready) {
		if (passed || b->failures >= b->p->failures)
			c->is_ready = passed;
		c->run->is_changed |= c->is_ready != was_ready;
	} else if (b->failures == b->p->failures) {
		podrun_send_kill(c->run, c->id, "");
	}
}

static void
podrun_probe_turn(struct probing *b)
{
	char id[64];

	if (!b->p->command[0] || !b->c->is_up || b->c->has_exited)
		return;
	if (!b->is_running && deadline_is_over(b->due_ns))
		podrun_probe_begin(b);
	if (!b->is_running)
		return;
	if (b->is_answered) {
		podrun_probe_result(b, b->result == 0);
	} else if (deadline_is_over(b->until_ns)) {
		podrun_probe_id(b, id, sizeof(id));
		podrun_send_kill(b->c->run, b->c->id, id);
		/* The reply of the killed probe still arrives and counts as a failure. */
		b->until_ns = DEADLINE_NEVER;
	}
}

/* ---- the status file ---- */

static void
podrun_write_status(struct podrun *p)
{
	char path[PATH_MAX + 32], made[PATH_MAX + 32];
	json_t *list = json_array();
	json_t *top;

	p->is_changed = false;
	for (size_t i = 0; i < p->n; i++) {
		const struct container *c = &p->containers[i];

		(void)json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:b, s:b, s:i, s:i}", "name", c->m->name, "id", c->id,
				  "running", c->is_up && !c->has_exited, "ready", c->is_ready,
				  "restarts", (int)c->restarts, "exitCode", c->status));
	}
	top = json_pack("{s:s, s:o}", "name", p->spec->m->name, "containers", list);
	(void)snprintf(made, sizeof(made), "%s/status.json.new", p->dir);
	(void)snprintf(path, sizeof(path), "%s/status.json", p->dir);
	if (top && json_dump_file(top, made, JSON_INDENT(1)) == 0)
		(void)rename(made, path);
	json_decref(top);
}

void
podrun_free(struct podrun *p)
{
	for (size_t i = 0; p && i < p->n; i++)
		close_fd(&p->containers[i].log);
	free(p);
}
