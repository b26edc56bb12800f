/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM and the helper programs of its devices.
 *
 *	vm_start(): directory -> vsock -> shares -> QEMU -> up -> vm_stop(): wait, kill, remove
 *	                 |          |        |        |      |       ^
 *	                 |          +--------+--------+------+-------+
 *	                 v failure        failure, or QEMU has ended
 */
#include "ctl/vm/state.h"
#include "ctl/vm/vm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vhost.h>

#include "ctl/vm/attach.h"
#include "ctl/vm/copy_disk.h"
#include "ctl/vm/find.h"
#include "ctl/vm/initrd.h"
#include "ctl/vm/programs.h"
#include "ctl/vm/progress.h"
#include "ctl/vm/qemu.h"
#include "ctl/vm/qmp.h"
#include "ctl/vm/tempdir.h"
#include "ctl/vm/watcher.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/path.h"
#include "lib/sys.h"

#define AGENT_PORT 1024
/* Time for a file system: its size matters little, the file is sparse. */
#define MKE2FS_MS 60000

static int vm_make_directory(struct vm *vm, const char *dir, struct error *err);
static int vm_start_all(struct vm *vm, struct vm_options *o, struct error *err);
static int vm_start_watcher(struct vm *vm, bool is_foreground, struct error *err);
static int vm_prepare_shares(struct vm *vm, struct vm_options *o, struct error *err);
static void vm_spread_late_disks(struct vm_options *o);
static int vm_make_scratch(struct vm *vm, struct vm_share *s, struct error *err);
static int vm_start_vsock(struct vm *vm, struct qemu_parts *parts, struct error *err);
static int vm_start_virtiofsd(struct vm *vm, const struct vm_options *o, unsigned int i,
			      struct error *err);
static int vm_start_passt(struct vm *vm, const struct vm_options *o, struct error *err);
static void vm_print_gdb(const struct vm *vm, const struct vm_options *o);
static int vm_explain_network(const struct vm_options *o, struct error *err);
static int vm_check_ports(const struct vm_options *o, struct error *err);

int
vm_start(struct vm *vm, struct vm_options *o, const char *dir, struct error *err)
{
	vm->lock = -1;
	vm->scratch = -1;
	for (size_t i = 0; i < ARRAY_LEN(vm->copies); i++)
		vm->copies[i] = -1;
	if (vm_make_directory(vm, dir, err) < 0)
		return -1;
	programs_init(&vm->programs, vm->dir);
	(void)snprintf(vm->console, sizeof(vm->console), "%.*s/console.log", PATH_MAX - 16,
		       vm->dir);
	if (vm_start_all(vm, o, err) < 0 || vm_start_watcher(vm, !dir, err) < 0) {
		vm_stop(vm, 0);
		return error_wrap(err, "failed to start the VM");
	}
	return 0;
}

static int
vm_make_directory(struct vm *vm, const char *dir, struct error *err)
{
	if (!dir) {
		vm->lock = tempdir_make("/tmp/tatami", vm->dir, sizeof(vm->dir), err);
		if (vm->lock < 0)
			vm->dir[0] = '\0';
		return vm->lock < 0 ? -1 : 0;
	}
	/* Paths of unix sockets are limited to 107 bytes (unix(7)). */
	if (strlen(dir) > 80)
		return error_set(err, ERROR_INVALID_ARGUMENT, "path of directory %s is too long",
				 dir);
	if (mkdir(dir, 0700) < 0)
		return error_sys(err, "failed to create directory %s", dir);
	(void)snprintf(vm->dir, sizeof(vm->dir), "%s", dir);
	return 0;
}

