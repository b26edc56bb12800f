/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seccomp profiles in files. Docker's format has, in addition to that of the runtime specification,
 * conditions on rules ("includes", "excludes"), architectures with those that they imply
 * ("archMap"), and "name" for a single call.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/pod/seccomp.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

/* The oldest guest kernel (README): conditions up to this version hold. */
#define KERNEL_MAJOR 5
#define KERNEL_MINOR 14
#define FILE_MAX     (1u << 20)

struct seccomp_reader {
	struct arena *a;
	const struct seccomp_target *target;
	struct error *err;
};

static int seccomp_convert(struct seccomp_reader *r, const json_t *json, Grpc__LinuxSeccomp *out);
static int seccomp_read_archs(struct seccomp_reader *r, const json_t *json,
			      Grpc__LinuxSeccomp *out);
static int seccomp_read_rule(struct seccomp_reader *r, const json_t *json, size_t i,
			     Grpc__LinuxSeccomp *out);
static int seccomp_read_arg(struct seccomp_reader *r, const json_t *json, size_t rule,
			    Grpc__LinuxSeccompArg **out);
static int seccomp_rule_counts(struct seccomp_reader *r, const json_t *json, bool *out);

int
seccomp_read_file(struct arena *a, const char *path, const struct seccomp_target *target,
		  Grpc__LinuxSeccomp **out, struct error *err)
{
	auto_free char *text = malloc(FILE_MAX + 1);
	FILE *f = fopen(path, "re");
	size_t n = text && f ? fread(text, 1, FILE_MAX + 1, f) : 0;
	bool failed = !f || ferror(f);

	if (!text || failed)
		error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to read %s", path);
	if (f)
		(void)fclose(f);
	if (!text || failed)
		return -1;
	if (n > FILE_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is larger than %u bytes", path,
				 FILE_MAX);
	if (seccomp_parse(a, text, n, target, out, err) < 0)
		return error_wrap(err, "%s", path);
	return 0;
}

int
seccomp_parse(struct arena *a, const char *text, size_t size, const struct seccomp_target *target,
	      Grpc__LinuxSeccomp **out, struct error *err)
{
	struct seccomp_reader r = { a, target, err };
	Grpc__LinuxSeccomp *profile = arena_alloc(a, sizeof(*profile));
	json_error_t why;
	json_t *json;
	int result;

	*out = NULL;
	if (!profile)
		return error_nomem(err, "reading a seccomp profile");
	grpc__linux_seccomp__init(profile);
	json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
	if (!json)
		return error_set(err, ERROR_INVALID_ARGUMENT, "line %d: %s", why.line, why.text);
	result = seccomp_convert(&r, json, profile);
	json_decref(json);
	if (result == 0 && (profile->defaultaction[0] || profile->n_syscalls))
		*out = profile;
	return result;
}

static int
seccomp_invalid(struct seccomp_reader *r, const char *member, const char *why)
{
	return error_set(r->err, ERROR_INVALID_ARGUMENT, "%s: %s", member, why);
}

/* Reads a text of an object, "" if it is absent. */
static int
seccomp_text(struct seccomp_reader *r, const json_t *object, const char *key, char **out)
{
	const json_t *value = json_object_get(object, key);

	*out = (char *)(uintptr_t) "";
	if (!value || json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return seccomp_invalid(r, key, "must be a string");
	*out = arena_strdup(r->a, json_string_value(value));
	return *out ? 0 : error_nomem(r->err, "reading a seccomp profile");
}

/* Reads a number of an object from 0, and leaves *out alone if it is absent. */
static int
seccomp_number(struct seccomp_reader *r, const json_t *object, const char *key, uint64_t *out)
{
	const json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value))
		return 0;
	if (json_is_integer(value) && json_integer_value(value) >= 0) {
		*out = (uint64_t)json_integer_value(value);
		return 0;
	}
	return seccomp_invalid(r, key, "must be a number from 0 to 2^63 - 1");
}

/* Appends the texts of a list to *out, which has *n. */
static int
seccomp_texts(struct seccomp_reader *r, const json_t *list, const char *key, char ***out, size_t *n)
{
	size_t added = json_array_size(list);
	char **all;

	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list))
		return seccomp_invalid(r, key, "must be a list of strings");
	all = arena_zalloc(r->a, *n + added + 1, sizeof(*all));
	if (!all)
		return error_nomem(r->err, "reading a seccomp profile");
	for (size_t i = 0; i < *n; i++)
		all[i] = (*out)[i];
	for (size_t i = 0; i < added; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (!text)
			return seccomp_invalid(r, key, "must be a list of strings");
		all[*n + i] = arena_strdup(r->a, text);
		if (!all[*n + i])
			return error_nomem(r->err, "reading a seccomp profile");
	}
	*out = all;
	*n += added;
	return 0;
}

