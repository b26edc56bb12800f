/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's command line, the requests of `run`, the timeline and temporary directories. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/spec/spec.h"
#include "ctl/vm/find.h"
#include "ctl/vm/qemu.h"
#include "ctl/vm/tempdir.h"
#include "ctl/vm/timeline.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

/* Returns the argument after the n-th `name`, or "" if there is none. */
static const char *
value_of(const struct argv *a, const char *name, int n)
{
	for (size_t i = 0; i + 1 < a->n; i++)
		if (strcmp(a->items[i], name) == 0 && n-- == 0)
			return a->items[i + 1];
	return "";
}

static bool
has(const struct argv *a, const char *text)
{
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->items[i], text) == 0)
			return true;
	return false;
}

static const struct qemu_parts parts = {
	.qemu = "/bin/qemu",
	.accel = "tcg",
	.dir = "/d",
	.initrd = "/i",
	.vhost_fd = -1,
};

Test(ctl_qemu, plain)
{
	struct vm_options o = { .kernel = "/k", .memory_mib = 300, .cpus = 3 };
	struct argv a = { 0 };

	qemu_argv(&a, &o, &parts);
	REQUIRE(!a.failed);
	CHECK_STR(a.items[0], "/bin/qemu");
	CHECK_STR(value_of(&a, "-M", 0), "q35,sata=off,smbus=off,memory-backend=ram");
	CHECK_STR(value_of(&a, "-accel", 0), "tcg,thread=single");
	CHECK_STR(value_of(&a, "-cpu", 0), "max,-erms,-fsrm");
	CHECK_STR(value_of(&a, "-m", 0), "300");
	CHECK_STR(value_of(&a, "-smp", 0), "3");
	CHECK_STR(value_of(&a, "-object", 0), "memory-backend-memfd,id=ram,size=300M,share=on");
	CHECK_STR(value_of(&a, "-kernel", 0), "/k");
	CHECK_STR(value_of(&a, "-initrd", 0), "/i");
	CHECK(has(&a, "-no-reboot") && has(&a, "-nodefaults"));
	CHECK(has(&a, "vhost-user-vsock-pci,chardev=vsock,addr=0x4"));
	CHECK(!has(&a, "-icount") && !has(&a, "-fsdev") && !has(&a, "-drive"));
	argv_release(&a);
}

Test(ctl_qemu, hotplug)
{
	struct vm_options o = {
		.kernel = "/k", .memory_mib = 256, .cpus = 1, .max_memory_mib = 1024, .max_cpus = 2
	};
	struct argv a = { 0 };

	qemu_argv(&a, &o, &parts);
	CHECK_STR(value_of(&a, "-m", 0), "256,slots=16,maxmem=1024M");
	CHECK_STR(value_of(&a, "-smp", 0), "1,sockets=2,maxcpus=2");
	CHECK_STR(value_of(&a, "-object", 0), "memory-backend-memfd,id=ram,size=256M,share=on");
	argv_release(&a);
	/* less than the initial memory: no hot-plug */
	a = (struct argv){ 0 };
	o.max_memory_mib = 128;
	o.max_cpus = 1;
	qemu_argv(&a, &o, &parts);
	CHECK_STR(value_of(&a, "-m", 0), "256");
	CHECK_STR(value_of(&a, "-smp", 0), "1");
	argv_release(&a);
}

Test(ctl_qemu, shares)
{
	struct vm_options o = { .kernel = "/k", .memory_mib = 64, .cpus = 1, .n_shares = 3 };
	struct argv a = { 0 };
	char tag[32];

	o.shares[0] = (struct vm_share){ SHARE_9P, "/a,b", true, "share0", NULL, 0 };
	o.shares[1] = (struct vm_share){ SHARE_VIRTIOFS, "/v", false, "share1", NULL, 0 };
	o.shares[2] = (struct vm_share){ SHARE_BLK, "/disk", true, "0a", "ext4", 0 };
	qemu_argv(&a, &o, &parts);
	REQUIRE(!a.failed);
	CHECK_HAS(value_of(&a, "-fsdev", 0), "path=/a,,b,", "a comma is doubled");
	CHECK_HAS(value_of(&a, "-fsdev", 0), ",readonly=on");
	CHECK(has(&a, "virtio-9p-pci,fsdev=share0,mount_tag=share0,addr=0x8"));
	CHECK(has(&a, "socket,id=share1,path=/d/fs1.sock"));
	CHECK(has(&a, "vhost-user-fs-pci,chardev=share1,tag=share1,queue-size=1024,addr=0x9"));
	CHECK(has(&a, "if=none,id=share2,format=raw,file=/disk,readonly=on"));
	CHECK(has(&a, "virtio-blk-pci,drive=share2,addr=0xa"));
	qemu_share_tag(&o, 0, tag, sizeof(tag));
	CHECK_STR(tag, "share0");
	qemu_share_tag(&o, 2, tag, sizeof(tag));
	CHECK_STR(tag, "0a");
	argv_release(&a);
}

