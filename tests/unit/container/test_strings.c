/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strings of the protocol that have a fixed set of values: every spelling that a client may send. The table in
 * docs/protocol.md has a row for each test, and tests/check-protocol compares the spellings.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "agent/cgroup/device_rules.h"
#include "agent/container/caps.h"
#include "agent/container/filter_rules.h"
#include "agent/container/json_out.h"
#include "agent/container/launch.h"
#include "agent/container/mount_plan.h"
#include "agent/container/namespaces.h"
#include "agent/container/rlimits.h"
#include "lib/cleanup.h"
#include "lib/parse.h"
#include "tests/unit/container/spec.h"

TestSuite(strings, .fini = spec_release_all);

/* Expects that the spec is valid, or refused with a text that names `says`. */
static void
expect_spec(const Grpc__Spec *s, const char *says)
{
	struct error err = ERROR_INIT;
	int result = spec_validate(s, &err);

	cr_expect_eq(result, says ? -1 : 0, "%s: %s", says ? says : "valid", err.msg);
	if (says) {
		cr_expect_eq(err.code, ERROR_INVALID_ARGUMENT, "%s", err.msg);
		cr_expect(strstr(err.msg, says), "\"%s\" is not in \"%s\"", says, err.msg);
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

		cr_expect(ns_kind_parse(rows[i].type, &kind), "%s", rows[i].type);
		cr_expect_eq(kind, rows[i].kind, "%s", rows[i].type);
		ns.type = (char *)(uintptr_t)rows[i].type;
		l.namespaces = &list;
		l.n_namespaces = 1;
		cr_expect_eq(ns_find(&l, rows[i].kind), &ns, "%s", rows[i].type);
	}
	cr_expect_not(ns_kind_parse("Mount", &kind));
	cr_expect_not(ns_kind_parse("", &kind));
	cr_expect_not(ns_kind_parse("nonsense", &kind));
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
		cr_expect(cap_name_parse(names[i], &cap) && cap == 10, "%s", names[i]);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		cr_expect(cap_name_parse(all[i], &cap) && cap == i, "%s", all[i]);
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
		cr_expect(rlimit_parse(rows[i].name, &resource) && resource == rows[i].resource,
			  "%s", rows[i].name);
	spec_rlimit(s->process, "NOFILE", 1, 1);
	expect_spec(s, "unknown type NOFILE");
}

static uint32_t
action_of(const char *name, uint32_t number)
{
	uint32_t action = 0;

	cr_expect(filter_action_parse(name, number, &action), "%s", name);
	return action;
}

