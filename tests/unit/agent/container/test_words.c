/* SPDX-License-Identifier: Apache-2.0 */
/* The small pure functions: mount words, capability names, passwd lines, sysctl keys, the
 * environment. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "agent/container/launch/accounts.h"
#include "agent/container/launch/caps.h"
#include "agent/container/launch/command.h"
#include "agent/container/launch/sysctl.h"
#include "agent/container/ns/namespaces.h"
#include "agent/container/rootfs/devices.h"
#include "agent/container/rootfs/mount_plan.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/container/spec.h"

TestSuite(words, .fini = spec_release_all);

Test(words, mount_options)
{
	static const struct {
		const char *type, *options;
		enum mount_kind kind;
		uint64_t attrs, clear, below, below_clear, propagation;
		bool recursive;
	} rows[] = {
		{ "tmpfs", "nosuid,nodev,noexec,ro", MOUNT_FS,
		  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY },
		{ "tmpfs", "ro,rw", MOUNT_FS, 0, MOUNT_ATTR_RDONLY },
		{ "tmpfs", "nosuid,mode=755,size=1k", MOUNT_FS, MOUNT_ATTR_NOSUID },
		{ "", "bind", MOUNT_BIND },
		{ "bind", "", MOUNT_BIND },
		{ "local", "rbind,rslave", MOUNT_BIND, 0, 0, 0, 0, MS_SLAVE | MS_REC, true },
		{ "bind", "bind,ro,private", MOUNT_BIND, MOUNT_ATTR_RDONLY, 0, 0, 0, MS_PRIVATE },
		{ "bind", "bind,suid,dev,exec,symfollow", MOUNT_BIND, 0,
		  MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
			  MOUNT_ATTR_NOSYMFOLLOW },
		{ "bind", "rbind,rro,rnosuid", MOUNT_BIND, 0, 0,
		  MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, 0, 0, true },
		{ "bind", "rbind,rro,rrw", MOUNT_BIND, 0, 0, 0, MOUNT_ATTR_RDONLY, 0, true },
		{ "bind", "rbind,rnoatime", MOUNT_BIND, 0, 0, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME,
		  0, true },
		{ "bind", "rbind,rrelatime,rnosymfollow", MOUNT_BIND, 0, 0, MOUNT_ATTR_NOSYMFOLLOW,
		  MOUNT_ATTR__ATIME, 0, true },
		{ "tmpfs", "noatime,strictatime", MOUNT_FS, MOUNT_ATTR_STRICTATIME,
		  MOUNT_ATTR__ATIME },
		{ "tmpfs", "strictatime,relatime", MOUNT_FS, 0, MOUNT_ATTR__ATIME },
		{ "tmpfs", "nosymfollow,nodiratime", MOUNT_FS,
		  MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR_NODIRATIME },
		{ "cgroup", "ro,nosuid", MOUNT_CGROUP, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *s = spec_new("/r");
		Grpc__Mount *m = spec_mount(s, "/x", rows[i].type, "/src", rows[i].options);
		struct error err = ERROR_INIT;
		struct container_mount out;

		REQUIRE_OK(mount_understand(m, &out, &err), &err);
		CHECK_EQ(out.kind, rows[i].kind, "row %zu: kind %d", i, out.kind);
		CHECK_EQ(out.own.set, rows[i].attrs, "row %zu: set", i);
		CHECK_EQ(out.own.clear, rows[i].clear, "row %zu: clear", i);
		CHECK_EQ(out.below.set, rows[i].below, "row %zu: below", i);
		CHECK_EQ(out.below.clear, rows[i].below_clear, "row %zu: below, clear", i);
		CHECK_EQ(out.propagation[0], rows[i].propagation, "row %zu: propagation", i);
		CHECK_EQ(out.recursive, rows[i].recursive, "row %zu: recursive", i);
	}
}

/* Unsupported options are refused, not ignored. */
Test(words, mount_options_refused)
{
	static const struct {
		const char *type, *options;
	} rows[] = {
		{ "tmpfs", "idmap" },      { "tmpfs", "ridmap" },
		{ "ramfs", "tmpcopyup" },  { "bind", "tmpcopyup" },
		{ "tmpfs", "remount,ro" }, { "bind", "rbind,shared,private,slave,shared,slave" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *s = spec_new("/r");
		struct error err = ERROR_INIT;
		struct container_mount out;

		CHECK_EQ(
			mount_understand(spec_mount(s, "/x", rows[i].type, "/src", rows[i].options),
					 &out, &err),
			-1, "%s", rows[i].options);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
	}
}

Test(words, which_words_are_data)
{
	struct container_mount m = { 0 };

	CHECK_EQ(mount_word_add(&m, "mode=755"), MOUNT_WORD_DATA);
	CHECK_EQ(mount_word_add(&m, "ptmxmode=0666"), MOUNT_WORD_DATA);
	CHECK_EQ(mount_word_add(&m, "ro"), MOUNT_WORD_FLAG);
	CHECK_EQ(mount_word_add(&m, "relatime"), MOUNT_WORD_FLAG);
	CHECK_EQ(mount_word_add(&m, "io.katacontainers.volume=x"), MOUNT_WORD_IGNORED);
	CHECK_EQ(mount_word_add(&m, "x-initrd.mount"), MOUNT_WORD_IGNORED);
	CHECK_EQ(mount_word_add(&m, "sync"), MOUNT_WORD_SUPER);
	CHECK_EQ(mount_word_add(&m, "nolazytime"), MOUNT_WORD_SUPER);
	CHECK_EQ(mount_word_add(&m, "acl"), MOUNT_WORD_MAYBE);
	CHECK_EQ(mount_word_add(&m, "tmpcopyup"), MOUNT_WORD_FLAG);
	CHECK_EQ(mount_word_add(&m, "r"), MOUNT_WORD_DATA);
}

Test(words, paths)
{
	CHECK(mount_path_is("/dev", "/dev"));
	CHECK(mount_path_is("//dev//", "/dev"));
	CHECK(mount_path_is("/dev/", "/dev"));
	CHECK(!mount_path_is("/dev/x", "/dev"));
	CHECK(!mount_path_is("/devx", "/dev"));
	CHECK(!mount_path_is("/de", "/dev"));
	CHECK(mount_path_is("/", ""));
	CHECK(mount_path_is("///", ""));
	CHECK(!mount_path_is("/a", ""));
	CHECK(mount_path_is("/./", ""));
	CHECK(mount_path_is("/./dev/.", "/dev"));
	CHECK(!mount_path_is("/.dev", "/dev"));
	CHECK(!mount_path_is("/dev/..", "/dev"));
}

Test(words, device_names)
{
	CHECK_STR(device_name("/dev/null"), "null");
	CHECK_STR(device_name("/dev/a/b"), "a/b");
	CHECK_EQ(device_name("/dev"), NULL);
	CHECK_EQ(device_name("/dev/"), NULL);
	CHECK_EQ(device_name("/dev/a/"), NULL);
	CHECK_EQ(device_name("/dev/../x"), NULL);
	CHECK_EQ(device_name("/dev/a/./x"), NULL);
	CHECK_EQ(device_name("/dev//x"), NULL);
	CHECK_EQ(device_name("/etc/x"), NULL);
	CHECK_EQ(device_name(""), NULL);
}

Test(words, capability_names)
{
	unsigned int cap = 99;

	CHECK(cap_name_parse("CAP_CHOWN", &cap) && cap == 0);
	CHECK(cap_name_parse("sys_admin", &cap) && cap == 21);
	CHECK(cap_name_parse("\"CAP_NET_RAW\"", &cap) && cap == 13);
	CHECK(!cap_name_parse("CAP_", &cap));
	CHECK(!cap_name_parse("", &cap));
	CHECK(!cap_name_parse("CAP_NO_SUCH", &cap));
	CHECK(!cap_name_parse("3", &cap));
	CHECK(!cap_name_parse("CAP_CHOWN ", &cap));
	CHECK(!cap_name_parse("CAP_CHOWN_BUT_VERY_MUCH_LONGER_THAN_ANY_NAME_EVER_WAS", &cap));
}

Test(words, capabilities_left_out)
{
	Grpc__Spec *s = spec_new("/r");
	Grpc__LinuxCapabilities *c = s->process->capabilities;
	char left_out[CAP_LEFT_OUT_MAX], many[64][16];
	char *names[64];
	struct cap_sets sets;

	cap_sets_from_spec(c, UINT64_MAX, &sets, left_out);
	CHECK_STR(left_out, "");
	c->bounding = spec_names(&c->n_bounding, "CAP_FLY", "CAP_CHOWN", "KILL", "BPF", NULL);
	c->permitted = spec_names(&c->n_permitted, "CAP_CHOWN", "CAP_FLY", "CAP_F", "", NULL);
	/* not permitted */
	c->effective = spec_names(&c->n_effective, "CAP_CHOWN", "CAP_KILL", NULL);
	/* not in the bounding set */
	c->inheritable = spec_names(&c->n_inheritable, "CAP_KILL", "NET_RAW", NULL);
	/* not permitted; not inheritable */
	c->ambient = spec_names(&c->n_ambient, "CAP_KILL", "CAP_CHOWN", "a\nb", NULL);
	/* the kernel has no CAP_BPF, which is 39 */
	cap_sets_from_spec(c, (UINT64_C(1) << 39) - 1, &sets, left_out);
	CHECK_STR(left_out, "CAP_FLY, BPF, CAP_F, ?, CAP_KILL, NET_RAW, CAP_CHOWN, a?b");
	CHECK(sets.bounding == 0x21 && sets.permitted == 0x1 && sets.effective == 0x1 &&
	      sets.inheritable == 0x20 && sets.ambient == 0);
	for (size_t i = 0; i < ARRAY_LEN(many); i++) {
		(void)snprintf(many[i], sizeof(many[i]), "CAP_%c%c_FLY", (int)('A' + i / 26),
			       (int)('A' + i % 26));
		names[i] = many[i];
	}
	c->bounding = names;
	c->n_bounding = ARRAY_LEN(names);
	cap_sets_from_spec(c, UINT64_MAX, &sets, left_out);
	CHECK_GT(strlen(left_out), CAP_LEFT_OUT_MAX - 60);
	CHECK_STR(left_out + strlen(left_out) - 3, "...");
}

static struct accounts
accounts(const char *text)
{
	return (struct accounts){ .text = (char *)(uintptr_t)text, .n = strlen(text) };
}

Test(words, passwd)
{
	static const struct {
		const char *text;
		uint32_t uid;
		/* NULL: no line */
		const char *home;
	} rows[] = {
		{ "root:x:0:0:root:/root:/bin/sh\n", 0, "/root" },
		{ "root:x:0:0:root:/root:/bin/sh", 0, "/root" },
		{ "a:x:1:1::/a:\nb:x:2:2::/b:\n", 2, "/b" },
		{ "a:x:1:1::/a:\n", 2, NULL },
		{ "a:x:1:1::relative:\n", 1, "" },
		{ "a:x:1:1:\n", 1, NULL },
		{ "a:x:4294967297:1::/wrap:\n", 1, NULL },
		{ "a:x:-1:1::/minus:\n", UINT32_MAX, NULL },
		{ "a:x:4294967295:1::/minus:\n", UINT32_MAX, NULL },
		{ "a:x:1:4294967296::/wrap:\n", 1, NULL },
		{ "a:x: 1:1::/blank:\n", 1, NULL },
		{ "a:x:1:1::/no-shell\n", 1, "/no-shell" },
		{ "\n\n:::::\n", 0, NULL },
		{ ":x:0:0::/nameless:\n", 0, NULL },
		{ "", 0, NULL },
	};
	static const char with_nul[] = "a:x:1:1::/b\0d:\nc:x:1:1::/good:\n";
	struct accounts nul = { .text = (char *)(uintptr_t)with_nul, .n = sizeof(with_nul) - 1 };
	struct account found;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct accounts a = accounts(rows[i].text);
		bool is_there = accounts_by_uid(&a, rows[i].uid, &found);

		CHECK_EQ(is_there, rows[i].home != NULL, "row %zu", i);
		if (is_there && rows[i].home)
			CHECK_STR(found.home, rows[i].home);
	}
	CHECK(accounts_by_uid(&nul, 1, &found));
	CHECK_STR(found.home, "/good");
}

