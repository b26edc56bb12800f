/* SPDX-License-Identifier: Apache-2.0 */
/* Options shared by `run`, `boot` and `pod`. */
#include "ctl/commands/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/commands/command_line.h"
#include "ctl/image/cache.h"
#include "ctl/spec/quantity.h"
#include "ctl/vm/find.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

#define SHARE_NONE "--share none: a directory of the host is to be shared"
#define NO_COMMAND "no command given, and none by an image"

/* Sizes of a scratch disk. */
#define SCRATCH_MIN  (UINT64_C(16) << 20)
#define SCRATCH_UNIT 4096u

enum {
	OPT_ROOTFS = 256,
	OPT_SHARE,
	OPT_VIRTIOFS_CACHE,
	OPT_VIRTIOFSD,
	OPT_HOSTNAME,
	OPT_READ_ONLY,
	OPT_PRIVILEGED,
	OPT_MEMORY,
	OPT_CPUS,
	OPT_MAX_MEMORY,
	OPT_MAX_CPUS,
	OPT_KERNEL,
	OPT_INITRD,
	OPT_ROOT_IMAGE,
	OPT_ROOT_NVDIMM,
	OPT_ROOT_PARAMETERS,
	OPT_AGENT,
	OPT_OTHER_AGENT,
	OPT_APPEND,
	OPT_LOG,
	OPT_ACCEL,
	OPT_ICOUNT,
	OPT_TIMING,
	OPT_VERBOSE,
	OPT_NAME,
	OPT_ATTACH,
	OPT_GUEST_PROC,
	OPT_NIC,
	OPT_NETWORK,
	OPT_NO_NETWORK,
	OPT_NO_CONTAINER,
	OPT_MACHINE,
	OPT_QEMU_ARG,
	OPT_DEVICE,
	OPT_HOTPLUG_PORTS,
	OPT_IN,
	OPT_ARCH,
	OPT_WRITABLE,
	OPT_SCRATCH,
	OPT_ENTRYPOINT,
	OPT_STOP_SIGNAL,
	OPT_IMAGE,
	OPT_SECCOMP_PROFILES,
	OPT_BUNDLE,
	OPT_CLAIM,
	OPT_RM,
	OPT_LOG_SIZE,
	OPT_LOG_FILES,
	OPT_GDB,
	OPT_DEBUG_CONSOLE,
	OPT_BOOT_TIMEOUT,
	OPT_CALL_TIMEOUT,
};

static const struct option long_options[] = {
	{ "rootfs", required_argument, NULL, OPT_ROOTFS },
	{ "bundle", required_argument, NULL, OPT_BUNDLE },
	{ "entrypoint", required_argument, NULL, OPT_ENTRYPOINT },
	{ "stop-signal", required_argument, NULL, OPT_STOP_SIGNAL },
	{ "writable", no_argument, NULL, OPT_WRITABLE },
	{ "scratch", required_argument, NULL, OPT_SCRATCH },
	{ "image", required_argument, NULL, OPT_IMAGE },
	{ "seccomp-profiles", required_argument, NULL, OPT_SECCOMP_PROFILES },
	{ "claim", required_argument, NULL, OPT_CLAIM },
	{ "share", required_argument, NULL, OPT_SHARE },
	{ "virtiofs-cache", required_argument, NULL, OPT_VIRTIOFS_CACHE },
	{ "virtiofsd", required_argument, NULL, OPT_VIRTIOFSD },
	{ "volume", required_argument, NULL, 'v' },
	{ "in", required_argument, NULL, OPT_IN },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "hotplug-ports", required_argument, NULL, OPT_HOTPLUG_PORTS },
	{ "detach", no_argument, NULL, 'd' },
	{ "rm", no_argument, NULL, OPT_RM },
	{ "log-size", required_argument, NULL, OPT_LOG_SIZE },
	{ "log-files", required_argument, NULL, OPT_LOG_FILES },
	{ "tty", no_argument, NULL, 't' },
	{ "interactive", no_argument, NULL, 'i' },
	{ "env", required_argument, NULL, 'e' },
	{ "cwd", required_argument, NULL, 'w' },
	{ "user", required_argument, NULL, 'u' },
	{ "hostname", required_argument, NULL, OPT_HOSTNAME },
	{ "read-only", no_argument, NULL, OPT_READ_ONLY },
	{ "privileged", no_argument, NULL, OPT_PRIVILEGED },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "max-memory", required_argument, NULL, OPT_MAX_MEMORY },
	{ "max-cpus", required_argument, NULL, OPT_MAX_CPUS },
	{ "kernel", required_argument, NULL, OPT_KERNEL },
	{ "initrd", required_argument, NULL, OPT_INITRD },
	{ "root-image", required_argument, NULL, OPT_ROOT_IMAGE },
	{ "root-nvdimm", no_argument, NULL, OPT_ROOT_NVDIMM },
	{ "root-parameters", required_argument, NULL, OPT_ROOT_PARAMETERS },
	{ "agent-binary", required_argument, NULL, OPT_AGENT },
	{ "other-agent", no_argument, NULL, OPT_OTHER_AGENT },
	{ "gdb", no_argument, NULL, OPT_GDB },
	{ "debug-console", no_argument, NULL, OPT_DEBUG_CONSOLE },
	{ "append", required_argument, NULL, OPT_APPEND },
	{ "log", required_argument, NULL, OPT_LOG },
	{ "accel", required_argument, NULL, OPT_ACCEL },
	{ "icount", no_argument, NULL, OPT_ICOUNT },
	{ "boot-timeout", required_argument, NULL, OPT_BOOT_TIMEOUT },
	{ "timeout", required_argument, NULL, OPT_CALL_TIMEOUT },
	{ "timing", no_argument, NULL, OPT_TIMING },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "quiet", no_argument, NULL, 'q' },
	{ "attach", required_argument, NULL, OPT_ATTACH },
	{ "guest-proc", required_argument, NULL, OPT_GUEST_PROC },
	{ "name", required_argument, NULL, OPT_NAME },
	{ "nic", no_argument, NULL, OPT_NIC },
	{ "network", required_argument, NULL, OPT_NETWORK },
	{ "no-network", no_argument, NULL, OPT_NO_NETWORK },
	{ "publish", required_argument, NULL, 'p' },
	{ "no-container", no_argument, NULL, OPT_NO_CONTAINER },
	{ "arch", required_argument, NULL, OPT_ARCH },
	{ "machine", required_argument, NULL, OPT_MACHINE },
	{ "qemu-arg", required_argument, NULL, OPT_QEMU_ARG },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int options_parse_one(struct run_options *o, int opt, char *arg, struct error *err);
