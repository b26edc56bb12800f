/* SPDX-License-Identifier: Apache-2.0 */
/* What a container's process sees, printed as lines "key<TAB>value". Runs inside the container, static and alone: no
 * library of ours, no file but its own. Several lines may have the same key: their order is part of what is seen. */
#pragma once

void say(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The errno of what was tried: "ok" for r >= 0. */
const char *outcome(long r);

/* The first bytes of a file, or why not; newlines become "|". */
void say_file(const char *key, const char *path);

void probe_mounts(void);
void probe_tree(void);
void probe_devices(void);
void probe_cgroup(void);
void probe_syscalls(void);
/* Is path masked, is it writable? */
void probe_path(const char *path);
