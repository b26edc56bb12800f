/* SPDX-License-Identifier: Apache-2.0 */
/* Devices of the Container Device Interface. The specs are written to the guest's /run/cdi, for a
 * vendor that no real spec has. See oci.h. */
#include <stdio.h>
#include <string.h>

#include "tests/oci/oci.h"

#define KIND  "tatami.test/thing"
#define FILES "$R/run/cdi/tatami-test"

static void
remove_specs(struct oci *t)
{
	char out[256];

	CHECK_OK(oci_guest(t, out, sizeof(out), "rm -rf " FILES "*"), &t->err);
}

/* Writes a spec with these devices and further fields. It appears after `delay` seconds. */
static bool
put_spec(struct oci *t, const char *name, const char *version, const char *content,
	 const char *delay)
{
	char out[256];

	return CHECK_OK(oci_guest(t, out, sizeof(out),
				  "mkdir -p $R/run/cdi; cat > " FILES "-%s.tmp <<EOF\n"
				  "cdiVersion: %s\nkind: " KIND "\n%s\nEOF\n"
				  "(sleep %s; mv " FILES "-%s.tmp " FILES "-%s.yaml) "
				  "> /dev/null 2>&1 %s",
				  name, version, content, delay, name, name,
				  strcmp(delay, "0") == 0 ? "" : "&"),
			&t->err);
}

static void
additions(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "echo $CDI_ALL $CDI_ONE; id -G; cat /cdi/data/file; "
				     "cd /dev; stat -c '%%n %%t:%%T %%a' mine");
	char out[256];

	if (!CHECK_OK(oci_guest(t, out, sizeof(out),
				"mkdir -p " FILES "-data; echo data > " FILES "-data/file"),
		      &t->err) ||
	    !put_spec(t, "a", "0.7.0",
		      oci_str(t,
			      "devices:\n"
			      "- name: \"0\"\n"
			      "  containerEdits:\n"
			      "    env: [CDI_ONE=0]\n"
			      "    additionalGids: [44]\n"
			      "    deviceNodes:\n"
			      "    - path: /dev/mine\n"
			      "      hostPath: /dev/full\n"
			      "      fileMode: 0640\n"
			      "containerEdits:\n"
			      "  env:\n"
			      "  - CDI_ALL=yes\n"
			      "  hooks:\n"
			      "  - hookName: createRuntime\n"
			      "    path: %s/bin/busybox\n"
			      "    args: [sh, -c, 'echo ran > /run/cdi/tatami-test-hook']\n"
			      "  mounts:\n"
			      "  - hostPath: /run/cdi/tatami-test-data\n"
			      "    containerPath: /cdi/data\n"
			      "    options: [ro, bind]",
			      spec->root->path),
		      "0"))
		return;
	oci_annotation(t, spec, "cdi.k8s.io/things", KIND "=0");
	OCI_PRINTS(t, spec, "yes 0\n0 44\ndata\nmine 1:7 640\n");
	CHECK_OK(oci_guest(t, out, sizeof(out), "cat " FILES "-hook"), &t->err);
	CHECK_STR(out, "ran\n");
	/* The sandbox's own container gets none. */
	oci_annotation(t, spec, "io.katacontainers.pkg.oci.container_type", "pod_sandbox");
	spec->process->args =
		oci_strings(t, &spec->process->n_args, ARGS("/bin/sh", "-c", "echo none$CDI_ALL"));
	OCI_PRINTS(t, spec, "none\n");
	remove_specs(t);
}

static void
appears_later(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "echo $CDI_ONE");

	oci_annotation(t, spec, "cdi.k8s.io/things", KIND "=one");
	if (put_spec(t, "b", "0.3.0",
		     "devices: [{name: one, containerEdits: {env: [CDI_ONE=later]}}]", "0.5"))
		OCI_PRINTS(t, spec, "later\n");
	remove_specs(t);
}

static void
refused(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");

	oci_annotation(t, spec, "cdi.k8s.io/things", "thing");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT,
		    "annotation cdi.k8s.io/things: invalid CDI device \"thing\"");
	/* The specs of the kind lack the device, and one of them is invalid. */
	spec = oci_sh(t, "true");
	oci_annotation(t, spec, "cdi.k8s.io/things", KIND "=one");
	if (put_spec(t, "c", "0.2.0", "devices: []", "0"))
		OCI_REFUSED(t, spec, ERROR_NOT_FOUND,
			    "invalid CDI spec /run/cdi/tatami-test-c.yaml: line 1: cdiVersion");
	remove_specs(t);
	/* Additions that make the spec invalid. */
	if (put_spec(t, "d", "0.3.0",
		     "devices: [{name: one, containerEdits: {mounts: [{hostPath: /proc, "
		     "containerPath: /}]}}]",
		     "0"))
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT,
			    "the spec with its CDI devices is invalid: mounts.destination");
	remove_specs(t);
}

/* Every process can open /dev/kmsg for writing; no device has the number 242:0. */
static void
device_rules(struct oci *t)
{
	static const char script[] = ": > /dev/mine && echo open; (: > /dev/other) 2>&1; :";
	static const char want[] =
		"open\n/bin/sh: can't create /dev/other: Operation not permitted\n";
	Grpc__UpdateContainerRequest u = GRPC__UPDATE_CONTAINER_REQUEST__INIT;
	Grpc__Spec *spec = oci_sh(t, "%s; exec sleep 1000", script);
	Grpc__LinuxResources *r = oci_resources(t, spec);
	Grpc__LinuxDeviceCgroup *rule;

	if (oci_needs_vm(t))
		return;
	rule = OCI_ADD(t, r->devices, r->n_devices, grpc__linux_device_cgroup__init);
	rule->type = oci_str(t, "a");
	rule->major = rule->minor = -1;
	rule->access = oci_str(t, "rwm");
	oci_annotation(t, spec, "cdi.k8s.io/things", KIND "=one");
	if (!put_spec(t, "e", "0.3.0",
		      "devices:\n- name: one\n  containerEdits:\n    deviceNodes:\n"
		      "    - {path: /dev/mine, type: c, major: 1, minor: 11, permissions: rw}\n"
		      "    - {path: /dev/other, type: c, major: 242, permissions: none}",
		      "0") ||
	    !CHECK(oci_launch(t, "c1", spec) == 0 && oci_read_line(t, "c1", "", "open") == 0, "%s",
		   t->err.msg))
		return;
	OCI_EXEC_PRINTS(t, "c1", oci_process(t, ARGS("/bin/sh", "-c", script)), want);
	/* Hosts do not know the devices, and deny everything again. */
	u.container_id = "c1";
	u.resources = r;
	CHECK_OK(oci_call(t, "UpdateContainer", &u, NULL), &t->err);
	OCI_EXEC_PRINTS(t, "c1", oci_process(t, ARGS("/bin/sh", "-c", script)), want);
	remove_specs(t);
}

const struct oci_case oci_cdi_cases[] = {
	{ "annotations.cdi.k8s.io", "additions of CDI devices", additions },
	{ "annotations.cdi.k8s.io", "a CDI device that appears later", appears_later },
	{ "annotations.cdi.k8s.io", "CDI devices that are refused", refused },
	{ "annotations.cdi.k8s.io", "device rules of CDI devices", device_rules },
};
const size_t n_oci_cdi_cases = ARRAY_LEN(oci_cdi_cases);
