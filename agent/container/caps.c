/* SPDX-License-Identifier: Apache-2.0 */
/* Capabilities. Names are libcap's; the sets are put in force with the system calls. What the kernel knows is
 * asked of the kernel itself, never of a /proc that a container may have put there. */
#include "agent/container/caps.h"

#include <ctype.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT           47
#define PR_CAP_AMBIENT_RAISE     2
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

#define CAP_NAME_MAX 40

bool
cap_name_parse(const char *name, unsigned int *out)
{
	char text[CAP_NAME_MAX] = "cap_";
	size_t len = strlen(name);
	cap_value_t value;

	if (len >= 2 && name[0] == '"' && name[len - 1] == '"') {
		name++;
		len -= 2;
	}
	if (len > 4 && strncasecmp(name, "cap_", 4) == 0) {
		name += 4;
		len -= 4;
	}
	if (!len || len + 4 >= sizeof(text))
		return false;
	for (size_t i = 0; i < len; i++) {
		/* libcap also takes bare numbers; a spec has names */
		if (!isalpha((unsigned char)name[i]) && name[i] != '_')
			return false;
		text[4 + i] = (char)tolower((unsigned char)name[i]);
	}
	if (cap_from_name(text, &value) < 0 || value < 0 || value > 63)
		return false;
	*out = (unsigned int)value;
	return true;
}

static int
parse_set(const char *set, char *const *names, size_t n, uint64_t *out, struct error *err)
{
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned int cap;

		if (!cap_name_parse(names[i], &cap))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "process.capabilities.%s: unknown capability %.40s", set,
					 names[i]);
		*out |= UINT64_C(1) << cap;
	}
	return 0;
}

int
cap_sets_from_spec(const Grpc__LinuxCapabilities *spec, struct cap_sets *out, struct error *err)
{
	const struct {
		const char *name;
		char *const *names;
		size_t n;
		uint64_t *out;
	} sets[] = {
		{ "bounding", spec->bounding, spec->n_bounding, &out->bounding },
		{ "effective", spec->effective, spec->n_effective, &out->effective },
		{ "permitted", spec->permitted, spec->n_permitted, &out->permitted },
		{ "inheritable", spec->inheritable, spec->n_inheritable, &out->inheritable },
		{ "ambient", spec->ambient, spec->n_ambient, &out->ambient },
	};

	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		if (parse_set(sets[i].name, sets[i].names, sets[i].n, sets[i].out, err) < 0)
			return -1;
	}
	return 0;
}

/* All capabilities of the running kernel. */
static uint64_t
known_caps(void)
{
	unsigned int cap = 0;

	while (cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0)
		cap++;
	return cap < 64 ? (UINT64_C(1) << cap) - 1 : UINT64_MAX;
}

int
cap_bounding_limit(uint64_t keep, struct error *err)
{
	for (unsigned int cap = 0; cap < 64; cap++) {
		int has;

		if (keep & UINT64_C(1) << cap)
			continue;
		has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (has < 0)
			break; /* the kernel knows no more */
		if (has && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return error_sys(err, "drop capability %u from the bounding set", cap);
	}
	return 0;
}

int
cap_sets_apply(const struct cap_sets *sets, uint64_t extra, struct error *err)
{
	uint64_t known = known_caps();
	uint64_t permitted = ((sets->permitted & known) | extra), effective, inheritable;
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	effective = (sets->effective & known) | extra;
	inheritable = sets->inheritable & known;
	for (unsigned int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(effective >> (32 * i));
		data[i].permitted = (uint32_t)(permitted >> (32 * i));
		data[i].inheritable = (uint32_t)(inheritable >> (32 * i));
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return error_sys(err, "set capabilities");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return error_sys(err, "clear ambient capabilities");
	for (unsigned int cap = 0; cap < 64; cap++) {
		if (!(sets->ambient & known & UINT64_C(1) << cap))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0 && errno != EPERM)
			return error_sys(err, "raise ambient capability %u", cap);
	}
	return 0;
}
