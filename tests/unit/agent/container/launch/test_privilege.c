/* SPDX-License-Identifier: Apache-2.0 */
/* Privileges of a container's process: descriptors, directory, capabilities, groups, system
 * calls. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/launch/keyring.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/container/box.h"
#include "tests/unit/agent/container/spec.h"

static void
body_fds(struct box *b)
{
	static const char listed[] = "0\n1\n2\n3\n", on_tty[] = "0  1  2  3\r\n";
	Grpc__Spec *s = spec_new(BOX_ROOT), *sleeper = spec_new(BOX_ROOT);
	Grpc__Process *x = spec_exec();
	struct box_container c, others[8];
	struct box_process p;

	spec_args(sleeper->process, "/bin/sleep", "100", NULL);
	for (int i = 0; i < 8; i++) {
		char id[8];

		snprintf(id, sizeof(id), "other%d", i);
		REQUIRE_EQ(box_launch(b, &others[i], id, sleeper), 0);
		box_start(&others[i]);
	}
	/* the fourth is ls's own, of the directory */
	spec_args(s->process, "/bin/ls", "/proc/self/fd", NULL);
	REQUIRE_EQ(box_run(b, &c, s), 0);
	REQUIRE_STR(c.init.output, listed);
	s->process->terminal = true;
	REQUIRE_EQ(box_run(b, &c, s), 0);
	REQUIRE_STR(c.init.output, on_tty);
	spec_args(x, "/bin/ls", "/proc/self/fd", NULL);
	REQUIRE_EQ(box_exec(b, &others[0], x, &p), 0);
	REQUIRE_EQ(box_wait(b, &p), 0);
	REQUIRE_STR(p.output, listed);
	x->terminal = true;
	REQUIRE_EQ(box_exec(b, &others[0], x, &p), 0);
	REQUIRE_EQ(box_wait(b, &p), 0);
	REQUIRE_STR(p.output, on_tty);
	for (int i = 0; i < 8; i++)
		box_remove(b, &others[i]);
}

Test(privilege, only_stdio_is_open)
{
	in_box(body_fds);
}

static void
body_cwd(struct box *b)
{
	static const char *const more[] = { "/proc/1/cwd", "/proc/self/root", "/proc/1/root",
					    "/proc/self/cwd" };
	Grpc__Spec *s = spec_new(BOX_ROOT);
	Grpc__Process *x = spec_exec();
	struct box_container c;
	struct box_process p;

	spec_args(s->process, "/bin/sleep", "100", NULL);
	REQUIRE_EQ(box_launch(b, &c, "c0", s), 0);
	box_start(&c);
	spec_args(x, "/bin/pwd", NULL);
	for (int fd = 0; fd < 40; fd++) {
		Grpc__Spec *init = spec_new(BOX_ROOT);
		char cwd[64];

		snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d", fd);
		x->cwd = cwd;
		REQUIRE_LT(box_exec(b, &c, x, &p), 0);
		REQUIRE_EQ(b->error.code, ERROR_INVALID_ARGUMENT);
		if (fd > 12)
			continue;
		init->process->cwd = cwd;
		box_refuse(b, init, ERROR_INVALID_ARGUMENT, "working directory");
	}
	for (size_t i = 0; i < ARRAY_LEN(more); i++) {
		x->cwd = (char *)(uintptr_t)more[i];
		REQUIRE_LT(box_exec(b, &c, x, &p), 0);
		REQUIRE_EQ(b->error.code, ERROR_INVALID_ARGUMENT);
	}
	b->error = ERROR_INIT;
	box_remove(b, &c);
}

Test(privilege, working_directory)
{
	in_box(body_cwd);
}

static void
set_caps(Grpc__LinuxCapabilities *c, const char *which, char **names, size_t n)
{
	for (; *which; which++) {
		switch (*which) {
		case 'b':
			c->bounding = names, c->n_bounding = n;
			break;
		case 'e':
			c->effective = names, c->n_effective = n;
			break;
		case 'p':
			c->permitted = names, c->n_permitted = n;
			break;
		case 'i':
			c->inheritable = names, c->n_inheritable = n;
			break;
		case 'a':
			c->ambient = names, c->n_ambient = n;
			break;
		}
	}
}

