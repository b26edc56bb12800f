/* SPDX-License-Identifier: Apache-2.0 */
/* Pod descriptions: those in tests/data/pods, which are like the examples of Kubernetes' tasks, the
 * requests that they become, and the paths and lines in the errors of invalid ones. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "ctl/pod/expand.h"
#include "ctl/pod/manifest.h"
#include "ctl/pod/security.h"
#include "ctl/pod/spec.h"
#include "ctl/spec/quantity.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

#define POD(spec) "{\"metadata\":{\"name\":\"p\"},\"spec\":{" spec "}}"
#define CONTAINERS(more) \
	"\"containers\":[{\"name\":\"c\",\"image\":\"/i\",\"command\":[\"x\"]" more "}]"

static const struct manifest_guest guest = {
	.ip = "10.0.2.15",
	.host_ip = "10.0.2.2",
	.uid = "6a3e",
	.memory = 256u << 20,
	.cpus = 2,
};

static struct manifest m;

static void
finish(void)
{
	manifest_release(&m);
}

TestSuite(manifest, .fini = finish);

static int
read_file(const char *name, struct error *err)
{
	char path[512];

	(void)snprintf(path, sizeof(path), TEST_DATA "/pods/%s.yaml", name);
	return manifest_read(&m, path, &guest, err);
}

static int
parse(const char *text, struct error *err)
{
	manifest_release(&m);
	return manifest_parse(&m, text, strlen(text), &guest, err);
}

static void
read_valid(const char *name)
{
	struct error err = ERROR_INIT;

	manifest_release(&m);
	REQUIRE_EQ(read_file(name, &err), 0, "%s: %s", name, err.msg);
}

/* Returns the value of a variable of container i, or NULL. */
static const char *
env_of(size_t i, const char *name)
{
	const struct manifest_container *c = &m.containers[i];
	size_t n = strlen(name);

	for (size_t k = c->n_env; k-- > 0;)
		if (strncmp(c->env[k], name, n) == 0 && c->env[k][n] == '=')
			return c->env[k] + n + 1;
	return NULL;
}

/* Checks a file of volume i. */
static void
check_file(size_t i, const char *path, const char *content, unsigned int mode)
{
	const struct manifest_volume *v = &m.volumes[i];

	for (size_t k = 0; k < v->n_files; k++) {
		if (strcmp(v->files[k].path, path) != 0)
			continue;
		CHECK_EQ(v->files[k].size, strlen(content), "%s", path);
		CHECK(memcmp(v->files[k].bytes, content, strlen(content)) == 0, "%s: %.*s", path,
		      (int)v->files[k].size, (const char *)v->files[k].bytes);
		CHECK_EQ(v->files[k].mode, mode, "%s", path);
		return;
	}
	CHECK(false, "no file %s", path);
}

Test(manifest, all_examples)
{
	static const struct {
		/* error: of a file that is refused */
		const char *name, *ignored, *error;
	} rows[] = {
		{ "nginx", "spec.runtimeClassName, metadata.labels", NULL },
		{ "busybox-sleep", "metadata.namespace, spec.serviceAccountName", NULL },
		{ "arguments", "", NULL },
		{ "configmap-environment", "", NULL },
		{ "configmap-volume", "", NULL },
		{ "secret", "Secret login.type", NULL },
		{ "downward-environment", "", NULL },
		{ "downward-volume", "", NULL },
		{ "projected", "", NULL },
		{ "init-containers", "", NULL },
		{ "sidecar", "spec.replicas, spec.selector, spec.template.metadata.labels", NULL },
		{ "liveness-exec", "metadata.labels", NULL },
		{ "http-probes", "", NULL },
		{ "tcp-and-grpc-probes", "", NULL },
		{ "lifecycle", "", NULL },
		{ "security-context", "", NULL },
		{ "seccomp-localhost", "", NULL },
		{ "resources",
		  "spec.nodeSelector, spec.tolerations, "
		  "spec.containers[].resources.requests.ephemeral-storage",
		  NULL },
		{ "deployment",
		  "Service front, spec.replicas, spec.selector, "
		  "spec.template.spec.affinity, metadata.labels, spec.template.metadata.labels",
		  NULL },
		{ "job", "", NULL },
		{ "indexed-job", "spec.parallelism", NULL },
		{ "hosts-and-dns", "", NULL },
		{ "subdomain", "", NULL },
		{ "image-volume", "", NULL },
		{ "shared-processes", "", NULL },
		{ "host-path", "", NULL },
		{ "two-containers", "", NULL },
		{ "scheduling",
		  "PriorityClass high-priority, spec.priorityClassName, spec.preemptionPolicy, "
		  "spec.schedulerName, spec.schedulingGates, spec.nodeSelector, spec.tolerations, "
		  "spec.topologySpreadConstraints, spec.affinity, metadata.labels",
		  NULL },
		{ "termination-message", "", NULL },
		{ "deadline", "", NULL },
		{ "list", "Namespace quota-example, ConfigMap special-config.immutable", NULL },
		{ "daemon-set",
		  "spec.selector, spec.updateStrategy, metadata.namespace, "
		  "spec.template.spec.tolerations, "
		  "spec.template.metadata.labels",
		  NULL },
		{ "cron-job",
		  "spec.schedule, spec.concurrencyPolicy, "
		  "spec.jobTemplate.spec.ttlSecondsAfterFinished",
		  NULL },
		{ "user-and-groups", "spec.securityContext.seLinuxOptions", NULL },
		{ "claim", "", NULL },
		{ "stateful-set", NULL,
		  "line 33: spec.volumeClaimTemplates[0]: no PersistentVolume of the file fits the "
		  "claim: give its directory or disk by --claim www=PATH" },
		{ "refused-ephemeral", NULL, "line 7: spec.ephemeralContainers: not supported" },
		{ "refused-resource", NULL,
		  "line 10: spec.containers[0].resources.limits.example.com/dongle: not "
		  "supported" },
		{ "refused-sysctl", NULL,
		  "line 7: spec.securityContext.sysctls[0].name: vm.swappiness belongs to no "
		  "namespace of a pod: expected kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.* "
		  "or net.*" },
		{ "sysctls", "", NULL },
		{ "refused-device", NULL,
		  "line 8: spec.containers[0].volumeDevices: not supported" },
		{ "refused-udp", NULL,
		  "line 9: spec.containers[0].ports[0]: only TCP ports can be published on the "
		  "host" },
		{ "refused-claim", NULL,
		  "line 12: spec.volumes[0].persistentVolumeClaim.claimName: no PersistentVolume "
		  "of the file fits the claim: give its directory or disk by --claim claim=PATH" },
		{ "refused-token", NULL,
		  "line 11: spec.volumes[0].projected.sources[0].serviceAccountToken: not "
		  "supported" },
		{ "refused-host-processes", NULL, "line 5: spec.hostPID: not supported" },
		{ "refused-field", NULL, "line 8: spec.containers[0].volumeMount: unknown field" },
		{ "https-probe", "", NULL },
		{ "refused-number", NULL,
		  "line 10: spec.containers[0].env[0].value: must be a string: put 8080 into "
		  "quotes" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;
		char text[512];

		if (!rows[i].error) {
			read_valid(rows[i].name);
			CHECK_STR(m.ignored, rows[i].ignored, "%s", rows[i].name);
			continue;
		}
		manifest_release(&m);
		REQUIRE_EQ(read_file(rows[i].name, &err), -1, "%s", rows[i].name);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT, "%s", rows[i].name);
		(void)snprintf(text, sizeof(text), TEST_DATA "/pods/%s.yaml: %s", rows[i].name,
			       rows[i].error);
		CHECK_STR(err.msg, text);
	}
}

Test(manifest, defaults)
{
	read_valid("busybox-sleep");
	CHECK_STR(m.name, "sleeper");
	CHECK_STR(m.hostname, "sleeper");
	CHECK_EQ(m.kind, NULL);
	CHECK_EQ(m.restart, RESTART_ALWAYS);
	CHECK_EQ(m.grace_s, 30);
	CHECK_EQ(m.fs_group, -1);
	CHECK_STR(m.containers[0].command[0], "sleep");
	CHECK_STR(m.containers[0].command[1], "3600");
	CHECK_EQ(m.containers[0].command[2], NULL);
	CHECK_EQ(m.containers[0].args, NULL);
	CHECK_EQ(m.containers[0].cwd, NULL);
	CHECK_EQ(m.containers[0].uid, -1);
	CHECK_EQ(m.containers[0].liveness.action.args, NULL);
	CHECK_EQ(m.containers[0].liveness.action.sleep_s, -1);
}

