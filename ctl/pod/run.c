/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the containers of a pod. Of each container:
 *
 *	 start                    WaitProcess answers         removed, not to be restarted
 *	---------------> UP ------------------------> EXITED ---------------------------> OVER
 *	                 ^ |                            |
 *	                 | | postStart, startup probe:  | removed, to be restarted
 *	                 | | is_started                 |
 *	                 | its delay has passed         |
 *	                 +---------- WAITING <----------+
 *
 * A container that is UP and is to end: preStop, then SIGTERM, then SIGKILL (enum stopping).
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
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "agent.pb-c.h"
#include "ctl/json/json.h"
#include "ctl/pod/https.h"
#include "ctl/pod/message.h"
#include "ctl/streams/outlet.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/sys.h"
#include "lib/ttrpc/client.h"

#define CHUNK       (64u << 10)
#define REQUEST_MAX (1u << 20)
/* Delays before a restart: doubled each time, and from the beginning after a long run. */
#define RESTART_MIN_MS 500
#define RESTART_MAX_MS 10000
#define LONG_RUN_MS    600000
/* Time for containers to be gone after SIGKILL. */
#define KILLED_MS 10000
/* Time that a container has at least after its preStop hook, as with the kubelet, also if the hook
 * took the whole grace period. */
#define HOOK_REST_MS 2000

struct container;

/* A run of a probe or hook. */
struct action_run {
	struct container *c;
	const struct manifest_action *action;
	const char *kind;
	unsigned int runs;
	bool is_running, is_answered;
	/* exit code of the last run, -1: none */
	int result;
	/* the pending WaitProcess, 0: none; end of a sleep */
	uint32_t call;
	uint64_t sleep_ns;
	/* the program that makes a request by HTTPS, 0: none, and its pidfd */
	pid_t pid;
	int pidfd;
};

/* State of a probe. */
struct probing {
	struct action_run run;
	const struct manifest_probe *p;
	/* start of the next run; deadline of the current one */
	uint64_t due_ns, until_ns;
	int failures, successes;
};

enum stopping {
	STOP_NOT,
	/* preStop runs */
	STOP_HOOK,
	STOP_TERM,
	STOP_KILL,
};

struct container {
	struct podrun *run;
	const struct manifest_container *m;
	size_t index;
	char id[160];
	struct outlet *outlet;
	/* is_over: not restarted */
	bool is_up, is_started, is_ready, has_exited, is_over;
	enum stopping stopping;
	unsigned int open_streams, restarts, backoff;
	int status;
	/* time of this start, of the next start, and of SIGKILL */
	uint64_t started_ns, start_ns, kill_ns;
	struct action_run post_start, pre_stop;
	struct probing startup, ready, live;
	/* the end of the output of this run; the termination message of the last one that ended */
	struct message_tail tail;
	char message[MESSAGE_MAX + 1];
};

/* One of a container's two output streams. */
struct reading {
	struct container *c;
	bool from_stderr;
	/* the next call waits for the outlet's clients */
	bool is_held;
};

struct podrun {
	const struct podspec *spec;
	char dir[PATH_MAX];
	struct container containers[MANIFEST_CONTAINERS_MAX];
	struct reading readings[2 * MANIFEST_CONTAINERS_MAX];
	size_t n;
	struct outlets *outlets;
	/* no container is restarted */
	bool is_ending;
	bool is_changed;
	/* activeDeadlineSeconds; the reason for the pod's failure, "": none */
	uint64_t deadline_ns;
	char failure[160];
	/* limit of a termination message */
	size_t message_max;
	/* of podrun_listen(), or -1 */
	int stop_fd, vm_fd;
	/* the deadline is that of the Job; limit of restarts, -1: none */
	bool is_deadline_of_job;
	int restarts_max;
};

