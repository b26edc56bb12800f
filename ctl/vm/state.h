/* SPDX-License-Identifier: Apache-2.0 */
/* VMs that `boot` left running: one directory each, with a state file. Reads and writes files: may block. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"

struct vm_state {
	char name[64];
	char dir[PATH_MAX];
	char address[256];
	char rootfs[PATH_MAX];
	char command[256];
	char pod[64];        /* its name, with which its containers' ids begin; "": one container */
	char container[160]; /* that exec goes to if it is told of none */
	pid_t monitor;
	int64_t started; /* seconds since 1970 */
};

/* Where VM `name` has its directory (which may not exist); the parent is made. INVALID_ARGUMENT for a bad name. */
int state_dir(const char *name, char *out, size_t size, struct error *err);

/* Writes state->dir/state.json. */
int state_write(const struct vm_state *state, struct error *err);

/* NOT_FOUND if there is no such VM. */
int state_read(const char *name, struct vm_state *out, struct error *err);

/* Is its monitor alive? */
bool state_is_alive(const struct vm_state *state);

/* Calls fn for each. */
int state_for_each(void (*fn)(const struct vm_state *state, void *data), void *data,
		   struct error *err);
