/* SPDX-License-Identifier: Apache-2.0 */
/* PCI paths: parsing, and resolving in a fake sysfs. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/device/pci.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/device/tree.h"

/* want: the root and the hops as "slot.function"; NULL: the path is invalid. */
struct parse_row {
	const char *text, *want;
};

static const struct parse_row parse_rows[] = {
	{ "02", "00: 2.0" },
	{ "2", "00: 2.0" },
	{ "1f.7", "00: 31.7" },
	{ "02/05", "00: 2.0 5.0" },
	{ "02.1/05.3", "00: 2.1 5.3" },
	{ "0a/1B", "00: 10.0 27.0" },
	/* 0x20 is not a slot: a root bus with three elements, invalid with two */
	{ "20/02/05", "20: 2.0 5.0" },
	{ "ff/00/01", "ff: 0.0 1.0" },
	{ "20/02", NULL },
	{ "1f/02/05", "00: 31.0 2.0 5.0" },
	{ "01/02/03/04/05/06/07/08", "00: 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0" },
	{ "01/02/03/04/05/06/07/08/09", NULL },
	{ "20/01/02/03/04/05/06/07/08", "20: 1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0" },
	{ "", NULL },
	{ "/", NULL },
	{ "02/", NULL },
	{ "/02", NULL },
	{ "02//05", NULL },
	{ "02.8", NULL },
	{ "02.", NULL },
	{ ".1", NULL },
	{ "02.1.1", NULL },
	{ "0x2", NULL },
	{ "x2", NULL },
	{ "002", NULL },
	{ "g", NULL },
	{ " 2", NULL },
	{ "-1", NULL },
	{ "+1", NULL },
	{ "0000:00:02.0", NULL },
	{ "../02", NULL },
};

Test(pci, parsing)
{
	for (size_t i = 0; i < ARRAY_LEN(parse_rows); i++) {
		const struct parse_row *row = &parse_rows[i];
		struct error err = ERROR_INIT;
		struct pci_path path;
		char got[128];
		int n, r = pci_path_parse(row->text, &path, &err);

		if (!row->want) {
			REQUIRE_EQ(r, -1, "\"%s\" was accepted", row->text);
			REQUIRE_EQ(err.code, ERROR_INVALID_ARGUMENT);
			REQUIRE_HAS(err.msg, row->text);
			continue;
		}
		REQUIRE_EQ(r, 0, "\"%s\": %s", row->text, err.msg);
		n = snprintf(got, sizeof(got), "%02x:", path.root);
		for (unsigned int h = 0; h < path.n; h++)
			n += snprintf(got + n, sizeof(got) - (size_t)n, " %u.%u", path.hops[h].slot,
				      path.hops[h].function);
		REQUIRE_STR(got, row->want, "\"%s\": %s", row->text, got);
	}
}

static int
resolve(const struct tree *t, const char *text, char *out, size_t size, struct error *err)
{
	struct pci_path path;

	*err = ERROR_INIT;
	REQUIRE_OK(pci_path_parse(text, &path, err), err);
	return pci_path_resolve(t->roots.sys, &path, out, size, err);
}

Test(pci, device_on_the_root_bus)
{
	struct tree t;
	struct error err;
	char out[256];

	tree_make(&t);
	REQUIRE_EQ(resolve(&t, "02", out, sizeof(out), &err), 1, "the device does not exist yet");
	tree_dir(&t, "devices/pci0000:00/0000:00:02.0");
	REQUIRE_OK(resolve(&t, "02", out, sizeof(out), &err), &err);
	REQUIRE(strcmp(out, "devices/pci0000:00/0000:00:02.0") == 0);
	REQUIRE(resolve(&t, "02.1", out, sizeof(out), &err) == 1);
	REQUIRE_EQ(resolve(&t, "02", out, 8, &err), -1, "the path does not fit");
	tree_remove(&t);
}