Test(manifest, host_ports)
{
	read_valid("nginx");
	REQUIRE_EQ(m.n_ports, 1);
	CHECK(strcmp(m.ports[0], "127.0.0.1:8080:80") == 0, "%s", m.ports[0]);
}

Test(manifest, host_ports_of_addresses)
{
	static const struct {
		const char *address;
		bool passt;
		/* the port as published, or a part of the error */
		const char *port, *said;
	} rows[] = {
		{ "192.0.2.1", false, "192.0.2.1:8:80", NULL },
		{ "::1", true, "[::1]:8:80", NULL },
		{ "::1", false, NULL,
		  "line 1: spec.containers[0].ports[0].hostIP: ports of IPv6 addresses require "
		  "--network passt" },
		{ "localhost", true, NULL, "ports[0].hostIP: invalid IP address \"localhost\"" },
		{ "1:2", true, NULL, "ports[0].hostIP: invalid IP address \"1:2\"" },
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct manifest_guest other = guest;
		struct error err = ERROR_INIT;

		other.publishes_ipv6 = rows[i].passt;
		(void)snprintf(text, sizeof(text),
			       POD(CONTAINERS(",\"ports\":[{\"containerPort\":80,\"hostPort\":8,"
					      "\"hostIP\":\"%s\"}]")),
			       rows[i].address);
		manifest_release(&m);
		if (manifest_parse(&m, text, strlen(text), &other, &err) == 0)
			CHECK_STR(m.ports[0], rows[i].port, "%s", rows[i].address);
		else
			CHECK_HAS(err.msg, rows[i].said, "%s", rows[i].address);
		CHECK_EQ(m.n_ports == 1, rows[i].port != NULL, "%s", rows[i].address);
	}
}

Test(manifest, environments)
{
	read_valid("configmap-environment");
	CHECK_STR(env_of(0, "colour"), "blue");
	CHECK_STR(env_of(0, "MORE_SIZE"), "12");
	CHECK_STR(env_of(0, "COLOUR"), "blue");
	CHECK_EQ(env_of(0, "SHAPE"), NULL);
	read_valid("downward-environment");
	CHECK_STR(env_of(0, "POD"), "knows-itself");
	CHECK_STR(env_of(0, "SPACE"), "default");
	CHECK_STR(env_of(0, "ADDRESS"), "10.0.2.15");
	CHECK_STR(env_of(0, "ZONE"), "west");
	CHECK_STR(env_of(0, "CPUS"), "1", "rounded up");
	CHECK_STR(env_of(0, "MILLI"), "125");
	CHECK_STR(env_of(0, "MEMORY"), "64");
	read_valid("secret");
	CHECK_STR(env_of(0, "LOGIN"), "admin");
	read_valid("arguments");
	CHECK_STR(m.containers[0].args[0], "Good morning, Ms. $(SURNAME)");
	CHECK_STR(m.containers[0].args[1], "$(MESSAGE)");
	CHECK_STR(m.containers[0].args[2], "$(MISSING)");
}

Test(manifest, files_of_volumes)
{
	read_valid("configmap-volume");
	CHECK_EQ(m.volumes[0].n_files, 3);
	check_file(0, "motd", "Welcome.\nSecond line.\n", 0644);
	CHECK_EQ(m.volumes[0].files[2].size, 3, "of binaryData");
	check_file(1, "log/level", "debug", 0400);
	CHECK_EQ(m.volumes[1].n_files, 1);
	CHECK_STR(m.containers[0].mounts[2].sub_path, "motd");
	read_valid("secret");
	check_file(0, "username", "admin", 0400);
	check_file(0, "password", "s3cret", 0400);
	CHECK_EQ(m.volumes[0].n_files, 2);
	CHECK(m.containers[0].mounts[0].read_only);
	read_valid("downward-volume");
	check_file(0, "labels", "cluster=\"one\"\ntier=\"back\"\n", 0644);
	check_file(0, "annotations", "note=\"a \\\"quoted\\\" word\"\n", 0644);
	check_file(0, "cpu", "1000", 0600);
	read_valid("projected");
	check_file(0, "account/user", "jo", 0511);
	check_file(0, "mode", "fast", 0440);
	check_file(0, "name", "all-in-one", 0440);
	CHECK_EQ(m.volumes[0].n_files, 3);
}

Test(manifest, init_containers_and_sidecars)
{
	read_valid("init-containers");
	REQUIRE_EQ(m.n_init, 2);
	REQUIRE_EQ(m.n_containers, 3);
	CHECK_STR(m.containers[1].name, "append");
	CHECK(m.containers[1].is_init && !m.containers[1].is_sidecar);
	CHECK(!m.containers[2].is_init);
	CHECK_EQ(m.volumes[0].kind, VOLUME_EMPTY_DIR);
	CHECK(!m.volumes[0].in_memory);
	read_valid("sidecar");
	CHECK_STR(m.kind, "Deployment");
	CHECK_STR(m.name, "with-sidecar");
	REQUIRE_EQ(m.n_init, 1);
	CHECK(m.containers[0].is_init && m.containers[0].is_sidecar);
	CHECK_STR(m.containers[0].startup.action.args[0], "test");
	CHECK(m.volumes[0].in_memory);
	CHECK_EQ(m.volumes[0].size, 512 << 10);
	read_valid("job");
	CHECK_STR(m.name, "count");
	CHECK_EQ(m.restart, RESTART_NEVER);
}

Test(manifest, probes_and_hooks)
{
	const struct manifest_container *c = &m.containers[0];

	read_valid("http-probes");
	CHECK(c->startup.action.is_request);
	CHECK_STR(c->startup.action.args[0], "/probe");
	CHECK_STR(c->startup.action.args[1], "http");
	CHECK_STR(c->startup.action.args[2], "");
	CHECK_STR(c->startup.action.args[3], "8080", "by name");
	CHECK_STR(c->startup.action.args[4], "/healthz");
	CHECK_EQ(c->startup.action.args[5], NULL);
	CHECK_EQ(c->startup.failures, 30);
	CHECK_STR(c->readiness.action.args[2], "127.0.0.1");
	CHECK_STR(c->readiness.action.args[4], "/ready");
	CHECK_STR(c->readiness.action.args[5], "X-Probe: awesome");
	CHECK_EQ(c->readiness.successes, 2);
	CHECK_EQ(c->readiness.grace_s, -1);
	CHECK_EQ(c->liveness.grace_s, 2);
	CHECK_EQ(c->liveness.delay_s, 3);
	read_valid("tcp-and-grpc-probes");
	CHECK_STR(c->readiness.action.args[1], "tcp");
	CHECK_STR(c->readiness.action.args[3], "2379");
	CHECK_STR(c->liveness.action.args[1], "grpc");
	CHECK_STR(c->liveness.action.args[4], "live");
	CHECK_EQ(c->liveness.timeout_s, 2);
	read_valid("liveness-exec");
	CHECK_EQ(m.grace_s, 5);
	CHECK(!c->liveness.action.is_request);
	CHECK_STR(c->liveness.action.args[1], "/tmp/healthy");
	CHECK_EQ(c->liveness.period_s, 5);
	CHECK_EQ(c->liveness.failures, 3);
	read_valid("lifecycle");
	CHECK_STR(c->post_start.args[0], "/bin/sh");
	CHECK_STR(c->pre_stop.args[4], "/quit");
	CHECK_EQ(m.containers[1].pre_stop.sleep_s, 3);
	CHECK_EQ(m.containers[1].post_start.sleep_s, -1);
}

Test(manifest, resources)
{
	read_valid("resources");
	CHECK_EQ(m.containers[0].memory, 3u << 29);
	CHECK_EQ(m.containers[0].requested_memory, 107374183);
	CHECK_EQ(m.containers[0].milli, 1000);
	CHECK_EQ(m.containers[0].requested_milli, 500);
}

