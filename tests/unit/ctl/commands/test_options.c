/* SPDX-License-Identifier: Apache-2.0 */
/* Options of `tatamictl run` and `boot`: parsed values and errors. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/commands/options.h"
#include "lib/cleanup.h"
#include "lib/path.h"
#include "tests/support/check.h"

#define ARGS_MAX 48

static char dir[64], image[96], file[96];
/* Directories with a program named virtiofsd each. */
static char current[96], old[96];

/* Makes a directory with a script "virtiofsd" that prints this version. */
static void
make_virtiofsd(char *path, size_t size, const char *name, const char *version)
{
	char program[160];
	FILE *f;

	(void)snprintf(path, size, "%s/%s", dir, name);
	REQUIRE_EQ(mkdir(path, 0755), 0);
	(void)snprintf(program, sizeof(program), "%s/virtiofsd", path);
	f = fopen(program, "we");
	REQUIRE_NE(f, NULL);
	(void)fprintf(f, "#!/bin/sh\nprintf '%s'\n", version);
	(void)fclose(f);
	REQUIRE_EQ(chmod(program, 0755), 0);
}

static void
make_files(void)
{
	FILE *f;

	(void)snprintf(dir, sizeof(dir), "/tmp/ctl-options-XXXXXX");
	REQUIRE_NE(mkdtemp(dir), NULL);
	(void)snprintf(image, sizeof(image), "%s/image", dir);
	(void)snprintf(file, sizeof(file), "%s/file", dir);
	f = fopen(image, "we");
	REQUIRE_NE(f, NULL);
	(void)fclose(f);
	f = fopen(file, "we");
	REQUIRE_NE(f, NULL);
	(void)fclose(f);
	make_virtiofsd(current, sizeof(current), "current", "virtiofsd 1.13.2\\n");
	make_virtiofsd(old, sizeof(old), "old",
		       "virtiofsd version 7.2.22 (Debian)\\nusing FUSE kernel interface version "
		       "7.36\\n");
}

static void
remove_files(void)
{
	struct error ignored = ERROR_INIT;

	(void)path_remove_tree(AT_FDCWD, dir, &ignored);
}

/* Writes what identifies the file system. */
static void
make_ext4(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	REQUIRE(fd >= 0 && pwrite(fd, "\x53\xef", 2, 1080) == 2);
	(void)close(fd);
}

/* Parses "run" followed by the words of `line`; %d, %i and %f stand for the directory, the image
 * and the file, %c and %o for the current and the old virtiofsd. The options point into *words,
 * which the caller frees. */
