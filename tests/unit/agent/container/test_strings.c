/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings of the protocol that have a fixed set of values: every spelling that a client may send.
 * The table in docs/protocol.md has a row for each test, and tests/check-protocol compares the
 * spellings.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "agent/cgroup/device_rules.h"
#include "agent/cgroup/limits.h"
#include "agent/container/launch/caps.h"
#include "agent/container/launch/params.h"
#include "agent/container/launch/rlimits.h"
#include "agent/container/ns/namespaces.h"
#include "agent/container/rootfs/mount_plan.h"
#include "agent/container/spec/json.h"
#include "agent/container/spec/validate.h"
#include "agent/sandbox/sandbox.h"
#include "agent/storage/driver.h"
#include "agent/storage/storage.h"
#include "lib/cleanup.h"
#include "lib/parse.h"
#include "tests/support/check.h"
#include "tests/unit/agent/container/spec.h"

TestSuite(strings, .fini = spec_release_all);

/* Expects that the spec is valid, or refused with a text that names `says`. */
static void
expect_spec(const Grpc__Spec *s, const char *says)
{
	struct error err = ERROR_INIT;
	int result = spec_validate(s, &err);

	CHECK_EQ(result, says ? -1 : 0, "%s: %s", says ? says : "valid", err.msg);
	if (says) {
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT, "%s", err.msg);
		CHECK_HAS(err.msg, says, "\"%s\" is not in \"%s\"", says, err.msg);
	}
}

Test(strings, namespace_types)
{
	static const struct {
		const char *type;
		enum ns_kind kind;
	} rows[] = {
		{ "mount", NS_MNT }, { "mnt", NS_MNT },   { "network", NS_NET },
		{ "net", NS_NET },   { "pid", NS_PID },   { "ipc", NS_IPC },
		{ "uts", NS_UTS },   { "user", NS_USER }, { "cgroup", NS_CGROUP },
		{ "time", NS_TIME },
	};
	enum ns_kind kind;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__LinuxNamespace ns = GRPC__LINUX_NAMESPACE__INIT, *list = &ns;
		Grpc__Linux l = GRPC__LINUX__INIT;

		CHECK(ns_kind_parse(rows[i].type, &kind), "%s", rows[i].type);
		CHECK_EQ(kind, rows[i].kind, "%s", rows[i].type);
		ns.type = (char *)(uintptr_t)rows[i].type;
		l.namespaces = &list;
		l.n_namespaces = 1;
		CHECK_EQ(ns_find(&l, rows[i].kind), &ns, "%s", rows[i].type);
	}
	CHECK(!ns_kind_parse("Mount", &kind));
	CHECK(!ns_kind_parse("", &kind));
	CHECK(!ns_kind_parse("nonsense", &kind));
}

/* As agent-ctl sends them, and a kind twice under both of its names. */
Test(strings, namespaces_of_a_spec)
{
	Grpc__Spec *s = spec_new("/root");

	for (size_t i = 0; i < s->linux->n_namespaces; i++) {
		if (strcmp(s->linux->namespaces[i]->type, "mount") == 0)
			s->linux->namespaces[i]->type = (char *)"mnt";
	}
	spec_namespace(s, "net", "");
	expect_spec(s, NULL);
	spec_namespace(s, "network", "");
	expect_spec(s, "network is given twice");
	s->linux->namespaces[s->linux->n_namespaces - 1]->type = (char *)"nonsense";
	expect_spec(s, "invalid namespace type \"nonsense\"");
	s->linux->n_namespaces = 0;
	expect_spec(s, "\"mount\" is required");
}

