/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of a container: checks of the request, and the search in a fake /sys and /dev. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/device/handlers.h"
#include "agent/device/vfio.h"
#include "lib/cleanup.h"
#include "lib/client_texts.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "tests/support/check.h"
#include "tests/unit/agent/device/tree.h"

#define FUNCTION "0000:01:00.0"
#define OTHER    "0000:01:00.1"

struct request_row {
	const char *type, *id, *vm_path, *container_path;
	/* two at most */
	const char *options[2];
	/* part of the error; NULL: the request is valid */
	const char *error;
};

static const struct request_row rows[] = {
	{ "blk", "02", "", "/dev/x", { NULL }, NULL },
	{ "blk", "02", "/dev/vdb", "/dev/x", { NULL }, NULL },
	{ "blk", "", "/dev/vdb", "/dev/x", { NULL }, NULL },
	{ "scsi", "0:1", "", "/dev/x", { NULL }, NULL },
	{ "mmioblk", "anything", "/dev/vdb", "/dev/x", { NULL }, NULL },
	{ "mmioblk", "virtio-mmio.3", "", "/dev/x", { NULL }, NULL },
	{ "nvdimm", "", "/dev/pmem0", "/dev/x", { NULL }, NULL },
	{ "blk-ccw", "0.0.0005", "", "/dev/x", { NULL }, NULL },
	{ "vfio-pci", "vfio1", "", "/dev/vfio/1", { "0000:3b:00.0=02/00" }, NULL },
	{ "vfio-pci", "vfio1", "", "/dev/vfio/1", { "0000:3b:00.0=", "0000:3b:00.1=03" }, NULL },
	{ "vfio-pci-gk", "vfio1", "", "/dev/vfio/1", { "0000:3b:00.0=" }, NULL },
	{ "vfio-pci-gk", "vfio1", "", "/dev/vfio/1", { NULL }, NULL },
	{ "vfio-ap", "ap", "", "/dev/vfio/1", { "03.0004", "0A.00fF" }, NULL },
	{ "vfio-ap-cold", "ap", "", "/dev/vfio/1", { "03.0004" }, NULL },
	{ "", "02", "", "/dev/x", { NULL }, "device 02 has no type" },
	{ "floppy", "02", "", "/dev/x", { NULL }, TEXT_NO_DEVICE_HANDLER " floppy" },
	{ "blk", "", "", "/dev/x", { NULL }, "neither id nor vm_path" },
	{ "blk", "02", "", "", { NULL }, "device 02 has no container_path" },
	{ "scsi", "02", "", "/dev/x", { NULL }, "device /dev/x: invalid SCSI address" },
	{ "nvdimm", "", "pmem0", "/dev/x", { NULL }, "expected /dev/<name>" },
	{ "vfio-pci", "v", "", "/dev/v", { NULL }, "no option names a PCI function" },
	{ "vfio-pci", "v", "", "/dev/v", { "0000:3b:00.0=" }, "no option names a PCI function" },
	{ "vfio-pci", "v", "", "/dev/v", { "02/00" }, "expected DDDD:BB:SS.F=<PCI path>" },
	{ "vfio-pci", "v", "", "/dev/v", { "0000:3b:00.0" }, "expected DDDD:BB:SS.F=" },
	{ "vfio-pci", "v", "", "/dev/v", { "3b:00.0=02" }, "expected DDDD:BB:SS.F=" },
	{ "vfio-pci", "v", "", "/dev/v", { "0000:3b:00.0=../x" }, "invalid PCI path" },
	{ "vfio-pci-gk", "v", "", "/dev/v", { "x=02" }, "expected DDDD:BB:SS.F=" },
	{ "vfio-ap", "v", "", "/dev/v", { "3.0004" }, "invalid AP queue" },
	{ "vfio-ap", "v", "", "/dev/v", { "03.00040" }, "invalid AP queue" },
	{ "vfio-ap", "v", "", "/dev/v", { "03:0004" }, "invalid AP queue" },
	{ "vfio-ap", "v", "", "/dev/v", { "0g.0004" }, "invalid AP queue" },
};

static struct device_request
request_of(const struct request_row *row)
{
	return (struct device_request){
		.type = row->type,
		.id = row->id,
		.vm_path = row->vm_path,
		.container_path = row->container_path,
		.options = row->options,
		.n_options = row->options[0] == NULL   ? 0
			     : row->options[1] == NULL ? 1
						       : 2,
	};
}