static bool podrun_step(struct podrun *p, int stop_fd, int vm_fd, uint64_t until_ns);
static uint64_t podrun_turn(struct podrun *p);
static int podrun_start_init(struct container *c, uint64_t until_ns, struct error *err);
static int podrun_start_container(struct container *c, struct error *err);
static void podrun_read_on(struct reading *r);
static void podrun_go_on(struct reading *r);
static void podrun_on_output(void *data, ProtobufCMessage *reply, const struct error *failure);
static void podrun_container_ended(struct container *c);
static void podrun_take_message(struct container *c);
static void podrun_begin_stop(struct container *c, int grace_s);
static uint64_t podrun_stop_turn(struct container *c);
static void podrun_start_turn(struct container *c);
static void podrun_action_begin(struct action_run *r);
static void podrun_start_https(struct action_run *r);
static void podrun_action_kill(struct action_run *r);
static void podrun_action_forget(struct action_run *r);
static bool podrun_action_ended(struct action_run *r);
static uint64_t podrun_probe_turn(struct probing *b);
static void podrun_write_status(struct podrun *p);

static char *
podrun_text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static uint32_t
podrun_start_call(struct podrun *p, const char *method, const void *request, ttrpc_reply_fn *fn,
		  void *data)
{
	struct error err = ERROR_INIT;

	return ttrpc_client_start(p->spec->client, &grpc__agent_service__descriptor, method,
				  request, 0, fn, data, &err);
}

static int
podrun_call(struct podrun *p, const char *method, const void *request, struct error *err)
{
	return ttrpc_client_call(p->spec->client, &grpc__agent_service__descriptor, method, request,
				 p->spec->vm->call_timeout_ms, NULL, err);
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
podrun_new(const struct podspec *spec, const char *dir, const struct log_limit *limit,
	   struct error *err)
{
	struct podrun *p = calloc(1, sizeof(*p));

	if (!p) {
		error_nomem(err, "starting a pod");
		return NULL;
	}
	p->spec = spec;
	p->n = spec->m->n_containers;
	p->deadline_ns = spec->m->deadline_s ? deadline_in((uint64_t)spec->m->deadline_s * 1000)
					     : DEADLINE_NEVER;
	if (spec->job_deadline_ns && spec->job_deadline_ns < p->deadline_ns) {
		p->deadline_ns = spec->job_deadline_ns;
		p->is_deadline_of_job = true;
	}
	p->restarts_max = spec->job ? podjob_restarts_max(&spec->job->spec) : -1;
	p->stop_fd = p->vm_fd = -1;
	/* As a kubelet does, each container gets the same part of what a pod may say. */
	p->message_max =
		MESSAGE_POD_MAX / p->n < MESSAGE_MAX ? MESSAGE_POD_MAX / p->n : MESSAGE_MAX;
	(void)snprintf(p->dir, sizeof(p->dir), "%s", dir);
	p->outlets = outlets_new(dir, limit, err);
	for (size_t i = 0; p->outlets && i < p->n; i++) {
		struct container *c = &p->containers[i];
		const struct manifest_container *m = &spec->m->containers[i];

		*c = (struct container){ .run = p, .m = m, .index = i, .start_ns = DEADLINE_NEVER };
		podspec_id(spec, i, c->id, sizeof(c->id));
		c->outlet = outlets_add(p->outlets, m->name, c->id, err);
		if (!c->outlet)
			break;
		c->post_start = (struct action_run){ c, &m->post_start, .kind = "post-start" };
		c->pre_stop = (struct action_run){ c, &m->pre_stop, .kind = "pre-stop" };
		c->startup = (struct probing){ { c, &m->startup.action, .kind = "startup" },
					       &m->startup };
		c->ready = (struct probing){ { c, &m->readiness.action, .kind = "readiness" },
					     &m->readiness };
		c->live = (struct probing){ { c, &m->liveness.action, .kind = "liveness" },
					    &m->liveness };
		p->readings[2 * i] = (struct reading){ .c = c };
		p->readings[2 * i + 1] = (struct reading){ .c = c, .from_stderr = true };
	}
	if (p->outlets && p->containers[p->n - 1].outlet)
		return p;
	podrun_free(p);
	return NULL;
}

static bool
podrun_is_set(const struct manifest_action *a)
{
	return a->args || a->sleep_s >= 0;
}

static bool
podrun_all_ready(const struct podrun *p)
{
	for (size_t i = p->spec->m->n_init; i < p->n; i++)
		if (!p->containers[i].is_ready && !p->containers[i].is_over)
			return false;
	return true;
}

int
podrun_start(struct podrun *p, int timeout_ms, struct error *err)
{
	uint64_t until = deadline_in((uint64_t)timeout_ms);
	size_t i;

	for (i = 0; i < p->spec->m->n_init; i++)
		if (podrun_start_init(&p->containers[i], until, err) < 0)
			return -1;
	for (; i < p->n; i++)
		if (podrun_start_container(&p->containers[i], err) < 0)
			return -1;
	while (!podrun_all_ready(p)) {
		if (!p->failure[0] && !deadline_is_over(until) &&
		    podrun_step(p, p->stop_fd, p->vm_fd, until))
			continue;
		if (p->failure[0])
			return error_set(err, ERROR_DEADLINE_EXCEEDED, "%s", p->failure);
		for (i = p->spec->m->n_init; i < p->n; i++)
			if (!p->containers[i].is_ready)
				return error_set(err, ERROR_DEADLINE_EXCEEDED,
						 "container %s is not ready: timed out after %d s",
						 p->containers[i].m->name, timeout_ms / 1000);
	}
	podrun_write_status(p);
	return 0;
}

/* Starts an init container, and waits until it has succeeded, or a sidecar has started. */
static int
podrun_start_init(struct container *c, uint64_t until_ns, struct error *err)
{
	if (podrun_start_container(c, err) < 0)
		return -1;
	while (c->m->is_sidecar ? !c->is_started : !c->is_over) {
		if (!c->run->failure[0] && !deadline_is_over(until_ns) &&
		    podrun_step(c->run, c->run->stop_fd, c->run->vm_fd, until_ns))
			continue;
		if (c->run->failure[0])
			return error_set(err, ERROR_DEADLINE_EXCEEDED, "%s", c->run->failure);
		return error_set(err, ERROR_DEADLINE_EXCEEDED,
				 "init container %s has not %s: timed out", c->m->name,
				 c->m->is_sidecar ? "started" : "succeeded");
	}
	if (c->m->is_sidecar || c->status == 0)
		return 0;
	message_make_printable(c->message);
	return error_set(err, ERROR_ABORTED, "init container %s exited with code %d%s%.200s",
			 c->m->name, c->status, c->message[0] ? ": " : "", c->message);
}

static bool
podrun_all_over(const struct podrun *p)
{
	for (size_t i = p->spec->m->n_init; i < p->n; i++)
		if (!p->containers[i].is_over)
			return false;
	return true;
}

void
podrun_watch(struct podrun *p, int stop_fd, int vm_fd)
{
	while (!podrun_is_over(p) && podrun_step(p, stop_fd, vm_fd, DEADLINE_NEVER))
		continue;
	podrun_write_status(p);
}

void
podrun_listen(struct podrun *p, int stop_fd, int vm_fd)
{
	p->stop_fd = stop_fd;
	p->vm_fd = vm_fd;
}

void
podrun_record(struct podrun *p)
{
	podrun_write_status(p);
}

bool
podrun_is_over(const struct podrun *p)
{
	return p->failure[0] || podrun_all_over(p);
}

int
podrun_exit_code(const struct podrun *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->containers[i].m->is_sidecar && p->containers[i].status)
			return p->containers[i].status;
	return 0;
}