Test(ctl_qemu, disks_and_ports)
{
	struct vm_options o = {
		.kernel = "/k", .memory_mib = 64, .cpus = 1, .n_shares = 4, .hotplug_ports = 3
	};
	struct argv a = { 0 };
	char text[32];

	o.shares[0] = (struct vm_share){ SHARE_SCSI, "/s", true, "", NULL, 0 };
	o.shares[1] = (struct vm_share){ SHARE_PMEM, "/p", false, "", NULL, 4u << 20 };
	o.shares[2] = (struct vm_share){ SHARE_PMEM, "/q", true, "", NULL, 2u << 20 };
	o.shares[3] = (struct vm_share){ SHARE_NVDIMM, "/n", false, "", NULL, 2u << 20 };
	qemu_argv(&a, &o, &parts);
	REQUIRE(!a.failed);
	CHECK(has(&a, "virtio-scsi-pci,id=scsi0,addr=0x7"));
	CHECK(has(&a, "if=none,id=share0,format=raw,file=/s,readonly=on"));
	CHECK(has(&a, "scsi-hd,id=disk-share0,drive=share0,bus=scsi0.0,scsi-id=0,lun=0"));
	CHECK(has(&a, "memory-backend-file,id=share1,mem-path=/p,size=4194304,share=on"));
	CHECK(has(&a, "virtio-pmem-pci,memdev=share1,addr=0x9"));
	CHECK(has(&a, "memory-backend-file,id=share2,mem-path=/q,size=2097152,share=off"));
	CHECK(has(&a, "nvdimm,memdev=share3") && has(&a, "nvdimm=on"));
	/* each memory device with 1 GiB for its alignment */
	CHECK_STR(value_of(&a, "-m", 0), "64,slots=16,maxmem=3144M");
	CHECK(has(&a, "pcie-root-port,id=hotplug0,chassis=1,slot=1,addr=0x1e.0,multifunction=on"));
	CHECK(has(&a, "pcie-root-port,id=hotplug2,chassis=3,slot=3,addr=0x1e.2"));
	qemu_share_tag(&o, 0, text, sizeof(text));
	CHECK_STR(text, "0:0");
	qemu_share_tag(&o, 2, text, sizeof(text));
	CHECK_STR(text, "/dev/pmem1");
	qemu_port_path(0, text, sizeof(text));
	CHECK_STR(text, "1e/00");
	qemu_port_path(2, text, sizeof(text));
	CHECK_STR(text, "1e.2/00");
	o.microvm = true;
	o.shares[0].kind = SHARE_BLK;
	o.shares[1].kind = SHARE_BLK;
	qemu_share_tag(&o, 1, text, sizeof(text));
	CHECK_STR(text, "/dev/vdb");
	argv_release(&a);
}

Test(ctl_qemu, networks)
{
	struct vm_options o = {
		.kernel = "/k",
		.memory_mib = 64,
		.cpus = 1,
		.nic = true,
		.publish = { { "127.0.0.1", 8080, 80 }, { "0.0.0.0", 8443, 443 } },
		.n_publish = 2,
	};
	struct argv a = { 0 };

	qemu_argv(&a, &o, &parts);
	CHECK_STR(value_of(&a, "-netdev", 0),
		  "user,id=net0,hostfwd=tcp:127.0.0.1:8080-10.0.2.15:80,"
		  "hostfwd=tcp:0.0.0.0:8443-10.0.2.15:443");
	argv_release(&a);
	/* passt forwards the ports itself. */
	a = (struct argv){ 0 };
	o.network = VM_NETWORK_PASST;
	qemu_argv(&a, &o, &parts);
	CHECK_STR(value_of(&a, "-netdev", 0),
		  "stream,id=net0,server=off,addr.type=unix,addr.path=/d/passt.sock");
	argv_release(&a);
}

