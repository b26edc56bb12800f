/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of runc, podman and containerd, and documents that are wrong. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/json/json.h"
#include "ctl/spec/oci_config.h"
#include "tests/support/check.h"

/* Reads a document of tests/data/oci. */
static void
read_file(struct oci_config *c, const char *name)
{
	struct error err = ERROR_INIT;
	char path[300];
	json_t *json;

	(void)snprintf(path, sizeof(path), TEST_DATA "/oci/%s.json", name);
	json = json_read_file(path, &err);
	REQUIRE_NE(json, NULL, "%s", err.msg);
	CHECK(oci_config_is(json), "%s", name);
	REQUIRE_EQ(oci_config_read(c, json, &err), 0, "%s: %s", name, err.msg);
	json_decref(json);
}

Test(oci_config, runc_spec)
{
	struct oci_config c;
	const Grpc__Spec *s;

	read_file(&c, "runc");
	s = c.spec;
	CHECK_STR(c.ignored, "");
	CHECK_STR(s->version, "1.2.0");
	CHECK(s->process->terminal && s->process->nonewprivileges && s->root->readonly);
	CHECK_EQ(s->process->capabilities->n_permitted, 3);
	CHECK_STR(s->process->rlimits[0]->type, "RLIMIT_NOFILE");
	CHECK_EQ(s->n_mounts, 7);
	CHECK_STR(s->mounts[2]->options[3], "ptmxmode=0666");
	CHECK_EQ(s->linux->n_namespaces, 6);
	CHECK_EQ(s->linux->n_maskedpaths, 10);
	CHECK_EQ(s->linux->resources->devices[0]->allow, 0);
	oci_config_release(&c);
}

Test(oci_config, rootless)
{
	struct oci_config c;

	read_file(&c, "rootless");
	CHECK_STR(c.ignored, "");
	REQUIRE_EQ(c.spec->linux->n_uidmappings, 1);
	CHECK_EQ(c.spec->linux->uidmappings[0]->hostid, 1000);
	CHECK_EQ(c.spec->linux->gidmappings[0]->size, 1);
	oci_config_release(&c);
}

Test(oci_config, podman)
{
	struct oci_config c;
	const Grpc__Spec *s;
	const Grpc__LinuxSyscall *first;

	read_file(&c, "podman");
	s = c.spec;
	CHECK_STR(c.ignored, "process.user.umask, linux.resources.cpu.burst, "
			     "linux.resources.unified, linux.seccomp.defaultErrnoRet");
	CHECK_EQ(s->process->user->uid, 1000);
	CHECK_EQ(s->process->user->additionalgids[1], 10);
	CHECK_EQ(s->process->oomscoreadj, 200);
	CHECK(s->process->rlimits[2]->hard == UINT64_MAX, "an unlimited resource");
	CHECK_EQ(s->linux->devices[0]->filemode, 0666);
	CHECK_EQ(s->linux->resources->memory->swap, 134217728);
	CHECK_EQ(s->linux->resources->blockio->throttlereadbpsdevice[0]->rate, 1048576);
	CHECK_EQ(s->linux->n_sysctl, 1);
	CHECK_EQ(s->n_annotations, 5);
	CHECK_EQ(s->hooks->prestart[0]->timeout, 10);
	first = s->linux->seccomp->syscalls[0];
	CHECK_EQ(first->errnoret, 1);
	CHECK_EQ(first->errno_ret_case, GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET);
	CHECK_EQ(s->linux->seccomp->syscalls[1]->errno_ret_case,
		 GRPC__LINUX_SYSCALL__ERRNO_RET__NOT_SET);
	CHECK_EQ(s->linux->seccomp->syscalls[2]->args[0]->value, 4294967295u);
	oci_config_release(&c);
}

Test(oci_config, containerd)
{
	struct oci_config c;

	read_file(&c, "containerd");
	CHECK_STR(c.ignored, "");
	CHECK_EQ(c.spec->process->oomscoreadj, -998);
	CHECK_STR(c.spec->process->apparmorprofile, "cri-containerd.apparmor.d");
	CHECK_STR(c.spec->linux->namespaces[4]->path, "/var/run/netns/cni-0a1b2c3d");
	CHECK_STR(c.spec->linux->seccomp->flags[0], "SECCOMP_FILTER_FLAG_LOG");
	oci_config_release(&c);
}

/* Every field that the files do not have, and what is ignored of a document. */
struct good_row {
	const char *json, *ignored;
};