const char *
podrun_failure(const struct podrun *p)
{
	return p->failure[0] ? p->failure : NULL;
}

/* Ends containers [from, to), and waits until they have ended. Returns false if the VM is gone. */
static bool
podrun_stop_some(struct podrun *p, size_t from, size_t to, int vm_fd)
{
	uint64_t until = deadline_in((uint64_t)p->spec->m->grace_s * 1000 + KILLED_MS);
	bool is_up = true;

	for (size_t i = from; i < to; i++)
		if (p->containers[i].is_up && !p->containers[i].has_exited)
			podrun_begin_stop(&p->containers[i], p->spec->m->grace_s);
	while (is_up && !deadline_is_over(until)) {
		is_up = false;
		for (size_t i = from; i < to; i++)
			is_up |= p->containers[i].is_up;
		if (is_up && !podrun_step(p, -1, vm_fd, until))
			return false;
	}
	return true;
}

void
podrun_stop(struct podrun *p, int vm_fd)
{
	size_t n_init = p->spec->m->n_init;

	p->is_ending = true;
	if (!podrun_stop_some(p, n_init, p->n, vm_fd))
		return;
	/* Sidecars outlive the containers that use them. */
	for (size_t i = n_init; i-- > 0;)
		if (!podrun_stop_some(p, i, i + 1, vm_fd))
			return;
}

