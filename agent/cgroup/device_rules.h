/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources.devices as a list of rules and as a program for the kernel (BPF_PROG_TYPE_CGROUP_DEVICE). For each
 * kind of access that is asked for (read, write, mknod) the last rule that matches and speaks of it decides;
 * what no rule speaks of is denied. Pure. Source: linux/bpf.h (struct bpf_cgroup_dev_ctx), runtime-spec
 * config-linux.md "Allowed Device list".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/bpf.h>

#include "lib/error.h"
#include "oci.pb-c.h"

#define DEVICE_RULES_MAX 512 /* of a spec */

/* Kinds of device: the kernel's BPF_DEVCG_DEV_BLOCK and _CHAR, as a set. */
#define DEVICE_ANY_TYPE   (BPF_DEVCG_DEV_BLOCK | BPF_DEVCG_DEV_CHAR)
#define DEVICE_ALL_ACCESS (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

struct device_rule {
	bool allow;
	uint8_t types;  /* BPF_DEVCG_DEV_* */
	uint8_t access; /* BPF_DEVCG_ACC_* */
	bool any_major, any_minor;
	uint32_t major, minor;
};

struct device_rules {
	struct device_rule *list;
	size_t n;
};

/* Are type, numbers and access of each rule ones that there are? Names the field. */
int device_rules_validate(Grpc__LinuxDeviceCgroup *const *rules, size_t n, struct error *err);

/* The rules of a container: a spec's, in its order, then those that every container has (default devices, terminals,
 * mknod of anything). A spec without rules: everything is denied first, and what linux.devices lists is
 * allowed. A rule that allows block devices whatever their major is one for mknod only unless `any_disk`: it would open
 * the guest's own disks and those of other containers. `rules` and `devices` must be valid. out->list is
 * the caller's to free. */
int device_rules_make(Grpc__LinuxDeviceCgroup *const *rules, size_t n,
		      Grpc__LinuxDevice *const *devices, size_t n_devices, bool any_disk,
		      struct device_rules *out, struct error *err);

/* Instructions that a list of n rules needs, at most. */
#define DEVICE_PROGRAM_MAX(n) (8 * (n) + 8)

/* Writes the program and returns its length; `program` has room for DEVICE_PROGRAM_MAX(rules->n). */
size_t device_program_make(const struct device_rules *rules, struct bpf_insn *program);
