/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks and the order of container states. See oci.h. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "lib/deadline.h"
#include "tests/oci/oci.h"

/* A container's program does not run before StartContainer. */
static void
created_is_not_started(struct oci *t)
{
	char out[64];

	(void)oci_rootfs(t);
	if (!CHECK_OK(oci_create(t, "c1", oci_sh(t, "echo ran >/ran")), &t->err))
		return;
	CHECK(!*oci_file_text(t, "ran"), "it ran before StartContainer");
	if (!CHECK_OK(oci_start(t, "c1"), &t->err))
		return;
	CHECK_OK(oci_read(t, "c1", "", out, sizeof(out)), &t->err);
	CHECK_OK(oci_wait(t, "c1", ""), &t->err);
	CHECK(*oci_file_text(t, "ran"), "it did not run after StartContainer");
}

enum kind {
	PRESTART,
	CREATE_RUNTIME,
	CREATE_CONTAINER,
	START_CONTAINER,
	POSTSTART,
	POSTSTOP,
	KINDS
};

static const struct {
	const char *name, *status;
} kinds[KINDS] = {
	[PRESTART] = { "prestart", "creating" },
	[CREATE_RUNTIME] = { "createRuntime", "creating" },
	[CREATE_CONTAINER] = { "createContainer", "creating" },
	[START_CONTAINER] = { "startContainer", "created" },
	[POSTSTART] = { "poststart", "running" },
	[POSTSTOP] = { "poststop", "stopped" },
};

static Grpc__Hook *
new_hook(struct oci *t, Grpc__Spec *spec, enum kind kind)
{
	Grpc__Hooks *h = OCI_MSG(t, spec->hooks, grpc__hooks__init);

	switch (kind) {
	case PRESTART:
		return OCI_ADD(t, h->prestart, h->n_prestart, grpc__hook__init);
	case CREATE_RUNTIME:
		return OCI_ADD(t, h->createruntime, h->n_createruntime, grpc__hook__init);
	case CREATE_CONTAINER:
		return OCI_ADD(t, h->createcontainer, h->n_createcontainer, grpc__hook__init);
	case START_CONTAINER:
		return OCI_ADD(t, h->startcontainer, h->n_startcontainer, grpc__hook__init);
	case POSTSTART:
		return OCI_ADD(t, h->poststart, h->n_poststart, grpc__hook__init);
	case POSTSTOP:
	case KINDS:
		break;
	}
	return OCI_ADD(t, h->poststop, h->n_poststop, grpc__hook__init);
}

/* Adds a hook that runs a script: $B is a busybox and $D the root directory of the case's
 * container, both as seen by the hook; $K is its kind. */
static Grpc__Hook *
add_hook(struct oci *t, Grpc__Spec *spec, enum kind kind, const char *script)
{
	Grpc__Hook *h = new_hook(t, spec, kind);
	const char *root = kind == START_CONTAINER ? "" : spec->root->path;

	h->path = oci_str(t, "%s/bin/busybox", root);
	h->args = oci_strings(t, &h->n_args, ARGS("sh", "-c", script));
	oci_append(t, &h->env, &h->n_env, oci_str(t, "B=%s/bin/busybox", root));
	oci_append(t, &h->env, &h->n_env, oci_str(t, "D=%s", root));
	oci_append(t, &h->env, &h->n_env, oci_str(t, "K=%s", kinds[kind].name));
	return h;
}

#define NOTE "$B cat >$D/state-$K; echo $K >>$D/log; $B readlink /proc/self/ns/mnt >$D/mnt-$K"

/* Runs a container's whole life (create, start, wait, remove), for the files its hooks leave. */
static bool
live(struct oci *t, Grpc__Spec *spec)
{
	char out[256];

	if (oci_run(t, spec, out, sizeof(out)) == 0)
		return true;
	CHECK(false, "%s", t->err.msg);
	return false;
}

/* Path, arguments and environment of one hook; its environment contains nothing else, it has
 * three open files and the usual umask. */