static int
vm_start_all(struct vm *vm, struct vm_options *o, struct error *err)
{
	char qemu[PATH_MAX], initrd[PATH_MAX + 32], remark[sizeof(vm->accel.why) + 16];
	struct qemu_parts parts = { .qemu = qemu, .dir = vm->dir, .vhost_fd = -1 };
	const char *arch = find_arch_name(o->arch);
	struct argv a = { 0 };
	char program[32];
	int r;

	(void)snprintf(program, sizeof(program), "qemu-system-%s", arch);
	progress_step("preparing the devices");
	if (find_program(program, qemu, sizeof(qemu), err) < 0 ||
	    vm_prepare_shares(vm, o, err) < 0 || vm_check_ports(o, err) < 0)
		return -1;
	parts.initrd = o->initrd;
	if (o->agent_binary) {
		(void)snprintf(initrd, sizeof(initrd), "%s/initrd.img", vm->dir);
		if (initrd_with_agent(arch, o->initrd, o->init_binary, o->agent_binary, initrd,
				      err) < 0)
			return error_wrap(err, "failed to create an initrd with agent %s",
					  o->agent_binary);
		parts.initrd = initrd;
	}
	vm->accel = (struct find_accel){ .name = o->accel };
	if (o->accel)
		(void)snprintf(vm->accel.why, sizeof(vm->accel.why), "chosen by --accel");
	else
		find_accel(o->arch, qemu, o->kernel, o->initrd, false, &vm->accel);
	parts.accel = vm->accel.name;
	(void)snprintf(remark, sizeof(remark), "%s%s%s", vm->accel.name,
		       vm->accel.why[0] && !o->accel ? ": " : "", o->accel ? "" : vm->accel.why);
	progress_remark(remark);
	progress_step("starting QEMU");
	if (vm_start_vsock(vm, &parts, err) < 0)
		return -1;
	for (unsigned int i = 0; i < o->n_shares; i++)
		if (o->shares[i].kind == SHARE_VIRTIOFS && vm_start_virtiofsd(vm, o, i, err) < 0)
			return -1;
	if (o->nic && o->network == VM_NETWORK_PASST && vm_start_passt(vm, o, err) < 0)
		return -1;
	qemu_argv(&a, o, &parts);
	vm->started_ns = monotonic_ns();
	r = programs_start(&vm->programs, PROGRAM_QEMU, "qemu", &a, parts.vhost_fd, err);
	close_fd(&parts.vhost_fd);
	if (r < 0)
		return -1;
	/* QEMU exits at once on an invalid option. */
	if (programs_wait(&vm->programs, PROGRAM_QEMU, 20)) {
		programs_explain(&vm->programs, PROGRAM_QEMU, err);
		return vm_explain_network(o, err);
	}
	if (o->gdb)
		vm_print_gdb(vm, o);
	return 0;
}

static int
vm_start_watcher(struct vm *vm, bool is_foreground, struct error *err)
{
	const struct program *passt = &vm->programs.list[PROGRAM_PASST];
	const struct watched w = {
		.dir = vm->dir,
		.qemu = vm->programs.list[PROGRAM_QEMU].pidfd,
		.passt = passt->pid > 0 ? passt->pidfd : -1,
		.is_foreground = is_foreground,
	};

	vm->watcher = watcher_start(&w, err);
	return vm->watcher < 0 ? -1 : 0;
}

/* Writes the path of the file vmlinux next to a kernel. Returns whether it is there. */
static bool
vm_has_vmlinux(const char *kernel, char out[static PATH_MAX])
{
	const char *slash = strrchr(kernel, '/');
	int n = slash ? (int)(slash + 1 - kernel) : 0;

	return snprintf(out, PATH_MAX, "%.*svmlinux", n, kernel) < PATH_MAX &&
	       access(out, R_OK) == 0;
}

/* Prints how gdb is attached to the VM, which waits for it. */
static void
vm_print_gdb(const struct vm *vm, const struct vm_options *o)
{
	struct error ignored = ERROR_INIT;
	char vmlinux[PATH_MAX], socket_path[PATH_MAX + 16], head[4] = "";
	auto_close int fd = open(o->kernel, O_RDONLY | O_CLOEXEC);
	struct argv a = { 0 };

	(void)snprintf(socket_path, sizeof(socket_path), "%s/gdb.sock", vm->dir);
	argv_add(&a, "gdb");
	argv_add(&a, "-ex");
	argv_add(&a, "target remote %s", socket_path);
	/* An uncompressed kernel has its own symbols, if any. */
	if (fd >= 0 && pread(fd, head, sizeof(head), 0) == sizeof(head) &&
	    memcmp(head, "\177ELF", sizeof(head)) == 0)
		argv_add(&a, "%s", o->kernel);
	else if (vm_has_vmlinux(o->kernel, vmlinux) ||
		 find_guest_file("vmlinux", vmlinux, sizeof(vmlinux), &ignored) == 0)
		argv_add(&a, "%s", vmlinux);
	(void)fprintf(stderr, "tatamictl: the VM waits for gdb, and `continue` in it:\n");
	(void)fflush(stderr);
	argv_write(&a, STDERR_FILENO);
	argv_release(&a);
}

/* Names what is missing if QEMU does not know the kind of network. Returns -1. */
static int
vm_explain_network(const struct vm_options *o, struct error *err)
{
	if (!o->nic || (!strstr(err->msg, "is not compiled into this binary") &&
			!strstr(err->msg, "expects a netdev backend type")))
		return -1;
	return error_wrap(err, "%s",
			  o->network == VM_NETWORK_PASST
				  ? "--network passt requires QEMU 7.2 or later"
				  : "this QEMU has no user network (libslirp): --network passt "
				    "works without it");
}

