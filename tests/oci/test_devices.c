/* SPDX-License-Identifier: Apache-2.0 */
/* Device nodes of the spec and of CreateContainer, and mounts shared by containers. See oci.h. */
#include <string.h>

#include "lib/client_texts.h"
#include "tests/oci/oci.h"

static Grpc__LinuxDevice *
add(struct oci *t, Grpc__Spec *spec, const char *path, const char *type, int64_t major,
    int64_t minor)
{
	Grpc__LinuxDevice *d =
		OCI_ADD(t, spec->linux->devices, spec->linux->n_devices, grpc__linux_device__init);

	d->path = oci_str(t, "%s", path);
	d->type = oci_str(t, "%s", type);
	d->major = major;
	d->minor = minor;
	return d;
}

static void
defaults(struct oci *t)
{
	OCI_PRINTS(t,
		   oci_sh(t,
			  "cd /dev; stat -c '%%n %%t:%%T %%a' null zero full random urandom tty; "
			  "for l in fd stdin stdout stderr ptmx; do readlink $l; done; "
			  "echo x > null && head -c 2 zero | wc -c; echo x > full"
			  " 2>/dev/null || echo full"),
		   "null 1:3 666\nzero 1:5 666\nfull 1:7 666\nrandom 1:8 666\nurandom 1:9 666\n"
		   "tty 5:0 666\n/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n"
		   "/proc/self/fd/2\npts/ptmx\n2\nfull\n");
}

static void
nodes(struct oci *t)
{
	Grpc__Spec *spec =
		oci_sh(t, "cd /dev; stat -c '%%n %%t:%%T %%a %%u:%%g %%F' c deep/er/b u p");
	Grpc__LinuxDevice *d = add(t, spec, "/dev/c", "c", 1, 5);

	d->filemode = 0640;
	d->uid = 7;
	d->gid = 8;
	add(t, spec, "/dev/deep/er/b", "b", 241, 9)->filemode = 0600;
	add(t, spec, "/dev/u", "u", 1, 7)->filemode = 0604;
	add(t, spec, "/dev/p", "p", 0, 0)->filemode = 0622;
	OCI_PRINTS(t, spec,
		   "c 1:5 640 7:8 character special file\n"
		   "deep/er/b f1:9 600 0:0 block special file\n"
		   "u 1:7 604 0:0 character special file\np 0:0 622 0:0 fifo\n");
}

static void
default_by_spec(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "stat -c '%%t:%%T %%a %%u:%%g' /dev/null");
	Grpc__LinuxDevice *d = add(t, spec, "/dev/null", "c", 1, 3);

	d->filemode = 0604;
	d->gid = 9;
	OCI_PRINTS(t, spec, "1:3 604 0:9\n");
	/* An unset mode equals 0: take the mode of the guest's device, or 0666. */
	spec = oci_sh(t, "stat -c %%a /dev/zero /dev/mine");
	(void)add(t, spec, "/dev/zero", "c", 1, 5);
	(void)add(t, spec, "/dev/mine", "c", 1, 5);
	OCI_PRINTS(t, spec, "666\n666\n");
}

static void
nodes_in_user_namespace(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "cd /dev; stat -c '%%n %%t:%%T %%a %%u:%%g' null c sub/c; "
				     "echo x > null && echo works; head -c 2 c | wc -c");
	Grpc__LinuxDevice *d;

	oci_userns(t, spec, 200000, 65536);
	d = add(t, spec, "/dev/c", "c", 1, 5);
	d->filemode = 0640;
	d->uid = 7;
	d->gid = 8;
	add(t, spec, "/dev/sub/c", "c", 1, 8)->filemode = 0444;
	OCI_PRINTS(t, spec, "null 1:3 666 0:0\nc 1:5 640 7:8\nsub/c 1:8 444 0:0\nworks\n2\n");
	d->uid = 70000;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.devices: /dev/c: owner 70000:8");
}