Test(strings, capabilities)
{
	static const char *const names[] = {
		"CAP_NET_BIND_SERVICE",     "NET_BIND_SERVICE",     "cap_net_bind_service",
		"\"CAP_NET_BIND_SERVICE\"", "\"NET_BIND_SERVICE\"",
	};
	/* all that the Rust clients' decoder knows, in the order of their numbers */
	static const char *const all[] = {
		"CHOWN",
		"DAC_OVERRIDE",
		"DAC_READ_SEARCH",
		"FOWNER",
		"FSETID",
		"KILL",
		"SETGID",
		"SETUID",
		"SETPCAP",
		"LINUX_IMMUTABLE",
		"NET_BIND_SERVICE",
		"NET_BROADCAST",
		"NET_ADMIN",
		"NET_RAW",
		"IPC_LOCK",
		"IPC_OWNER",
		"SYS_MODULE",
		"SYS_RAWIO",
		"SYS_CHROOT",
		"SYS_PTRACE",
		"SYS_PACCT",
		"SYS_ADMIN",
		"SYS_BOOT",
		"SYS_NICE",
		"SYS_RESOURCE",
		"SYS_TIME",
		"SYS_TTY_CONFIG",
		"MKNOD",
		"LEASE",
		"AUDIT_WRITE",
		"AUDIT_CONTROL",
		"SETFCAP",
		"MAC_OVERRIDE",
		"MAC_ADMIN",
		"SYSLOG",
		"WAKE_ALARM",
		"BLOCK_SUSPEND",
		"AUDIT_READ",
		"PERFMON",
		"BPF",
		"CHECKPOINT_RESTORE",
	};
	unsigned int cap;

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		CHECK(cap_name_parse(names[i], &cap) && cap == 10, "%s", names[i]);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		CHECK(cap_name_parse(all[i], &cap) && cap == i, "%s", all[i]);
}

Test(strings, rlimits)
{
	static const struct {
		const char *name;
		int resource;
	} rows[] = {
		{ "RLIMIT_CPU", 0 },       { "RLIMIT_FSIZE", 1 },  { "RLIMIT_DATA", 2 },
		{ "RLIMIT_STACK", 3 },     { "RLIMIT_CORE", 4 },   { "RLIMIT_RSS", 5 },
		{ "RLIMIT_NPROC", 6 },     { "RLIMIT_NOFILE", 7 }, { "RLIMIT_MEMLOCK", 8 },
		{ "RLIMIT_AS", 9 },        { "RLIMIT_LOCKS", 10 }, { "RLIMIT_SIGPENDING", 11 },
		{ "RLIMIT_MSGQUEUE", 12 }, { "RLIMIT_NICE", 13 },  { "RLIMIT_RTPRIO", 14 },
		{ "RLIMIT_RTTIME", 15 },
	};
	Grpc__Spec *s = spec_new("/root");
	int resource;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK(rlimit_parse(rows[i].name, &resource) && resource == rows[i].resource, "%s",
		      rows[i].name);
	spec_rlimit(s->process, "NOFILE", 1, 1);
	expect_spec(s, "unknown type NOFILE");
}

static const struct {
	const char *word;
	uint64_t flags;
} propagation[] = {
	{ "private", MS_PRIVATE },       { "rprivate", MS_PRIVATE | MS_REC },
	{ "shared", MS_SHARED },         { "rshared", MS_SHARED | MS_REC },
	{ "slave", MS_SLAVE },           { "rslave", MS_SLAVE | MS_REC },
	{ "unbindable", MS_UNBINDABLE }, { "runbindable", MS_UNBINDABLE | MS_REC },
};

Test(strings, propagation)
{
	Grpc__Spec *s = spec_new("/root");

	for (size_t i = 0; i < ARRAY_LEN(propagation); i++) {
		struct container_mount m = { 0 };

		s->linux->rootfspropagation = (char *)(uintptr_t)propagation[i].word;
		expect_spec(s, NULL);
		CHECK_EQ(mount_word_add(&m, propagation[i].word), MOUNT_WORD_FLAG);
		CHECK_EQ(m.propagation[0], propagation[i].flags, "%s", propagation[i].word);
	}
	s->linux->rootfspropagation = (char *)"sideways";
	expect_spec(s, "invalid value \"sideways\"");
}