static int options_check_together(const struct run_options *o, enum options_for command,
				  struct error *err);
static int options_choose_share(struct run_options *o, bool has_directories, struct error *err);
static int options_fill_shares(struct run_options *o, struct error *err);
static int options_check_copies(const struct run_options *o, bool is_image, struct error *err);
static int options_fill_layer(struct run_options *o, struct error *err);
static int options_fill_in(struct run_options *o, enum options_for command, struct error *err);
static int options_fill_guest_files(struct run_options *o, struct error *err);
static int options_check_arch(const struct run_options *o, struct error *err);

int
options_parse(struct run_options *o, int argc, char **argv, enum options_for command,
	      struct error *err)
{
	static char *idle[] = { (char *)"sleep", (char *)"2147483647", NULL };
	int opt;

	memset(o, 0, sizeof(*o));
	o->vm.memory_mib = 256;
	o->vm.cpus = 1;
	o->log = (struct log_limit){ .size = LOG_SIZE_DEFAULT, .files = LOG_FILES };
	o->env[o->container.n_env++] =
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	optind = 0;
	opterr = 0;
	while ((opt = getopt_long(argc, argv, "+:v:dtie:w:u:p:qh", long_options, NULL)) != -1) {
		if (opt == ':' || opt == '?')
			return command_line_bad_option(opt, argc, argv, err);
		if (options_parse_one(o, opt, optarg, err) < 0)
			return -1;
	}
	if (o->want_help)
		return 0;
	if (o->quiet)
		cache_be_quiet();
	if (!o->rootfs && !o->bundle_dir && !o->in && !o->no_container && command != OPTIONS_POD &&
	    argv[optind] && strcmp(argv[optind - 1], "--") != 0) {
		o->rootfs = argv[optind++];
		optind += argv[optind] && strcmp(argv[optind], "--") == 0;
	}
	o->container.args = argv + optind;
	o->vm.other_agent |= o->vm.agent_binary != NULL;
	o->vm.late_disks = o->vm.other_agent && !o->vm.microvm;
	o->vm.configure_nic &= !o->no_network && !o->no_container;
	/* A VM that is stopped in gdb answers when it is continued. */
	if (!o->vm.boot_timeout_ms)
		o->vm.boot_timeout_ms = o->vm.gdb ? -1 : BOOT_TIMEOUT_S * 1000;
	if (!o->vm.call_timeout_ms)
		o->vm.call_timeout_ms = o->vm.gdb ? -1 : CALL_TIMEOUT_S * 1000;
	if (o->vm.icount)
		o->vm.accel = o->vm.accel ? o->vm.accel : "tcg";
	o->n_default_env = 1;
	if (o->container.terminal) {
		spec_env_default(o->env, &o->container.n_env, "TERM=xterm");
		o->n_default_env++;
	}
	o->container.env = o->env;
	o->container.volumes = o->volumes;
	o->container.shares = o->vm.shares;
	o->bundle_spec.has_hostname = o->container.hostname != NULL;
	o->container.hostname = o->container.hostname ? o->container.hostname : "tatami";
	if (o->in)
		return options_fill_in(o, command, err);
	if (options_check_together(o, command, err) < 0 ||
	    (o->bundle_dir && options_open_bundle(o, err) < 0) ||
	    options_fill_guest_files(o, err) < 0 ||
	    (command == OPTIONS_POD ? options_choose_share(o, true, err)
				    : options_fill_shares(o, err)) < 0 ||
	    options_fill_layer(o, err) < 0 || options_apply_image(o, err) < 0)
		return -1;
	if (command == OPTIONS_BOOT && !o->container.args[0])
		o->container.args = idle;
	if (command == OPTIONS_RUN && !o->container.args[0])
		return error_set(err, ERROR_INVALID_ARGUMENT, NO_COMMAND);
	for (unsigned int i = 0; o->vm.microvm && i < o->vm.n_shares; i++)
		if (o->vm.shares[i].kind == SHARE_NVDIMM || o->vm.shares[i].kind == SHARE_PMEM)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "--machine microvm has no memory devices: %s can be "
					 "blk or scsi",
					 o->vm.shares[i].path);
	return options_check_arch(o, err);
}

