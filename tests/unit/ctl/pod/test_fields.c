/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of core/v1 as of Kubernetes 1.33: each is done, named as ignored, or refused by an
 * error with its path, and docs/pods.md has each. Fields that are unknown are refused.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/pod/manifest.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

enum verdict {
	DONE,
	IGNORED,
	REFUSED,
};

struct field_row {
	const char *name;
	enum verdict verdict;
	/* in JSON; NULL: "x" */
	const char *value;
};

#define C "\"name\":\"c\",\"image\":\"i\",\"command\":[\"x\"]"
#define POD(spec, container) \
	"{\"metadata\":{\"name\":\"p\"},\"spec\":{\"containers\":[{" C container "}]" spec "}}"
#define ACTION           "\"exec\":{\"command\":[\"x\"]}"
#define ENV_FROM(source) "[{\"name\":\"a\",\"valueFrom\":{" source "}}]"

static const struct field_row pod_spec[] = {
	{ "volumes", DONE, "[]" },
	{ "initContainers", DONE, "[]" },
	{ "ephemeralContainers", REFUSED, "[]" },
	{ "restartPolicy", DONE, "\"Never\"" },
	{ "terminationGracePeriodSeconds", DONE, "1" },
	{ "activeDeadlineSeconds", DONE, "1" },
	{ "dnsPolicy", DONE, "\"Default\"" },
	{ "nodeSelector", IGNORED, "{}" },
	{ "serviceAccountName", IGNORED, NULL },
	{ "serviceAccount", IGNORED, NULL },
	{ "automountServiceAccountToken", IGNORED, "true" },
	{ "nodeName", IGNORED, NULL },
	{ "hostNetwork", IGNORED, "true" },
	{ "hostPID", REFUSED, "true" },
	{ "hostIPC", REFUSED, "true" },
	{ "shareProcessNamespace", DONE, "true" },
	{ "securityContext", DONE, "{}" },
	{ "imagePullSecrets", IGNORED, "[]" },
	{ "hostname", DONE, NULL },
	{ "subdomain", DONE, NULL },
	{ "affinity", IGNORED, "{}" },
	{ "schedulerName", IGNORED, NULL },
	{ "tolerations", IGNORED, "[]" },
	{ "hostAliases", DONE, "[]" },
	{ "priorityClassName", IGNORED, NULL },
	{ "priority", IGNORED, "1" },
	{ "dnsConfig", DONE, "{}" },
	{ "readinessGates", IGNORED, "[]" },
	{ "runtimeClassName", IGNORED, NULL },
	{ "enableServiceLinks", IGNORED, "true" },
	{ "preemptionPolicy", IGNORED, "\"Never\"" },
	{ "overhead", IGNORED, "{}" },
	{ "topologySpreadConstraints", IGNORED, "[]" },
	{ "setHostnameAsFQDN", DONE, "true" },
	{ "os", DONE, "{\"name\":\"linux\"}" },
	{ "os", REFUSED, "{\"name\":\"windows\"}" },
	{ "hostUsers", IGNORED, "false" },
	{ "schedulingGates", IGNORED, "[]" },
	{ "resourceClaims", REFUSED, "[]" },
	{ "resources", REFUSED, "{}" },
};

static const struct field_row container[] = {
	{ "args", DONE, "[]" },
	{ "workingDir", DONE, "\"/\"" },
	{ "ports", DONE, "[]" },
	{ "envFrom", DONE, "[]" },
	{ "env", DONE, "[]" },
	{ "resources", DONE, "{}" },
	{ "resizePolicy", IGNORED, "[]" },
	{ "restartPolicy", REFUSED, "\"Always\"" },
	{ "volumeMounts", DONE, "[]" },
	{ "volumeDevices", REFUSED, "[]" },
	{ "livenessProbe", DONE, "{" ACTION "}" },
	{ "readinessProbe", DONE, "{" ACTION "}" },
	{ "startupProbe", DONE, "{" ACTION "}" },
	{ "lifecycle", DONE, "{}" },
	{ "terminationMessagePath", DONE, "\"/x\"" },
	{ "terminationMessagePolicy", DONE, "\"File\"" },
	{ "imagePullPolicy", DONE, "\"Never\"" },
	{ "securityContext", DONE, "{}" },
	{ "stdin", DONE, "true" },
	{ "stdinOnce", IGNORED, "true" },
	{ "tty", DONE, "true" },
};