static void
refused(struct oci *t)
{
	static const struct {
		const char *path, *type;
		int64_t major, minor;
		const char *want;
	} rows[] = {
		{ "/etc/x", "c", 1, 3, "not a path below /dev" },
		{ "/dev", "c", 1, 3, "not a path below /dev" },
		{ "/dev/fd/../x", "c", 1, 3, "not a path below /dev" },
		{ "/dev//x", "c", 1, 3, "not a path below /dev" },
		{ "/dev/x", "d", 1, 3, "unknown type" },
		{ "/dev/x", "", 1, 3, "unknown type" },
		{ "/dev/x", "c", 4096, 3, "out of range" },
		{ "/dev/x", "c", 1, 1048576, "out of range" },
		{ "/dev/x", "c", -1, 3, "out of range" },
	};
	Grpc__Spec *spec;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		spec = oci_sh(t, "true");
		(void)add(t, spec, rows[i].path, rows[i].type, rows[i].major, rows[i].minor);
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, rows[i].want);
	}
	/* Two devices with one name; a parent directory that is a default link. */
	spec = oci_sh(t, "true");
	(void)add(t, spec, "/dev/x", "c", 1, 3);
	(void)add(t, spec, "/dev/x", "c", 1, 5);
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "another file exists at this path");
	spec = oci_sh(t, "true");
	(void)add(t, spec, "/dev/fd/x", "c", 1, 3);
	OCI_REFUSED(t, spec, ERROR_INTERNAL, "fd/x");
}

/* Returns a request for a container with a disk that the host numbers 240:7. */
static Grpc__CreateContainerRequest *
with_disk(struct oci *t, const char *script, const char *type, const char *id, const char *vm_path)
{
	Grpc__Spec *spec = oci_sh(t, "%s", script);
	Grpc__LinuxResources *r = oci_resources(t, spec);
	Grpc__CreateContainerRequest *q;
	Grpc__LinuxDeviceCgroup *rule;
	Grpc__Device *d;

	add(t, spec, "/dev/data", "b", 240, 7)->filemode = 0600;
	rule = OCI_ADD(t, r->devices, r->n_devices, grpc__linux_device_cgroup__init);
	rule->type = oci_str(t, "a");
	rule->major = rule->minor = -1;
	rule->access = oci_str(t, "rwm");
	rule = OCI_ADD(t, r->devices, r->n_devices, grpc__linux_device_cgroup__init);
	rule->allow = true;
	rule->type = oci_str(t, "b");
	rule->major = 240;
	rule->minor = 7;
	rule->access = oci_str(t, "r");
	q = oci_request(t, "c1", spec);
	d = OCI_ADD(t, q->devices, q->n_devices, grpc__device__init);
	d->type = oci_str(t, "%s", type);
	d->id = oci_str(t, "%s", id);
	d->vm_path = oci_str(t, "%s", vm_path);
	d->container_path = oci_str(t, "/dev/data");
	return q;
}

static void
plugged_in(struct oci *t)
{
	char out[256], number[32], pci[32];
	char *want;

	if (oci_needs_vm(t))
		return;
	/* The last PCI function in the device's path, such as 0000:00:05.0. */
	if (!CHECK(oci_guest(t, number, sizeof(number), "cat $R/sys/block/vda/dev") == 0 &&
			   oci_guest(t, pci, sizeof(pci),
				     "readlink $R/sys/block/vda | sed 's#.*/0000:00:##; "
				     "s#\\.0/.*##'") == 0,
		   "%s", t->err.msg))
		return;
	number[strcspn(number, "\n")] = pci[strcspn(pci, "\n")] = '\0';
	want = oci_str(t, "%s 600 1024\n", number);
	for (int i = 0; i < 3; i++) {
		static const char script[] =
			"set -- $(stat -c '%t %T %a' /dev/data); printf '%d:%d %s ' 0x$1 0x$2 $3; "
			"head -c 1024 /dev/data | wc -c";
		Grpc__CreateContainerRequest *q =
			i == 0   ? with_disk(t, script, "blk", pci, "")
			: i == 1 ? with_disk(t, script, "blk", "", "/dev/vda")
				 : with_disk(t, script, "mmioblk", "", "/dev/vda");

		if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "c1") == 0 &&
				   oci_read(t, "c1", "", out, sizeof(out)) >= 0 &&
				   oci_remove(t, "c1") == 0,
			   "%d: %s", i, t->err.msg))
			return;
		CHECK_STR(out, want, "%d: %s, not %s", i, out, want);
	}
}

