/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl check: what a VM would be made of on this machine, and what is missing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <jansson.h>

#include "ctl/commands/command_line.h"
#include "ctl/commands/commands.h"
#include "ctl/json/json.h"
#include "ctl/vm/find.h"
#include "ctl/vm/packages.h"
#include "ctl/vm/progress.h"
#include "ctl/vm/spawn.h"
#include "lib/cleanup.h"
#include "lib/io.h"

/* Time for a program to print its version or its devices: it does no more. */
#define PROGRAM_MS 10000
#define ROWS_MAX   16
/* room for the devices that QEMU lists */
#define LIST_MAX (256u << 10)

static const char usage[] =
	"usage: tatamictl check [OPTION…]\n"
	"Prints what a VM on this machine would be made of, and what is missing, with the package\n"
	"to install. KVM is tried. Exit code: 0 if a VM can be booted, else 1.\n"
	"\n"
	"  --arch x86_64|aarch64       architecture of the guest (default: that of the kernel)\n"
	"  --kernel FILE, --initrd FILE\n"
	"                              what is to be booted (default: as for run)\n"
	"  --virtiofsd FILE            virtiofsd to use (default: as for run)\n"
	"  --json                      an object\n"
	"  -q, --quiet                 only the exit code\n"
	"  -h, --help                  print this\n";

struct check_row {
	const char *name;
	/* without it, no VM can be booted */
	bool is_required;
	bool is_ok;
	char path[PATH_MAX], version[64];
	/* a remark on what was found; or what is missing, and how to get it */
	char detail[512];
	const char *package;
};

struct check {
	enum vm_arch arch;
	bool has_arch, json, quiet;
	const char *kernel, *initrd, *virtiofsd;
	char os_release[4096], qemu_program[32];
	/* output of QEMU on -device help and on -netdev help */
	char *devices, *netdevs;
	struct find_accel accel;
	struct check_row rows[ROWS_MAX];
	size_t n;
};

static int check_read_options(struct check *c, int argc, char **argv);
static int check_parse_arch(const char *value, void *data, struct error *err);
static void check_guest(struct check *c);
static void check_qemu(struct check *c);
static void check_kvm(struct check *c);
static void check_vsock(struct check *c);
static void check_shares(struct check *c);
static void check_network(struct check *c);
static void check_images(struct check *c);
static bool check_is_bootable(const struct check *c);
static void check_print(const struct check *c);
static int check_print_json(const struct check *c);

int
cmd_check(int argc, char **argv)
{
	auto_free struct check *c = calloc(1, sizeof(*c));
	int r, first;

	if (!c)
		return EXIT_FAILED;
	first = check_read_options(c, argc, argv);
	if (first <= 0)
		return -first;
	if (read_text_at(AT_FDCWD, "/etc/os-release", c->os_release, sizeof(c->os_release)) < 0)
		(void)read_text_at(AT_FDCWD, "/usr/lib/os-release", c->os_release,
				   sizeof(c->os_release));
	c->devices = calloc(1, LIST_MAX);
	c->netdevs = calloc(1, LIST_MAX);
	if (c->devices && c->netdevs) {
		if (!c->quiet)
			progress_begin();
		check_guest(c);
		check_qemu(c);
		check_kvm(c);
		check_vsock(c);
		check_shares(c);
		check_network(c);
		check_images(c);
		progress_end();
		r = check_is_bootable(c) ? 0 : 1;
		if (c->json && check_print_json(c) < 0)
			r = EXIT_FAILED;
		else if (!c->json && !c->quiet)
			check_print(c);
	} else {
		r = EXIT_FAILED;
	}
	free(c->devices);
	free(c->netdevs);
	return r;
}

/* Returns what command_line_read() returns. */
static int
check_read_options(struct check *c, int argc, char **argv)
{
	const struct command_option options[] = {
		{ "arch", .parse = check_parse_arch, .data = c },
		{ "kernel", .text = &c->kernel },
		{ "initrd", .text = &c->initrd },
		{ "virtiofsd", .text = &c->virtiofsd },
		{ "json", .flag = &c->json },
		{ "quiet", 'q', .flag = &c->quiet },
	};
	const struct command_line line = { .usage = usage,
					   .options = options,
					   .n_options = ARRAY_LEN(options) };

	return command_line_read(&line, argc, argv);
}

