/* SPDX-License-Identifier: Apache-2.0 */
/* Finding block devices in a fake /sys and /dev: at once, later, never. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/device/device.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "tests/support/check.h"
#include "tests/unit/agent/device/tree.h"

#define DISK "devices/pci0000:00/0000:00:02.0"

/* Writing "add" here makes the kernel send a uevent of a device that exists anyway. */
#define A_DEVICE "/sys/class/mem/null/uevent"

struct bench {
	struct tree tree;
	struct loop *loop;
	struct device_watch *watch;
};

struct found {
	int calls;
	struct error err;
	char node[DEVICE_NODE_MAX];
	/* cancelled by the callback */
	struct pending *cancels;
};

static void
make_bench(struct bench *b, uint64_t timeout_ms)
{
	struct error err = ERROR_INIT;

	tree_make(&b->tree);
	b->loop = loop_new(&err);
	b->watch = device_watch_new(b->loop, NULL, &b->tree.roots, timeout_ms, &err);
	REQUIRE(b->loop && b->watch, "%s", err.msg);
}

static void
free_bench(struct bench *b)
{
	device_watch_free(b->watch);
	loop_free(b->loop);
	tree_remove(&b->tree);
}

static void
on_found(const struct error *err, const char *node, void *data)
{
	struct found *f = data;

	f->calls++;
	f->err = node ? ERROR_INIT : *err;
	(void)snprintf(f->node, sizeof(f->node), "%s", node ? node : "");
	pending_cancel(&f->cancels);
}

static struct pending *
find_block(struct bench *b, const char *location, struct found *f)
{
	struct error err = ERROR_INIT;
	struct device_address address;
	struct pending *wait;

	*f = (struct found){ 0 };
	REQUIRE_EQ(device_bus_parse(device_bus_find("blk"), location, &address, &err), 0, "%s",
		   err.msg);
	wait = device_find(b->watch, &address, on_found, f, &err);
	REQUIRE(wait, "%s", err.msg);
	REQUIRE_EQ(f->calls, 0, "the callback was called before the function returned");
	return wait;
}

static void
run_until_found(struct bench *b, const struct found *f)
{
	struct error err = ERROR_INIT;
	uint64_t limit = deadline_in(60000);

	while (!f->calls) {
		REQUIRE(!deadline_is_over(limit), "timed out waiting for the callback");
		REQUIRE_OK(loop_run_once(b->loop, 1000, &err), &err);
	}
}

static void
add_node(struct bench *b, const char *name, mode_t type)
{
	if (mknodat(b->tree.roots.dev, name, type | 0600, makedev(1, 0)) < 0)
		cr_skip_test("mknod is not allowed here");
}

Test(device, existing_disk)
{
	struct bench b;
	struct found f;

	make_bench(&b, 10000);
	add_node(&b, "vdb", S_IFBLK);
	find_block(&b, "/dev/vdb", &f);
	run_until_found(&b, &f);
	REQUIRE_STR(f.node, "/dev/vdb");

	tree_dir(&b.tree, DISK "/virtio3/block/vdb");
	find_block(&b, "02", &f);
	run_until_found(&b, &f);
	REQUIRE_STR(f.node, "/dev/vdb");
	free_bench(&b);
}

Test(device, nodes_other_than_block_devices)
{
	struct bench b;
	struct found f;

	make_bench(&b, 10000);
	add_node(&b, "tty", S_IFCHR);
	find_block(&b, "/dev/tty", &f);
	run_until_found(&b, &f);
	REQUIRE_EQ(f.err.code, ERROR_INVALID_ARGUMENT);
	REQUIRE_HAS(f.err.msg, "/dev/tty is not a block device");
	/* a symlink to a block device is refused, too */
	add_node(&b, "vda", S_IFBLK);
	REQUIRE_EQ(symlinkat("vda", b.tree.roots.dev, "link"), 0);
	find_block(&b, "/dev/link", &f);
	run_until_found(&b, &f);
	REQUIRE_EQ(f.err.code, ERROR_INVALID_ARGUMENT);
	free_bench(&b);
}

Test(device, timeout)
{
	struct bench b;
	struct found f;

	make_bench(&b, 30);
	/* the device exists but has no driver */
	tree_dir(&b.tree, DISK);
	find_block(&b, "02", &f);
	run_until_found(&b, &f);
	REQUIRE_EQ(f.err.code, ERROR_NOT_FOUND);
	REQUIRE(strstr(f.err.msg, "02") && strstr(f.err.msg, "30 ms"), "%s", f.err.msg);
	free_bench(&b);
}

Test(device, device_without_event_is_found_at_timeout)
{
	struct error err = ERROR_INIT;
	struct bench b;
	struct found f;

	make_bench(&b, 30);
	find_block(&b, "/dev/vdc", &f);
	REQUIRE_OK(loop_run_once(b.loop, 0, &err), &err);
	REQUIRE_EQ(f.calls, 0);
	add_node(&b, "vdc", S_IFBLK);
	run_until_found(&b, &f);
	REQUIRE_STR(f.node, "/dev/vdc");
	free_bench(&b);
}

Test(device, add_event_wakes_all_waits)
{
	struct error err = ERROR_INIT;
	struct bench b;
	struct found one, two, other;

	make_bench(&b, 60000);
	find_block(&b, "/dev/vdc", &one);
	find_block(&b, "02", &two);
	find_block(&b, "03", &other);
	REQUIRE_OK(loop_run_once(b.loop, 0, &err), &err);
	add_node(&b, "vdc", S_IFBLK);
	tree_dir(&b.tree, DISK "/virtio9/block/vdc");
	if (write_text_at(AT_FDCWD, A_DEVICE, "add") < 0) {
		free_bench(&b);
		cr_skip_test("no uevents can be made here");
	}
	run_until_found(&b, &one);
	run_until_found(&b, &two);
	REQUIRE_STR(one.node, "/dev/vdc");
	REQUIRE_STR(two.node, "/dev/vdc");
	REQUIRE_EQ(other.calls, 0);
	/* one wait is still pending */
	free_bench(&b);
	REQUIRE_EQ(other.calls, 0);
}

Test(device, callback_may_cancel_other_waits)
{
	struct error err = ERROR_INIT;
	struct bench b;
	struct found one, two;

	make_bench(&b, 60000);
	find_block(&b, "/dev/vdc", &one);
	one.cancels = find_block(&b, "/dev/vdc", &two);
	add_node(&b, "vdc", S_IFBLK);
	run_until_found(&b, &one);
	REQUIRE_OK(loop_run_once(b.loop, 0, &err), &err);
	REQUIRE_EQ(two.calls, 0);
	free_bench(&b);
}

static void
count_event(const struct device_event *event, void *data)
{
	(void)event;
	++*(unsigned int *)data;
}

Test(device, events_per_turn_are_limited)
{
	struct device_listener listener;
	struct error err = ERROR_INIT;
	unsigned int n = 0, before;
	struct bench b;

	make_bench(&b, 60000);
	device_listen(b.watch, &listener, count_event, &n);
	for (int i = 0; i < 300; i++) {
		if (write_text_at(AT_FDCWD, A_DEVICE, "change") < 0) {
			free_bench(&b);
			cr_skip_test("no uevents can be made here");
		}
	}
	for (int turn = 0; turn < 100 && n < 300; turn++) {
		before = n;
		REQUIRE_OK(loop_run_once(b.loop, 1000, &err), &err);
		CHECK_LE(n - before, 64, "%u in one turn", n - before);
	}
	CHECK_GE(n, 300, "%u", n);
	device_unlisten(&listener);
	free_bench(&b);
}