static uint64_t
podrun_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Performs all due work and handles events until the next deadline. Returns false if a fd is
 * readable, the connection broke, or the pod's time is over. */
static bool
podrun_step(struct podrun *p, int stop_fd, int vm_fd, uint64_t until_ns)
{
	struct pollfd fds[4 + 5 * MANIFEST_CONTAINERS_MAX] = {
		{ .fd = ttrpc_client_fd(p->spec->client) },
		{ .fd = stop_fd, .events = POLLIN },
		{ .fd = vm_fd, .events = POLLIN },
		{ .fd = outlets_fd(p->outlets), .events = POLLIN },
	};
	uint64_t next = podrun_earlier(podrun_turn(p), podrun_earlier(until_ns, p->deadline_ns));
	struct error err = ERROR_INIT;
	nfds_t n = 4;

	if (deadline_is_over(p->deadline_ns) && !podrun_all_over(p)) {
		(void)snprintf(p->failure, sizeof(p->failure),
			       "DeadlineExceeded: the %s was active for longer than %lld s",
			       p->is_deadline_of_job ? "Job" : "pod",
			       (long long)(p->is_deadline_of_job ? p->spec->m->job.deadline_s
								 : p->spec->m->deadline_s));
		/* It may still take its time to end. */
		p->deadline_ns = DEADLINE_NEVER;
		return false;
	}
	for (size_t i = 0; i < 2 * p->n; i++)
		podrun_go_on(&p->readings[i]);
	for (size_t i = 0; i < p->n; i++) {
		struct container *c = &p->containers[i];
		const struct action_run *runs[] = { &c->startup.run, &c->ready.run, &c->live.run,
						    &c->post_start, &c->pre_stop };

		for (size_t k = 0; k < ARRAY_LEN(runs); k++)
			if (runs[k]->pid > 0)
				fds[n++] =
					(struct pollfd){ .fd = runs[k]->pidfd, .events = POLLIN };
	}
	fds[0].events = ttrpc_client_events(p->spec->client);
	if (poll(fds, n, deadline_left_ms(next)) < 0)
		return errno == EINTR;
	if (fds[3].revents)
		outlets_handle(p->outlets);
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
		struct probing *probes[] = { &c->startup, &c->ready, &c->live };
		struct error err = ERROR_INIT;

		if (c->is_up && c->has_exited)
			podrun_container_ended(c);
		if (!c->is_up && !c->is_over && deadline_is_over(c->start_ns)) {
			c->restarts++;
			if (podrun_start_container(c, &err) < 0)
				c->start_ns = deadline_in(RESTART_MAX_MS);
		}
		if (!c->is_up) {
			next = podrun_earlier(next, c->is_over ? DEADLINE_NEVER : c->start_ns);
			continue;
		}
		podrun_start_turn(c);
		if (c->post_start.is_running)
			next = podrun_earlier(next, c->post_start.sleep_ns);
		for (size_t k = 0; k < ARRAY_LEN(probes); k++)
			next = podrun_earlier(next, podrun_probe_turn(probes[k]));
		next = podrun_earlier(next, podrun_stop_turn(c));
		/* A container that has ended meanwhile is handled at once. */
		if (c->has_exited)
			next = 0;
	}
	if (!p->is_changed)
		return next;
	/* The caller may wait for the change. */
	podrun_write_status(p);
	return 0;
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
	podrun_action_forget(&b->run);
	b->due_ns = deadline_in((uint64_t)b->p->delay_s * 1000);
	b->failures = b->successes = 0;
}