static const struct field_row security[] = {
	{ "capabilities", DONE, "{\"add\":[],\"drop\":[]}" },
	{ "privileged", DONE, "true" },
	{ "seLinuxOptions", IGNORED, "{}" },
	{ "windowsOptions", IGNORED, "{}" },
	{ "runAsUser", DONE, "1" },
	{ "runAsGroup", DONE, "1" },
	{ "runAsNonRoot", DONE, "true" },
	{ "readOnlyRootFilesystem", DONE, "true" },
	{ "allowPrivilegeEscalation", DONE, "false" },
	{ "procMount", DONE, "\"Unmasked\"" },
	{ "seccompProfile", DONE, "{\"type\":\"RuntimeDefault\"}" },
	{ "appArmorProfile", IGNORED, "{\"type\":\"RuntimeDefault\"}" },
};

static const struct field_row pod_security[] = {
	{ "seLinuxOptions", IGNORED, "{}" },
	{ "windowsOptions", IGNORED, "{}" },
	{ "runAsUser", DONE, "1" },
	{ "runAsGroup", DONE, "1" },
	{ "runAsNonRoot", DONE, "true" },
	{ "supplementalGroups", DONE, "[1]" },
	{ "supplementalGroupsPolicy", DONE, "\"Strict\"" },
	{ "fsGroup", DONE, "1" },
	{ "sysctls", DONE, "[]" },
	{ "fsGroupChangePolicy", DONE, "\"Always\"" },
	{ "seccompProfile", DONE, "{\"type\":\"RuntimeDefault\"}" },
	{ "appArmorProfile", IGNORED, "{\"type\":\"RuntimeDefault\"}" },
	{ "seLinuxChangePolicy", IGNORED, "\"Recursive\"" },
};

static const struct field_row probe[] = {
	{ "initialDelaySeconds", DONE, "1" }, { "timeoutSeconds", DONE, "1" },
	{ "periodSeconds", DONE, "1" },       { "successThreshold", DONE, "1" },
	{ "failureThreshold", DONE, "1" },    { "terminationGracePeriodSeconds", DONE, "1" },
};

static const struct field_row handler[] = {
	{ "exec", DONE, "{\"command\":[\"x\"]}" },
	{ "httpGet", DONE,
	  "{\"port\":1,\"path\":\"/\",\"host\":\"::1\",\"scheme\":\"HTTP\",\"httpHeaders\":[]}" },
	{ "tcpSocket", DONE, "{\"port\":1,\"host\":\"127.0.0.1\"}" },
	{ "grpc", DONE, "{\"port\":1,\"service\":\"x\"}" },
};

static const struct field_row lifecycle[] = {
	{ "postStart", DONE, "{\"sleep\":{\"seconds\":1}}" },
	{ "preStop", DONE, "{\"tcpSocket\":{\"port\":1}}" },
	{ "stopSignal", DONE, "\"SIGTERM\"" },
};

