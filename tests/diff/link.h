/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to guest.c in a VM: a privileged container that the agent is asked for, and commands to it over its standard
 * input and output. The VM's initrd has what tests/diff/image made. One command at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tests/rpc/harness.h"

#define LINK_CONTAINER "link"

struct link {
	struct harness *h;
	char *answer; /* of the last command, NUL-ended; ours until the next */
	size_t answer_len;
};

/* Connects h to the agent at address, whose sandbox exists, and starts guest.c. -1 and err. */
int link_open(struct link *l, struct harness *h, const char *address, struct error *err);
void link_close(struct link *l);

/* Commands as guest.c describes them. Send, then take the answer: its status, or -1 and err. */
int link_send(struct link *l, const char *head, const void *payload, size_t n, struct error *err);
int link_take(struct link *l, struct error *err);

/* args: NULL-terminated. Its exit code. */
int link_run(struct link *l, const char *cgroup, const char *const *args, struct error *err);
int link_send_run(struct link *l, const char *cgroup, const char *const *args, struct error *err);
int link_write(struct link *l, const char *path, const void *data, size_t n, struct error *err);
/* The file's text in l->answer, or -1 and err. */
int link_read(struct link *l, const char *path, struct error *err);

/* Runs the commands of args ("--" between, "++" where the time stops) `rounds` times; that many nanoseconds in ns. */
int link_times(struct link *l, unsigned int rounds, const char *cgroup, const char *const *args,
	       uint64_t *ns, struct error *err);

/* usage_usec of a cgroup and all below it, ended ones too (cgroup-v2.rst, cpu.stat); "" for the guest's root. */
int link_cpu_us(struct link *l, const char *cgroup, uint64_t *us, struct error *err);