/* The last line of a truncated file may be incomplete. */
Test(words, passwd_cut)
{
	struct accounts a = accounts("a:x:1:1::/a:\nroot:x:0:0::/\nb:x:20");
	struct account found;

	a.cut = true;
	CHECK(accounts_by_name(&a, "root", &found) && found.uid == 0);
	a = accounts("a:x:1:1::/a:\nb:x:2:2::/b:");
	CHECK(accounts_by_name(&a, "b", &found) && found.uid == 2);
	a.cut = true;
	CHECK(!accounts_by_name(&a, "b", &found));
}

Test(words, passwd_names)
{
	struct accounts a = accounts("root:x:0:0::/:\nroots:x:5:6::/:\nbad:x:y:0::/:\n"
				     "bad:x:7:8::/home:/bin/sh:more:fields\n-x:z:9:9::/:\n");
	struct account found;

	CHECK(accounts_by_name(&a, "roots", &found) && found.uid == 5 && found.gid == 6);
	CHECK(accounts_by_name(&a, "bad", &found) && found.uid == 7 && found.gid == 8);
	CHECK(!accounts_by_name(&a, "roo", &found));
	CHECK(!accounts_by_name(&a, "", &found));
	CHECK(!accounts_by_name(&a, "x", &found));
}

Test(words, groups)
{
	struct accounts a =
		accounts("root:x:0:\nwheel:x:10:root,user\n:x:11:user\nshort:x\n"
			 "u:x:12:us,er,use,users,userx\nlast:x:13:a,user\n"
			 "keep:x:4294967295:user\nwrap:x:4294967306:user\nnine:x:14:user,,:x");
	uint32_t gid, gids[2] = { 0, 0 };

	CHECK(accounts_group(&a, "wheel", &gid) && gid == 10);
	CHECK(!accounts_group(&a, "short", &gid));
	CHECK(!accounts_group(&a, "wrap", &gid));
	/* The value that setresgid(2) takes as "unchanged". */
	gid = 5;
	CHECK(!accounts_group(&a, "keep", &gid));
	CHECK_EQ(gid, 5);
	CHECK(!accounts_group(&a, "", &gid));
	CHECK_EQ(accounts_groups_of(&a, "user", gids, 2), 4);
	CHECK(gids[0] == 10 && gids[1] == 11);
	CHECK_EQ(accounts_groups_of(&a, "nobody", gids, 2), 0);
	CHECK_EQ(accounts_groups_of(&a, "", gids, 2), 0);
}

