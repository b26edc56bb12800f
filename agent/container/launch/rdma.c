/* SPDX-License-Identifier: Apache-2.0 */
/* See rdma.h. In sysfs, the nodes of an adapter are below the directory of its PCI function. */
#include "agent/container/launch/rdma.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "agent/device/sysfs.h"
#include "lib/cleanup.h"

#define DIRECTORY "infiniband"

struct rdma_search {
	const struct roots *roots;
	struct rdma_node *out;
	int n;
	bool is_full;
};

/* Adds a node, unless it is there already or is not a character device. Returns whether there is
 * room for more. */
static bool
rdma_add(const char *name, void *data)
{
	struct rdma_search *s = data;
	struct rdma_node node;

	if ((size_t)snprintf(node.name, sizeof(node.name), DIRECTORY "/%s", name) >=
		    sizeof(node.name) ||
	    fstatat(s->roots->dev, node.name, &node.st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISCHR(node.st.st_mode))
		return true;
	for (int i = 0; i < s->n; i++) {
		if (strcmp(s->out[i].name, node.name) == 0)
			return true;
	}
	if (s->n == RDMA_NODES_MAX) {
		s->is_full = true;
		return false;
	}
	s->out[s->n++] = node;
	return true;
}

int
rdma_find(const struct roots *roots, const struct pci_pair *functions, size_t n,
	  struct rdma_node out[static RDMA_NODES_MAX], struct error *err)
{
	static const char *const classes[] = { "infiniband_verbs", "infiniband_mad" };
	struct rdma_search s = { .roots = roots, .out = out };

	for (size_t i = 0; i < n; i++) {
		char path[96];

		for (size_t k = 0; *functions[i].guest && k < ARRAY_LEN(classes); k++) {
			(void)snprintf(path, sizeof(path), "bus/pci/devices/%s/%s",
				       functions[i].guest, classes[k]);
			/* Most functions have none. */
			(void)sysfs_each(roots->sys, path, rdma_add, &s);
		}
		for (size_t k = 0; !*functions[i].guest && k < ARRAY_LEN(classes); k++) {
			(void)snprintf(path, sizeof(path), "class/%s", classes[k]);
			(void)sysfs_each(roots->sys, path, rdma_add, &s);
		}
	}
	if (s.n > 0)
		(void)rdma_add("rdma_cm", &s);
	if (s.is_full)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
				 "the PCI functions have more than %d nodes in /dev/" DIRECTORY,
				 RDMA_NODES_MAX);
	return s.n;
}