/* ---- one option ---- */

/* Returns the destination of an option whose value is stored unchanged, or NULL for other
 * options. */
static const char **
options_text(struct run_options *o, int opt)
{
	switch (opt) {
	case OPT_ROOTFS:
		return &o->rootfs;
	case OPT_BUNDLE:
		return &o->bundle_dir;
	case OPT_ENTRYPOINT:
		return &o->entrypoint;
	case OPT_STOP_SIGNAL:
		return &o->stop_signal_text;
	case 'u':
		return &o->user;
	case 'w':
		return &o->container.cwd;
	case OPT_HOSTNAME:
		return &o->container.hostname;
	case OPT_KERNEL:
		return &o->vm.kernel;
	case OPT_INITRD:
		return &o->vm.initrd;
	case OPT_ROOT_IMAGE:
		return &o->vm.root_image;
	case OPT_ROOT_PARAMETERS:
		return &o->vm.root_parameters;
	case OPT_AGENT:
		return &o->vm.agent_binary;
	case OPT_APPEND:
		return &o->vm.append;
	case OPT_LOG:
		return &o->vm.log_level;
	case OPT_ACCEL:
		return &o->vm.accel;
	case OPT_NAME:
		return &o->name;
	case OPT_IN:
		return &o->in;
	case OPT_GUEST_PROC:
		return &o->container.guest_proc;
	case OPT_VIRTIOFSD:
		return &o->virtiofsd;
	case OPT_SECCOMP_PROFILES:
		return &o->seccomp_profiles;
	default:
		return NULL;
	}
}

/* Returns the destination of an option without a value, or NULL for other options. */
static bool *
options_flag(struct run_options *o, int opt)
{
	switch (opt) {
	case 'd':
		return &o->detach;
	case OPT_RM:
		return &o->remove;
	case 't':
		return &o->container.terminal;
	case 'i':
		return &o->interactive;
	case OPT_READ_ONLY:
		return &o->container.read_only;
	case OPT_WRITABLE:
		return &o->writable;
	case OPT_OTHER_AGENT:
		return &o->vm.other_agent;
	case OPT_PRIVILEGED:
		return &o->container.privileged;
	case OPT_ROOT_NVDIMM:
		return &o->vm.root_nvdimm;
	case OPT_ICOUNT:
		return &o->vm.icount;
	case OPT_GDB:
		return &o->vm.gdb;
	case OPT_DEBUG_CONSOLE:
		return &o->vm.debug_console;
	case OPT_NIC:
		return &o->vm.nic;
	case OPT_NO_NETWORK:
		return &o->no_network;
	case OPT_NO_CONTAINER:
		return &o->no_container;
	case OPT_TIMING:
		return &o->timing;
	case OPT_VERBOSE:
		return &o->verbose;
	case 'q':
		return &o->quiet;
	case 'h':
		return &o->want_help;
	default:
		return NULL;
	}
}

static int
options_parse_log_size(const char *text, uint64_t *out, struct error *err)
{
	if (!quantity_parse(text, 0, INT64_MAX / 2, out) || *out < LOG_SIZE_MIN)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--log-size %s: expected bytes, such as 8Mi, at least 64Ki", text);
	return 0;
}

static int
options_parse_scratch(const char *text, uint64_t *out, struct error *err)
{
	if (!quantity_parse(text, 0, INT64_MAX / 2, out) || *out < SCRATCH_MIN)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--scratch %s: expected bytes, such as 2Gi, at least 16Mi", text);
	/* Disks have whole sectors. */
	*out = (*out + SCRATCH_UNIT - 1) / SCRATCH_UNIT * SCRATCH_UNIT;
	return 0;
}

/* Sets *out to the kind of share of this name. */
static bool
options_parse_kind(const char *text, enum share_kind *out)
{
	static const struct {
		const char *name;
		enum share_kind kind;
	} names[] = {
		{ "9p", SHARE_9P },
		{ "virtio-fs", SHARE_VIRTIOFS },
		{ "virtiofs", SHARE_VIRTIOFS },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i].name) == 0) {
			*out = names[i].kind;
			return true;
		}
	}
	return volume_bus(text, out);
}