Test(handlers, requests)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct device_request r = request_of(&rows[i]);
		struct error err = ERROR_INIT;
		int result = device_request_check(&r, &err);

		if (!rows[i].error) {
			CHECK_EQ(result, 0, "row %zu: %s", i, err.msg);
			continue;
		}
		CHECK_EQ(result, -1, "row %zu was accepted, not \"%s\"", i, rows[i].error);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT, "row %zu", i);
		CHECK(strstr(err.msg, rows[i].error), "row %zu: %s", i, err.msg);
	}
}

Test(handlers, more_options_than_a_device_has_functions)
{
	static const char *const many[] = { "03.0000", "03.0001", "03.0002", "03.0003", "03.0004",
					    "03.0005", "03.0006", "03.0007", "03.0008" };
	struct device_request r = { .type = "vfio-ap",
				    .id = "ap",
				    .vm_path = "",
				    .container_path = "/dev/x",
				    .options = many,
				    .n_options = ARRAY_LEN(many) };
	struct error err = ERROR_INIT;

	CHECK_EQ(device_request_check(&r, &err), -1);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	r.n_options--;
	CHECK_EQ(device_request_check(&r, &err), 0);
}

/* ---- the search ---- */

struct bench {
	struct tree tree;
	struct loop *loop;
	struct device_watch *watch;
	int calls;
	struct error err;
};

static void
bench_make(struct bench *b, uint64_t timeout_ms)
{
	struct error err = ERROR_INIT;

	*b = (struct bench){ 0 };
	tree_make(&b->tree);
	b->loop = loop_new(&err);
	b->watch = device_watch_new(b->loop, NULL, &b->tree.roots, timeout_ms, &err);
	REQUIRE(b->loop && b->watch, "%s", err.msg);
}

static void
bench_free(struct bench *b)
{
	device_watch_free(b->watch);
	loop_free(b->loop);
	tree_remove(&b->tree);
}

static void
on_done(const struct error *err, void *data)
{
	struct bench *b = data;

	b->calls++;
	b->err = *err;
}

/* Looks for devices until it is known what became of them. */
static struct device_set *
find(struct bench *b, const struct device_request *requests, size_t n)
{
	uint64_t limit = deadline_in(20000);
	struct error err = ERROR_INIT;
	struct device_set *s = device_set_find(b->watch, requests, n, on_done, b, &err);

	REQUIRE(s, "%s", err.msg);
	REQUIRE_EQ(b->calls, 0, "the callback was called before the function returned");
	while (b->calls == 0) {
		REQUIRE(!deadline_is_over(limit));
		REQUIRE_EQ(loop_run_once(b->loop, 100, &err), 0);
	}
	REQUIRE_EQ(b->calls, 1);
	return s;
}

static void
add_disk(struct bench *b, const char *name)
{
	if (mknodat(b->tree.roots.dev, name, S_IFBLK | 0600, makedev(1, 0)) < 0)
		cr_skip_test("mknod is not allowed here");
}

Test(handlers, disks_and_functions_of_one_container)
{
	const struct request_row list[] = {
		{ "blk", "02", "", "/dev/a", { NULL }, NULL },
		{ "vfio-pci-gk", "v", "", "/dev/vfio/7", { "0000:3b:00.0=03/00" }, NULL },
		{ "scsi", "0:1", "", "/dev/b", { NULL }, NULL },
		{ "vfio-ap-cold", "v", "", "/dev/vfio/8", { "03.00FF" }, NULL },
		{ "vfio-pci-gk", "v", "", "/dev/vfio/9", { "0000:3b:00.0=" }, NULL },
	};
	struct device_request requests[ARRAY_LEN(list)];
	struct pci_pair pairs[4];
	struct device_set *s;
	struct bench b;

	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		requests[i] = request_of(&list[i]);
	bench_make(&b, 10000);
	add_disk(&b, "vdb");
	add_disk(&b, "sda");
	tree_dir(&b.tree, "devices/pci0000:00/0000:00:02.0/virtio3/block/vdb");
	tree_dir(&b.tree, "devices/pci0000:00/0000:00:03.0/pci_bus/0000:01");
	tree_dir(&b.tree, "devices/pci0000:00/0000:00:03.0/" FUNCTION);
	tree_dir(&b.tree, "bus/scsi/devices/2:0:0:1/block/sda");
	tree_dir(&b.tree, "bus/ap/devices/03.00ff");
	s = find(&b, requests, ARRAY_LEN(list));
	REQUIRE_EQ(b.err.code, ERROR_OK, "%s", b.err.msg);
	CHECK_STR(device_set_result(s, 0)->node, "/dev/vdb");
	CHECK(!(device_set_result(s, 0)->is_renamed));
	CHECK_STR(device_set_result(s, 1)->node, "", "the guest's driver has it");
	CHECK_STR(device_set_result(s, 2)->node, "/dev/sda");
	CHECK_STR(device_set_result(s, 3)->node, "/dev/z90crypt");
	CHECK(device_set_result(s, 3)->is_renamed);
	CHECK_STR(device_set_result(s, 4)->node, "");
	/* the functions of both vfio devices, for PCIDEVICE_ variables */
	CHECK_EQ(device_set_functions(s, pairs, ARRAY_LEN(pairs)), 2u);
	CHECK_STR(pairs[0].host, "0000:3b:00.0");
	CHECK_STR(pairs[0].guest, FUNCTION);
	CHECK_STR(pairs[1].host, "0000:3b:00.0");
	CHECK_STR(pairs[1].guest, "");
	CHECK_EQ(device_set_functions(s, pairs, 1), 1u);
	device_set_free(s);
	bench_free(&b);
}

