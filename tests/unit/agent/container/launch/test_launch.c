/* SPDX-License-Identifier: Apache-2.0 */
/* Real containers: launch, start, exec, terminal, teardown, and failures. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/ns/sandbox_ns.h"
#include "lib/cleanup.h"
#include "lib/sys.h"
#include "tests/support/check.h"
#include "tests/unit/agent/container/box.h"
#include "tests/unit/agent/container/spec.h"

/* The output as it must be. */
static void
expect_output(const struct box_process *p, const char *text)
{
	if (strcmp(p->output, text) != 0)
		fprintf(stderr, "expected \"%s\", got \"%s\"\n", text, p->output);
	REQUIRE_STR(p->output, text);
}

static void
body_runs(struct box *b)
{
	struct box_container c;
	Grpc__Spec *s = spec_new(BOX_ROOT);

	REQUIRE_EQ(box_run(b, &c, s), 0);
	spec_args(s->process, "/bin/sh", "-c", "echo $$ hello; exit 42", NULL);
	REQUIRE_EQ(box_run(b, &c, s), 42);
	expect_output(&c.init, "1 hello\n");
	/* found in PATH */
	spec_args(s->process, "sh", "-c", "echo err >&2", NULL);
	REQUIRE_EQ(box_run(b, &c, s), 0);
	expect_output(&c.init, "err\n");
}

Test(launch, runs_and_exits)
{
	in_box(body_runs);
}

static void
body_gate(struct box *b)
{
	struct box_container c;
	Grpc__Spec *s = spec_new(BOX_ROOT);
	char path[64];

	spec_sh(s->process, "echo ran");
	REQUIRE_EQ(box_launch(b, &c, "c1", s), 0);
	/* it is set up, but not the program yet */
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)c.init.pid);
	REQUIRE(!c.init.ended);
	/* the agent's end goes: it must end without running anything */
	close_fd(&c.init.gate);
	REQUIRE_EQ(box_wait(b, &c.init), 1);
	expect_output(&c.init, "");
	box_remove(b, &c);
}

Test(launch, gate_that_never_opens)
{
	in_box(body_gate);
}

static void
body_exec(struct box *b)
{
	struct box_container c;
	struct box_process p;
	Grpc__Spec *s = spec_new(BOX_ROOT);
	Grpc__Process *x = spec_exec();

	spec_args(s->process, "/bin/sleep", "100", NULL);
	REQUIRE_EQ(box_launch(b, &c, "c1", s), 0);
	box_start(&c);
	spec_sh(x, "echo $$; readlink /proc/1/exe; exit 3");
	REQUIRE_EQ(box_exec(b, &c, x, &p), 0);
	REQUIRE_EQ(box_wait(b, &p), 3);
	REQUIRE_HAS(p.output, "/bin/busybox\n");
	REQUIRE_NE(p.output[0], '1');
	spec_args(x, "nothing-here", NULL);
	REQUIRE_LT(box_exec(b, &c, x, &p), 0);
	REQUIRE_EQ(b->error.code, ERROR_INVALID_ARGUMENT);
	REQUIRE_HAS(b->error.msg, "the file nothing-here was not found");
	/* Missing fields are the container's: capabilities, no_new_privs. */
	spec_args(x, "/bin/grep", "-E", "CapEff|NoNewPrivs", "/proc/self/status", NULL);
	REQUIRE_EQ(box_exec(b, &c, x, &p), 0);
	REQUIRE_EQ(box_wait(b, &p), 0);
	expect_output(&p, "CapEff:\t00000000a80425fb\nNoNewPrivs:\t1\n");
	box_remove(b, &c);
	REQUIRE_EQ(c.init.status, 128 + SIGKILL);
	b->error = ERROR_INIT;
}

Test(launch, exec)
{
	in_box(body_exec);
}

static void
body_exec_dead(struct box *b)
{
	struct box_container c;
	struct box_process p;
	Grpc__Spec *s = spec_new(BOX_ROOT);
	Grpc__Process *x = spec_exec();

	REQUIRE_EQ(box_launch(b, &c, "c1", s), 0);
	box_start(&c);
	while (!c.init.ended)
		REQUIRE_OK(loop_run_once(b->loop, 10, &b->error), &b->error);
	spec_sh(x, "echo no");
	REQUIRE_LT(box_exec(b, &c, x, &p), 0);
	REQUIRE_EQ(b->error.code, ERROR_NOT_FOUND);
	box_remove(b, &c);
}

Test(launch, exec_without_init)
{
	in_box(body_exec_dead);
}

