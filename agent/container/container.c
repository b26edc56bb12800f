/* SPDX-License-Identifier: Apache-2.0 */
/* The state of containers: allowed calls and the table of processes. Called by agent/sandbox. Must
 * never access a file system.
 */
#include "agent/container/container.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup/path.h"
#include "agent/container/seccomp/cache.h"
#include "agent/container/spec/retain.h"
#include "agent/roots.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/log.h"
#include "lib/log_event.h"

#define ALLOWED NULL

/* The result of each call in each state: ALLOWED, or the error text after "container <id> ";
 * container_allows() adds the code. Creates, starts, execs and removes are looked up here when
 * the earlier ones are done. */
static const char *const refusals[CONTAINER_STATES][CONTAINER_CALLS] = {
	[CONTAINER_CREATING] = {
		[CONTAINER_CALL_CREATE] = "already exists",
		[CONTAINER_CALL_START] = "is still being created",
		[CONTAINER_CALL_EXEC] = "is still being created",
		[CONTAINER_CALL_SIGNAL] = "is still being created",
		[CONTAINER_CALL_WAIT] = "is still being created",
		[CONTAINER_CALL_STREAM] = "is still being created",
		[CONTAINER_CALL_REMOVE] = ALLOWED,
		[CONTAINER_CALL_UPDATE] = "is still being created",
		[CONTAINER_CALL_STATS] = "is still being created",
		[CONTAINER_CALL_PAUSE] = "is still being created",
		[CONTAINER_CALL_RESUME] = "is still being created",
	},
	[CONTAINER_CREATED] = {
		[CONTAINER_CALL_CREATE] = "already exists",
		[CONTAINER_CALL_START] = ALLOWED,
		[CONTAINER_CALL_EXEC] = ALLOWED,
		[CONTAINER_CALL_SIGNAL] = ALLOWED,
		[CONTAINER_CALL_WAIT] = ALLOWED,
		[CONTAINER_CALL_STREAM] = ALLOWED,
		[CONTAINER_CALL_REMOVE] = ALLOWED,
		[CONTAINER_CALL_UPDATE] = ALLOWED,
		[CONTAINER_CALL_STATS] = ALLOWED,
		[CONTAINER_CALL_PAUSE] = ALLOWED,
		[CONTAINER_CALL_RESUME] = ALLOWED,
	},
	[CONTAINER_RUNNING] = {
		[CONTAINER_CALL_CREATE] = "already exists",
		[CONTAINER_CALL_START] = "is already running",
		[CONTAINER_CALL_EXEC] = ALLOWED,
		[CONTAINER_CALL_SIGNAL] = ALLOWED,
		[CONTAINER_CALL_WAIT] = ALLOWED,
		[CONTAINER_CALL_STREAM] = ALLOWED,
		[CONTAINER_CALL_REMOVE] = ALLOWED,
		[CONTAINER_CALL_UPDATE] = ALLOWED,
		[CONTAINER_CALL_STATS] = ALLOWED,
		[CONTAINER_CALL_PAUSE] = ALLOWED,
		[CONTAINER_CALL_RESUME] = ALLOWED,
	},
	[CONTAINER_STOPPED] = {
		[CONTAINER_CALL_CREATE] = "already exists",
		[CONTAINER_CALL_START] = "has stopped: its init process has ended",
		[CONTAINER_CALL_EXEC] =
			("has stopped: its init process has ended: " TEXT_PROCESS_NOT_FOUND),
		[CONTAINER_CALL_SIGNAL] = ALLOWED,
		[CONTAINER_CALL_WAIT] = ALLOWED,
		[CONTAINER_CALL_STREAM] = ALLOWED,
		[CONTAINER_CALL_REMOVE] = ALLOWED,
		[CONTAINER_CALL_UPDATE] = ALLOWED,
		[CONTAINER_CALL_STATS] = ALLOWED,
		[CONTAINER_CALL_PAUSE] = "has stopped: its init process has ended",
		[CONTAINER_CALL_RESUME] = "has stopped: its init process has ended",
	},
	[CONTAINER_REMOVING] = {
		[CONTAINER_CALL_CREATE] = "already exists",
		[CONTAINER_CALL_START] = "is being removed",
		[CONTAINER_CALL_EXEC] = "is being removed",
		[CONTAINER_CALL_SIGNAL] = ALLOWED,
		[CONTAINER_CALL_WAIT] = ALLOWED,
		[CONTAINER_CALL_STREAM] = ALLOWED,
		[CONTAINER_CALL_REMOVE] = ALLOWED,
		[CONTAINER_CALL_UPDATE] = "is being removed",
		[CONTAINER_CALL_STATS] = "is being removed",
		[CONTAINER_CALL_PAUSE] = "is being removed",
		[CONTAINER_CALL_RESUME] = "is being removed",
	},
};