static int
options_parse_share(struct run_options *o, const char *text, struct error *err)
{
	o->share_none = strcmp(text, "none") == 0;
	o->share_copy = strcmp(text, "copy") == 0;
	o->share_given = true;
	if (!o->share_none && !o->share_copy &&
	    (!options_parse_kind(text, &o->share) || o->share > SHARE_BLK))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--share %s: expected virtio-fs, 9p, copy, none or blk", text);
	return 0;
}

static int
options_parse_virtiofs_cache(const char *text, const char **out, struct error *err)
{
	static const char *const names[] = { "never", "metadata", "auto", "always" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = names[i];
			return 0;
		}
	}
	return error_set(err, ERROR_INVALID_ARGUMENT,
			 "--virtiofs-cache %s: expected never, metadata, auto or always", text);
}

/* KIND:PATH. Shares are numbered once all options are known. */
static int
options_parse_attach(struct run_options *o, char *text, struct error *err)
{
	char *colon = strchr(text, ':');

	if (!colon || o->n_attached == ATTACH_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--attach %s: expected KIND:PATH, at most %d times", text,
				 ATTACH_MAX);
	*colon = '\0';
	o->attached[o->n_attached].path = colon + 1;
	if (!options_parse_kind(text, &o->attached[o->n_attached++].kind))
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"--attach %s:%s: expected 9p, virtio-fs, blk, scsi, nvdimm or pmem", text,
			colon + 1);
	return 0;
}

/* Adds a volume or device. */
static int
options_parse_volume(struct run_options *o, const char *text, bool is_device, struct error *err)
{
	struct volume *v = &o->volumes[o->container.n_volumes];

	if (o->container.n_volumes == SPEC_VOLUMES_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "too many volumes and devices: at most %d", SPEC_VOLUMES_MAX);
	if (is_device ? device_parse(v, text, err) < 0 : volume_parse(v, text, err) < 0)
		return -1;
	o->container.n_volumes++;
	return 0;
}

static int
options_parse_env(struct run_options *o, const char *text, struct error *err)
{
	if (o->container.n_env == OPTIONS_ENV_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "too many --env: at most %d",
				 OPTIONS_ENV_MAX);
	if (!strchr(text, '=') || text[0] == '=')
		return error_set(err, ERROR_INVALID_ARGUMENT, "--env %s: expected KEY=VALUE", text);
	o->env[o->container.n_env++] = text;
	return 0;
}

