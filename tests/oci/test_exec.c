/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ExecProcess with the messages of both host runtimes: the Go one sends args, env, cwd, user and
 * terminal, the Rust one a whole process. Unset fields are taken from the container. See oci.h.
 */
#include <string.h>

#include "agent.pb-c.h"
#include "lib/client_texts.h"
#include "lib/ttrpc/client.h"
#include "tests/oci/oci.h"

#define ID "joined"

#define STATUS                                                                   \
	"grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status | tr -d '\\t'; " \
	"cat /proc/self/oom_score_adj; ulimit -n"

/* Returns the spec of a container that sleeps and can run execs. */
static Grpc__Spec *
sleeper(struct oci *t)
{
	return oci_sh(t, "echo ready; sleep 1000");
}

static int
up(struct oci *t, Grpc__Spec *spec)
{
	if (oci_launch(t, ID, spec) < 0 || oci_read_line(t, ID, "", "ready") < 0) {
		CHECK(false, "the container does not run: %s", t->err.msg);
		return -1;
	}
	return 0;
}

static Grpc__Process *
shell(struct oci *t, const char *script)
{
	return oci_process(t, ARGS("/bin/sh", "-c", script));
}

/* ExecProcess fails with that code and an error text that contains `part`. */
static void
refused(struct oci *t, Grpc__Process *p, enum error_code code, const char *part)
{
	int result = oci_exec(t, ID, "refused", p);

	CHECK_FAILS(result, &t->err, code, part, "%d, %s: %s; wanted \"%s\"", result,
		    error_code_name(t->err.code), t->err.msg, part);
}

static void
user(struct oci *t)
{
	static uint32_t more[] = { 10, 11 };
	Grpc__Process *p = shell(t, "id -u; id -g; id -G; echo again > /dev/stdout");
	Grpc__Spec *spec = sleeper(t);

	spec->process->user->uid = 5;
	if (up(t, spec) < 0)
		return;
	p->user->uid = 1000;
	p->user->gid = 1001;
	p->user->additionalgids = more;
	p->user->n_additionalgids = 2;
	OCI_EXEC_PRINTS(t, ID, p, "1000\n1001\n1001 10 11\nagain\n");
	/* A user in the message is used, even root; without one, the container's is used. */
	grpc__user__init(p->user);
	OCI_EXEC_PRINTS(t, ID, p, "0\n0\n0\nagain\n");
	p->user = NULL;
	OCI_EXEC_PRINTS(t, ID, p, "5\n0\n0\nagain\n");
}

static void
username(struct oci *t)
{
	Grpc__Process *p = shell(t, "id -u; id -G; echo $HOME");

	(void)oci_rootfs(t);
	oci_file(t, "etc/passwd", 0644, "app:x:1000:1001::/home/app:/bin/sh\n");
	oci_file(t, "etc/group", 0644, "app:x:1001:\nwheel:x:10:a,app\n");
	if (up(t, sleeper(t)) < 0)
		return;
	p->user->username = oci_str(t, "app");
	OCI_EXEC_PRINTS(t, ID, p, "1000\n1001 10\n/home/app\n");
	p->user->username = oci_str(t, "nobody");
	refused(t, p, ERROR_INVALID_ARGUMENT, "user \"nobody\" was not found in /etc/passwd");
	oci_unlink(t, "etc/passwd");
	refused(t, p, ERROR_INVALID_ARGUMENT, "/etc/passwd");
}

static void
program(struct oci *t)
{
	Grpc__Process *p = oci_process(t, ARGS("/bin/echo", "a b", "", "c"));
	char out[64];

	(void)oci_rootfs(t);
	oci_dir(t, "special", 0755);
	oci_file(t, "special/program", 0755, "#!/bin/sh\necho \"<$KEY>\"; pwd\n");
	oci_file(t, "data", 0755, "no program");
	oci_file(t, "script", 0755, "#!/no/interpreter\n");
	if (up(t, sleeper(t)) < 0)
		return;
	OCI_EXEC_PRINTS(t, ID, p, "a b  c\n");
	p->args = oci_strings(t, &p->n_args, ARGS("program"));
	p->env = oci_strings(t, &p->n_env,
			     ARGS("PATH=/bin", "KEY=y", "KEY= x ", "PATH=/none:/special:/bin"));
	p->cwd = oci_str(t, "/special");
	OCI_EXEC_PRINTS(t, ID, p, "< x >\n/special\n");
	p->args = oci_strings(t, &p->n_args, ARGS("nowhere"));
	refused(t, p, ERROR_INVALID_ARGUMENT, "the file nowhere was not found");
	p->args = oci_strings(t, &p->n_args, ARGS("/data"));
	CHECK_EQ(oci_exec_run(t, ID, p, out, sizeof(out)), 126, "no program");
	p->args = oci_strings(t, &p->n_args, ARGS("/script"));
	CHECK_EQ(oci_exec_run(t, ID, p, out, sizeof(out)), 127, "no interpreter");
	/* A missing directory is created for a container, but not for an exec. */
	p->cwd = oci_str(t, "/special/none");
	refused(t, p, ERROR_INVALID_ARGUMENT, "working directory /special/none");
}