static int
vm_prepare_shares(struct vm *vm, struct vm_options *o, struct error *err)
{
	sigset_t stop;

	spawn_end_signals(&stop);
	vm_spread_late_disks(o);
	for (unsigned int i = 0; i < o->n_shares; i++) {
		struct vm_share *s = &o->shares[i];
		struct stat st;

		qemu_share_tag(o, i, s->tag, sizeof(s->tag));
		if (s->is_copied) {
			progress_step("copying directories to disks");
			vm->copies[i] = copy_disk_make(&vm->programs, find_arch_name(o->arch), s,
						       &stop, err);
			if (vm->copies[i] < 0)
				return -1;
		}
		if (s->scratch && vm_make_scratch(vm, s, err) < 0)
			return -1;
		if (s->kind != SHARE_NVDIMM && s->kind != SHARE_PMEM)
			continue;
		if (stat(s->path, &st) < 0)
			return error_sys(err, "failed to look up %s", s->path);
		s->size = (unsigned long long)st.st_size;
		s->is_named = o->other_agent;
	}
	if (o->root_image && o->root_nvdimm) {
		struct stat st;

		if (stat(o->root_image, &st) < 0)
			return error_sys(err, "failed to look up %s", o->root_image);
		o->root_size = (unsigned long long)st.st_size;
	}
	return 0;
}

/* Puts the late disks for which the VM has no port behind the SCSI controller. The ports that the
 * user has asked for stay free. */
static void
vm_spread_late_disks(struct vm_options *o)
{
	unsigned int n = o->hotplug_ports ? o->hotplug_ports : 1;

	for (unsigned int i = 0; o->late_disks && i < o->n_shares; i++)
		if (o->shares[i].kind == SHARE_BLK && n++ >= VM_PORTS_MAX)
			o->shares[i].kind = SHARE_SCSI;
}

/* Makes the file of a scratch disk. It has no name, so nothing of it is left, whatever ends this
 * process. The directory of the VM would be the wrong place: that may be in memory. */
static int
vm_make_scratch(struct vm *vm, struct vm_share *s, struct error *err)
{
	const char *dir = getenv("TMPDIR");
	char name[PATH_MAX], program[PATH_MAX];
	struct argv a = { 0 };

	(void)snprintf(name, sizeof(name), "%s/tatami-scratch-XXXXXX",
		       dir && *dir ? dir : "/var/tmp");
	if (find_program("mke2fs", program, sizeof(program), err) < 0)
		return error_wrap(err, "--scratch requires the package e2fsprogs");
	vm->scratch = mkostemp(name, O_CLOEXEC);
	if (vm->scratch < 0)
		return error_sys(err, "failed to create %s", name);
	(void)unlink(name);
	if (ftruncate(vm->scratch, (off_t)s->scratch) < 0)
		return error_sys(err, "failed to make a scratch disk of %llu bytes", s->scratch);
	(void)snprintf(s->path, sizeof(s->path), "/proc/%d/fd/%d", (int)getpid(), vm->scratch);
	argv_add(&a, "%s", program);
	argv_add(&a, "-qF");
	argv_add(&a, "-text4");
	argv_add(&a, "-m0");
	argv_add(&a, "-O^has_journal");
	argv_add(&a, "%s", s->path);
	if (programs_start(&vm->programs, PROGRAM_MKFS, "mke2fs", &a, -1, err) < 0)
		return -1;
	if (!programs_wait(&vm->programs, PROGRAM_MKFS, MKE2FS_MS))
		return error_set(err, ERROR_DEADLINE_EXCEEDED, "mke2fs timed out");
	if (vm->programs.list[PROGRAM_MKFS].status == 0)
		return 0;
	return programs_explain(&vm->programs, PROGRAM_MKFS, err);
}

