/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A static program for the containers of tests/oci: /bin/oci-probe NAME [ARGUMENT…] does or prints
 * something that busybox cannot. Probes are listed in the table below.
 */
#include "tests/oci/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* syscall NUMBER [ARGUMENT…]: prints the result, or the name of the error. */
static int
do_syscall(int n, char **args)
{
	long a[7] = { 0 };
	long r;

	for (int i = 0; i < n && i < 7; i++)
		a[i] = strtol(args[i], NULL, 0);
	errno = 0;
	r = syscall(a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
	if (r < 0)
		printf("error %d %s\n", errno, strerror(errno));
	else
		printf("%ld\n", r);
	return 0;
}

/* getcwd: prints the directory according to the C library and to the kernel. */
static int
do_getcwd(int n, char **args)
{
	char path[4096], raw[4096];

	(void)n;
	(void)args;
	if (syscall(SYS_getcwd, raw, sizeof(raw)) < 0)
		(void)snprintf(raw, sizeof(raw), "error %d", errno);
	printf("%s %s\n", getcwd(path, sizeof(path)) ? path : strerror(errno), raw);
	return 0;
}

/* umask */
static int
do_umask(int n, char **args)
{
	(void)n;
	(void)args;
	printf("%04o\n", (unsigned int)umask(0));
	return 0;
}

/* rlimit NUMBER: prints the soft and the hard limit. */
static int
do_rlimit(int n, char **args)
{
	struct rlimit r;

	if (n < 1 || getrlimit((int)strtol(args[0], NULL, 0), &r) < 0)
		return 1;
	printf("%lld %lld\n", (long long)r.rlim_cur, (long long)r.rlim_max);
	return 0;
}

/* fds: prints every open fd and its target. */
static int
do_fds(int n, char **args)
{
	(void)n;
	(void)args;
	for (int fd = 0; fd < 4096; fd++) {
		char path[64], target[4096];
		ssize_t len;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, target, sizeof(target) - 1);
		if (len >= 0)
			printf("%d %.*s\n", fd, (int)len, target);
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(int n, char **args);
} rows[] = {
	{ "syscall", do_syscall },
	{ "getcwd", do_getcwd },
	{ "umask", do_umask },
	{ "rlimit", do_rlimit },
	{ "fds", do_fds },
	{ "hog", probe_hog },
	{ "hold", probe_hold },
	{ "flip", probe_flip },
	{ "forks", probe_forks },
	{ "exe-writer", probe_exe_writer },
	{ "snoop", probe_snoop },
	{ "snoop-guest", probe_snoop_guest },
	{ "mknod-all", probe_mknod_all },
	{ "quota", probe_quota },
	{ "trace", probe_trace },
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, argv[1]) == 0)
			return rows[i].run(argc - 2, argv + 2);
	}
	(void)fprintf(stderr, "oci-probe: no such probe\n");
	return 2;
}
