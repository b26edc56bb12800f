/* SPDX-License-Identifier: Apache-2.0 */
/* RDMA: the device nodes through which programs use an adapter that the guest's own driver has
 * (Documentation/infiniband/user_verbs.rst in Linux). Worker side. */
#pragma once

#include <sys/stat.h>

#include "agent/device/pci_env.h"
#include "agent/roots.h"
#include "lib/error.h"

/* At most; an adapter has three for each port, and there is one for all. */
#define RDMA_NODES_MAX 64

struct rdma_node {
	/* "infiniband/uverbs0", below /dev */
	char name[48];
	struct stat st;
};

/* Finds the nodes in /dev/infiniband that belong to one of the PCI functions, and that of the
 * connection manager if there is any. If the address of a function in the guest is not known, all
 * nodes are taken. Returns their number, or -1 and err. */
int rdma_find(const struct roots *roots, const struct pci_pair *functions, size_t n,
	      struct rdma_node out[static RDMA_NODES_MAX], struct error *err);
