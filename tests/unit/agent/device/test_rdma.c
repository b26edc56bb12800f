/* SPDX-License-Identifier: Apache-2.0 */
/* RDMA nodes of PCI functions, in a fake /sys and /dev. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/cgroup/device_numbers.h"
#include "agent/container/launch/device_entries.h"
#include "agent/container/launch/rdma.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/device/tree.h"

static void
add_node(const struct tree *t, const char *name, unsigned int minor)
{
	char path[64];

	(void)mkdirat(t->roots.dev, "infiniband", 0755);
	(void)snprintf(path, sizeof(path), "infiniband/%s", name);
	if (mknodat(t->roots.dev, path, S_IFCHR | 0640, makedev(231, minor)) < 0)
		cr_skip_test("mknod is not allowed here");
}

/* Two adapters, at 01:00.0 and 02:00.0, and a network card. */
static void
make(struct tree *t)
{
	tree_make(t);
	tree_dir(t, "bus/pci/devices/0000:01:00.0/infiniband_verbs/uverbs0");
	tree_dir(t, "bus/pci/devices/0000:01:00.0/infiniband_mad/umad0");
	tree_dir(t, "bus/pci/devices/0000:02:00.0/infiniband_verbs/uverbs1");
	tree_dir(t, "bus/pci/devices/0000:02:00.0/infiniband_mad/umad1");
	tree_dir(t, "bus/pci/devices/0000:02:00.0/infiniband_mad/issm1");
	tree_dir(t, "bus/pci/devices/0000:02:00.0/infiniband_mad/gone");
	tree_dir(t, "bus/pci/devices/0000:03:00.0/net/eth0");
	tree_dir(t, "class/infiniband_verbs/uverbs0");
	tree_dir(t, "class/infiniband_verbs/uverbs1");
	tree_file(t, "class/infiniband_verbs/abi_version", "6\n");
	add_node(t, "uverbs0", 192);
	add_node(t, "uverbs1", 193);
	add_node(t, "umad0", 0);
	add_node(t, "umad1", 1);
	add_node(t, "issm1", 65);
	add_node(t, "rdma_cm", 255);
}

static const struct rdma_node *
find(const struct rdma_node *nodes, int n, const char *name)
{
	for (int i = 0; i < n; i++) {
		if (strcmp(nodes[i].name, name) == 0)
			return &nodes[i];
	}
	return NULL;
}

Test(rdma, nodes_of_one_adapter)
{
	static const struct pci_pair functions[] = { { "0000:3b:00.0", "0000:02:00.0" },
						     { "0000:3b:00.1", "0000:03:00.0" } };
	struct rdma_node nodes[RDMA_NODES_MAX];
	struct error err = ERROR_INIT;
	const struct rdma_node *node;
	struct tree t;

	make(&t);
	CHECK_EQ(rdma_find(&t.roots, functions, 2, nodes, &err), 4, "%s", err.msg);
	node = find(nodes, 4, "infiniband/uverbs1");
	REQUIRE(node);
	CHECK(node->st.st_rdev == makedev(231, 193));
	CHECK(find(nodes, 4, "infiniband/umad1"));
	CHECK(find(nodes, 4, "infiniband/issm1"));
	CHECK(find(nodes, 4, "infiniband/rdma_cm"));
	tree_remove(&t);
}

Test(rdma, function_without_rdma)
{
	static const struct pci_pair functions[] = { { "0000:3b:00.1", "0000:03:00.0" } };
	struct rdma_node nodes[RDMA_NODES_MAX];
	struct error err = ERROR_INIT;
	struct tree t;

	make(&t);
	CHECK_EQ(rdma_find(&t.roots, functions, 1, nodes, &err), 0, "rdma_cm alone is of no use");
	CHECK_EQ(rdma_find(&t.roots, functions, 0, nodes, &err), 0);
	tree_remove(&t);
}

