/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions of pods: what is understood, and what is refused by its path. */
#include <criterion/criterion.h>
#include <string.h>

#include "ctl/manifest.h"
#include "lib/cleanup.h"

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

Test(manifest, everything)
{
	struct error err = ERROR_INIT;

	cr_assert_eq(
		manifest_parse(
			&m,
			"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\"},\"spec\":{"
			"\"hostname\":\"www\",\"shareProcessNamespace\":true,\"restartPolicy\":\"OnFailure\","
			"\"dnsConfig\":{\"nameservers\":[\"10.0.0.1\"]},"
			"\"volumes\":[{\"name\":\"a\",\"configMap\":{\"data\":{\"k\":\"v\"}}},"
			"{\"name\":\"b\",\"secret\":{\"data\":{\"k\":\"dg==\"}}},"
			"{\"name\":\"e\",\"emptyDir\":{\"medium\":\"Memory\",\"sizeLimit\":\"16Mi\"}},"
			"{\"name\":\"h\",\"hostPath\":{\"path\":\"/srv\"}}],"
			"\"containers\":[{\"name\":\"one\",\"image\":\"/img\",\"command\":[\"sh\",\"-c\"],\"args\":[\"true\"],"
			"\"env\":[{\"name\":\"A\",\"value\":\"b\"}],\"workingDir\":\"/w\","
			"\"ports\":[{\"containerPort\":80,\"hostPort\":8080},{\"containerPort\":81}],"
			"\"resources\":{\"limits\":{\"memory\":\"64Mi\",\"cpu\":\"500m\"}},"
			"\"securityContext\":{\"runAsUser\":7,\"runAsGroup\":8,\"readOnlyRootFilesystem\":true},"
			"\"volumeMounts\":[{\"name\":\"h\",\"mountPath\":\"/h\",\"readOnly\":true}],"
			"\"livenessProbe\":{\"exec\":{\"command\":[\"true\"]},\"periodSeconds\":2}}]}}",
			&err),
		0, "%s", err.msg);
	cr_assert_str_eq(m.name, "web");
	cr_assert_str_eq(m.hostname, "www");
	cr_assert(m.share_pids);
	cr_assert_eq(m.restart, RESTART_ON_FAILURE);
	cr_assert_str_eq(m.servers[0], "10.0.0.1");
	cr_assert_eq(m.n_volumes, 4);
	cr_assert(m.volumes[2].in_memory);
	cr_assert_eq(m.volumes[2].size, 16u << 20);
	cr_assert_str_eq(m.volumes[3].path, "/srv");
	cr_assert_str_eq(m.containers[0].command[2], "true");
	cr_assert_null(m.containers[0].command[3]);
	cr_assert_str_eq(m.containers[0].env[0], "A=b");
	cr_assert_eq(m.containers[0].memory, 64u << 20);
	cr_assert_eq(m.containers[0].milli, 500);
	cr_assert_eq(m.containers[0].uid, 7);
	cr_assert_eq(m.containers[0].gid, 8);
	cr_assert(m.containers[0].read_only);
	cr_assert_eq(m.containers[0].mounts[0].volume, 3);
	cr_assert(m.containers[0].mounts[0].read_only);
	cr_assert_eq(m.containers[0].liveness.period_s, 2);
	cr_assert_eq(m.containers[0].liveness.failures, 3);
	cr_assert_null(m.containers[0].readiness.command[0]);
	cr_assert_eq(m.n_ports, 1);
	cr_assert_str_eq(m.ports[0], "127.0.0.1:8080:80");
}

Test(manifest, the_least)
{
	struct error err = ERROR_INIT;

	cr_assert_eq(manifest_parse(&m, POD(CONTAINERS("")), &err), 0, "%s", err.msg);
	cr_assert_str_eq(m.hostname, "p");
	cr_assert_eq(m.restart, RESTART_ALWAYS);
	cr_assert_str_eq(m.containers[0].cwd, "/");
}

Test(manifest, what_is_refused)
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
		{ POD(CONTAINERS(",\"args\":[1]")), "args[0] is not a string" },
		{ POD(CONTAINERS(",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"}]")),
		  "spec.containers[0].volumeMounts[0]: there is no volume v" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"memory\":\"64MB\"}}")),
		  "\"64MB\" is not a size" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"memory\":\"99999999999Gi\"}}")),
		  "is not a size" },
		{ POD(CONTAINERS(",\"resources\":{\"limits\":{\"cpu\":\"0\"}}")), "processors" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"exec\":{\"command\":[]}}")),
		  "livenessProbe" },
		{ POD(CONTAINERS(",\"livenessProbe\":{\"httpGet\":{}}")), "livenessProbe" },
		{ POD(CONTAINERS("") ",\"restartPolicy\":\"Sometimes\""), "Sometimes" },
		{ POD(CONTAINERS("") ",\"volumes\":[{\"name\":\"v\"}]"),
		  "spec.volumes[0]: must be one of" },
		{ POD(CONTAINERS("") ",\"volumes\":[{\"name\":\"../v\",\"emptyDir\":{}}]"),
		  "cannot be that of a directory" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct error err = ERROR_INIT;

		cr_assert_eq(manifest_parse(&m, rows[i].text, &err), -1, "%s", rows[i].text);
		cr_assert_eq(err.code, ERROR_INVALID_ARGUMENT);
		cr_assert(strstr(err.msg, rows[i].said), "%s: %s", rows[i].text, err.msg);
		manifest_release(&m);
	}
}
