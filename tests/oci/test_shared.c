/* SPDX-License-Identifier: Apache-2.0 */
/* shared_mounts of CreateContainer: mounts of one container in another. See oci.h. */
#include <string.h>

#include "lib/cleanup.h"
#include "tests/oci/oci.h"

/* Starts a container "one" of the pod with a mount at /src. */
static int
launch_source(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "echo hello >/src/file; echo ready; sleep 3600");

	oci_mount(t, spec, "/src", "tmpfs", "tmpfs", "nosuid");
	oci_annotation(t, spec, "io.kubernetes.cri.container-name", "one");
	if (oci_launch(t, "source", spec) < 0)
		return -1;
	return oci_read_line(t, "source", "", "ready");
}

static Grpc__CreateContainerRequest *
request(struct oci *t, Grpc__Spec *spec, const char *from, const char *src, const char *dst)
{
	Grpc__CreateContainerRequest *q = oci_request(t, "c1", spec);
	Grpc__SharedMount *m =
		OCI_ADD(t, q->shared_mounts, q->n_shared_mounts, grpc__shared_mount__init);

	m->name = oci_str(t, "m");
	m->src_ctr = oci_str(t, "%s", from);
	m->src_path = oci_str(t, "%s", src);
	m->dst_path = oci_str(t, "%s", dst);
	return q;
}

/* Starts c1 and checks its output and exit code. */
static void
prints(struct oci *t, const Grpc__CreateContainerRequest *q, const char *want)
{
	char out[OCI_OUT];

	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "c1") == 0, "%s", t->err.msg))
		return;
	CHECK_GE(oci_read(t, "c1", "", out, sizeof(out)), 0, "%s", t->err.msg);
	CHECK_STR(out, want);
	CHECK_OK(oci_wait(t, "c1", ""), &t->err);
}

static void
shared(struct oci *t)
{
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	if (!CHECK_EQ(launch_source(t), 0, "%s", t->err.msg))
		return;
	spec = oci_sh(t, "cat /made/for/it/file; echo back >/made/for/it/other");
	prints(t, request(t, spec, "one", "/src", "/made/for/it"), "hello\n");
	OCI_EXEC_PRINTS(t, "source", oci_process(t, ARGS("cat", "/src/other")), "back\n");
}

static void
nobody(struct oci *t)
{
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	spec = oci_sh(t, "ls /dst 2>/dev/null; echo on");
	prints(t, request(t, spec, "nobody", "/src", "/dst"), "on\n");
}

static void
refused(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");

	CHECK_LT(oci_create_request(t, request(t, spec, "one", "src", "/dst")), 0, "created");
	CHECK(t->err.code == ERROR_INVALID_ARGUMENT && strstr(t->err.msg, "shared_mounts"), "%s",
	      t->err.msg);
}

/* A worker that has joined both containers runs all later steps in the guest. */
static void
fails(struct oci *t)
{
	Grpc__Spec *spec;
	Grpc__Hooks *hooks;
	Grpc__Hook *h;

	(void)oci_rootfs(t);
	if (!CHECK_EQ(launch_source(t), 0, "%s", t->err.msg))
		return;
	spec = oci_sh(t, "true");
	hooks = OCI_MSG(t, spec->hooks, grpc__hooks__init);
	h = OCI_ADD(t, hooks->createruntime, hooks->n_createruntime, grpc__hook__init);
	h->path = oci_str(t, "%s/bin/busybox", spec->root->path);
	h->args = oci_strings(t, &h->n_args, ARGS("true"));
	h = OCI_ADD(t, hooks->poststop, hooks->n_poststop, grpc__hook__init);
	h->path = oci_str(t, "%s/bin/busybox", spec->root->path);
	h->args = oci_strings(t, &h->n_args,
			      ARGS("touch", oci_str(t, "%s/poststop", spec->root->path)));
	CHECK_LT(
		oci_create_request(t, request(t, spec, "one", "/src", "/bin/busybox/below/a/file")),
		0, "created");
	CHECK_HAS(t->err.msg, "/bin/busybox/below/a/file");
	OCI_EXEC_PRINTS(t, "source", oci_process(t, ARGS("ls", "/poststop")), "/poststop\n");
}

const struct oci_case oci_shared_cases[] = {
	{ "shared_mounts", "shared mount", shared },
	{ "shared_mounts", "shared mount of an unknown container", nobody },
	{ "shared_mounts", "invalid shared mounts", refused },
	{ "shared_mounts", "hooks after a failed shared mount", fails },
};
const size_t n_oci_shared_cases = ARRAY_LEN(oci_shared_cases);