static int
podrun_start_container(struct container *c, struct error *err)
{
	Grpc__CloseStdinRequest close_stdin = GRPC__CLOSE_STDIN_REQUEST__INIT;
	struct podrun *p = c->run;

	if (podspec_start(p->spec, c->index, c->restarts, err) < 0)
		return -1;
	c->is_up = true;
	c->has_exited = c->is_started = c->is_ready = false;
	c->stopping = STOP_NOT;
	c->start_ns = DEADLINE_NEVER;
	c->started_ns = monotonic_ns();
	c->open_streams = 2;
	c->tail.n = 0;
	outlet_started(c->outlet);
	podrun_read_on(&p->readings[2 * c->index]);
	podrun_read_on(&p->readings[2 * c->index + 1]);
	close_stdin.container_id = close_stdin.exec_id = c->id;
	/* A terminal would take it for the end of its session. */
	if (!c->m->keeps_stdin && !c->m->terminal)
		(void)podrun_start_call(p, "CloseStdin", &close_stdin.base, podrun_ignore_reply,
					NULL);
	podrun_action_forget(&c->post_start);
	podrun_action_forget(&c->pre_stop);
	podrun_reset_probe(&c->startup);
	podrun_reset_probe(&c->ready);
	podrun_reset_probe(&c->live);
	if (podrun_is_set(&c->m->post_start))
		podrun_action_begin(&c->post_start);
	podrun_start_turn(c);
	p->is_changed = true;
	return 0;
}

/* Notes that the container has started, once its hook has ended and its probe has succeeded. */
static void
podrun_start_turn(struct container *c)
{
	if (c->is_started || c->has_exited || c->stopping)
		return;
	if (c->post_start.is_running) {
		if (!podrun_action_ended(&c->post_start))
			return;
		if (c->post_start.result != 0) {
			podrun_begin_stop(c, c->run->spec->m->grace_s);
			return;
		}
	}
	if (podrun_is_set(&c->m->startup.action) && c->startup.successes == 0)
		return;
	c->is_started = true;
	c->is_ready = !podrun_is_set(&c->m->readiness.action);
	c->run->is_changed = true;
}

/* Asks for the exit code once the output has ended: some agents drop what was not read when they
 * report the code. */
static void
podrun_stream_ended(struct container *c)
{
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;

	wait.container_id = wait.exec_id = c->id;
	if (--c->open_streams == 0)
		(void)podrun_start_call(c->run, "WaitProcess", &wait.base, podrun_on_exit_code, c);
}

static void
podrun_read_on(struct reading *r)
{
	Grpc__ReadStreamRequest q = GRPC__READ_STREAM_REQUEST__INIT;

	q.container_id = q.exec_id = r->c->id;
	q.len = CHUNK;
	if (!podrun_start_call(r->c->run, r->from_stderr ? "ReadStderr" : "ReadStdout", &q.base,
			       podrun_on_output, r))
		podrun_stream_ended(r->c);
}

/* Reads on, once the outlet's clients have read enough. */
static void
podrun_go_on(struct reading *r)
{
	if (!r->is_held || outlet_is_full(r->c->outlet))
		return;
	r->is_held = false;
	podrun_read_on(r);
}

static void
podrun_on_output(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct reading *r = data;
	const Grpc__ReadStreamResponse *read = (const Grpc__ReadStreamResponse *)reply;

	(void)failure;
	if (read && read->data.len > 0) {
		outlet_write(r->c->outlet, r->from_stderr, read->data.data, read->data.len);
		message_add_output(&r->c->tail, read->data.data, read->data.len);
		r->is_held = true;
		podrun_go_on(r);
	} else {
		podrun_stream_ended(r->c);
	}
	podrun_drop(reply);
}

/* Returns whether a container that has ended is started again. */
static bool
podrun_is_restarted(const struct container *c)
{
	enum manifest_restart policy = c->run->spec->m->restart;

	if (c->run->is_ending)
		return false;
	if (c->m->is_sidecar)
		return true;
	/* An init container only has to succeed. */
	if (c->status == 0)
		return policy == RESTART_ALWAYS && !c->m->is_init;
	return policy != RESTART_NEVER;
}

/* Fails the pod of a Job if its containers have been restarted as often as they may. */
static bool
podrun_has_restarted_enough(struct podrun *p)
{
	unsigned int n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->containers[i].restarts;
	if (p->restarts_max < 0 || n < (unsigned int)p->restarts_max)
		return false;
	(void)snprintf(
		p->failure, sizeof(p->failure),
		"BackoffLimitExceeded: containers of the Job's pod have failed %u times, and "
		"its backoffLimit is %lld",
		n + 1, (long long)p->spec->job->spec.backoff_limit);
	return true;
}