static void
one_hook(struct oci *t, enum kind kind)
{
	Grpc__Spec *spec;
	Grpc__Hook *h;
	char *text;

	(void)oci_rootfs(t);
	spec = oci_sh(t, "true");
	h = add_hook(t, spec, kind,
		     "echo $0 $1 >$D/out; umask >>$D/out; "
		     "$B env | $B sort | $B grep -v -e PWD -e PATH >>$D/out; "
		     "exec $B ls /proc/self/fd >>$D/out");
	oci_append(t, &h->args, &h->n_args, oci_str(t, "zero"));
	oci_append(t, &h->args, &h->n_args, oci_str(t, "one"));
	oci_append(t, &h->env, &h->n_env, oci_str(t, "X=of another"));
	oci_append(t, &h->env, &h->n_env, oci_str(t, "X=a  b"));
	if (!live(t, spec))
		return;
	text = oci_file_text(t, "out");
	/* fd 3 is the directory that ls reads; sh adds SHLVL, PATH and PWD. */
	CHECK_STR(text,
		  oci_str(t, "zero one\n0022\nB=%s\nD=%s\nK=%s\nSHLVL=1\nX=a  b\n0\n1\n2\n3\n",
			  h->path, kind == START_CONTAINER ? "" : spec->root->path,
			  kinds[kind].name));
}

/* A hook that hangs is killed together with its children; the container is not created, is not
 * started, or continues. */
static void
hook_timeout(struct oci *t, enum kind kind)
{
	Grpc__Spec *spec;
	Grpc__Hook *h;
	char out[64];
	int result;

	(void)oci_rootfs(t);
	spec = oci_sh(t, "true");
	/* Without its timeout it would write its line, well before any other limit. */
	h = add_hook(t, spec, kind, "$B sleep 3600 & $B sleep 8; echo late >>$D/log");
	h->timeout = 1;
	result = oci_run(t, spec, out, sizeof(out));
	CHECK_EQ(result == 0, kind >= POSTSTART, "%d %s", result, t->err.msg);
	if (kind < POSTSTART)
		CHECK_HAS(t->err.msg, "timed out after 1000 ms");
	CHECK(!*oci_file_text(t, "log"), "it went on");
}

/* A failing hook reports why. According to OCI, it aborts a step before the program starts, and
 * none after. */
static void
hook_failure(struct oci *t, enum kind kind)
{
	Grpc__Spec *spec;
	char out[64];
	int result;

	(void)oci_rootfs(t);
	spec = oci_sh(t, "true");
	(void)add_hook(t, spec, kind, "echo not today >&2; exit 3");
	if (kind != POSTSTOP)
		(void)add_hook(t, spec, POSTSTOP, NOTE);
	result = oci_run(t, spec, out, sizeof(out));
	CHECK_EQ(result == 0, kind >= POSTSTART, "%d %s", result, t->err.msg);
	if (kind < POSTSTART) {
		CHECK_HAS(t->err.msg, oci_str(t, "hooks.%s: ", kinds[kind].name));
		CHECK(strstr(t->err.msg, "exited with 3: not today") && !strchr(t->err.msg, '?'),
		      "%s", t->err.msg);
	}
	/* The teardown runs these hooks last. */
	(void)oci_remove(t, "c1");
	CHECK(kind == POSTSTOP || strcmp(oci_file_text(t, "log"), "poststop\n") == 0, "%s",
	      oci_file_text(t, "log"));
}

#define KIND_CASES(prefix, KIND)                    \
	static void prefix##_hook(struct oci *t)    \
	{                                           \
		one_hook(t, KIND);                  \
	}                                           \
	static void prefix##_timeout(struct oci *t) \
	{                                           \
		hook_timeout(t, KIND);              \
	}                                           \
	static void prefix##_failure(struct oci *t) \
	{                                           \
		hook_failure(t, KIND);              \
	}

KIND_CASES(prestart, PRESTART)
KIND_CASES(createruntime, CREATE_RUNTIME)
KIND_CASES(createcontainer, CREATE_CONTAINER)
KIND_CASES(startcontainer, START_CONTAINER)
KIND_CASES(poststart, POSTSTART)
KIND_CASES(poststop, POSTSTOP)