static void
cwd_escape(struct oci *t)
{
	Grpc__Process *p = shell(t, "true");
	char out[64];
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	/* A link created by the container is resolved within its root. */
	spec = oci_sh(
		t, "ln -s /proc/self/fd/5 /fd; ln -s ../../../../.. /up; echo ready; sleep 1000");
	if (up(t, spec) < 0)
		return;
	for (int fd = 0; fd < 64; fd++) {
		p->cwd = oci_str(t, "/proc/self/fd/%d", fd);
		refused(t, p, ERROR_INVALID_ARGUMENT, "working directory");
	}
	p->cwd = oci_str(t, "/proc/1/root");
	refused(t, p, ERROR_INVALID_ARGUMENT, "working directory");
	p->cwd = oci_str(t, "/proc/self/cwd");
	refused(t, p, ERROR_INVALID_ARGUMENT, "working directory");
	p->cwd = oci_str(t, "/fd");
	refused(t, p, ERROR_INVALID_ARGUMENT, "working directory");
	p->cwd = oci_str(t, "/up");
	p->args = oci_strings(t, &p->n_args, ARGS("/bin/oci-probe", "getcwd"));
	CHECK(oci_exec_run(t, ID, p, out, sizeof(out)) == 0 && strcmp(out, "/ /\n") == 0, "%s",
	      out);
}

static void
terminal(struct oci *t)
{
	Grpc__Process *p =
		shell(t, "tty; stty size; test -t 2 && stat -c %u $(tty); cat /proc/self/stat "
			 "| cut -d' ' -f7; oci-probe fds | cut -d' ' -f1");

	if (up(t, sleeper(t)) < 0)
		return;
	p->terminal = true;
	p->user->uid = 1000;
	(void)OCI_MSG(t, p->consolesize, grpc__box__init);
	p->consolesize->height = 44;
	p->consolesize->width = 99;
	OCI_EXEC_PRINTS(t, ID, p, "/dev/pts/0\r\n44 99\r\n1000\r\n34816\r\n0\r\n1\r\n2\r\n");
	p->terminal = false;
	p->args = oci_strings(t, &p->n_args, ARGS("/bin/sh", "-c", "tty; oci-probe fds | wc -l"));
	OCI_EXEC_PRINTS(t, ID, p, "not a tty\n3\n");
}

static Grpc__Spec *
restricted(struct oci *t)
{
	Grpc__Spec *spec = sleeper(t);

	oci_caps(t, spec->process, "CAP_CHOWN,CAP_KILL");
	oci_rlimit(t, spec->process, "RLIMIT_NOFILE", 77, 99);
	spec->process->nonewprivileges = true;
	spec->process->oomscoreadj = 321;
	oci_seccomp(t, spec, "swapon", "SCMP_ACT_ERRNO");
	return spec;
}

/* The Go runtime sends no restrictions: those of the container apply. */
static void
go_shape(struct oci *t)
{
	if (up(t, restricted(t)) < 0)
		return;
	OCI_EXEC_PRINTS(
		t, ID, shell(t, STATUS),
		"CapInh:0000000000000021\nCapPrm:0000000000000021\nCapEff:0000000000000021\n"
		"CapBnd:0000000000000021\nCapAmb:0000000000000021\nNoNewPrivs:1\nSeccomp:2\n"
		"321\n77\n");
}

/* The Rust runtime sends a whole process: its restrictions apply, except the seccomp profile,
 * which is not part of a process. */
static void
rust_shape(struct oci *t)
{
	Grpc__Process *p = shell(t, STATUS "; ulimit -Hn");

	if (up(t, restricted(t)) < 0)
		return;
	(void)OCI_MSG(t, p->capabilities, grpc__linux_capabilities__init);
	oci_caps(t, p, "CAP_NET_RAW");
	oci_rlimit(t, p, "RLIMIT_NOFILE", 55, 66);
	p->nonewprivileges = false;
	p->oomscoreadj = 500;
	OCI_EXEC_PRINTS(
		t, ID, p,
		"CapInh:0000000000002000\nCapPrm:0000000000002000\nCapEff:0000000000002000\n"
		"CapBnd:0000000000002000\nCapAmb:0000000000002000\nNoNewPrivs:0\nSeccomp:2\n"
		"500\n55\n66\n");
	p->nonewprivileges = true;
	p->args = oci_strings(t, &p->n_args, ARGS("/bin/grep", "NoNewPrivs", "/proc/self/status"));
	OCI_EXEC_PRINTS(t, ID, p, "NoNewPrivs:\t1\n");
	p->capabilities->bounding = oci_words(t, "CAP_NO_SUCH", &p->capabilities->n_bounding);
	OCI_EXEC_PRINTS(t, ID, p, "NoNewPrivs:\t1\n");
	oci_rlimit(t, p, "RLIMIT_NO_SUCH", 1, 1);
	refused(t, p, ERROR_INVALID_ARGUMENT, "RLIMIT_NO_SUCH");
}

