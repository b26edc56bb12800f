/* SPDX-License-Identifier: Apache-2.0 */
/* Hot-plugging by QMP: the commands that a fake QEMU receives, and its errors and events. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/vm/attach.h"
#include "lib/cleanup.h"
#include "lib/path.h"
#include "tests/support/check.h"

#define COMMANDS_MAX 16

/* Lines that the fake QEMU sends when it receives a command: of several rows for a command, each
 * is used once, the last one repeatedly. */
struct row {
	const char *command, *lines;
};

struct fake {
	char dir[64];
	pid_t pid;
	/* received commands, shared with its process */
	char (*received)[512];
	struct qmp q;
};

static void
fake_serve(int fd, const struct row *rows, size_t n, char (*received)[512])
{
	bool used[COMMANDS_MAX] = { false };
	FILE *in = fdopen(fd, "r+e");
	char line[512];
	int count = 0;

	(void)dprintf(fd, "{\"QMP\": {}}\r\n");
	while (in && fgets(line, sizeof(line), in)) {
		const char *reply = "{\"return\": {}}\r\n";

		for (size_t i = 0; i < n; i++) {
			char name[80];

			(void)snprintf(name, sizeof(name), "\"execute\":\"%s\"", rows[i].command);
			if (used[i] || !strstr(line, name))
				continue;
			reply = rows[i].lines;
			for (size_t k = i + 1; k < n; k++)
				used[i] |= strcmp(rows[k].command, rows[i].command) == 0;
			break;
		}
		if (count < COMMANDS_MAX)
			(void)snprintf(received[count++], 512, "%s", line);
		(void)dprintf(fd, "%s", reply);
	}
	_exit(0);
}