static void
body_caps(struct box *b)
{
	static const struct {
		const char *sets;
		uint32_t uid;
		/* of one capability, CAP_CHOWN: bit 0 */
		const char *inh, *prm, *eff, *bnd, *amb;
	} rows[] = {
		{ "", 0, "0", "0", "0", "0", "0" },
		{ "bep", 0, "0", "1", "1", "1", "0" },
		{ "bep", 1000, "0", "0", "0", "1", "0" },
		{ "bepi", 1000, "1", "0", "0", "1", "0" },
		{ "bepia", 1000, "1", "1", "1", "1", "1" },
		/* ambient needs inheritable: left out */
		{ "bepa", 1000, "0", "0", "0", "1", "0" },
		/* root gets its bounding set at execve... */
		{ "b", 0, "0", "1", "1", "1", "0" },
		/* ...but with no_new_privs */
		{ "b", 0, "0", "0", "0", "1", "0" },
	};
	size_t n;
	char **chown_only = spec_names(&n, "CAP_CHOWN", NULL);

	for (size_t i = 0; i < 4 * ARRAY_LEN(rows); i++) {
		Grpc__Spec *s = spec_new(BOX_ROOT);
		size_t r = i / 4;
		char expected[512];

		if (strcmp(rows[r].sets, "b") == 0 && (i % 2) != (rows[r].prm[0] == '0'))
			continue;

		s->process->user->uid = rows[r].uid;
		s->process->nonewprivileges = i % 2;
		*s->process->capabilities = (Grpc__LinuxCapabilities)GRPC__LINUX_CAPABILITIES__INIT;
		set_caps(s->process->capabilities, rows[r].sets, chown_only, 1);
		/* a filter without no_new_privs is loaded with a capability that must not stay */
		if (i % 4 < 2)
			s->linux->seccomp = spec_seccomp("SCMP_ACT_ALLOW");
		snprintf(expected, sizeof(expected),
			 "CapInh:\t000000000000000%s\nCapPrm:\t000000000000000%s\n"
			 "CapEff:\t000000000000000%s\n"
			 "CapBnd:\t000000000000000%s\nCapAmb:\t000000000000000%s\n",
			 rows[r].inh, rows[r].prm, rows[r].eff, rows[r].bnd, rows[r].amb);
		box_sh(b, s, "grep Cap /proc/self/status", expected);
	}
	Grpc__Spec *s = spec_new(BOX_ROOT);
	s->process->capabilities->effective =
		spec_names(&s->process->capabilities->n_effective, "CAP_NO_SUCH", NULL);
	box_sh(b, s, "echo runs", "runs\n");
}

Test(privilege, capability_sets)
{
	in_box(body_caps);
}

static void
body_groups(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);
	static uint32_t many[65537];

	box_sh(b, s, "grep Groups /proc/self/status", "Groups:\t \n");
	for (uint32_t i = 0; i < ARRAY_LEN(many); i++)
		many[i] = i + 10;
	s->process->user->uid = 1000;
	s->process->user->gid = 1000;
	s->process->user->additionalgids = many;
	s->process->user->n_additionalgids = 3;
	box_sh(b, s, "grep Groups /proc/self/status", "Groups:\t10 11 12 \n");
	s->process->user->n_additionalgids = 65536;
	box_sh(b, s, "grep Groups /proc/self/status | wc -w", "65537\n");
	s->process->user->n_additionalgids = 65537;
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "additionalGids");
	s->process->user->n_additionalgids = 0;
	s->process->user->uid = UINT32_MAX;
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "process.user: uid");
}

Test(privilege, groups)
{
	in_box(body_groups);
}

