/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records of a VM's containers, also after the end of the VM: files in its directory. May
 * block.
 *
 *	state.json              the VM (ctl/vm/state.h)
 *	status.json             its containers: state, restarts, exit codes
 *	container-NAME.log[.N]  output of a container (ctl/streams/log.h)
 *	ID.request.json         the request that created a container
 *	ID.status.json          a container that `run --in` added
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent.pb-c.h"
#include "ctl/vm/state.h"
#include "lib/error.h"

/* Writes the request that creates a container. Returns 0, or -1 and err. */
int record_request(const char *dir, const Grpc__CreateContainerRequest *r, struct error *err);

/* Returns the request that created a container, or NULL if none was recorded. The caller frees it
 * with grpc__create_container_request__free_unpacked(r, NULL). */
Grpc__CreateContainerRequest *record_read_request(const char *dir, const char *id);

/* Writes status.json for a VM with one container. Returns 0, or -1 and err. */
int record_single(const char *dir, const char *name, bool is_running, int exit_code,
		  struct error *err);

/* Writes the record of a container that was added to the VM, and removes the oldest of those that
 * have ended if there are many. Returns 0, or -1 and err. */
int record_added(const char *dir, const char *id, bool is_running, int exit_code,
		 struct error *err);

/* Removes the records of a container that was added. */
void record_remove_added(const char *dir, const char *id);

/* Returns an array of the VM's containers, as in status.json, and of those that were added; NULL
 * if out of memory. The caller json_decref()s it. */
json_t *record_containers(const char *dir);

/* A container in the background. */
struct record_ref {
	struct vm_state state;
	/* name as given, "": the VM's first */
	char container[96];
	/* id in the protocol */
	char id[160];
};

/* Finds the container of NAME[/CONTAINER]; `container` (may be NULL) is the name from an option.
 * With must_run, the VM runs. Returns 0, or -1 and err: INVALID_ARGUMENT, NOT_FOUND,
 * UNAVAILABLE. */
int record_find(const char *text, const char *container, bool must_run, struct record_ref *out,
		struct error *err);

/* Writes the id in the protocol of container `name` (NULL: the VM's first). */
void record_id(const struct vm_state *state, const char *name, char *out, size_t size);

/* Writes the path of the log of container `name` (NULL: the VM's first). */
void record_log(const struct vm_state *state, const char *name, char *out, size_t size);