Test(strings, seccomp_actions)
{
	static const struct {
		const char *name;
		uint32_t action;
	} rows[] = {
		{ "SCMP_ACT_KILL", SCMP_ACT_KILL },
		{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
		{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
		{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
		{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(5) },
		{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(5) },
		{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
		{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	};
	Grpc__Spec *s = spec_new("/root");

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_expect_eq(action_of(rows[i].name, 5), rows[i].action, "%s", rows[i].name);
	s->linux->seccomp = spec_seccomp("SCMP_ACT_NOTIFY");
	expect_spec(s, "SCMP_ACT_NOTIFY");
}

/* The Rust runtime always sends the field, 0 if the profile has none. A call that is refused must not succeed. */
Test(strings, errno_return_unset)
{
	Grpc__LinuxSyscall call = GRPC__LINUX_SYSCALL__INIT;

	cr_expect_eq(action_of("SCMP_ACT_ERRNO", filter_errno_of(&call)), SCMP_ACT_ERRNO(EPERM));
	call.errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
	call.errnoret = 0;
	cr_expect_eq(action_of("SCMP_ACT_ERRNO", filter_errno_of(&call)), SCMP_ACT_ERRNO(EPERM));
	cr_expect_eq(action_of("SCMP_ACT_TRACE", filter_errno_of(&call)), SCMP_ACT_TRACE(EPERM));
	call.errnoret = ENOSYS;
	cr_expect_eq(action_of("SCMP_ACT_ERRNO", filter_errno_of(&call)), SCMP_ACT_ERRNO(ENOSYS));
}

Test(strings, seccomp_operators)
{
	static const struct {
		const char *name;
		enum filter_op op;
	} rows[] = {
		{ "SCMP_CMP_NE", FILTER_NE },
		{ "SCMP_CMP_LT", FILTER_LT },
		{ "SCMP_CMP_LE", FILTER_LE },
		{ "SCMP_CMP_EQ", FILTER_EQ },
		{ "SCMP_CMP_GE", FILTER_GE },
		{ "SCMP_CMP_GT", FILTER_GT },
		{ "SCMP_CMP_MASKED_EQ", FILTER_MASKED_EQ },
	};
	enum filter_op op;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cr_expect(filter_op_parse(rows[i].name, &op) && op == rows[i].op, "%s",
			  rows[i].name);
	cr_expect_not(filter_op_parse("EQ", &op));
}

Test(strings, seccomp_architectures)
{
	static const struct {
		const char *name;
		uint32_t
			token; /* 0: of machines that we do not run on, and libseccomp may not know */
	} rows[] = {
		{ "SCMP_ARCH_X86", SCMP_ARCH_X86 },
		{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64 },
		{ "SCMP_ARCH_X32", SCMP_ARCH_X32 },
		{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM },
		{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64 },
		{ "SCMP_ARCH_MIPS", SCMP_ARCH_MIPS },
		{ "SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64 },
		{ "SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32 },
		{ "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL },
		{ "SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64 },
		{ "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32 },
		{ "SCMP_ARCH_PPC", SCMP_ARCH_PPC },
		{ "SCMP_ARCH_PPC64", SCMP_ARCH_PPC64 },
		{ "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE },
		{ "SCMP_ARCH_S390", SCMP_ARCH_S390 },
		{ "SCMP_ARCH_S390X", SCMP_ARCH_S390X },
		{ "SCMP_ARCH_PARISC", 0 },
		{ "SCMP_ARCH_PARISC64", 0 },
		{ "SCMP_ARCH_RISCV64", 0 },
		{ "SCMP_ARCH_LOONGARCH64", 0 },
		{ "SCMP_ARCH_M68K", 0 },
		{ "SCMP_ARCH_SH", 0 },
		{ "SCMP_ARCH_SHEB", 0 },
	};
	Grpc__Spec *s = spec_new("/root");

	cr_expect_eq(filter_arch_parse("SCMP_ARCH_NATIVE"), seccomp_arch_native());
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].token)
			cr_expect_eq(filter_arch_parse(rows[i].name), rows[i].token, "%s",
				     rows[i].name);
		s->linux->seccomp = spec_seccomp("SCMP_ACT_ALLOW");
		s->linux->seccomp->architectures =
			spec_names(&s->linux->seccomp->n_architectures, rows[i].name,
				   "SCMP_ARCH_NATIVE", NULL);
		expect_spec(s, NULL);
	}
}

Test(strings, seccomp_flags)
{
	static const struct {
		const char *name;
		const char *says;
	} rows[] = {
		{ "SECCOMP_FILTER_FLAG_LOG", NULL },
		{ "SECCOMP_FILTER_FLAG_TSYNC", NULL },
		{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", NULL },
		{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SCMP_ACT_NOTIFY" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *s = spec_new("/root");

		s->linux->seccomp = spec_seccomp("SCMP_ACT_ALLOW");
		s->linux->seccomp->flags =
			spec_names(&s->linux->seccomp->n_flags, rows[i].name, NULL);
		expect_spec(s, rows[i].says);
	}
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
		cr_expect_eq(mount_word_add(&m, propagation[i].word), MOUNT_WORD_FLAG);
		cr_expect_eq(m.propagation[0], propagation[i].flags, "%s", propagation[i].word);
	}
	s->linux->rootfspropagation = (char *)"sideways";
	expect_spec(s, "unknown \"sideways\"");
}

/* None of them may end up among the options of a file system. */
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

		cr_expect_neq(mount_word_add(&m, words[i]), MOUNT_WORD_DATA, "%s", words[i]);
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
		int valid, rules; /* what of the rule is in the program */
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
		cr_expect_eq(device_rules_validate(&list, 1, &err), rows[i].valid, "\"%s\"",
			     rows[i].type);
		if (rows[i].valid < 0)
			continue;
		cr_assert_eq(device_rules_make(NULL, 0, NULL, 0, false, &none, &err), 0);
		cr_assert_eq(device_rules_make(&list, 1, NULL, 0, false, &some, &err), 0);
		cr_expect_eq(some.n, none.n + (size_t)rows[i].rules, "\"%s\"", rows[i].type);
		if (rows[i].rules)
			cr_expect_eq(some.list[0].types, rows[i].types, "\"%s\"", rows[i].type);
		free(none.list);
		free(some.list);
	}
}

Test(strings, container_ids)
{
	static const char *const good[] = { "a1", "0.", "A_b-C.d", "z--" };
	static const char *const bad[] = { "",    "a",   ".a",   "-a",     "_a",
					   "a/b", "a b", "a\tb", "a\nb",   "a:b",
					   "..",  "é1",  "aé",   "aa\x7f", "shared" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		cr_expect(container_id_is_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		cr_expect_not(container_id_is_valid(bad[i]), "%s", bad[i]);
}

/* Hooks read a config.json with the runtime specification's own words, whatever the client sent. */
Test(strings, config_json_for_hooks)
{
	Grpc__Spec *s = spec_new("/root");
	Grpc__LinuxCapabilities *caps = s->process->capabilities;
	struct buf b;

	spec_namespace(s, "net", "");
	caps->bounding = spec_names(&caps->n_bounding, "NET_RAW", "\"CAP_KILL\"", "what?", NULL);
	buf_init(&b, 1u << 20);
	cr_assert_eq(json_spec(&b, s), 0);
	cr_assert_eq(buf_append(&b, "", 1), 0);
	cr_expect(strstr((const char *)buf_head(&b), "{\"type\":\"network\"}"));
	cr_expect(strstr((const char *)buf_head(&b),
			 "\"bounding\":[\"CAP_NET_RAW\",\"CAP_KILL\",\"what?\"]"));
	buf_release(&b);
}