static int
parse(struct run_options *o, const char *line, bool detached, char **words, struct error *err)
{
	static char *argv[ARGS_MAX + 1];
	char *text = NULL, *save = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	int argc = 0;

	for (const char *p = line; *p; p++) {
		if (*p == '%' && p[1])
			switch (*++p) {
			case 'c':
				(void)fprintf(f, "%s/virtiofsd", current);
				break;
			case 'o':
				(void)fprintf(f, "%s/virtiofsd", old);
				break;
			default:
				(void)fputs(*p == 'd' ? dir : *p == 'i' ? image : file, f);
				break;
			}
		else
			(void)fputc(*p, f);
	}
	(void)fclose(f);
	argv[argc++] = (char *)(uintptr_t) "run";
	for (char *w = strtok_r(text, " ", &save); w && argc < ARGS_MAX;
	     w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	argv[argc] = NULL;
	*words = text;
	return options_parse(o, argc, argv, detached, err);
}

#define FILES "--kernel %f --initrd %f "

static const struct wrong {
	char line[160], says[60];
	bool detached;
} wrongs[] = {
	{ FILES "-- true", "--rootfs is required: the root", false },
	{ FILES "no-such-image true", "no image no-such-image", false },
	{ FILES "%d:tag true", "is not a container image", false },
	{ FILES "--rootfs %d", "no command given", false },
	{ FILES "--rootfs /no/such/place -- true", "/no/such/place", false },
	{ FILES "--rootfs %d --share nfs -- true", "--share nfs", false },
	{ FILES "--rootfs %d --virtiofs-cache some -- true", "--virtiofs-cache some", false },
	{ FILES "--rootfs %d --share blk -- true", "is a directory", false },
	{ FILES "--rootfs %d --network slirp -- true", "--network slirp", false },
	{ FILES "--rootfs %d -p [::1]:80:80 -- true", "require --network passt", false },
	{ FILES "--rootfs %d -p ::1:80:80 -- true", "-p ::1:80:80: expected", false },
	{ FILES "--rootfs %d -p [127.0.0.1]:80:80 -- true", "expected [ADDRESS:]", false },
	{ FILES "--rootfs %d -p []:80:80 -- true", "expected [ADDRESS:]", false },
	{ FILES "--rootfs %d --share none -- true", "is a directory", false },
	{ FILES "--rootfs %d --share copy --writable -- true", "would be copied to a disk", false },
	{ FILES "--rootfs %d --share copy -v %d:/x -- true", "bind volumes with :ro", false },
	{ FILES "--rootfs %d --share copy -v type=config,source=%d,target=/x -- true",
	  "bind volumes with :ro", false },
	{ FILES "--rootfs %d --agent-binary %f --root-image x -- true", "tatami-rootfs --agent",
	  false },
	{ FILES "--rootfs %i --share none -v %d:/x -- true", "--share none", false },
	{ FILES "--rootfs %d --virtiofsd %o -- true", "is QEMU's old virtiofsd", false },
	{ FILES "--rootfs %d --virtiofsd %i -- true", "failed to look up", false },
	{ FILES "--rootfs %d --virtiofsd /bin/true -- true", "/bin/true is not a virtiofsd",
	  false },
	{ FILES "--rootfs %d --share 9p --attach virtio-fs:%d --virtiofsd %o -- true",
	  "is QEMU's old virtiofsd", false },
	{ FILES "--rootfs %d --memory 12 -- true", "--memory 12", false },
	{ FILES "--rootfs %d --memory 2G -- true", "--memory 2G", false },
	{ FILES "--rootfs %d --cpus 0 -- true", "--cpus 0", false },
	{ FILES "--rootfs %d --cpus -1 -- true", "--cpus -1", false },
	{ FILES "--rootfs %d --accel hvf -- true", "--accel hvf", false },
	{ FILES "--rootfs %d --machine pc -- true", "--machine pc: expected q35, microvm or virt",
	  false },
	{ FILES "--rootfs %d --arch arm64 -- true", "--arch arm64: expected x86_64 or aarch64",
	  false },
	{ FILES "--rootfs %d --arch aarch64 --machine q35 -- true", "q35: not a machine of aarch64",
	  false },
	{ FILES "--rootfs %d --arch x86_64 --machine virt -- true", "virt: not a machine of x86_64",
	  false },
	{ FILES "--rootfs %d --arch aarch64 --max-memory 512 -- true", "no hot-plugging on aarch64",
	  false },
	{ FILES "--rootfs %d --arch aarch64 --max-cpus 2 -- true", "no hot-plugging on aarch64",
	  false },
	{ FILES "--rootfs %d --machine microvm --root-image x -- true", "--machine microvm",
	  false },
	{ FILES "--rootfs %d --root-nvdimm -- true", "require --root-image", false },
	{ FILES "--rootfs %d --root-parameters root=x -- true", "require --root-image", false },
	{ FILES "--rootfs %d --accel kvm --icount -- true", "--icount requires", false },
	{ FILES "--rootfs %d -v nothing -- true", "--volume nothing", false },
	{ FILES "--rootfs %d -v %d:relative -- true", "invalid target relative", false },
	{ FILES "--rootfs %d -v %d:/../x -- true", "invalid target /../x", false },
	{ FILES "--rootfs %d -v %d:/ -- true", "invalid target /", false },
	{ FILES "--rootfs %d -v %d:/x:rx -- true", "SRC:DST[:ro]", false },
	{ FILES "--rootfs %d -v type=nfs,target=/x -- true", "type nfs: expected bind", false },
	{ FILES "--rootfs %d --device type=tmpfs,target=/x -- true", "expected blk, scsi", false },
	{ FILES "--rootfs %d -v type=blk,target=/x -- true", "source is missing", false },
	{ FILES "--rootfs %d -v type=bind,source=%d -- true", "target is missing", false },
	{ FILES "--rootfs %d -v type=bind,sauce=%d -- true", "unknown key \"sauce\"", false },
	{ FILES "--rootfs %d -v type=bind,source= -- true", "source needs a value", false },
	{ FILES "--rootfs %d -v type=bind,ro=1 -- true", "ro takes no value", false },
	{ FILES "--rootfs %d -v type=bind,src=a,source=b -- true", "source is given twice", false },
	{ FILES "--rootfs %d -v type=tmpfs,target=/x,dax -- true", "does not take dax", false },
	{ FILES "--rootfs %d -v type=tmpfs,target=/x,size=0 -- true", "invalid size 0", false },
	{ FILES "--rootfs %d -v type=tmpfs,target=/x,mode=9 -- true", "invalid mode 9", false },
	{ FILES "--rootfs %d -v type=hugepages,target=/x,size=3Mi -- true", "not a multiple",
	  false },
	{ FILES "--rootfs %d -v type=hugepages,target=/x,size=4Mi,pagesize=3Mi -- true",
	  "invalid pagesize", false },
	{ FILES "--rootfs %d -v type=config,source=%f,target=/x -- true", "is not a directory",
	  false },
	{ FILES "--rootfs %d -v type=blk,source=%i,target=/x -- true", "no supported file system",
	  false },
	{ FILES "--rootfs %d -v type=blk,source=%i,target=/x,fstype=ext4 --device %i:/y -- true",
	  "is used twice", false },
	{ FILES "--rootfs %d --device %i:/x --device %f:/x -- true", "have the target /x", false },
	{ FILES "--rootfs %d --device %d:/dev/x -- true", "is not an image", false },
	{ FILES "--rootfs %d --device %i:/x --machine microvm --attach pmem:%i -- true",
	  "a whole number of 2 MiB", false },
	{ FILES "--rootfs %d --attach nfs:%i -- true", "--attach nfs:", false },
	{ FILES "--rootfs %d --hotplug-ports 9 -- true", "--hotplug-ports 9", false },
	{ FILES "--no-container --device %i:/x", "--no-container takes no volumes", true },
	{ "--in vm", "no command given", false },
	{ "--in vm -- true", "--in is valid only for run", true },
	{ "--in vm --rootfs %d -- true", "it must be an image", false },
	{ "--in vm -v %d:/x -- true", "must be given when the VM boots", false },
	{ "--in vm -v type=hugepages,size=2Mi,target=/x -- true", "types blk, scsi and tmpfs",
	  false },
	{ FILES "--rootfs %d -v /no/such:/x -- true", "/no/such", false },
	{ FILES "--rootfs %d -v /dev/null:/x -- true", "neither a directory nor a file", false },
	{ FILES "--rootfs %d -e NOTHING -- true", "KEY=VALUE", false },
	{ FILES "--rootfs %d -e =x -- true", "KEY=VALUE", false },
	{ FILES "--rootfs %d -u root -- true", "no user root", false },
	{ FILES "--rootfs %d -u 1:x -- true", "no group x", false },
	{ FILES "--rootfs %d --stop-signal SIGNO -- true", "invalid signal SIGNO", false },
	{ FILES "--rootfs %d --attach %d -- true", "KIND:PATH", false },
	{ FILES "--rootfs %d --name x -- true", "--name is for a VM in the background", false },
	{ FILES "--rootfs %d --scratch 1Mi -- true", "at least 16Mi", false },
	{ FILES "--rootfs %d --scratch much -- true", "--scratch much", false },
	{ FILES "--rootfs %d --scratch 1Gi --writable -- true", "without --writable", false },
	{ FILES "--no-container --scratch 1Gi", "without --writable", true },
	{ "--in vm --scratch 1Gi -- true", "when the VM boots", false },
	{ FILES "--rootfs %d --wrong -- true", "--wrong", false },
	{ FILES "--rootfs %d --memory", "needs a value", false },
	{ FILES "--rootfs %d --log-size 1", "at least 64Ki", true },
	{ FILES "--rootfs %d --log-files 0", "a number from 1 to 16", true },
	{ FILES "--in vm -d -- true", "cannot be detached", false },
};

ParameterizedTestParameters(ctl_options, wrong)
{
	return cr_make_param_array(struct wrong, (void *)(uintptr_t)wrongs, ARRAY_LEN(wrongs));
}

ParameterizedTest(struct wrong *w, ctl_options, wrong, .init = make_files, .fini = remove_files)
{
	struct run_options *o = calloc(1, sizeof(*o));
	auto_free char *words = NULL;
	struct error err = ERROR_INIT;

	REQUIRE_NE(o, NULL);
	CHECK_EQ(parse(o, w->line, w->detached, &words, &err), -1, "%s", w->line);
	CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT, "%s", w->line);
	CHECK_HAS(err.msg, w->says, "%s: says \"%s\"", w->line, err.msg);
	options_release(o);
	free(o);
}

