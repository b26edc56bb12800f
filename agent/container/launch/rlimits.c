/* SPDX-License-Identifier: Apache-2.0 */
/* Names and setting of resource limits. */
#include "agent/container/launch/rlimits.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

#include "lib/cleanup.h"

/* The kernel's INR_OPEN_CUR. */
#define FILES_DEFAULT 1024

static const struct {
	const char *name;
	int resource;
} rows[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", 10 /* has no name in musl */ },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};

bool
rlimit_parse(const char *name, int *out)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].name, name) == 0) {
			*out = rows[i].resource;
			return true;
		}
	}
	return false;
}

int
rlimits_validate(Grpc__POSIXRlimit *const *limits, size_t n, struct error *err)
{
	uint32_t seen = 0;

	for (size_t i = 0; i < n; i++) {
		int resource;

		if (!rlimit_parse(limits[i]->type, &resource))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "process.rlimits: unknown type %.40s", limits[i]->type);
		if (limits[i]->soft > limits[i]->hard)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "process.rlimits: %s: soft limit %" PRIu64
					 " is above hard limit %" PRIu64,
					 limits[i]->type, limits[i]->soft, limits[i]->hard);
		if (seen & 1u << resource)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "process.rlimits: %s is given twice", limits[i]->type);
		seen |= 1u << resource;
	}
	return 0;
}

int
rlimits_reset_files(Grpc__POSIXRlimit *const *limits, size_t n, struct error *err)
{
	struct rlimit value;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(limits[i]->type, "RLIMIT_NOFILE") == 0)
			return 0;
	}
	if (getrlimit(RLIMIT_NOFILE, &value) < 0)
		return error_sys(err, "failed to get RLIMIT_NOFILE");
	if (value.rlim_cur <= FILES_DEFAULT)
		return 0;
	value.rlim_cur = FILES_DEFAULT;
	if (setrlimit(RLIMIT_NOFILE, &value) < 0)
		return error_sys(err, "failed to reset RLIMIT_NOFILE");
	return 0;
}

int
rlimits_apply(pid_t pid, Grpc__POSIXRlimit *const *limits, size_t n, struct error *err)
{
	for (size_t i = 0; i < n; i++) {
		struct rlimit value = {
			.rlim_cur = limits[i]->soft,
			.rlim_max = limits[i]->hard,
		};
		int resource;

		if (!rlimit_parse(limits[i]->type, &resource)) {
			errno = EINVAL;
			return error_sys(err, "failed to set %.40s", limits[i]->type);
		}
		if (prlimit(pid, (__typeof__(RLIMIT_AS))resource, &value, NULL) < 0)
			return error_sys(err, "failed to set %s to %" PRIu64 ":%" PRIu64,
					 limits[i]->type, limits[i]->soft, limits[i]->hard);
	}
	return 0;
}
