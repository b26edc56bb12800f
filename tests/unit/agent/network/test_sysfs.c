/* SPDX-License-Identifier: Apache-2.0 */
/* Maps PCI devices to interfaces in a fake /sys. */
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#include "agent/network/network_internal.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/device/tree.h"

#define ROOT "devices/pci0000:00/"

static struct error err;

static bool
find(const struct tree *t, const char *text, char name[IFNAMSIZ])
{
	struct pci_path path;

	REQUIRE_OK(pci_path_parse(text, &path, &err), &err);
	return net_find_at_path(t->roots.sys, &path, name);
}

Test(network_sysfs, where_a_path_leads)
{
	char name[IFNAMSIZ];
	struct tree t;

	tree_make(&t);
	CHECK(!find(&t, "05", name), "nothing there");
	tree_dir(&t, ROOT "0000:00:05.0");
	CHECK(!find(&t, "05", name), "a device without driver");
	tree_dir(&t, ROOT "0000:00:05.0/virtio2");
	CHECK(!find(&t, "05", name), "a driver that has not made it yet");
	tree_dir(&t, ROOT "0000:00:05.0/virtio2/net/eth3");
	REQUIRE(find(&t, "05", name));
	CHECK_STR(name, "eth3");
	/* a disk is not an interface */
	tree_dir(&t, ROOT "0000:00:06.0/virtio3/block/vda");
	CHECK(!find(&t, "06", name));
	/* a VFIO card, behind a bridge */
	tree_dir(&t, ROOT "0000:00:1e.0/pci_bus/0000:01");
	tree_dir(&t, ROOT "0000:00:1e.0/0000:01:00.1/net/ens1");
	REQUIRE(find(&t, "1e/00.1", name));
	CHECK_STR(name, "ens1");
	CHECK(!find(&t, "1e/00", name));
	tree_remove(&t);
}

Test(network_sysfs, the_path_of_an_interface)
{
	static const struct {
		const char *target, *path;
	} rows[] = {
		{ "../../devices/pci0000:00/0000:00:05.0/virtio2/net/x", "05" },
		{ "../../devices/pci0000:00/0000:00:1e.0/0000:01:00.0/virtio2/net/x", "1e/00" },
		{ "../../devices/pci0000:00/0000:00:1e.0/0000:01:00.3/net/x", "1e/00.3" },
		{ "../../devices/pci0000:80/0000:80:01.0/0000:81:00.0/net/x", "80/01/00" },
		{ "../../devices/virtual/net/x", "" },
		{ "../../devices/pci0001:00/0001:00:05.0/net/x", "" },
		{ "../../devices/pci0000:00", "" },
		{ "../../devices/pci0000:00/0000:00:1f.7/0000:01:1f.7/0000:02:1f.7/0000:03:1f.7/"
		  "0000:04:1f.7/0000:05:1f.7/0000:06:1f.7/0000:07:1f.7/0000:08:1f.7/0000:09:1f.7/"
		  "0000:0a:1f.7/0000:0b:1f.7/0000:0c:1f.7/net/x",
		  "" },
	};
	struct tree t;

	tree_make(&t);
	tree_dir(&t, "class/net");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct pci_path path;
		char text[64];

		REQUIRE_EQ(symlinkat(rows[i].target, t.roots.sys, "class/net/x"), 0);
		net_path_of(t.roots.sys, "x", text, sizeof(text));
		CHECK_STR(text, rows[i].path, "%s: %s", rows[i].target, text);
		if (text[0])
			CHECK_OK(pci_path_parse(text, &path, &err), &err);
		REQUIRE_EQ(unlinkat(t.roots.sys, "class/net/x", 0), 0);
	}
	{
		char text[64] = "x";

		net_path_of(t.roots.sys, "nobody", text, sizeof(text));
		CHECK_STR(text, "");
	}
	tree_remove(&t);
}
