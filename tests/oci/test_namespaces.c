/* SPDX-License-Identifier: Apache-2.0 */
/* Namespaces, id mappings, hostname, sysctl. See oci.h. */
#include <stdlib.h>
#include <string.h>

#include "tests/oci/oci.h"

static const struct kind {
	const char *type, *file;
} kinds[] = {
	{ "mount", "mnt" },   { "pid", "pid" },   { "ipc", "ipc" },       { "uts", "uts" },
	{ "network", "net" }, { "user", "user" }, { "cgroup", "cgroup" }, { "time", "time" },
};

/* Returns the guest's pid of a container's process, or 0. The query runs in a pid namespace, in
 * which cgroup.procs lists nothing. */
static int
pid_of(struct oci *t, const char *id)
{
	char out[64];

	if (oci_guest(t, out, sizeof(out),
		      "for d in $P/[0-9]*; do grep -qs '^0::.*/%s$' $d/cgroup && echo ${d##*/} "
		      "&& break; done",
		      id) == 0)
		return atoi(out);
	CHECK(false, "%s: %s", id, t->err.msg);
	return 0;
}

/* Starts a container that prints "ready" and waits. Returns its pid in the guest, or 0 on
 * failure. */
static int
hold(struct oci *t, const char *id, Grpc__Spec *spec)
{
	spec->process->args = oci_strings(t, &spec->process->n_args,
					  ARGS("/bin/sh", "-c", "echo ready; exec sleep 1000"));
	if (oci_launch(t, id, spec) == 0 && oci_read_line(t, id, "", "ready") == 0)
		return pid_of(t, id);
	CHECK(false, "%s: %s", id, t->err.msg);
	return 0;
}

/* Returns the guest's name of a process's namespace: "ipc:[4026531839]\n". */
static char *
namespace_of(struct oci *t, const char *pid, const char *file)
{
	char *out = oci_zalloc(t, 128, 1);

	CHECK_OK(oci_guest(t, out, 128, "readlink $P/%s/ns/%s", pid, file), &t->err);
	return out;
}

static Grpc__Spec *
showing(struct oci *t, const char *file)
{
	return oci_sh(t, "readlink /proc/self/ns/%s", file);
}

/* A namespace listed without a path is new or the sandbox's; an unlisted one is the guest's. */
static void
new_ones(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");
	char *own[ARRAY_LEN(kinds)], *other[ARRAY_LEN(kinds)];
	int first, second;

	oci_namespace(t, spec, "network", "");
	oci_namespace(t, spec, "cgroup", "");
	first = hold(t, "c1", spec);
	spec = oci_sh(t, "true");
	second = hold(t, "c2", spec);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		own[i] = namespace_of(t, oci_str(t, "%d", first), kinds[i].file);
		other[i] = namespace_of(t, oci_str(t, "%d", second), kinds[i].file);
	}
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *type = kinds[i].type;
		bool pod = strcmp(type, "ipc") == 0 || strcmp(type, "uts") == 0;
		bool guest = strcmp(type, "user") == 0 || strcmp(type, "time") == 0;
		bool differ = strcmp(own[i], other[i]) != 0;
		bool from_guest = strcmp(own[i], namespace_of(t, "$A", kinds[i].file)) != 0;

		CHECK_EQ(differ, !(pod || guest), "%s: %s %s", type, own[i], other[i]);
		CHECK_EQ(from_guest, !guest, "%s: %s is the guest's", type, own[i]);
	}
}

static void
by_path(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");
	int pid;

	/* Only a user namespace brings ipc and uts namespaces other than the sandbox's. */
	oci_userns(t, spec, 200000, 65536);
	oci_namespace(t, spec, "network", "");
	oci_namespace(t, spec, "cgroup", "");
	pid = hold(t, "holder", spec);
	if (!CHECK_GT(pid, 0, "no holder"))
		return;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *type = kinds[i].type;

		if (strcmp(type, "mount") == 0 || strcmp(type, "time") == 0)
			continue;
		spec = showing(t, kinds[i].file);
		oci_namespace(t, spec, type, oci_str(t, "/proc/%d/ns/%s", pid, kinds[i].file));
		OCI_PRINTS(t, spec, namespace_of(t, oci_str(t, "%d", pid), kinds[i].file));
	}
	/* All related namespaces at once. */
	spec = oci_sh(t,
		      "id -u; hostname; cat /proc/1/comm; awk '{ print $2 }' /proc/self/uid_map; "
		      "ls /sys/class/net; mount | grep -c mqueue");
	spec->hostname = oci_str(t, "joined");
	for (size_t i = 1; i < 6; i++)
		oci_namespace(t, spec, kinds[i].type,
			      oci_str(t, "/proc/%d/ns/%s", pid, kinds[i].file));
	OCI_SAYS(t, spec, "0\njoined\nsleep\n200000\n");
}

