/* SPDX-License-Identifier: Apache-2.0 */
/* Prints a container's view from inside as lines "key<TAB>value". Static and self-contained: needs
 * no library of this tree and no other file. Several lines may have the same key; their order
 * matters. */
#pragma once

void say(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Returns the name of errno, or "ok" for r >= 0. */
const char *outcome(long r);

/* Prints the first bytes of a file, with newlines as "|", or the reason why it cannot be read. */
void say_file(const char *key, const char *path);

void probe_mounts(void);
void probe_tree(void);
void probe_devices(void);
void probe_cgroup(void);
void probe_syscalls(void);
/* Prints whether the path is masked and whether it is writable. */
void probe_path(const char *path);
