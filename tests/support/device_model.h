/* SPDX-License-Identifier: Apache-2.0 */
/* The meaning of device rules and the result of their program: a model of the kernel. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/bpf.h>

#include "agent/cgroup/device_rules.h"

/* Computes the answer from the rules, one after the other. `access` is a set. */
bool device_rules_allow(const struct device_rules *rules, uint8_t type, uint8_t access,
			uint32_t major, uint32_t minor);

/* Interprets a program of n instructions (linux/bpf.h) that uses only the instructions of
 * device_program_make(). Returns 1 if it allows the access, 0 if not, and -1 for any other
 * instruction, a backward jump, a read outside the context, or an end past the program. */
int device_program_run(const struct bpf_insn *program, size_t n,
		       const struct bpf_cgroup_dev_ctx *context);