static const struct good_row good_rows[] = {
	{ "{}", "" },
	{ "{\"process\": null, \"mounts\": null, \"linux\": {\"devices\": null}}", "" },
	{ "{\"process\": {\"consoleSize\": {\"height\": 1, \"width\": 2}, \"user\": {\"username\": "
	  "\"x\"}, \"selinuxLabel\": \"\", \"capabilities\": {\"inheritable\": [], \"ambient\": "
	  "[]}}}",
	  "" },
	{ "{\"hooks\": {\"createRuntime\": [], \"createContainer\": [], \"startContainer\": "
	  "[{\"path\": \"/x\"}], \"poststart\": []}}",
	  "" },
	{ "{\"linux\": {\"mountLabel\": \"\", \"rootfsPropagation\": \"slave\", \"intelRdt\": "
	  "{\"l3CacheSchema\": \"\", \"closID\": \"x\"}}}",
	  "linux.intelRdt.closID" },
	{ "{\"linux\": {\"resources\": {\"network\": {\"classID\": 1, \"priorities\": [{\"name\": "
	  "\"eth0\", \"priority\": 1}]}, \"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": "
	  "9223372036854772000}]}}}",
	  "" },
	{ "{\"linux\": {\"resources\": {\"memory\": {\"reservation\": -1, \"kernel\": 1, "
	  "\"kernelTCP\": 1, \"swappiness\": 1, \"disableOOMKiller\": false, \"useHierarchy\": "
	  "false}, \"cpu\": {\"quota\": -1, \"period\": 1, \"realtimeRuntime\": 1, "
	  "\"realtimePeriod\": 1, \"mems\": \"0\", \"idle\": 1}}}}",
	  "linux.resources.memory.useHierarchy, linux.resources.cpu.idle" },
	{ "{\"linux\": {\"resources\": {\"blockIO\": {\"weight\": 1, \"leafWeight\": 1, "
	  "\"weightDevice\": [{\"major\": 1, \"minor\": 2, \"weight\": 3, \"leafWeight\": 4}], "
	  "\"throttleWriteBpsDevice\": [], \"throttleReadIOPSDevice\": [], "
	  "\"throttleWriteIOPSDevice\": []}, \"rdma\": {\"mlx5\": {\"hcaHandles\": 3}}}}}",
	  "linux.resources.rdma" },
	{ "{\"linux\": {\"seccomp\": {\"listenerPath\": \"/x\", \"syscalls\": [{\"args\": "
	  "[{\"valueTwo\": 18446744073709551615}]}]}, \"personality\": {\"domain\": \"LINUX\"}, "
	  "\"timeOffsets\": {}}}",
	  "linux.seccomp.listenerPath, linux.personality, linux.timeOffsets" },
	{ "{\"mounts\": [{\"uidMappings\": []}, {\"uidMappings\": []}], \"domainname\": \"x\"}",
	  "mounts[].uidMappings, domainname" },
	{ "{\"process\": {\"scheduler\": {\"policy\": \"SCHED_IDLE\"}, \"ioPriority\": {}, "
	  "\"commandLine\": \"\", \"execCPUAffinity\": {}}}",
	  "process.scheduler, process.ioPriority, process.commandLine, process.execCPUAffinity" },
	{ "{\"windows\": {\"layerFolders\": [\"C:\\\\\"]}, \"solaris\": {}, \"vm\": {}, \"zos\": "
	  "{}, \"freebsd\": {}}",
	  "windows, solaris, vm, zos, freebsd" },
	{ "{\"linux\": {\"sysctl\": {\"a \\\"b\\\" 123456789012345678901234567890\": \"x\"}}}",
	  "" },
	{ "{\"annotations\": {\"\": \"\\\\\", \"a\": \"\\\"99999999999999999999\"}}", "" },
};

static json_t *
parse(const char *text)
{
	struct error err = ERROR_INIT;
	json_t *json = json_parse(text, strlen(text), &err);

	REQUIRE_NE(json, NULL, "%s: %s", text, err.msg);
	return json;
}

Test(oci_config, fields)
{
	for (size_t i = 0; i < sizeof(good_rows) / sizeof(good_rows[0]); i++) {
		json_t *json = parse(good_rows[i].json);
		struct error err = ERROR_INIT;
		struct oci_config c;

		REQUIRE_EQ(oci_config_read(&c, json, &err), 0, "%s: %s", good_rows[i].json,
			   err.msg);
		CHECK_STR(c.ignored, good_rows[i].ignored, "%s", good_rows[i].json);
		oci_config_release(&c);
		json_decref(json);
	}
}

struct bad_row {
	const char *json, *text;
};