/* Each capability set of an exec has a visible effect, as for a container. */
static void
capabilities(struct oci *t)
{
	Grpc__Process *p = shell(t, "grep Cap /proc/self/status | tr -d '\\t'");
	Grpc__LinuxCapabilities *c;

	(void)oci_rootfs(t);
	oci_dir(t, "hidden", 0700);
	oci_link(t, "hidden/echo", "/bin/busybox");
	if (up(t, sleeper(t)) < 0)
		return;
	c = OCI_MSG(t, p->capabilities, grpc__linux_capabilities__init);
	c->bounding = oci_words(t, "CAP_CHOWN,CAP_KILL,CAP_SETUID", &c->n_bounding);
	c->permitted = oci_words(t, "CAP_CHOWN,CAP_KILL", &c->n_permitted);
	p->nonewprivileges = true;
	OCI_EXEC_PRINTS(
		t, ID, p,
		"CapInh:0000000000000000\nCapPrm:0000000000000021\nCapEff:0000000000000021\n"
		"CapBnd:00000000000000a1\nCapAmb:0000000000000000\n");
	p->user->uid = 1000;
	c->inheritable = oci_words(t, "CAP_KILL,CAP_CHOWN", &c->n_inheritable);
	c->ambient = oci_words(t, "CAP_KILL", &c->n_ambient);
	OCI_EXEC_PRINTS(
		t, ID, p,
		"CapInh:0000000000000021\nCapPrm:0000000000000020\nCapEff:0000000000000020\n"
		"CapBnd:00000000000000a1\nCapAmb:0000000000000020\n");
	grpc__linux_capabilities__init(c);
	c->permitted = oci_words(t, "CAP_DAC_OVERRIDE", &c->n_permitted);
	c->effective = oci_words(t, "CAP_DAC_OVERRIDE", &c->n_effective);
	p->args = oci_strings(t, &p->n_args, ARGS("/hidden/echo", "found"));
	OCI_EXEC_PRINTS(t, ID, p, "found\n");
}

/* With CAP_SYS_PTRACE in the guest's own user namespace, a process may inspect every process it
 * sees. A process being set up must hold nothing of the guest: no root, no directory, no open
 * file. */
static void
holds_nothing(struct oci *t)
{
	Grpc__Spec *spec;
	char out[OCI_OUT];

	(void)oci_rootfs(t);
	oci_dir(t, "tmp", 0777);
	spec = oci_spec(t, ARGS("/bin/oci-probe", "snoop-guest", "/tmp/stop"));
	oci_caps(t, spec->process, "CAP_SYS_PTRACE,CAP_SYS_ADMIN,CAP_DAC_OVERRIDE,CAP_KILL");
	if (!CHECK_OK(oci_launch(t, ID, spec), &t->err))
		return;
	if (!CHECK_OK(oci_read_line(t, ID, "", "armed"), &t->err))
		return;
	for (int i = 0; i < 50; i++) {
		Grpc__Process *p = oci_process(t, ARGS("/bin/true"));

		p->terminal = i % 2;
		CHECK_OK(oci_exec_run(t, ID, p, out, sizeof(out)), &t->err);
	}
	oci_file(t, "tmp/stop", 0644, "");
	CHECK_GT(oci_read(t, ID, "", out, sizeof(out)), 0, "%s", t->err.msg);
	CHECK_STR(out, "done\n", "within reach: %.2000s", out);
}

#define MARKER_BEGIN "the-secret-of-"
#define MARKER_END   "another-container"