static const struct field_row volume[] = {
	{ "hostPath", DONE, "{\"path\":\"/x\",\"type\":\"Directory\"}" },
	{ "emptyDir", DONE, "{\"medium\":\"Memory\",\"sizeLimit\":\"1Mi\"}" },
	{ "emptyDir", IGNORED, "{\"sizeLimit\":\"1Mi\"}" },
	{ "gcePersistentDisk", REFUSED, "{}" },
	{ "awsElasticBlockStore", REFUSED, "{}" },
	{ "gitRepo", REFUSED, "{}" },
	{ "secret", DONE,
	  "{\"secretName\":\"s\",\"optional\":true,\"items\":[],\"defaultMode\":1}" },
	{ "nfs", REFUSED, "{}" },
	{ "iscsi", REFUSED, "{}" },
	{ "glusterfs", REFUSED, "{}" },
	{ "persistentVolumeClaim", REFUSED, "{\"claimName\":\"x\",\"readOnly\":true}" },
	{ "rbd", REFUSED, "{}" },
	{ "flexVolume", REFUSED, "{}" },
	{ "cinder", REFUSED, "{}" },
	{ "cephfs", REFUSED, "{}" },
	{ "flocker", REFUSED, "{}" },
	{ "downwardAPI", DONE, "{\"items\":[],\"defaultMode\":1}" },
	{ "fc", REFUSED, "{}" },
	{ "azureFile", REFUSED, "{}" },
	{ "configMap", DONE, "{\"name\":\"s\",\"optional\":true,\"items\":[],\"defaultMode\":1}" },
	{ "vsphereVolume", REFUSED, "{}" },
	{ "quobyte", REFUSED, "{}" },
	{ "azureDisk", REFUSED, "{}" },
	{ "photonPersistentDisk", REFUSED, "{}" },
	{ "projected", DONE, "{\"sources\":[],\"defaultMode\":1}" },
	{ "portworxVolume", REFUSED, "{}" },
	{ "scaleIO", REFUSED, "{}" },
	{ "storageos", REFUSED, "{}" },
	{ "csi", REFUSED, "{}" },
	{ "ephemeral", REFUSED, "{}" },
	{ "image", DONE, "{\"reference\":\"x\",\"pullPolicy\":\"Never\"}" },
};

static const struct field_row projection[] = {
	{ "secret", DONE, "{\"name\":\"s\",\"optional\":true}" },
	{ "configMap", DONE, "{\"name\":\"s\",\"optional\":true}" },
	{ "downwardAPI", DONE, "{\"items\":[]}" },
	{ "serviceAccountToken", REFUSED, "{}" },
	{ "clusterTrustBundle", REFUSED, "{}" },
};

static const struct field_row mount[] = {
	{ "readOnly", DONE, "true" },
	{ "recursiveReadOnly", DONE, "\"IfPossible\"" },
	{ "subPath", DONE, NULL },
	{ "mountPropagation", DONE, "\"None\"" },
	{ "mountPropagation", IGNORED, "\"HostToContainer\"" },
	{ "subPathExpr", DONE, NULL },
};

static const struct field_row port[] = {
	{ "name", DONE, NULL },
	{ "hostPort", DONE, "1" },
	{ "protocol", DONE, "\"TCP\"" },
	{ "hostIP", DONE, "\"127.0.0.1\"" },
};

static const struct field_row value_from[] = {
	{ "fieldRef", DONE, "{\"fieldPath\":\"metadata.name\"}" },
	{ "resourceFieldRef", DONE, "{\"resource\":\"limits.cpu\",\"divisor\":\"1m\"}" },
	{ "configMapKeyRef", DONE, "{\"name\":\"s\",\"key\":\"k\",\"optional\":true}" },
	{ "secretKeyRef", DONE, "{\"name\":\"s\",\"key\":\"k\",\"optional\":true}" },
};

static const struct field_row env_from[] = {
	{ "configMapRef", DONE, "{\"name\":\"s\",\"optional\":true}" },
	{ "secretRef", DONE, "{\"name\":\"s\",\"optional\":true}" },
};

static const struct field_row resources[] = {
	{ "limits", DONE, "{\"cpu\":1,\"memory\":\"1Mi\"}" },
	{ "limits", IGNORED, "{\"ephemeral-storage\":\"1Mi\"}" },
	{ "limits", REFUSED, "{\"hugepages-2Mi\":\"2Mi\"}" },
	{ "requests", DONE, "{\"cpu\":1,\"memory\":\"1Mi\"}" },
	{ "claims", REFUSED, "[]" },
};

