/* SPDX-License-Identifier: Apache-2.0 */
/* Translation of the spec's devices from the host's numbers and addresses to the guest's. Worker
 * side, before the spec is used. */
#pragma once

#include "agent/container/launch/params.h"

struct device_number;
struct worker;

/* For each entry of l->devices, sets the entry of spec.linux.devices with its container path,
 * which must exist, to the numbers of its node, and rewrites the device rules for the old numbers.
 * Appends entries for the RDMA nodes of l->functions, and rules that allow all these devices and
 * l->numbers. Sends the
 * numbers to the agent. Translates the PCI addresses in the environment. Changes the spec, which is
 * the worker's own copy. Returns 0, or -1 and err: INVALID_ARGUMENT. */
int device_entries_apply(struct worker *w, const struct launch *l, struct error *err);

/* Does the part of RDMA: appends the entries and fills in the numbers, of which there are
 * RDMA_NODES_MAX at most. Returns how many, or -1 and err. */
int device_entries_add_rdma(const struct launch *l, struct device_number *numbers,
			    struct error *err);

/* Translates the PCI addresses in the environment of a process, which is the worker's own copy. */
void device_entries_translate_env(struct worker *w, const Grpc__Process *process,
				  const struct pci_pair *functions, size_t n_functions);