Test(manifest, names_of_hosts)
{
	read_valid("hosts-and-dns");
	CHECK_STR(m.hostname, "own");
	REQUIRE_EQ(m.n_dns, 3);
	CHECK_STR(m.dns[0], "nameserver 192.0.2.1");
	CHECK_STR(m.dns[1], "search ns1.svc.example my.dns.search.suffix");
	CHECK_STR(m.dns[2], "options ndots:2 edns0");
	REQUIRE_EQ(m.n_aliases, 2);
	CHECK_STR(m.aliases[0].names[1], "bar.local");
	CHECK_STR(m.aliases[1].ip, "10.1.2.3");
	CHECK(m.has_own_dns);
	CHECK_EQ(m.fqdn, NULL);
	read_valid("subdomain");
	CHECK_STR(m.label, "host-1");
	CHECK_STR(m.fqdn, "host-1.busybox-subdomain.default.svc.cluster.local");
	CHECK_STR(m.hostname, m.fqdn);
	CHECK(!m.has_own_dns);
	read_valid("shared-processes");
	CHECK(m.share_pids);
	CHECK(m.containers[1].terminal && m.containers[1].keeps_stdin);
	read_valid("host-path");
	CHECK_EQ(m.volumes[0].kind, VOLUME_HOST_PATH);
	CHECK(m.volumes[0].is_directory && !m.volumes[0].make);
	CHECK_STR(m.containers[0].mounts[0].sub_path, "from-the-host");
}

/* ---- the requests ---- */

/* Builds the request for container i of a VM with a configured card. */
static const Grpc__CreateContainerRequest *
request_of(struct arena *a, size_t i)
{
	static struct vm_options vm;
	const struct podspec p = { .m = &m, .vm = &vm };
	const Grpc__CreateContainerRequest *r;
	struct error err = ERROR_INIT;

	REQUIRE_OK(security_read_profiles(&m, TEST_DATA "/pods", "x86_64", &err), &err);
	vm = (struct vm_options){ .nic = true, .configure_nic = true };
	for (size_t k = 0; k < m.n_containers; k++)
		vm.shares[k] = (struct vm_share){ .kind = SHARE_9P, .tag = "t" };
	r = podspec_container(&p, a, i, 0);
	REQUIRE_NE(r, NULL);
	return r;
}

static bool
has_cap(const Grpc__LinuxCapabilities *caps, const char *name)
{
	for (size_t i = 0; i < caps->n_bounding; i++)
		if (strcmp(caps->bounding[i], name) == 0)
			return true;
	return false;
}

Test(manifest, security_contexts)
{
	const Grpc__CreateContainerRequest *r;
	const Grpc__Process *p;
	struct arena a;

	arena_init(&a, 4u << 20);
	read_valid("security-context");
	r = request_of(&a, 0);
	p = r->oci->process;
	CHECK_EQ(p->user->uid, 1000);
	CHECK_EQ(p->user->gid, 3000);
	REQUIRE_EQ(p->user->n_additionalgids, 3);
	CHECK_EQ(p->user->additionalgids[0], 3000, "its own");
	CHECK_EQ(p->user->additionalgids[1], 4000);
	CHECK_EQ(p->user->additionalgids[2], 2000);
	CHECK(p->nonewprivileges);
	CHECK(r->oci->root->readonly);
	REQUIRE_EQ(p->capabilities->n_bounding, 1);
	CHECK_STR(p->capabilities->bounding[0], "CAP_NET_BIND_SERVICE");
	REQUIRE_NE(r->oci->linux->seccomp, NULL);
	CHECK_STR(r->oci->linux->seccomp->defaultaction, "SCMP_ACT_ERRNO");
	CHECK_EQ(r->oci->linux->seccomp->n_architectures, 3);
	for (size_t i = 0; i < r->n_storages; i++)
		if (strcmp(r->storages[i]->driver, "local") == 0)
			CHECK_STR(r->storages[i]->options[1], "fsgid=2000");
	r = request_of(&a, 1);
	p = r->oci->process;
	CHECK_EQ(p->user->uid, 2000);
	CHECK_EQ(p->user->gid, 3000);
	CHECK(!p->nonewprivileges);
	CHECK(has_cap(p->capabilities, "CAP_NET_ADMIN") &&
	      has_cap(p->capabilities, "CAP_SYS_TIME") && has_cap(p->capabilities, "CAP_CHOWN") &&
	      !has_cap(p->capabilities, "CAP_SYS_ADMIN"));
	CHECK_EQ(r->oci->linux->seccomp, NULL);
	r = request_of(&a, 2);
	CHECK(has_cap(r->oci->process->capabilities, "CAP_SYS_ADMIN"));
	CHECK_EQ(r->oci->linux->n_maskedpaths, 0);
	CHECK_EQ(r->oci->linux->seccomp, NULL);
	arena_release(&a);
}

/* The pause container has the parameters, whose names may be written in two ways. */
Test(manifest, kernel_parameters)
{
	Grpc__Linux linux = GRPC__LINUX__INIT;
	const Grpc__CreateContainerRequest *r;
	struct error err = ERROR_INIT;
	struct arena a;

	arena_init(&a, 4u << 20);
	read_valid("sysctls");
	REQUIRE_EQ(podspec_set_sysctls(&m, &a, &linux), 0);
	REQUIRE_EQ(linux.n_sysctl, 3);
	CHECK_STR(linux.sysctl[1]->key, "net.core.somaxconn");
	CHECK_STR(linux.sysctl[1]->value, "1024");
	r = request_of(&a, 0);
	CHECK_EQ(r->oci->linux->n_sysctl, 0);
	CHECK_EQ(r->oci->linux->n_maskedpaths, 0);
	CHECK_EQ(r->oci->linux->n_readonlypaths, 0);
	REQUIRE_OK(parse("metadata: {name: p}\nspec:\n"
			 "  securityContext: {sysctls: [{name: net/ipv4/conf/eth0.1/forwarding, "
			 "value: \"1\"}]}\n"
			 "  containers: [{name: c, image: i, command: [x], "
			 "securityContext: {procMount: Default}}]\n",
			 &err),
		   &err);
	REQUIRE_EQ(podspec_set_sysctls(&m, &a, &linux), 0);
	CHECK_STR(m.sysctls[0].name, "net.ipv4.conf.eth0/1.forwarding");
	CHECK_NE(request_of(&a, 0)->oci->linux->n_maskedpaths, 0);
	arena_release(&a);
}

#define CLAIM(spec) "kind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {" spec "}\n---\n"
#define VOLUME(name, spec)                                     \
	"kind: PersistentVolume\nmetadata: {name: " name "}\n" \
	"spec: {hostPath: {path: /" name "}, " spec "}\n---\n"
#define CLAIMING(more)                                                                    \
	"metadata: {name: p}\nspec:\n  containers: [{name: c, image: i, command: [x]}]\n" \
	"  volumes: [{name: v, persistentVolumeClaim: {claimName: data" more "}}]\n"
#define SIZE(size)    "capacity: {storage: " size "}"
#define REQUEST(size) "resources: {requests: {storage: " size "}}"

