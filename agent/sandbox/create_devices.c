/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Additions to the spec in a CreateContainer request: devices, which the host names by their
 * location, and mounts of other containers. Called by create.c. Never blocks: a search waits for
 * devices, and a worker copies the mounts.
 */
#include "agent/sandbox/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "agent/device/handlers.h"
#include "lib/cleanup.h"

/* The worker keeps one fd for each shared mount, in addition to those of the launch
 * (KEEP_FDS_MAX). */
#define SHARED_MAX 8

static int create_devices_fill_shared(struct sandbox *s, struct launch_shared *out,
				      const struct sandbox_shared_mount *m, struct error *err);

int
create_devices_check(const struct sandbox_container_request *request, struct error *err)
{
	if (request->n_devices > CREATE_DEVICES_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "more than %d devices",
				 CREATE_DEVICES_MAX);
	if (request->n_shared > SHARED_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "more than %d shared_mounts",
				 SHARED_MAX);
	for (size_t i = 0; i < request->n_devices; i++) {
		if (device_request_check(&request->devices[i], err) < 0)
			return -1;
	}
	for (size_t i = 0; i < request->n_shared; i++) {
		const struct sandbox_shared_mount *m = &request->shared[i];

		if (*m->src_path != '/' || *m->dst_path != '/')
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "shared_mounts: %.128s and %.128s must be absolute",
					 m->src_path, m->dst_path);
	}
	return 0;
}

int
create_devices_find(struct sandbox *s, struct create_devices *e,
		    const struct sandbox_container_request *request,
		    void (*done)(const struct error *err, void *data), void *data,
		    struct error *err)
{
	if (!s->parts.devices)
		return error_set(err, ERROR_FAILED_PRECONDITION, "device search is not available");
	e->found = device_set_find(s->parts.devices, request->devices, request->n_devices, done,
				   data, err);
	return e->found ? 0 : -1;
}

int
create_devices_keep_functions(const struct create_devices *e,
			      const struct sandbox_container_request *request, struct container *c,
			      struct error *err)
{
	size_t max = 0;

	for (size_t i = 0; i < request->n_devices; i++)
		max += request->devices[i].n_options;
	if (max == 0)
		return 0;
	c->functions = calloc(max, sizeof(*c->functions));
	if (!c->functions)
		return error_nomem(err, "keeping the addresses of PCI functions");
	c->n_functions = device_set_functions(e->found, c->functions, max);
	return 0;
}

int
create_devices_fill(struct sandbox *s, struct create_devices *e,
		    const struct sandbox_container_request *request, struct launch *launch,
		    struct keep_fds *keep, struct error *err)
{
	e->devices = calloc(request->n_devices + 1, sizeof(*e->devices));
	e->shared = calloc(request->n_shared + 1, sizeof(*e->shared));
	if (!e->devices || !e->shared)
		return error_nomem(err, "creating a container");
	for (size_t i = 0; i < request->n_devices; i++) {
		const struct device_result *found = device_set_result(e->found, i);

		if (*found->node)
			e->devices[e->n_devices++] = (struct launch_device){
				.container_path = request->devices[i].container_path,
				.node = found->node,
				.is_renamed = found->is_renamed,
			};
	}
	for (; e->n_shared < request->n_shared; e->n_shared++) {
		struct launch_shared *shared = &e->shared[e->n_shared];

		if (create_devices_fill_shared(s, shared, &request->shared[e->n_shared], err) < 0)
			return -1;
		keep_fd(keep, shared->mnt_ns);
	}
	launch->pidns_owner = -1;
	if (launch->sandbox_ns[NS_PID] >= 0 && s->pidns_owner && s->pidns_owner->init->pidfd >= 0) {
		e->pidns_owner = fcntl(s->pidns_owner->init->pidfd, F_DUPFD_CLOEXEC, 3);
		if (e->pidns_owner < 0)
			return error_sys_code(
				err, ERROR_RESOURCE_EXHAUSTED,
				"failed to keep the first process of the pid namespace");
		launch->pidns_owner = e->pidns_owner;
		keep_fd(keep, launch->pidns_owner);
	}
	launch->devices = e->devices;
	launch->n_devices = e->n_devices;
	launch->shared = e->shared;
	launch->n_shared = e->n_shared;
	return 0;
}

/* Returns the container that has this name in its pod and a mount namespace, or NULL. */
static const struct container *
create_devices_find_by_name(const struct sandbox *s, const char *name)
{
	struct list *pos;

	list_for_each (pos, &s->containers) {
		const struct container *c = list_entry(pos, struct container, node);

		if (c->name && strcmp(c->name, name) == 0 && c->ns[NS_MNT] >= 0)
			return c;
	}
	return NULL;
}

/* Duplicates the mount namespace's fd: the source container may be removed before the launch. */
static int
create_devices_fill_shared(struct sandbox *s, struct launch_shared *out,
			   const struct sandbox_shared_mount *m, struct error *err)
{
	const struct container *c = create_devices_find_by_name(s, m->src_name);

	*out = (struct launch_shared){
		.src_name = m->src_name,
		.src_path = m->src_path,
		.dst_path = m->dst_path,
		.mnt_ns = c ? fcntl(c->ns[NS_MNT], F_DUPFD_CLOEXEC, 3) : -1,
	};
	if (c && out->mnt_ns < 0)
		return error_sys_code(err, ERROR_RESOURCE_EXHAUSTED,
				      "failed to keep the mount namespace of container %s",
				      m->src_name);
	return 0;
}

void
create_devices_release(struct create_devices *e)
{
	device_set_free(e->found);
	for (size_t i = 0; i < e->n_shared; i++)
		close_fd(&e->shared[i].mnt_ns);
	if (e->pidns_owner > 0)
		close_fd(&e->pidns_owner);
	free(e->devices);
	free(e->shared);
	*e = (struct create_devices){ 0 };
}