static const struct bad_row bad_rows[] = {
	{ "[]", "expected an object, not an array" },
	{ "{\"proces\": {}}", "proces: unknown field" },
	{ "{\"Version\": \"1.0.0\"}", "Version: unknown field" },
	{ "{\"process\": {\"Args\": []}}", "process.Args: unknown field; did you mean 'args'?" },
	{ "{\"linux\": {\"namespaces\": [{}, {\"kind\": 1}]}}",
	  "linux.namespaces[1].kind: unknown field" },
	{ "{\"linux\": {\"resources\": {\"pids\": {\"limit\": \"many\"}}}}",
	  "linux.resources.pids.limit: not a 64-bit integer" },
	{ "{\"linux\": {\"resources\": {\"hugepageLimits\": [{\"pagesize\": \"2MB\"}]}}}",
	  "linux.resources.hugepageLimits[0].pagesize: unknown field; did you mean 'pageSize'?" },
	{ "{\"process\": {\"args\": \"sh\"}}", "process.args: expected an array, not a string" },
	{ "{\"process\": {\"args\": [1]}}", "process.args[0]: expected a string, not a number" },
	{ "{\"process\": {\"user\": {\"uid\": -1}}}",
	  "process.user.uid: number must not be negative" },
	{ "{\"process\": {\"user\": {\"uid\": 4294967296}}}",
	  "process.user.uid: number is out of range" },
	{ "{\"process\": {\"user\": {\"uid\": 1e3}}}",
	  "process.user.uid: expected an integer, not a fraction" },
	{ "{\"process\": {\"user\": {\"uid\": 99999999999999999999999999999999}}}",
	  "process.user.uid: not an unsigned 64-bit integer" },
	{ "{\"process\": {\"rlimits\": [{\"hard\": 18446744073709551616}]}}",
	  "process.rlimits[0].hard: not an unsigned 64-bit integer" },
	{ "{\"process\": {\"rlimits\": [{\"hard\": -9223372036854775809}]}}",
	  "process.rlimits[0].hard: not an unsigned 64-bit integer" },
	{ "{\"linux\": {\"resources\": {\"memory\": {\"limit\": 9223372036854775808}}}}",
	  "linux.resources.memory.limit: not a 64-bit integer" },
	{ "{\"root\": []}", "root: expected an object, not an array" },
	{ "{\"annotations\": {\"a\": 1}}", "annotations[\"a\"]: expected a string, not a number" },
	{ "{\"hostname\": true}", "hostname: expected a string, not true" },
	{ "{\"hooks\": {\"prestart\": [null]}}",
	  "hooks.prestart[0]: expected an object, not null" },
};

Test(oci_config, wrong)
{
	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
		json_t *json = parse(bad_rows[i].json);
		struct error err = ERROR_INIT;
		struct oci_config c;

		CHECK_EQ(oci_config_read(&c, json, &err), -1, "%s", bad_rows[i].json);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
		CHECK_STR(err.msg, bad_rows[i].text, "%s", bad_rows[i].json);
		oci_config_release(&c);
		json_decref(json);
	}
}

/* Texts that no JSON parser accepts. */
static const struct bad_row malformed[] = {
	{ "", "line 1, column 0: '[' or '{' expected near end of file" },
	{ "{\"a\": 1", "line 1, column 7: '}' expected near end of file" },
	{ "{\"a\": 1, \"a\": 2}", "line 1, column 12: duplicate object key near '\"a\"'" },
	{ "{\"a\": \"\\u0000\"}", NULL },
	{ "{\"a\": 99999999999999999999", NULL },
	{ "{\"a\": \"x\\\"}", NULL },
	{ "{\"a\": -}", NULL },
	{ "{\"a\": 012345678901234567890}", NULL },
	{ "{\"a\": \xff}", NULL },
	{ "{} {}", NULL },
};

Test(oci_config, malformed)
{
	char *deep = malloc(200001);

	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		struct error err = ERROR_INIT;

		CHECK_EQ(json_parse(malformed[i].json, strlen(malformed[i].json), &err), NULL, "%s",
			 malformed[i].json);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
		if (malformed[i].text)
			CHECK_STR(err.msg, malformed[i].text);
	}
	for (int i = 0; i < 3; i++) {
		struct error err = ERROR_INIT;

		memset(deep, "[{-"[i], 200000);
		deep[200000] = '\0';
		CHECK_EQ(json_parse(deep, 200000, &err), NULL);
	}
	free(deep);
}

/* Each prefix of a document ends it somewhere else. */
Test(oci_config, truncated)
{
	static const char text[] =
		"{\"process\": {\"rlimits\": [{\"hard\": 18446744073709551615}], "
		"\"args\": [\"a\\\\\\\"b\", \"1.5e+30\", \"-\"]}}";

	for (size_t n = 0; n < sizeof(text) - 1; n++) {
		struct error err = ERROR_INIT;
		/* as long as the prefix, so that reading beyond it is found */
		char *copy = malloc(n + 1);

		memcpy(copy, text, n);
		CHECK_EQ(json_parse(copy, n, &err), NULL, "%zu", n);
		free(copy);
	}
	json_decref(parse(text));
}

Test(oci_config, numbers)
{
	static const char *const rows[][2] = {
		{ "{\"a\": 9223372036854775807}", "{\"a\": \"9223372036854775807\"}" },
		{ "{\"a\": -9223372036854775808, \"b\": 1}",
		  "{\"a\": \"-9223372036854775808\", \"b\": 1}" },
		{ "{\"a\": 123456789012345678}", "{\"a\": 123456789012345678}" },
		{ "{\"a\": 0.1234567890123456789012}", "{\"a\": 0.12345678901234568}" },
		{ "{\"a\": 1e5}", "{\"a\": 100000.0}" },
		{ "{\"a\": \"1234567890123456789012\"}", "{\"a\": \"1234567890123456789012\"}" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *json = parse(rows[i][0]);
		char *text = json_dumps(json, JSON_REAL_PRECISION(17));

		CHECK_STR(text, rows[i][1], "%s", rows[i][0]);
		free(text);
		json_decref(json);
	}
}