Test(rdma, function_whose_place_is_not_known)
{
	static const struct pci_pair functions[] = { { "0000:3b:00.1", "" } };
	struct rdma_node nodes[RDMA_NODES_MAX];
	struct error err = ERROR_INIT;
	struct tree t;

	make(&t);
	CHECK_EQ(rdma_find(&t.roots, functions, 1, nodes, &err), 3, "%s", err.msg);
	CHECK(find(nodes, 3, "infiniband/uverbs0"));
	CHECK(find(nodes, 3, "infiniband/uverbs1"));
	CHECK(find(nodes, 3, "infiniband/rdma_cm"));
	tree_remove(&t);
}

Test(rdma, links_and_files_are_no_nodes)
{
	static const struct pci_pair functions[] = { { "0000:3b:00.0", "0000:02:00.0" } };
	struct rdma_node nodes[RDMA_NODES_MAX];
	struct error err = ERROR_INIT;
	struct tree t;

	make(&t);
	REQUIRE_EQ(unlinkat(t.roots.dev, "infiniband/uverbs1", 0), 0);
	REQUIRE_EQ(symlinkat("uverbs0", t.roots.dev, "infiniband/uverbs1"), 0);
	CHECK_EQ(rdma_find(&t.roots, functions, 1, nodes, &err), 3, "%s", err.msg);
	CHECK(!find(nodes, 3, "infiniband/uverbs1"));
	tree_remove(&t);
}

Test(rdma, more_nodes_than_a_container_may_have)
{
	static const struct pci_pair functions[] = { { "0000:3b:00.0", "0000:02:00.0" } };
	struct rdma_node nodes[RDMA_NODES_MAX];
	struct error err = ERROR_INIT;
	char name[96];
	struct tree t;

	make(&t);
	for (unsigned int i = 0; i < RDMA_NODES_MAX; i++) {
		(void)snprintf(name, sizeof(name),
			       "bus/pci/devices/0000:02:00.0/infiniband_mad/many%u", i);
		tree_dir(&t, name);
		add_node(&t, strrchr(name, '/') + 1, 1000 + i);
	}
	CHECK_EQ(rdma_find(&t.roots, functions, 1, nodes, &err), -1);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	tree_remove(&t);
}

/* The entry that the host has sent for one of the nodes stays. */
Test(rdma, entries_of_the_spec)
{
	static const struct pci_pair functions[] = { { "0000:3b:00.0", "0000:02:00.0" } };
	static char own[] = "/dev/infiniband/umad1", type[] = "c";
	struct device_number numbers[RDMA_NODES_MAX];
	Grpc__LinuxDevice device = GRPC__LINUX_DEVICE__INIT;
	Grpc__LinuxDevice *devices[] = { &device };
	Grpc__Linux linux_part = GRPC__LINUX__INIT;
	Grpc__Spec spec = GRPC__SPEC__INIT;
	struct launch l = { .spec = &spec, .functions = functions, .n_functions = 1 };
	struct error err = ERROR_INIT;
	bool has_verbs = false;
	struct tree t;
	int n;

	make(&t);
	l.roots = &t.roots;
	device.path = own;
	device.type = type;
	linux_part.devices = devices;
	linux_part.n_devices = 1;
	spec.linux = &linux_part;
	n = device_entries_add_rdma(&l, numbers, &err);
	REQUIRE_EQ(n, 4, "%s", err.msg);
	REQUIRE_EQ(linux_part.n_devices, 4u);
	CHECK(linux_part.devices[0] == &device);
	for (int i = 0; i < n; i++) {
		CHECK_EQ(numbers[i].type, (uint32_t)'c');
		CHECK_EQ(numbers[i].host_major, DEVICE_NOT_ON_HOST);
		CHECK_EQ(numbers[i].major, 231u);
		has_verbs |= numbers[i].minor == 193;
	}
	CHECK(has_verbs);
	has_verbs = false;
	for (size_t i = 1; i < linux_part.n_devices; i++) {
		const Grpc__LinuxDevice *d = linux_part.devices[i];

		CHECK_STR(d->type, "c");
		CHECK_EQ(d->filemode, (uint32_t)0640);
		has_verbs |= strcmp(d->path, "/dev/infiniband/uverbs1") == 0 && d->minor == 193;
		free(d->path);
	}
	CHECK(has_verbs);
	free(linux_part.devices[1]);
	free(linux_part.devices);
	tree_remove(&t);
}