/* containerd sends all rules of the spec with every update, and there the disk has the host's
 * number. */
static void
plugged_in_and_updated(struct oci *t)
{
	Grpc__UpdateContainerRequest u = GRPC__UPDATE_CONTAINER_REQUEST__INIT;
	Grpc__CreateContainerRequest *q;
	Grpc__LinuxResources *r;

	if (oci_needs_vm(t))
		return;
	q = with_disk(t, "sleep 3600", "blk", "", "/dev/vda");
	r = q->oci->linux->resources;
	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "c1") == 0, "%s", t->err.msg))
		return;
	u.container_id = "c1";
	u.resources = r;
	CHECK_OK(oci_call(t, "UpdateContainer", &u, NULL), &t->err);
	OCI_EXEC_PRINTS(t, "c1",
			oci_process(t, ARGS("/bin/sh", "-c", "head -c 1024 /dev/data | wc -c")),
			"1024\n");
}

static void
plugged_in_refused(struct oci *t)
{
	static const struct {
		const char *type, *id, *vm_path, *want;
	} rows[] = {
		{ "", "05", "", "no type" },
		{ "floppy", "05", "", TEXT_NO_DEVICE_HANDLER " floppy" },
		{ "vfio-pci", "05", "", "no option names a PCI function" },
		{ "scsi", "0", "", "invalid SCSI address" },
		{ "scsi", "7:7", "", "failed to find SCSI disk 7:7" },
		{ "blk-ccw", "05", "", "invalid CCW device" },
		{ "blk", "", "", "neither id nor vm_path" },
		{ "blk", "zz", "", "zz" },
		{ "mmioblk", "x", "/etc/passwd", "/etc/passwd" },
		{ "nvdimm", "x", "/dev/pmem77", "pmem77" },
	};
	Grpc__CreateContainerRequest *q;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		q = with_disk(t, "true", rows[i].type, rows[i].id, rows[i].vm_path);
		CHECK_LT(oci_create_request(t, q), 0, "type %s", rows[i].type);
		CHECK_HAS(t->err.msg, rows[i].want, "no \"%s\" in: %s", rows[i].want, t->err.msg);
	}
	q = with_disk(t, "true", "blk", "05", "");
	q->devices[0]->container_path = oci_str(t, "%s", "");
	CHECK(oci_create_request(t, q) < 0 && strstr(t->err.msg, "container_path"), "%s",
	      t->err.msg);
}

/* Returns a request for a container with a function that is 0000:3b:02.1 on the host, and the host
 * bridge in the guest. */
static Grpc__CreateContainerRequest *
with_function(struct oci *t, const char *script)
{
	Grpc__CreateContainerRequest *q = oci_request(t, "c1", oci_sh(t, "%s", script));
	Grpc__Process *p = q->oci->process;
	Grpc__Device *d = OCI_ADD(t, q->devices, q->n_devices, grpc__device__init);

	d->type = oci_str(t, "vfio-pci-gk");
	d->id = d->container_path = oci_str(t, "/dev/vfio/3");
	oci_append(t, &d->options, &d->n_options, "0000:3b:02.1=00");
	oci_append(t, &p->env, &p->n_env, "PCIDEVICE_A_B=0000:3b:02.1");
	oci_append(t, &p->env, &p->n_env, "PCIDEVICE_A_B_INFO={\"0000:3b:02.1\":{}}");
	oci_append(t, &p->env, &p->n_env, "PCIDEVICE_OTHER=0000:3b:02.1,0000:3b:02.2");
	return q;
}

static void
pci_addresses(struct oci *t)
{
	static const char want[] = "0000:00:00.0 {\"0000:00:00.0\":{}} 0000:3b:02.1,0000:3b:02.2\n";
	static const char script[] = "echo $PCIDEVICE_A_B \"$PCIDEVICE_A_B_INFO\" $PCIDEVICE_OTHER";
	Grpc__CreateContainerRequest *q;
	Grpc__Process *p;
	char out[256];

	if (oci_guest(t, out, sizeof(out), "ls -d $R/sys/devices/pci0000:00/0000:00:00.0") < 0 &&
	    oci_needs_vm(t))
		return;
	q = with_function(t, script);
	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "c1") == 0 &&
			   oci_read(t, "c1", "", out, sizeof(out)) >= 0 && oci_remove(t, "c1") == 0,
		   "%s", t->err.msg))
		return;
	CHECK_STR(out, want);
	/* Hosts send the variables of the container again with an exec. */
	q = with_function(t, "exec sleep 1000");
	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "c1") == 0, "%s", t->err.msg))
		return;
	p = oci_process(t, ARGS("/bin/sh", "-c", script));
	for (size_t i = 0; i < q->oci->process->n_env; i++)
		oci_append(t, &p->env, &p->n_env, q->oci->process->env[i]);
	OCI_EXEC_PRINTS(t, "c1", p, want);
}