static void
ignore_reply(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	(void)data;
	(void)failure;
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

/* Leaves secrets of another container of the pod with the agent: its environment, and a call
 * that the agent holds until its process reads. */
static void
leave_secrets(struct oci *t)
{
	static char much[1 << 20];
	Grpc__Spec *spec = oci_sh(t, "exec sleep 3600");
	Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;

	oci_append(t, &spec->process->env, &spec->process->n_env, "TOKEN=" MARKER_BEGIN MARKER_END);
	if (!CHECK_OK(oci_launch(t, "other", spec), &t->err))
		return;
	for (size_t i = 0; i + sizeof(MARKER_BEGIN MARKER_END) < sizeof(much);
	     i += sizeof(MARKER_BEGIN MARKER_END))
		memcpy(much + i, MARKER_BEGIN MARKER_END, sizeof(MARKER_BEGIN MARKER_END));
	q.container_id = oci_str(t, "other");
	q.exec_id = oci_str(t, "other");
	q.data.data = (uint8_t *)much;
	q.data.len = sizeof(much);
	CHECK(ttrpc_client_start(t->h.client, &grpc__agent_service__descriptor, "WriteStdin",
				 &q.base, 0, ignore_reply, NULL, &t->err),
	      "%s", t->err.msg);
}

/* Traces, at every possible instant, each process that is set up for a container whose processes
 * may trace: it must have no privilege and no memory that is not the container's. Returns false
 * if the tracer has seen no process. */
static bool
traced_round(struct oci *t, const char *filter, bool no_new_privs)
{
	/* The sanitizers need the memory that would be cleared. */
	bool looks_at_memory = t->is_vm || t->h.is_product;
	const char *const args[] = { "/bin/oci-probe", "trace",
				     "/tmp/stop",      looks_at_memory ? MARKER_BEGIN : NULL,
				     MARKER_END,       NULL };
	Grpc__Spec *spec;
	char out[OCI_OUT] = "";
	bool is_armed, seen;

	(void)oci_rootfs(t);
	oci_dir(t, "tmp", 0777);
	leave_secrets(t);
	spec = oci_spec(t, args);
	oci_caps(t, spec->process, "CAP_SYS_PTRACE,CAP_CHOWN");
	spec->process->nonewprivileges = no_new_privs;
	if (filter)
		(void)oci_seccomp(t, spec, filter, "SCMP_ACT_ERRNO");
	is_armed = oci_launch(t, ID, spec) == 0 && oci_read_line(t, ID, "", "armed") == 0;
	CHECK(is_armed, "%s", t->err.msg);
	if (!is_armed)
		return true;
	for (int i = 0; i < 25; i++) {
		Grpc__Process *p = oci_process(t, ARGS("/bin/true"));

		p->terminal = i % 2;
		CHECK_OK(oci_exec_run(t, ID, p, out, sizeof(out)), &t->err);
	}
	oci_file(t, "tmp/stop", 0644, "");
	CHECK_GT(oci_read(t, ID, "", out, sizeof(out)), 0, "%s", t->err.msg);
	seen = strcmp(out, "nothing seen\n") != 0;
	CHECK(!seen || strcmp(out, "done\n") == 0, "within reach: %.2000s", out);
	CHECK(oci_remove(t, ID) == 0 && oci_remove(t, "other") == 0, "%s", t->err.msg);
	oci_unlink(t, "tmp/stop");
	return seen;
}

/* The window is short: on a busy machine, the tracer may miss a whole round. */
static void
traced(struct oci *t, const char *filter, bool no_new_privs)
{
	bool seen = false;

	for (int i = 0; i < 8 && !seen; i++)
		seen = traced_round(t, filter, no_new_privs);
	CHECK(seen, "no process was seen during its set-up");
}

#define ADMIN_LIMITED " has capabilities 200000, seccomp 2"
#define ADMIN         " has capabilities 200000, seccomp 0"

/* Starts a container in the shared pid namespace that traces processes being set up there. */
static void
start_tracer(struct oci *t)
{
	const char *const args[] = {
		"/bin/oci-probe", "trace",
		"/tmp/stop",      t->is_vm || t->h.is_product ? MARKER_BEGIN : NULL,
		MARKER_END,       NULL
	};
	Grpc__CreateContainerRequest *q;
	Grpc__Spec *spec;

	/* In a VM, the sandbox has had a container before, which owns the pid namespace. */
	(void)oci_rootfs(t);
	oci_dir(t, "tmp", 0777);
	if (!t->is_vm)
		if (!CHECK_OK(oci_launch(t, "pause", sleeper(t)), &t->err))
			return;
	leave_secrets(t);
	spec = oci_spec(t, args);
	oci_caps(t, spec->process, "CAP_SYS_PTRACE,CAP_CHOWN");
	q = oci_request(t, ID, spec);
	q->sandbox_pidns = true;
	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, ID) == 0, "%s", t->err.msg))
		return;
	if (!CHECK_OK(oci_read_line(t, ID, "", "armed"), &t->err))
		return;
}

