/* SPDX-License-Identifier: Apache-2.0 */
/* Small duties of PID 1 at boot. Each logs its failures and returns; none is fatal. */
#pragma once

#include <stdbool.h>

/* Opens fds 0, 1 and 2 if they are closed, so that no other file gets these numbers. Must be called
 * first. */
void boot_reserve_stdio(void);

/* Opens /dev/console (or else /dev/null) as fds 0, 1 and 2, non-blocking, and starts a session.
 * Needs /dev. The console does not become the controlling terminal, because ^C would then signal
 * PID 1. Returns whether there is a console. */
bool boot_console(void);

/* Creates the symbolic links in /dev that programs expect: ptmx, fd, stdin, stdout, stderr. */
void boot_dev_links(void);

/* Brings up the loopback interface (the kernel adds 127.0.0.1 and ::1). */
void boot_loopback(void);

/* Sets the host name to the first word of the file at `path`, or to "localhost". */
void boot_hostname(const char *path);

/* Protects PID 1 from the OOM killer, and raises RLIMIT_NOFILE to 1048576 and RLIMIT_NPROC to
 * infinity, or as far as allowed. The agent inherits these; it resets oom_score_adj in the
 * processes that it starts. */
void boot_limits(void);

/* Applies kernel settings that harden the guest, except those that are set on the kernel command
 * line (sysctl.NAME=). Settings that this kernel does not have are skipped. */
void boot_sysctls(const char *cmdline);
