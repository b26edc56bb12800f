/* SPDX-License-Identifier: Apache-2.0 */
/* QEMU's command line. */
#include "ctl/vm/qemu.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FIRST_SHARE_SLOT 8
#define SCSI_SLOT        7
#define PORTS_SLOT       0x1e
/* memory modules that can be hot-plugged */
#define MEMORY_SLOTS 16

static void qemu_add_sizes(struct argv *a, const struct vm_options *o);
static void qemu_add_device(struct argv *a, const struct vm_options *o, const char *type,
			    unsigned int slot, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
static void qemu_add_vsock(struct argv *a, const struct vm_options *o, const struct qemu_parts *p);
static void qemu_add_nic(struct argv *a, const struct vm_options *o, const char *dir);
static void qemu_add_controllers(struct argv *a, const struct vm_options *o);
static void qemu_add_share(struct argv *a, const struct vm_options *o, unsigned int i,
			   const char *dir);

static const char *
qemu_machine(const struct vm_options *o)
{
	if (o->arch == VM_AARCH64)
		return "virt,gic-version=max";
	/* microvm's ACPI describes no timer that the kernel could use without KVM. All disks are
	 * virtio: firmware and kernel need not look for others at q35's controller. */
	return o->microvm ? "microvm,acpi=off" : "q35,sata=off,smbus=off";
}

bool
qemu_is_late(const struct vm_options *o, const struct vm_share *s)
{
	return o->late_disks && (s->kind == SHARE_BLK || s->kind == SHARE_SCSI);
}

/* Returns the number of root ports: the requested ones, and one for each disk that comes later and
 * is not on the SCSI controller. */
static unsigned int
qemu_ports(const struct vm_options *o)
{
	unsigned int n = o->hotplug_ports ? o->hotplug_ports : 1;

	if (o->microvm)
		return 0;
	for (unsigned int i = 0; i < o->n_shares; i++)
		n += qemu_is_late(o, &o->shares[i]) && o->shares[i].kind == SHARE_BLK;
	return n < VM_PORTS_MAX ? n : VM_PORTS_MAX;
}

/* Doubles each comma, as QEMU requires in option values. */
/* Returns the processor to emulate: all that QEMU can, but what makes its emulation slow. */
static const char *
qemu_emulated_cpu(const struct vm_options *o)
{
	/* Arm's own algorithm for signed pointers takes long. */
	if (o->arch == VM_AARCH64)
		return "max,pauth-impdef=on";
	/* With fast string instructions the kernel clears and copies a page by one instruction
	 * that is emulated byte by byte, 4096 times; else by 512 of 8 bytes (docs/boot.md). */
	return "max,-erms,-fsrm";
}

static const char *
qemu_escaped(char out[2 * PATH_MAX], const char *path)
{
	size_t n = 0;

	for (; *path && n + 2 < 2 * (size_t)PATH_MAX; path++) {
		if (*path == ',')
			out[n++] = ',';
		out[n++] = *path;
	}
	out[n] = '\0';
	return out;
}

void
qemu_argv(struct argv *a, const struct vm_options *o, const struct qemu_parts *p)
{
	static const char *const fixed[] = { "-nodefaults", "-no-user-config", "-no-reboot",
					     "-display", "none" };
	char dir[2 * PATH_MAX], append[2048];
	unsigned int ports;

	argv_add(a, "%s", p->qemu);
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		argv_add(a, "%s", fixed[i]);
	argv_add(a, "-M");
	argv_add(a, "%s,memory-backend=ram", qemu_machine(o));
	if (o->microvm) {
		/* vhost-user devices speak virtio 1 only. */
		argv_add(a, "-global");
		argv_add(a, "virtio-mmio.force-legacy=false");
	}
	argv_add(a, "-accel");
	/* One thread for all processors: a kernel that patches its own code while other
	 * processors run it may crash under QEMU's multi-threaded translation (seen with 7.2 and
	 * two processors: an int3 without a handler). */
	argv_add(a, "%s%s", p->accel, strcmp(p->accel, "tcg") == 0 ? ",thread=single" : "");
	argv_add(a, "-cpu");
	argv_add(a, "%s", strcmp(p->accel, "kvm") == 0 ? "host" : qemu_emulated_cpu(o));
	qemu_add_sizes(a, o);
	/* vhost-user devices read the guest's memory, so it must be shared. */
	argv_add(a, "-object");
	argv_add(a, "memory-backend-memfd,id=ram,size=%uM,share=on", o->memory_mib);
	if (o->icount) {
		argv_add(a, "-icount");
		argv_add(a, "shift=0");
	}
	argv_add(a, "-kernel");
	argv_add(a, "%s", o->kernel);
	if (p->initrd) {
		argv_add(a, "-initrd");
		argv_add(a, "%s", p->initrd);
	}
	qemu_append(append, sizeof(append), o, p->accel);
	argv_add(a, "-append");
	argv_add(a, "%s", append);
	argv_add(a, "-chardev");
	argv_add(a, "file,id=console,append=on,path=%s/console.log", qemu_escaped(dir, p->dir));
	argv_add(a, "-serial");
	argv_add(a, "chardev:console");
	argv_add(a, "-qmp");
	argv_add(a, "unix:%s/qmp.sock,server=on,wait=off", qemu_escaped(dir, p->dir));
	if (o->gdb) {
		argv_add(a, "-S");
		argv_add(a, "-gdb");
		argv_add(a, "unix:%s/gdb.sock,server=on,wait=off", qemu_escaped(dir, p->dir));
	}
	qemu_add_device(a, o, "virtio-rng", 3, "%s", "");
	qemu_add_vsock(a, o, p);
	qemu_add_nic(a, o, p->dir);
	/* Empty slots on PCIe root ports for hot-plugged devices. */
	ports = qemu_ports(o);
	for (unsigned int k = 0; k < ports; k++) {
		argv_add(a, "-device");
		argv_add(a, "pcie-root-port,id=hotplug%u,chassis=%u,slot=%u,addr=0x%x.%u%s", k,
			 k + 1, k + 1, PORTS_SLOT, k,
			 k == 0 && ports > 1 ? ",multifunction=on" : "");
	}
	if (o->root_image && o->root_nvdimm) {
		/* As Kata adds it: the guest sees a device that it cannot write. */
		argv_add(a, "-object");
		argv_add(a,
			 "memory-backend-file,id=root,mem-path=%s,size=%llu,share=on,readonly=on",
			 qemu_escaped(dir, o->root_image), o->root_size);
		argv_add(a, "-device");
		argv_add(a, "nvdimm,memdev=root,unarmed=on");
	} else if (o->root_image) {
		argv_add(a, "-drive");
		argv_add(a, "if=none,id=root,format=raw,readonly=on,file=%s",
			 qemu_escaped(dir, o->root_image));
		qemu_add_device(a, o, "virtio-blk", 5, ",drive=root");
	}
	qemu_add_controllers(a, o);
	for (unsigned int i = 0; i < o->n_shares; i++)
		if (!qemu_is_late(o, &o->shares[i]))
			qemu_add_share(a, o, i, p->dir);
	for (unsigned int i = 0; i < o->n_qemu_args; i++)
		argv_add(a, "%s", o->qemu_args[i]);
}

/* Adds a virtio device with these properties ("" or ",name=value..."): at a slot of the PCI bus, or
 * at the next virtio-mmio transport. */
static void
qemu_add_device(struct argv *a, const struct vm_options *o, const char *type, unsigned int slot,
		const char *fmt, ...)
{
	char properties[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(properties, sizeof(properties), fmt, ap);
	va_end(ap);
	argv_add(a, "-device");
	if (o->microvm)
		argv_add(a, "%s-device%s", type, properties);
	else
		argv_add(a, "%s-pci%s,addr=0x%x", type, properties, slot);
}

static bool
qemu_is_memory(const struct vm_share *s)
{
	return s->kind == SHARE_NVDIMM || s->kind == SHARE_PMEM;
}

static void
qemu_add_sizes(struct argv *a, const struct vm_options *o)
{
	unsigned int max = o->max_memory_mib > o->memory_mib ? o->max_memory_mib : o->memory_mib;
	bool has_slots = max > o->memory_mib;

	/* Memory devices take part of the maximum; QEMU may align each to 1 GiB. */
	for (unsigned int i = 0; i < o->n_shares; i++) {
		if (qemu_is_memory(&o->shares[i])) {
			max += (unsigned int)(o->shares[i].size >> 20) + 1024;
			has_slots = true;
		}
	}
	if (o->root_image && o->root_nvdimm) {
		max += (unsigned int)(o->root_size >> 20) + 1024;
		has_slots = true;
	}
	argv_add(a, "-m");
	if (has_slots)
		argv_add(a, "%u,slots=%d,maxmem=%uM", o->memory_mib, MEMORY_SLOTS, max);
	else
		argv_add(a, "%u", o->memory_mib);
	argv_add(a, "-smp");
	/* One socket per processor: Linux 6.9 and later adds no processor to a socket unless it
	 * knows its hypervisor. */
	if (o->max_cpus > o->cpus)
		argv_add(a, "%u,sockets=%u,maxcpus=%u", o->cpus, o->max_cpus, o->max_cpus);
	else
		argv_add(a, "%u", o->cpus);
}

void
qemu_append(char *out, size_t size, const struct vm_options *o, const char *accel)
{
	const char *root = o->root_parameters ? o->root_parameters
			   : o->root_nvdimm   ? "root=/dev/pmem0p1 ro rootfstype=ext4 rootflags=dax"
					      : "root=/dev/vda1 ro rootfstype=ext4 rootwait";
	bool is_emulated = strcmp(accel, "tcg") == 0, has_virtiofs = false, no_apic_timer;
	char debug[64] = "";

	for (unsigned int i = 0; i < o->n_shares; i++)
		has_virtiofs |= o->shares[i].kind == SHARE_VIRTIOFS;
	/* The emulated local APIC does not tell its frequency, and the kernel measures it for
	 * 100 ms of busy waiting (twice that without ACPI). A single processor does as well with
	 * HPET or the PIT, whose frequencies are known. */
	no_apic_timer = o->arch == VM_X86_64 && is_emulated && o->cpus == 1 && o->max_cpus <= 1;
	if (o->debug_console)
		(void)snprintf(debug, sizeof(debug),
			       " agent.debug_console agent.debug_console_vport=%d",
			       DEBUG_CONSOLE_PORT);
	/* virtiofsd writes files into the guest's memory, which QEMU's translator does not notice:
	 * it would go on executing its translation of a page's previous content. The kernel clears
	 * pages when it allocates them with init_on_alloc, and QEMU notices that. */
	/* The kernel looks for disks at 256 addresses of a SCSI controller. After the boot that
	 * takes many seconds, in which it would plug in no other device. */
	(void)snprintf(
		out, size, "console=%s quiet panic=-1%s%s%s%s%s%s%s%s%s%s%s%s",
		o->arch == VM_AARCH64 ? "ttyAMA0" : "ttyS0",
		o->arch == VM_AARCH64 ? "" : " reboot=k no_timer_check tsc=reliable noreplace-smp",
		no_apic_timer ? " nolapic_timer" : "", o->microvm ? "" : " scsi_mod.scan=async",
		has_virtiofs && is_emulated ? " init_on_alloc=1" : "", o->root_image ? " " : "",
		o->root_image ? root : "", o->log_level ? " agent.log=" : "",
		o->log_level ? o->log_level : "", debug,
		/* The default of 3 s is short for an emulated guest. */
		o->late_disks ? " agent.hotplug_timeout=60" : "", o->append ? " " : "",
		o->append ? o->append : "");
}

static void
qemu_add_vsock(struct argv *a, const struct vm_options *o, const struct qemu_parts *p)
{
	char dir[2 * PATH_MAX];

	if (p->vhost_fd >= 0) {
		qemu_add_device(a, o, "vhost-vsock", 4, ",guest-cid=%u,vhostfd=%d", p->vsock_cid,
				p->vhost_fd);
		return;
	}
	argv_add(a, "-chardev");
	argv_add(a, "socket,id=vsock,path=%s/vhost.sock", qemu_escaped(dir, p->dir));
	qemu_add_device(a, o, "vhost-user-vsock", 4, ",chardev=vsock");
}

/* Adds a network card and the ports it publishes on the host. */
static void
qemu_add_nic(struct argv *a, const struct vm_options *o, const char *dir)
{
	char forward[VM_PUBLISH_MAX * 128] = "", path[2 * PATH_MAX];
	size_t n = 0;

	if (!o->nic)
		return;
	for (unsigned int i = 0; o->network == VM_NETWORK_USER && i < o->n_publish; i++) {
		const struct vm_publish *p = &o->publish[i];

		n += (size_t)snprintf(forward + n, sizeof(forward) - n,
				      ",hostfwd=tcp:%s:%u-" VM_ADDRESS ":%u", p->host, p->host_port,
				      p->guest_port);
	}
	argv_add(a, "-netdev");
	if (o->network == VM_NETWORK_PASST)
		argv_add(a, "stream,id=net0,server=off,addr.type=unix,addr.path=%s/passt.sock",
			 qemu_escaped(path, dir));
	else
		argv_add(a, "user,id=net0%s", forward);
	/* Only the card on a PCI bus has a boot ROM. */
	qemu_add_device(a, o, "virtio-net", 6, ",netdev=net0,mac=" VM_MAC "%s",
			o->microvm ? "" : ",romfile=");
}

void
qemu_share_tag(const struct vm_options *o, unsigned int i, char *out, size_t size)
{
	const struct vm_share *s = &o->shares[i];
	unsigned int earlier = s->kind == SHARE_NVDIMM && o->root_image && o->root_nvdimm;

	for (unsigned int k = 0; k < i; k++)
		earlier += o->shares[k].kind == s->kind;
	switch (s->kind) {
	case SHARE_9P:
	case SHARE_VIRTIOFS:
		(void)snprintf(out, size, "share%u", i);
		return;
	case SHARE_BLK:
		if (o->microvm)
			(void)snprintf(out, size, "/dev/vd%c", 'a' + (int)earlier);
		else
			(void)snprintf(out, size, "%02x", FIRST_SHARE_SLOT + i);
		return;
	case SHARE_SCSI:
		(void)snprintf(out, size, "%u:0", i);
		return;
	case SHARE_NVDIMM:
	case SHARE_PMEM:
		(void)snprintf(out, size, "/dev/pmem%u", earlier);
		return;
	}
}

void
qemu_port_path(unsigned int k, char *out, size_t size)
{
	if (k == 0)
		(void)snprintf(out, size, "%02x/00", PORTS_SLOT);
	else
		(void)snprintf(out, size, "%02x.%u/00", PORTS_SLOT, k);
}

/* Adds what disks need in addition to a device each. */
static void
qemu_add_controllers(struct argv *a, const struct vm_options *o)
{
	bool has_scsi = false, has_nvdimm = o->root_image && o->root_nvdimm;

	for (unsigned int i = 0; i < o->n_shares; i++) {
		has_scsi |= o->shares[i].kind == SHARE_SCSI;
		has_nvdimm |= o->shares[i].kind == SHARE_NVDIMM;
	}
	if (has_scsi)
		qemu_add_device(a, o, "virtio-scsi", SCSI_SLOT, ",id=scsi0");
	if (has_nvdimm) {
		argv_add(a, "-machine");
		argv_add(a, "nvdimm=on");
	}
}

static void
qemu_add_share(struct argv *a, const struct vm_options *o, unsigned int i, const char *dir)
{
	const struct vm_share *s = &o->shares[i];
	unsigned int slot = FIRST_SHARE_SLOT + i;
	char path[2 * PATH_MAX];

	switch (s->kind) {
	case SHARE_9P:
		argv_add(a, "-fsdev");
		argv_add(a, "local,id=share%u,path=%s,security_model=%s,multidevs=remap%s", i,
			 qemu_escaped(path, s->path), geteuid() == 0 ? "passthrough" : "none",
			 s->readonly ? ",readonly=on" : "");
		qemu_add_device(a, o, "virtio-9p", slot, ",fsdev=share%u,mount_tag=%s", i, s->tag);
		return;
	case SHARE_VIRTIOFS:
		argv_add(a, "-chardev");
		argv_add(a, "socket,id=share%u,path=%s/fs%u.sock", i, qemu_escaped(path, dir), i);
		qemu_add_device(a, o, "vhost-user-fs", slot,
				",chardev=share%u,tag=%s,queue-size=1024", i, s->tag);
		return;
	case SHARE_BLK:
		argv_add(a, "-drive");
		argv_add(a, "if=none,id=share%u,format=raw,file=%s%s", i,
			 qemu_escaped(path, s->path), s->readonly ? ",readonly=on" : "");
		qemu_add_device(a, o, "virtio-blk", slot, ",drive=share%u", i);
		return;
	case SHARE_SCSI:
		argv_add(a, "-drive");
		argv_add(a, "if=none,id=share%u,format=raw,file=%s%s", i,
			 qemu_escaped(path, s->path), s->readonly ? ",readonly=on" : "");
		argv_add(a, "-device");
		argv_add(a, "scsi-hd,id=disk-share%u,drive=share%u,bus=scsi0.0,scsi-id=%u,lun=0", i,
			 i, i);
		return;
	case SHARE_NVDIMM:
	case SHARE_PMEM:
		/* Writes to a read-only one reach a private copy. */
		argv_add(a, "-object");
		argv_add(a, "memory-backend-file,id=share%u,mem-path=%s,size=%llu,share=%s", i,
			 qemu_escaped(path, s->path), s->size, s->readonly ? "off" : "on");
		if (s->kind == SHARE_PMEM) {
			qemu_add_device(a, o, "virtio-pmem", slot, ",memdev=share%u", i);
			return;
		}
		argv_add(a, "-device");
		argv_add(a, "nvdimm,memdev=share%u", i);
		return;
	}
}
