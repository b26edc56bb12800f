/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of disks on every bus: parsing, and looking in a fake sysfs. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/device/bus.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "tests/support/check.h"
#include "tests/unit/agent/device/tree.h"

struct bus_row {
	const char *bus, *text;
	/* part of the error, NULL: the address is valid */
	const char *error;
};

static const struct bus_row rows[] = {
	{ "blk", "02", NULL },
	{ "blk", "02/05", NULL },
	{ "blk", "20/00.1/05", NULL },
	{ "blk", "/dev/vdb", NULL },
	{ "blk", "", "invalid PCI path" },
	{ "blk", "vda", "invalid PCI path" },
	{ "blk", "0:1", "invalid PCI path" },
	{ "blk", "/dev/", "expected /dev/<name>" },
	{ "blk", "/dev/..", "expected /dev/<name>" },
	{ "blk", "/dev/.", "expected /dev/<name>" },
	{ "blk", "/dev/a/b", "expected /dev/<name>" },
	{ "blk", "/dev/../x", "expected /dev/<name>" },
	{ "blk", "/dev/.hidden", "expected /dev/<name>" },
	{ "blk", "/etc/passwd", "expected /dev/<name>" },
	{ "mmioblk", "/dev/vda", NULL },
	{ "mmioblk", "virtio-mmio.3", NULL },
	{ "mmioblk", "LNRO0005:03", NULL },
	{ "mmioblk", "a003e00.virtio_mmio", NULL },
	{ "mmioblk", "", "name of a platform device" },
	{ "mmioblk", "../../x", "name of a platform device" },
	{ "mmioblk", "a/b", "name of a platform device" },
	{ "mmioblk", "/dev/a/b", "expected /dev/<name>" },
	{ "scsi", "0:0", NULL },
	{ "scsi", "255:16383", NULL },
	{ "scsi", "/dev/sda", NULL },
	{ "scsi", "256:0", "invalid SCSI address" },
	{ "scsi", "0:16384", "invalid SCSI address" },
	{ "scsi", "", "invalid SCSI address" },
	{ "scsi", "0", "invalid SCSI address" },
	{ "scsi", "0:", "invalid SCSI address" },
	{ "scsi", ":0", "invalid SCSI address" },
	{ "scsi", "0:0:1", "invalid SCSI address" },
	{ "scsi", "-1:0", "invalid SCSI address" },
	{ "scsi", "0: 1", "invalid SCSI address" },
	{ "scsi", "0:1\n", "invalid SCSI address" },
	{ "scsi", "00000000000:1", "invalid SCSI address" },
	{ "nvdimm", "/dev/pmem0", NULL },
	{ "nvdimm", "pmem0", "expected /dev/<name>" },
	{ "nvdimm", "02", "expected /dev/<name>" },
	{ "nvdimm", "", "expected /dev/<name>" },
	{ "blk-ccw", "0.0.0005", NULL },
	{ "blk-ccw", "0.3.fFfF", NULL },
	{ "blk-ccw", "0.0.5", NULL },
	{ "blk-ccw", "0.4.0005", "invalid CCW device" },
	{ "blk-ccw", "1.0.0005", "invalid CCW device" },
	{ "blk-ccw", "0.0.", "invalid CCW device" },
	{ "blk-ccw", "0.0", "invalid CCW device" },
	{ "blk-ccw", "0.", "invalid CCW device" },
	{ "blk-ccw", "", "invalid CCW device" },
	{ "blk-ccw", "0.0.00005", "invalid CCW device" },
	{ "blk-ccw", "0.0.0x5", "invalid CCW device" },
	{ "blk-ccw", "0.0.5/..", "invalid CCW device" },
	{ "blk-ccw", "/dev/vda", "invalid CCW device" },
};

Test(bus, parsing)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct bus_row *row = &rows[i];
		const struct device_bus *bus = device_bus_find(row->bus);
		struct device_address address;
		struct error err = ERROR_INIT;
		int r;

		REQUIRE(bus, "%s", row->bus);
		r = device_bus_parse(bus, row->text, &address, &err);
		if (!row->error) {
			CHECK_EQ(r, 0, "%s \"%s\": %s", row->bus, row->text, err.msg);
			CHECK_STR(address.text, row->text);
			continue;
		}
		CHECK_EQ(r, -1, "%s accepted \"%s\"", row->bus, row->text);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT, "%s \"%s\"", row->bus, row->text);
		CHECK(strstr(err.msg, row->error), "%s \"%s\": %s", row->bus, row->text, err.msg);
	}
	CHECK_EQ(device_bus_find("virtio"), NULL);
	CHECK_EQ(device_bus_find(""), NULL);
}