static void
path_refused(struct oci *t)
{
	static const struct {
		const char *type, *path, *want;
	} rows[] = {
		{ "network", "/etc/hostname", "network: " },
		{ "ipc", "/nothing/here", "ipc: failed to open /nothing/here" },
		{ "ipc", "relative", "linux.namespaces.path" },
		{ "ipc", "/proc/1/ns/../fd/0", "linux.namespaces.path" },
		{ "mount", "/proc/self/ns/mnt", "mount: failed to open" },
		{ "pid", "/proc/4194305/ns/pid", "pid: failed to open" },
	};
	Grpc__Spec *spec;
	int pid;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		spec = oci_sh(t, "true");
		oci_namespace(t, spec, rows[i].type, rows[i].path);
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, rows[i].want);
	}
	/* A namespace of the wrong kind; a mount namespace of another container, which has no
	 * place for a root. */
	pid = hold(t, "holder", oci_sh(t, "true"));
	spec = oci_sh(t, "true");
	oci_namespace(t, spec, "network", oci_str(t, "/proc/%d/ns/ipc", pid));
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "join network namespace");
	spec = oci_sh(t, "true");
	oci_namespace(t, spec, "mount", oci_str(t, "/proc/%d/ns/mnt", pid));
	OCI_REFUSED(t, spec, ERROR_INTERNAL, "in the container's mount namespace");
}

static void
types(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");

	oci_namespace(t, spec, "flavour", "");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.namespaces: invalid namespace type");
	spec = oci_sh(t, "true");
	oci_namespace_drop(spec, "mount");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.namespaces: no mount namespace");
	spec = oci_sh(t, "true");
	spec->linux->n_namespaces = 0;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "\"mount\" is required");
	spec = oci_sh(t, "true");
	OCI_ADD(t, spec->linux->namespaces, spec->linux->n_namespaces, grpc__linux_namespace__init)
		->type = oci_str(t, "mount");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "mount is given twice");
}

/* The Rust clients use different names for two types. */
static void
rust_types(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "awk -F: 'NR > 2 { print $1 }' /proc/net/dev");

	oci_namespace_drop(spec, "mount");
	oci_namespace(t, spec, "mnt", "");
	oci_namespace(t, spec, "net", "");
	OCI_PRINTS(t, spec, "    lo\n");
	oci_namespace(t, spec, "network", "");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "network is given twice");
}

static void
new_network(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "awk -F: 'NR > 2 { print $1 }' /proc/net/dev; "
				     "cat /sys/class/net/lo/flags");

	oci_namespace(t, spec, "network", "");
	OCI_PRINTS(t, spec, "    lo\n0x9\n");
}

/* A kernel without time namespaces reports an error. */
/* A bind mount of the guest's /sys would list the guest's devices and share the guest's
 * superblock. */
static void
own_sysfs(struct oci *t)
{
	static const char *const script =
		"ls /sys/class/net; stat -c %d /sys; mount | grep -c ' /sys .*ro[,)]'";
	char guest[32], want[64], out[OCI_OUT];
	Grpc__Spec *spec = oci_sh(t, "%s", script);

	if (!CHECK_OK(oci_guest(t, guest, sizeof(guest), "stat -c %%d $R/sys"), &t->err))
		return;
	oci_userns(t, spec, 200000, 65536);
	oci_namespace(t, spec, "network", "");
	if (!CHECK_OK(oci_run(t, spec, out, sizeof(out)), &t->err))
		return;
	(void)snprintf(want, sizeof(want), "lo\n%s", guest);
	CHECK(strncmp(out, "lo\n", 3) == 0, "%s", out);
	CHECK(strncmp(out, want, strlen(want)) != 0, "%s is the guest's", out);
	CHECK_HAS(out, "\n1\n", "%s: not read-only", out);
	/* The container's user namespace does not own the guest's network, so its sysfs is the
	 * guest's, read-only. */
	spec = oci_sh(t, "%s", script);
	oci_userns(t, spec, 200000, 65536);
	if (!CHECK_OK(oci_run(t, spec, out, sizeof(out)), &t->err))
		return;
	CHECK(strstr(out, guest) && strstr(out, "\n1\n"), "%s: want %s", out, guest);
}

