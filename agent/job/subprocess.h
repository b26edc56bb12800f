/* SPDX-License-Identifier: Apache-2.0 */
/* Helper programs and hooks, run with a time limit. May block. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

struct worker;

/* Runs a helper program (absolute path; argv and env NULL-terminated) as the worker's own child,
 * writes `input` (may be NULL) to its stdin and keeps at most out_size-1 bytes of stdout and stderr
 * (NUL-terminated). Kills it with its process group after timeout_ms. Returns 0 and *status as of
 * waitpid(2), or -1. */
int worker_run(struct worker *w, const char *const argv[], const char *const envp[],
	       const char *input, char *out, size_t out_size, int timeout_ms, int *status,
	       struct error *err);

/* As worker_run() with more options, for any process that may block: needs no worker. */
struct subprocess_spec {
	/* Absolute; NULL: argv[0]. */
	const char *path;
	const char *const *argv, *const *envp;
	const char *input;
	char *out;
	size_t out_size;
	int timeout_ms;
	/* It starts in this cgroup; -1: the caller's. */
	int cgroup_fd;
	/* > 0: its stdout; `out` receives only its stderr then. */
	int stdout_fd;
	/* The path of the only mount that it may change: it sees all others read-only, and has only
	 * these capabilities (bits 1 << CAP_*). NULL: it is not confined. */
	const char *writable;
	uint64_t capabilities;
};
int subprocess_run(const struct subprocess_spec *spec, int *status, struct error *err);