static int
seccomp_convert(struct seccomp_reader *r, const json_t *json, Grpc__LinuxSeccomp *out)
{
	const json_t *calls = json_object_get(json, "syscalls");
	uint64_t errnum = EPERM;
	char *listener;

	if (!json_is_object(json))
		return error_set(r->err, ERROR_INVALID_ARGUMENT, "a profile must be an object");
	if (seccomp_text(r, json, "defaultAction", &out->defaultaction) < 0 ||
	    seccomp_number(r, json, "defaultErrnoRet", &errnum) < 0 ||
	    seccomp_text(r, json, "listenerPath", &listener) < 0 ||
	    seccomp_texts(r, json_object_get(json, "flags"), "flags", &out->flags, &out->n_flags) <
		    0 ||
	    seccomp_read_archs(r, json, out) < 0)
		return -1;
	if (errnum != EPERM && strcmp(out->defaultaction, "SCMP_ACT_ERRNO") == 0)
		return seccomp_invalid(r, "defaultErrnoRet",
				       "the agent's protocol has no errors other than 1 (EPERM)");
	if (listener[0])
		return seccomp_invalid(r, "listenerPath", "not supported");
	if (calls && !json_is_null(calls) && !json_is_array(calls))
		return seccomp_invalid(r, "syscalls", "must be a list");
	if (!out->defaultaction[0] && json_array_size(calls))
		return seccomp_invalid(r, "defaultAction", "missing");
	out->syscalls = arena_zalloc(r->a, json_array_size(calls) + 1, sizeof(*out->syscalls));
	if (!out->syscalls)
		return error_nomem(r->err, "reading a seccomp profile");
	for (size_t i = 0; i < json_array_size(calls); i++)
		if (seccomp_read_rule(r, json_array_get(calls, i), i, out) < 0)
			return -1;
	return 0;
}

static int
seccomp_read_archs(struct seccomp_reader *r, const json_t *json, Grpc__LinuxSeccomp *out)
{
	static const char *const machines[][2] = {
		{ "x86_64", "SCMP_ARCH_X86_64" },
		{ "aarch64", "SCMP_ARCH_AARCH64" },
	};
	const json_t *map = json_object_get(json, "archMap");

	if (seccomp_texts(r, json_object_get(json, "architectures"), "architectures",
			  &out->architectures, &out->n_architectures) < 0)
		return -1;
	if (map && !json_is_null(map) && !json_is_array(map))
		return seccomp_invalid(r, "archMap", "must be a list");
	if (json_array_size(map) && out->n_architectures)
		return seccomp_invalid(r, "archMap", "architectures are given, too");
	for (size_t i = 0; i < json_array_size(map); i++) {
		const json_t *row = json_array_get(map, i);
		const char *wanted = "";
		char *name;

		if (!json_is_object(row))
			return seccomp_invalid(r, "archMap", "must be a list of objects");
		if (seccomp_text(r, row, "architecture", &name) < 0)
			return -1;
		for (size_t k = 0; k < ARRAY_LEN(machines); k++)
			if (strcmp(machines[k][0], r->target->arch) == 0)
				wanted = machines[k][1];
		if (strcmp(name, wanted) != 0)
			continue;
		out->architectures = arena_zalloc(r->a, 1, sizeof(*out->architectures));
		if (!out->architectures)
			return error_nomem(r->err, "reading a seccomp profile");
		out->architectures[0] = name;
		out->n_architectures = 1;
		return seccomp_texts(r, json_object_get(row, "subArchitectures"),
				     "archMap.subArchitectures", &out->architectures,
				     &out->n_architectures);
	}
	return 0;
}