/* Runs one container next to the tracer. */
static void
run_traced(struct oci *t, Grpc__Spec *spec, char *out, size_t size)
{
	Grpc__CreateContainerRequest *q = oci_request(t, "next", spec);

	*out = '\0';
	q->sandbox_pidns = true;
	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "next") == 0, "%s", t->err.msg))
		return;
	CHECK_GE(oci_read(t, "next", "", out, size), 0, "%s", t->err.msg);
	CHECK_EQ(oci_wait(t, "next", ""), 0, "%s", out);
	CHECK_OK(oci_remove(t, "next"), &t->err);
}

/* Ends the tracer, which must have seen at most the remainder `left`. */
static void
end_tracer(struct oci *t, const char *left)
{
	char out[OCI_OUT], *rest = out, *line;

	oci_file(t, "tmp/stop", 0644, "");
	CHECK_GT(oci_read(t, ID, "", out, sizeof(out)), 0, "%s", t->err.msg);
	while ((line = strsep(&rest, "\n"))) {
		size_t n = strlen(line), n_left = left ? strlen(left) : 0;

		if (!*line || strcmp(line, "done") == 0 || strcmp(line, "nothing seen") == 0)
			continue;
		CHECK(left && n > n_left && strcmp(line + n - n_left, left) == 0,
		      "within reach: %s", line);
	}
}

/* The first processes of containers that share the pid namespace with a tracing one. */
static void
traced_launch(struct oci *t)
{
	char out[OCI_OUT];

	start_tracer(t);
	for (int i = 0; i < 12; i++) {
		Grpc__Spec *spec = oci_sh(t, "ls /proc/1/comm; readlink /proc/self");

		spec->process->terminal = i % 2;
		oci_caps(t, spec->process, "CAP_CHOWN");
		if (i % 3 == 0)
			(void)oci_seccomp(t, spec, "mkdir", "SCMP_ACT_ERRNO");
		spec->process->nonewprivileges = i % 4 == 0;
		run_traced(t, spec, out, sizeof(out));
		CHECK(strncmp(out, "/proc/1/comm", 12) == 0, "%s", out);
	}
	end_tracer(t, NULL);
}

/* As above, each container with its own user namespace; an exec joins both. */
static void
traced_userns(struct oci *t)
{
	char out[OCI_OUT];

	start_tracer(t);
	for (int i = 0; i < 8; i++) {
		Grpc__Spec *spec = oci_sh(t, "awk '{ print $2 }' /proc/self/uid_map; id -u; "
					     "ls /proc/1/comm; cat /proc/sys/kernel/hostname");

		spec->process->terminal = i % 2;
		spec->hostname = oci_str(t, "own");
		oci_userns(t, spec, 100000, 65536);
		oci_caps(t, spec->process, "CAP_CHOWN");
		if (i % 3 == 0)
			(void)oci_seccomp(t, spec, "mkdir", "SCMP_ACT_ERRNO");
		if (i % 4 == 0)
			oci_namespace(t, spec, "network", "");
		run_traced(t, spec, out, sizeof(out));
		CHECK(strncmp(out, "100000", 6) == 0 && strstr(out, "\n0") &&
			      strstr(out, "/proc/1/comm") && strstr(out, "own"),
		      "%s", out);
	}
	end_tracer(t, NULL);
}

static void
userns_exec(struct oci *t)
{
	Grpc__CreateContainerRequest *q;
	Grpc__Spec *spec = sleeper(t);

	if (!t->is_vm)
		if (!CHECK_OK(oci_launch(t, "pause", sleeper(t)), &t->err))
			return;
	oci_userns(t, spec, 100000, 65536);
	q = oci_request(t, ID, spec);
	q->sandbox_pidns = true;
	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, ID) == 0, "%s", t->err.msg))
		return;
	if (!CHECK_OK(oci_read_line(t, ID, "", "ready"), &t->err))
		return;
	OCI_EXEC_PRINTS(t, ID,
			shell(t, "awk '{ print $2 }' /proc/self/uid_map; ls /proc/1/comm; "
				 "test -e /proc/$$/comm && echo here"),
			"100000\n/proc/1/comm\nhere\n");
}

/* Additional mounts of procfs are copies. For one with options, an agent process that can only
 * open it is briefly in the pid namespace. */
static void
traced_procfs(struct oci *t, const char *options, const char *left)
{
	char out[OCI_OUT];

	start_tracer(t);
	for (int i = 0; i < 8; i++) {
		Grpc__Spec *spec = oci_sh(t, "ls /proc/1/comm /other/1/comm; grep ' /other proc "
					     "ro,.*subset=pid' /proc/mounts | wc -l; "
					     "test -e /other/meminfo || echo no memory; "
					     "grep -c ' /proc proc rw,[a-z,]* 0 0$' /proc/mounts");

		oci_dir(t, "other", 0755);
		(void)oci_mount(t, spec, "/other", "proc", "proc", options);
		oci_caps(t, spec->process, "CAP_CHOWN");
		run_traced(t, spec, out, sizeof(out));
		CHECK_STR(out, left ? "/other/1/comm\n/proc/1/comm\n1\nno memory\n1\n"
				    : "/other/1/comm\n/proc/1/comm\n0\n1\n");
	}
	end_tracer(t, left);
}