Test(words, sysctls)
{
	static const char *const good[] = {
		"net.ipv4.ip_forward",    "net/ipv4/conf/eth0.1/forwarding",
		"kernel.shm_rmid_forced", "kernel.sem",
		"fs.mqueue.msg_max",      "kernel/domainname",
	};
	static const char *const bad[] = {
		"",       "kernel.core_pattern", "kernel.semx",  "vm.overcommit_memory",
		"net",    "fs.mqueue",           "net//ipv4",    "net/ipv4/../../vm/x",
		"/net/x", "kernel.shmmax.",      "net.ipv4...x",
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK(sysctl_is_allowed(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(!sysctl_is_allowed(bad[i]), "%s", bad[i]);
}

Test(words, environment)
{
	Grpc__Process *p = spec_exec();
	struct error err = ERROR_INIT;
	char **env;

	spec_env(p, "HOMELESS=1");
	spec_env(p, "NOTHING");
	spec_env(p, "A= b ");
	env = command_environment(p, -1, 0, &err);
	REQUIRE(env);
	CHECK_STR(env[0], "PATH=/bin");
	/* as it came, also what no program can make sense of */
	CHECK_STR(env[2], "NOTHING");
	CHECK_STR(env[3], "A= b ");
	CHECK_STR(command_variable(env, "HOME"), "/");
	CHECK_EQ(command_variable(env, "NOTHING"), NULL);
	free(env[4]);
	free(env);
	spec_env(p, "HOME=/mine");
	env = command_environment(p, -1, 0, &err);
	REQUIRE(env);
	CHECK_STR(command_variable(env, "HOME"), "/mine");
	free(env);
}

/* The entries of a list, each in brackets. */
static const char *
joined(char *const *env)
{
	static char text[512];

	text[0] = '\0';
	for (; *env; env++) {
		strcat(text, "[");
		strcat(text, *env);
		strcat(text, "]");
	}
	return text;
}

/* Hosts send the image's variables and then the pod's: the later one wins. */
Test(words, duplicate_variables)
{
	static const struct {
		/* separated by commas; PATH=/bin before each */
		const char *env, *out;
	} rows[] = {
		{ "MODE=image,X=1,MODE=pod,HOME=/h", "[PATH=/bin][X=1][MODE=pod][HOME=/h]" },
		{ "A=1,A=2,A=3,HOME=/a,HOME=/b", "[PATH=/bin][A=3][HOME=/b]" },
		{ "HOME=/a,PATH=/x,PATH=/y", "[HOME=/a][PATH=/y]" },
		{ "HOME=", "[PATH=/bin][HOME=/]" },
		{ "HOME=,A=", "[PATH=/bin][A=][HOME=/]" },
		{ "HOME=/a,HOME=", "[PATH=/bin][HOME=/]" },
		{ "HOME=,HOME=/a", "[PATH=/bin][HOME=/a]" },
		{ "A,=1,A,=1,A=1,AA=2,HOME=/a", "[PATH=/bin][A][=1][A][=1][A=1][AA=2][HOME=/a]" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Process *p = spec_exec();
		struct error err = ERROR_INIT;
		char *copy = strdup(rows[i].env), *rest = copy, *entry, **env;

		while ((entry = strsep(&rest, ",")))
			spec_env(p, entry);
		env = command_environment(p, -1, 0, &err);
		REQUIRE(env);
		CHECK_STR(joined(env), rows[i].out);
		for (size_t e = 0; env[e]; e++) {
			if (strcmp(env[e], "HOME=/") == 0)
				free(env[e]);
		}
		free(env);
		free(copy);
	}
}

/* Many names, each twice: the second ones in their order, and in no time. */
Test(words, many_variables)
{
	enum { N = 20000 };
	char **env = calloc(2 * N, sizeof(*env)), **all = calloc(2 * N, sizeof(*env)), text[32];
	struct error err = ERROR_INIT;
	size_t n = 2 * N;
	clock_t before;

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(text, sizeof(text), "NAME_%zu=%zu", i * 7919 % N, i);
		env[i] = all[i] = strdup(text);
	}
	before = clock();
	REQUIRE_OK(command_last_wins(env, &n, &err), &err);
	/* processor time: several times as much if each were compared with each */
	CHECK_LT(clock() - before, 2 * CLOCKS_PER_SEC);
	REQUIRE_EQ(n, N);
	for (size_t i = 0; i < N; i++)
		REQUIRE_EQ(env[i], all[N + i], "%zu: %s", i, env[i]);
	for (size_t i = 0; i < 2 * N; i++)
		free(all[i]);
	free(all);
	free(env);
	n = 0;
	REQUIRE_OK(command_last_wins(NULL, &n, &err), &err);
}

Test(words, programs)
{
	static char *env[] = { "PATH=/nowhere", "PATH=/nonexistent::/bin", NULL };
	struct error err = ERROR_INIT;
	char path[PATH_MAX];

	CHECK_OK(command_find("sh", env, path, &err), &err);
	CHECK_STR(path, "/bin/sh");
	CHECK_OK(command_find("/bin/sh", env, path, &err), &err);
	CHECK_EQ(command_find("no-such-program", env, path, &err), -1);
	CHECK_HAS(err.msg, "the file no-such-program was not found");
	CHECK_EQ(command_find("/bin/no-such", env, path, &err), -1);
	CHECK_EQ(command_find("", env, path, &err), -1);
	/* A directory is not a program. */
	CHECK_EQ(command_find("..", env, path, &err), -1);
}

Test(words, id_maps)
{
	Grpc__Spec *s = spec_new("/r");
	uint32_t out = 0;

	CHECK(ns_id_outside(NULL, 0, 5, &out) && out == 5);
	spec_user_namespace(s, 100000);
	CHECK(ns_id_outside(s->linux->uidmappings, 1, 0, &out) && out == 100000);
	CHECK(ns_id_outside(s->linux->uidmappings, 1, 65535, &out) && out == 165535);
	CHECK(!ns_id_outside(s->linux->uidmappings, 1, 65536, &out));
}