Test(ctl_options, all_options, .init = make_files, .fini = remove_files)
{
	struct run_options *o = calloc(1, sizeof(*o));
	auto_free char *words = NULL;
	struct error err = ERROR_INIT;

	REQUIRE_NE(o, NULL);
	REQUIRE_OK(parse(o,
			 FILES
			 "--rootfs %d --share virtio-fs --virtiofsd %c --virtiofs-cache always "
			 "-v %d:/a:ro -v %f:/b "
			 "-i -e A=1 -w /w "
			 "-u 7:8 --memory 512 --cpus 2 --attach 9p:%d --log debug -- cmd -x",
			 false, &words, &err),
		   &err);
	CHECK_EQ(o->vm.memory_mib, 512);
	CHECK_EQ(o->vm.cpus, 2);
	CHECK_STR(o->vm.log_level, "debug");
	REQUIRE_EQ(o->vm.n_shares, 4);
	CHECK_EQ(o->vm.shares[0].kind, SHARE_VIRTIOFS);
	CHECK_STR(o->vm.virtiofs_cache, "always");
	CHECK(o->vm.shares[0].readonly && o->container.has_layer, "the directory is not written");
	CHECK(o->vm.shares[1].readonly);
	/* A file is shared through its directory. */
	CHECK_STR(o->vm.shares[2].path, dir);
	CHECK(o->volumes[1].is_file);
	CHECK_EQ(o->vm.shares[3].kind, SHARE_9P);
	CHECK_STR(o->container.args[0], "cmd");
	CHECK_STR(o->container.args[1], "-x");
	CHECK_EQ(o->container.uid, 7);
	CHECK_EQ(o->container.gid, 8);
	CHECK_STR(o->container.cwd, "/w");
	CHECK_STR(o->container.env[o->container.n_env - 1], "A=1");
	CHECK(o->interactive && !o->container.terminal);
	options_release(o);
	free(o);
}