static void
new_time(struct oci *t)
{
	Grpc__Spec *spec = showing(t, "time");
	char out[128];

	oci_namespace(t, spec, "time", "");
	if (oci_run(t, spec, out, sizeof(out)) < 0)
		CHECK_HAS(t->err.msg, "linux.namespaces: time");
	else
		CHECK(strcmp(out, namespace_of(t, "$A", "time")) != 0, "%s", out);
}

static void
exec_joins(struct oci *t)
{
	static const char script[] =
		"for i in mnt pid ipc uts net user cgroup; do readlink /proc/self/ns/$i; done";
	Grpc__Spec *spec = oci_sh(t, "%s > /dev/shm/ns; echo ready; exec sleep 1000", script);
	char *compare =
		oci_str(t, "%s > /dev/shm/mine; cd /dev/shm; wc -l < mine; cmp ns mine", script);

	oci_userns(t, spec, 200000, 65536);
	oci_namespace(t, spec, "network", "");
	if (!CHECK(oci_launch(t, "c1", spec) == 0 && oci_read_line(t, "c1", "", "ready") == 0, "%s",
		   t->err.msg))
		return;
	OCI_EXEC_PRINTS(t, "c1", oci_process(t, ARGS("/bin/sh", "-c", compare)), "7\n");
}

/* Containers that ask for it share one pid namespace, that of the sandbox's first container. */
static void
sandbox_pidns(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "echo ready; exec sleep 1000");
	Grpc__CreateContainerRequest *q = oci_request(t, "p1", spec);
	char out[64], *shared;

	q->sandbox_pidns = true;
	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "p1") == 0 &&
			   oci_read_line(t, "p1", "", "ready") == 0,
		   "%s", t->err.msg))
		return;
	shared = namespace_of(t, oci_str(t, "%d", pid_of(t, "p1")), "pid");
	q = oci_request(t, "p2", showing(t, "pid"));
	q->sandbox_pidns = true;
	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "p2") == 0 &&
			   oci_read(t, "p2", "", out, sizeof(out)) > 0 && oci_remove(t, "p2") == 0,
		   "%s", t->err.msg))
		return;
	CHECK_STR(out, shared, "%s is not %s", out, shared);
	if (!CHECK_OK(oci_run(t, showing(t, "pid"), out, sizeof(out)), &t->err))
		return;
	CHECK(strcmp(out, shared) != 0, "%s without being asked", out);
	/* A terminal is the controlling terminal there as well. */
	q = oci_request(t, "p3", oci_sh(t, "tty; cut -d' ' -f7 /proc/self/stat"));
	q->sandbox_pidns = q->oci->process->terminal = true;
	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "p3") == 0 &&
			   oci_read(t, "p3", "", out, sizeof(out)) > 0 && oci_remove(t, "p3") == 0,
		   "%s", t->err.msg))
		return;
	CHECK_STR(out, "/dev/pts/0\r\n34816\r\n");
}

