/* SPDX-License-Identifier: Apache-2.0 */
/* /dev of a container: nodes, links, console. By the new process, before it leaves the guest's root; where that is not
 * allowed to make nodes, a worker makes them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/container/ns/namespaces.h"
#include "agent/roots.h"
#include "lib/error.h"
#include "oci.pb-c.h"

/* "/dev/a/b" -> "a/b": what a device of a spec is called below /dev. NULL if it is not below /dev or has . or .. */
const char *device_name(const char *path);

struct devices {
	const struct roots *roots;
	const Grpc__Linux *linux;
	/* For a user namespace, in which none can be made: devices_store()'s directory, attached somewhere in the
	 * caller's mount namespace. -1 otherwise. */
	int store;
};

/* An empty detached tmpfs for devices_store(): fd or -1. */
int devices_new_store(struct error *err);

/* Makes the nodes in the store, owned by whom the maps say. Worker only. */
int devices_store(int store, const struct devices *d, const struct ns_maps *maps,
		  struct error *err);

/* Makes nodes and links below dev_fd, the container's /dev. */
int devices_make(int dev_fd, const struct devices *d, struct error *err);

/* A detached clone of the guest's /dev/null, checked to be that: fd or -1. */
int devices_null(const struct roots *roots, struct error *err);