Test(manifest, claims)
{
	static const struct {
		const char *text;
		/* path of the volume, what is ignored, or part of the error */
		const char *path, *ignored, *said;
	} rows[] = {
		{ CLAIM("") VOLUME("a", "") CLAIMING(""), "/a", "", NULL },
		/* the smallest that is large enough, of the class */
		{ CLAIM(REQUEST("3Gi")) VOLUME("a", SIZE("2Gi")) VOLUME("b", SIZE("9Gi"))
			  VOLUME("c", SIZE("4Gi")) CLAIMING(""),
		  "/c", "PersistentVolume a, PersistentVolume b", NULL },
		{ CLAIM("storageClassName: slow") VOLUME("a", "")
			  VOLUME("b", "storageClassName: slow") CLAIMING(""),
		  "/b", "PersistentVolume a", NULL },
		{ CLAIM("accessModes: [ReadWriteMany]") VOLUME("a", "accessModes: [ReadWriteOnce]")
			  VOLUME("b", "accessModes: [ReadWriteOnce, ReadWriteMany]") CLAIMING(""),
		  "/b", "PersistentVolume a", NULL },
		/* by name */
		{ CLAIM("volumeName: a, storageClassName: x") VOLUME("b", "") VOLUME("a", "")
			  CLAIMING(""),
		  "/a", "PersistentVolume b", NULL },
		{ CLAIM("") VOLUME("b", SIZE("1")) VOLUME("a", SIZE("2") ", claimRef: {name: data}")
			  CLAIMING(""),
		  "/a", "PersistentVolume b", NULL },
		{ CLAIM("") VOLUME("a", "claimRef: {name: other}") CLAIMING(""), NULL, NULL,
		  "claimName: no PersistentVolume of the file fits the claim" },
		/* a claim without an object */
		{ VOLUME("a", "claimRef: {name: data}") CLAIMING(""), "/a", "", NULL },
		{ "kind: PersistentVolume\nmetadata: {name: l}\n"
		  "spec: {local: {path: /disk}, nodeAffinity: {}}\n---\n" CLAIMING(""),
		  "/disk", "PersistentVolume l.spec.nodeAffinity", NULL },
		{ CLAIM("selector: {}") CLAIMING(""), NULL, NULL,
		  "PersistentVolumeClaim data.spec.selector: not supported" },
		{ CLAIM("volumeMode: Block") CLAIMING(""), NULL, NULL,
		  "volumeMode: \"Block\": expected Filesystem" },
		{ VOLUME("a", "nfs: {server: s}") CLAIMING(""), NULL, NULL,
		  "PersistentVolume a.spec.nfs: not supported" },
		{ "kind: PersistentVolume\nmetadata: {name: a}\nspec: {}\n---\n" CLAIMING(""), NULL,
		  NULL, "PersistentVolume a.spec: hostPath or local is missing" },
		{ CLAIM("") CLAIMING(", readonly: true"), NULL, NULL,
		  "persistentVolumeClaim.readonly: unknown field" },
	};
	static const struct manifest_claim given[] = { { "www=/srv/www", "/srv/www", 3 },
						       { "data=/d.ext4", "/d.ext4", 4 } };
	struct manifest_guest with_claims = guest;
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int r = parse(rows[i].text, &err);

		if (rows[i].said) {
			CHECK_EQ(r, -1, "%s", rows[i].text);
			CHECK_HAS(err.msg, rows[i].said, "%s", rows[i].text);
			continue;
		}
		REQUIRE_OK(r, &err);
		CHECK_EQ(m.volumes[0].kind, VOLUME_HOST_PATH);
		CHECK_STR(m.volumes[0].path, rows[i].path, "%s", rows[i].text);
		CHECK_STR(m.ignored, rows[i].ignored, "%s", rows[i].text);
		CHECK(!m.volumes[0].read_only);
	}
	/* The user's claims come first. */
	with_claims.claims = given;
	with_claims.n_claims = ARRAY_LEN(given);
	manifest_release(&m);
	REQUIRE_OK(manifest_parse(&m, CLAIM("") VOLUME("a", "") CLAIMING(", readOnly: true"),
				  strlen(CLAIM("") VOLUME("a", "") CLAIMING(", readOnly: true")),
				  &with_claims, &err),
		   &err);
	CHECK_STR(m.volumes[0].path, "/d.ext4");
	CHECK(m.volumes[0].may_be_disk && m.volumes[0].read_only);
	CHECK_STR(m.ignored, "PersistentVolume a");
	manifest_release(&m);
	REQUIRE_OK(manifest_read(&m, TEST_DATA "/pods/stateful-set.yaml", &with_claims, &err),
		   &err);
	REQUIRE_EQ(m.n_volumes, 1);
	CHECK_STR(m.volumes[0].name, "www");
	CHECK_STR(m.volumes[0].path, "/srv/www");
	CHECK_EQ(m.containers[0].mounts[0].volume, 0);
	read_valid("claim");
	CHECK_STR(m.volumes[0].path, "/mnt/data");
	CHECK(!m.volumes[0].may_be_disk);
}

Test(manifest, seccomp_profiles)
{
	const Grpc__LinuxSeccomp *p;
	struct error err = ERROR_INIT;
	struct arena a;

	arena_init(&a, 4u << 20);
	read_valid("seccomp-localhost");
	p = request_of(&a, 0)->oci->linux->seccomp;
	REQUIRE_NE(p, NULL);
	CHECK_STR(p->defaultaction, "SCMP_ACT_ALLOW");
	CHECK_STR(p->architectures[0], "SCMP_ARCH_X86_64");
	CHECK_EQ(p->n_syscalls, 2);
	CHECK_EQ(p->syscalls[0]->errnoret, 5);
	p = request_of(&a, 1)->oci->linux->seccomp;
	REQUIRE_NE(p, NULL);
	CHECK_STR(p->defaultaction, "SCMP_ACT_ERRNO", "that of the container");
	read_valid("seccomp-localhost");
	CHECK_EQ(security_read_profiles(&m, TEST_DATA, "x86_64", &err), -1);
	CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
	CHECK_HAS(err.msg,
		  "line 9: spec.securityContext.seccompProfile.localhostProfile: failed to "
		  "read " TEST_DATA "/profiles/no-directories.json: No such file");
	arena_release(&a);
}

/* Returns the source of the mount at a path, or "". */
static const char *
mounted_at(const Grpc__CreateContainerRequest *r, const char *path)
{
	for (size_t i = r->oci->n_mounts; i-- > 0;)
		if (strcmp(r->oci->mounts[i]->destination, path) == 0)
			return r->oci->mounts[i]->source;
	return "";
}

Test(manifest, ephemeral_storage)
{
	struct error err = ERROR_INIT;

	REQUIRE_OK(parse("metadata: {name: p}\nspec:\n  containers:\n  - name: c\n    image: i\n"
			 "    resources: {limits: {ephemeral-storage: 2Gi}}\n    env:\n"
			 "    - {name: L, valueFrom: {resourceFieldRef: "
			 "{resource: limits.ephemeral-storage, divisor: 1Mi}}}\n"
			 "    - {name: R, valueFrom: {resourceFieldRef: "
			 "{resource: requests.ephemeral-storage}}}\n",
			 &err),
		   &err);
	CHECK_STR(env_of(0, "L"), "2048");
	CHECK_STR(env_of(0, "R"), "2147483648", "that of the limit");
}

/* Defaults are those of the API server. */
Test(manifest, defaults_of_probes)
{
	const struct manifest_probe *p = &m.containers[0].liveness;
	struct error err = ERROR_INIT;

	REQUIRE_OK(parse(POD(CONTAINERS(",\"livenessProbe\":{\"tcpSocket\":{\"port\":1}}")), &err),
		   &err);
	CHECK_EQ(p->delay_s, 0);
	CHECK_EQ(p->period_s, 10);
	CHECK_EQ(p->timeout_s, 1);
	CHECK_EQ(p->successes, 1);
	CHECK_EQ(p->failures, 3);
	CHECK_EQ(p->grace_s, -1);
}

/* The name of a pod may be longer than that of a host. */
Test(manifest, long_names)
{
	struct error err = ERROR_INIT;

	REQUIRE_OK(parse("metadata: {name: a-name-of-sixty-two-bytes-and-more-so-that-it-will-be-"
			 "cut-okay-.tail}\nspec: {containers: [{name: c, image: i}]}\n",
			 &err),
		   &err);
	CHECK_STR(m.hostname, "a-name-of-sixty-two-bytes-and-more-so-that-it-will-be-cut-okay");
}

Test(manifest, image_volumes)
{
	const Grpc__CreateContainerRequest *r;
	bool is_checked = false;
	struct arena a;

	arena_init(&a, 4u << 20);
	read_valid("image-volume");
	CHECK_EQ(m.volumes[0].kind, VOLUME_IMAGE);
	CHECK(m.volumes[0].read_only);
	CHECK_STR(m.volumes[0].path, "quay.io/crio/artifact:v2");
	r = request_of(&a, 0);
	CHECK_HAS(mounted_at(r, "/volume"), "/host-volume");
	CHECK_HAS(mounted_at(r, "/part"), "/host-volume/etc");
	for (size_t i = 0; i < r->oci->n_mounts; i++) {
		const Grpc__Mount *mount = r->oci->mounts[i];

		if (strcmp(mount->destination, "/volume") != 0)
			continue;
		is_checked = true;
		REQUIRE_EQ(mount->n_options, 4);
		CHECK_STR(mount->options[2], "ro");
		CHECK_STR(mount->options[3], "noexec");
	}
	CHECK(is_checked);
	arena_release(&a);
}

