/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel quotas per user or for the whole guest: one container exhausts a quota, and the agent and
 * another container continue to work. Root of a container is root of the guest unless it has a user
 * namespace. See oci.h and docs/limits.md.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/oci/oci.h"

#define WORD    "alive\n"
#define WATCHES "$P/sys/fs/epoll/max_user_watches"

/* Runs a process with stdout only, and one with a terminal. */
static void
other_execs(struct oci *t, const char *what)
{
	char out[OCI_OUT];
	Grpc__Process *p = oci_process(t, ARGS("/bin/echo", "alive"));

	CHECK(oci_exec_run(t, "other", p, out, sizeof(out)) == 0 && strcmp(out, WORD) == 0,
	      "%s: exec: %s", what, t->err.msg);
	p->terminal = true;
	CHECK(oci_exec_run(t, "other", p, out, sizeof(out)) == 0 && strstr(out, "alive"),
	      "%s: exec with a terminal: %s", what, t->err.msg);
	/* The reader has to wait, so its fd is watched. */
	p = oci_process(t, ARGS("/bin/sh", "-c", "sleep 0.2; echo alive"));
	CHECK(oci_exec_run(t, "other", p, out, sizeof(out)) == 0 && strcmp(out, WORD) == 0,
	      "%s: exec with late output: %s", what, t->err.msg);
}

static void
new_containers(struct oci *t, const char *what)
{
	Grpc__Spec *spec = oci_sh(t, "sleep 0.2; echo alive");
	char out[OCI_OUT];

	CHECK(oci_run(t, spec, out, sizeof(out)) == 0 && strcmp(out, WORD) == 0,
	      "%s: a new container: %s", what, t->err.msg);
	spec->process->terminal = true;
	CHECK(oci_run(t, spec, out, sizeof(out)) == 0 && strstr(out, "alive"),
	      "%s: a new container with a terminal: %s", what, t->err.msg);
	spec = oci_sh(t, "echo alive");
	oci_userns(t, spec, 100000, 65536);
	CHECK(oci_run(t, spec, out, sizeof(out)) == 0 && strcmp(out, WORD) == 0,
	      "%s: a new container with a user namespace: %s", what, t->err.msg);
}

/* `most` exceeds every finite quota, so that a missing quota is noticed. */
static void
eat_all(struct oci *t, const char *quota, const char *most)
{
	char out[OCI_OUT];
	ssize_t n;

	/* Its stdout has been watched before: the second time is another registration. */
	if (!CHECK_OK(oci_launch(t, "other", oci_sh(t, "sleep 0.2; echo up; read x; echo alive")),
		      &t->err))
		return;
	CHECK_OK(oci_read_line(t, "other", "", "up"), &t->err);
	if (!CHECK_OK(
		    oci_launch(t, "hog", oci_spec(t, ARGS("/bin/oci-probe", "quota", quota, most))),
		    &t->err))
		return;
	if (!CHECK_OK(oci_read_line(t, "hog", "", "armed"), &t->err))
		return;
	n = read_stream(&t->h, false, "hog", "hog", out, sizeof(out) - 1, &t->err);
	if (!CHECK_GT(n, 0, "%s", t->err.msg))
		return;
	out[n] = '\0';
	printf("# it took %s", out);
	other_execs(t, quota);
	new_containers(t, quota);
	CHECK_OK(close_stdin(&t->h, "other", "", &t->err), &t->err);
	CHECK(oci_read(t, "other", "", out, sizeof(out)) >= 0 && strcmp(out, WORD) == 0,
	      "the other container printed %s: %s", out, t->err.msg);
	CHECK_OK(oci_wait(t, "other", ""), &t->err);
	CHECK_OK(oci_kill(t, "hog", "", SIGKILL), &t->err);
	CHECK_OK(oci_remove(t, "hog"), &t->err);
}

/* As many as the kernel allows in a large guest. */
static void
watches(struct oci *t)
{
	char before[32], out[64];

	if (oci_needs_vm(t))
		return;
	if (!CHECK_OK(oci_guest(t, before, sizeof(before), "cat " WATCHES), &t->err))
		return;
	if (!CHECK_OK(oci_guest(t, out, sizeof(out), "echo 52000 >" WATCHES), &t->err))
		return;
	eat_all(t, "watches", "60000");
	CHECK_OK(oci_guest(t, out, sizeof(out), "echo %ld >" WATCHES, strtol(before, NULL, 10)),
		 &t->err);
}

#define EATEN(function, quota, most)             \
	static void function(struct oci *t)      \
	{                                        \
		if (!oci_needs_vm(t))            \
			eat_all(t, quota, most); \
	}

EATEN(keys, "keys", "100000")
EATEN(inotify, "inotify", "20000")
EATEN(queued_signals, "signals", "100000")
EATEN(message_queues, "queues", "1000")
EATEN(pipe_pages, "pipes", "200")
EATEN(ptys, "ptys", "5000")
EATEN(files, "files", "120000")
EATEN(in_flight, "in-flight", "5000")
/* above the kernel's own limit, which depends on memory: 2700 of each kind in a guest of 768 MiB */
EATEN(mount_namespaces, "mnt", "4000")
EATEN(cgroup_namespaces, "cgroup", "4000")
EATEN(user_namespaces, "user", "4000")

const struct oci_case oci_quotas_cases[] = {
	{ "quota", "a container takes all epoll watches", watches },
	{ "quota", "a container takes all keys", keys },
	{ "quota", "a container takes all inotify instances", inotify },
	{ "quota", "a container takes all queued signals", queued_signals },
	{ "quota", "a container takes all message queues", message_queues },
	{ "quota", "a container takes all pages of pipes", pipe_pages },
	{ "quota", "a container takes all terminals", ptys },
	{ "quota", "a container takes all open files", files },
	{ "quota", "a container takes all descriptors in flight", in_flight },
	{ "quota", "a container takes all mount namespaces", mount_namespaces },
	{ "quota", "a container takes all cgroup namespaces", cgroup_namespaces },
	{ "quota", "a container takes all user namespaces", user_namespaces },
};
const size_t n_oci_quotas_cases = ARRAY_LEN(oci_quotas_cases);
