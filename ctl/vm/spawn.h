/* SPDX-License-Identifier: Apache-2.0 */
/* Starting programs on the host. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/error.h"

#define ARGV_MAX 160

/* An argument list that owns its strings. */
struct argv {
	char *items[ARGV_MAX + 1];
	size_t n;
	bool failed; /* out of memory or too many: spawn() then fails */
};

void argv_add(struct argv *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void argv_release(struct argv *a);

/* Starts a->items[0]; stdin is /dev/null, stdout and stderr go to log_fd (-1: inherited). The kernel kills
 * it when we die. All other fds but pass_fd (-1: none) are closed. The pid, or -1. */
pid_t spawn(const struct argv *a, int log_fd, int pass_fd, struct error *err);

/* Waits up to timeout_ms; true and *status if it has ended. */
bool wait_for(pid_t pid, int timeout_ms, int *status);