/* A mount of one container appears in another that exists already or is created later. */
static void
shared_mounts(struct oci *t)
{
	Grpc__Spec *spec =
		oci_sh(t, "mkdir -p /run/one /run/two; mount -t tmpfs x /run/one; "
			  "echo first > /run/one/f; echo ready; sleep 1; "
			  "mount -t tmpfs x /run/two; echo second > /run/two/f; exec sleep 1000");
	static const char script[] = "cat /got/one/f /got/two/f; ls / | grep nothing";
	Grpc__CreateContainerRequest *q;
	Grpc__SharedMount *m;
	char out[256];

	oci_annotation(t, spec, "io.kubernetes.cri.container-name", "sidecar");
	oci_caps(t, spec->process, "CAP_SYS_ADMIN,CAP_DAC_OVERRIDE");
	oci_mount(t, spec, "/run", "tmpfs", "tmpfs", "");
	if (!CHECK(oci_launch(t, "src", spec) == 0 && oci_read_line(t, "src", "", "ready") == 0,
		   "%s", t->err.msg))
		return;
	q = oci_request(t, "c1", oci_sh(t, "%s", script));
	m = OCI_ADD(t, q->shared_mounts, q->n_shared_mounts, grpc__shared_mount__init);
	m->src_ctr = oci_str(t, "sidecar");
	m->src_path = oci_str(t, "/run/one");
	m->dst_path = oci_str(t, "/got/one");
	m = OCI_ADD(t, q->shared_mounts, q->n_shared_mounts, grpc__shared_mount__init);
	m->src_ctr = oci_str(t, "sidecar");
	m->src_path = oci_str(t, "/run/two");
	m->dst_path = oci_str(t, "/got/two");
	m = OCI_ADD(t, q->shared_mounts, q->n_shared_mounts, grpc__shared_mount__init);
	m->src_ctr = oci_str(t, "nobody");
	m->src_path = m->dst_path = oci_str(t, "/nothing");
	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "c1") == 0 &&
			   oci_read(t, "c1", "", out, sizeof(out)) >= 0 && oci_remove(t, "c1") == 0,
		   "%s", t->err.msg))
		return;
	CHECK_STR(out, "first\nsecond\n");
	/* Shared mounts on procfs are refused. */
	q->n_shared_mounts = 1;
	q->shared_mounts[0]->dst_path = oci_str(t, "/proc/sys");
	CHECK(oci_create_request(t, q) < 0 && strstr(t->err.msg, "procfs"), "%s", t->err.msg);
	q->shared_mounts[0]->dst_path = oci_str(t, "relative");
	CHECK(oci_create_request(t, q) < 0 && strstr(t->err.msg, "absolute"), "%s", t->err.msg);
}

const struct oci_case oci_devices_cases[] = {
	{ "linux.devices", "the default devices and links", defaults },
	{ "linux.devices", "devices with mode and owner", nodes },
	{ "linux.devices.filemode", "a default device with the spec's mode and owner",
	  default_by_spec },
	{ "linux.devices", "devices in a user namespace", nodes_in_user_namespace },
	{ "linux.devices.path", "invalid devices", refused },
	{ "devices", "a hot-plugged disk", plugged_in },
	{ "devices", "update with a hot-plugged disk", plugged_in_and_updated },
	{ "devices", "the host's PCI addresses in variables", pci_addresses },
	{ "devices", "unsupported devices", plugged_in_refused },
	{ "shared_mounts", "mounts of another container", shared_mounts },
};
const size_t n_oci_devices_cases = ARRAY_LEN(oci_devices_cases);
