/* SPDX-License-Identifier: Apache-2.0 */
/* User, working directory and environment of a container's process, and of execs as hosts send
 * them. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pty.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/container/launch/child.h"
#include "agent/container/launch/program.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "tests/support/check.h"
#include "tests/support/terminal.h"
#include "tests/unit/agent/container/box.h"
#include "tests/unit/agent/container/spec.h"

#define WHO "id -u; id -g; id -G; echo $HOME"

static void
write_accounts(void)
{
	box_write(BOX_ROOT "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"
					  "app:x:1000:1001::/home/app:/bin/sh\n"
					  "77:x:78:79::/seventy:/bin/sh\n"
					  "daemon:x:5:6::/daemon:\n");
	box_write(BOX_ROOT "/etc/group", "root:x:0:\nwheel:x:10:root,app\nstaff:x:20:app,wheel\n"
					 "app:x:1001:app\nother:x:30:apps,ap,pa\n");
}

static void
body_names(struct box *b)
{
	static uint32_t more[] = { 9, 10 };
	static const struct {
		const char *username;
		uint32_t uid, gid;
		size_t n_more;
		const char *output;
	} rows[] = {
		{ "app", 0, 0, 0, "1000\n1001\n1001 10 20\n/home/app\n" },
		{ "app", 1000, 0, 2, "1000\n1001\n1001 9 10 20\n/home/app\n" },
		{ "app", 0, 44, 0, "1000\n44\n44 10 20 1001\n/home/app\n" },
		{ "app:staff", 0, 0, 0, "1000\n20\n20 10 1001\n/home/app\n" },
		{ "app:4321", 0, 0, 0, "1000\n4321\n4321 10 20 1001\n/home/app\n" },
		{ "root", 0, 0, 0, "0\n0\n0 10\n/root\n" },
		{ "5", 0, 0, 0, "5\n6\n6\n/daemon\n" },
		{ "77", 0, 0, 0, "78\n79\n79\n/seventy\n" },
		{ "4000", 0, 0, 0, "4000\n0\n0\n/\n" },
		{ "", 1000, 5, 2, "1000\n5\n5 9 10\n/home/app\n" },
		{ "", 4000, 5, 0, "4000\n5\n5\n/\n" },
	};

	write_accounts();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *s = spec_new(BOX_ROOT);

		s->process->user->username = (char *)(uintptr_t)rows[i].username;
		s->process->user->uid = rows[i].uid;
		s->process->user->gid = rows[i].gid;
		s->process->user->additionalgids = more;
		s->process->user->n_additionalgids = rows[i].n_more;
		box_sh(b, s, WHO, rows[i].output);
	}
}

Test(process, user_by_name)
{
	in_box(body_names);
}

static void
body_names_refused(struct box *b)
{
	static const struct {
		const char *username, *text;
		uint32_t uid;
	} rows[] = {
		{ "nobody", "user \"nobody\" was not found in /etc/passwd" },
		{ "app:nogroup", "group \"nogroup\" was not found in /etc/group" },
		{ ":staff", "process.user.username" },
		{ "app:", "process.user.username" },
		{ "app:staff:x", "process.user.username" },
		{ "app", "uid 7 does not match username app, which has 1000 in /etc/passwd", 7 },
		{ "4294967295", "/etc/passwd" },
	};

	write_accounts();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *s = spec_new(BOX_ROOT);

		s->process->user->username = (char *)(uintptr_t)rows[i].username;
		s->process->user->uid = rows[i].uid;
		box_refuse(b, s, ERROR_INVALID_ARGUMENT, rows[i].text);
	}
}

Test(process, user_by_name_refused)
{
	in_box(body_names_refused);
}

/* Makes the objects that an image may have in place of the file. */
static void
body_hostile_accounts(struct box *b)
{
	static const struct {
		/* target of a symlink; NULL: a FIFO; "": a sparse GiB; ".": a directory */
		const char *link;
		const char *text;
	} rows[] = {
		{ NULL, "/etc/passwd is not a regular file" },
		{ "/dev/zero", "/etc/passwd" },
		{ "/proc/self/environ", "was not found in /etc/passwd" },
		{ "/box/secret", "/etc/passwd: No such file" },
		{ "../../../../../box/secret", "/etc/passwd: No such file" },
		{ "passwd", "/etc/passwd: " },
		{ "", "was not found in the first MiB of /etc/passwd" },
		{ ".", "/etc/passwd is not a regular file" },
	};

	box_write("/box/secret", "app:x:0:0::/:\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__Spec *s = spec_new(BOX_ROOT);

		REQUIRE(unlink(BOX_ROOT "/etc/passwd") == 0 || i == 0);
		if (!rows[i].link)
			REQUIRE_EQ(mkfifo(BOX_ROOT "/etc/passwd", 0644), 0);
		else if (strcmp(rows[i].link, ".") == 0)
			REQUIRE_EQ(mkdir(BOX_ROOT "/etc/passwd", 0755), 0);
		else if (*rows[i].link)
			REQUIRE_EQ(symlink(rows[i].link, BOX_ROOT "/etc/passwd"), 0);
		else
			box_write(BOX_ROOT "/etc/passwd", "");
		if (rows[i].link && !*rows[i].link)
			REQUIRE_EQ(truncate(BOX_ROOT "/etc/passwd", 1 << 30), 0);
		s->process->user->username = "app";
		box_refuse(b, s, ERROR_INVALID_ARGUMENT, rows[i].text);
		/* A container without a username runs nevertheless. */
		s->process->user->username = "";
		box_sh(b, s, "echo $HOME", "/\n");
	}
}

Test(process, hostile_accounts)
{
	in_box(body_hostile_accounts);
}

