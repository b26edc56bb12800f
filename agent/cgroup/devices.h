/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enforcement of a container's device rules by a program that is attached to its cgroup. Worker
 * side: may block, unless noted otherwise. Source: bpf(2), linux/bpf.h.
 */
#pragma once

#include <stdint.h>

#include "agent/cgroup/device_rules.h"
#include "lib/error.h"

/* A program in the kernel. Loading takes half a millisecond, so loaded programs are kept for other
 * containers. */
struct device_program {
	/* -1: not loaded */
	int fd;
	uint32_t id;
	size_t n;
	struct bpf_insn *instructions;
};

/* Longer programs (in instructions) are not kept. */
#define DEVICE_PROGRAM_KEPT 512

/* Loads the rules, or opens `kept` (may be NULL) again if it is the same program. The caller
 * releases out. Returns 1 if kept was used, 0 if a program was loaded, or -1 and sets err:
 * FAILED_PRECONDITION if the kernel does not support device programs (CONFIG_CGROUP_BPF). */
int device_program_load(const struct device_rules *rules, const struct device_program *kept,
			struct device_program *out, struct error *err);

/* Replaces *p by a program that a worker has sent. Takes *fd and copies the instructions. Returns
 * 0, or -1 and sets err: INVALID_ARGUMENT if size is not that of a program. Never blocks. */
int device_program_keep(struct device_program *p, const void *instructions, size_t size, int *fd,
			struct error *err);

/* Closes and frees a program. It stays attached where it is. */
void device_program_release(struct device_program *p);

/* Attaches a program to the cgroup that fd is open on. *id is the id of the program that this
 * function has attached there before (0: none), which is replaced atomically; it is set to the id
 * of the new one. Returns 0, or -1, sets err and changes nothing. */
int device_program_attach(int fd, const struct device_program *p, uint32_t *id, struct error *err);

/* Loads the rules and attaches them, as the two functions above do. */
int cgroup_devices_apply(int fd, const struct device_rules *rules, uint32_t *id, struct error *err);

/* Returns a descriptor of a program that is about to be replaced, or -1. The caller closes it. */
int cgroup_devices_hold(uint32_t id);

/* Replaces the attached program *id by `former` again, and sets *id to the id of that. Does nothing
 * if former is -1. */
void cgroup_devices_restore(int fd, int former, uint32_t *id);
