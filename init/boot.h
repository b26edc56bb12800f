/* SPDX-License-Identifier: Apache-2.0 */
/* The small duties of PID 1 at boot. Each logs what fails and returns; none is fatal. */
#pragma once

#include <stdbool.h>

/* Makes sure that fds 0, 1 and 2 are taken, so that nothing else lands there. Call it first of all. */
void boot_reserve_stdio(void);

/* Puts /dev/console on 0, 1 and 2 (/dev/null where there is none), non-blocking, and starts a session. Needs
 * /dev. The console does not become the controlling terminal: a ^C typed there would be a signal to PID 1.
 * Returns whether there is a console. */
bool boot_console(void);

/* Symbolic links in /dev that programs expect: ptmx, fd, stdin, stdout, stderr. */
void boot_dev_links(void);

/* Brings up the loopback interface (the kernel adds 127.0.0.1 and ::1). */
void boot_loopback(void);

/* Host name: the first word of the file at `path`, else "localhost". */
void boot_hostname(const char *path);

/* Protects from the OOM killer and raises RLIMIT_NOFILE to 1048576 and RLIMIT_NPROC to infinity, or as far as
 * allowed; the agent inherits all of it. oom_score_adj must be reset in the processes that it starts. */
void boot_limits(void);

/* Kernel settings that make a guest safer; those set on the kernel command line (sysctl.NAME=) are left alone.
 * What this kernel does not have is skipped. */
void boot_sysctls(const char *cmdline);