static int
seccomp_read_rule(struct seccomp_reader *r, const json_t *json, size_t i, Grpc__LinuxSeccomp *out)
{
	const json_t *args = json_object_get(json, "args");
	Grpc__LinuxSyscall *call = arena_alloc(r->a, sizeof(*call));
	uint64_t errnum = UINT64_MAX;
	bool counts;
	char *name;

	if (!call)
		return error_nomem(r->err, "reading a seccomp profile");
	grpc__linux_syscall__init(call);
	if (!json_is_object(json))
		return error_set(r->err, ERROR_INVALID_ARGUMENT, "syscalls[%zu]: must be an object",
				 i);
	if (seccomp_text(r, json, "name", &name) < 0 ||
	    seccomp_texts(r, json_object_get(json, "names"), "names", &call->names,
			  &call->n_names) < 0 ||
	    seccomp_text(r, json, "action", &call->action) < 0 ||
	    seccomp_number(r, json, "errnoRet", &errnum) < 0 ||
	    seccomp_rule_counts(r, json, &counts) < 0)
		return error_wrap(r->err, "syscalls[%zu]", i);
	if (name[0] && call->n_names)
		return error_set(r->err, ERROR_INVALID_ARGUMENT,
				 "syscalls[%zu]: has both name and names", i);
	if (name[0]) {
		call->names = arena_zalloc(r->a, 1, sizeof(*call->names));
		if (!call->names)
			return error_nomem(r->err, "reading a seccomp profile");
		call->names[call->n_names++] = name;
	}
	if (!call->n_names || !call->action[0])
		return error_set(r->err, ERROR_INVALID_ARGUMENT, "syscalls[%zu].%s: missing", i,
				 call->n_names ? "action" : "names");
	if (errnum != UINT64_MAX) {
		if (errnum > UINT32_MAX)
			return error_set(r->err, ERROR_INVALID_ARGUMENT,
					 "syscalls[%zu].errnoRet: out of range", i);
		call->errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET;
		call->errnoret = (uint32_t)errnum;
	}
	if (args && !json_is_null(args) && !json_is_array(args))
		return error_set(r->err, ERROR_INVALID_ARGUMENT,
				 "syscalls[%zu].args: must be a list", i);
	call->args = arena_zalloc(r->a, json_array_size(args) + 1, sizeof(*call->args));
	if (!call->args)
		return error_nomem(r->err, "reading a seccomp profile");
	for (size_t k = 0; k < json_array_size(args); k++)
		if (seccomp_read_arg(r, json_array_get(args, k), i, &call->args[call->n_args++]) <
		    0)
			return -1;
	if (counts)
		out->syscalls[out->n_syscalls++] = call;
	return 0;
}

static int
seccomp_read_arg(struct seccomp_reader *r, const json_t *json, size_t rule,
		 Grpc__LinuxSeccompArg **out)
{
	Grpc__LinuxSeccompArg *arg = arena_alloc(r->a, sizeof(*arg));

	*out = arg;
	if (!arg)
		return error_nomem(r->err, "reading a seccomp profile");
	grpc__linux_seccomp_arg__init(arg);
	if (!json_is_object(json))
		return error_set(r->err, ERROR_INVALID_ARGUMENT,
				 "syscalls[%zu].args: must be a list of objects", rule);
	if (seccomp_number(r, json, "index", &arg->index) < 0 ||
	    seccomp_number(r, json, "value", &arg->value) < 0 ||
	    seccomp_number(r, json, "valueTwo", &arg->valuetwo) < 0 ||
	    seccomp_text(r, json, "op", &arg->op) < 0)
		return error_wrap(r->err, "syscalls[%zu].args", rule);
	return 0;
}

/* Returns whether a list of a condition has the name. */
static bool
seccomp_lists(const json_t *list, const char *name)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		if (text && strcmp(text, name) == 0)
			return true;
	}
	return false;
}

/* Sets *out if a condition names a version of the kernel, which each guest's kernel has. */
static int
seccomp_has_kernel(struct seccomp_reader *r, const json_t *condition, bool *out)
{
	uint32_t major, minor;
	char *text, *dot;

	if (seccomp_text(r, condition, "minKernel", &text) < 0)
		return -1;
	if (!text[0])
		return 0;
	dot = strchr(text, '.');
	if (dot)
		*dot = '\0';
	if (!dot || !parse_u32(text, &major) || !parse_u32(dot + 1, &minor))
		return seccomp_invalid(r, "minKernel", "invalid version");
	if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor > KERNEL_MINOR))
		return seccomp_invalid(r, "minKernel",
				       "not supported: newer than the oldest kernel of guests");
	*out = true;
	return 0;
}

/* Sets *out to whether the conditions of a rule hold: none of "excludes", and all of "includes". */
static int
seccomp_rule_counts(struct seccomp_reader *r, const json_t *json, bool *out)
{
	const json_t *excludes = json_object_get(json, "excludes");
	const json_t *includes = json_object_get(json, "includes");
	const json_t *caps = json_object_get(excludes, "caps");
	const json_t *arches = json_object_get(includes, "arches");
	const char *arch = seccomp_arch_name(r->target);
	bool excluded = seccomp_lists(json_object_get(excludes, "arches"), arch), ignored;

	if (seccomp_has_kernel(r, excludes, &excluded) < 0 ||
	    seccomp_has_kernel(r, includes, &ignored) < 0)
		return -1;
	for (size_t k = 0; k < r->target->n_caps; k++)
		excluded |= seccomp_lists(caps, r->target->caps[k]);
	*out = !excluded && (!json_array_size(arches) || seccomp_lists(arches, arch));
	caps = json_object_get(includes, "caps");
	for (size_t k = 0; k < json_array_size(caps); k++) {
		const char *cap = json_string_value(json_array_get(caps, k));

		*out &= cap && seccomp_has_cap(r->target, cap);
	}
	return 0;
}