/* All kinds, one of them twice: called in order, each in its namespaces, before and after the
 * right steps. */
static void
order(struct oci *t)
{
	char *log, *mnt[KINDS], out[128];
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	spec = oci_sh(t, "readlink /proc/self/ns/mnt; echo program >>/log; sleep 100");
	for (int k = KINDS - 1; k >= 0; k--)
		(void)add_hook(t, spec, (enum kind)k, NOTE);
	(void)add_hook(t, spec, CREATE_RUNTIME, "echo again >>$D/log");
	if (!CHECK_OK(oci_create(t, "c1", spec), &t->err))
		return;
	log = oci_file_text(t, "log");
	CHECK_STR(log, "prestart\ncreateRuntime\nagain\ncreateContainer\n");
	if (!CHECK_OK(oci_start(t, "c1"), &t->err))
		return;
	log = oci_file_text(t, "log");
	CHECK(strstr(log, "createContainer\nstartContainer\n") && strstr(log, "poststart\n") &&
		      !strstr(log, "poststop"),
	      "%s", log);
	/* The output that is checked is complete once the program writes this. */
	for (int i = 0; i < 1000 && !strstr(oci_file_text(t, "log"), "program"); i++)
		(void)usleep(10000);
	CHECK_OK(oci_kill(t, "c1", "", SIGKILL), &t->err);
	CHECK_GT(oci_read(t, "c1", "", out, sizeof(out)), 0, "%s", t->err.msg);
	CHECK_OK(oci_remove(t, "c1"), &t->err);
	log = oci_file_text(t, "log");
	CHECK(strlen(log) > 9 && strcmp(log + strlen(log) - 9, "poststop\n") == 0, "%s", log);
	for (int k = 0; k < KINDS; k++)
		mnt[k] = oci_file_text(t, oci_str(t, "mnt-%s", kinds[k].name));
	CHECK(*mnt[PRESTART] && strcmp(mnt[PRESTART], mnt[CREATE_RUNTIME]) == 0 &&
		      strcmp(mnt[PRESTART], mnt[POSTSTART]) == 0 &&
		      strcmp(mnt[PRESTART], mnt[POSTSTOP]) == 0 &&
		      strcmp(mnt[PRESTART], mnt[CREATE_CONTAINER]) != 0,
	      "%s%s%s%s", mnt[PRESTART], mnt[CREATE_RUNTIME], mnt[POSTSTART], mnt[POSTSTOP]);
	CHECK(strcmp(mnt[CREATE_CONTAINER], out) == 0 && strcmp(mnt[START_CONTAINER], out) == 0,
	      "%s%s%s", mnt[CREATE_CONTAINER], mnt[START_CONTAINER], out);
}

/* The state passed to hooks is valid JSON whatever the annotations contain; the pid is valid for
 * its reader. */
static void
state(struct oci *t)
{
	char *text, *pid, seen[32];
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	spec = oci_sh(t, "true");
	spec->version = oci_str(t, "1.0.2-tested");
	oci_annotation(t, spec, "org.example/a", "quote \" backslash \\ line\n\ttab \x01 \xc3\xa9");
	for (int k = 0; k < KINDS; k++)
		(void)add_hook(t, spec, (enum kind)k, NOTE);
	(void)add_hook(t, spec, PRESTART,
		       "p=$($B sed 's/.*\"pid\":\\([0-9]*\\),.*/\\1/'); "
		       "$B readlink /proc/$p/ns/mnt >$D/seen");
	if (!live(t, spec))
		return;
	for (int k = 0; k < KINDS; k++) {
		text = oci_file_text(t, oci_str(t, "state-%s", kinds[k].name));
		CHECK_HAS(text, oci_str(t,
					"{\"ociVersion\":\"1.0.2-tested\",\"id\":\"c1\","
					"\"status\":\"%s\",",
					kinds[k].status));
		CHECK_HAS(text, "\"bundle\":\"/run/kata-containers/c1\",\"annotations\":{"
				"\"org.example/a\":\"quote \\\" backslash \\\\ line\\n"
				"\\u0009tab \\u0001 \xc3\xa9\"}}");
		pid = strstr(text, "\"pid\":");
		CHECK_EQ(pid != NULL, k != POSTSTOP, "%s", text);
		if (k == CREATE_CONTAINER || k == START_CONTAINER)
			CHECK(pid && strncmp(pid, "\"pid\":1,", 8) == 0, "%s", text);
	}
	(void)snprintf(seen, sizeof(seen), "%s", oci_file_text(t, "seen"));
	CHECK_STR(seen, oci_file_text(t, "mnt-createContainer"));
}

