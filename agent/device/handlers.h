/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The devices of a CreateContainer request: what each type means, and the search for all of them.
 *    check -> find the devices of all requests -> bind functions to VFIO, one job after another ->
 *    find the nodes of their groups -> done
 *
 * Loop side: never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/device/device.h"
#include "agent/device/pci_env.h"

/* A device that the host has plugged in for a container. */
struct device_request {
	const char *id, *type, *vm_path, *container_path;
	const char *const *options;
	size_t n_options;
};

/* The outcome of the search for one device. */
struct device_result {
	/* "/dev/<name>"; "": the container gets no node. */
	char node[DEVICE_NODE_MAX];
	/* The container sees the node at its own path, not at container_path. */
	bool is_renamed;
};

/* Returns the name of the i-th type, NULL past the last. */
const char *device_type_name(size_t i);

/* Checks the fields of a request. Returns 0, or -1 and INVALID_ARGUMENT. */
int device_request_check(const struct device_request *r, struct error *err);

struct device_set;

/* Receives ERROR_OK, or the reason why one of the devices is not available. */
typedef void device_set_fn(const struct error *err, void *data);

/* Looks for the devices of n > 0 checked requests, which outlive the set. done is called once,
 * never before this returns. Returns NULL and sets err if memory runs out. */
struct device_set *device_set_find(struct device_watch *w, const struct device_request *requests,
				   size_t n, device_set_fn *done, void *data, struct error *err);

/* Returns what was found for the i-th request, after done was called with ERROR_OK. */
const struct device_result *device_set_result(const struct device_set *s, size_t i);

/* Fills `out`, which has room for `max`, with the PCI functions of the requests, after done was
 * called with ERROR_OK. Returns their number. */
size_t device_set_functions(const struct device_set *s, struct pci_pair *out, size_t max);

/* Frees the set, without calling done. NULL is allowed. */
void device_set_free(struct device_set *s);