Test(ctl_qemu, late_disks)
{
	struct vm_options o = {
		.kernel = "/k", .memory_mib = 64, .cpus = 1, .n_shares = 3, .late_disks = true
	};
	struct argv a = { 0 };

	o.shares[0] = (struct vm_share){ .kind = SHARE_BLK, .path = "/root.ext4" };
	o.shares[1] = (struct vm_share){ .kind = SHARE_SCSI, .path = "/scsi.ext4" };
	o.shares[2] = (struct vm_share){ .kind = SHARE_PMEM, .path = "/pmem.ext4", .size = 4096 };
	qemu_argv(&a, &o, &parts);
	for (size_t i = 0; i < a.n; i++) {
		CHECK(!strstr(a.items[i], "/root.ext4"));
		CHECK(!strstr(a.items[i], "/scsi.ext4"));
	}
	/* A disk that is plugged in later needs a port or a controller. */
	CHECK(has(&a, "pcie-root-port,id=hotplug0,chassis=1,slot=1,addr=0x1e.0,multifunction=on"));
	CHECK(has(&a, "pcie-root-port,id=hotplug1,chassis=2,slot=2,addr=0x1e.1"));
	CHECK(!has(&a, "pcie-root-port,id=hotplug2,chassis=3,slot=3,addr=0x1e.2"));
	CHECK(has(&a, "virtio-scsi-pci,id=scsi0,addr=0x7"));
	CHECK(has(&a, "virtio-pmem-pci,memdev=share2,addr=0xa"));
	argv_release(&a);
}

Test(ctl_qemu, microvm_and_more_arguments)
{
	struct vm_options o = { .kernel = "/k",
				.memory_mib = 64,
				.cpus = 1,
				.n_shares = 3,
				.nic = true,
				.microvm = true,
				.qemu_args = { "-device", "x,y=z" },
				.n_qemu_args = 2 };
	struct argv a = { 0 };

	o.shares[0] = (struct vm_share){ SHARE_9P, "/a", true, "share0", NULL, 0 };
	o.shares[1] = (struct vm_share){ SHARE_VIRTIOFS, "/v", false, "share1", NULL, 0 };
	o.shares[2] = (struct vm_share){ SHARE_BLK, "/disk", true, "0a", "ext4", 0 };
	qemu_argv(&a, &o, &parts);
	REQUIRE(!a.failed);
	CHECK_STR(value_of(&a, "-M", 0), "microvm,acpi=off,memory-backend=ram");
	CHECK_STR(value_of(&a, "-global", 0), "virtio-mmio.force-legacy=false");
	CHECK(has(&a, "virtio-rng-device"));
	CHECK(has(&a, "vhost-user-vsock-device,chardev=vsock"));
	CHECK(has(&a, "virtio-net-device,netdev=net0,mac=02:00:00:00:00:01"));
	CHECK(has(&a, "virtio-9p-device,fsdev=share0,mount_tag=share0"));
	CHECK(has(&a, "vhost-user-fs-device,chardev=share1,tag=share1,queue-size=1024"));
	CHECK(has(&a, "virtio-blk-device,drive=share2"));
	for (size_t i = 0; i < a.n; i++)
		CHECK(!strstr(a.items[i], "-pci") && !strstr(a.items[i], "pcie") &&
			      !strstr(a.items[i], "addr="),
		      "%s", a.items[i]);
	REQUIRE_GE(a.n, 2);
	CHECK_STR(a.items[a.n - 2], "-device");
	CHECK_STR(a.items[a.n - 1], "x,y=z", "the last argument");
	argv_release(&a);
}

Test(ctl_qemu, aarch64)
{
	struct vm_options o = {
		.arch = VM_AARCH64, .kernel = "/k", .memory_mib = 300, .cpus = 1, .n_shares = 1
	};
	struct qemu_parts p = parts;
	struct argv a = { 0 };
	char text[400];

	o.shares[0] = (struct vm_share){ SHARE_BLK, "/disk", true, "08", "ext4", 0 };
	qemu_argv(&a, &o, &p);
	REQUIRE(!a.failed);
	CHECK_STR(value_of(&a, "-M", 0), "virt,gic-version=max,memory-backend=ram");
	CHECK_STR(value_of(&a, "-cpu", 0), "max,pauth-impdef=on");
	CHECK(has(&a, "vhost-user-vsock-pci,chardev=vsock,addr=0x4"));
	CHECK(has(&a, "virtio-blk-pci,drive=share0,addr=0x8"));
	argv_release(&a);
	a = (struct argv){ 0 };
	p.accel = "kvm";
	qemu_argv(&a, &o, &p);
	CHECK_STR(value_of(&a, "-cpu", 0), "host");
	argv_release(&a);
	qemu_append(text, sizeof(text), &o, "tcg");
	CHECK_STR(text, "console=ttyAMA0 quiet panic=-1 scsi_mod.scan=async",
		  "nothing that is for PCs");
}