static int
check_parse_arch(const char *value, void *data, struct error *err)
{
	struct check *c = data;

	c->has_arch = find_arch(value, &c->arch);
	return c->has_arch ? 0
			   : error_set(err, ERROR_INVALID_ARGUMENT,
				       "--arch %s: expected x86_64 or aarch64", value);
}

static struct check_row *
check_add(struct check *c, const char *name, bool is_required)
{
	struct check_row *r = &c->rows[c->n++];

	r->name = name;
	r->is_required = is_required;
	return r;
}

/* ---- the parts ---- */

static bool
check_file(struct check_row *r, const char *given, const char *name, const char *other)
{
	struct error err = ERROR_INIT;

	if (given) {
		r->is_ok = access(given, R_OK) == 0;
		(void)snprintf(r->path, sizeof(r->path), "%s", given);
		if (!r->is_ok)
			(void)snprintf(r->detail, sizeof(r->detail), "failed to read it: %s",
				       strerror(errno));
		return r->is_ok;
	}
	r->is_ok = find_guest_file(name, r->path, sizeof(r->path), &err) == 0 ||
		   (other && find_guest_file(other, r->path, sizeof(r->path), &err) == 0);
	if (!r->is_ok) {
		r->path[0] = '\0';
		(void)snprintf(r->detail, sizeof(r->detail),
			       "%.400s: `make` builds it, or use --%s", err.msg, r->name);
	}
	return r->is_ok;
}

static void
check_guest(struct check *c)
{
	struct check_row *kernel = check_add(c, "kernel", true);
	struct check_row *initrd = check_add(c, "initrd", true);

#ifdef __x86_64__
	(void)check_file(kernel, c->kernel, "vmlinux", "vmlinuz");
#else
	(void)check_file(kernel, c->kernel, "vmlinuz", NULL);
#endif
	if (!c->has_arch)
		c->arch = find_kernel_arch(kernel->is_ok ? kernel->path : "");
	if (kernel->is_ok)
		(void)snprintf(kernel->detail, sizeof(kernel->detail), "for %s",
			       find_arch_name(c->arch));
	(void)check_file(initrd, c->initrd, "initrd.img", NULL);
}

/* Finds a program and its version. */
static bool
check_program(struct check *c, struct check_row *r, const char *program, const char *purpose)
{
	struct error err = ERROR_INIT;
	char advice[160], said[512];
	struct argv a = { 0 };

	r->is_ok = find_program(program, r->path, sizeof(r->path), &err) == 0;
	if (!r->is_ok) {
		r->path[0] = '\0';
		r->package = package_of(program, c->os_release);
		package_advice(program, c->os_release, advice, sizeof(advice));
		(void)snprintf(r->detail, sizeof(r->detail), "%s not found (%s): %s", program,
			       purpose, advice);
		return false;
	}
	argv_add(&a, "%s", r->path);
	argv_add(&a, "--version");
	if (spawn_read(&a, PROGRAM_MS, said, sizeof(said), &err) == 0) {
		/* The first word of the first line that begins with a digit. */
		const char *digit = said;

		said[strcspn(said, "\n")] = '\0';
		while (*digit &&
		       !((digit == said || digit[-1] == ' ') && *digit >= '0' && *digit <= '9'))
			digit++;
		(void)snprintf(r->version, sizeof(r->version), "%.*s",
			       (int)strcspn(digit, " \n,()"), digit);
	}
	argv_release(&a);
	return true;
}

static void
check_ask_qemu(const struct check_row *qemu, const char *option, char *out)
{
	struct error ignored = ERROR_INIT;
	struct argv a = { 0 };

	argv_add(&a, "%s", qemu->path);
	argv_add(&a, "%s", option);
	argv_add(&a, "help");
	(void)spawn_read(&a, PROGRAM_MS, out, LIST_MAX, &ignored);
	argv_release(&a);
}

static void
check_qemu(struct check *c)
{
	struct check_row *r = check_add(c, "qemu", true);

	progress_step("asking QEMU for its devices");
	(void)snprintf(c->qemu_program, sizeof(c->qemu_program), "qemu-system-%s",
		       find_arch_name(c->arch));
	if (!check_program(c, r, c->qemu_program, "runs the VM"))
		return;
	check_ask_qemu(r, "-device", c->devices);
	check_ask_qemu(r, "-netdev", c->netdevs);
	if (!r->version[0]) {
		r->is_ok = false;
		(void)snprintf(r->detail, sizeof(r->detail), "it does not run here");
	}
}