static int
options_parse_machine(struct run_options *o, const char *text, struct error *err)
{
	o->machine = text;
	o->vm.microvm = strcmp(text, "microvm") == 0;
	if (!o->vm.microvm && strcmp(text, "q35") != 0 && strcmp(text, "virt") != 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--machine %s: expected q35, microvm or virt", text);
	return 0;
}

static int
options_parse_arch(struct run_options *o, const char *text, struct error *err)
{
	o->arch_given = true;
	if (!find_arch(text, &o->vm.arch))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--arch %s: expected x86_64 or aarch64", text);
	return 0;
}

static int
options_parse_qemu_arg(struct run_options *o, const char *text, struct error *err)
{
	if (o->vm.n_qemu_args == VM_QEMU_ARGS)
		return error_set(err, ERROR_INVALID_ARGUMENT, "too many --qemu-arg: at most %d",
				 VM_QEMU_ARGS);
	o->vm.qemu_args[o->vm.n_qemu_args++] = text;
	return 0;
}

/* NAME=PATH */
static int
options_parse_image(struct run_options *o, const char *text, struct error *err)
{
	struct podspec_image *image = &o->images[o->n_images];

	if (o->n_images == OPTIONS_IMAGES_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "too many --image: at most %d",
				 OPTIONS_IMAGES_MAX);
	image->name = text;
	image->n_name = strcspn(text, "=");
	image->path = text + image->n_name + 1;
	if (!text[image->n_name] || !image->n_name || !*image->path)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--image %s: expected IMAGE=DIR or IMAGE=FILE", text);
	o->n_images++;
	return 0;
}

static int
options_parse_claim(struct run_options *o, const char *text, struct error *err)
{
	struct manifest_claim *claim = &o->claims[o->n_claims];

	if (o->n_claims == OPTIONS_CLAIMS_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "too many --claim: at most %d",
				 OPTIONS_CLAIMS_MAX);
	claim->name = text;
	claim->n_name = strcspn(text, "=");
	claim->path = text + claim->n_name + 1;
	if (!text[claim->n_name] || !claim->n_name || !*claim->path)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--claim %s: expected NAME=DIR or NAME=DISK", text);
	o->n_claims++;
	return 0;
}

static int
options_parse_network(struct run_options *o, const char *text, struct error *err)
{
	bool is_passt = strcmp(text, "passt") == 0;

	if (!is_passt && strcmp(text, "user") != 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--network %s: expected user or passt", text);
	o->vm.network = is_passt ? VM_NETWORK_PASST : VM_NETWORK_USER;
	o->vm.nic = true;
	o->vm.configure_nic = true;
	return 0;
}

static int
options_parse_one(struct run_options *o, int opt, char *arg, struct error *err)
{
	const char **text = options_text(o, opt);
	bool *flag = options_flag(o, opt);

	if (text)
		*text = arg;
	if (flag)
		*flag = true;
	if (text || flag)
		return 0;
	switch (opt) {
	case OPT_SCRATCH:
		return options_parse_scratch(arg, &o->scratch, err);
	case OPT_LOG_SIZE:
		return options_parse_log_size(arg, &o->log.size, err);
	case OPT_LOG_FILES:
		return command_line_parse_number("--log-files", arg, 1, LOG_FILES_MAX,
						 &o->log.files, err);
	case OPT_SHARE:
		return options_parse_share(o, arg, err);
	case OPT_VIRTIOFS_CACHE:
		return options_parse_virtiofs_cache(arg, &o->vm.virtiofs_cache, err);
	case 'v':
		return options_parse_volume(o, arg, false, err);
	case OPT_DEVICE:
		return options_parse_volume(o, arg, true, err);
	case OPT_HOTPLUG_PORTS:
		return command_line_parse_number("--hotplug-ports", arg, 1, VM_PORTS_MAX,
						 &o->vm.hotplug_ports, err);
	case 'e':
		return options_parse_env(o, arg, err);
	case 'p':
		return options_publish(&o->vm, arg, err);
	case OPT_IMAGE:
		return options_parse_image(o, arg, err);
	case OPT_CLAIM:
		return options_parse_claim(o, arg, err);
	case OPT_NETWORK:
		return options_parse_network(o, arg, err);
	case OPT_MEMORY:
		return command_line_parse_number("--memory", arg, 64, 1u << 20, &o->vm.memory_mib,
						 err);
	case OPT_CPUS:
		return command_line_parse_number("--cpus", arg, 1, 240, &o->vm.cpus, err);
	case OPT_MAX_MEMORY:
		return command_line_parse_number("--max-memory", arg, 64, 1u << 20,
						 &o->vm.max_memory_mib, err);
	case OPT_MAX_CPUS:
		return command_line_parse_number("--max-cpus", arg, 1, 240, &o->vm.max_cpus, err);
	case OPT_BOOT_TIMEOUT:
		return command_line_parse_seconds("--boot-timeout", arg, &o->vm.boot_timeout_ms,
						  err);
	case OPT_CALL_TIMEOUT:
		return command_line_parse_seconds("--timeout", arg, &o->vm.call_timeout_ms, err);
	case OPT_ATTACH:
		return options_parse_attach(o, arg, err);
	case OPT_ARCH:
		return options_parse_arch(o, arg, err);
	case OPT_MACHINE:
		return options_parse_machine(o, arg, err);
	case OPT_QEMU_ARG:
		return options_parse_qemu_arg(o, arg, err);
	default:
		return error_set(err, ERROR_INVALID_ARGUMENT, "unknown option (see --help)");
	}
}

int
options_publish(struct vm_options *vm, const char *text, struct error *err)
{
	struct vm_publish *p = &vm->publish[vm->n_publish];
	struct in6_addr ignored;
	char copy[96], local[] = "127.0.0.1", *host = copy, *guest, *port;

	bool is_ipv6 = false;

	if (vm->n_publish == VM_PUBLISH_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "too many ports: at most %d",
				 VM_PUBLISH_MAX);
	(void)snprintf(copy, sizeof(copy), "%s", text);
	guest = strrchr(copy, ':');
	if (guest)
		*guest++ = '\0';
	port = guest ? strrchr(copy, ':') : NULL;
	if (port)
		*port++ = '\0';
	else {
		port = copy;
		host = local;
	}
	/* [::1] */
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		host++;
		is_ipv6 = true;
	}
	if (!guest || strlen(text) >= sizeof(copy) ||
	    inet_pton(is_ipv6 ? AF_INET6 : AF_INET, host, &ignored) != 1 ||
	    command_line_parse_number("port", port, 1, UINT16_MAX, &p->host_port, err) < 0 ||
	    command_line_parse_number("port", guest, 1, UINT16_MAX, &p->guest_port, err) < 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "-p %s: expected [ADDRESS:]HOSTPORT:GUESTPORT", text);
	(void)snprintf(p->host, sizeof(p->host), "%.45s", host);
	vm->n_publish++;
	vm->nic = true;
	vm->configure_nic = true;
	return 0;
}

/* ---- all options together ---- */

static int
options_check_together(const struct run_options *o, enum options_for command, struct error *err)
{
	bool detached = command != OPTIONS_RUN || o->detach;

	if (o->no_container && (command != OPTIONS_BOOT || o->rootfs))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--no-container is valid only for boot, without --rootfs");
	if (o->bundle_dir && (o->no_container || command == OPTIONS_POD))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--bundle is for the container of run and boot");
	if (o->scratch && (o->writable || o->no_container || command == OPTIONS_POD))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--scratch is for the writable layer of a container that is "
				 "booted with the VM, without --writable");
	if (o->container.n_volumes && (o->no_container || command == OPTIONS_POD))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s volumes or devices on the command line",
				 o->no_container ? "--no-container takes no"
						 : "a pod has the volumes of its FILE, and no");
	if (command == OPTIONS_POD && (o->container.terminal || o->interactive || o->detach))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "a pod is always in the background, and its FILE has tty and "
				 "stdin for -t and -i");
	if (o->n_images && command != OPTIONS_POD)
		return error_set(err, ERROR_INVALID_ARGUMENT, "--image is valid only for pod");
	if (!detached && o->name)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--name is for a VM in the background: boot, run -d, run --in");
	if (o->vm.accel && strcmp(o->vm.accel, "kvm") != 0 && strcmp(o->vm.accel, "tcg") != 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "--accel %s: expected kvm or tcg",
				 o->vm.accel);
	if (o->vm.icount && o->vm.accel && strcmp(o->vm.accel, "tcg") != 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "--icount requires --accel tcg");
	if (o->vm.microvm && o->vm.root_image)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--machine microvm: the guest's root cannot be an image");
	if (o->vm.root_image && o->vm.agent_binary)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--agent-binary: the agent of --root-image is in the image, where "
				 "tatami-rootfs --agent puts it; --other-agent says that it is not "
				 "tatami");
	if (!o->vm.root_image && (o->vm.root_nvdimm || o->vm.root_parameters))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--root-nvdimm and --root-parameters require --root-image");
	for (unsigned int i = 0; i < o->vm.n_publish && o->vm.network == VM_NETWORK_USER; i++)
		if (strchr(o->vm.publish[i].host, ':'))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "-p [%s]:%u:%u: ports of IPv6 addresses require "
					 "--network passt",
					 o->vm.publish[i].host, o->vm.publish[i].host_port,
					 o->vm.publish[i].guest_port);
	return 0;
}