static void
body_seccomp(struct box *b)
{
	static const char *const victims[] = { "write", "prctl", "close_range",
					       "setuid,setresuid,capset", "read" };
	struct box_container c;

	/* whatever it denies: the program is reached, and meets the filter */
	for (size_t i = 0; i < 2 * ARRAY_LEN(victims); i++) {
		Grpc__Spec *s = spec_new(BOX_ROOT);

		s->process->nonewprivileges = i % 2;
		s->linux->seccomp = spec_seccomp("SCMP_ACT_ALLOW");
		spec_seccomp_rule(s->linux->seccomp, "SCMP_ACT_ERRNO", victims[i / 2]);
		spec_args(s->process, "/bin/busybox", "true", NULL);
		REQUIRE_EQ(box_run(b, &c, s), 0);
	}
	Grpc__Spec *s = spec_new(BOX_ROOT);
	s->linux->seccomp = spec_seccomp("SCMP_ACT_ALLOW");
	spec_seccomp_rule(s->linux->seccomp, "SCMP_ACT_ERRNO", "mkdir,mkdirat,no_such_call");
	spec_seccomp_rule(s->linux->seccomp, "SCMP_ACT_KILL_PROCESS", "sethostname");
	box_sh(b, s, "mkdir /tmp/x 2>&1; grep -E 'Seccomp:' /proc/self/status; hostname x; echo $?",
	       "mkdir: can't create directory '/tmp/x': Operation not permitted\nSeccomp:\t2\n"
	       "Bad system call\n159\n");
}

Test(privilege, seccomp_order)
{
	in_box(body_seccomp);
}

/* An exec runs under its container's profile, whatever its message says. */
static void
body_seccomp_exec(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);
	Grpc__Process *x = spec_exec();
	struct box_container c;
	struct box_process p;

	s->linux->seccomp = spec_seccomp("SCMP_ACT_ALLOW");
	spec_seccomp_rule(s->linux->seccomp, "SCMP_ACT_ERRNO", "mkdir,mkdirat");
	spec_args(s->process, "/bin/sleep", "100", NULL);
	REQUIRE_EQ(box_launch(b, &c, "c1", s), 0);
	box_start(&c);
	spec_sh(x, "mkdir /tmp/x 2>&1; grep Seccomp: /proc/self/status");
	REQUIRE_EQ(box_exec(b, &c, x, &p), 0);
	REQUIRE_EQ(box_wait(b, &p), 0);
	REQUIRE_STR(p.output, "mkdir: can't create directory '/tmp/x': Operation not permitted\n"
			      "Seccomp:\t2\n");
	box_remove(b, &c);
}

Test(privilege, seccomp_of_an_exec)
{
	in_box(body_seccomp_exec);
}

/* Exhausts the user's quota of keys. Exits with 0 if a session keyring can still be joined, 2 if
 * the kernel has no keyrings. */
static int
join_without_quota(void)
{
	struct error err = ERROR_INIT;
	char name[32];

	if (setresuid(0x70000000u + (uid_t)getpid(), (uid_t)-1, (uid_t)-1) < 0 ||
	    setresuid((uid_t)-1, getuid(), getuid()) < 0)
		return 2;
	for (int i = 0; i < 1000000; i++) {
		(void)snprintf(name, sizeof(name), "key %d", i);
		if (syscall(SYS_add_key, "user", name, "x", 1, KEY_SPEC_PROCESS_KEYRING) < 0)
			break;
	}
	if (errno != EDQUOT)
		return 2;
	return keyring_join("_ses.test", &err) < 0 ? 1 : 0;
}

/* All containers share root's. */
Test(privilege, session_keyring_beyond_the_quota)
{
	int status;
	pid_t pid;

	if (getuid() != 0)
		cr_skip_test("another user id needs root");
	pid = fork();
	if (pid == 0)
		_exit(join_without_quota());
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	REQUIRE(WIFEXITED(status));
	if (WEXITSTATUS(status) == 2)
		cr_skip_test("no keys can be made here");
	CHECK_EQ(WEXITSTATUS(status), 0);
}