static void container_sweep(void *data);
static int container_fill(struct container *c, const char *id, const Grpc__Spec *spec,
			  struct error *err);
static struct process *container_find(struct container *c, const char *exec_id);
static void container_sweep_later(struct container *c);
static void container_process_exited(struct container *c, struct process *p);

static struct process *
container_process_of(struct list *node)
{
	return list_entry(node, struct process, node);
}

int
container_allows(const struct container *c, enum container_call call, struct error *err)
{
	const char *refusal = refusals[c->state][call];
	bool resume = call == CONTAINER_CALL_RESUME;
	enum error_code code = ERROR_FAILED_PRECONDITION;

	/* A paused container cannot start processes. */
	if (!refusal && c->paused != resume &&
	    (resume || call == CONTAINER_CALL_PAUSE || call == CONTAINER_CALL_START ||
	     call == CONTAINER_CALL_EXEC))
		refusal = resume ? "is not paused" : "is paused";
	if (!refusal)
		return 0;
	if (call == CONTAINER_CALL_EXEC && c->state == CONTAINER_STOPPED && c->joins_pids)
		return 0;
	if (call == CONTAINER_CALL_CREATE)
		code = ERROR_ALREADY_EXISTS;
	else if (call == CONTAINER_CALL_EXEC && c->state == CONTAINER_STOPPED)
		/* The namespaces to join no longer exist. */
		code = ERROR_NOT_FOUND;
	return error_set(err, code, "container %s %s", c->id, refusal);
}

struct container *
container_new(struct loop *loop, const char *id, const Grpc__Spec *spec, struct error *err)
{
	struct container *c = calloc(1, sizeof(*c));

	if (!c) {
		error_nomem(err, "creating a container");
		return NULL;
	}
	list_init(&c->node);
	list_init(&c->processes);
	post_init(&c->sweep, container_sweep, c);
	c->loop = loop;
	c->state = CONTAINER_CREATING;
	c->gate = -1;
	keyring_make_name(c->keyring);
	for (size_t i = 0; i < NS_KINDS; i++)
		c->ns[i] = -1;
	if (container_fill(c, id, spec, err) < 0) {
		container_free(c);
		return NULL;
	}
	return c;
}

static void
container_drop(struct container *c, struct process *p)
{
	if (p == c->init)
		c->init = NULL;
	process_free(p);
}

/* Drops finished processes, and the oldest of more than CONTAINER_UNREAD_MAX whose status was
 * reported and whose output is unread. */
static void
container_sweep(void *data)
{
	struct container *c = data;
	struct list *pos, *next;
	size_t unread = 0;

	list_for_each_safe (pos, next, &c->processes) {
		struct process *p = container_process_of(pos);

		if (process_is_over(p))
			container_drop(c, p);
		else if (p->status_reported)
			unread++;
	}
	list_for_each_safe (pos, next, &c->processes) {
		struct process *p = container_process_of(pos);

		if (unread <= CONTAINER_UNREAD_MAX)
			break;
		if (p == c->init || !p->status_reported)
			continue;
		container_drop(c, p);
		unread--;
	}
}

/* Returns the name under which other containers of the pod refer to its mounts, or NULL. */
static const char *
container_pod_name(const Grpc__Spec *spec)
{
	static const char *const keys[] = { "io.kubernetes.cri.container-name",
					    "io.kubernetes.cri-o.ContainerName" };

	for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
		for (size_t i = 0; i < spec->n_annotations; i++) {
			if (strcmp(spec->annotations[i]->key, keys[k]) == 0)
				return spec->annotations[i]->value;
		}
	}
	return NULL;
}

/* Allocates the members of a new container. */
static int
container_fill(struct container *c, const char *id, const Grpc__Spec *spec, struct error *err)
{
	char cgroup[PATH_MAX];

	if (cgroup_path_from_spec(spec->linux ? spec->linux->cgroupspath : "", id, cgroup,
				  sizeof(cgroup), err) < 0)
		return -1;
	if (container_set_spec(c, spec, err) < 0)
		return -1;
	c->id = strdup(id);
	c->cgroup_path = strdup(cgroup);
	if (asprintf(&c->bundle, "%s/%s", RUN_DIR, id) < 0)
		c->bundle = NULL;
	c->name = container_pod_name(spec) ? strdup(container_pod_name(spec)) : NULL;
	if (!c->id || !c->cgroup_path || !c->bundle || (container_pod_name(spec) && !c->name))
		return error_nomem(err, "creating a container");
	c->init = container_add_process(c, id, err);
	return c->init ? 0 : -1;
}