/* Sets up vsock: with the kernel's vhost device and a free CID, or with vhost-device-vsock. */
static int
vm_start_vsock(struct vm *vm, struct qemu_parts *parts, struct error *err)
{
	char program[PATH_MAX];
	struct argv a = { 0 };

	parts->vhost_fd = open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
	if (parts->vhost_fd >= 0) {
		uint64_t cid;

		for (int i = 0; i < 64; i++) {
			uint32_t r = 0;

			(void)getrandom(&r, sizeof(r), 0);
			cid = 3 + (r % 0x7ffffff0u);
			if (ioctl(parts->vhost_fd, VHOST_VSOCK_SET_GUEST_CID, &cid) == 0) {
				parts->vsock_cid = (unsigned int)cid;
				(void)snprintf(vm->address, sizeof(vm->address), "vsock://%u:%d",
					       parts->vsock_cid, AGENT_PORT);
				return 0;
			}
		}
		close_fd(&parts->vhost_fd);
	}
	parts->vsock_cid = 3;
	if (find_program("vhost-device-vsock", program, sizeof(program), err) < 0)
		return error_wrap(err, "/dev/vhost-vsock is not available");
	argv_add(&a, "%s", program);
	argv_add(&a, "--guest-cid=%u", parts->vsock_cid);
	argv_add(&a, "--socket=%s/vhost.sock", vm->dir);
	argv_add(&a, "--uds-path=%s/vsock.sock", vm->dir);
	(void)snprintf(vm->address, sizeof(vm->address), "hvsock://%.200s/vsock.sock:%d", vm->dir,
		       AGENT_PORT);
	if (programs_start(&vm->programs, PROGRAM_VSOCK, "vhost-device-vsock", &a, -1, err) < 0)
		return -1;
	return programs_wait_socket(&vm->programs, PROGRAM_VSOCK, "vhost.sock", err);
}

static int
vm_start_virtiofsd(struct vm *vm, const struct vm_options *o, unsigned int i, struct error *err)
{
	char name[32], socket_name[32];
	const struct vm_share *s = &o->shares[i];
	enum program_slot slot = PROGRAM_VIRTIOFSD + i;
	struct argv a = { 0 };

	(void)snprintf(name, sizeof(name), "virtiofsd-%u", i);
	(void)snprintf(socket_name, sizeof(socket_name), "fs%u.sock", i);
	argv_add(&a, "%s", o->virtiofsd);
	argv_add(&a, "--socket-path=%s/%s", vm->dir, socket_name);
	argv_add(&a, "--shared-dir=%s", s->path);
	argv_add(&a, "--cache=%s", o->virtiofs_cache ? o->virtiofs_cache : "auto");
	argv_add(&a, "--sandbox=namespace");
	/* Without root it knows one user: the caller, who is root in the guest. */
	if (geteuid() != 0) {
		argv_add(&a, "--uid-map=:0:%u:1:", (unsigned int)geteuid());
		argv_add(&a, "--gid-map=:0:%u:1:", (unsigned int)getegid());
	}
	if (s->readonly)
		argv_add(&a, "--readonly");
	if (programs_start(&vm->programs, slot, name, &a, -1, err) < 0)
		return -1;
	if (s->is_optional)
		programs_set_optional(&vm->programs, slot);
	return programs_wait_socket(&vm->programs, slot, socket_name, err);
}

/* Checks that the published ports are free: QEMU's own message does not name the address. */
static int
vm_check_ports(const struct vm_options *o, struct error *err)
{
	for (unsigned int i = 0; i < o->n_publish; i++) {
		const struct vm_publish *p = &o->publish[i];
		struct sockaddr_in v4 = { .sin_family = AF_INET,
					  .sin_port = htons((uint16_t)p->host_port) };
		struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = v4.sin_port };
		bool is_v4 = inet_pton(AF_INET, p->host, &v4.sin_addr) == 1;
		const struct sockaddr *address =
			is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
		auto_close int fd =
			socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int on = 1;

		(void)inet_pton(AF_INET6, p->host, &v6.sin6_addr);
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fd, address, is_v4 ? sizeof(v4) : sizeof(v6)) < 0)
			return error_sys(err, "failed to publish port %u of %s", p->host_port,
					 p->host);
	}
	return 0;
}

