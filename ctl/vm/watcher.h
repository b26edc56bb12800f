/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that accompanies a VM.
 *
 * It limits the logs of the console and of the programs, which grow with what a guest writes. The
 * middle of a file that becomes too large is given back to the file system: it then has a hole, in
 * which nothing can be read but zeros, and the offsets of what is left stay what they were. The
 * writers, QEMU and others, know nothing of it.
 *
 * It takes note when passt ends before QEMU: the VM goes on without a network.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"

/* Bytes of a log that are kept: of its beginning, and at least of its end; and bytes that it may
 * have, apart from those that are written within a second. */
#define WATCHER_HEAD (UINT64_C(256) << 10)
#define WATCHER_TAIL (UINT64_C(8) << 20)
#define WATCHER_MAX  (UINT64_C(16) << 20)

struct watched {
	/* the VM's directory */
	const char *dir;
	/* pidfds of QEMU and of passt, the latter -1: none */
	int qemu, passt;
	/* the end of passt is reported on standard error as well */
	bool is_foreground;
};

/* Starts the process, which runs until it is killed or this process ends. Returns its pid, or -1
 * and err. */
pid_t watcher_start(const struct watched *w, struct error *err);

/* Returns the offset at which the last part of a log begins, 0: the file has no hole. */
off_t watcher_last_part(int fd);

/* Returns whether the network of a VM that runs is down, and the reason. */
bool watcher_network_is_down(const char *dir, char *why, size_t size);