static void
body_many_groups(struct box *b)
{
	static char text[1100 * 16];
	Grpc__Spec *s = spec_new(BOX_ROOT);
	size_t n = 0, at_most = 0;

	write_accounts();
	s->process->user->username = "app";
	for (int i = 0; i < 1025; i++) {
		if (i == 1024)
			at_most = n;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "g:x:%d:app\n", 5000 + i);
	}
	box_write(BOX_ROOT "/etc/group", text);
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "more than 1024 groups of /etc/group");
	text[at_most] = '\0';
	box_write(BOX_ROOT "/etc/group", text);
	box_sh(b, s, "id -G | wc -w", "1025\n");
}

Test(process, many_groups)
{
	in_box(body_many_groups);
}

/* The stdio pipes and the terminal are the user's, whom only the container's own files know. */
static void
body_named_stdio(struct box *b)
{
	Grpc__Process *x = spec_exec();
	Grpc__Spec *s = spec_new(BOX_ROOT), *inner = spec_new(BOX_ROOT);
	struct box_container c;
	struct box_process p;

	write_accounts();
	s->process->user->username = "app";
	box_sh(b, s, "echo again > /dev/stdout", "again\n");
	s->process->terminal = true;
	spec_sh(s->process, "stat -c '%u %a' /dev/console; stat -c %u $(tty); sleep 100");
	REQUIRE_EQ(box_launch(b, &c, "c1", s), 0);
	box_start(&c);
	box_expect(b, &c.init, "1000 620\r\n1000\r\n");
	x->user = s->process->user;
	spec_sh(x, WHO "; echo again > /dev/stdout");
	REQUIRE_EQ(box_exec(b, &c, x, &p), 0);
	REQUIRE_EQ(box_wait(b, &p), 0);
	REQUIRE_STR(p.output, "1000\n1001\n1001 10 20\n/home/app\nagain\n");
	/* The container changes its files: the next exec uses the new content, or the user is
	 * not found. */
	box_write(BOX_ROOT "/etc/passwd", "other:x:1:1::/:\n");
	REQUIRE_LT(box_exec(b, &c, x, &p), 0);
	REQUIRE_EQ(b->error.code, ERROR_INVALID_ARGUMENT);
	REQUIRE_HAS(b->error.msg, "user \"app\" was not found in /etc/passwd");
	b->error = ERROR_INIT;
	box_remove(b, &c);
	write_accounts();
	inner->process->user->username = "app";
	spec_user_namespace(inner, 100000);
	box_sh(b, inner, WHO "; echo again > /dev/stdout",
	       "1000\n1001\n1001 10 20\n/home/app\nagain\n");
	/* outside of the map */
	inner->process->user->username = "70000";
	box_refuse(b, inner, ERROR_INVALID_ARGUMENT, "process.user.uid: 70000 is not mapped");
}

Test(process, stdio_of_a_named_user)
{
	in_box(body_named_stdio);
}

/* The last fork finds zeros where the request was (wipe.h). */
Test(process, terminal_controls_a_process_whose_request_is_gone)
{
	if (!can_open_terminal())
		cr_skip_test(NO_TERMINAL);

	Grpc__Spec *spec = spec_new("/");
	struct error err = ERROR_INIT;
	struct container_init entry;
	int master, slave, status;
	pid_t pid;

	spec->process->terminal = true;
	REQUIRE_OK(child_entry(&entry, NULL, spec, spec->process, &err), &err);
	memset(spec->process, 0, sizeof(*spec->process));
	REQUIRE_EQ(openpty(&master, &slave, NULL, NULL, NULL), 0);
	pid = fork();
	REQUIRE_GE(pid, 0);
	if (pid == 0)
		_exit(dup2(slave, 0) != 0 || program_make_session(&entry) < 0 ||
		      tcgetsid(0) != getpid());
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	REQUIRE_EQ(status, 0);
	close(master);
	close(slave);
}

/* Changes of the container to its own cgroups do not block an exec. */
static void
body_frozen(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);
	Grpc__Process *x = spec_exec();
	struct box_container c;
	struct box_process p;
	auto_close int top = -1;
	char text[32];

	if (b->roots.cgroup < 0)
		return;
	spec_args(s->process, "/bin/sleep", "100", NULL);
	REQUIRE_EQ(box_launch(b, &c, "c1", s), 0);
	box_start(&c);
	top = cgroup_open(b->roots.cgroup, c.cgroup_path);
	REQUIRE_GE(top, 0);
	REQUIRE_GT(read_text_at(top, "cgroup.max.descendants", text, sizeof(text)), 0);
	REQUIRE_STR(text, "4096");
	REQUIRE_EQ(mkdirat(top, "a", 0755), 0);
	REQUIRE_EQ(mkdirat(top, "a/b", 0755), 0);
	(void)snprintf(text, sizeof(text), "%d", (int)c.init.pid);
	REQUIRE_EQ(write_text_at(top, "a/b/cgroup.procs", text), 0);
	REQUIRE_EQ(write_text_at(top, "a/cgroup.freeze", "1"), 0);
	spec_sh(x, "grep '^0:' /proc/self/cgroup");
	REQUIRE_EQ(box_exec(b, &c, x, &p), 0);
	REQUIRE_EQ(box_wait(b, &p), 0);
	REQUIRE_HAS(p.output, "0::/\n");
	/* one that goes on is where the init process is */
	REQUIRE_EQ(write_text_at(top, "a/cgroup.freeze", "0"), 0);
	REQUIRE_EQ(box_exec(b, &c, x, &p), 0);
	REQUIRE_EQ(box_wait(b, &p), 0);
	REQUIRE_HAS(p.output, "/a/b\n");
	box_remove(b, &c);
}

Test(process, cgroups_of_the_container, .timeout = 60)
{
	in_box(body_frozen);
}
