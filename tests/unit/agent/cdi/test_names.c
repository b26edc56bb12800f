/* SPDX-License-Identifier: Apache-2.0 */
/* The CDI devices that a spec asks for. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/cdi/names.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

static char *
text_of(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* Finds the names in two annotations and a variable (any may be NULL). Returns them as text, or the
 * error. */
static const char *
find(const char *const keys[2], const char *const values[2], const char *variable, bool visible)
{
	static char out[16384];
	Grpc__Spec__AnnotationsEntry entries[2], *list[2] = { &entries[0], &entries[1] };
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__Spec spec = GRPC__SPEC__INIT;
	char *env[] = { text_of("A=b"), text_of(variable) };
	struct error err = ERROR_INIT;
	struct cdi_names names;
	struct arena arena;
	size_t n = 0;

	arena_init(&arena, 1 << 20);
	for (; spec.n_annotations < 2 && keys[spec.n_annotations]; spec.n_annotations++) {
		Grpc__Spec__AnnotationsEntry *a = &entries[spec.n_annotations];

		grpc__spec__annotations_entry__init(a);
		a->key = text_of(keys[spec.n_annotations]);
		a->value = text_of(values[spec.n_annotations]);
	}
	spec.annotations = list;
	spec.process = &process;
	process.env = env;
	process.n_env = variable ? 2 : 1;
	out[0] = '\0';
	if (cdi_names_find(&arena, &spec, visible, &names, &err) < 0)
		(void)snprintf(out, sizeof(out), "%d: %s", err.code, err.msg);
	else
		for (size_t i = 0; i < names.n; i++)
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%s=%s ",
					      names.list[i].kind, names.list[i].device);
	arena_release(&arena);
	return out;
}

#define FIND(key, value) \
	find((const char *[2]){ key, NULL }, (const char *[2]){ value, NULL }, NULL, false)

Test(names, annotations)
{
	CHECK_STR(FIND("other", "x"), "");
	CHECK_STR(FIND("cdi.k8s.io/gpu", "nvidia.com/gpu=0"), "nvidia.com/gpu=0 ");
	CHECK_STR(
		FIND("cdi.k8s.io/gpu", "nvidia.com/gpu=all,v-1.x_y/C.d=a:1_2.b-c,nvidia.com/gpu=0"),
		"nvidia.com/gpu=all v-1.x_y/C.d=a:1_2.b-c nvidia.com/gpu=0 ");
	/* each once, in their order */
	CHECK_STR(find((const char *[]){ "cdi.k8s.io/b", "cdi.k8s.io/a" },
		       (const char *[]){ "v/c=2,v/c=1", "v/c=1,w/c=1" }, NULL, false),
		  "v/c=2 v/c=1 w/c=1 ");
	CHECK_STR(
		find((const char *[]){ "cdi.k8s.io/b", "io.katacontainers.pkg.oci.container_type" },
		     (const char *[]){ "v/c=2", "pod_sandbox" }, NULL, false),
		"", "the sandbox's own container");
	CHECK_STR(
		find((const char *[]){ "cdi.k8s.io/b", "io.katacontainers.pkg.oci.container_type" },
		     (const char *[]){ "v/c=2", "pod_container" }, NULL, false),
		"v/c=2 ");
}

Test(names, invalid_annotations)
{
	static const char *const bad[] = {
		"",       "gpu",      "v/c",     "v/c=",    "/c=0",      "v/=0",   "=0",
		"v/c=0,", ",v/c=0",   "v/c=0 ",  " v/c=0",  "1v/c=0",    "v/1c=0", "v/c=_0",
		"v/c=0-", "v/c=../x", "v/c/d=0", "v/c=0=1", "v\x01/c=0", "v/c.=0", "v../c=\xc3\xa9",
	};
	char long_name[CDI_PART_MAX + 16];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(strncmp(FIND("cdi.k8s.io/x", bad[i]), "3: annotation cdi.k8s.io/x: invalid",
			      35) == 0,
		      "\"%s\": %s", bad[i], FIND("cdi.k8s.io/x", bad[i]));
	memset(long_name, 'a', sizeof(long_name));
	memcpy(long_name, "v/c=", 4);
	long_name[4 + CDI_PART_MAX] = '\0';
	CHECK(strncmp(FIND("cdi.k8s.io/x", long_name), "v/c=aaa", 7) == 0);
	long_name[4 + CDI_PART_MAX] = 'a';
	long_name[5 + CDI_PART_MAX] = '\0';
	CHECK(strncmp(FIND("cdi.k8s.io/x", long_name), "3: ", 3) == 0);
}

Test(names, many)
{
	char text[4096] = "";
	size_t n = 0;

	for (int i = 0; i < CDI_NAMES_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%sv/c=%d", i ? "," : "", i);
	CHECK(strstr(FIND("cdi.k8s.io/x", text), "v/c=127 "));
	(void)snprintf(text + n, sizeof(text) - n, ",v/c=128");
	CHECK(strstr(FIND("cdi.k8s.io/x", text), "8: annotation cdi.k8s.io/x: more than 128"));
}

Test(names, variable)
{
	static const struct {
		const char *value, *want;
	} rows[] = {
		{ "nvidia.com/gpu=all", "nvidia.com/gpu=all " },
		{ "nvidia.com/gpu=0,2:v/c=1", "nvidia.com/gpu=0 nvidia.com/gpu=2 v/c=1 " },
		{ "", "" },
		{ "none", "" },
		{ "void", "" },
		{ "all", "3: VISIBLE_CDI_DEVICES: invalid part \"all\"" },
		{ "v/c=all,0", "3: VISIBLE_CDI_DEVICES: v/c: invalid index \"all\"" },
		{ "v/c=x", "3: VISIBLE_CDI_DEVICES: v/c: invalid index \"x\"" },
		{ "v/c=0,", "3: VISIBLE_CDI_DEVICES: v/c: invalid index \"\"" },
		{ "v/c=", "3: VISIBLE_CDI_DEVICES: v/c: invalid index \"\"" },
		{ "=0", "3: VISIBLE_CDI_DEVICES: invalid CDI device \"=0\"" },
		{ "v/c=0::w/c=1", "3: VISIBLE_CDI_DEVICES: invalid part \"\"" },
	};
	static const char *const none[2];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char variable[128];
		const char *got;

		(void)snprintf(variable, sizeof(variable), "VISIBLE_CDI_DEVICES=%s", rows[i].value);
		got = find(none, none, variable, true);
		CHECK(strncmp(got, rows[i].want, strlen(rows[i].want)) == 0 &&
			      (*rows[i].want || !*got),
		      "%s: %s", variable, got);
		CHECK_STR(find(none, none, variable, false), "", "%s: it is not asked for",
			  variable);
	}
}