static const struct {
	/* path of the object, and a pod with its field for which "%s" stands */
	const char *path, *text;
	const struct field_row *rows;
	size_t n;
} objects[] = {
	{ "spec", POD(",%s", ""), pod_spec, ARRAY_LEN(pod_spec) },
	{ "spec.containers[0]", POD("", ",%s"), container, ARRAY_LEN(container) },
	{ "spec.containers[0].securityContext", POD("", ",\"securityContext\":{%s}"), security,
	  ARRAY_LEN(security) },
	{ "spec.securityContext", POD(",\"securityContext\":{%s}", ""), pod_security,
	  ARRAY_LEN(pod_security) },
	{ "spec.containers[0].startupProbe", POD("", ",\"startupProbe\":{" ACTION ",%s}"), probe,
	  ARRAY_LEN(probe) },
	{ "spec.containers[0].livenessProbe", POD("", ",\"livenessProbe\":{%s}"), handler,
	  ARRAY_LEN(handler) },
	{ "spec.containers[0].lifecycle", POD("", ",\"lifecycle\":{%s}"), lifecycle,
	  ARRAY_LEN(lifecycle) },
	{ "spec.volumes[0]", POD(",\"volumes\":[{\"name\":\"v\",%s}]", ""), volume,
	  ARRAY_LEN(volume) },
	{ "spec.volumes[0].projected.sources[0]",
	  POD(",\"volumes\":[{\"name\":\"v\",\"projected\":{\"sources\":[{%s}]}}]", ""), projection,
	  ARRAY_LEN(projection) },
	{ "spec.containers[0].volumeMounts[0]",
	  POD(",\"volumes\":[{\"name\":\"v\"}]",
	      ",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\",%s}]"),
	  mount, ARRAY_LEN(mount) },
	{ "spec.containers[0].ports[0]", POD("", ",\"ports\":[{\"containerPort\":1,%s}]"), port,
	  ARRAY_LEN(port) },
	{ "spec.containers[0].env[0].valueFrom", POD("", ",\"env\":" ENV_FROM("%s")), value_from,
	  ARRAY_LEN(value_from) },
	{ "spec.containers[0].envFrom[0]", POD("", ",\"envFrom\":[{\"prefix\":\"P_\",%s}]"),
	  env_from, ARRAY_LEN(env_from) },
	{ "spec.containers[0].resources", POD("", ",\"resources\":{%s}"), resources,
	  ARRAY_LEN(resources) },
};

static struct manifest m;

/* Reads a pod in which "%s" stands for a field. */
static int
parse(const char *text, const char *name, const char *value, struct error *err)
{
	static const struct manifest_guest guest = { .ip = "10.0.2.15", .uid = "6a3e", .cpus = 1 };
	char field[256], whole[1024];

	(void)snprintf(field, sizeof(field), "\"%s\":%s", name, value ? value : "\"x\"");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(whole, sizeof(whole), text, field);
#pragma GCC diagnostic pop
	manifest_release(&m);
	return manifest_parse(&m, whole, strlen(whole), &guest, err);
}

Test(fields, none_is_lost)
{
	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		for (size_t k = 0; k < objects[i].n; k++) {
			const struct field_row *row = &objects[i].rows[k];
			struct error err = ERROR_INIT;
			char path[128], *at = path;
			int r = parse(objects[i].text, row->name, row->value, &err);

			(void)snprintf(path, sizeof(path), "%s.%s", objects[i].path, row->name);
			CHECK_EQ(r, row->verdict == REFUSED ? -1 : 0, "%s: %s", path, err.msg);
			if (row->verdict == REFUSED)
				CHECK_HAS(err.msg, path, "%s", err.msg);
			if (r < 0)
				continue;
			/* That of all elements of a list. */
			for (const char *c = path; *c; c++)
				if (*c != '0')
					*at++ = *c;
			*at = '\0';
			CHECK_EQ(strncmp(m.ignored, path, strlen(path)) == 0,
				 row->verdict == IGNORED, "%s: ignored: %s", path, m.ignored);
			CHECK(row->verdict == IGNORED || !m.ignored[0], "%s: ignored: %s", path,
			      m.ignored);
		}
	}
	manifest_release(&m);
}

Test(fields, unknown_ones_are_refused)
{
	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		struct error err = ERROR_INIT;
		char said[160];

		(void)snprintf(said, sizeof(said), "line 1: %s.hosst: unknown field",
			       objects[i].path);
		CHECK_EQ(parse(objects[i].text, "hosst", NULL, &err), -1, "%s", said);
		CHECK_STR(err.msg, said);
	}
	manifest_release(&m);
}