static void
fake_start(struct fake *f, const struct row *rows, size_t n)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct error err = ERROR_INIT;

	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/ctl-attach-XXXXXX");
	REQUIRE_NE(mkdtemp(f->dir), NULL);
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/qmp.sock", f->dir);
	REQUIRE_EQ(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	REQUIRE_EQ(listen(listener, 1), 0);
	f->received = mmap(NULL, sizeof(*f->received) * COMMANDS_MAX, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	REQUIRE_NE(f->received, MAP_FAILED);
	f->pid = fork();
	if (f->pid == 0)
		fake_serve(accept4(listener, NULL, NULL, SOCK_CLOEXEC), rows, n, f->received);
	(void)close(listener);
	REQUIRE_OK(qmp_open(&f->q, f->dir, &err), &err);
}

static void
fake_end(struct fake *f)
{
	struct error ignored = ERROR_INIT;

	qmp_close(&f->q);
	(void)kill(f->pid, SIGKILL);
	(void)waitpid(f->pid, NULL, 0);
	(void)munmap(f->received, sizeof(*f->received) * COMMANDS_MAX);
	(void)path_remove_tree(AT_FDCWD, f->dir, &ignored);
}

/* Returns whether a command with all these texts was received. */
static bool
received(const struct fake *f, const char *command, const char *text)
{
	for (size_t i = 0; i < COMMANDS_MAX; i++)
		if (strstr(f->received[i], command) && strstr(f->received[i], text))
			return true;
	return false;
}

#define LIST(items)                                         \
	{                                                   \
		"qom-list", "{\"return\": [" items "]}\r\n" \
	}
#define ITEM(name, type) "{\"name\": \"" name "\", \"type\": \"child<" type ">\"}"
#define PORT(name, devices) \
	"{\"qdev_id\": \"" name "\", \"pci_bridge\": {\"devices\": [" devices "]}}"
/* The reply to query-pci with these devices. */
#define PCI(devices)                                                            \
	{                                                                       \
		"query-pci", "{\"return\": [{\"devices\": [" devices "]}]}\r\n" \
	}
#define PORTS PCI(PORT("hotplug0", "{}") ", {\"qdev_id\": \"other\"}, " PORT("hotplug1", ""))

Test(ctl_attach, disk_in_a_free_port)
{
	static const struct row rows[] = { LIST(ITEM("disk0", "virtio-blk-pci")), PORTS };
	struct fake f = { .dir = "" };
	struct error err = ERROR_INIT;
	struct attached a;

	fake_start(&f, rows, ARRAY_LEN(rows));
	REQUIRE_OK(attach_disk(&f.q, SHARE_BLK, "/a \"b\"", true, &a, &err), &err);
	CHECK_STR(a.id, "disk1");
	CHECK_STR(a.address, "1e.1/00");
	CHECK(received(&f, "blockdev-add", "/a \\\"b\\\""), "quoted");
	CHECK(received(&f, "blockdev-add", "\"read-only\":true"));
	CHECK(received(&f, "device_add", "\"bus\":\"hotplug1\""));
	fake_end(&f);
}

Test(ctl_attach, refused_device_leaves_nothing)
{
	static const struct row rows[] = {
		LIST(""),
		PORTS,
		{ "device_add", "{\"event\": \"X\"}\r\n{\"error\": {\"class\": \"GenericError\", "
				"\"desc\": \"Bus is full\"}}\r\n" }
	};
	struct fake f = { .dir = "" };
	struct error err = ERROR_INIT;
	struct attached a;

	fake_start(&f, rows, ARRAY_LEN(rows));
	CHECK_EQ(attach_disk(&f.q, SHARE_BLK, "/image", false, &a, &err), -1);
	CHECK_HAS(err.msg, "failed to attach /image: QEMU refused device_add: Bus is full");
	CHECK(received(&f, "blockdev-del", "node-disk0"), "the image is closed");
	fake_end(&f);
}

Test(ctl_attach, no_free_port)
{
	static const struct row rows[] = { LIST(""), PCI(PORT("hotplug0", "{}")) };
	struct fake f = { .dir = "" };
	struct error err = ERROR_INIT;
	struct attached a;

	fake_start(&f, rows, ARRAY_LEN(rows));
	CHECK_EQ(attach_nic(&f.q, NULL, &a, &err), -1);
	CHECK_EQ(err.code, ERROR_RESOURCE_EXHAUSTED);
	CHECK_HAS(err.msg, "no free port: the VM has 1");
	CHECK(!received(&f, "netdev_add", ""));
	fake_end(&f);
}

/* The first disk plugs in a controller; targets of other disks are not used again. */
Test(ctl_attach, scsi_disk)
{
	static const struct row rows[] = { LIST(ITEM("disk-share1", "scsi-hd")),
					   PORTS,
					   { "qom-get", "{\"return\": 0}\r\n" } };
	struct fake f = { .dir = "" };
	struct error err = ERROR_INIT;
	struct attached a;

	fake_start(&f, rows, ARRAY_LEN(rows));
	REQUIRE_OK(attach_disk(&f.q, SHARE_SCSI, "/image", false, &a, &err), &err);
	CHECK_STR(a.address, "1:0");
	CHECK(received(&f, "virtio-scsi-pci", "\"bus\":\"hotplug1\""));
	CHECK(received(&f, "scsi-hd", "\"scsi-id\":1"));
	fake_end(&f);
}

Test(ctl_attach, processors)
{
	static const struct row rows[] = {
		LIST(""),
		{ "query-hotpluggable-cpus",
		  "{\"return\": [{\"type\": \"max\", \"props\": {\"socket-id\": 2}}, "
		  "{\"type\": \"max\", \"props\": {\"socket-id\": 1}}, "
		  "{\"type\": \"max\", \"qom-path\": \"/x\", \"props\": {}}]}\r\n" },
		{ "query-hotpluggable-cpus",
		  "{\"return\": [{\"type\": \"max\", \"qom-path\": \"/x\", \"props\": {}}]}\r\n" },
	};
	struct fake f = { .dir = "" };
	struct error err = ERROR_INIT;
	struct attached a;

	fake_start(&f, rows, ARRAY_LEN(rows));
	REQUIRE_OK(attach_cpu(&f.q, &a, &err), &err);
	CHECK_EQ(a.total, 2);
	CHECK(received(&f, "device_add", "\"socket-id\":1"));
	CHECK_EQ(attach_cpu(&f.q, &a, &err), -1);
	CHECK_HAS(err.msg, "--max-cpus");
	fake_end(&f);
}

/* A guest takes only whole blocks of memory, which must not begin within one. */
Test(ctl_attach, memory_behind_other_memory)
{
	static const struct row rows[] = {
		LIST(""),
		{ "query-memory-devices",
		  "{\"return\": [{\"type\": \"virtio-pmem\", \"data\": {\"memaddr\": 4294967296, "
		  "\"size\": 16777216}}, {\"type\": \"dimm\", \"data\": {\"addr\": 4160749568, "
		  "\"size\": 134217728}}]}\r\n" },
	};
	struct fake f = { .dir = "" };
	struct error err = ERROR_INIT;
	struct attached a;

	fake_start(&f, rows, ARRAY_LEN(rows));
	REQUIRE_OK(attach_memory(&f.q, 256u << 20, &a, &err), &err);
	CHECK(received(&f, "object-add", "\"size\":268435456"));
	CHECK(received(&f, "device_add", "\"addr\":4429185024"));
	CHECK_STR(a.address, "");
	fake_end(&f);
}

Test(ctl_attach, removal)
{
	static const struct row rows[] = {
		LIST(ITEM("disk0", "scsi-hd")),
		LIST(ITEM("disk0", "scsi-hd")),
		LIST(""),
		{ "blockdev-del", "{\"error\": {\"desc\": \"in use\"}}\r\n{\"event\": \"X\"}\r\n" },
		{ "blockdev-del", "{\"return\": {}}\r\n" },
		{ "device_del", "{\"return\": {}}\r\n{\"event\": \"DEVICE_DELETED\", \"data\": "
				"{\"device\": \"disk0\"}}\r\n" },
	};
	struct fake f = { .dir = "" };
	struct error err = ERROR_INIT;

	fake_start(&f, rows, ARRAY_LEN(rows));
	REQUIRE_OK(attach_remove(&f.q, "disk0", 20000, &err), &err);
	CHECK(received(&f, "blockdev-del", "node-disk0"));
	CHECK_EQ(attach_remove(&f.q, "disk0", 20000, &err), -1);
	CHECK_EQ(err.code, ERROR_NOT_FOUND);
	CHECK_EQ(attach_remove(&f.q, "hotplug0", 20000, &err), -1, "only what was attached");
	CHECK_EQ(err.code, ERROR_NOT_FOUND);
	fake_end(&f);
}

Test(ctl_attach, removal_refused_by_the_guest)
{
	static const struct row rows[] = {
		LIST(ITEM("memory0", "pc-dimm")),
		{ "device_del", "{\"return\": {}}\r\n{\"event\": \"DEVICE_UNPLUG_GUEST_ERROR\", "
				"\"data\": {\"device\": \"memory0\"}}\r\n" },
	};
	struct fake f = { .dir = "" };
	struct error err = ERROR_INIT;

	fake_start(&f, rows, ARRAY_LEN(rows));
	CHECK_EQ(attach_remove(&f.q, "memory0", 20000, &err), -1);
	CHECK_HAS(err.msg, "the guest refused to release memory0");
	CHECK(!received(&f, "object-del", ""));
	fake_end(&f);
}

Test(ctl_attach, no_vm)
{
	struct error err = ERROR_INIT;
	struct qmp q;

	CHECK_EQ(qmp_open(&q, "/no/such/place", &err), -1);
	CHECK_EQ(err.code, ERROR_UNAVAILABLE);
	qmp_close(&q);
}
