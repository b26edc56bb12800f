/* SPDX-License-Identifier: Apache-2.0 */
/* State of VMs that `boot` left running: one directory with a state file per VM. May block. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "lib/error.h"

struct vm_state {
	char name[64];
	char dir[PATH_MAX];
	char address[256];
	char rootfs[PATH_MAX];
	char command[256];
	/* name of the pod, the prefix of its container ids; "": a single container */
	char pod[64];
	/* default container of exec */
	char container[160];
	/* seconds that its containers may take to end */
	int grace_s;
	pid_t monitor;
	/* seconds since 1970; `finished` 0: it runs, or was killed */
	int64_t started, finished;
	/* exit code of the container, or of the first of a pod's that failed */
	int exit_code;
	/* the reason for an end that was not that of the container, or "" */
	char error[512];
	/* "kvm" or "tcg", the reason for the latter, and whether KVM was tried */
	char accel[8];
	char accel_why[256];
	bool kvm_was_tried;
};

/* Writes the path of the directory of VM `name`, which may not exist, and creates its parent.
 * Returns -1 and err: INVALID_ARGUMENT for an invalid name. */
int state_dir(const char *name, char *out, size_t size, struct error *err);

/* Writes state->dir/state.json. Returns 0, or -1 and err. */
int state_write(const struct vm_state *state, struct error *err);

/*
 * The exit code of a VM outlives its directory for those who wait: the monitor creates a file with
 * state_end_create(), in which it notes the code with state_end_note() as the last thing it does;
 * state_end_open() opens it while the VM runs, and state_end_read() returns whether there is a code
 * in it. Files are -1 on failure.
 */
int state_end_create(const struct vm_state *state);
void state_end_note(int fd, int exit_code);
int state_end_open(const struct vm_state *state);
bool state_end_read(int fd, int *exit_code);

/* Reads the state of VM `name`. Returns 0, or -1 and err: NOT_FOUND if it does not exist. */
int state_read(const char *name, struct vm_state *out, struct error *err);

/* As state_read(), but returns UNAVAILABLE if the VM does not run. */
int state_read_alive(const char *name, struct vm_state *out, struct error *err);

/* Waits up to timeout_ms for the end of a running VM. Returns whether it has ended, and sets err:
 * the VM's name, and its reason. */
bool state_ends_within(const struct vm_state *state, int timeout_ms, struct error *err);

/* Returns the state as `ps` prints it: "up", "exited", "failed", or "dead" if the monitor was
 * killed. */
const char *state_word(const struct vm_state *state);

/* Returns whether the VM's monitor is alive. */
bool state_is_alive(const struct vm_state *state);

/* Calls fn for each VM. Returns 0, or -1 and err. */
int state_for_each(void (*fn)(const struct vm_state *state, void *data), void *data,
		   struct error *err);

/* Returns the content of status.json in the directory of a VM, or NULL. The caller json_decref()s
 * it. */
json_t *state_read_status(const char *dir);

/* Removes all of the directory but logs and JSON, which are kept until `rm`. */
void state_keep_records(const char *dir);

/* Calls copy(), which prints what a file in the VM's directory has more than before, at once and
 * after each change there, until the VM has ended or the reader of standard output has gone.
 * Blocks. Returns 0, or -1 and err, also that of copy(). */
int state_follow(const struct vm_state *s, int (*copy)(void *data, struct error *err), void *data,
		 struct error *err);