Test(handlers, nothing_to_look_for)
{
	const struct request_row row = { "vfio-pci-gk", "v", "", "/dev/v", { NULL }, NULL };
	struct device_request r = request_of(&row);
	struct device_set *s;
	struct bench b;

	bench_make(&b, 10000);
	s = find(&b, &r, 1);
	CHECK_EQ(b.err.code, ERROR_OK);
	CHECK_STR(device_set_result(s, 0)->node, "");
	device_set_free(s);
	/* freed before it is reported */
	b.calls = 0;
	s = device_set_find(b.watch, &r, 1, on_done, &b, &b.err);
	REQUIRE(s);
	device_set_free(s);
	REQUIRE_EQ(loop_run_once(b.loop, 0, &b.err), 0);
	CHECK_EQ(b.calls, 0);
	bench_free(&b);
}

Test(handlers, device_that_does_not_come)
{
	const struct request_row list[] = {
		{ "vfio-ap", "v", "", "/dev/a", { "03.0004", "03.0005" }, NULL },
		{ "vfio-pci-gk", "v", "", "/dev/b", { "0000:3b:00.0=09" }, NULL },
	};
	struct bench b;

	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		struct device_request r = request_of(&list[i]);
		struct device_set *s;

		bench_make(&b, 30);
		tree_dir(&b.tree, "bus/ap/devices/03.0004");
		s = find(&b, &r, 1);
		CHECK_EQ(b.err.code, ERROR_NOT_FOUND);
		CHECK(strstr(b.err.msg, TEXT_NO_UEVENT), "%s", b.err.msg);
		CHECK(strstr(b.err.msg, i == 0 ? "AP queue 03.0005" : "PCI function 09"), "%s",
		      b.err.msg);
		device_set_free(s);
		bench_free(&b);
	}
}

/* ---- VFIO ---- */

static void
add_function(const struct tree *t, const char *name, const char *driver, const char *group)
{
	char path[160], target[160];

	(void)snprintf(path, sizeof(path), "bus/pci/devices/%s/driver_override", name);
	tree_file(t, path, "");
	if (group) {
		(void)snprintf(path, sizeof(path), "bus/pci/devices/%s/iommu_group", name);
		(void)snprintf(target, sizeof(target), "../../../../kernel/iommu_groups/%s", group);
		tree_link(t, path, target);
	}
	if (!driver)
		return;
	(void)snprintf(path, sizeof(path), "bus/pci/drivers/%s/unbind", driver);
	tree_file(t, path, "");
	(void)snprintf(path, sizeof(path), "bus/pci/devices/%s/driver", name);
	(void)snprintf(target, sizeof(target), "../../../../bus/pci/drivers/%s", driver);
	tree_link(t, path, target);
}

static const char *
text_of(const struct tree *t, const char *path)
{
	static char text[64];

	REQUIRE(read_text_at(t->roots.sys, path, text, sizeof(text)) >= 0, "%s", path);
	return text;
}