Test(ctl_qemu, architecture_of_a_kernel)
{
	static const struct {
		enum vm_arch arch;
		off_t at;
		const char *magic;
		size_t n;
	} images[] = {
		{ VM_X86_64, 0x202, "HdrS", 4 },
		{ VM_AARCH64, 0x38, "ARM\x64", 4 },
		{ VM_X86_64, 0x12, "\x3e\0", 2 },
		{ VM_AARCH64, 0x12, "\xb7\0", 2 },
	};
	enum vm_arch here = VM_X86_64, arch;
	struct utsname u;

	REQUIRE_EQ(uname(&u), 0);
	(void)find_arch(u.machine, &here);
	for (size_t i = 0; i < ARRAY_LEN(images); i++) {
		char path[] = "/tmp/ctl-kernel-XXXXXX";
		int fd = mkstemp(path);

		REQUIRE(fd >= 0 && pwrite(fd, "", 1, 4095) == 1);
		CHECK_EQ(find_kernel_arch(path), here, "an image that does not tell");
		REQUIRE_EQ(pwrite(fd, images[i].magic, images[i].n, images[i].at),
			   (ssize_t)images[i].n);
		if (images[i].at == 0x12) {
			CHECK_EQ(find_kernel_arch(path), here, "not an ELF file");
			REQUIRE_EQ(pwrite(fd, "\177ELF", 4, 0), 4);
		}
		CHECK_EQ(find_kernel_arch(path), images[i].arch, "image %zu", i);
		REQUIRE_EQ(ftruncate(fd, images[i].at + 1), 0);
		CHECK_EQ(find_kernel_arch(path), here, "a short file");
		(void)close(fd);
		(void)unlink(path);
	}
	CHECK_EQ(find_kernel_arch("/no/such/kernel"), here);
	CHECK(find_arch("aarch64", &arch) && arch == VM_AARCH64);
	CHECK(!find_arch("arm64", &arch));
	CHECK_STR(find_arch_name(VM_AARCH64), "aarch64");
}

Test(ctl_qemu, kvm_vhost_and_root_image)
{
	struct vm_options o = {
		.kernel = "/k", .root_image = "/r", .memory_mib = 64, .cpus = 1, .icount = true
	};
	struct qemu_parts p = parts;
	struct argv a = { 0 };

	p.accel = "kvm";
	p.vhost_fd = 9;
	p.vsock_cid = 77;
	p.initrd = NULL;
	qemu_argv(&a, &o, &p);
	CHECK_STR(value_of(&a, "-cpu", 0), "host");
	CHECK(has(&a, "vhost-vsock-pci,guest-cid=77,vhostfd=9,addr=0x4"));
	CHECK_STR(value_of(&a, "-initrd", 0), "");
	CHECK_STR(value_of(&a, "-icount", 0), "shift=0");
	CHECK(has(&a, "if=none,id=root,format=raw,readonly=on,file=/r"));
	CHECK_HAS(value_of(&a, "-append", 0), "root=/dev/vda1 ro");
	argv_release(&a);
}

/* A root on an NVDIMM is not writable, and comes before NVDIMMs of the container. */
Test(ctl_qemu, root_nvdimm)
{
	struct vm_options o = { .kernel = "/k",
				.root_image = "/r",
				.root_nvdimm = true,
				.root_size = 128 << 20,
				.memory_mib = 64,
				.cpus = 1,
				.n_shares = 1,
				.shares = {
					{ .kind = SHARE_NVDIMM, .path = "/s", .size = 4096 } } };
	char text[400], device[PATH_MAX];
	struct argv a = { 0 };

	qemu_argv(&a, &o, &parts);
	CHECK(has(&a,
		  "memory-backend-file,id=root,mem-path=/r,size=134217728,share=on,readonly=on"));
	CHECK(has(&a, "nvdimm,memdev=root,unarmed=on"));
	CHECK(has(&a, "nvdimm=on"));
	CHECK(!has(&a, "if=none,id=root,format=raw,readonly=on,file=/r"));
	CHECK_HAS(value_of(&a, "-m", 0), "maxmem=");
	CHECK_HAS(value_of(&a, "-append", 0),
		  " root=/dev/pmem0p1 ro rootfstype=ext4 rootflags=dax");
	argv_release(&a);
	qemu_share_tag(&o, 0, device, sizeof(device));
	CHECK_STR(device, "/dev/pmem1");
	o.root_parameters = "root=/dev/dm-0 dm-mod.create=\"x y\"";
	qemu_append(text, sizeof(text), &o, "tcg");
	CHECK_HAS(text, " root=/dev/dm-0 dm-mod.create=\"x y\"");
	CHECK(!strstr(text, "pmem"));
}