/* Files, empty directories and names of one pod of a Job are not those of the next. */
Test(manifest, further_pods)
{
	static struct vm_options vm;
	struct podspec p = { .m = &m, .vm = &vm, .number = 2 };
	const Grpc__CreateContainerRequest *r;
	struct arena a;

	arena_init(&a, 4u << 20);
	read_valid("init-containers");
	for (size_t k = 0; k < m.n_containers; k++)
		vm.shares[k] = (struct vm_share){ .kind = SHARE_9P, .tag = "t" };
	r = podspec_container(&p, &a, 2, 0);
	REQUIRE_NE(r, NULL);
	CHECK_HAS(mounted_at(r, "/srv"), "/rootfs/local/work-2");
	CHECK_HAS(mounted_at(r, "/etc/hosts"), "/kubelet/pod-2/hosts");
	CHECK_HAS(mounted_at(r, "/dev/termination-log"), "/kubelet/pod-2/message-");
	CHECK_STR(r->oci->hostname, m.hostname);
	read_valid("configmap-volume");
	vm.shares[0] = (struct vm_share){ .kind = SHARE_9P, .tag = "t" };
	r = podspec_container(&p, &a, 0, 0);
	REQUIRE_NE(r, NULL);
	CHECK_HAS(mounted_at(r, "/etc/app"), "/kubelet/pod-2/volume-all");
	CHECK_HAS(mounted_at(r, "/etc/motd"), "/kubelet/pod-2/volume-all/..2025");
	/* A copy on a disk has no messages. */
	vm.shares[1].is_copied = true;
	r = podspec_container(&p, &a, 0, 0);
	REQUIRE_NE(r, NULL);
	CHECK_STR(mounted_at(r, "/dev/termination-log"), "");
	arena_release(&a);
}

Test(manifest, deadlines_and_messages)
{
	static const char log_path[] = "/dev/termination-log";
	const Grpc__CreateContainerRequest *r;
	struct arena a;

	arena_init(&a, 4u << 20);
	read_valid("deadline");
	CHECK_EQ(m.deadline_s, 5);
	CHECK_STR(m.containers[0].message_path, log_path);
	CHECK(!m.containers[0].has_message_of_log);
	CHECK_HAS(mounted_at(request_of(&a, 0), log_path), "/kubelet/message-wait-0");
	read_valid("termination-message");
	CHECK_EQ(m.deadline_s, 0);
	CHECK(m.containers[0].has_message_of_log);
	r = request_of(&a, 0);
	CHECK_HAS(mounted_at(r, "/tmp/my-log"), "/kubelet/message-msg-path-demo-0");
	CHECK_STR(mounted_at(r, log_path), "");
	arena_release(&a);
}

Test(manifest, mounts_and_storages)
{
	static const char local[] =
		"/run/kata-containers/shared/containers/prepared/rootfs/local/work";
	const Grpc__CreateContainerRequest *r;
	size_t n = 0;
	struct arena a;

	arena_init(&a, 4u << 20);
	read_valid("configmap-volume");
	r = request_of(&a, 0);
	CHECK_HAS(mounted_at(r, "/etc/motd"), "/volume-all/..2025");
	CHECK_HAS(mounted_at(r, "/etc/motd"), "/motd");
	CHECK_HAS(mounted_at(r, "/etc/app"), "/kubelet/volume-all");
	CHECK_HAS(mounted_at(r, "/etc/hosts"), "/kubelet/hosts");
	CHECK_STR(mounted_at(r, "/etc/resolv.conf"), "/run/kata-containers/sandbox/resolv.conf");
	read_valid("init-containers");
	r = request_of(&a, 2);
	CHECK_STR(mounted_at(r, "/srv"), local);
	for (size_t i = 0; i < r->n_storages; i++)
		n += strcmp(r->storages[i]->mount_point, local) == 0;
	CHECK_EQ(n, 1);
	read_valid("downward-environment");
	r = request_of(&a, 0);
	CHECK_EQ(r->oci->linux->resources->cpu->quota, 25000);
	CHECK_EQ(r->oci->linux->resources->cpu->shares, 128, "of the request");
	CHECK_EQ(r->oci->linux->resources->memory->limit, 64 << 20);
	arena_release(&a);
}

Test(manifest, images_by_name)
{
	static const struct podspec_image images[] = {
		{ "nginx=/n", "/n", 5 },
		{ "busybox:1.28=/28", "/28", 12 },
		{ "registry.example/busybox=/r", "/r", 24 },
		{ "busybox=/b", "/b", 7 },
	};
	static const char *const rows[][2] = {
		{ "nginx", "/n" },
		{ "nginx:1.25", "/n" },
		{ "docker.io/library/nginx:1.25@sha256:00", "/n" },
		{ "localhost:5000/nginx", "/n" },
		{ "busybox:1.28", "/28" },
		{ "busybox:1.36", "/b" },
		{ "registry.example/busybox:1", "/r" },
		{ "other.example/busybox", "/b" },
		{ "nginx-unprivileged", "" },
		{ "other.example:5000/a/b@sha256:00", "" },
		{ "docker://alpine", "" },
		{ "/some/place", "/some/place" },
		{ "./images/web.tar:v2", "pods/./images/web.tar:v2" },
		{ "../web", "pods/../web" },
		{ "oci:web:v1", "oci:pods/web:v1" },
		{ "docker-archive:/web.tar", "docker-archive:/web.tar" },
	};
	char path[64];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CHECK_EQ(podspec_image_path(images, ARRAY_LEN(images), "pods", rows[i][0], path,
					    sizeof(path)),
			 0);
		CHECK_STR(path, rows[i][1], "%s", rows[i][0]);
	}
	CHECK_EQ(podspec_image_path(images, 1, "pods", "/a", path, 2), -1);
	CHECK_EQ(podspec_image_path(images, 1, "pods", "nginx", path, 2), -1);
}

/* The configuration of an image completes a container, whose own fields count more. */
Test(manifest, configurations_of_images)
{
	static const char *const entrypoint[] = { "/entry", "-e", NULL };
	static const char *const cmd[] = { "serve", NULL };
	static const char *const env[] = { "A=image", "B=image", NULL };
	static const struct {
		const char *fields;
		/* command and arguments, and the rest, joined; NULL: an error */
		const char *args, *rest;
	} rows[] = {
		{ "", "/entry -e serve", "A=image B=image /srv 7 0" },
		{ ", \"args\":[\"x\"]", "/entry -e x", "A=image B=image /srv 7 0" },
		{ ", \"command\":[\"y\"]", "y", "A=image B=image /srv 7 0" },
		{ ", \"command\":[\"y\"],\"args\":[\"x\"],\"workingDir\":\"/w\","
		  "\"env\":[{\"name\":\"B\",\"value\":\"pod\"}],"
		  "\"securityContext\":{\"runAsUser\":5}",
		  "y x", "A=image B=pod /w 5 0" },
		{ ", \"securityContext\":{\"runAsGroup\":9,\"runAsNonRoot\":true}",
		  "/entry -e serve", "A=image B=image /srv 7 9" },
	};
	struct image image = { .path = "/root.img",
			       .has_config = true,
			       .config = { entrypoint, cmd, env, "7:8", "/srv", "SIGQUIT" } };
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct manifest_container *c = &m.containers[0];
		struct error err = ERROR_INIT;
		char args[128] = "", rest[128] = "";

		(void)snprintf(text, sizeof(text),
			       POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\"%s}]"),
			       rows[i].fields);
		REQUIRE_OK(parse(text, &err), &err);
		REQUIRE_OK(podspec_apply_image(&m, c, &image, &err), &err);
		for (const char **w = c->command; w && *w; w++)
			(void)snprintf(args + strlen(args), sizeof(args) - strlen(args), "%s%s",
				       args[0] ? " " : "", *w);
		for (const char **w = c->args; w && *w; w++)
			(void)snprintf(args + strlen(args), sizeof(args) - strlen(args), "%s%s",
				       args[0] ? " " : "", *w);
		for (size_t k = 0; k < c->n_env; k++)
			(void)snprintf(rest + strlen(rest), sizeof(rest) - strlen(rest), "%s ",
				       c->env[k]);
		(void)snprintf(rest + strlen(rest), sizeof(rest) - strlen(rest), "%s %lld %lld",
			       c->cwd, (long long)c->uid, (long long)c->gid);
		CHECK(strcmp(args, rows[i].args) == 0, "%s: %s", rows[i].fields, args);
		CHECK(strcmp(rest, rows[i].rest) == 0, "%s: %s", rows[i].fields, rest);
		CHECK_EQ(c->stop_signal, 3);
		CHECK_STR(c->image, "/root.img");
	}
}

