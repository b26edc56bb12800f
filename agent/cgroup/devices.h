/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts a container's device rules in force: a program attached to its cgroup. Worker only: may block, but where it says
 * otherwise. Source: bpf(2), linux/bpf.h.
 */
#pragma once

#include <stdint.h>

#include "agent/cgroup/device_rules.h"
#include "lib/error.h"

/* Rules as the kernel has taken them. That takes it half a millisecond, so one that was loaded is worth keeping. */
struct device_program {
	int fd; /* -1: not loaded */
	uint32_t id;
	size_t n;
	struct bpf_insn *instructions;
};

/* A program of more instructions than this is not worth keeping. */
#define DEVICE_PROGRAM_KEPT 512

/* Loads the rules, or takes `kept` (may be NULL) if it is the same; out is to be released. Returns 1 if it was `kept`, 0,
 * or -1: FAILED_PRECONDITION if the kernel has no such programs (CONFIG_CGROUP_BPF). */
int device_program_load(const struct device_rules *rules, const struct device_program *kept,
			struct device_program *out, struct error *err);

/* A program as a worker sent it: takes *fd, and copies the instructions. 0, or -1 and INVALID_ARGUMENT for what
 * can be none. Never blocks. */
int device_program_keep(struct device_program *p, const void *instructions, size_t size, int *fd,
			struct error *err);

void device_program_release(struct device_program *p);

/* Attaches a program to the cgroup that fd is open on. *id is the program attached there before by this function (0: none),
 * which is replaced in one step, and then the new one. Nothing changes on failure. */
int device_program_attach(int fd, const struct device_program *p, uint32_t *id, struct error *err);

/* Both: loads the rules and attaches them. */
int cgroup_devices_apply(int fd, const struct device_rules *rules, uint32_t *id, struct error *err);

/* Keeps a program that is about to be replaced: an fd, or -1. */
int cgroup_devices_hold(uint32_t id);

/* Puts it back in the place of the one that is attached now, `id`, which becomes its own. A former of -1
 * leaves things as they are. */
void cgroup_devices_restore(int fd, int former, uint32_t *id);
