/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of linux.cgroupsPath to the path of the container's cgroup. Pure. */
#include "agent/cgroup/path.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/cgroup/cgroup.h"

#define BASE "pods"

static int path_append(const char *part, size_t n, char *out, size_t size, size_t *len);

int
cgroup_path_from_spec(const char *cgroups_path, const char *id, char *out, size_t size,
		      struct error *err)
{
	const char *part = cgroups_path;
	size_t len = strlen(BASE), n;

	if (size <= len)
		return error_set(err, ERROR_INTERNAL, "the buffer is too small for a cgroup path");
	memcpy(out, BASE, len + 1);
	/* "slice:prefix:name", as systemd hosts send it, is treated as a path */
	for (; *part; part += n) {
		part += strspn(part, "/:");
		n = strcspn(part, "/:");
		if (n && path_append(part, n, out, size, &len) < 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.cgroupsPath: invalid path \"%.128s\"",
					 cgroups_path);
	}
	if (len == strlen(BASE) && path_append(id, strlen(id), out, size, &len) < 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.cgroupsPath: invalid container id \"%.128s\"", id);
	return 0;
}

/* Appends one component. Returns 0, or -1 if it is too long or not allowed. */
static int
path_append(const char *part, size_t n, char *out, size_t size, size_t *len)
{
	if (n > NAME_MAX || *len + n + 2 > size || *len + n + 2 > CGROUP_PATH_MAX)
		return -1;
	if (part[0] == '.' && (n == 1 || (n == 2 && part[1] == '.')))
		return -1;
	/* the kernel's files in a cgroup's directory have such names */
	if (n >= 7 && strncmp(part, "cgroup.", 7) == 0)
		return -1;
	out[(*len)++] = '/';
	memcpy(out + *len, part, n);
	*len += n;
	out[*len] = '\0';
	return 0;
}
