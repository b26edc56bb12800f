/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection to guest.c in a VM: a privileged container created through the agent, controlled over
 * its standard input and output. The VM's initrd contains the output of tests/diff/image. One
 * command at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "tests/rpc/harness.h"

#define LINK_CONTAINER "link"

struct link {
	struct harness *h;
	/* answer to the last command, NUL-terminated; valid until the next command */
	char *answer;
	size_t answer_len;
};

/* Connects h to the agent at address, whose sandbox exists, and starts guest.c. Returns 0, or -1
 * and err. */
int link_open(struct link *l, struct harness *h, const char *address, struct error *err);
void link_close(struct link *l);

/* Sends a command (see guest.c) and receives the answer. Returns its status, or -1 and err. */
int link_send(struct link *l, const char *head, const void *payload, size_t n, struct error *err);
int link_take(struct link *l, struct error *err);

/* Runs args (NULL-terminated). Returns the exit code. */
int link_run(struct link *l, const char *cgroup, const char *const *args, struct error *err);
int link_send_run(struct link *l, const char *cgroup, const char *const *args, struct error *err);
int link_write(struct link *l, const char *path, const void *data, size_t n, struct error *err);
/* Reads the file into l->answer. Returns 0, or -1 and err. */
int link_read(struct link *l, const char *path, struct error *err);

/* Runs the commands of args (separated by "--"; the measured time ends at "++") `rounds` times and
 * stores the nanoseconds of each round in ns. */
int link_times(struct link *l, unsigned int rounds, const char *cgroup, const char *const *args,
	       uint64_t *ns, struct error *err);

/* Reads usage_usec of a cgroup, which includes its current and former descendants (cgroup-v2.rst,
 * cpu.stat); "" is the guest's root. */
int link_cpu_us(struct link *l, const char *cgroup, uint64_t *us, struct error *err);