static int
bind_two(const struct tree *t, const char *one, const char *two, uint32_t *group, struct error *err)
{
	struct vfio_functions f = { .n = two ? 2 : 1 };

	*err = ERROR_INIT;
	(void)snprintf(f.name[0], sizeof(f.name[0]), "%s", one);
	(void)snprintf(f.name[1], sizeof(f.name[1]), "%s", two ? two : "");
	return vfio_bind_all(t->roots.sys, &f, group, err);
}

Test(vfio, functions_of_one_group)
{
	uint32_t group = 0;
	struct error err;
	struct tree t;

	tree_make(&t);
	tree_file(&t, "bus/pci/drivers_probe", "");
	add_function(&t, FUNCTION, "e1000", "12");
	REQUIRE_EQ(bind_two(&t, FUNCTION, NULL, &group, &err), 0, "%s", err.msg);
	CHECK_EQ(group, 12);
	CHECK_STR(text_of(&t, "bus/pci/devices/" FUNCTION "/driver_override"), "vfio-pci");
	CHECK_STR(text_of(&t, "bus/pci/drivers/e1000/unbind"), FUNCTION);
	CHECK_STR(text_of(&t, "bus/pci/drivers_probe"), FUNCTION);
	/* without a driver */
	add_function(&t, OTHER, NULL, "12");
	REQUIRE_EQ(bind_two(&t, FUNCTION, OTHER, &group, &err), 0, "%s", err.msg);
	CHECK_EQ(group, 12);
	CHECK_STR(text_of(&t, "bus/pci/drivers_probe"), OTHER);
	tree_remove(&t);
}

Test(vfio, function_that_vfio_has_already)
{
	uint32_t group = 0;
	struct error err;
	struct tree t;

	tree_make(&t);
	tree_file(&t, "bus/pci/drivers_probe", "");
	add_function(&t, FUNCTION, "vfio-pci", "3");
	REQUIRE_EQ(bind_two(&t, FUNCTION, NULL, &group, &err), 0, "%s", err.msg);
	CHECK_EQ(group, 3);
	CHECK_STR(text_of(&t, "bus/pci/drivers/vfio-pci/unbind"), "");
	CHECK_STR(text_of(&t, "bus/pci/drivers_probe"), "");
	tree_remove(&t);
}

/* A function of another group keeps its driver, and so does the first one. */
Test(vfio, functions_of_two_groups)
{
	uint32_t group = 0;
	struct error err;
	struct tree t;

	tree_make(&t);
	tree_file(&t, "bus/pci/drivers_probe", "");
	add_function(&t, FUNCTION, "e1000", "12");
	add_function(&t, OTHER, "e1000", "13");
	CHECK_EQ(bind_two(&t, FUNCTION, OTHER, &group, &err), -1);
	CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
	CHECK(strstr(err.msg, "different IOMMU groups, 12 and 13"), "%s", err.msg);
	CHECK_STR(text_of(&t, "bus/pci/drivers/e1000/unbind"), "");
	CHECK_STR(text_of(&t, "bus/pci/devices/" FUNCTION "/driver_override"), "");
	tree_remove(&t);
}

Test(vfio, function_without_a_group)
{
	uint32_t group = 0;
	struct error err;
	struct tree t;

	tree_make(&t);
	tree_file(&t, "bus/pci/drivers_probe", "");
	add_function(&t, FUNCTION, "e1000", NULL);
	CHECK_EQ(bind_two(&t, FUNCTION, NULL, &group, &err), -1);
	CHECK_EQ(err.code, ERROR_FAILED_PRECONDITION);
	CHECK(strstr(err.msg, "failed to find the IOMMU group of PCI function " FUNCTION), "%s",
	      err.msg);
	CHECK_STR(text_of(&t, "bus/pci/drivers/e1000/unbind"), "");
	tree_remove(&t);
}

Test(vfio, driver_that_does_not_give_it_up)
{
	uint32_t group = 0;
	struct error err;
	struct tree t;

	tree_make(&t);
	tree_file(&t, "bus/pci/drivers_probe", "");
	add_function(&t, FUNCTION, "e1000", "12");
	REQUIRE_EQ(unlinkat(t.roots.sys, "bus/pci/drivers/e1000/unbind", 0), 0);
	CHECK_EQ(bind_two(&t, FUNCTION, NULL, &group, &err), -1);
	CHECK(strstr(err.msg, "failed to take PCI function " FUNCTION " from driver e1000"), "%s",
	      err.msg);
	tree_remove(&t);
}