/* Users and groups are those of the image's files, as with a kubelet and containerd. */
Test(manifest, users_of_images)
{
	static const struct {
		/* user of the image, and security contexts of the pod and its container */
		const char *user, *pod, *container;
		/* uid, gid and groups, or an error */
		const char *result;
	} rows[] = {
		{ "", "", "", "0 0: 0 10" },
		{ "app", "", "", "100 101: 101 20 30" },
		{ "100", "", "", "100 101: 101 20 30" },
		{ "app:staff", "", "", "100 101: 101 20 30" },
		{ "7:8", "", "", "7 0: 0" },
		{ "nobody", "", "", "no user nobody in /etc/passwd of the image" },
		{ "nobody", "\"runAsUser\":5", "", "5 0: 0" },
		{ "", "\"runAsUser\":100", "", "100 101: 101 20 30" },
		{ "app", "", "\"runAsGroup\":20", "100 20: 20 30" },
		{ "app", "\"fsGroup\":2000,\"supplementalGroups\":[30,4000]", "",
		  "100 101: 101 20 30 4000 2000" },
		{ "app",
		  "\"supplementalGroupsPolicy\":\"Strict\",\"fsGroup\":2000,"
		  "\"supplementalGroups\":[30]",
		  "", "100 101: 101 30 2000" },
		{ "app", "\"supplementalGroupsPolicy\":\"Merge\"", "\"runAsUser\":0", "0 0: 0 10" },
		{ "", "\"runAsNonRoot\":true", "", "runAsNonRoot, but its user is 0" },
		{ "app", "\"runAsNonRoot\":true", "", "100 101: 101 20 30" },
	};
	struct image image = { .path = "/root.img", .has_config = true };
	char text[512], out[256];
	struct arena a;

	image.json = json_pack("{s:s, s:s}", "passwd",
			       "root:x:0:0::/root:/bin/sh\napp:x:100:101::/:/bin/sh\n", "group",
			       "root:x:0:\nwheel:x:10:root\napp:x:101:app\nstaff:x:20:other,app\n"
			       "more:x:30:app,root2\n");
	arena_init(&a, 4u << 20);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct manifest_container *c = &m.containers[0];
		struct error err = ERROR_INIT;
		const Grpc__User *user;
		size_t n;

		image.config =
			(struct image_config){ .user = rows[i].user, .cwd = "", .stop_signal = "" };
		(void)snprintf(
			text, sizeof(text),
			POD("\"securityContext\":{%s}," CONTAINERS(", \"securityContext\":{%s}")),
			rows[i].pod, rows[i].container);
		REQUIRE_OK(parse(text, &err), &err);
		if (podspec_apply_image(&m, c, &image, &err) < 0) {
			CHECK_STR(err.msg, rows[i].result);
			continue;
		}
		user = request_of(&a, 0)->oci->process->user;
		n = (size_t)snprintf(out, sizeof(out), "%u %u:", user->uid, user->gid);
		for (size_t k = 0; k < user->n_additionalgids; k++)
			n += (size_t)snprintf(out + n, sizeof(out) - n, " %u",
					      user->additionalgids[k]);
		CHECK(strcmp(out, rows[i].result) == 0, "%s, %s, %s: %s", rows[i].user, rows[i].pod,
		      rows[i].container, out);
	}
	json_decref(image.json);
	arena_release(&a);
}

Test(manifest, policies_of_the_group)
{
	static const struct {
		const char *pod;
		bool on_mismatch;
	} rows[] = {
		{ "\"fsGroup\":2000", false },
		{ "\"fsGroup\":2000,\"fsGroupChangePolicy\":\"Always\"", false },
		{ "\"fsGroup\":2000,\"fsGroupChangePolicy\":\"OnRootMismatch\"", true },
	};
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;

		(void)snprintf(text, sizeof(text), POD("\"securityContext\":{%s}," CONTAINERS("")),
			       rows[i].pod);
		REQUIRE_OK(parse(text, &err), &err);
		CHECK_EQ(m.fs_group, 2000);
		CHECK_EQ(m.fs_group_on_mismatch, rows[i].on_mismatch, "%s", rows[i].pod);
	}
}

Test(manifest, stop_signals)
{
	struct image image = { .path = "/root.img",
			       .has_config = true,
			       .config = { .user = "", .cwd = "", .stop_signal = "SIGQUIT" } };
	struct error err = ERROR_INIT;

	REQUIRE_OK(parse(POD(CONTAINERS(",\"lifecycle\":{\"stopSignal\":\"SIGUSR1\"}")), &err),
		   &err);
	REQUIRE_OK(podspec_apply_image(&m, &m.containers[0], &image, &err), &err);
	CHECK_EQ(m.containers[0].stop_signal, 10, "not that of the image");
	REQUIRE_OK(parse(POD(CONTAINERS("")), &err), &err);
	CHECK_EQ(m.containers[0].stop_signal, 0);
}

Test(manifest, images_without_a_program)
{
	struct image image = { .path = "/dir" };
	struct error err = ERROR_INIT;

	REQUIRE_OK(parse(POD("\"containers\":[{\"name\":\"c\",\"image\":\"i\"}]"), &err), &err);
	CHECK_EQ(podspec_apply_image(&m, &m.containers[0], &image, &err), -1);
	CHECK_HAS(err.msg, "i names no program, and command is missing");
	REQUIRE_OK(parse(POD(CONTAINERS(",\"securityContext\":{\"runAsNonRoot\":true}")), &err),
		   &err);
	CHECK_EQ(podspec_apply_image(&m, &m.containers[0], &image, &err), -1);
	CHECK_HAS(err.msg, "runAsNonRoot, but its user is 0");
}

