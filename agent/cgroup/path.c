/* SPDX-License-Identifier: Apache-2.0 */
/* linux.cgroupsPath -> where the container's cgroup lies. Pure. */
#include "agent/cgroup/path.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "agent/cgroup/cgroup.h"

#define BASE "pods"

/* Appends one component; 0, or -1 if it may not be one. */
static int
append(const char *part, size_t n, char *out, size_t size, size_t *len)
{
	if (n > NAME_MAX || *len + n + 2 > size || *len + n + 2 > CGROUP_PATH_MAX)
		return -1;
	if (part[0] == '.' && (n == 1 || (n == 2 && part[1] == '.')))
		return -1;
	/* the kernel's own files of a cgroup lie in the same directory */
	if (n >= 7 && strncmp(part, "cgroup.", 7) == 0)
		return -1;
	out[(*len)++] = '/';
	memcpy(out + *len, part, n);
	*len += n;
	out[*len] = '\0';
	return 0;
}

int
cgroup_path_from_spec(const char *cgroups_path, const char *id, char *out, size_t size,
		      struct error *err)
{
	const char *part = cgroups_path;
	size_t len = strlen(BASE), n;

	if (size <= len)
		return error_set(err, ERROR_INTERNAL, "no room for a cgroup path");
	memcpy(out, BASE, len + 1);
	/* "slice:prefix:name" of systemd hosts becomes a path like any other */
	for (; *part; part += n) {
		part += strspn(part, "/:");
		n = strcspn(part, "/:");
		if (n && append(part, n, out, size, &len) < 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.cgroupsPath: \"%.128s\"", cgroups_path);
	}
	if (len == strlen(BASE) && append(id, strlen(id), out, size, &len) < 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "linux.cgroupsPath: container id \"%.128s\"", id);
	return 0;
}