static const struct check_row *
check_find(const struct check *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->rows[i].name, name) == 0)
			return &c->rows[i];
	return NULL;
}

static void
check_kvm(struct check *c)
{
	const struct check_row *qemu = check_find(c, "qemu"), *kernel = check_find(c, "kernel");
	const struct check_row *initrd = check_find(c, "initrd");
	struct check_row *r = check_add(c, "kvm", false);

	c->accel.name = "tcg";
	if (!qemu->is_ok || !kernel->is_ok) {
		(void)snprintf(c->accel.why, sizeof(c->accel.why),
			       "KVM was not tried: no QEMU, or no kernel");
	} else {
		find_accel(c->arch, qemu->path, kernel->path, initrd->is_ok ? initrd->path : NULL,
			   true, &c->accel);
		r->is_ok = strcmp(c->accel.name, "kvm") == 0;
	}
	if (r->is_ok)
		(void)snprintf(r->detail, sizeof(r->detail), "a trial booted a guest");
	else if (access("/dev/kvm", F_OK) < 0 && errno == ENOENT)
		(void)snprintf(r->detail, sizeof(r->detail),
			       "%s: emulation is used, which is slow; KVM needs virtualization "
			       "switched on in the firmware, or nested in the VM that this is, and "
			       "the kernel's module kvm",
			       c->accel.why);
	else if (access("/dev/kvm", R_OK | W_OK) < 0)
		(void)snprintf(r->detail, sizeof(r->detail),
			       "%s: emulation is used, which is slow; the owner and the group of "
			       "the file, often kvm, may open it",
			       c->accel.why);
	else
		(void)snprintf(r->detail, sizeof(r->detail), "%s: emulation is used, which is slow",
			       c->accel.why);
}

/* Returns whether QEMU has a virtio device, on the PCI bus or on virtio-mmio. */
static bool
check_has_device(const struct check *c, const char *name)
{
	char quoted[64];

	(void)snprintf(quoted, sizeof(quoted), "\"%s-pci\"", name);
	return strstr(c->devices, quoted) != NULL;
}

static void
check_vsock(struct check *c)
{
	static const char kernel[] = "/dev/vhost-vsock", helper[] = "vhost-device-vsock";
	struct check_row *r = check_add(c, "vsock", true);
	auto_close int fd = open(kernel, O_RDWR | O_CLOEXEC);
	const char *why = fd < 0 ? strerror(errno) : "", *device;
	char advice[200];

	if (fd >= 0) {
		r->is_ok = true;
		(void)snprintf(r->path, sizeof(r->path), "%s", kernel);
		(void)snprintf(r->detail, sizeof(r->detail), "the kernel's");
	} else if (check_program(c, r, helper, "connects to the agent")) {
		(void)snprintf(r->detail, sizeof(r->detail), "the kernel has none: %s: %s", kernel,
			       why);
	} else {
		package_advice(helper, c->os_release, advice, sizeof(advice));
		(void)snprintf(r->detail, sizeof(r->detail),
			       "%s: %s, and no program %s: as root, `modprobe vhost_vsock`; or %s",
			       kernel, why, helper, advice);
	}
	device = fd >= 0 ? "vhost-vsock" : "vhost-user-vsock";
	if (r->is_ok && check_find(c, "qemu")->is_ok && !check_has_device(c, device)) {
		r->is_ok = false;
		(void)snprintf(r->detail, sizeof(r->detail), "this QEMU has no device %s", device);
	}
}

/* A program that enters a sandbox cannot be used where none can be made. */
static void
check_sandbox(struct check_row *r)
{
	struct error err = ERROR_INIT;

	r->is_ok = find_user_namespace(&err);
	if (!r->is_ok)
		(void)snprintf(r->detail, sizeof(r->detail), "%s", err.msg);
}