Test(manifest, invalid)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
		{ "{", "line 2: did not find" },
		{ "{}", "spec is missing" },
		{ "", "there is no Pod in it" },
		{ "kind: ConfigMap\nmetadata: {name: a}\n", "there is no Pod in it" },
		{ "- a\n", "line 1: a document is not an object" },
		{ "metadata: {name: a}\nspec: {containers: [{name: c, image: i}]}\n---\n"
		  "metadata: {name: b}\nspec: {containers: [{name: c, image: i}]}\n",
		  "line 4: a second pod" },
		{ POD(""), "spec: no containers" },
		{ POD("\"containers\":[]"), "no containers" },
		{ POD("\"containers\":{}"), "spec.containers: must be a list" },
		{ POD(CONTAINERS(",\"nmae\":1")), "line 1: spec.containers[0].nmae: unknown" },
		{ POD(CONTAINERS("") ",\"hostname2\":\"x\""), "spec.hostname2: unknown field" },
		{ POD(CONTAINERS(",\"args\":[1]")), "spec.containers[0].args[0]: must be a str" },
		{ POD(CONTAINERS(",\"args\":[[]]")), "args[0]: must be a string" },
		{ POD(CONTAINERS(",\"workingDir\":true")), "workingDir: must be a string" },
		{ POD(CONTAINERS(",\"tty\":\"true\"")), "tty: must be true or false" },
		{ POD(CONTAINERS(",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}]")),
		  "spec.containers[0].volumeMounts[0].name: unknown volume v" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"memory\":\"64MB\"}}")),
		  "resources.limits.memory: invalid quantity \"64MB\"" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"memory\":\"99999999999Gi\"}}")),
		  "invalid quantity \"99999999999Gi\"" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"cpu\":\"0\"}}")), "processors" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"cpu\":\"-1\"}}")),
		  "invalid quantity \"-1\"" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"example.com/gpu\":1}}")),
		  "limits.example.com/gpu: not supported" },
		{ POD(CONTAINERS(",\"resources\":{\"requests\":{\"hugepages-2Mi\":\"1Gi\"}}")),
		  "requests.hugepages-2Mi: not supported" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"gpu\":1}}")),
		  "limits.gpu: unknown field" },
		{ POD(CONTAINERS(",\"env\":[{\"name\":\"A=B\",\"value\":\"x\"}]")),
		  "spec.containers[0].env[0]: invalid variable name \"A=B\"" },
		{ POD(CONTAINERS(",\"env\":[{\"name\":\"A\",\"valueFrom\":{\"secretKeyRef\":"
				 "{\"name\":\"s\",\"key\":\"k\"}}}]")),
		  "env[0].valueFrom.secretKeyRef.name: there is no Secret s in the file" },
		{ POD(CONTAINERS(",\"env\":[{\"name\":\"A\",\"valueFrom\":{\"fieldRef\":"
				 "{\"fieldPath\":\"spec.x\"}}}]")),
		  "fieldRef.fieldPath: \"spec.x\" is not supported" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"exec\":{\"command\":[]}}")),
		  "livenessProbe.exec: command is missing" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"httpGet\":{}}")),
		  "livenessProbe.httpGet: port is missing" },
		{ POD(CONTAINERS(",\"lifecycle\":{\"stopSignal\":\"USR1\"}")),
		  "lifecycle.stopSignal: unknown signal \"USR1\"" },
		{ POD(CONTAINERS(",\"livenessProbe\":{}")), "livenessProbe: must have exec" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"httpGet\":{\"port\":1,\"scheme\":\"HTTPS\","
				 "\"host\":\"127.0.0.1\"}}")),
		  "livenessProbe.httpGet.host: not supported with HTTPS" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"httpGet\":{\"port\":1,\"httpHeaders\":"
				 "[{\"name\":\"@x\"}]}}")),
		  "livenessProbe.httpGet.httpHeaders[0]: invalid header" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"httpGet\":{\"port\":1,\"httpHeaders\":"
				 "[{\"name\":\"x\",\"value\":\"a\\r\\nb: c\"}]}}")),
		  "livenessProbe.httpGet.httpHeaders[0]: invalid header" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"tcpSocket\":{\"port\":\"web\"}}")),
		  "tcpSocket.port: \"web\": no such port" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"tcpSocket\":{\"port\":1,"
				 "\"host\":\"example.org\"}}")),
		  "tcpSocket.host: must be an address" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"tcpSocket\":{\"port\":1},"
				 "\"grpc\":{\"port\":1}}")),
		  "livenessProbe: has both tcpSocket and grpc" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"tcpSocket\":{\"port\":1},"
				 "\"successThreshold\":2}")),
		  "livenessProbe.successThreshold: must be 1" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"tcpSocket\":{\"port\":1},"
				 "\"periodSeconds\":0}")),
		  "livenessProbe.periodSeconds: must be a number from 1" },
		{ POD(CONTAINERS(",\"securityContext\":{\"runAsNonRoot\":true,\"runAsUser\":0}")),
		  "runAsNonRoot, but the user is 0" },
		{ POD(CONTAINERS(",\"securityContext\":{\"seccompProfile\":"
				 "{\"type\":\"Localhost\"}}")),
		  "securityContext.seccompProfile: localhostProfile is missing" },
		{ POD(CONTAINERS(",\"securityContext\":{\"seccompProfile\":"
				 "{\"type\":\"Localhost\",\"localhostProfile\":\"../x\"}}")),
		  "seccompProfile.localhostProfile: must be a relative path without .." },
		{ POD(CONTAINERS(",\"securityContext\":{\"seccompProfile\":"
				 "{\"type\":\"Unconfined\",\"localhostProfile\":\"x\"}}")),
		  "seccompProfile.localhostProfile: only for type Localhost" },
		{ POD(CONTAINERS(",\"securityContext\":{\"seccompProfile\":{}}")),
		  "seccompProfile: type is missing" },
		{ POD(CONTAINERS(",\"securityContext\":{\"seccompProfile\":{\"type\":\"None\"}}")),
		  "type: \"None\": expected Unconfined, RuntimeDefault or Localhost" },
		{ POD(CONTAINERS(",\"imagePullPolicy\":\"Sometimes\"")),
		  "imagePullPolicy: \"Sometimes\": expected IfNotPresent, Always or Never" },
		{ POD(CONTAINERS(",\"env\":[{\"name\":\"A\",\"valueFrom\":{\"resourceFieldRef\":"
				 "{\"resource\":\"limits.ephemeral-storage\"}}}]")),
		  "resourceFieldRef.resource: the container has no limits.ephemeral-storage" },
		{ POD(CONTAINERS(",\"terminationMessagePath\":\"log\"")),
		  "containers[0].terminationMessagePath: must be an absolute path without .." },
		{ POD(CONTAINERS(",\"terminationMessagePolicy\":\"Log\"")),
		  "terminationMessagePolicy: \"Log\": expected File or FallbackToLogsOnError" },
		{ POD(CONTAINERS("") ",\"hostname\":\"A b\""),
		  "spec.hostname: invalid name \"A b\"" },
		{ POD(CONTAINERS("") ",\"subdomain\":\"-a\""),
		  "spec.subdomain: invalid name \"-a\"" },
		{ POD(CONTAINERS("") ",\"subdomain\":\"a-long-domain-of-the-pods-of-this-object\","
				     "\"setHostnameAsFQDN\":true"),
		  "spec.setHostnameAsFQDN: p.a-long-domain-of-the-pods-of-this-object.default.svc."
		  "cluster.local is longer than 64 bytes" },
		{ POD(CONTAINERS("") ",\"dnsPolicy\":\"None\""),
		  "dnsPolicy None requires a name server" },
		{ POD(CONTAINERS("") ",\"dnsPolicy\":\"First\""),
		  "spec.dnsPolicy: \"First\": expected ClusterFirst, " },
		{ POD(CONTAINERS("") ",\"dnsConfig\":{\"nameservers\":[\"dns\"]}"),
		  "spec.dnsConfig.nameservers: invalid IP address \"dns\"" },
		{ POD(CONTAINERS("") ",\"dnsConfig\":{\"searches\":[\"a b\"]}"),
		  "spec.dnsConfig.searches: invalid domain \"a b\"" },
		{ POD(CONTAINERS("") ",\"hostAliases\":[{\"ip\":\"far\"}]"),
		  "spec.hostAliases[0]: invalid IP address \"far\"" },
		{ POD(CONTAINERS("") ",\"volumes\":[{\"name\":\"v\",\"image\":{}}]"),
		  "spec.volumes[0].image: reference is missing" },
		{ POD(CONTAINERS("") ",\"activeDeadlineSeconds\":0"),
		  "spec.activeDeadlineSeconds: must be a number from 1" },
		{ POD(CONTAINERS(",\"restartPolicy\":\"Always\"")),
		  "spec.containers[0].restartPolicy: not supported" },
		{ POD(CONTAINERS("") ",\"restartPolicy\":\"Sometimes\""),
		  "spec.restartPolicy: \"Sometimes\": expected Always, OnFailure or Never" },
		{ POD(CONTAINERS("") ",\"securityContext\":{\"sysctls\":[{\"name\":\"net..x\"}]}"),
		  "spec.securityContext.sysctls[0].name: invalid name \"net..x\"" },
		{ POD(CONTAINERS("") ",\"securityContext\":{\"sysctls\":[{\"name\":\"net.X\"}]}"),
		  "sysctls[0].name: invalid name \"net.X\"" },
		{ POD(CONTAINERS("") ",\"securityContext\":{\"sysctls\":[{\"name\":\"/net/x\"}]}"),
		  "sysctls[0].name: invalid name \"/net/x\"" },
		{ POD(CONTAINERS("") ",\"securityContext\":{\"sysctls\":"
				     "[{\"name\":\"kernel.semi\"}]}"),
		  "sysctls[0].name: kernel.semi belongs to no namespace" },
		{ POD(CONTAINERS("") ",\"securityContext\":{\"sysctls\":[{\"name\":\"net.a\"},"
				     "{\"name\":\"net/a\"}]}"),
		  "sysctls[1].name: net.a is set twice" },
		{ POD(CONTAINERS("") ",\"securityContext\":{\"sysctls\":[{\"name\":\"net.a\","
				     "\"value\":1}]}"),
		  "sysctls[0].value: must be a string: put 1 into quotes" },
		{ POD(CONTAINERS("") ",\"hostNetwork\":true,\"securityContext\":{\"sysctls\":"
				     "[{\"name\":\"net.a\"}]}"),
		  "sysctls[0].name: net.a is not permitted with hostNetwork" },
		{ POD(CONTAINERS(",\"securityContext\":{\"procMount\":\"None\"}")),
		  "procMount: \"None\": expected Default or Unmasked" },
		{ POD(CONTAINERS("") ",\"volumes\":[{\"name\":\"../v\",\"emptyDir\":{}}]"),
		  "invalid volume name \"../v\"" },
		{ POD(CONTAINERS("") ",\"volumes\":[{\"name\":\"v\",\"configMap\":"
				     "{\"name\":\"x\"}}]"),
		  "spec.volumes[0].configMap.name: there is no ConfigMap x in the file" },
		{ POD(CONTAINERS("") ",\"volumes\":[{\"name\":\"v\",\"configMap\":"
				     "{\"data\":{\"../x\":\"y\"}}}]"),
		  "invalid path \"../x\" of a file" },
		{ POD(CONTAINERS("") ",\"volumes\":[{\"name\":\"v\",\"secret\":"
				     "{\"data\":{\"x\":\"?\"}}}]"),
		  "secret.data.x: invalid base64" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;

		REQUIRE_EQ(parse(rows[i].text, &err), -1, "%s", rows[i].text);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, rows[i].said, "%s: %s", rows[i].text, err.msg);
	}
}

