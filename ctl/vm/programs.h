/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of a VM: children of this process, each with a log in the VM's directory. Blocks. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "ctl/vm/spawn.h"
#include "ctl/vm/vm_options.h"
#include "lib/error.h"

enum program_slot {
	PROGRAM_QEMU,
	PROGRAM_VSOCK,
	PROGRAM_PASST,
	/* makes file systems, and ends before QEMU is started */
	PROGRAM_MKFS,
	/* first of VM_SHARES_MAX */
	PROGRAM_VIRTIOFSD,
	PROGRAMS_MAX = PROGRAM_VIRTIOFSD + VM_SHARES_MAX,
};

struct program {
	char name[24];
	/* 0: not started, or reaped */
	pid_t pid;
	int pidfd;
	bool has_ended;
	/* the VM does without it: programs_set_optional() */
	bool is_optional;
	/* length of the beginning of the log, which is the command line */
	off_t said;
	/* as of waitpid(2), once it has ended */
	int status;
};

struct programs {
	/* the VM's directory */
	const char *dir;
	struct program list[PROGRAMS_MAX];
	/* epoll of the pidfds, readable when a program has ended, -1: none */
	int end_fd;
};

void programs_init(struct programs *p, const char *dir);

/* Starts a program, whose log is DIR/NAME.log. Releases the arguments. Returns 0, or -1 and err. */
int programs_start(struct programs *p, enum program_slot slot, const char *name, struct argv *a,
		   int pass_fd, struct error *err);

/* The VM outlives this program, which is no longer watched. */
void programs_set_optional(struct programs *p, enum program_slot slot);

/* Waits until a program has created its socket DIR/SOCKET_NAME. Returns -1 and err if it ended, or
 * took too long. */
int programs_wait_socket(struct programs *p, enum program_slot slot, const char *socket_name,
			 struct error *err);

/* Waits up to timeout_ms for the end of a program that is not to run as long as the VM. Returns
 * whether it has ended. */
bool programs_wait(struct programs *p, enum program_slot slot, int timeout_ms);

/* Sets an error with the status of a program that has ended, and the end of its log. Prints the
 * whole log on standard error, if it failed and said anything. Returns -1. */
int programs_explain(const struct programs *p, enum program_slot slot, struct error *err);

/*
 * Returns whether QEMU has ended, or a program that QEMU cannot do without, and sets *why, with
 * each that failed, whose logs it prints. The programs end with code 0 when QEMU ends: after the
 * first of them, waits a moment for QEMU.
 */
bool programs_have_ended(struct programs *p, struct error *why);

/* Returns whether a program has ended by a signal or with an exit code. */
bool programs_have_failed(const struct programs *p);

/* Kills and reaps all. */
void programs_kill(struct programs *p);