/* Starts the program that is the other end of the network card. It ends with QEMU. */
static int
vm_start_passt(struct vm *vm, const struct vm_options *o, struct error *err)
{
	char program[PATH_MAX];
	struct argv a = { 0 };

	if (find_program("passt", program, sizeof(program), err) < 0)
		return error_wrap(err, "--network passt (--network user needs only QEMU)");
	argv_add(&a, "%s", program);
	argv_add(&a, "--foreground");
	argv_add(&a, "--one-off");
	argv_add(&a, "--stderr");
	argv_add(&a, "--quiet");
	/* As root it would become a user who cannot enter the VM's directory. */
	if (geteuid() == 0) {
		argv_add(&a, "--runas");
		argv_add(&a, "0");
	}
	argv_add(&a, "--socket");
	argv_add(&a, "%s/passt.sock", vm->dir);
	argv_add(&a, "--address");
	argv_add(&a, VM_ADDRESS);
	argv_add(&a, "--netmask");
	argv_add(&a, "24");
	argv_add(&a, "--gateway");
	argv_add(&a, VM_GATEWAY);
	argv_add(&a, "--dns-forward");
	argv_add(&a, VM_DNS);
	argv_add(&a, "--address");
	argv_add(&a, VM_ADDRESS6);
	argv_add(&a, "--gateway");
	argv_add(&a, VM_GATEWAY6);
	for (unsigned int i = 0; i < o->n_publish; i++) {
		const struct vm_publish *p = &o->publish[i];

		argv_add(&a, "--tcp-ports");
		argv_add(&a, "%s/%u:%u", p->host, p->host_port, p->guest_port);
	}
	if (programs_start(&vm->programs, PROGRAM_PASST, "passt", &a, -1, err) < 0)
		return -1;
	/* Without it the VM has no network, but goes on. */
	programs_set_optional(&vm->programs, PROGRAM_PASST);
	return programs_wait_socket(&vm->programs, PROGRAM_PASST, "passt.sock", err);
}

int
vm_plug_disks(struct vm *vm, struct vm_options *o, struct error *err)
{
	struct qmp q = { .fd = -1 };
	int r = 0;

	for (unsigned int i = 0; o->late_disks && i < o->n_shares && r == 0; i++) {
		struct vm_share *s = &o->shares[i];
		struct attached a;

		if (!qemu_is_late(o, s))
			continue;
		if (q.fd < 0)
			r = qmp_open(&q, vm->dir, err);
		if (r == 0)
			r = attach_disk(&q, s->kind, s->path, s->readonly, &a, err);
		if (r == 0)
			(void)snprintf(s->tag, sizeof(s->tag), "%s", a.address);
	}
	qmp_close(&q);
	return r;
}

bool
vm_has_ended(struct vm *vm, char *exit_text, size_t size)
{
	if (vm->why.code == ERROR_OK && !programs_have_ended(&vm->programs, &vm->why))
		return false;
	if (exit_text)
		(void)snprintf(exit_text, size, "%s", vm->why.msg);
	return true;
}

bool
vm_has_failed(struct vm *vm, char *exit_text, size_t size)
{
	return vm_has_ended(vm, exit_text, size) && programs_have_failed(&vm->programs);
}

bool
vm_ends_within(struct vm *vm, int timeout_ms, char *exit_text, size_t size)
{
	struct pollfd p = { .events = POLLIN };
	auto_close int fd = vm_end_fd(vm);

	p.fd = fd;
	if (fd >= 0)
		(void)poll(&p, 1, timeout_ms);
	return vm_has_ended(vm, exit_text, size);
}

int
vm_end_fd(const struct vm *vm)
{
	return vm->dir[0] ? fcntl(vm->programs.end_fd, F_DUPFD_CLOEXEC, 0) : -1;
}

void
vm_stop(struct vm *vm, int grace_ms)
{
	struct error err = ERROR_INIT;
	char path[PATH_MAX + 16];

	if (!vm->dir[0])
		return;
	if (grace_ms > 0)
		(void)programs_wait(&vm->programs, PROGRAM_QEMU, grace_ms);
	programs_kill(&vm->programs);
	if (vm->watcher > 0) {
		(void)kill(vm->watcher, SIGKILL);
		(void)waitpid(vm->watcher, NULL, 0);
	}
	vm->watcher = 0;
	/* A VM that was registered is remembered until `rm`. */
	(void)snprintf(path, sizeof(path), "%s/state.json", vm->dir);
	if (access(path, F_OK) == 0)
		state_keep_records(vm->dir);
	else if (path_remove_tree(AT_FDCWD, vm->dir, &err) < 0)
		(void)fprintf(stderr, "tatamictl: %s: %s\n", vm->dir, err.msg);
	vm->dir[0] = '\0';
	close_fd(&vm->lock);
	close_fd(&vm->scratch);
	for (size_t i = 0; i < ARRAY_LEN(vm->copies); i++)
		close_fd(&vm->copies[i]);
}

void
vm_console_tail(const struct vm *vm, char *out, size_t size)
{
	auto_close int fd = open(vm->console, O_RDONLY | O_CLOEXEC);
	off_t end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	off_t at = end > (off_t)size - 1 ? end - (off_t)size + 1 : 0;
	ssize_t n = fd >= 0 ? pread(fd, out, size - 1, at) : 0;

	out[n > 0 ? n : 0] = '\0';
}