int
container_set_spec(struct container *c, const Grpc__Spec *spec, struct error *err)
{
	uint8_t *kept;
	size_t size;

	if (spec_retain_pack(spec, &kept, &size, err) < 0)
		return -1;
	free(c->kept);
	c->kept = kept;
	c->kept_size = size;
	c->hooks = hooks_times(spec->hooks);
	return 0;
}

void
container_free(struct container *c)
{
	while (!list_is_empty(&c->processes))
		process_free(container_process_of(c->processes.next));
	post_cancel(&c->sweep);
	close_fd(&c->gate);
	for (size_t i = 0; i < NS_KINDS; i++)
		close_fd(&c->ns[i]);
	seccomp_cache_drop(c->profile);
	free(c->kept);
	free(c->numbers);
	free(c->functions);
	free(c->name);
	free(c->id);
	free(c->cgroup_path);
	free(c->bundle);
	free(c);
}

const char *
container_id(const struct container *c)
{
	return c->id;
}

struct process *
container_process(struct container *c, const char *exec_id, enum container_call call,
		  struct error *err)
{
	struct process *p = container_find(c, exec_id);

	if (p && p->ready && (!p->status_reported || call == CONTAINER_CALL_STREAM))
		return p;
	error_set(err, ERROR_NOT_FOUND, TEXT_PROCESS_NOT_FOUND_IN,
		  exec_id[0] != '\0' ? exec_id : "(init)", c->id);
	return NULL;
}

static bool
container_is_init(const struct container *c, const char *exec_id)
{
	return exec_id[0] == '\0' || strcmp(exec_id, c->id) == 0;
}

static struct process *
container_find(struct container *c, const char *exec_id)
{
	struct list *pos;

	if (container_is_init(c, exec_id))
		return c->init;
	list_for_each (pos, &c->processes) {
		if (strcmp(container_process_of(pos)->exec_id, exec_id) == 0)
			return container_process_of(pos);
	}
	return NULL;
}

static const struct process_owner process_owner = {
	.exited = container_process_exited,
	.changed = container_sweep_later,
};

struct process *
container_add_process(struct container *c, const char *exec_id, struct error *err)
{
	struct process *p = container_find(c, exec_id);
	struct list *pos;
	size_t n = 0;

	if (exec_id[0] == '\0' || strlen(exec_id) > EXEC_ID_MAX) {
		error_set(err, ERROR_INVALID_ARGUMENT,
			  "invalid exec_id: empty or longer than %d bytes", EXEC_ID_MAX);
		return NULL;
	}
	if ((p && !p->status_reported) || (c->init_pid != 0 && container_is_init(c, exec_id))) {
		error_set(err, ERROR_ALREADY_EXISTS, "exec_id '%s' already exists", exec_id);
		return NULL;
	}
	list_for_each (pos, &c->processes)
		n++;
	if (n >= CONTAINER_PROCESSES_MAX) {
		error_set(err, ERROR_RESOURCE_EXHAUSTED,
			  "container %s has too many processes: %zu are running or not waited for",
			  c->id, n);
		return NULL;
	}
	if (p)
		container_drop(c, p);
	p = process_new(&process_owner, c, c->id, c->loop, exec_id, err);
	if (p)
		list_append(&c->processes, &p->node);
	return p;
}

static void
container_sweep_later(struct container *c)
{
	loop_post(c->loop, &c->sweep);
}

static void
container_process_exited(struct container *c, struct process *p)
{
	container_sweep_later(c);
	if (p == c->init) {
		c->init_exited = true;
		if (c->state == CONTAINER_CREATED || c->state == CONTAINER_RUNNING)
			c->state = CONTAINER_STOPPED;
	}
	if (c->on_exit)
		c->on_exit(c, c->data);
}

int
container_start(struct container *c, struct error *err)
{
	ssize_t n;

	do
		n = write(c->gate, "", 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		return error_sys_code(err, ERROR_FAILED_PRECONDITION,
				      "failed to start container %s: its init process has exited",
				      c->id);
	close_fd(&c->gate);
	container_started(c);
	return 0;
}

void
container_started(struct container *c)
{
	if (!c->init_exited)
		c->state = CONTAINER_RUNNING;
	log_event(LOG_LEVEL_DEBUG, "container", EVENT_CONTAINER_STARTED, NULL, 0,
		  "container %s started", c->id);
}

size_t
container_alive(const struct container *c)
{
	struct list *pos;
	size_t n = 0;

	list_for_each (pos, &c->processes) {
		const struct process *p = container_process_of(pos);

		if (p->pid != 0 && !p->exited)
			n++;
	}
	return n;
}

void
container_kill_processes(struct container *c)
{
	struct list *pos;
	struct error err = ERROR_INIT;

	list_for_each (pos, &c->processes) {
		if (process_signal(container_process_of(pos), SIGKILL, &err) < 0)
			log_warn("container", "container %s: %s", c->id, err.msg);
	}
}
