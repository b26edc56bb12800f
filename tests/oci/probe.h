/* SPDX-License-Identifier: Apache-2.0 */
/* Probes of probe_attack.c and probe_quotas.c. The exit code; args are what follows the probe's name. */
#pragma once

int probe_flip(int n, char **args);
int probe_hog(int n, char **args);
int probe_hold(int n, char **args);
int probe_forks(int n, char **args);
int probe_exe_writer(int n, char **args);
int probe_snoop(int n, char **args);
int probe_snoop_guest(int n, char **args);
int probe_mknod_all(int n, char **args);
int probe_quota(int n, char **args);
