/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/words.h"

#include <stddef.h>
#include <string.h>

#include "lib/cleanup.h"

const uint64_t numbers[N_NUMBERS] = {
	0,
	1,
	0x7f,
	0x80,
	0xff,
	0x100,
	0x7fff,
	0xffff,
	0x10000,
	0x7fffffff,
	0x80000000,
	0xfffffffe,
	0xffffffff,
	0x100000000,
	0x7fffffffffffffff,
	0x8000000000000000,
	0xfffffffffffffffe,
	0xffffffffffffffff,
	4 << 20,
	1000000000,
};

const char *const nasty[N_NASTY] = {
	"",
	".",
	"..",
	"//",
	"../../../../nonexistent/x",
	"/nonexistent/fd/3",
	"/nonexistent/../b",
	"a/../b",
	"a//b/./c",
	"%s%n%x",
	"\n{\"level\":\"error\"}",
	"\x1b[2J",
	"a b\tc",
	"$(reboot)",
	"-1",
	"18446744073709551616",
	"0x10",
	"name=value=value",
	"a,b,c",
	"trailing/",
	"\xd0\xba\xd0\xbe\xd0\xbd",
	"\xe2\x80\xae backwards",
	"\xf0\x9f\x92\xa9",
	"sandbox",
};

struct words {
	const char *field;
	const char *words[8];
};

static const struct words by_field[] = {
	{ "exec_id", { "", "e1", "e2", "c1", "unknown" } },
	{ "driver", { "9p", "virtio-fs", "blk", "ephemeral", "local", "bind", "nosuch" } },
	{ "driver_options", { "", "k=v", "encryption_key=ephemeral" } },
	{ "fstype", { "9p", "virtiofs", "ext4", "tmpfs", "bind", "local" } },
	{ "mount_point",
	  { "/run/kata-containers/sandbox/a", "/run/kata-containers/shared/b",
	    "/run/kata-containers/shared/containers/x" } },
	{ "options", { "ro", "rbind", "nosuid", "size=1m", "mode=0755", "trans=virtio", "bogus" } },
	{ "source",
	  { "shm", "kataShared", "01/02", "/dev/nonexistent", "tmpfs", "/run/kata-containers/x" } },
	{ "destination", { "/proc", "/dev", "/dev/shm", "/sys", "/etc/hosts", "/a/b/c" } },
	{ "Path", { "/run/kata-containers/shared/containers/c1/rootfs", "/nonexistent" } },
	{ "path",
	  { "/run/kata-containers/shared/containers/f", "/run/kata-containers/x",
	    "/nonexistent/x" } },
	{ "Args", { "/bin/true", "sh", "-c", "exit 3" } },
	{ "Env", { "PATH=/bin:/usr/bin", "A=", "NOEQUALS", "=x" } },
	{ "Cwd", { "/", "/tmp", "relative" } },
	{ "Type", { "RLIMIT_NOFILE", "mount", "pid", "uts", "ipc", "c", "b", "network" } },
	{ "type", { "blk", "scsi", "tmpfs", "proc", "bind", "vfio-pci" } },
	{ "Bounding", { "CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_NOSUCH" } },
	{ "DefaultAction", { "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_NOSUCH" } },
	{ "Action", { "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL" } },
	{ "Names", { "read", "write", "execve", "nosuchcall" } },
	{ "Architectures", { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_NOSUCH" } },
	{ "Op", { "SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ", "nosuch" } },
	{ "CgroupsPath", { "/kubepods/pod1/c1", "system.slice:cri:c1", "", "../up" } },
	{ "MaskedPaths", { "/proc/kcore", "/sys/firmware", "relative" } },
	{ "ReadonlyPaths", { "/proc/sys", "/proc/bus" } },
	{ "RootfsPropagation", { "", "private", "rslave", "nosuch" } },
	{ "address", { "10.0.0.2", "fe80::1", "300.1.1.1" } },
	{ "mask", { "24", "64", "129", "x" } },
	{ "device", { "eth0", "lo", "nosuch0" } },
	{ "name", { "eth0", "lo", "fuse" } },
	{ "hwAddr", { "02:00:00:00:00:01", "zz:zz" } },
	{ "dest", { "", "10.0.0.0/8", "0.0.0.0/0", "bad" } },
	{ "gateway", { "", "10.0.0.1", "fe80::2" } },
	{ "hostname", { "pod", "localhost" } },
	{ "sandbox_id", { "sandbox1", "s2" } },
	{ "dns", { "nameserver 10.0.0.1", "", "search local" } },
	{ "log_type", { "termination_log", "nosuch" } },
	{ "policy", { "package agent_policy", "" } },
};

static const char *const any[] = { "a", "c1", "value", "/a/path", "12", "text with blanks" };

bool
word_is_path(const char *field)
{
	static const char *const paths[] = {
		"source",     "mount_point",       "path",
		"Path",       "destination",       "src_path",
		"dst_path",   "vm_path",           "container_path",
		"devicePath", "volume_guest_path", "guest_hook_path",
		"id",         "driver_options",    "CgroupsPath",
	};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		if (strcmp(paths[i], field) == 0)
			return true;
	return false;
}

const char *
word_for(const char *field, uint64_t random)
{
	for (size_t i = 0; i < ARRAY_LEN(by_field); i++) {
		const char *const *words = by_field[i].words;
		size_t n = 0;

		if (strcmp(by_field[i].field, field) != 0)
			continue;
		while (n < ARRAY_LEN(by_field[i].words) && words[n])
			n++;
		return words[(random >> 32) % n];
	}
	return any[(random >> 32) % ARRAY_LEN(any)];
}