static void
check_shares(struct check *c)
{
	struct check_row *fs = check_add(c, "virtiofsd", false), *p9;
	struct error err = ERROR_INIT;
	char advice[160], path[PATH_MAX];

	if (find_virtiofsd(c->virtiofsd, path, sizeof(path), &err) < 0) {
		fs->package = package_of("virtiofsd", c->os_release);
		package_advice("virtiofsd", c->os_release, advice, sizeof(advice));
		(void)snprintf(fs->detail, sizeof(fs->detail),
			       "%.300s: directories are shared by 9p; %s", err.msg, advice);
	} else {
		(void)check_program(c, fs, "virtiofsd", "");
		(void)snprintf(fs->path, sizeof(fs->path), "%s", path);
		(void)snprintf(fs->detail, sizeof(fs->detail), "%s",
			       geteuid() == 0 ? "shares directories"
					      : "not the default: virtio-fs needs root");
		/* Root needs no user namespace for virtiofsd. */
		if (fs->is_ok && geteuid() != 0)
			check_sandbox(fs);
	}
	if (fs->is_ok && check_find(c, "qemu")->is_ok && !check_has_device(c, "vhost-user-fs")) {
		fs->is_ok = false;
		(void)snprintf(fs->detail, sizeof(fs->detail),
			       "this QEMU has no device vhost-user-fs");
	}
	p9 = check_add(c, "9p", false);
	p9->is_ok = check_has_device(c, "virtio-9p");
	(void)snprintf(p9->detail, sizeof(p9->detail), "%s",
		       p9->is_ok ? "in QEMU" : "this QEMU shares no directories by 9p");
}

static void
check_network(struct check *c)
{
	struct check_row *user = check_add(c, "user-network", false), *passt;

	user->is_ok = strstr(c->netdevs, "\nuser\n") != NULL;
	(void)snprintf(user->detail, sizeof(user->detail), "%s",
		       user->is_ok ? "in QEMU (libslirp)"
				   : "this QEMU has no user network (libslirp): "
				     "--network passt works without it");
	passt = check_add(c, "passt", false);
	if (check_program(c, passt, "passt", "--network passt"))
		check_sandbox(passt);
}

static void
check_images(struct check *c)
{
	static const char purpose[] = "unpacks images";

	(void)check_program(c, check_add(c, "skopeo", false), "skopeo", "downloads images");
	(void)check_program(c, check_add(c, "tatami-rootfs", false), "tatami-rootfs", purpose);
	(void)check_program(c, check_add(c, "mke2fs", false), "mke2fs",
			    "unpacks images, makes scratch disks");
	(void)check_program(c, check_add(c, "debugfs", false), "debugfs", purpose);
}

/* ---- the result ---- */

static bool
check_is_bootable(const struct check *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->rows[i].is_required && !c->rows[i].is_ok)
			return false;
	return true;
}

static const char *
check_word(const struct check_row *r)
{
	return r->is_ok ? "ok" : r->is_required ? "missing" : "no";
}

static void
check_print(const struct check *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct check_row *r = &c->rows[i];

		(void)printf("%-8s %-14s", check_word(r), r->name);
		if (r->path[0])
			(void)printf(" %s", r->path);
		if (r->version[0])
			(void)printf(" %s", r->version);
		if (r->detail[0])
			(void)printf(r->path[0] ? " (%s)" : " %s", r->detail);
		(void)putchar('\n');
	}
	if (check_is_bootable(c))
		(void)printf("A VM can be booted, with %s%s%s.\n", c->accel.name,
			     c->accel.why[0] ? ": " : "", c->accel.why);
	else
		(void)printf("No VM can be booted: see the lines that begin with \"missing\".\n");
}

static int
check_print_json(const struct check *c)
{
	json_t *list = json_array();
	json_t *j = json_object();
	int r = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct check_row *row = &c->rows[i];
		json_t *o = json_object();

		r |= json_object_set_new(o, "name", json_string(row->name)) |
		     json_object_set_new(o, "ok", json_boolean(row->is_ok)) |
		     json_object_set_new(o, "required", json_boolean(row->is_required)) |
		     json_object_set_new(o, "path", json_from_text(row->path)) |
		     json_object_set_new(o, "version", json_from_text(row->version)) |
		     json_object_set_new(o, "detail", json_from_text(row->detail)) |
		     json_object_set_new(o, "package",
					 row->package ? json_string(row->package) : json_null()) |
		     json_array_append_new(list, o);
	}
	r |= json_object_set_new(j, "bootable", json_boolean(check_is_bootable(c))) |
	     json_object_set_new(j, "architecture", json_string(find_arch_name(c->arch))) |
	     json_object_set_new(j, "accelerator", json_string(c->accel.name)) |
	     json_object_set_new(j, "acceleratorReason", json_from_text(c->accel.why)) |
	     json_object_set_new(j, "checks", list);
	r |= json_dumpf(j, stdout, JSON_INDENT(2));
	json_decref(j);
	(void)putchar('\n');
	if (r != 0)
		(void)fprintf(stderr, "tatamictl check: failed to write JSON\n");
	return r;
}