static void
body_tty(struct box *b)
{
	struct winsize size = { .ws_row = 33, .ws_col = 77 };
	Grpc__Box console = GRPC__BOX__INIT;
	struct box_container c;
	struct box_process p;
	Grpc__Spec *s = spec_new(BOX_ROOT);
	Grpc__Process *x = spec_exec();

	s->process->terminal = true;
	s->process->user->uid = 1000;
	console.height = 11;
	console.width = 22;
	s->process->consolesize = &console;
	spec_sh(s->process,
		"tty; stty size; stat -c '%u %t:%T' /dev/console /dev/pts/0; read line; stty size; "
		"echo got $line");
	REQUIRE_EQ(box_launch(b, &c, "c1", s), 0);
	REQUIRE_GE(c.init.pty, 0);
	box_start(&c);
	box_expect(b, &c.init, "/dev/pts/0\r\n11 22\r\n1000 88:0\r\n1000 88:0\r\n");
	REQUIRE_EQ(ioctl(c.init.pty, TIOCSWINSZ, &size), 0);
	x->terminal = true;
	spec_sh(x, "tty; echo $$ > /dev/tty; cat");
	REQUIRE_EQ(box_exec(b, &c, x, &p), 0);
	box_expect(b, &p, "/dev/pts/1\r\n");
	REQUIRE_EQ(write(p.pty, "\x04", 1), 1);
	REQUIRE_EQ(box_wait(b, &p), 0);
	REQUIRE_EQ(write(c.init.pty, "word\n", 5), 5);
	REQUIRE_EQ(box_wait(b, &c.init), 0);
	REQUIRE_HAS(c.init.output, "33 77\r\ngot word\r\n");
	box_remove(b, &c);
}

Test(launch, terminal)
{
	in_box(body_tty);
}

static void
body_failures(struct box *b)
{
	Grpc__Spec *s = spec_new(BOX_ROOT);

	spec_args(s->process, "/bin/nothing", NULL);
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "the file /bin/nothing was not found");
	s = spec_new("/box/nowhere");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "/box/nowhere");
	REQUIRE_EQ(symlink("root", "/box/link"), 0);
	s = spec_new("/box/link");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "/box/link");
	s = spec_new(BOX_ROOT);
	spec_mount(s, "/x", "tmpfs", "x", "nosuid,colour=blue");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "colour=blue");
	s = spec_new(BOX_ROOT);
	spec_mount(s, "/x", "nofs", "x", "");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "nofs");
	s = spec_new(BOX_ROOT);
	spec_mount(s, "/x", "bind", "/box/none", "rbind");
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "/box/none");
	s = spec_new(BOX_ROOT);
	s->process->cwd = "/bin/busybox";
	box_refuse(b, s, ERROR_INVALID_ARGUMENT, "working directory");
}

/* Its OOM kills would go unnoticed. */
static void
body_unwatched_cgroup(struct box *b)
{
	if (b->roots.cgroup < 0)
		return;
	b->refuses_cgroup = true;
	box_refuse(b, spec_new(BOX_ROOT), ERROR_RESOURCE_EXHAUSTED, "no watches are left");
}

Test(launch, cgroup_that_cannot_be_watched_fails_it)
{
	in_box(body_unwatched_cgroup);
}

Test(launch, failures_leave_nothing)
{
	in_box(body_failures);
}