Test(bus, addresses_that_are_too_long)
{
	char text[200];

	for (size_t i = 0; device_bus(i); i++) {
		struct device_address address;
		struct error err = ERROR_INIT;

		memset(text, '1', sizeof(text));
		for (size_t n = 0; n < sizeof(text); n++) {
			text[n] = '\0';
			if (device_bus_parse(device_bus(i), text, &address, &err) == 0)
				CHECK_LT(n, DEVICE_NODE_MAX, "%s, %zu", device_bus(i)->name, n);
			memcpy(text, "/dev/", 5);
			if (n >= 5 && device_bus_parse(device_bus(i), text, &address, &err) == 0)
				CHECK_LT(n, DEVICE_NODE_MAX, "%s, %zu", device_bus(i)->name, n);
			memset(text, '1', 5);
			text[n] = '1';
		}
	}
}

/* Looks for a disk: returns its name, "" if it does not exist yet, or the error. */
static const char *
look(const struct tree *t, const char *bus, const char *text)
{
	static char name[DEVICE_NODE_MAX];
	static struct error err;
	struct device_address address;
	int r;

	err = ERROR_INIT;
	REQUIRE_EQ(device_bus_parse(device_bus_find(bus), text, &address, &err), 0, "%s", err.msg);
	REQUIRE(address.kind->is_disk);
	name[0] = '\0';
	r = address.kind->look(&t->roots, &address, name, &err);
	return r < 0 ? err.msg : r > 0 ? "" : name;
}

Test(bus, mmio_disk)
{
	struct tree t;

	tree_make(&t);
	CHECK_STR(look(&t, "mmioblk", "virtio-mmio.3"), "");
	tree_dir(&t, "devices/platform/virtio-mmio.3/virtio2");
	tree_link(&t, "bus/platform/devices/virtio-mmio.3",
		  "../../../devices/platform/virtio-mmio.3");
	CHECK_STR(look(&t, "mmioblk", "virtio-mmio.3"), "", "it has no driver yet");
	tree_dir(&t, "devices/platform/virtio-mmio.3/virtio2/block/vdc");
	CHECK_STR(look(&t, "mmioblk", "virtio-mmio.3"), "vdc");
	CHECK_STR(look(&t, "mmioblk", "virtio-mmio.33"), "");
	tree_remove(&t);
}

Test(bus, ccw_disk)
{
	struct tree t;

	tree_make(&t);
	tree_dir(&t, "devices/css0/0.0.0001/0.0.0005/virtio1/block/vda");
	tree_dir(&t, "devices/css0/0.0.0002/0.1.0005/virtio2/block/vdb");
	tree_link(&t, "bus/ccw/devices/0.0.0005", "../../../devices/css0/0.0.0001/0.0.0005");
	tree_link(&t, "bus/ccw/devices/0.1.0005", "../../../devices/css0/0.0.0002/0.1.0005");
	CHECK_STR(look(&t, "blk-ccw", "0.0.0005"), "vda");
	CHECK_STR(look(&t, "blk-ccw", "0.0.5"), "vda");
	CHECK_STR(look(&t, "blk-ccw", "0.1.0005"), "vdb");
	CHECK_STR(look(&t, "blk-ccw", "0.2.0005"), "");
	tree_remove(&t);
}

static void
add_host(const struct tree *t, unsigned int host, const char *driver)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "class/scsi_host/host%u/proc_name", host);
	tree_file(t, path, driver);
	(void)snprintf(path, sizeof(path), "class/scsi_host/host%u/scan", host);
	tree_file(t, path, "");
}

static void
add_scsi(const struct tree *t, const char *device, const char *disk)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "bus/scsi/devices/%s%s%s", device, disk ? "/block/" : "",
		       disk ? disk : "");
	tree_dir(t, path);
}

