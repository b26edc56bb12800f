/* SPDX-License-Identifier: Apache-2.0 */
/* Building specs for tests: what containerd sends for a container without options, and changes
 * to it. All memory is given back at once. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "oci.pb-c.h"

/* Frees all that the functions below have made. */
void spec_release_all(void);

/* containerd's default spec for root directory `root`, running `/bin/busybox true`. */
Grpc__Spec *spec_new(const char *root);

/* process.args, NULL-terminated. */
void spec_args(Grpc__Process *p, ...);

/* `sh -c script`. */
void spec_sh(Grpc__Process *p, const char *script);

void spec_env(Grpc__Process *p, const char *entry);

/* One more mount; options separated by commas. */
Grpc__Mount *spec_mount(Grpc__Spec *s, const char *dest, const char *type, const char *source,
			const char *options);

/* The mount at dest is taken out. */
void spec_unmount(Grpc__Spec *s, const char *dest);

void spec_namespace(Grpc__Spec *s, const char *type, const char *path);
Grpc__LinuxDevice *spec_device(Grpc__Spec *s, const char *path, const char *type, int major,
			       int minor);
void spec_sysctl(Grpc__Spec *s, const char *key, const char *value);
void spec_rlimit(Grpc__Process *p, const char *type, uint64_t soft, uint64_t hard);

/* A user namespace that maps 0..65535 to `outside`. */
void spec_user_namespace(Grpc__Spec *s, uint32_t outside);

/* Masked and read-only paths; "" empties the list. */
void spec_mask(Grpc__Spec *s, const char *path);
void spec_readonly(Grpc__Spec *s, const char *path);

/* A list of names, NULL-terminated; returns the array. */
char **spec_names(size_t *n, ...);

/* A process as a host's exec that gives only what it must. */
Grpc__Process *spec_exec(void);

/* A seccomp profile: default action, and one rule. */
Grpc__LinuxSeccomp *spec_seccomp(const char *default_action);
Grpc__LinuxSyscall *spec_seccomp_rule(Grpc__LinuxSeccomp *p, const char *action, const char *names);
void spec_seccomp_arg(Grpc__LinuxSyscall *rule, uint64_t index, const char *op, uint64_t value,
		      uint64_t value_two);
