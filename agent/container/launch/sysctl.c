/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel parameters. The new process writes them through the agent's private procfs, not through
 * the container's. */
#include "agent/container/launch/sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"

#define SYSCTL_MAX 256

/* Exact names, and trees, which end with '/'. */
static const char *const allowed[] = {
	"fs/mqueue/",    "kernel/domainname",
	"kernel/msgmax", "kernel/msgmnb",
	"kernel/msgmni", "kernel/sem",
	"kernel/shmall", "kernel/shmmax",
	"kernel/shmmni", "kernel/shm_rmid_forced",
	"net/",
};

/* Converts a key to a path below /proc/sys. As in sysctl(8), the first separator decides: if it
 * is a slash, dots are part of names ("net/ipv4/conf/eth0.1/…"); if it is a dot, each dot
 * becomes a slash and each slash a dot. */
static bool
sysctl_key_path(const char *key, char out[SYSCTL_MAX])
{
	size_t len = strlen(key), first = strcspn(key, "./");
	bool dotted = key[first] == '.';

	if (!len || len >= SYSCTL_MAX)
		return false;
	for (size_t i = 0; i <= len; i++) {
		char c = key[i];

		if (dotted && (c == '.' || c == '/'))
			c = c == '.' ? '/' : '.';
		out[i] = c;
	}
	return out[0] != '/' && !strstr(out, "..") && !strstr(out, "//");
}

bool
sysctl_is_allowed(const char *key)
{
	char path[SYSCTL_MAX];

	if (!sysctl_key_path(key, path))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		size_t n = strlen(allowed[i]);

		if (allowed[i][n - 1] == '/' ? strncmp(path, allowed[i], n) == 0
					     : strcmp(path, allowed[i]) == 0)
			return true;
	}
	return false;
}

int
sysctl_apply(int proc_fd, const Grpc__Linux *linux, struct error *err)
{
	auto_close int sys = -1;

	if (!linux->n_sysctl)
		return 0;
	sys = openat(proc_fd, "sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (sys < 0)
		return error_sys(err, "failed to open /proc/sys");
	for (size_t i = 0; i < linux->n_sysctl; i++) {
		const char *key = linux->sysctl[i]->key, *value = linux->sysctl[i]->value;
		auto_close int fd = -1;
		char path[SYSCTL_MAX];

		if (!sysctl_is_allowed(key) || !sysctl_key_path(key, path))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "linux.sysctl: invalid key \"%.128s\"", key);
		fd = path_try_open(sys, path, O_WRONLY, 0, PATH_FOLLOW_NONE);
		/* The kernel does not have it, or not in this namespace (some net.* exist in the
		 * initial one only). */
		if (fd < 0 && errno == ENOENT)
			return error_set(
				err, ERROR_INVALID_ARGUMENT,
				"linux.sysctl: %s: no such parameter in the container's namespaces",
				key);
		if (fd < 0 || write_full(fd, value, strlen(value)) < 0)
			return error_sys_code(
				err, errno == EINVAL ? ERROR_INVALID_ARGUMENT : ERROR_INTERNAL,
				"linux.sysctl: failed to set %s", key);
	}
	return 0;
}