/* Removes a container that has exited and schedules its restart if the policy asks for it. */
static void
podrun_container_ended(struct container *c)
{
	Grpc__RemoveContainerRequest remove = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
	struct error err = ERROR_INIT;
	uint64_t ms;

	remove.container_id = c->id;
	(void)podrun_call(c->run, "RemoveContainer", &remove.base, &err);
	podrun_take_message(c);
	outlet_ended(c->outlet, c->status, NULL);
	/* Requests of the pause container go on. */
	podrun_action_kill(&c->startup.run);
	podrun_action_kill(&c->ready.run);
	podrun_action_kill(&c->live.run);
	podrun_action_kill(&c->post_start);
	podrun_action_kill(&c->pre_stop);
	c->is_up = c->is_ready = false;
	c->has_exited = false;
	c->run->is_changed = true;
	if (!podrun_is_restarted(c)) {
		c->is_over = true;
		return;
	}
	/* An init container of a later pod is not to be started again after the failure. */
	if (podrun_has_restarted_enough(c->run)) {
		c->is_over = true;
		return;
	}
	if (monotonic_ns() - c->started_ns > LONG_RUN_MS * 1000000ull)
		c->backoff = 0;
	ms = (uint64_t)RESTART_MIN_MS << (c->backoff < 5 ? c->backoff : 5);
	c->backoff++;
	c->start_ns = deadline_in(ms < RESTART_MAX_MS ? ms : RESTART_MAX_MS);
}

/* Reads the termination message of a container that has been removed. */
static void
podrun_take_message(struct container *c)
{
	struct podrun *p = c->run;
	char name[128];

	message_name(c->m->name, c->restarts, name, sizeof(name));
	message_take(p->spec->files, name, c->message, p->message_max);
	if (!c->message[0] && c->m->has_message_of_log && c->status != 0)
		message_from_output(&c->tail, c->message,
				    p->message_max < MESSAGE_TAIL_MAX ? p->message_max
								      : MESSAGE_TAIL_MAX);
}

/* ---- the end of a container ---- */

static void
podrun_send_signal(struct podrun *p, const char *id, const char *exec_id, uint32_t signal)
{
	Grpc__SignalProcessRequest q = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

	q.container_id = podrun_text(id);
	q.exec_id = podrun_text(exec_id);
	q.signal = signal;
	(void)podrun_start_call(p, "SignalProcess", &q.base, podrun_ignore_reply, NULL);
}

static void
podrun_terminate(struct container *c)
{
	c->stopping = STOP_TERM;
	podrun_send_signal(c->run, c->id, c->id,
			   c->m->stop_signal ? (uint32_t)c->m->stop_signal : SIGTERM);
}

static void
podrun_begin_stop(struct container *c, int grace_s)
{
	if (c->stopping)
		return;
	c->kill_ns = deadline_in((uint64_t)grace_s * 1000);
	c->is_ready = false;
	c->run->is_changed = true;
	podrun_action_kill(&c->post_start);
	if (podrun_is_set(&c->m->pre_stop)) {
		c->stopping = STOP_HOOK;
		podrun_action_begin(&c->pre_stop);
	} else {
		podrun_terminate(c);
	}
}

/* Takes the next step of ending a container. Returns the time of the one after that. */
static uint64_t
podrun_stop_turn(struct container *c)
{
	if (c->stopping == STOP_NOT || c->stopping == STOP_KILL || c->has_exited)
		return DEADLINE_NEVER;
	if (c->stopping == STOP_HOOK &&
	    (podrun_action_ended(&c->pre_stop) || deadline_is_over(c->kill_ns))) {
		uint64_t rest_ns = deadline_in(HOOK_REST_MS);

		podrun_action_kill(&c->pre_stop);
		c->kill_ns = c->kill_ns < rest_ns ? rest_ns : c->kill_ns;
		podrun_terminate(c);
	}
	if (deadline_is_over(c->kill_ns)) {
		/* An empty name stands for all processes of the container. */
		podrun_send_signal(c->run, c->id, "", SIGKILL);
		c->stopping = STOP_KILL;
		return DEADLINE_NEVER;
	}
	return c->stopping == STOP_HOOK ? podrun_earlier(c->kill_ns, c->pre_stop.sleep_ns)
					: c->kill_ns;
}

/* ---- probes and hooks ---- */

static void
podrun_on_action_exit(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct action_run *r = data;

	(void)failure;
	r->call = 0;
	r->is_answered = true;
	r->result = reply ? ((Grpc__WaitProcessResponse *)reply)->status : -1;
	podrun_drop(reply);
}

