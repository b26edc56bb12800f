/* SPDX-License-Identifier: Apache-2.0 */
/* The content of a container's /dev: nodes and links. Made by the new process, before it leaves
 * the guest's root; a process in a user namespace is not allowed to make nodes, so the worker
 * makes them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/container/ns/namespaces.h"
#include "agent/roots.h"
#include "lib/error.h"
#include "oci.pb-c.h"

/* Returns the part of a device's path below /dev ("/dev/a/b" -> "a/b"), which points into
 * `path`, or NULL if the path is not below /dev or has "." or ".." components. Pure. */
const char *device_name(const char *path);

struct devices {
	const struct roots *roots;
	const Grpc__Linux *linux;
	/* With a user namespace: the directory of devices_store(), attached in the caller's
	 * mount namespace. Otherwise -1. */
	int store;
};

/* Makes an empty detached tmpfs for devices_store(). Returns its fd, which the caller owns, or
 * -1 and err. */
int devices_new_store(struct error *err);

/* Makes the nodes in the store, with owners mapped by `maps`. Returns 0, or -1 and err. Worker
 * only: may block. */
int devices_store(int store, const struct devices *d, const struct ns_maps *maps,
		  struct error *err);

/* Makes nodes and links below dev_fd, the container's /dev. Returns 0, or -1 and err. */
int devices_make(int dev_fd, const struct devices *d, struct error *err);

/* Opens a detached, read-only clone of the guest's /dev/null, after a check that it is one.
 * Returns its fd, which the caller owns, or -1 and err. */
int devices_null(const struct roots *roots, struct error *err);