static int
options_set_share(struct vm_share *s, enum share_kind kind, const char *path, bool readonly,
		  struct error *err)
{
	s->kind = kind;
	s->readonly = readonly;
	if (!realpath(path, s->path))
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to look up %s", path);
	return 0;
}

static int
options_fill_attached(struct run_options *o, struct error *err)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < o->n_attached; i++) {
		if (o->vm.n_shares == VM_SHARES_MAX)
			return error_set(err, ERROR_INVALID_ARGUMENT, "too many shares: at most %d",
					 VM_SHARES_MAX);
		if (o->attached[i].kind >= SHARE_BLK &&
		    volume_find_image(o->attached[i].path, o->attached[i].kind, false, path, err) <
			    0)
			return error_wrap(err, "--attach");
		if (options_set_share(&o->vm.shares[o->vm.n_shares], o->attached[i].kind,
				      o->attached[i].path, false, err) < 0)
			return -1;
		o->vm.shares[o->vm.n_shares].is_optional = true;
		o->vm.n_shares++;
	}
	return 0;
}

/* Decides how directories are shared: by virtio-fs if possible, unless the user has chosen. Finds
 * virtiofsd. */
static int
options_choose_share(struct run_options *o, bool has_directories, struct error *err)
{
	bool chosen = o->share_copy || (o->share_given && o->share != SHARE_BLK && !o->share_none);
	bool may_copy = !chosen && has_directories && o->vm.other_agent && !o->virtiofsd;
	bool needed = chosen && has_directories && o->share == SHARE_VIRTIOFS;
	struct error why = ERROR_INIT;

	for (size_t i = 0; i < o->n_attached; i++)
		needed |= o->attached[i].kind == SHARE_VIRTIOFS;
	if (has_directories && o->share_none)
		return error_set(err, ERROR_INVALID_ARGUMENT, SHARE_NONE);
	/* Without root, virtiofsd knows a single user id. A second program makes the time of a
	 * guest that counts instructions vary. */
	if (may_copy) {
		/* kata-agent has no 9p. */
	} else if (!chosen && has_directories && !needed && !o->virtiofsd) {
		if (o->vm.icount)
			error_set(&why, ERROR_FAILED_PRECONDITION, "--icount was given");
		else if (geteuid() != 0)
			error_set(&why, ERROR_FAILED_PRECONDITION, "virtio-fs needs root");
	}
	if (needed || o->virtiofsd || (!chosen && has_directories && why.code == ERROR_OK)) {
		if (find_virtiofsd(o->virtiofsd, o->found_virtiofsd, sizeof(o->found_virtiofsd),
				   &why) == 0)
			o->vm.virtiofsd = o->found_virtiofsd;
		else if (needed || o->virtiofsd)
			return error_set(err, ERROR_INVALID_ARGUMENT, "virtio-fs: %s", why.msg);
	}
	if (!has_directories || (chosen && !o->share_copy))
		return 0;
	o->share_copy |= may_copy && why.code != ERROR_OK;
	o->share = o->share_copy ? SHARE_BLK : why.code == ERROR_OK ? SHARE_VIRTIOFS : SHARE_9P;
	if (why.code != ERROR_OK)
		(void)snprintf(o->share_note, sizeof(o->share_note), "directories are %s: %s",
			       o->share_copy ? "copied to disks (--share 9p if the agent has 9p)"
					     : "shared by 9p, not virtio-fs",
			       why.msg);
	return 0;
}

