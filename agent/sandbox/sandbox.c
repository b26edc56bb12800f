/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's tables: its containers, and looking up what a call names. Called by agent/rpc; the
 * other files of this directory implement the operations. Must never block.
 */
#include "agent/sandbox/sandbox_internal.h"

#include <stdlib.h>
#include <string.h>

#include "agent/job/initlink.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/log.h"

struct sandbox *
sandbox_new(const struct sandbox_parts *parts, struct error *err)
{
	struct sandbox *s = calloc(1, sizeof(*s));

	if (!s) {
		error_nomem(err, "creating the sandbox");
		return NULL;
	}
	s->parts = *parts;
	if (s->parts.create_timeout_ms == 0)
		s->parts.create_timeout_ms = LAUNCH_MS;
	list_init(&s->containers);
	list_init(&s->profiles);
	op_queues_init(&s->queues);
	oom_init(&s->oom, parts->loop);
	pressure_start(&s->pressure, s);
	s->device_program.fd = -1;
	for (size_t i = 0; i < NS_KINDS; i++)
		s->ns[i] = -1;
	return s;
}

void
sandbox_free(struct sandbox *s)
{
	if (!s)
		return;
	op_queues_release(&s->queues);
	while (!list_is_empty(&s->containers)) {
		struct container *c = list_entry(s->containers.next, struct container, node);

		/* There are no workers left to release it. */
		close_fd(&c->ns[NS_MNT]);
		sandbox_drop(s, c);
	}
	oom_release(&s->oom);
	pressure_release(&s->pressure);
	seccomp_cache_drop(s->recent_profile);
	device_program_release(&s->device_program);
	for (size_t i = 0; i < NS_KINDS; i++)
		close_fd(&s->ns[i]);
	setup_names_close(&s->names);
	log_set_sandbox(NULL);
	for (size_t i = 0; i < s->hung.n; i++)
		free(s->hung.path[i]);
	free(s->id);
	if (s->guest_hooks)
		grpc__hooks__free_unpacked(s->guest_hooks, NULL);
	free(s);
}

bool
sandbox_is_created(const struct sandbox *s)
{
	return s->state == SANDBOX_CREATED;
}

const char *
sandbox_id(const struct sandbox *s)
{
	return s->id ? s->id : "";
}

struct container *
sandbox_find(const struct sandbox *s, const char *id)
{
	struct list *pos;

	list_for_each (pos, &s->containers) {
		if (strcmp(list_entry(pos, struct container, node)->id, id) == 0)
			return list_entry(pos, struct container, node);
	}
	return NULL;
}

void
sandbox_drop(struct sandbox *s, struct container *c)
{
	if (s->pidns_owner == c) {
		s->pidns_owner = NULL;
		close_fd(&s->ns[NS_PID]);
	}
	oom_unwatch(c->oom);
	list_remove(&c->node);
	mntns_release(s, &c->ns[NS_MNT]);
	container_free(c);
}

int
error_no_container(struct error *err, const char *id)
{
	return error_set(err, ERROR_INVALID_ARGUMENT, TEXT_CONTAINER_NOT_FOUND, id);
}

struct container *
sandbox_container(struct sandbox *s, const char *id, enum container_call call, struct error *err)
{
	struct container *c = sandbox_find(s, id);

	if (!c) {
		error_no_container(err, id);
		return NULL;
	}
	return container_allows(c, call, err) == 0 ? c : NULL;
}

struct process *
sandbox_process(struct sandbox *s, const char *id, const char *exec_id, enum container_call call,
		struct error *err)
{
	struct container *c = sandbox_container(s, id, call, err);

	return c ? container_process(c, exec_id, call, err) : NULL;
}

struct oom_events *
sandbox_oom(struct sandbox *s)
{
	return &s->oom;
}

void
sandbox_each_cgroup(const struct sandbox *s, void (*fn)(const char *path, void *data), void *data)
{
	struct list *pos;

	list_for_each (pos, &s->containers) {
		const struct container *c = list_entry(pos, struct container, node);

		if (c->state == CONTAINER_RUNNING && c->cgroup_path)
			fn(c->cgroup_path, data);
	}
}

size_t
sandbox_containers(const struct sandbox *s)
{
	struct list *pos;
	size_t n = 0;

	list_for_each (pos, &s->containers)
		n++;
	return n;
}

void
keep_fd(struct keep_fds *keep, int fd)
{
	if (fd >= 0 && keep->n < KEEP_FDS_MAX)
		keep->fd[keep->n++] = fd;
}

void
keep_roots(struct keep_fds *keep, const struct roots *roots)
{
	keep_fd(keep, roots->proc);
	keep_fd(keep, roots->sys);
	keep_fd(keep, roots->dev);
	keep_fd(keep, roots->cgroup);
	keep_fd(keep, roots->run);
	keep_fd(keep, roots->root);
}
