/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing of capability names with libcap, and setting of capability sets with system calls. The
 * capabilities of the kernel are determined with prctl(2), not with /proc, which a container may
 * have replaced. */
#include "agent/container/launch/caps.h"

#include <ctype.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_CAP_AMBIENT
#define PR_CAP_AMBIENT           47
#define PR_CAP_AMBIENT_RAISE     2
#define PR_CAP_AMBIENT_CLEAR_ALL 4
#endif

/* Writes the name as libcap spells it: "cap_chown". Returns false for an impossible name. */
static bool
caps_plain_name(const char *name, char out[CAP_NAME_SIZE])
{
	size_t len = strlen(name);

	/* A client may send a name with the quotes of JSON. */
	if (len >= 2 && name[0] == '"' && name[len - 1] == '"') {
		name++;
		len -= 2;
	}
	if (len > 4 && strncasecmp(name, "cap_", 4) == 0) {
		name += 4;
		len -= 4;
	}
	if (!len || len + sizeof("cap_") > CAP_NAME_SIZE)
		return false;
	memcpy(out, "cap_", sizeof("cap_"));
	for (size_t i = 0; i < len; i++) {
		/* libcap also accepts numbers, which a spec does not have. */
		if (!isalpha((unsigned char)name[i]) && name[i] != '_')
			return false;
		out[4 + i] = (char)tolower((unsigned char)name[i]);
	}
	out[4 + len] = '\0';
	return true;
}

bool
cap_name_parse(const char *name, unsigned int *out)
{
	char text[CAP_NAME_SIZE];
	cap_value_t value;

	if (!caps_plain_name(name, text) || cap_from_name(text, &value) < 0 || value < 0 ||
	    value > 63)
		return false;
	*out = (unsigned int)value;
	return true;
}

bool
cap_name_canonical(const char *name, char out[CAP_NAME_SIZE])
{
	if (!caps_plain_name(name, out))
		return false;
	for (char *c = out; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return true;
}

/* Returns whether the list "a, b, c" contains `word`. */
static bool
caps_list_has(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += n) {
		if ((at == list || at[-1] == ' ') && (!at[n] || at[n] == ','))
			return true;
	}
	return false;
}

/* Adds a capability to the list of ignored ones unless it is there. A full list ends with "...". */
static void
caps_left_out(const char *name, char list[CAP_LEFT_OUT_MAX])
{
	char word[CAP_NAME_SIZE];
	size_t len = strlen(list);

	(void)snprintf(word, sizeof(word), "%s", *name ? name : "?");
	/* The list is logged: other characters are replaced. */
	for (char *c = word; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '_')
			*c = '?';
	}
	if (caps_list_has(list, word) || caps_list_has(list, "..."))
		return;
	if (len + strlen(word) + sizeof(", , ...") > CAP_LEFT_OUT_MAX)
		(void)snprintf(word, sizeof(word), "...");
	(void)snprintf(list + len, CAP_LEFT_OUT_MAX - len, "%s%s", len ? ", " : "", word);
}

/* Parses a list of capabilities and ignores those that are not in `possible`. */
static uint64_t
caps_parse_set(char *const *names, size_t n, uint64_t possible, char left_out[CAP_LEFT_OUT_MAX])
{
	uint64_t set = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned int cap;

		if (cap_name_parse(names[i], &cap) && possible & UINT64_C(1) << cap)
			set |= UINT64_C(1) << cap;
		else
			caps_left_out(names[i], left_out);
	}
	return set;
}

void
cap_sets_from_spec(const Grpc__LinuxCapabilities *spec, uint64_t grantable, struct cap_sets *out,
		   char left_out[CAP_LEFT_OUT_MAX])
{
	left_out[0] = '\0';
	out->grantable = grantable;
	out->bounding = caps_parse_set(spec->bounding, spec->n_bounding, grantable, left_out);
	out->permitted = caps_parse_set(spec->permitted, spec->n_permitted, grantable, left_out);
	/* Sets that capset(2) or PR_CAP_AMBIENT_RAISE would refuse with EPERM are reduced. */
	out->effective =
		caps_parse_set(spec->effective, spec->n_effective, out->permitted, left_out);
	out->inheritable =
		caps_parse_set(spec->inheritable, spec->n_inheritable, out->bounding, left_out);
	out->ambient = caps_parse_set(spec->ambient, spec->n_ambient,
				      out->permitted & out->inheritable, left_out);
}

uint64_t
cap_grantable(bool all)
{
	uint64_t set = 0;
	int has;

	for (unsigned int cap = 0; cap < 64 && (has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0)) >= 0;
	     cap++) {
		if (has || all)
			set |= UINT64_C(1) << cap;
	}
	return set;
}

int
cap_bounding_limit(const struct cap_sets *sets, struct error *err)
{
	uint64_t drop = sets->grantable & ~sets->bounding;

	for (unsigned int cap = 0; cap < 64; cap++) {
		if (drop & UINT64_C(1) << cap && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return error_sys(err, "failed to drop capability %u from the bounding set",
					 cap);
	}
	return 0;
}

static int
caps_set(const struct cap_sets *sets, uint64_t extra)
{
	uint64_t permitted = sets->permitted | extra, effective = sets->effective | extra;
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (unsigned int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(effective >> (32 * i));
		data[i].permitted = (uint32_t)(permitted >> (32 * i));
		data[i].inheritable = (uint32_t)(sets->inheritable >> (32 * i));
	}
	return (int)syscall(SYS_capset, &head, data);
}

int
cap_sets_drop_extra(const struct cap_sets *sets)
{
	return caps_set(sets, 0);
}

int
cap_sets_apply(const struct cap_sets *sets, uint64_t extra, struct error *err)
{
	if (caps_set(sets, extra) < 0)
		return error_sys(err, "failed to set capabilities");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return error_sys(err, "failed to clear ambient capabilities");
	for (unsigned int cap = 0; cap < 64; cap++) {
		if (!(sets->ambient & UINT64_C(1) << cap))
			continue;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0 && errno != EPERM)
			return error_sys(err, "failed to raise ambient capability %u", cap);
	}
	return 0;
}