Test(pci, devices_behind_bridges)
{
	struct tree t;
	struct error err;
	char out[256];

	tree_make(&t);
	tree_dir(&t, "devices/pci0000:00/0000:00:02.0");
	REQUIRE_EQ(resolve(&t, "02/05", out, sizeof(out), &err), 1, "no bus yet");
	tree_dir(&t, "devices/pci0000:00/0000:00:02.0/pci_bus/0000:01");
	REQUIRE_EQ(resolve(&t, "02/05", out, sizeof(out), &err), 1, "no device yet");
	tree_dir(&t, "devices/pci0000:00/0000:00:02.0/0000:01:05.0/pci_bus/0000:0a");
	REQUIRE_OK(resolve(&t, "02/05", out, sizeof(out), &err), &err);
	REQUIRE(strcmp(out, "devices/pci0000:00/0000:00:02.0/0000:01:05.0") == 0);
	tree_dir(&t, "devices/pci0000:00/0000:00:02.0/0000:01:05.0/0000:0a:1f.7");
	REQUIRE_OK(resolve(&t, "02/05/1f.7", out, sizeof(out), &err), &err);
	REQUIRE(strcmp(out, "devices/pci0000:00/0000:00:02.0/0000:01:05.0/0000:0a:1f.7") == 0);
	/* two buses behind one bridge are ambiguous */
	tree_dir(&t, "devices/pci0000:00/0000:00:02.0/pci_bus/0000:02");
	REQUIRE_EQ(resolve(&t, "02/05", out, sizeof(out), &err), -1);
	REQUIRE(strstr(err.msg, "0000:00:02.0") && strstr(err.msg, "more than one bus"));
	tree_remove(&t);
}

Test(pci, expander_bridge)
{
	struct tree t;
	struct error err;
	char out[256];

	tree_make(&t);
	tree_dir(&t, "devices/pci0000:20/0000:20:00.0/pci_bus/0000:21");
	tree_dir(&t, "devices/pci0000:20/0000:20:00.0/0000:21:01.0");
	REQUIRE_OK(resolve(&t, "20/00/01", out, sizeof(out), &err), &err);
	REQUIRE(strcmp(out, "devices/pci0000:20/0000:20:00.0/0000:21:01.0") == 0);
	tree_remove(&t);
}

/* Without directories of buses, the functions below a bridge show its bus. */
Test(pci, bridge_without_pci_bus)
{
	struct tree t;
	struct error err;
	char out[256];

	tree_make(&t);
	tree_dir(&t, "devices/pci0000:00/0000:00:02.0/power");
	REQUIRE_EQ(resolve(&t, "02/05", out, sizeof(out), &err), 1, "no bus yet");
	tree_dir(&t, "devices/pci0000:00/0000:00:02.0/0000:01:05.0");
	tree_dir(&t, "devices/pci0000:00/0000:00:02.0/0000:01:06.1");
	tree_dir(&t, "devices/pci0000:00/0000:00:02.0/0000:00:02.0:pcie004");
	REQUIRE_EQ(resolve(&t, "02/05", out, sizeof(out), &err), 0, "%s", err.msg);
	REQUIRE_STR(out, "devices/pci0000:00/0000:00:02.0/0000:01:05.0");
	tree_dir(&t, "devices/pci0000:00/0000:00:02.0/0000:02:00.0");
	REQUIRE_EQ(resolve(&t, "02/05", out, sizeof(out), &err), -1, "two buses");
	tree_remove(&t);
}

/* aarch64: the root complex is below its controller. */
Test(pci, root_complex_of_a_platform_device)
{
	struct tree t;
	struct error err;
	char out[256];

	tree_make(&t);
	tree_dir(&t, "devices/platform/a000000.virtio_mmio");
	tree_dir(&t, "devices/platform/4010000000.pcie/pci0000:00/0000:00:02.0");
	REQUIRE_EQ(resolve(&t, "02", out, sizeof(out), &err), 0);
	REQUIRE_STR(out, "devices/platform/4010000000.pcie/pci0000:00/0000:00:02.0");
	REQUIRE_EQ(resolve(&t, "03", out, sizeof(out), &err), 1);
	REQUIRE_EQ(resolve(&t, "20/00/01", out, sizeof(out), &err), 1);
	tree_remove(&t);
}

/* The first hop of an expander bridge is on the bus with its number, not on bus 00. */
Test(pci, expander_bridge_and_root_bus_have_slots_of_their_own)
{
	struct tree t;
	struct error err;
	char out[256];

	tree_make(&t);
	tree_dir(&t, "devices/pci0000:00/0000:00:00.0/pci_bus/0000:01");
	tree_dir(&t, "devices/pci0000:00/0000:00:00.0/0000:01:01.0");
	tree_dir(&t, "devices/pci0000:20");
	REQUIRE_EQ(resolve(&t, "20/00/01", out, sizeof(out), &err), 1, "%s", out);
	tree_remove(&t);
}