static void
body_process(struct box *b)
{
	struct box_container c;
	Grpc__Spec *s = spec_new(BOX_ROOT);

	/* environment as it is, HOME from the container's passwd, a directory made for it */
	spec_env(s->process, "KEY=  two  words ");
	spec_env(s->process, "dropped");
	s->process->user->uid = 1000;
	s->process->user->gid = 1001;
	s->process->cwd = "/made/here";
	box_sh(b, s, "echo \"$KEY|$HOME\"; pwd; umask; id -u; id -g; stat -c %U /made/here",
	       "  two  words |/home/user\n/made/here\n0022\n1000\n1001\nroot\n");
	/* /dev/stdout can be opened again by the container's user */
	box_sh(b, s, "echo again > /dev/stdout; cat /proc/self/oom_score_adj; ulimit -n",
	       "again\n0\n1024\n");
	s = spec_new(BOX_ROOT);
	s->process->oomscoreadj = 321;
	spec_rlimit(s->process, "RLIMIT_NOFILE", 77, 99);
	box_sh(b, s, "cat /proc/self/oom_score_adj; ulimit -n; ulimit -Hn", "321\n77\n99\n");
	s->root->readonly = true;
	box_sh(b, s, "touch /x 2>&1; touch /run/y && echo fine",
	       "touch: /x: Read-only file system\nfine\n");
	/* signals as they are in a fresh process */
	s = spec_new(BOX_ROOT);
	spec_args(s->process, "/bin/grep", "-E", "Sig(Blk|Ign)", "/proc/self/status", NULL);
	REQUIRE_EQ(box_run(b, &c, s), 0);
	expect_output(&c.init, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

Test(launch, process_attributes)
{
	in_box(body_process);
}

static void
body_exit_codes(struct box *b)
{
	struct box_container c;
	Grpc__Spec *s = spec_new(BOX_ROOT);

	box_write(BOX_ROOT "/bin/data", "not a program");
	spec_args(s->process, "/bin/data", NULL);
	REQUIRE_EQ(box_run(b, &c, s), 126);
	box_write(BOX_ROOT "/bin/script", "#!/no/interpreter\n");
	REQUIRE_EQ(chmod(BOX_ROOT "/bin/script", 0755), 0);
	spec_args(s->process, "/bin/script", NULL);
	REQUIRE_EQ(box_run(b, &c, s), 127);
	s = spec_new(BOX_ROOT);
	spec_sh(s->process, "sh -c 'kill -TERM $$'; exit $?");
	REQUIRE_EQ(box_run(b, &c, s), 143);
}

Test(launch, exit_codes)
{
	in_box(body_exit_codes);
}

static int
work_sandbox_ns(struct worker *w, void *arg, struct error *err)
{
	struct box *b = arg;
	char name[65] = "";
	int ipc = -1, uts = -1;

	(void)b;
	if (sandbox_namespaces_make(w, "pod-name", &ipc, &uts, err) < 0)
		return -1;
	/* The worker's own namespaces are unchanged. */
	if (gethostname(name, sizeof(name)) < 0 || strcmp(name, "pod-name") == 0)
		return error_set(err, ERROR_INTERNAL, "the worker's own host name is %s", name);
	if (setns(uts, CLONE_NEWUTS) < 0 || setns(ipc, CLONE_NEWIPC) < 0)
		return error_sys(err, "enter");
	if (gethostname(name, sizeof(name)) < 0 || strcmp(name, "pod-name") != 0)
		return error_set(err, ERROR_INTERNAL, "host name is %s", name);
	return 0;
}

static void
body_sandbox_ns(struct box *b)
{
	REQUIRE_EQ(box_work(b, work_sandbox_ns, b), 0);
}

Test(launch, sandbox_namespaces)
{
	in_box(body_sandbox_ns);
}

static void
body_shared(struct box *b)
{
	struct box_container first, second;
	Grpc__Spec *s = spec_new(BOX_ROOT), *t = spec_new(BOX_ROOT);
	struct box_process p;
	Grpc__Process *x = spec_exec();

	s->hostname = "one";
	spec_args(s->process, "/bin/sleep", "100", NULL);
	b->sends_pid_ns = true;
	REQUIRE_EQ(box_launch(b, &first, "c1", s), 0);
	b->sends_pid_ns = false;
	REQUIRE_GE(first.ns[NS_PID], 0);
	box_start(&first);
	/* the second is in the first's pid, ipc and uts namespaces, and names that */
	b->sandbox_ns[NS_PID] = first.ns[NS_PID];
	b->pidns_owner = first.init.pidfd;
	b->sandbox_ns[NS_UTS] = first.ns[NS_UTS];
	b->sandbox_ns[NS_IPC] = first.ns[NS_IPC];
	t->hostname = "two";
	spec_sh(t->process, "hostname; readlink /proc/1/exe; cat /proc/1/comm");
	REQUIRE_EQ(box_launch(b, &second, "c2", t), 0);
	box_start(&second);
	/* SIGKILL to all of it takes the second's processes only */
	REQUIRE_EQ(box_wait(b, &second.init), 0);
	expect_output(&second.init, "two\n/bin/busybox\nsleep\n");
	/* its pid namespace lives on without it: a process can still be started */
	spec_sh(x, "echo alive; hostname");
	REQUIRE_EQ(box_exec(b, &second, x, &p), 0);
	REQUIRE_EQ(box_wait(b, &p), 0);
	expect_output(&p, "alive\ntwo\n");
	box_remove(b, &second);
	REQUIRE(!first.init.ended);
	for (size_t i = 0; i < NS_KINDS; i++)
		b->sandbox_ns[i] = -1;
	b->pidns_owner = -1;
	box_remove(b, &first);
}

Test(launch, shared_namespaces)
{
	in_box(body_shared);
}

static void
body_user_ns(struct box *b)
{
	struct box_container c;
	struct box_process p;
	Grpc__Spec *s = spec_new(BOX_ROOT);
	Grpc__Process *x = spec_exec();

	spec_user_namespace(s, 100000);
	s->hostname = "inner";
	s->process->terminal = false;
	spec_sh(s->process,
		"id -u; cat /proc/self/uid_map | sed 's/  */ /g'; hostname; "
		"stat -c %t:%T /dev/null; echo x > /dev/null && echo ok; touch /sys/x 2>&1; "
		"ls /dev/shm /dev/mqueue; stat -c %u /dev/pts; sleep 100");
	REQUIRE_EQ(box_launch(b, &c, "c1", s), 0);
	box_start(&c);
	box_expect(b, &c.init, "0\n 0 100000 65536\ninner\n1:3\nok\ntouch: /sys/x: ");
	box_expect(b, &c.init, "0\n");
	spec_sh(x, "id -u; hostname; cat /proc/self/uid_map | sed 's/  */ /g'");
	REQUIRE_EQ(box_exec(b, &c, x, &p), 0);
	REQUIRE_EQ(box_wait(b, &p), 0);
	expect_output(&p, "0\ninner\n 0 100000 65536\n");
	box_remove(b, &c);
}

Test(launch, user_namespace)
{
	in_box(body_user_ns);
}