static void
traced_procfs_copies(struct oci *t)
{
	traced_procfs(t, "nosuid", NULL);
}

static void
traced_procfs_options(struct oci *t)
{
	traced_procfs(t, "ro,subset=pid", ADMIN_LIMITED);
}

static void
add_hook(struct oci *t, Grpc__Spec *spec, size_t *n, Grpc__Hook ***list, const char *name)
{
	bool is_inside = strcmp(name, "start") == 0;
	const char *root = is_inside ? "" : spec->root->path;
	/* These kinds do not inspect the process before its program runs. */
	const char *whose = is_inside || strcmp(name, "create") == 0 ? "self" : "$p";
	Grpc__Hook *h = OCI_ADD(t, *list, *n, grpc__hook__init);
	/* A startContainer hook runs in the program's own pid namespace and sees the process by
	 * its number there. */
	const char *script = oci_str(t,
				     "p=$(%s/bin/busybox sed 's/.*\"pid\":\\([0-9]*\\),.*/\\1/'); "
				     "echo $p >%s/tmp/pid-%s; "
				     "{ %s/bin/busybox readlink /proc/%s/ns/mnt; "
				     "%s/bin/busybox readlink /proc/self/ns/pid; } >%s/tmp/ns-%s",
				     root, root, name, root, whose, root, root, name);

	h->path = oci_str(t, "%s/bin/busybox", root);
	h->args = oci_strings(t, &h->n_args, ARGS("sh", "-c", script));
}

/* A failing startContainer hook does not release the last process. */
static void
failing_hook(struct oci *t, bool has_userns)
{
	Grpc__Spec *spec = oci_sh(t, "echo ran >/tmp/ran");
	Grpc__Hooks *h = OCI_MSG(t, spec->hooks, grpc__hooks__init);
	Grpc__CreateContainerRequest *q;
	Grpc__Hook *hook;

	if (has_userns)
		oci_userns(t, spec, 100000, 65536);
	oci_caps(t, spec->process, "CAP_CHOWN");
	hook = OCI_ADD(t, h->startcontainer, h->n_startcontainer, grpc__hook__init);
	hook->path = oci_str(t, "/bin/busybox");
	hook->args = oci_strings(t, &hook->n_args, ARGS("sh", "-c", "echo not today; exit 3"));
	q = oci_request(t, "next", spec);
	q->sandbox_pidns = true;
	if (!CHECK_OK(oci_create_request(t, q), &t->err))
		return;
	CHECK_LT(oci_start(t, "next"), 0, "it was started");
	CHECK_HAS(t->err.msg, "exited with 3: not today");
	CHECK_OK(oci_remove(t, "next"), &t->err);
	CHECK(!*oci_file_text(t, "tmp/ran"), "the program has run");
}

/* Hooks of all kinds: none that can reach the guest's files runs in the pid namespace. */
static void
traced_hooks(struct oci *t, bool has_userns)
{
	static const char *const names[] = { "prestart", "runtime", "create", "start",
					     "poststart" };
	char out[OCI_OUT], *text, *mnt;

	/* The hooks have no capability to write to files of another user. */
	if (oci_needs_root(t))
		return;
	start_tracer(t);
	for (int i = 0; i < 4; i++) {
		/* A new name each time: the guest may cache files that the host removes. */
		const char *over = oci_str(t, "tmp/over-%d-%d", has_userns, i);
		Grpc__Spec *spec = oci_sh(t,
					  "echo $$; readlink /proc/self/ns/mnt; "
					  "readlink /proc/self/ns/pid; "
					  "until test -e /%s; do usleep 10000; done",
					  over);
		Grpc__Hooks *h = OCI_MSG(t, spec->hooks, grpc__hooks__init);
		Grpc__CreateContainerRequest *q;
		char *pid;

		if (has_userns)
			oci_userns(t, spec, 100000, 65536);
		oci_caps(t, spec->process, "CAP_CHOWN");
		if (i % 2)
			(void)oci_seccomp(t, spec, "mkdir", "SCMP_ACT_ERRNO");
		add_hook(t, spec, &h->n_prestart, &h->prestart, names[0]);
		add_hook(t, spec, &h->n_createruntime, &h->createruntime, names[1]);
		add_hook(t, spec, &h->n_createcontainer, &h->createcontainer, names[2]);
		add_hook(t, spec, &h->n_startcontainer, &h->startcontainer, names[3]);
		add_hook(t, spec, &h->n_poststart, &h->poststart, names[4]);
		q = oci_request(t, "next", spec);
		q->sandbox_pidns = true;
		if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "next") == 0, "%s",
			   t->err.msg))
			return;
		oci_file(t, over, 0644, "");
		CHECK_GT(oci_read(t, "next", "", out, sizeof(out)), 0, "%s", t->err.msg);
		CHECK_OK(oci_remove(t, "next"), &t->err);
		oci_unlink(t, over);
		mnt = strchr(out, '\n');
		if (!CHECK(mnt, "%s", out))
			return;
		*mnt++ = '\0';
		pid = oci_file_text(t, "tmp/pid-start");
		CHECK_EQ(strtol(pid, NULL, 10), strtol(out, NULL, 10), "%s is not %s", pid, out);
		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			bool is_inside = strcmp(names[k], "start") == 0;

			text = oci_file_text(t, oci_str(t, "tmp/ns-%s", names[k]));
			CHECK(strncmp(text, mnt, strcspn(mnt, "\n")) == 0, "%s: %s", names[k],
			      text);
			CHECK_EQ(strcmp(text, mnt) == 0, is_inside, "%s: %s", names[k], text);
		}
	}
	failing_hook(t, has_userns);
	end_tracer(t, NULL);
}