static void
podrun_action_id(const struct action_run *r, char *out, size_t size)
{
	(void)snprintf(out, size, "%.63s-%s-%u", r->c->m->name, r->kind, r->runs);
}

static void
podrun_action_begin(struct action_run *r)
{
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	Grpc__ReadStreamRequest read = GRPC__READ_STREAM_REQUEST__INIT;
	struct podrun *p = r->c->run;
	Grpc__ExecProcessRequest *exec;
	struct error err = ERROR_INIT;
	struct arena a;
	char id[128];

	r->runs++;
	r->is_running = true;
	r->is_answered = false;
	r->sleep_ns = DEADLINE_NEVER;
	if (r->action->https_port) {
		podrun_start_https(r);
		return;
	}
	if (r->action->sleep_s >= 0) {
		r->result = 0;
		r->sleep_ns = deadline_in((uint64_t)r->action->sleep_s * 1000);
		return;
	}
	podrun_action_id(r, id, sizeof(id));
	arena_init(&a, REQUEST_MAX);
	exec = podspec_exec(p->spec, &a, r->c->index, r->action, id);
	if (!exec || podrun_call(p, "ExecProcess", &exec->base, &err) < 0) {
		r->is_answered = true;
		r->result = -1;
	} else {
		/* Its output is read and discarded. */
		wait.container_id = read.container_id = exec->container_id;
		wait.exec_id = read.exec_id = id;
		read.len = CHUNK;
		(void)podrun_start_call(p, "ReadStdout", &read.base, podrun_ignore_reply, NULL);
		(void)podrun_start_call(p, "ReadStderr", &read.base, podrun_ignore_reply, NULL);
		r->call = podrun_start_call(p, "WaitProcess", &wait.base, podrun_on_action_exit, r);
		r->is_answered = !r->call;
		r->result = -1;
	}
	arena_release(&a);
}

