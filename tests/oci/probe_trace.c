/* SPDX-License-Identifier: Apache-2.0 */
/* A probe that traces every process being set up for its container. See probe.c. */
#include "tests/oci/probe.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* The text to search for, assembled so that the probe's own arguments do not contain it. */
static char marker[256];
static uint64_t own_caps;

static uint64_t
status_of(int pid_fd, const char *name, int base)
{
	char text[8192], *line;
	int fd = openat(pid_fd, "status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	line = strstr(text, name);
	return line ? strtoull(line + strlen(name), NULL, base) : 0;
}

static int
range_has_marker(int mem, uint64_t start, uint64_t end)
{
	static char bytes[1 << 20];
	size_t len = strlen(marker);

	for (uint64_t at = start; at < end; at += sizeof(bytes) - len) {
		size_t want = end - at < sizeof(bytes) ? (size_t)(end - at) : sizeof(bytes);
		ssize_t n = pread(mem, bytes, want, (off_t)at);

		if (n > 0 && memmem(bytes, (size_t)n, marker, len))
			return 1;
	}
	return 0;
}

static void
search_memory(int pid_fd, const char *pid)
{
	int mem = openat(pid_fd, "mem", O_RDONLY | O_CLOEXEC);
	int fd = openat(pid_fd, "maps", O_RDONLY | O_CLOEXEC);
	FILE *maps = fd < 0 ? NULL : fdopen(fd, "r");
	char line[4352];

	while (mem >= 0 && maps && fgets(line, sizeof(line), maps)) {
		unsigned long start, end;
		char perms[8];

		if (sscanf(line, "%lx-%lx %7s", &start, &end, perms) == 3 && perms[0] == 'r' &&
		    perms[3] == 'p' && range_has_marker(mem, start, end))
			printf("%s: memory of another container in %s", pid, line);
	}
	if (maps)
		(void)fclose(maps);
	if (mem >= 0)
		(void)close(mem);
}

/* Returns whether a process runs a program that belongs to no container of the test. Other
 * containers have the same programs at another place. */
static int
is_set_up(int pid_fd, char *name, size_t size)
{
	return is_foreign(pid_fd, name, size) && strcmp(name, "/bin/busybox") != 0 &&
	       strcmp(name, "/bin/oci-probe") != 0;
}

static void
trace_one(int pid_fd, const char *pid, void *data)
{
	pid_t traced = (pid_t)atoi(pid);
	char name[4096];
	uint64_t caps;
	int status;

	if (!is_set_up(pid_fd, name, sizeof(name)) || ptrace(PTRACE_SEIZE, traced, NULL, NULL) < 0)
		return;
	/* PTRACE_INTERRUPT, because a signal would stay pending for the program. */
	if (ptrace(PTRACE_INTERRUPT, traced, NULL, NULL) < 0 ||
	    waitpid(traced, &status, __WALL) != traced || !WIFSTOPPED(status))
		return;
	/* The process is stopped now: check that it has not changed. */
	if (is_set_up(pid_fd, name, sizeof(name))) {
		(*(unsigned int *)data)++;
		caps = status_of(pid_fd, "CapPrm:", 16);
		if (caps & ~own_caps)
			printf("%s (%s) has capabilities %llx, seccomp %d\n", pid, name,
			       (unsigned long long)caps, (int)status_of(pid_fd, "Seccomp:", 10));
		if (*marker)
			search_memory(pid_fd, pid);
	}
	(void)ptrace(PTRACE_DETACH, traced, NULL, NULL);
	/* Let the process run before it is stopped again. */
	(void)usleep(1000);
}

/* trace FILE [MARKER REST]: until FILE exists, attaches to each process that runs a foreign
 * program, and prints what the container must not have: capabilities, or the text MARKERREST in
 * its memory. */
int
probe_trace(int n, char **args)
{
	unsigned int seen = 0;
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	own_program();
	own_caps = status_of(self, "CapBnd:", 16);
	if (n > 2)
		(void)snprintf(marker, sizeof(marker), "%s%s", args[1], args[2]);
	printf("armed\n");
	(void)fflush(stdout);
	while (n > 0 && access(args[0], F_OK) != 0)
		each_process(trace_one, &seen);
	printf("%s\n", seen ? "done" : "nothing seen");
	return 0;
}