Test(ctl_options, copies, .init = make_files, .fini = remove_files)
{
	struct run_options *o = calloc(1, sizeof(*o));
	auto_free char *words = NULL;
	struct error err = ERROR_INIT;

	REQUIRE_NE(o, NULL);
	make_ext4(image);
	REQUIRE_OK(parse(o,
			 FILES "--rootfs %d --share copy -v %d:/a:ro -v %f:/b:ro "
			       "-v type=blk,source=%i,target=/c -- cmd",
			 false, &words, &err),
		   &err);
	REQUIRE_EQ(o->vm.n_shares, 4);
	for (unsigned int i = 0; i < 4; i++) {
		CHECK_EQ(o->vm.shares[i].kind, SHARE_BLK, "share %u", i);
		CHECK_EQ(o->vm.shares[i].is_copied, i < 3, "share %u", i);
	}
	CHECK_STR(o->vm.shares[1].copied_file, "");
	CHECK_STR(o->vm.shares[2].path, dir);
	CHECK_STR(o->vm.shares[2].copied_file, strrchr(file, '/') + 1);
	CHECK_EQ(o->vm.late_disks, false);
	options_release(o);
	free(o);
}

/* Another agent has no 9p, and disks come after its start. */
Test(ctl_options, other_agent, .init = make_files, .fini = remove_files)
{
	struct run_options *o = calloc(1, sizeof(*o));
	auto_free char *words = NULL;
	struct error err = ERROR_INIT;

	REQUIRE_NE(o, NULL);
	REQUIRE_OK(parse(o, FILES "--rootfs %d --other-agent --virtiofsd %c -v %d:/a -- cmd", false,
			 &words, &err),
		   &err);
	CHECK_EQ(o->vm.shares[0].kind, SHARE_VIRTIOFS);
	CHECK_EQ(o->vm.shares[1].kind, SHARE_VIRTIOFS);
	CHECK_STR(o->share_note, "");
	CHECK_EQ(o->vm.late_disks, true);
	options_release(o);
	free(o);
}