/* None of them may be passed to the file system as an option. */
Test(strings, mount_options)
{
	static const char *const words[] = {
		"acl",        "async",      "atime",         "bind",
		"defaults",   "dev",        "diratime",      "dirsync",
		"exec",       "iversion",   "lazytime",      "loud",
		"mand",       "noacl",      "noatime",       "nodev",
		"nodiratime", "noexec",     "noiversion",    "nolazytime",
		"nomand",     "norelatime", "nostrictatime", "nosuid",
		"rbind",      "relatime",   "remount",       "ro",
		"rw",         "silent",     "strictatime",   "suid",
		"sync",
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		struct container_mount m = { 0 };

		CHECK_NE(mount_word_add(&m, words[i]), MOUNT_WORD_DATA, "%s", words[i]);
	}
}

Test(strings, device_types)
{
	static const struct {
		const char *type, *says;
	} rows[] = {
		{ "c", NULL },
		{ "b", NULL },
		{ "u", NULL },
		{ "p", NULL },
		{ "a", "unknown type \"a\"" },
		{ "char", "unknown type \"char\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *s = spec_new("/root");

		spec_device(s, "/dev/x", rows[i].type, 1, 3);
		expect_spec(s, rows[i].says);
	}
}

Test(strings, device_rule_types)
{
	static const struct {
		const char *type;
		/* The parts of the rule that the program contains. */
		int valid, rules;
		uint8_t types;
	} rows[] = {
		{ "", 0, 1, DEVICE_ANY_TYPE },
		{ "a", 0, 1, DEVICE_ANY_TYPE },
		{ "b", 0, 1, BPF_DEVCG_DEV_BLOCK },
		{ "c", 0, 1, BPF_DEVCG_DEV_CHAR },
		{ "u", 0, 1, BPF_DEVCG_DEV_CHAR },
		{ "p", 0, 0, 0 },
		{ "x", -1, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__LinuxDeviceCgroup rule = GRPC__LINUX_DEVICE_CGROUP__INIT, *list = &rule;
		struct error err = ERROR_INIT;
		struct device_rules none, some;

		rule.type = (char *)(uintptr_t)rows[i].type;
		rule.access = (char *)"rwm";
		rule.major = 7;
		CHECK_EQ(device_rules_validate(&list, 1, &err), rows[i].valid, "\"%s\"",
			 rows[i].type);
		if (rows[i].valid < 0)
			continue;
		REQUIRE_OK(device_rules_make(NULL, 0, NULL, 0, false, &none, &err), &err);
		REQUIRE_OK(device_rules_make(&list, 1, NULL, 0, false, &some, &err), &err);
		CHECK_EQ(some.n, none.n + (size_t)rows[i].rules, "\"%s\"", rows[i].type);
		if (rows[i].rules)
			CHECK_EQ(some.list[0].types, rows[i].types, "\"%s\"", rows[i].type);
		free(none.list);
		free(some.list);
	}
}

Test(strings, device_rule_access)
{
	static const char *const good[] = { "r", "w", "m", "rw", "mrw", "rr" };
	static const char *const bad[] = { "", "x", "rwx", "R", "r w" };
	Grpc__LinuxDeviceCgroup rule = GRPC__LINUX_DEVICE_CGROUP__INIT, *list = &rule;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		rule.access = (char *)(uintptr_t)good[i];
		CHECK_EQ(device_rules_validate(&list, 1, &err), 0, "\"%s\"", good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		rule.access = (char *)(uintptr_t)bad[i];
		CHECK_EQ(device_rules_validate(&list, 1, &err), -1, "\"%s\"", bad[i]);
	}
}

Test(strings, huge_page_sizes)
{
	static const char *const good[] = { "64KB", "2MB", "32MB", "1GB" };
	static const char *const bad[] = { "", "2", "MB", "2M", "2MiB", "2mb", "1TB" };
	Grpc__LinuxHugepageLimit limit = GRPC__LINUX_HUGEPAGE_LIMIT__INIT, *list = &limit;
	Grpc__LinuxResources r = GRPC__LINUX_RESOURCES__INIT;
	struct error err = ERROR_INIT;

	r.hugepagelimits = &list;
	r.n_hugepagelimits = 1;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		limit.pagesize = (char *)(uintptr_t)good[i];
		CHECK_EQ(cgroup_limits_validate(&r, false, &err), 0, "\"%s\"", good[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		limit.pagesize = (char *)(uintptr_t)bad[i];
		CHECK_EQ(cgroup_limits_validate(&r, false, &err), -1, "\"%s\"", bad[i]);
	}
}

/* Types that are not the name of a file system. */
Test(strings, mount_types)
{
	static const struct {
		const char *type, *options;
		/* -1: refused */
		int kind;
	} rows[] = {
		{ "bind", "", MOUNT_BIND },
		{ "none", "bind", MOUNT_BIND },
		{ "", "rbind", MOUNT_BIND },
		{ "local", "rbind", MOUNT_BIND },
		{ "cgroup", "", MOUNT_CGROUP },
		{ "cgroup2", "", MOUNT_CGROUP },
		{ "tmpfs", "", MOUNT_FS },
		{ "none", "", -1 },
		{ "", "ro", -1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *s = spec_new("/root");
		Grpc__Mount *m = spec_mount(s, "/x", rows[i].type, "/src", rows[i].options);
		struct error err = ERROR_INIT;
		struct container_mount out;

		CHECK_EQ(mount_understand(m, &out, &err), rows[i].kind < 0 ? -1 : 0, "%zu", i);
		if (rows[i].kind >= 0)
			CHECK_EQ((int)out.kind, rows[i].kind, "%zu", i);
	}
}

/* As GetGuestDetails lists them: nothing else, and in one spelling. */
static void
expect_list(const char *(*name)(size_t i), const char *const *want, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		REQUIRE(name(i), "%s is missing", want[i]);
		CHECK_STR(name(i), want[i]);
	}
	CHECK_EQ(name(n), NULL);
}

Test(strings, storage_drivers)
{
	static const char *const names[] = { "9p",
					     "bind",
					     "ephemeral",
					     "erofs.multi-layer",
					     "image_guest_pull",
					     "local",
					     "overlayfs",
					     "virtio-fs",
					     "watchable-bind",
					     "blk",
					     "blk-ccw",
					     "mmioblk",
					     "nvdimm",
					     "scsi" };

	expect_list(storage_driver_name, names, ARRAY_LEN(names));
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		CHECK(storage_driver_find(names[i]), "%s", names[i]);
	CHECK_EQ(storage_driver_find("virtiofs"), NULL);
}

Test(strings, device_handlers)
{
	static const char *const names[] = { "vfio-ap",     "vfio-ap-cold", "vfio-pci",
					     "vfio-pci-gk", "blk",          "blk-ccw",
					     "mmioblk",     "nvdimm",       "scsi" };

	expect_list(device_type_name, names, ARRAY_LEN(names));
}

Test(strings, container_ids)
{
	static const char *const good[] = { "a1", "0.", "A_b-C.d", "z--" };
	static const char *const bad[] = { "",    "a",   ".a",   "-a",     "_a",
					   "a/b", "a b", "a\tb", "a\nb",   "a:b",
					   "..",  "é1",  "aé",   "aa\x7f", "shared" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK(container_id_is_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(!container_id_is_valid(bad[i]), "%s", bad[i]);
}

/* The config.json for hooks has the runtime specification's spelling, independent of the
 * client's. */
Test(strings, config_json_for_hooks)
{
	Grpc__Spec *s = spec_new("/root");
	Grpc__LinuxCapabilities *caps = s->process->capabilities;
	struct buf b;

	spec_namespace(s, "net", "");
	caps->bounding = spec_names(&caps->n_bounding, "NET_RAW", "\"CAP_KILL\"", "what?", NULL);
	buf_init(&b, 1u << 20);
	REQUIRE_EQ(json_spec(&b, s), 0);
	REQUIRE_EQ(buf_append(&b, "", 1), 0);
	CHECK_HAS((const char *)buf_head(&b), "{\"type\":\"network\"}");
	CHECK_HAS((const char *)buf_head(&b),
		  "\"bounding\":[\"CAP_NET_RAW\",\"CAP_KILL\",\"what?\"]");
	buf_release(&b);
}