/* The bundle named in the state has the configuration and the root file system. */
static void
bundle(struct oci *t)
{
	Grpc__Spec *spec;
	char *text;

	(void)oci_rootfs(t);
	oci_file(t, "mark", 0644, "here");
	spec = oci_sh(t, "true");
	spec->process->rlimits = NULL;
	spec->process->n_rlimits = 0;
	oci_rlimit(t, spec->process, "RLIMIT_NOFILE", 17, 18);
	(void)add_hook(
		t, spec, CREATE_RUNTIME,
		"b=$($B sed 's/.*\"bundle\":\"\\([^\"]*\\)\".*/\\1/'); $B cat $b/rootfs/mark "
		"$b/config.json >$D/out");
	if (!live(t, spec))
		return;
	text = oci_file_text(t, "out");
	CHECK(strncmp(text, "here{\"ociVersion\":", 17) == 0, "%s", text);
	CHECK_HAS(text, "\"root\":{\"path\":\"/run/kata-containers/c1/rootfs\"");
	CHECK_HAS(text, "{\"type\":\"RLIMIT_NOFILE\",\"hard\":18,\"soft\":17}");
	CHECK_HAS(text, "\"maskedPaths\":[");
}

/* Processes left by a hook end with the container; their output is bounded and not waited for. */
static void
leftovers(struct oci *t)
{
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	spec = oci_sh(t, "true");
	(void)add_hook(t, spec, CREATE_RUNTIME,
		       "$B seq 1 20000; $B setsid $B sh -c 'while true; do $B sleep 1; done' & "
		       "echo $K >>$D/log");
	(void)add_hook(t, spec, POSTSTART, "echo $K >>$D/log");
	if (live(t, spec))
		CHECK_STR(oci_file_text(t, "log"), "createRuntime\npoststart\n");
}

static void
refused(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");

	new_hook(t, spec, CREATE_RUNTIME)->path = oci_str(t, "bin/true");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "hooks.createRuntime.path");
	spec = oci_sh(t, "true");
	add_hook(t, spec, POSTSTOP, "true")->timeout = -1;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "hooks.poststop.timeout");
	spec = oci_sh(t, "true");
	new_hook(t, spec, PRESTART)->path = oci_str(t, "/no/such/hook");
	OCI_REFUSED(t, spec, ERROR_INTERNAL, "/no/such/hook: No such file");
}

#define KIND_ROWS(prefix)                                                              \
	{ "hooks." #prefix ".path", #prefix " hook", prefix##_hook },                  \
		{ "hooks." #prefix ".timeout", #prefix " timeout", prefix##_timeout }, \
	{                                                                              \
		"hooks." #prefix, #prefix " failure", prefix##_failure                 \
	}

const struct oci_case oci_hooks_cases[] = {
	{ "state", "the program waits for StartContainer", created_is_not_started },
	KIND_ROWS(prestart),
	KIND_ROWS(createruntime),
	KIND_ROWS(createcontainer),
	KIND_ROWS(startcontainer),
	KIND_ROWS(poststart),
	KIND_ROWS(poststop),
	{ "hooks", "order of hooks", order },
	{ "annotations", "state for hooks", state },
	{ "hooks", "bundle for hooks", bundle },
	{ "hooks", "processes left by hooks", leftovers },
	{ "hooks", "invalid hooks", refused },
};
const size_t n_oci_hooks_cases = ARRAY_LEN(oci_hooks_cases);