Test(bus, scsi_disks_of_several_controllers)
{
	struct tree t;

	tree_make(&t);
	CHECK_STR(look(&t, "scsi", "0:1"), "", "there is no controller");
	add_host(&t, 0, "virtio_scsi\n");
	add_host(&t, 1, "virtio_scsi\n");
	add_scsi(&t, "host0", NULL);
	add_scsi(&t, "target0:0:0", NULL);
	add_scsi(&t, "0:0:0:1", "sda");
	add_scsi(&t, "1:0:0:2", "sdb");
	add_scsi(&t, "1:0:1:1", "sdc");
	add_scsi(&t, "1:0:2:16640", "sdd");
	CHECK_STR(look(&t, "scsi", "0:1"), "sda");
	CHECK_STR(look(&t, "scsi", "0:2"), "sdb");
	CHECK_STR(look(&t, "scsi", "1:1"), "sdc");
	CHECK_STR(look(&t, "scsi", "2:256"), "sdd", "flat addressing");
	CHECK_STR(look(&t, "scsi", "0:11"), "");
	CHECK_STR(look(&t, "scsi", "0:0"), "");
	/* another channel is another device */
	add_scsi(&t, "0:1:3:0", "sde");
	CHECK_STR(look(&t, "scsi", "3:0"), "");
	/* the driver of disks comes later than the device */
	add_scsi(&t, "0:0:4:0", NULL);
	CHECK_STR(look(&t, "scsi", "4:0"), "");
	tree_remove(&t);
}

Test(bus, scsi_address_of_two_controllers)
{
	struct tree t;

	tree_make(&t);
	add_host(&t, 0, "ahci\n");
	add_scsi(&t, "0:0:0:0", "sda");
	CHECK_STR(look(&t, "scsi", "0:0"), "sda");
	/* the disk of virtio-scsi is meant, whatever the other controllers have */
	add_host(&t, 2, "virtio_scsi\n");
	add_scsi(&t, "2:0:0:0", "sdb");
	CHECK_STR(look(&t, "scsi", "0:0"), "sdb");
	add_host(&t, 10, "virtio_scsi\n");
	add_scsi(&t, "10:0:0:0", "sdc");
	CHECK(strstr(look(&t, "scsi", "0:0"), "2 SCSI controllers have a device 0:0"), "%s",
	      look(&t, "scsi", "0:0"));
	tree_remove(&t);
}

static const char *
scanned(const struct tree *t, unsigned int host)
{
	static char text[32];
	char path[64];

	(void)snprintf(path, sizeof(path), "class/scsi_host/host%u/scan", host);
	REQUIRE(read_text_at(t->roots.sys, path, text, sizeof(text)) >= 0);
	return text;
}

static int
scan(const struct tree *t, const char *text, struct error *err)
{
	struct device_address address;

	*err = ERROR_INIT;
	REQUIRE_EQ(device_bus_parse(device_bus_find("scsi"), text, &address, err), 0);
	return address.kind->scan(&t->roots, &address, err);
}

Test(bus, scsi_scan_reaches_every_controller)
{
	struct error err;
	struct tree t;

	tree_make(&t);
	CHECK_EQ(scan(&t, "0:1", &err), 0, "no controller is no error");
	add_host(&t, 0, "ahci\n");
	CHECK_EQ(scan(&t, "0:1", &err), 0, "%s", err.msg);
	CHECK_STR(scanned(&t, 0), "0 0 1");
	add_host(&t, 1, "virtio_scsi\n");
	add_host(&t, 2, "virtio_scsi\n");
	CHECK_EQ(scan(&t, "3:300", &err), 0, "%s", err.msg);
	CHECK_STR(scanned(&t, 0), "0 0 1", "not virtio");
	CHECK_STR(scanned(&t, 1), "0 3 16684");
	CHECK_STR(scanned(&t, 2), "0 3 16684");
	REQUIRE_EQ(unlinkat(t.roots.sys, "class/scsi_host/host1/scan", 0), 0);
	tree_file(&t, "class/scsi_host/host2/scan", "");
	CHECK_EQ(scan(&t, "3:0", &err), -1);
	CHECK(strstr(err.msg, "1 SCSI controllers for 3:0"), "%s", err.msg);
	CHECK_STR(scanned(&t, 2), "0 3 0", "a failure does not end the scan");
	tree_remove(&t);
}