/* Notes the result of a program that has ended; kills it first, or only looks. */
static void
podrun_reap_https(struct action_run *r, bool kill_first)
{
	int status;

	if (r->pid <= 0)
		return;
	if (kill_first)
		(void)kill(r->pid, SIGKILL);
	if (waitpid(r->pid, &status, kill_first ? 0 : WNOHANG) != r->pid)
		return;
	r->pid = 0;
	close_fd(&r->pidfd);
	r->is_answered = true;
	r->result = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
podrun_start_https(struct action_run *r)
{
	struct error err = ERROR_INIT;

	r->result = -1;
	r->pid = https_start(r->c->run->spec->vm, r->action, &err);
	r->pidfd = r->pid > 0 ? sys_pidfd_open(r->pid, 0) : -1;
	r->is_answered = r->pid <= 0;
	/* Its end would not be seen. */
	if (r->pid > 0 && r->pidfd < 0)
		podrun_reap_https(r, true);
}

/* Returns whether a run that was begun has ended, with its result. */
static bool
podrun_action_ended(struct action_run *r)
{
	if (!r->is_running)
		return true;
	podrun_reap_https(r, false);
	if (!r->is_answered && !deadline_is_over(r->sleep_ns))
		return false;
	r->is_running = false;
	r->sleep_ns = DEADLINE_NEVER;
	return true;
}

/* Kills the process of a run. */
static void
podrun_action_kill(struct action_run *r)
{
	char id[128];

	podrun_reap_https(r, true);
	if (!r->is_running || !r->call)
		return;
	podrun_action_id(r, id, sizeof(id));
	podrun_send_signal(r->c->run, r->action->is_request ? r->c->run->spec->m->name : r->c->id,
			   id, SIGKILL);
}

/* Drops the answer to a run of the former process of the container. */
static void
podrun_action_forget(struct action_run *r)
{
	podrun_reap_https(r, true);
	if (r->call)
		ttrpc_client_forget(r->c->run->spec->client, r->call);
	r->call = 0;
	r->is_running = false;
	r->sleep_ns = DEADLINE_NEVER;
}

/* Records the result of a probe run. */
static void
podrun_probe_result(struct probing *b, bool passed)
{
	struct container *c = b->run.c;
	bool was_ready = c->is_ready;

	b->due_ns = deadline_in((uint64_t)b->p->period_s * 1000);
	b->failures = passed ? 0 : b->failures + 1;
	b->successes = passed ? b->successes + 1 : 0;
	if (b == &c->ready) {
		if (b->successes >= b->p->successes || b->failures >= b->p->failures)
			c->is_ready = passed && !c->stopping;
		c->run->is_changed |= c->is_ready != was_ready;
	} else if (b->failures >= b->p->failures) {
		podrun_begin_stop(c, b->p->grace_s >= 0 ? b->p->grace_s : c->run->spec->m->grace_s);
	} else if (b == &c->startup && passed) {
		podrun_start_turn(c);
	}
}

/* Performs what is due of a probe. Returns the deadline of the next work. */
static uint64_t
podrun_probe_turn(struct probing *b)
{
	struct container *c = b->run.c;
	/* The other probes wait for the startup probe, which waits for the hook. */
	bool is_wanted =
		b == &c->startup ? !c->is_started && !c->post_start.is_running : c->is_started;

	if (!podrun_is_set(b->run.action) || c->has_exited || c->stopping || !is_wanted)
		return DEADLINE_NEVER;
	if (!b->run.is_running && deadline_is_over(b->due_ns)) {
		podrun_action_begin(&b->run);
		b->until_ns = deadline_in((uint64_t)b->p->timeout_s * 1000);
	}
	if (!b->run.is_running)
		return b->due_ns;
	if (podrun_action_ended(&b->run)) {
		podrun_probe_result(b, b->run.result == 0);
		return b->due_ns;
	}
	if (deadline_is_over(b->until_ns)) {
		podrun_action_kill(&b->run);
		/* The reply of the killed probe still arrives and counts as a failure. */
		b->until_ns = DEADLINE_NEVER;
	}
	return b->until_ns;
}

/* ---- the status file ---- */

static json_t *
podrun_describe_job(const struct podjob *j)
{
	json_t *o = json_pack("{s:I, s:i, s:i}", "completions", (json_int_t)j->spec.completions,
			      "succeeded", (int)j->succeeded, "failed", (int)j->failed);

	if (o && j->spec.is_indexed && j->index < j->spec.completions)
		(void)json_object_set_new(o, "index", json_integer(j->index));
	if (o && j->failed_indexes)
		(void)json_object_set_new(o, "failedIndexes", json_string(j->failed_list));
	if (o && j->failure[0])
		(void)json_object_set_new(o, "failure", json_string(j->failure));
	return o;
}

static void
podrun_write_status(struct podrun *p)
{
	char path[PATH_MAX + 32], made[PATH_MAX + 32];
	json_t *list = json_array();
	json_t *top;

	p->is_changed = false;
	for (size_t i = 0; i < p->n; i++) {
		const struct container *c = &p->containers[i];

		json_t *one = json_pack("{s:s, s:s, s:b, s:b, s:i, s:i, s:b}", "name", c->m->name,
					"id", c->id, "running", c->is_up && !c->has_exited, "ready",
					c->is_ready, "restarts", (int)c->restarts, "exitCode",
					c->status, "init", c->m->is_init);

		if (one && c->message[0])
			(void)json_object_set_new(one, "message", json_from_text(c->message));
		(void)json_array_append_new(list, one);
	}
	top = json_pack("{s:s, s:o}", "name", p->spec->m->name, "containers", list);
	if (top && p->spec->job)
		(void)json_object_set_new(top, "job", podrun_describe_job(p->spec->job));
	if (top && p->failure[0])
		(void)json_object_set_new(top, "failure", json_string(p->failure));
	(void)snprintf(made, sizeof(made), "%s/status.json.new", p->dir);
	(void)snprintf(path, sizeof(path), "%s/status.json", p->dir);
	if (top && json_dump_file(top, made, JSON_INDENT(1)) == 0)
		(void)rename(made, path);
	json_decref(top);
}

void
podrun_free(struct podrun *p)
{
	if (p)
		outlets_free(p->outlets);
	for (size_t i = 0; p && i < p->n; i++) {
		struct container *c = &p->containers[i];

		podrun_reap_https(&c->startup.run, true);
		podrun_reap_https(&c->ready.run, true);
		podrun_reap_https(&c->live.run, true);
		podrun_reap_https(&c->post_start, true);
		podrun_reap_https(&c->pre_stop, true);
	}
	free(p);
}
