/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.resources.devices as a list of rules and as a program for the kernel
 * (BPF_PROG_TYPE_CGROUP_DEVICE). For each requested access (read, write, mknod) the last rule that
 * matches and contains that access decides; without such a rule it is denied. Pure. Source:
 * linux/bpf.h (struct bpf_cgroup_dev_ctx), runtime-spec config-linux.md "Allowed Device list".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/bpf.h>

#include "lib/error.h"
#include "oci.pb-c.h"

/* in a spec */
#define DEVICE_RULES_MAX 512

/* The sets of all types (BPF_DEVCG_DEV_*) and of all accesses (BPF_DEVCG_ACC_*). */
#define DEVICE_ANY_TYPE   (BPF_DEVCG_DEV_BLOCK | BPF_DEVCG_DEV_CHAR)
#define DEVICE_ALL_ACCESS (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

struct device_rule {
	bool allow;
	/* BPF_DEVCG_DEV_* */
	uint8_t types;
	/* BPF_DEVCG_ACC_* */
	uint8_t access;
	bool any_major, any_minor;
	uint32_t major, minor;
};

struct device_rules {
	struct device_rule *list;
	size_t n;
};

/* Checks type, numbers and access of each rule. Returns 0, or -1 and INVALID_ARGUMENT naming the
 * field. */
int device_rules_validate(Grpc__LinuxDeviceCgroup *const *rules, size_t n, struct error *err);

/* Makes the rules of a container: those of the spec, in its order, then those of all containers
 * (default devices, terminals, mknod of any device). If the spec has no rules, the devices of
 * linux.devices are allowed instead. Unless any_disk is set, a rule that allows block devices of
 * any major allows mknod only: otherwise it would open the guest's own disks and those of other
 * containers. rules and devices must be valid. The caller frees out->list. Returns 0, or -1 and
 * sets err. */
int device_rules_make(Grpc__LinuxDeviceCgroup *const *rules, size_t n,
		      Grpc__LinuxDevice *const *devices, size_t n_devices, bool any_disk,
		      struct device_rules *out, struct error *err);

/* The most instructions that n rules need. */
#define DEVICE_PROGRAM_MAX(n) (8 * (n) + 8)

/* Writes the program, which must have room for DEVICE_PROGRAM_MAX(rules->n) instructions. Returns
 * its length. */
size_t device_program_make(const struct device_rules *rules, struct bpf_insn *program);