static void
traced_hooks_plain(struct oci *t)
{
	traced_hooks(t, false);
}

static void
traced_hooks_userns(struct oci *t)
{
	traced_hooks(t, true);
}

/* The remaining exposure: if a filter forbids a syscall of the last process, loading the filter
 * takes a capability until execve. */
static void
traced_filter(struct oci *t)
{
	char out[OCI_OUT];

	start_tracer(t);
	for (int i = 0; i < 6; i++) {
		Grpc__Spec *spec = oci_sh(t, "echo here");

		oci_caps(t, spec->process, "CAP_CHOWN");
		(void)oci_seccomp(t, spec, "setsid", "SCMP_ACT_ERRNO");
		run_traced(t, spec, out, sizeof(out));
		CHECK_STR(out, "here\n");
	}
	end_tracer(t, ADMIN);
}

static void
traced_exec(struct oci *t)
{
	traced(t, NULL, false);
	traced(t, "mkdir", false);
	traced(t, "mkdir", true);
}

/* An exec joins the container: all namespaces and the cgroup are shared, the session is its own. */
static void
joins(struct oci *t)
{
	if (up(t, sleeper(t)) < 0)
		return;
	OCI_EXEC_PRINTS(t, ID,
			shell(t,
			      "for n in mnt pid ipc uts cgroup net user time; do test $(readlink "
			      "/proc/1/ns/$n) = $(readlink /proc/self/ns/$n) || echo $n; done; "
			      "cmp /proc/1/cgroup /proc/self/cgroup && oci-probe umask; "
			      "test $(cut -d' ' -f6 /proc/self/stat) = $$ && echo session"),
			"0022\nsession\n");
}

/* An exec after the container's end fails at once, whether or not the host has read its status. */
static void
after_the_end(struct oci *t)
{
	if (up(t, sleeper(t)) < 0)
		return;
	CHECK_OK(oci_kill(t, ID, "", 9), &t->err);
	CHECK_EQ(oci_wait(t, ID, ""), 137, "killed");
	refused(t, shell(t, "true"), ERROR_NOT_FOUND, TEXT_PROCESS_NOT_FOUND);
}

/* In the sandbox's pid namespace, which belongs to another container, a parent for the exec
 * still exists. */
static void
after_the_end_shared(struct oci *t)
{
	Grpc__CreateContainerRequest *q;
	Grpc__Process *p = shell(t, "echo alive; cat /proc/1/comm");

	if (oci_launch(t, "first", sleeper(t)) < 0 || oci_read_line(t, "first", "", "ready") < 0) {
		CHECK(false, "%s", t->err.msg);
		return;
	}
	q = oci_request(t, ID, oci_sh(t, "echo ready"));
	q->sandbox_pidns = true;
	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, ID) == 0, "%s", t->err.msg))
		return;
	CHECK_OK(oci_wait(t, ID, ""), &t->err);
	OCI_EXEC_PRINTS(t, ID, p, "alive\nsleep\n");
	/* In a VM, the sandbox has had a container before. */
	if (t->is_vm)
		return;
	CHECK(oci_kill(t, "first", "", 9) == 0 && oci_wait(t, "first", "") == 137, "%s",
	      t->err.msg);
	refused(t, p, ERROR_NOT_FOUND, TEXT_PROCESS_NOT_FOUND);
}

#define FAILS(what) "failed to execute " what "\n"