Test(ctl_qemu, append)
{
	struct vm_options o = { .log_level = "debug", .append = "a=b c" };
	char text[400], small[12];

	qemu_append(text, sizeof(text), &o, "tcg");
	CHECK_EQ(strstr(text, "console=ttyS0"), text);
	CHECK_HAS(text, " agent.log=debug a=b c");
	CHECK_HAS(text, " scsi_mod.scan=async ",
		  "other devices do not wait for the search for disks");
	CHECK(!strstr(text, "init_on_alloc"));
	qemu_append(small, sizeof(small), &o, "tcg");
	CHECK_EQ(strlen(small), sizeof(small) - 1, "cut, not written past its end");
	o.n_shares = 1;
	o.shares[0].kind = SHARE_VIRTIOFS;
	qemu_append(text, sizeof(text), &o, "tcg");
	CHECK_HAS(text, " init_on_alloc=1 agent.log=debug", "emulated programs are not stale");
	qemu_append(text, sizeof(text), &o, "kvm");
	CHECK(!strstr(text, "init_on_alloc"));
}

/* Builds the CreateContainer request in an arena. */
static Grpc__CreateContainerRequest *
request(struct arena *a, bool privileged, bool read_only)
{
	static char *args[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c", NULL };
	static const char *const env[] = { "A=1" };
	static const struct volume volume = { .kind = VOLUME_ON_SHARE,
					      .source = "/host/vol",
					      .target = "/vol",
					      .readonly = true,
					      .share = 1 };
	static const struct vm_share shares[] = {
		{ SHARE_BLK, "/i", false, "08", "ext4", 0 },
		{ SHARE_9P, "/host/vol", true, "share1", NULL, 0 },
	};
	struct container_options o = { .id = "main",
				       .args = args,
				       .env = env,
				       .n_env = 1,
				       .cwd = "/w",
				       .uid = 5,
				       .privileged = privileged,
				       .read_only = read_only,
				       .volumes = &volume,
				       .n_volumes = 1,
				       .shares = shares };

	return spec_container(a, &o);
}

static const Grpc__Mount *
mount_at(const Grpc__Spec *spec, const char *target)
{
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (strcmp(spec->mounts[i]->destination, target) == 0)
			return spec->mounts[i];
	return NULL;
}

Test(ctl_spec, container)
{
	struct arena arena;
	Grpc__CreateContainerRequest *r;
	const Grpc__Mount *m;

	arena_init(&arena, 1u << 20);
	r = request(&arena, false, true);
	REQUIRE_NE(r, NULL);
	CHECK_STR(r->container_id, "main");
	CHECK_STR(r->exec_id, "main");
	REQUIRE_EQ(r->n_storages, 2);
	CHECK_STR(r->storages[0]->driver, "blk");
	CHECK_STR(r->storages[0]->source, "08");
	CHECK_STR(r->storages[0]->fstype, "ext4");
	CHECK_STR(r->storages[0]->mount_point, r->oci->root->path, "the rootfs is mounted");
	CHECK_STR(r->storages[1]->driver, "9p");
	CHECK_STR(r->storages[1]->options[r->storages[1]->n_options - 1], "ro");
	m = mount_at(r->oci, "/vol");
	REQUIRE_NE(m, NULL);
	CHECK_STR(m->source, r->storages[1]->mount_point);
	CHECK_STR(m->options[m->n_options - 1], "ro");
	CHECK(r->oci->root->readonly);
	CHECK(r->oci->process->nonewprivileges);
	CHECK_EQ(r->oci->process->user->uid, 5);
	CHECK_STR(r->oci->process->cwd, "/w");
	CHECK_EQ(r->oci->process->n_args, 2);
	CHECK(r->oci->linux->n_maskedpaths > 0 && r->oci->linux->n_readonlypaths > 0);
	for (size_t i = 0; i < r->oci->process->capabilities->n_bounding; i++)
		CHECK(strcmp(r->oci->process->capabilities->bounding[i], "CAP_SYS_ADMIN") != 0);
	arena_release(&arena);
}

Test(ctl_spec, writable_layer)
{
	static char *args[] = { (char *)(uintptr_t) "sh", NULL };
	static const struct vm_share shares[] = {
		{ .kind = SHARE_9P, .path = "/r", .readonly = true, .tag = "share0" },
		{ .kind = SHARE_BLK, .path = "/s", .tag = "09", .fstype = "ext4" },
	};
	struct container_options o = {
		.id = "main", .args = args, .cwd = "/", .shares = shares, .has_layer = true
	};
	Grpc__CreateContainerRequest *r;
	const Grpc__Storage *overlay;
	struct arena arena;

	arena_init(&arena, 1u << 20);
	r = spec_container(&arena, &o);
	REQUIRE_NE(r, NULL);
	REQUIRE_EQ(r->n_storages, 2, "in memory: the share and the overlay");
	CHECK_STR(r->storages[0]->driver, "9p");
	CHECK_STR(r->storages[0]->options[r->storages[0]->n_options - 1], "ro");
	overlay = r->storages[1];
	CHECK_STR(overlay->driver, "overlayfs");
	CHECK_STR(overlay->fstype, "overlay");
	CHECK_STR(overlay->mount_point, r->oci->root->path);
	REQUIRE_EQ(overlay->n_options, 3);
	CHECK_STR(overlay->options[0], "lowerdir=" SPEC_SHARED "/main/lower");
	CHECK_STR(overlay->options[0] + strlen("lowerdir="), r->storages[0]->mount_point);
	CHECK_STR(overlay->options[1], "upperdir=" SPEC_CONTAINERS "/main/upper");
	CHECK_STR(overlay->options[2], "workdir=" SPEC_CONTAINERS "/main/work");
	REQUIRE_EQ(overlay->n_driver_options, 2);
	CHECK_STR(overlay->driver_options[1],
		  "io.katacontainers.volume.overlayfs.create_directory=" SPEC_CONTAINERS
		  "/main/work");
	o.scratch = &shares[1];
	r = spec_container(&arena, &o);
	REQUIRE_NE(r, NULL);
	REQUIRE_EQ(r->n_storages, 3, "on a disk");
	CHECK_STR(r->storages[1]->driver, "blk");
	CHECK_STR(r->storages[1]->source, "09");
	CHECK_STR(r->storages[1]->mount_point, SPEC_SHARED "/main/scratch");
	overlay = r->storages[2];
	CHECK_STR(overlay->mount_point, r->oci->root->path);
	REQUIRE_EQ(overlay->n_options, 3);
	CHECK_STR(overlay->options[1], "upperdir=" SPEC_SHARED "/main/scratch/upper");
	CHECK_STR(overlay->options[2], "workdir=" SPEC_SHARED "/main/scratch/work");
	REQUIRE_EQ(overlay->n_driver_options, 2);
	CHECK_STR(overlay->driver_options[0],
		  "io.katacontainers.volume.overlayfs.create_directory=" SPEC_SHARED
		  "/main/scratch/upper");
	arena_release(&arena);
}

Test(ctl_spec, volumes_and_devices)
{
	static char *args[] = { (char *)(uintptr_t) "sh", NULL };
	static const struct vm_share shares[] = {
		{ SHARE_VIRTIOFS, "/r", false, "share0", NULL, 0 },
		{ SHARE_PMEM, "/p", true, "/dev/pmem0", NULL, 0 },
		{ SHARE_VIRTIOFS, "/c", true, "share2", NULL, 0 },
		{ SHARE_SCSI, "/s", false, "3:0", NULL, 0 },
		{ SHARE_BLK, "/b", false, "/dev/vda", NULL, 0 },
	};
	static const struct volume volumes[] = {
		{ .kind = VOLUME_ON_DISK,
		  .target = "/p",
		  .readonly = true,
		  .bus = SHARE_PMEM,
		  .fstype = "ext4",
		  .options = "dax",
		  .share = 1 },
		{ .kind = VOLUME_WATCHED, .target = "/c", .readonly = true, .share = 2 },
		{ .kind = VOLUME_DEVICE, .target = "/dev/s", .share = 3 },
		{ .kind = VOLUME_DEVICE, .target = "/dev/b", .share = 4 },
		{ .kind = VOLUME_TMPFS, .target = "/t", .options = "size=1", .share = -1 },
		{ .kind = VOLUME_HUGE_PAGES, .target = "/h", .options = "pagesize=2", .share = -1 },
	};
	struct container_options o = { .id = "main",
				       .args = args,
				       .cwd = "/",
				       .uid = 5,
				       .volumes = volumes,
				       .n_volumes = ARRAY_LEN(volumes),
				       .shares = shares };
	Grpc__CreateContainerRequest *r;
	const Grpc__Mount *m;
	struct arena arena;

	arena_init(&arena, 1u << 20);
	r = spec_container(&arena, &o);
	REQUIRE_NE(r, NULL);
	REQUIRE_EQ(r->n_storages, 5);
	CHECK_STR(r->storages[1]->driver, "nvdimm");
	CHECK_STR(r->storages[1]->source, "/dev/pmem0");
	CHECK_STR(r->storages[1]->fstype, "ext4");
	REQUIRE_EQ(r->storages[1]->n_options, 2);
	CHECK_STR(r->storages[1]->options[0], "ro");
	CHECK_STR(r->storages[1]->options[1], "dax");
	CHECK_STR(r->storages[2]->driver, "virtio-fs");
	CHECK_STR(r->storages[3]->driver, "watchable-bind");
	CHECK_STR(r->storages[3]->source, r->storages[2]->mount_point);
	m = mount_at(r->oci, "/c");
	REQUIRE_NE(m, NULL);
	CHECK_STR(m->source, r->storages[3]->mount_point);
	CHECK_STR(r->storages[4]->driver, "ephemeral");
	CHECK_STR(r->storages[4]->fstype, "hugetlbfs");
	m = mount_at(r->oci, "/t");
	REQUIRE_NE(m, NULL);
	CHECK_STR(m->type, "tmpfs");
	REQUIRE_EQ(r->n_devices, 2);
	CHECK_STR(r->devices[0]->type, "scsi");
	CHECK_STR(r->devices[0]->id, "3:0");
	CHECK_STR(r->devices[0]->container_path, "/dev/s");
	CHECK_STR(r->devices[1]->type, "mmioblk");
	CHECK_STR(r->devices[1]->vm_path, "/dev/vda");
	REQUIRE_EQ(r->oci->linux->n_devices, 2);
	CHECK_STR(r->oci->linux->devices[1]->path, "/dev/b");
	CHECK_EQ(r->oci->linux->devices[1]->uid, 5);
	CHECK_NE(r->oci->linux->devices[0]->minor, r->oci->linux->devices[1]->minor);
	arena_release(&arena);
}

Test(ctl_spec, privileged_and_no_memory)
{
	struct arena arena;
	Grpc__CreateContainerRequest *r;

	arena_init(&arena, 1u << 20);
	r = request(&arena, true, false);
	REQUIRE_NE(r, NULL);
	CHECK(!r->oci->process->nonewprivileges);
	CHECK_EQ(r->oci->linux->n_maskedpaths, 0);
	CHECK_GT(r->oci->process->capabilities->n_bounding, 30);
	arena_release(&arena);
	arena_init(&arena, 256);
	CHECK_EQ(request(&arena, false, false), NULL, "an exhausted arena is an error");
	arena_release(&arena);
}

static const char console[] =
	"SeaBIOS {\n[    0.1] Linux\n"
	"{\"msg\":\"x\",\"event\":\"guest-set-up\",\"source\":\"init\",\"mounts\":\"12.345 ms\","
	"\"bad\":\"x ms\"}\n"
	"\x01garbage {\"a\" ms\"\n"
	"{\"msg\":\"other\",\"event\":\"oom-kill\",\"source\":\"agent\",\"took\":\"7.000 ms\"}\n"
	"{\"msg\":\"none\",\"source\":\"agent\",\"took\":\"7.000 ms\"}\n"
	"{\"msg\":\"up\",\"source\":\"agent\",\"event\":\"agent-ready\",\"init-us\":\"1500\"}\n"
	"{\"msg\":\"up\",\"source\":\"agent\",\"first-check-us\":\"2500000\","
	"\"event\":\"first-check\"}\n"
	"{\"msg\":\"cut\",\"event\":\"agent-ready\",\"source\":\"agent\",\"init-us\":\"15";

Test(ctl_timeline, console)
{
	struct timeline t = { 0 };
	char path[] = "/tmp/ctl-console-XXXXXX";
	int fd = mkstemp(path);

	REQUIRE(fd >= 0 && write(fd, console, sizeof(console) - 1) > 0);
	(void)close(fd);
	timeline_read_console(&t, path);
	(void)unlink(path);
	REQUIRE_EQ(t.n_stages, 3);
	CHECK_STR(t.stages[0].name, "init: mounts");
	cr_expect_float_eq(t.stages[0].ms, 12.345, 1e-9);
	CHECK_STR(t.stages[1].name, "guest: PID 1");
	cr_expect_float_eq(t.stages[1].ms, 1.5, 1e-9);
	cr_expect_float_eq(t.stages[2].ms, 2500.0, 1e-9);
	timeline_read_console(&t, "/no/such/console");
	CHECK_EQ(t.n_stages, 0);
}

Test(ctl_tempdir, sweeps_only_dead_owners)
{
	char base[] = "/tmp/ctl-tempdir-XXXXXX", prefix[64], first[96], second[96], inner[128];
	struct error err = ERROR_INIT;
	struct stat st;
	int a, b;

	REQUIRE_NE(mkdtemp(base), NULL);
	(void)snprintf(prefix, sizeof(prefix), "%s/x", base);
	a = tempdir_make(prefix, first, sizeof(first), &err);
	REQUIRE_GE(a, 0, "%s", err.msg);
	CHECK(fcntl(a, F_GETFD) & FD_CLOEXEC);
	(void)snprintf(inner, sizeof(inner), "%s/inner", first);
	REQUIRE_EQ(mkdir(inner, 0700), 0);
	b = tempdir_make(prefix, second, sizeof(second), &err);
	REQUIRE_GE(b, 0, "%s", err.msg);
	CHECK_EQ(stat(first, &st), 0, "its owner is alive");
	CHECK_EQ(st.st_mode & 0777, 0700);
	(void)close(a);
	(void)close(b);
	b = tempdir_make(prefix, inner, sizeof(inner), &err);
	REQUIRE_GE(b, 0, "%s", err.msg);
	CHECK(stat(first, &st) < 0 && stat(second, &st) < 0, "their owners are dead");
	(void)close(b);
	(void)rmdir(inner);
	CHECK_EQ(rmdir(base), 0, "nothing else is left");
}

Test(ctl_qemu, debugging)
{
	struct vm_options o = { .kernel = "/k", .memory_mib = 256, .cpus = 1, .gdb = true };
	struct argv a = { 0 };

	qemu_argv(&a, &o, &parts);
	CHECK(has(&a, "-S"));
	CHECK_STR(value_of(&a, "-gdb", 0), "unix:/d/gdb.sock,server=on,wait=off");
	CHECK(!strstr(value_of(&a, "-append", 0), "debug_console"));
	argv_release(&a);
	o.gdb = false;
	o.debug_console = true;
	qemu_argv(&a, &o, &parts);
	CHECK(!has(&a, "-S"));
	CHECK(strstr(value_of(&a, "-append", 0),
		     " agent.debug_console agent.debug_console_vport=1026"));
	argv_release(&a);
}

Test(ctl_qemu, command_line)
{
	auto_close int fd = memfd_create("line", MFD_CLOEXEC);
	struct argv a = { 0 };
	char text[200] = "";

	argv_add(&a, "/bin/qemu");
	argv_add(&a, "-append");
	argv_add(&a, "a b");
	argv_add(&a, "%s", "");
	argv_add(&a, "it's");
	argv_add(&a, "file,path=/d:1");
	argv_write(&a, fd);
	CHECK(pread(fd, text, sizeof(text) - 1, 0) > 0);
	CHECK_STR(text, "/bin/qemu -append 'a b' '' 'it'\\''s' file,path=/d:1\n");
	argv_release(&a);
}

Test(ctl_qemu, output_of_a_program)
{
	struct error err = ERROR_INIT;
	struct argv a = { 0 };
	char text[8];

	argv_add(&a, "/bin/sh");
	argv_add(&a, "-c");
	argv_add(&a, "echo out; echo err >&2; exit 3");
	CHECK_EQ(WEXITSTATUS(spawn_read(&a, 60000, text, sizeof(text), &err)), 3);
	CHECK_STR(text, "out\nerr");
	argv_release(&a);
	argv_add(&a, "/bin/sleep");
	argv_add(&a, "1000");
	CHECK_EQ(spawn_read(&a, 10, text, sizeof(text), &err), -1);
	CHECK_EQ(err.code, ERROR_DEADLINE_EXCEEDED);
	argv_release(&a);
}
