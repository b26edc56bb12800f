/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of a failed execve(2) (exec_report.h). Runs in the container's process, between the
 * failure and its exit. */
#include "agent/container/launch/exec_report.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container/seccomp/filter.h"
#include "lib/cleanup.h"

/* Returns whether the filter allows the system calls with which any C library examines the file. */
static bool
report_may_look(const struct filter *filter)
{
	static const long calls[] = {
#ifdef SYS_stat
		SYS_stat,       SYS_access,
#endif
#ifdef SYS_newfstatat
		SYS_newfstatat,
#endif
		SYS_openat,     SYS_statx,  SYS_faccessat, SYS_faccessat2, SYS_pread64, SYS_statfs,
		SYS_fstatfs,    SYS_close,  SYS_geteuid,   SYS_getuid,     SYS_getgid,  SYS_getegid,
	};

	for (size_t i = 0; filter && i < ARRAY_LEN(calls); i++) {
		if (!filter_survives(filter, calls[i]))
			return false;
	}
	return true;
}

static void
report_send(int fd, const char *path, struct exec_report *report)
{
	(void)snprintf(report->path, sizeof(report->path), "%.*s", EXEC_ERROR_MAX - 1, path);
	if (fd >= 0)
		(void)!write(fd, report, sizeof(*report));
	exec_error_write(STDERR_FILENO, path, report->reason, report->errnum);
}

void
exec_report_reason(int fd, const char *path, const char *reason, int errnum)
{
	struct exec_report report = { .errnum = errnum };

	(void)snprintf(report.reason, sizeof(report.reason), "%s", reason);
	report_send(fd, path, &report);
}

int
exec_report_failure(int fd, const char *path, int errnum, const struct filter *filter)
{
	struct exec_report report = { .errnum = errnum };

	if (filter && !filter_survives(filter, SYS_write))
		return exec_error_code(errnum);
	if (report_may_look(filter))
		exec_error_explain(path, errnum, report.reason);
	report_send(fd, path, &report);
	return exec_error_code(errnum);
}