void
options_print_note(const struct run_options *o, const char *command)
{
	if (o->share_note[0] && !o->quiet)
		(void)fprintf(stderr, "tatamictl %s: %s\n", command, o->share_note);
	if (o->bundle.config.ignored[0])
		(void)fprintf(stderr, "tatamictl %s: %s: ignored: %s\n", command, o->bundle.file,
			      o->bundle.config.ignored);
}

/* Adds the disk of the writable layer, as the last one: the tags of others count from the root. */
static int
options_fill_layer(struct run_options *o, struct error *err)
{
	struct vm_share *s = &o->vm.shares[o->vm.n_shares];

	if (!o->scratch)
		return 0;
	if (o->vm.n_shares == VM_SHARES_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "too many shares: at most %d",
				 VM_SHARES_MAX);
	s->kind = SHARE_BLK;
	s->fstype = "ext4";
	s->scratch = o->scratch;
	o->container.scratch = s;
	o->vm.n_shares++;
	return 0;
}

static int
options_fill_shares(struct run_options *o, struct error *err)
{
	bool is_image, has_directories;

	if (o->no_container)
		return options_choose_share(o, false, err) < 0 ? -1 : options_fill_attached(o, err);
	if (!o->rootfs)
		return error_set(
			err, ERROR_INVALID_ARGUMENT,
			"an image, --bundle or --rootfs is required: the root of the container");
	has_directories = false;
	for (size_t i = 0; i < o->container.n_volumes; i++)
		has_directories |= o->volumes[i].kind == VOLUME_ON_SHARE ||
				   o->volumes[i].kind == VOLUME_WATCHED;
	if (has_directories && o->share_none)
		return error_set(err, ERROR_INVALID_ARGUMENT, SHARE_NONE);
	if (options_open_root(o, err) < 0)
		return -1;
	is_image = o->vm.shares[0].fstype != NULL;
	has_directories |= !is_image;
	if (!is_image && (o->share_none || o->share == SHARE_BLK))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--rootfs %s is a directory: --share %s requires an image "
				 "(mke2fs -d creates one)",
				 o->rootfs, o->share_none ? "none" : "blk");
	if (options_choose_share(o, has_directories, err) < 0)
		return -1;
	if (!is_image)
		o->vm.shares[0].kind = o->share;
	if (o->share_copy && options_check_copies(o, is_image, err) < 0)
		return -1;
	o->vm.shares[0].is_copied = !is_image && o->share_copy;
	if (volumes_check(o->volumes, o->container.n_volumes,
			  is_image ? o->vm.shares[0].path : NULL, err) < 0)
		return -1;
	o->vm.n_shares = 1;
	for (size_t i = 0; i < o->container.n_volumes; i++) {
		struct volume *v = &o->volumes[i];
		bool is_directory = v->kind == VOLUME_ON_SHARE || v->kind == VOLUME_WATCHED;
		char path[PATH_MAX];

		if (!volume_has_share(v))
			continue;
		/* A file is shared through its directory and bind-mounted from there. */
		(void)snprintf(path, sizeof(path), "%s", v->source);
		if (v->is_file)
			strrchr(path, '/')[strrchr(path, '/') == path ? 1 : 0] = '\0';
		v->share = (int)o->vm.n_shares;
		if (options_set_share(&o->vm.shares[o->vm.n_shares],
				      is_directory ? o->share : v->bus, path, v->readonly, err) < 0)
			return -1;
		if (is_directory && o->share_copy) {
			struct vm_share *s = &o->vm.shares[o->vm.n_shares];

			s->is_copied = true;
			if (v->is_file)
				(void)snprintf(s->copied_file, sizeof(s->copied_file), "%.255s",
					       strrchr(v->source, '/') + 1);
		}
		o->vm.n_shares++;
	}
	return options_fill_attached(o, err);
}

/* Checks that nothing is written to a directory that is copied: the host would not see it. */
static int
options_check_copies(const struct run_options *o, bool is_image, struct error *err)
{
	if (!is_image && o->writable)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--writable: %s would be copied to a disk%s%s", o->rootfs,
				 o->share_note[0] ? ": " : "", o->share_note);
	for (size_t i = 0; i < o->container.n_volumes; i++) {
		const struct volume *v = &o->volumes[i];

		if (v->kind == VOLUME_WATCHED || (v->kind == VOLUME_ON_SHARE && !v->readonly))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "the volume at %s would be copied to a disk, which is "
					 "possible only for bind volumes with :ro%s%s",
					 v->target, o->share_note[0] ? ": " : "", o->share_note);
	}
	return 0;
}