/* The reason is written to the exec's stderr. */
static void
exec_failures(struct oci *t)
{
	static const struct {
		const char *program;
		int code;
		const char *says;
	} rows[] = {
		{ "/data", 126,
		  FAILS("/data: it is neither an ELF program nor a script that begins with #!: "
			"Exec format error") },
		{ "/script", 127,
		  FAILS("/script: its interpreter /no/interpreter does not exist: No such file or "
			"directory") },
		{ "/crlf", 127,
		  FAILS("/crlf: its first line ends with a carriage return (CR LF line ends), "
			"which becomes "
			"part of the interpreter's name /bin/sh: No such file or directory") },
		{ "/bin", 126, FAILS("/bin: it is a directory: Permission denied") },
	};
	char out[OCI_OUT];
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	oci_file(t, "data", 0755, "no program");
	oci_file(t, "script", 0755, "#!/no/interpreter\n");
	oci_file(t, "crlf", 0755, "#!/bin/sh\r\necho hello\r\n");
	if (!CHECK_OK(oci_launch(t, "c1", oci_sh(t, "sleep 3600")), &t->err))
		return;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *const args[] = { rows[i].program, NULL };

		if (!CHECK_OK(oci_launch(t, "failing", oci_spec(t, args)), &t->err))
			return;
		CHECK_GE(oci_read_err(t, "failing", "", out, sizeof(out)), 0, "%s", t->err.msg);
		CHECK_STR(out, rows[i].says);
		CHECK_EQ(oci_wait(t, "failing", ""), rows[i].code, "%s", args[0]);
		CHECK_OK(oci_remove(t, "failing"), &t->err);
		if (!CHECK_OK(oci_exec(t, "c1", "e1", oci_process(t, args)), &t->err))
			return;
		CHECK_GE(oci_read_err(t, "c1", "e1", out, sizeof(out)), 0, "%s", t->err.msg);
		CHECK_STR(out, rows[i].says, "exec: \"%s\"", out);
		CHECK_EQ(oci_wait(t, "c1", "e1"), rows[i].code, "exec of %s", args[0]);
	}
	CHECK_OK(oci_remove(t, "c1"), &t->err);
	/* A filter that kills on opening a file, and one that kills on writing. */
	spec = oci_spec(t, ARGS("/data"));
	(void)oci_seccomp(t, spec, "openat,statfs", "SCMP_ACT_KILL_PROCESS");
	if (!CHECK_OK(oci_launch(t, "c2", spec), &t->err))
		return;
	CHECK_GE(oci_read_err(t, "c2", "", out, sizeof(out)), 0, "%s", t->err.msg);
	CHECK_STR(out, FAILS("/data: Exec format error"));
	CHECK_EQ(oci_wait(t, "c2", ""), 126, "under a filter");
	spec = oci_spec(t, ARGS("/data"));
	(void)oci_seccomp(t, spec, "write", "SCMP_ACT_KILL_PROCESS");
	CHECK_EQ(oci_run(t, spec, out, sizeof(out)), 126, "under a filter without write");
}

const struct oci_case oci_exec_cases[] = {
	{ "exec.user", "an exec's user", user },
	{ "exec.user.username", "an exec's user by name", username },
	{ "exec.args", "an exec's program, environment and directory", program },
	{ "exec.terminal", "an exec's terminal", terminal },
	{ "exec.capabilities", "an exec's capability sets", capabilities },
	{ "exec", "an exec as the Go runtime sends it", go_shape },
	{ "exec", "an exec as the Rust runtime sends it", rust_shape },
	{ "exec", "an exec joins its container", joins },
	{ "exec", "an exec after the container's exit", after_the_end },
	{ "exec", "an exec after the exit in a shared pid namespace", after_the_end_shared },
	{ "state", "a failed execve reports the reason", exec_failures },
	{ "attack", "an exec's working directory outside the root", cwd_escape },
	{ "attack", "an exec being set up has no access to the guest", holds_nothing },
	{ "attack", "a traced exec being set up discloses nothing", traced_exec },
	{ "attack", "a traced container in a shared pid namespace discloses nothing",
	  traced_launch },
	{ "attack", "user namespace in a shared pid namespace, traced", traced_userns },
	{ "attack", "several procfs in a shared pid namespace, traced", traced_procfs_copies },
	{ "attack", "procfs options in a shared pid namespace, traced", traced_procfs_options },
	{ "attack", "hooks in a shared pid namespace, traced", traced_hooks_plain },
	{ "attack", "hooks and user namespace in a shared pid namespace, traced",
	  traced_hooks_userns },
	{ "attack", "a seccomp filter in a shared pid namespace, traced", traced_filter },
	{ "exec", "an exec in a user namespace and a shared pid namespace", userns_exec },
};
const size_t n_oci_exec_cases = ARRAY_LEN(oci_exec_cases);