Test(manifest, quantities)
{
	static const struct {
		const char *text;
		int digits;
		/* -1: invalid */
		int64_t value;
	} rows[] = {
		{ "0", 0, 0 },
		{ "1048576", 0, 1 << 20 },
		{ "+64Mi", 0, 64 << 20 },
		{ "1.5Gi", 0, 3ll << 29 },
		{ "0.5", 0, 1 },
		{ ".5Ki", 0, 512 },
		{ "5.", 0, 5 },
		{ "1e3", 0, 1000 },
		{ "1E3", 0, 1000 },
		{ "12e-1", 0, 2 },
		{ "1.5e+3", 0, 1500 },
		{ "1E", 0, 1000000000000000000 },
		{ "129M", 0, 129000000 },
		{ "2k", 0, 2000 },
		{ "3T", 0, 3000000000000 },
		{ "1Pi", 0, 1ll << 50 },
		{ "7Ei", 0, 7ll << 60 },
		{ "100m", 0, 1 },
		{ "1e-100", 0, 1 },
		{ "0.10000000000000000000000000000000000000000000", 1, 1 },
		{ "0.10000000000000000000000000000000000000000001", 1, 2 },
		{ "0.5", 3, 500 },
		{ "100m", 3, 100 },
		{ "1e3", 3, 1000000 },
		{ "2", 3, 2000 },
		{ "0.0001", 3, 1 },
		{ "1.0005", 3, 1001 },
		{ "250000u", 3, 250 },
		{ "1000000n", 3, 1 },
		{ "", 0, -1 },
		{ ".", 0, -1 },
		{ "Mi", 0, -1 },
		{ "-1", 0, -1 },
		{ "1 ", 0, -1 },
		{ "1K", 0, -1 },
		{ "1MB", 0, -1 },
		{ "1e", 0, -1 },
		{ "1e3Ki", 0, -1 },
		{ "1e1000", 0, -1 },
		{ "1.2.3", 0, -1 },
		{ "8Ei", 0, -1 },
		{ "0x10", 0, -1 },
		{ "99999999999999999999", 0, -1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t value = 0;
		bool valid = quantity_parse(rows[i].text, rows[i].digits, INT64_MAX, &value);

		CHECK_EQ(valid, rows[i].value >= 0, "\"%s\"", rows[i].text);
		if (valid && rows[i].value >= 0)
			CHECK_EQ(value, (uint64_t)rows[i].value, "\"%s\": %llu", rows[i].text,
				 (unsigned long long)value);
	}
}

/* Rows from the kubelet's own test, with the same meaning. */
Test(manifest, variable_references)
{
	static char a[] = "VAR_A=A", b[] = "VAR_B=B", old[] = "VAR_C=old", c[] = "VAR_C=C",
		    reference[] = "VAR_REF=$(VAR_A)", empty[] = "VAR_EMPTY=";
	static char *const env[] = { a, b, old, c, reference, empty };
	static const char *const rows[][2] = {
		{ "$(VAR_A)", "A" },
		{ "___$(VAR_B)___", "___B___" },
		{ "___$(VAR_C)", "___C" },
		{ "$(VAR_A)-$(VAR_A)", "A-A" },
		{ "$(VAR_EMPTY)-1", "-1" },
		{ "$(VAR_A)_$(VAR_B)_$(VAR_C)", "A_B_C" },
		{ "$$(VAR_B)_$(VAR_A)", "$(VAR_B)_A" },
		{ "$$(VAR_A)_$$(VAR_B)", "$(VAR_A)_$(VAR_B)" },
		{ "f000-$$VAR_A", "f000-$VAR_A" },
		{ "foo\\$(VAR_C)bar", "foo\\Cbar" },
		{ "foo\\\\$(VAR_C)bar", "foo\\\\Cbar" },
		{ "$(VAR_REF)", "$(VAR_A)" },
		{ "%%$(VAR_REF)--$(VAR_REF)%%", "%%$(VAR_A)--$(VAR_A)%%" },
		{ "foo$(VAR_EMPTY)bar", "foobar" },
		{ "foo$(VAR_Awhoops!", "foo$(VAR_Awhoops!" },
		{ "f00__(VAR_A)__", "f00__(VAR_A)__" },
		{ "$?_boo_$!", "$?_boo_$!" },
		{ "$VAR_A", "$VAR_A" },
		{ "$(VAR_DNE)", "$(VAR_DNE)" },
		{ "$$$$$$(BIG_MONEY)", "$$$(BIG_MONEY)" },
		{ "$$$$$$(VAR_A)", "$$$(VAR_A)" },
		{ "$$$$$$$(GOOD_ODDS)", "$$$$(GOOD_ODDS)" },
		{ "$$$$$$$(VAR_A)", "$$$A" },
		{ "$VAR_A)", "$VAR_A)" },
		{ "${VAR_A}", "${VAR_A}" },
		{ "$(VAR_B)_______$(A", "B_______$(A" },
		{ "$(VAR_C)_______$(", "C_______$(" },
		{ "$(VAR_A)foobarzab$", "Afoobarzab$" },
		{ "foo-\\$(VAR_A", "foo-\\$(VAR_A" },
		{ "--$($($($($--", "--$($($($($--" },
		{ "$($($($($--foo$(", "$($($($($--foo$(" },
		{ "foo0--$($($($(", "foo0--$($($($(" },
		{ "$(foo$$var)", "$(foo$$var)" },
		{ "$()", "$()" },
		{ "", "" },
	};
	struct arena arena;

	arena_init(&arena, 1u << 20);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_STR(expand_text(&arena, rows[i][0], env, ARRAY_LEN(env)), rows[i][1]);
	arena_release(&arena);
}

Test(manifest, container_variables)
{
	const struct manifest_container *c = &m.containers[0];
	struct error err = ERROR_INIT;

	REQUIRE_OK(parse(POD(CONTAINERS(
				 ",\"args\":[\"$(A)\",\"$(URL)\",\"$$(A)\",\"$(NONE)\"],"
				 "\"env\":[{\"name\":\"A\",\"value\":\"image\"},"
				 "{\"name\":\"EMPTY\"},"
				 "{\"name\":\"URL\",\"value\":\"http://$(A):$(PORT)/$$(A)\"},"
				 "{\"name\":\"PORT\",\"value\":\"80\"},{\"name\":\"A\","
				 "\"value\":\"pod\"}],"
				 "\"readinessProbe\":{\"exec\":{\"command\":[\"get\",\"$(URL)\"]}},"
				 "\"livenessProbe\":{\"exec\":{\"command\":[\"$(PORT)\"]}}")),
			 &err),
		   &err);
	REQUIRE_EQ(c->n_env, 5);
	/* Only preceding variables are expanded. */
	CHECK_STR(c->env[1], "EMPTY=");
	CHECK_STR(c->env[2], "URL=http://image:$(PORT)/$(A)");
	/* The last entry wins; values are expanded once. */
	CHECK_STR(c->command[0], "x");
	CHECK_STR(c->args[0], "pod");
	CHECK_STR(c->args[1], "http://image:$(PORT)/$(A)");
	CHECK_STR(c->args[2], "$(A)");
	CHECK_STR(c->args[3], "$(NONE)");
	CHECK_EQ(c->args[4], NULL);
	CHECK_STR(c->readiness.action.args[1], "http://image:$(PORT)/$(A)");
	CHECK_STR(c->liveness.action.args[0], "80");
}