/* Fields of objects around and below those above. */
Test(fields, nothing_is_dropped_elsewhere)
{
	static const struct {
		const char *text;
		/* fields that are ignored, or part of the error */
		const char *ignored, *said;
	} rows[] = {
#define TEMPLATE "template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}"
		{ "kind: Deployment\nmetadata: {name: d, labels: {a: b}}\nspec: {" TEMPLATE "}\n",
		  "metadata.labels", NULL },
		{ "kind: Deployment\nmetadata: {name: d}\nstatus: {}\nspec: {" TEMPLATE "}\n",
		  "status", NULL },
		{ "kind: Deployment\nmetadata: {name: d}\nstats: {}\nspec: {" TEMPLATE "}\n", NULL,
		  "line 3: stats: unknown field" },
		{ "kind: CronJob\nmetadata: {name: d}\nx: 1\nspec: {jobTemplate: {spec: {" TEMPLATE
		  "}}}\n",
		  NULL, "line 3: x: unknown field" },
		{ "kind: List\nitem: []\n", NULL, "line 2: item: unknown field" },
		{ "kind: Job\nmetadata: {name: d}\nspec: {template: {metadata: {name: x}, spec: "
		  "{restartPolicy: Never, containers: [{name: c, image: i}]}}}\n",
		  "spec.template.metadata.name", NULL },
		{ POD("", ",\"envFrom\":[{\"secretRef\":{\"name\":\"s\",\"optional\":true},"
			  "\"configMapRef\":{\"name\":\"s\",\"optional\":true}}]"),
		  NULL, "spec.containers[0].envFrom[0]: must have one source" },
		{ POD("", ",\"envFrom\":[{\"prefix\":\"a\"}]"), NULL,
		  "envFrom[0]: must have one source" },
		{ POD(",\"volumes\":[{\"name\":\"v\",\"downwardAPI\":{\"items\":[{\"path\":\"a\","
		      "\"fieldRef\":{\"fieldPath\":\"metadata.name\"},\"resourceFieldRef\":"
		      "{\"resource\":\"limits.cpu\",\"containerName\":\"c\"}}]}}]",
		      ""),
		  NULL, "downwardAPI.items[0]: must have one source" },
		{ POD("", ",\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\","
			  "\"recursiveReadOnly\":\"Enabled\"}]"),
		  NULL, "volumeMounts[0].recursiveReadOnly: requires readOnly" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		static const struct manifest_guest guest = { .ip = "10.0.2.15" };
		struct error err = ERROR_INIT;
		int r;

		manifest_release(&m);
		r = manifest_parse(&m, rows[i].text, strlen(rows[i].text), &guest, &err);
		CHECK_EQ(r, rows[i].said ? -1 : 0, "%s: %s", rows[i].text, err.msg);
		if (rows[i].said)
			CHECK_HAS(err.msg, rows[i].said, "%s", rows[i].text);
		else if (r == 0)
			CHECK_STR(m.ignored, rows[i].ignored, "%s", rows[i].text);
	}
	manifest_release(&m);
}

/* More fields than any pod has are all named. */
Test(fields, all_that_is_ignored_is_named)
{
	struct error err = ERROR_INIT;
	size_t size = 1u << 16, n = 0;
	auto_free char *text = malloc(size);
	const struct manifest_guest guest = { .ip = "10.0.2.15" };

	REQUIRE_NE(text, NULL);
	for (int i = 0; i < 300; i++)
		n += (size_t)snprintf(text + n, size - n,
				      "kind: Service\nmetadata: {name: s%d}\n---\n", i);
	(void)snprintf(text + n, size - n,
		       "metadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n");
	manifest_release(&m);
	REQUIRE_OK(manifest_parse(&m, text, strlen(text), &guest, &err), &err);
	CHECK_HAS(m.ignored, "Service s0, ");
	CHECK_HAS(m.ignored, "Service s299");
	manifest_release(&m);
}

Test(fields, documents_have_each)
{
	size_t size = 1u << 20, n;
	auto_free char *text = malloc(size);
	FILE *f = fopen(TEST_DATA "/../../docs/pods.md", "re");

	REQUIRE_NE(text, NULL);
	REQUIRE_NE(f, NULL);
	n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	(void)fclose(f);
	for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
		for (size_t k = 0; k < objects[i].n; k++) {
			char word[64];

			(void)snprintf(word, sizeof(word), "`%s`", objects[i].rows[k].name);
			CHECK_HAS(text, word, "docs/pods.md");
		}
	}
}
