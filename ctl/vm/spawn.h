/* SPDX-License-Identifier: Apache-2.0 */
/* Starting programs on the host. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/error.h"

#define ARGV_MAX 160

/* An argument list that owns its strings. */
struct argv {
	char *items[ARGV_MAX + 1];
	size_t n;
	/* out of memory or too many arguments: spawn() then fails */
	bool failed;
};

void argv_add(struct argv *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void argv_release(struct argv *a);

/* Writes the arguments as one line of a shell. */
void argv_write(const struct argv *a, int fd);

/* Starts a->items[0] with stdin from /dev/null and stdout and stderr to log_fd (-1: inherited).
 * All other fds except pass_fd (-1: none) are closed, and the kernel kills the program when the
 * caller dies. Returns the pid, or -1 and err. */
pid_t spawn(const struct argv *a, int log_fd, int pass_fd, struct error *err);

/* Waits up to timeout_ms for a child. Returns true and sets *status if it has ended. */
bool wait_for(pid_t pid, int timeout_ms, int *status);

/* Runs a program to its end, and stores the beginning of what it prints. A program that takes
 * longer than timeout_ms is killed. Returns its status as waitpid(2) does, or -1 and err. */
int spawn_read(const struct argv *a, int timeout_ms, char *out, size_t size, struct error *err);

/* Sets *set to the signals by which the user ends the start of a VM: the caller blocks them, and
 * what takes long looks for them. */
void spawn_end_signals(sigset_t *set);