/* Checks the options of a container in a running VM, and makes its disks shares. */
static int
options_fill_in(struct run_options *o, enum options_for command, struct error *err)
{
	if (command != OPTIONS_RUN)
		return error_set(err, ERROR_INVALID_ARGUMENT, "--in is valid only for run");
	if (o->detach)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--in: the container ends with this command and cannot be "
				 "detached");
	if (o->scratch || o->bundle_dir)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s must be there when the VM boots",
				 o->scratch ? "--scratch: the disk" : "--bundle: its directories");
	o->vm.arch = find_kernel_arch("");
	if (o->rootfs) {
		struct vm_share *s = &o->vm.shares[o->vm.n_shares++];

		if (options_open_root(o, err) < 0)
			return -1;
		if (!s->fstype)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "--rootfs %s is a directory: with --in it must be an "
					 "image",
					 o->rootfs);
		if (volume_find_image(s->path, s->kind, s->readonly, s->path, err) < 0)
			return error_wrap(err, "--rootfs");
	}
	if (options_apply_image(o, err) < 0)
		return -1;
	if (!o->container.args[0])
		return error_set(err, ERROR_INVALID_ARGUMENT, NO_COMMAND);
	for (size_t i = 0; i < o->container.n_volumes; i++) {
		struct volume *v = &o->volumes[i];
		struct vm_share *s = &o->vm.shares[o->vm.n_shares];

		if (v->kind == VOLUME_TMPFS)
			continue;
		if ((v->kind != VOLUME_ON_DISK && v->kind != VOLUME_DEVICE) ||
		    (v->bus != SHARE_BLK && v->bus != SHARE_SCSI))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "the volume at %s must be given when the VM boots: with "
					 "--in, types blk, scsi and tmpfs are possible",
					 v->target);
		s->kind = v->bus;
		s->readonly = v->readonly;
		(void)snprintf(s->path, sizeof(s->path), "%s", v->source);
		v->share = (int)o->vm.n_shares++;
	}
	return volumes_check(o->volumes, o->container.n_volumes,
			     o->rootfs ? o->vm.shares[0].path : NULL, err);
}

/* Finds the kernel that is not compressed, which QEMU starts by PVH: the guest need not unpack it.
 * Only x86 has that. */
static bool
options_find_vmlinux(struct run_options *o)
{
#ifdef __x86_64__
	struct error ignored = ERROR_INIT;

	return find_guest_file("vmlinux", o->kernel, sizeof(o->kernel), &ignored) == 0;
#else
	(void)o;
	return false;
#endif
}

static int
options_fill_guest_files(struct run_options *o, struct error *err)
{
	if (!o->vm.kernel) {
		if (!options_find_vmlinux(o) &&
		    find_guest_file("vmlinuz", o->kernel, sizeof(o->kernel), err) < 0)
			return -1;
		o->vm.kernel = o->kernel;
	}
	if (!o->vm.initrd && !o->vm.root_image) {
		if (find_guest_file("initrd.img", o->initrd, sizeof(o->initrd), err) < 0)
			return -1;
		o->vm.initrd = o->initrd;
	}
	if (o->vm.agent_binary) {
		if (find_guest_file("tatami", o->init, sizeof(o->init), err) < 0)
			return -1;
		o->vm.init_binary = o->init;
	}
	if (!o->arch_given)
		o->vm.arch = find_kernel_arch(o->vm.kernel);
	return 0;
}

/* Checks that the machine of the guest's architecture has what was asked for. Without firmware,
 * virt has neither memory nor processors that can be added, and describes no NVDIMM to the
 * kernel. */
static int
options_check_arch(const struct run_options *o, struct error *err)
{
	const char *arch = find_arch_name(o->vm.arch);
	bool is_virt = o->vm.arch == VM_AARCH64;

	if (o->machine && is_virt != (strcmp(o->machine, "virt") == 0))
		return error_set(err, ERROR_INVALID_ARGUMENT, "--machine %s: not a machine of %s",
				 o->machine, arch);
	if (is_virt && (o->vm.max_memory_mib > o->vm.memory_mib || o->vm.max_cpus > o->vm.cpus))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "--max-memory, --max-cpus: no hot-plugging on %s", arch);
	if (is_virt && o->vm.root_nvdimm)
		return error_set(err, ERROR_INVALID_ARGUMENT, "--root-nvdimm: no NVDIMM on %s",
				 arch);
	for (unsigned int i = 0; is_virt && i < o->vm.n_shares; i++)
		if (o->vm.shares[i].kind == SHARE_NVDIMM)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "no NVDIMM on %s: %s can be pmem, blk or scsi", arch,
					 o->vm.shares[i].path);
	return 0;
}
