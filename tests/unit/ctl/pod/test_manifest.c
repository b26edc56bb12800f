/* SPDX-License-Identifier: Apache-2.0 */
/* Pod descriptions: accepted ones, and the paths in the errors of invalid ones. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "ctl/pod/expand.h"
#include "ctl/pod/manifest.h"
#include "ctl/pod/quantity.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

#define POD(spec) "{\"metadata\":{\"name\":\"p\"},\"spec\":{" spec "}}"
#define CONTAINERS(more) \
	"\"containers\":[{\"name\":\"c\",\"image\":\"/i\",\"command\":[\"x\"]" more "}]"

static struct manifest m;

static void
finish(void)
{
	manifest_release(&m);
}

TestSuite(manifest, .fini = finish);

Test(manifest, all_members)
{
	struct error err = ERROR_INIT;

	REQUIRE_OK(
		manifest_parse(
			&m,
			"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\"},"
			"\"spec\":{"
			"\"hostname\":\"www\",\"shareProcessNamespace\":true,"
			"\"restartPolicy\":\"OnFailure\","
			"\"dnsConfig\":{\"nameservers\":[\"10.0.0.1\"]},"
			"\"volumes\":[{\"name\":\"a\",\"configMap\":{\"data\":{\"k\":\"v\"}}},"
			"{\"name\":\"b\",\"secret\":{\"data\":{\"k\":\"dg==\"}}},"
			"{\"name\":\"e\",\"emptyDir\":{\"medium\":\"Memory\","
			"\"sizeLimit\":\"16Mi\"}},"
			"{\"name\":\"h\",\"hostPath\":{\"path\":\"/srv\"}}],"
			"\"containers\":[{\"name\":\"one\",\"image\":\"/img\",\"command\":[\"sh\","
			"\"-c\"],\"args\":[\"true\"],"
			"\"env\":[{\"name\":\"A\",\"value\":\"b\"}],\"workingDir\":\"/w\","
			"\"ports\":[{\"containerPort\":80,\"hostPort\":8080},"
			"{\"containerPort\":81}],"
			"\"resources\":{\"limits\":{\"memory\":\"64Mi\",\"cpu\":\"500m\"}},"
			"\"securityContext\":{\"runAsUser\":7,\"runAsGroup\":8,"
			"\"readOnlyRootFilesystem\":true},"
			"\"volumeMounts\":[{\"name\":\"h\",\"mountPath\":\"/h\","
			"\"readOnly\":true}],"
			"\"livenessProbe\":{\"exec\":{\"command\":[\"true\"]},"
			"\"periodSeconds\":2}}]}}",
			&err),
		&err);
	REQUIRE_STR(m.name, "web");
	REQUIRE_STR(m.hostname, "www");
	REQUIRE(m.share_pids);
	REQUIRE_EQ(m.restart, RESTART_ON_FAILURE);
	REQUIRE(strcmp(m.servers[0], "10.0.0.1") == 0);
	REQUIRE_EQ(m.n_volumes, 4);
	REQUIRE(m.volumes[2].in_memory);
	REQUIRE_EQ(m.volumes[2].size, 16u << 20);
	REQUIRE_STR(m.volumes[3].path, "/srv");
	REQUIRE_STR(m.containers[0].command[2], "true");
	REQUIRE_EQ(m.containers[0].command[3], NULL);
	REQUIRE_STR(m.containers[0].env[0], "A=b");
	REQUIRE_EQ(m.containers[0].memory, 64u << 20);
	REQUIRE_EQ(m.containers[0].milli, 500);
	REQUIRE_EQ(m.containers[0].uid, 7);
	REQUIRE_EQ(m.containers[0].gid, 8);
	REQUIRE(m.containers[0].read_only);
	REQUIRE_EQ(m.containers[0].mounts[0].volume, 3);
	REQUIRE(m.containers[0].mounts[0].read_only);
	REQUIRE_EQ(m.containers[0].liveness.period_s, 2);
	REQUIRE_EQ(m.containers[0].liveness.failures, 3);
	REQUIRE_EQ(m.containers[0].readiness.command[0], NULL);
	REQUIRE_EQ(m.n_ports, 1);
	REQUIRE(strcmp(m.ports[0], "127.0.0.1:8080:80") == 0);
}

Test(manifest, minimal)
{
	struct error err = ERROR_INIT;

	REQUIRE_OK(manifest_parse(&m, POD(CONTAINERS("")), &err), &err);
	REQUIRE_STR(m.hostname, "p");
	REQUIRE_EQ(m.restart, RESTART_ALWAYS);
	REQUIRE_STR(m.containers[0].cwd, "/");
}

Test(manifest, invalid)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
		{ "{", "line 1" },
		{ "{}", "metadata" },
		{ POD(""), "spec" },
		{ POD("\"containers\":[]"), "no containers" },
		{ POD(CONTAINERS(",\"nmae\":1")),
		  "spec.containers[0]: 1 object item(s) left unpacked: nmae" },
		{ POD(CONTAINERS("") ",\"hostname2\":\"x\""), "hostname2" },
		{ POD(CONTAINERS(",\"args\":[1]")), "args[0]: not a string" },
		{ POD(CONTAINERS(",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}]")),
		  "spec.containers[0].volumeMounts[0]: unknown volume v" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"memory\":\"64MB\"}}")),
		  "invalid size \"64MB\"" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"memory\":\"99999999999Gi\"}}")),
		  "invalid size \"99999999999Gi\"" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"cpu\":\"0\"}}")), "processors" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"cpu\":\"-1\"}}")),
		  "invalid number of processors \"-1\"" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"cpu\":true}}")), "processors" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"memory\":\"\"}}")),
		  "invalid size \"\"" },
		{ POD(CONTAINERS(",\"env\":[{\"name\":\"A=B\",\"value\":\"x\"}]")),
		  "spec.containers[0].env[0]: invalid variable name \"A=B\"" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"exec\":{\"command\":[]}}")),
		  "livenessProbe" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"httpGet\":{}}")), "livenessProbe" },
		{ POD(CONTAINERS("") ",\"restartPolicy\":\"Sometimes\""), "Sometimes" },
		{ POD(CONTAINERS("") ",\"volumes\":[{\"name\":\"v\"}]"),
		  "spec.volumes[0]: must be one of" },
		{ POD(CONTAINERS("") ",\"volumes\":[{\"name\":\"../v\",\"emptyDir\":{}}]"),
		  "invalid volume name \"../v\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;

		REQUIRE_EQ(manifest_parse(&m, rows[i].text, &err), -1, "%s", rows[i].text);
		REQUIRE_EQ(err.code, ERROR_INVALID_ARGUMENT);
		REQUIRE_HAS(err.msg, rows[i].said, "%s: %s", rows[i].text, err.msg);
		manifest_release(&m);
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

/* Limits given as JSON numbers. */
Test(manifest, limits)
{
	static const struct {
		const char *text;
		uint64_t memory;
		unsigned int milli;
	} rows[] = {
		{ "\"memory\":\"1.5Gi\",\"cpu\":\"0.5\"", 3ull << 29, 500 },
		{ "\"memory\":\"1e8\",\"cpu\":\"1e-1\"", 100000000, 100 },
		{ "\"memory\":67108864,\"cpu\":0.1", 64 << 20, 100 },
		{ "\"memory\":1e6,\"cpu\":2", 1000000, 2000 },
		{ "\"memory\":0", 0, 0 },
	};
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;

		(void)snprintf(text, sizeof(text),
			       POD(CONTAINERS(",\"resources\":{\"limits\":{%s}}")), rows[i].text);
		REQUIRE_EQ(manifest_parse(&m, text, &err), 0, "%s: %s", rows[i].text, err.msg);
		CHECK_EQ(m.containers[0].memory, rows[i].memory, "%s", rows[i].text);
		CHECK_EQ(m.containers[0].milli, rows[i].milli, "%s: %u", rows[i].text,
			 m.containers[0].milli);
		manifest_release(&m);
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
	struct error err = ERROR_INIT;
	const struct manifest_container *c = &m.containers[0];

	REQUIRE_OK(
		manifest_parse(
			&m,
			POD(CONTAINERS(
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
	CHECK_STR(c->command[1], "pod");
	CHECK_STR(c->command[2], "http://image:$(PORT)/$(A)");
	CHECK_STR(c->command[3], "$(A)");
	CHECK_STR(c->command[4], "$(NONE)");
	CHECK_EQ(c->command[5], NULL);
	CHECK_STR(c->readiness.command[1], "http://image:$(PORT)/$(A)");
	CHECK_STR(c->liveness.command[0], "80");
}