Test(ctl_options, defaults, .init = make_files, .fini = remove_files)
{
	struct run_options *o = calloc(1, sizeof(*o));
	auto_free char *words = NULL;
	struct error err = ERROR_INIT;

	REQUIRE_NE(o, NULL);
	REQUIRE_OK(parse(o, FILES "--rootfs %d", true, &words, &err), &err);
	CHECK_STR(o->container.args[0], "sleep", "default command of boot");
	CHECK_EQ(o->vm.memory_mib, 256);
	CHECK_EQ(o->vm.cpus, 1);
	CHECK_EQ(o->vm.accel, NULL, "KVM is tried");
	options_release(o);
	free(o);
}

Test(ctl_options, network, .init = make_files, .fini = remove_files)
{
	static const struct {
		const char *line;
		bool nic, configured;
		enum vm_network network;
		const char *host;
	} rows[] = {
		{ "", false, false, VM_NETWORK_USER, "" },
		{ "--nic", true, false, VM_NETWORK_USER, "" },
		{ "-p 80:80", true, true, VM_NETWORK_USER, "127.0.0.1" },
		{ "-p 0.0.0.0:80:80 --no-network", true, false, VM_NETWORK_USER, "0.0.0.0" },
		{ "--no-network -p 80:80", true, false, VM_NETWORK_USER, "127.0.0.1" },
		{ "--network user", true, true, VM_NETWORK_USER, "" },
		{ "--network passt -p [::1]:80:80", true, true, VM_NETWORK_PASST, "::1" },
		{ "-p [fd00::1]:80:80 --network passt", true, true, VM_NETWORK_PASST, "fd00::1" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct run_options *o = calloc(1, sizeof(*o));
		auto_free char *words = NULL;
		struct error err = ERROR_INIT;
		char line[256];

		REQUIRE_NE(o, NULL);
		(void)snprintf(line, sizeof(line), "%s %s", FILES "--rootfs %d", rows[i].line);
		REQUIRE_OK(parse(o, line, true, &words, &err), &err);
		CHECK_EQ(o->vm.nic, rows[i].nic, "%s", rows[i].line);
		CHECK_EQ(o->vm.configure_nic, rows[i].configured, "%s", rows[i].line);
		CHECK_EQ(o->vm.network, rows[i].network, "%s", rows[i].line);
		CHECK_STR(o->vm.publish[0].host, rows[i].host, "%s", rows[i].line);
		options_release(o);
		free(o);
	}
}

Test(ctl_options, writable, .init = make_files, .fini = remove_files)
{
	struct run_options *o = calloc(1, sizeof(*o));
	auto_free char *words = NULL;
	struct error err = ERROR_INIT;

	REQUIRE_NE(o, NULL);
	make_ext4(image);
	REQUIRE_OK(parse(o, FILES "--rootfs %i --writable -- true", false, &words, &err), &err);
	CHECK(!o->vm.shares[0].readonly && !o->container.has_layer);
	options_release(o);
	free(steal_ptr(&words));
	CHECK_EQ(parse(o, FILES "--rootfs %i -u root -- true", false, &words, &err), -1);
	CHECK_HAS(err.msg, "a disk is not searched for names: give a number");
	options_release(o);
	free(steal_ptr(&words));
	REQUIRE_OK(parse(o, "--in vm --rootfs %i --writable -- true", false, &words, &err), &err);
	CHECK(!o->vm.shares[0].readonly && !o->container.has_layer);
	options_release(o);
	free(steal_ptr(&words));
	REQUIRE_OK(parse(o, "--in vm --rootfs %i -- true", false, &words, &err), &err);
	CHECK(o->vm.shares[0].readonly && o->container.has_layer);
	options_release(o);
	free(o);
}

/* The disk comes last, so that it changes no tag. */
Test(ctl_options, scratch, .init = make_files, .fini = remove_files)
{
	struct run_options *o = calloc(1, sizeof(*o));
	auto_free char *words = NULL;
	struct error err = ERROR_INIT;

	REQUIRE_NE(o, NULL);
	REQUIRE_OK(parse(o,
			 FILES "--share 9p --rootfs %d --scratch 16777217 --device %i:/dev/x "
			       "--attach 9p:%d -- true",
			 false, &words, &err),
		   &err);
	REQUIRE_EQ(o->vm.n_shares, 4);
	CHECK_EQ(o->vm.shares[3].kind, SHARE_BLK);
	CHECK_STR(o->vm.shares[3].fstype, "ext4");
	CHECK_EQ(o->vm.shares[3].scratch, 16781312, "whole sectors");
	CHECK_EQ(o->container.scratch, &o->vm.shares[3]);
	options_release(o);
	free(o);
}

/* Parses a line without --share; the first `virtiofsd` in $PATH is that of `path`. */
static void
check_default(const char *line, const char *path, enum share_kind kind, const char *note)
{
	struct run_options *o = calloc(1, sizeof(*o));
	auto_free char *words = NULL;
	struct error err = ERROR_INIT;

	REQUIRE_NE(o, NULL);
	(void)setenv("PATH", path, 1);
	REQUIRE_OK(parse(o, line, false, &words, &err), &err);
	CHECK_EQ(o->vm.shares[0].kind, kind, "%s", line);
	CHECK_HAS(o->share_note, note, "%s", line);
	CHECK((o->share_note[0] != '\0') == (note[0] != '\0'), "%s: %s", line, o->share_note);
	if (kind == SHARE_VIRTIOFS)
		CHECK_HAS(o->vm.virtiofsd, current);
	options_release(o);
	free(o);
}

Test(ctl_options, default_share, .init = make_files, .fini = remove_files)
{
	char path[400];

	/* The scripts need a shell only, by its path. The old program is passed over. */
	(void)snprintf(path, sizeof(path), "%s:%s", old, current);
	if (geteuid() == 0)
		check_default(FILES "--rootfs %d -- true", path, SHARE_VIRTIOFS, "");
	else
		check_default(FILES "--rootfs %d -- true", path, SHARE_9P, "virtio-fs needs root");
	check_default(FILES "--rootfs %d --virtiofsd %c -- true", old, SHARE_VIRTIOFS, "");
	check_default(FILES "--rootfs %d --icount -- true", path, SHARE_9P, "--icount was given");
	check_default(FILES "--rootfs %d --share 9p -- true", path, SHARE_9P, "");
	make_ext4(image);
	check_default(FILES "--rootfs %i --share none -- true", path, SHARE_BLK, "");
}

/* The agent takes the last of two entries, so the user's come after the defaults. */
Test(ctl_options, environment, .init = make_files, .fini = remove_files)
{
	static const char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
				   "/sbin:/bin";
	static const char *const want[] = { "TERM=xterm", path, "TERM=vt100", "PATH=/mine" };
	struct run_options *o = calloc(1, sizeof(*o));
	auto_free char *words = NULL;
	struct error err = ERROR_INIT;

	REQUIRE_NE(o, NULL);
	REQUIRE_OK(parse(o, FILES "--rootfs %d -t -e TERM=vt100 -e PATH=/mine -- sh", false, &words,
			 &err),
		   &err);
	REQUIRE_EQ(o->container.n_env, ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		CHECK_STR(o->container.env[i], want[i]);
	options_release(o);
	free(o);
}

/* The image and the file stand for disks. */
Test(ctl_options, volumes_and_devices, .init = make_files, .fini = remove_files)
{
	struct run_options *o = calloc(1, sizeof(*o));
	auto_free char *words = NULL;
	struct error err = ERROR_INIT;

	REQUIRE_NE(o, NULL);
	REQUIRE_EQ(truncate(image, 2 << 20), 0);
	REQUIRE_OK(parse(o,
			 FILES
			 "--rootfs %d --share 9p -v type=tmpfs,target=/t,size=1.5Mi,mode=700,ro "
			 "-v type=hugepages,dst=/h,size=2Mi -v type=config,src=%d,target=/c "
			 "-v type=pmem,source=%i,target=/p,fstype=ext4,dax "
			 "--device type=scsi,source=%f,target=/dev/s,readonly "
			 "--attach scsi:%f --hotplug-ports 4 -- true",
			 false, &words, &err),
		   &err);
	REQUIRE_EQ(o->container.n_volumes, 5);
	CHECK_EQ(o->volumes[0].kind, VOLUME_TMPFS);
	CHECK_STR(o->volumes[0].options, "nosuid,nodev,mode=700,size=1572864");
	CHECK(o->volumes[0].readonly && o->volumes[0].share == -1);
	CHECK_STR(o->volumes[1].options, "pagesize=2097152,size=2097152");
	CHECK(o->volumes[2].kind == VOLUME_WATCHED && o->volumes[2].readonly);
	CHECK_STR(o->volumes[3].options, "dax");
	CHECK_STR(o->volumes[3].fstype, "ext4");
	CHECK_EQ(o->volumes[4].kind, VOLUME_DEVICE);
	/* Memory of the guest has no share: the numbers count the others. */
	REQUIRE_EQ(o->vm.n_shares, 5);
	CHECK_EQ(o->volumes[2].share, 1);
	CHECK_EQ(o->vm.shares[1].kind, SHARE_9P);
	CHECK_EQ(o->vm.shares[2].kind, SHARE_PMEM);
	CHECK(o->vm.shares[3].kind == SHARE_SCSI && o->vm.shares[3].readonly);
	CHECK_EQ(o->vm.shares[4].kind, SHARE_SCSI);
	CHECK_EQ(o->vm.hotplug_ports, 4);
	options_release(o);
	free(o);
}

Test(ctl_options, in_a_running_vm, .init = make_files, .fini = remove_files)
{
	struct run_options *o = calloc(1, sizeof(*o));
	auto_free char *words = NULL;
	struct error err = ERROR_INIT;

	REQUIRE_NE(o, NULL);
	REQUIRE_OK(
		parse(o,
		      "--in vm -v type=blk,source=%i,target=/v,fstype=erofs "
		      "-v type=tmpfs,target=/t --device type=scsi,source=%f,target=/dev/s -- true",
		      false, &words, &err),
		&err);
	CHECK_STR(o->in, "vm");
	REQUIRE_EQ(o->vm.n_shares, 2);
	CHECK(o->vm.shares[0].kind == SHARE_BLK && o->vm.shares[0].readonly, "erofs is read-only");
	CHECK_EQ(o->volumes[2].share, 1);
	CHECK_EQ(o->vm.kernel, NULL, "no guest files are needed");
	options_release(o);
	free(o);
}

Test(ctl_options, image_is_a_disk, .init = make_files, .fini = remove_files)
{
	struct run_options *o = calloc(1, sizeof(*o));
	auto_free char *words = NULL;
	struct error err = ERROR_INIT;

	REQUIRE_NE(o, NULL);
	make_ext4(image);
	REQUIRE_OK(parse(o, "--kernel %f --root-image %i --share 9p --rootfs %i -v %d:/v -- true",
			 false, &words, &err),
		   &err);
	CHECK_EQ(o->vm.initrd, NULL, "a root image needs no initrd");
	CHECK_EQ(o->vm.shares[0].kind, SHARE_BLK);
	CHECK_EQ(o->vm.shares[1].kind, SHARE_9P, "volumes are not disks");
	options_release(o);
	free(o);
}