static void
mappings(struct oci *t)
{
	Grpc__Spec *spec =
		oci_sh(t, "awk '{ print $1, $2, $3 }' /proc/self/uid_map /proc/self/gid_map; "
			  "id -u; id -g");
	Grpc__Linux *l = spec->linux;
	const uint32_t uid[][3] = { { 0, 300000, 10 }, { 20, 300100, 5 } };
	const uint32_t gid[][3] = { { 0, 400000, 11 }, { 30, 400100, 6 } };

	oci_namespace(t, spec, "user", "");
	for (size_t i = 0; i < 2; i++) {
		Grpc__LinuxIDMapping *m =
			OCI_ADD(t, l->uidmappings, l->n_uidmappings, grpc__linux_idmapping__init);

		m->containerid = uid[i][0];
		m->hostid = uid[i][1];
		m->size = uid[i][2];
		m = OCI_ADD(t, l->gidmappings, l->n_gidmappings, grpc__linux_idmapping__init);
		m->containerid = gid[i][0];
		m->hostid = gid[i][1];
		m->size = gid[i][2];
	}
	/* The terminal's group 5 is mapped; tty(4) is not tested here. */
	oci_mount_drop(spec, "/dev/pts");
	spec->process->user->uid = 20;
	spec->process->user->gid = 30;
	OCI_PRINTS(t, spec, "0 300000 10\n20 300100 5\n0 400000 11\n30 400100 6\n20\n30\n");
	l->n_uidmappings = 0;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.uidMappings");
	spec = oci_sh(t, "true");
	oci_userns(t, spec, 1000, 10);
	oci_namespace_drop(spec, "user");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.uidMappings");
}

static void
hostname(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "hostname");

	spec->hostname = oci_str(t, "a-name-of-its-own");
	OCI_PRINTS(t, spec, "a-name-of-its-own\n");
	/* A host name of its own in a user namespace; the other containers keep theirs. */
	spec = oci_sh(t, "hostname");
	oci_userns(t, spec, 200000, 65536);
	spec->hostname = oci_str(t, "another");
	OCI_PRINTS(t, spec, "another\n");
	OCI_PRINTS(t, oci_sh(t, "hostname"), "a-name-of-its-own\n");
	oci_namespace_drop(spec, "uts");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "hostname");
}

static void
sysctl(struct oci *t)
{
	static const char *const refused[] = {
		"kernel.core_pattern",        "vm.swappiness", "kernel.hostname",
		"net/../kernel/core_pattern", "fs.file-max",
	};
	Grpc__Spec *spec = oci_sh(t, "cd /proc/sys; cat kernel/msgmax kernel/domainname "
				     "fs/mqueue/msg_max net/ipv4/ip_unprivileged_port_start");

	oci_namespace(t, spec, "network", "");
	oci_sysctl(t, spec, "kernel.msgmax", "9123");
	oci_sysctl(t, spec, "kernel/domainname", "example");
	oci_sysctl(t, spec, "fs.mqueue.msg_max", "33");
	oci_sysctl(t, spec, "net.ipv4.ip_unprivileged_port_start", "77");
	OCI_PRINTS(t, spec, "9123\nexample\n33\n77\n");
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		spec = oci_sh(t, "true");
		oci_sysctl(t, spec, refused[i], "1");
		OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, refused[i]);
	}
	spec = oci_sh(t, "true");
	oci_sysctl(t, spec, "kernel.msgmax", "9123");
	oci_namespace_drop(spec, "ipc");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "kernel.msgmax");
	spec = oci_sh(t, "true");
	oci_sysctl(t, spec, "net.ipv4.no_such_switch", "1");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "net.ipv4.no_such_switch");
	spec = oci_sh(t, "true");
	oci_namespace(t, spec, "network", "");
	oci_sysctl(t, spec, "net.ipv4.ip_unprivileged_port_start", "no number");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "net.ipv4.ip_unprivileged_port_start");
}

const struct oci_case oci_namespaces_cases[] = {
	{ "linux.namespaces", "listed namespaces", new_ones },
	{ "linux.namespaces.path", "namespaces by path", by_path },
	{ "linux.namespaces.path", "invalid namespace paths", path_refused },
	{ "linux.namespaces.type", "namespace types", types },
	{ "linux.namespaces.type", "namespace types of the Rust clients", rust_types },
	{ "linux.namespaces", "a network namespace of its own", new_network },
	{ "linux.namespaces", "sysfs shows the devices of the container's network", own_sysfs },
	{ "linux.namespaces", "a time namespace of its own", new_time },
	{ "linux.namespaces", "an exec joins all namespaces", exec_joins },
	{ "sandbox_pidns", "the sandbox's pid namespace", sandbox_pidns },
	{ "linux.uidmappings", "id mappings", mappings },
	{ "hostname", "the hostname", hostname },
	{ "linux.sysctl", "kernel parameters of the container's namespaces", sysctl },
};
const size_t n_oci_namespaces_cases = ARRAY_LEN(oci_namespaces_cases);
