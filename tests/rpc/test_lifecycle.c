/* SPDX-License-Identifier: Apache-2.0 */
/* From create to remove: the process's environment, exit codes, signals, execs. */
#include <signal.h>
#include <string.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/loop.h"
#include "tests/rpc/harness.h"

static void
exit_codes(struct harness *h)
{
	static const struct {
		const char *script;
		int code;
	} rows[] = {
		{ "exit 0", 0 },
		{ "exit 1", 1 },
		{ "exit 255", 255 },
		/* init ignores it: see kills */
		{ "kill -9 $$; sleep 9", -1 },
		{ "sh -c 'kill -11 $$'; exit $?", 139 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;
		char out[64];
		int code;

		if (rows[i].code < 0)
			continue;
		code = run_container(h, "c1", SH(rows[i].script), out, sizeof(out), &err);
		CHECK_EQ(code, rows[i].code, "%s: code %d, %s", rows[i].script, code, err.msg);
	}
}

/* Checks the output of a container. */
static void
expect_output(struct harness *h, const char *const *args, const char *want)
{
	const char *script = args[2];
	struct error err = ERROR_INIT;
	char out[2048] = "";
	int code = run_container(h, "c1", args, out, sizeof(out), &err);

	CHECK_EQ(code, 0, "%s: code %d, %s", script, code, err.msg);
	CHECK_STR(out, want, "%s printed \"%s\", not \"%s\"", script, out, want);
}

static void
what_a_process_sees(struct harness *h)
{
	static const struct {
		const char *script, *want;
	} rows[] = {
		{ "echo $$", "1\n" },
		{ "hostname", "pod\n" },
		{ "id -u; id -g; id -G", "0\n0\n0\n" },
		{ "pwd", "/\n" },
		{ "echo $PATH", "/bin:/sbin:/usr/bin\n" },
		{ "ls /proc/self/fd | tr '\\n' ' '", "0 1 2 3 " },
		{ "grep -c . /proc/self/mountinfo >/dev/null && echo ok", "ok\n" },
		{ "grep CapEff /proc/self/status", "CapEff:\t00000000a80425fb\n" },
		{ "grep CapInh /proc/self/status", "CapInh:\t0000000000000000\n" },
		{ "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1\n" },
		{ "grep ^0: /proc/self/cgroup", "0::/\n" },
		{ "cat /proc/self/oom_score_adj", "0\n" },
		{ "ls /dev/null /dev/zero /dev/full /dev/tty /dev/urandom /dev/random | wc -l",
		  "6\n" },
		{ "for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done",
		  "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n" },
		{ "ls /sys/firmware | wc -l", "0\n" },
		{ "cat /proc/kcore 2>/dev/null | wc -c", "0\n" },
		{ "echo x >/proc/sys/kernel/hostname 2>/dev/null || echo no", "no\n" },
		{ "mkdir /sys/fs/cgroup/x 2>/dev/null || echo no", "no\n" },
		{ "echo x >/dev/shm/f && cat /dev/shm/f && rm /dev/shm/f", "x\n" },
		{ "ps | grep -c '[k]ata-agent'; true", "0\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect_output(h, SH(rows[i].script), rows[i].want);
}

/* Run without a shell, which changes signals and files. */
static void
programs_start_as_new(struct harness *h)
{
	const struct {
		const char *const *args;
		const char *want;
	} rows[] = {
		{ ARGS("/bin/grep", "-E", "SigBlk|SigIgn", "/proc/self/status"),
		  "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n" },
		/* fd 3 is the directory that it lists */
		{ ARGS("/bin/ls", "-1", "/proc/self/fd"), "0\n1\n2\n3\n" },
	};
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[256] = "";

		expect_output(h, rows[i].args, rows[i].want);
		CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
		CHECK_OK(exec(h, "c1", "e1", rows[i].args, false, &err), &err);
		CHECK_GE(read_all(h, false, "c1", "e1", out, sizeof(out), &err), 0, "%s", err.msg);
		CHECK_STR(out, rows[i].want, "an exec sees \"%s\"", out);
		CHECK_OK(remove_container(h, "c1", &err), &err);
	}
}

static void
kills(struct harness *h)
{
	static const struct {
		const char *script;
		int sig, code;
	} rows[] = {
		{ "echo r; exec sleep 3600", SIGKILL, 137 },
		/* no handler: upgraded */
		{ "echo r; sleep 3600 & wait", SIGTERM, 137 },
		{ "trap 'exit 7' TERM; echo r; while :; do sleep 0.05; done", SIGTERM, 7 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;
		char ready[8];
		int code;

		CHECK_OK(create_start(h, "c1", SH(rows[i].script), &err), &err);
		CHECK_EQ(read_stream(h, false, "c1", "c1", ready, 1, &err), 1, "%s", err.msg);
		CHECK_OK(kill_process(h, "c1", "", rows[i].sig, &err), &err);
		code = wait_process(h, "c1", "c1", &err);
		CHECK_EQ(code, rows[i].code, "row %zu: code %d, %s", i, code, err.msg);
		CHECK_OK(kill_process(h, "c1", "", SIGKILL, &err), &err, "after the end");
		CHECK_OK(remove_container(h, "c1", &err), &err);
	}
}

static void
duplicates_leave_the_first_alone(struct harness *h)
{
	struct error err = ERROR_INIT;

	CHECK_OK(create_start(h, "c1", SH("read x; exit 3"), &err), &err);
	CHECK_LT(create(h, "c1", SH("true"), &err), 0, "a second container of the same id");
	CHECK_EQ(err.code, ERROR_ALREADY_EXISTS, "code %d: %s", err.code, err.msg);
	CHECK_OK(exec(h, "c1", "e1", SH("read x"), false, &err), &err);
	CHECK(exec(h, "c1", "e1", SH("true"), false, &err) < 0 && strstr(err.msg, "already exists"),
	      "%s", err.msg);
	CHECK_OK(close_stdin(h, "c1", "e1", &err), &err);
	CHECK_EQ(wait_process(h, "c1", "e1", &err), 1, "%s", err.msg);
	CHECK_OK(write_stdin(h, "c1", "c1", "x\n", 2, &err), &err);
	CHECK_EQ(wait_process(h, "c1", "c1", &err), 3, "%s", err.msg);
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

static void
start_only_once_and_only_alive(struct harness *h)
{
	struct error err = ERROR_INIT;

	CHECK_OK(create(h, "c1", SH("sleep 3600"), &err), &err);
	CHECK_OK(start(h, "c1", &err), &err);
	CHECK_LT(start(h, "c1", &err), 0, "started twice");
	CHECK_OK(remove_container(h, "c1", &err), &err, "removing a running container");
	CHECK_OK(create(h, "c2", SH("true"), &err), &err);
	CHECK_OK(kill_process(h, "c2", "", SIGKILL, &err), &err);
	CHECK_EQ(wait_process(h, "c2", "c2", &err), 137, "%s", err.msg);
	CHECK_LT(start(h, "c2", &err), 0, "started a dead container");
	CHECK_OK(remove_container(h, "c2", &err), &err);
}

static void
execs(struct harness *h)
{
	struct error err = ERROR_INIT;
	char out[256];

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	CHECK_OK(exec(h, "c1", "e1",
		      SH("echo out; echo err >&2; ls /proc/self/fd | tr '\\n' ' '; exit 5"), false,
		      &err),
		 &err);
	CHECK_GE(read_all(h, false, "c1", "e1", out, sizeof(out), &err), 0, "%s", err.msg);
	CHECK_STR(out, "out\n0 1 2 3 ");
	CHECK(read_all(h, true, "c1", "e1", out, sizeof(out), &err) >= 0 &&
		      strcmp(out, "err\n") == 0,
	      "\"%s\"", out);
	CHECK_EQ(wait_process(h, "c1", "e1", &err), 5, "%s", err.msg);
	CHECK_FAILS(wait_process(h, "c1", "e1", &err), &err, ERROR_NOT_FOUND, "", "second wait");
	CHECK_LT(exec(h, "c1", "e2", ARGS("/no/such/file"), false, &err), 0, "missing binary");
	CHECK_HAS(err.msg, "/no/such/file");
	CHECK_OK(exec(h, "c1", "e3", SH("exec sleep 1000"), false, &err), &err);
	CHECK_OK(kill_process(h, "c1", "e3", SIGTERM, &err), &err);
	CHECK_EQ(wait_process(h, "c1", "e3", &err), 143, "%s", err.msg);
	CHECK_OK(kill_process(h, "c1", "", SIGKILL, &err), &err);
	CHECK_EQ(wait_process(h, "c1", "c1", &err), 137, "%s", err.msg);
	CHECK_LT(exec(h, "c1", "e4", SH("true"), false, &err), 0, "exec after the end");
	CHECK_EQ(err.code, ERROR_NOT_FOUND, "code %d: %s", err.code, err.msg);
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

/* Processes of one container are neither visible to, nor outlive it in, another. */
static void
fork_bomb_and_orphans_are_gone(struct harness *h)
{
	struct error err = ERROR_INIT;
	char ready[8];

	CHECK_OK(create_start(h, "c1",
			      SH("for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sleep 3600 &) ; done; "
				 "echo r; sleep 3600"),
			      &err),
		 &err);
	CHECK_EQ(read_stream(h, false, "c1", "c1", ready, 1, &err), 1, "%s", err.msg);
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

static void
many_waiters_get_the_same_code(struct harness *h)
{
	struct error err = ERROR_INIT;
	Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;
	uint32_t ids[5];

	CHECK_OK(create_start(h, "c1", SH("read x; exit 9"), &err), &err);
	q.container_id = (char *)"c1";
	q.exec_id = (char *)"";
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		ids[i] = ttrpc_client_start(h->client, &grpc__agent_service__descriptor,
					    "WaitProcess", &q.base, 0, NULL, NULL, &err);
	CHECK_OK(close_stdin(h, "c1", "", &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		ProtobufCMessage *reply = NULL;

		CHECK_OK(ttrpc_client_wait(h->client, ids[i], 10000, &reply, &err), &err);
		CHECK(reply && ((Grpc__WaitProcessResponse *)reply)->status == 9, "waiter %zu", i);
		if (reply)
			protobuf_c_message_free_unpacked(reply, NULL);
	}
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

static void
a_second_connection_serves_and_its_end_cancels(struct harness *h)
{
	struct error err = ERROR_INIT;
	Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;
	struct ttrpc_client *other = ttrpc_client_dial(h->address, 5000, &err);

	CHECK(other, "%s", err.msg);
	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	q.container_id = (char *)"c1";
	q.exec_id = (char *)"c1";
	for (int i = 0; other && i < 100; i++)
		(void)ttrpc_client_start(other, &grpc__agent_service__descriptor, "WaitProcess",
					 &q.base, 0, NULL, NULL, &err);
	CHECK(other && check_health(other, &err) == 0, "%s", err.msg);
	ttrpc_client_free(other);
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

/* Closing the last fd of a mount namespace unmounts its contents, which may hang: the agent
 * holds none while the last hook runs, and the worker closes it. */
static void
mount_namespace_is_not_the_agents(struct harness *h)
{
	char path[300], script[512], said[64] = "";
	Grpc__Hook hook = GRPC__HOOK__INIT, *list[] = { &hook };
	Grpc__Hooks hooks = GRPC__HOOKS__INIT;
	Grpc__CreateContainerRequest *q;
	struct error err = ERROR_INIT;
	struct arena a;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/mount-namespaces", h->rootfs);
	(void)snprintf(script, sizeof(script), "ls -l /proc/%d/fd | grep -c 'mnt:' >%s; true",
		       (int)h->agent, path);
	hook.path = (char *)(uintptr_t) "/bin/sh";
	hook.args = (char **)(uintptr_t)ARGS("sh", "-c", script);
	hook.n_args = 3;
	hooks.poststop = list;
	hooks.n_poststop = 1;
	arena_init(&a, 1 << 20);
	q = make_create(h, &a, "c1", ARGS("/bin/true"), false);
	q->oci->hooks = &hooks;
	CHECK(call(h, "CreateContainer", q, NULL, &err) == 0 && start(h, "c1", &err) == 0 &&
		      wait_process(h, "c1", "c1", &err) == 0 &&
		      remove_container(h, "c1", &err) == 0,
	      "%s", err.msg);
	arena_release(&a);
	f = fopen(path, "re");
	CHECK(f && fgets(said, sizeof(said), f) && strcmp(said, "0\n") == 0,
	      "namespaces that the agent has: %s", said);
	if (f)
		(void)fclose(f);
	(void)unlink(path);
}

const struct test tests_lifecycle[] = {
	{ "exit codes", exit_codes },
	{ "a process's view of its container", what_a_process_sees },
	{ "programs start with default signals and files", programs_start_as_new },
	{ "kills", kills },
	{ "a duplicate id leaves the first container unchanged", duplicates_leave_the_first_alone },
	{ "a container starts only once, and only alive", start_only_once_and_only_alive },
	{ "execs", execs },
	{ "orphans are removed with their container", fork_bomb_and_orphans_are_gone },
	{ "many waiters get the same code", many_waiters_get_the_same_code },
	{ "the agent holds no mount namespace", mount_namespace_is_not_the_agents },
	{ "closing a connection cancels its calls",
	  a_second_connection_serves_and_its_end_cancels },
};
const size_t n_tests_lifecycle = ARRAY_LEN(tests_lifecycle);
