/* SPDX-License-Identifier: Apache-2.0 */
/* Probes of probe_attack.c, probe_quotas.c and probe_trace.c. args follow the probe's name.
 * Return the exit code. */
#pragma once

#include <stddef.h>

int probe_flip(int n, char **args);
int probe_hog(int n, char **args);
int probe_hold(int n, char **args);
int probe_forks(int n, char **args);
int probe_exe_writer(int n, char **args);
int probe_snoop(int n, char **args);
int probe_snoop_guest(int n, char **args);
int probe_mknod_all(int n, char **args);
int probe_quota(int n, char **args);
int probe_trace(int n, char **args);

/* Helpers of probes that inspect other processes (probe_attack.c): remember the container's own
 * programs; call fn for each other process with its directory in /proc; return whether a process
 * runs a foreign program, and store its name. */
void own_program(void);
void each_process(void (*fn)(int pid_fd, const char *pid, void *data), void *data);
int is_foreign(int pid_fd, char *name, size_t size);
