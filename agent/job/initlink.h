/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's end of the socket to init (lib/initproto.h): who is told when a process ends. Every
 * process that the agent or a worker starts is registered here before it may run on. Never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"
#include "lib/loop.h"

struct initlink;
struct child;

/* status as of waitpid(2); gone: the process had ended before it was registered, status is
 * unknown (as if killed by SIGKILL). Called once, from the loop; the handle is dead afterwards. */
typedef void child_fn(int status, bool gone, void *data);

/* Takes over the fd of INITPROTO_ENV. on_lost is called if init's end closes (then nothing more
 * can be learnt and the agent should end). */
struct initlink *initlink_new(struct loop *loop, int fd, void (*on_lost)(void *data), void *data,
			      struct error *err);
void initlink_free(struct initlink *l);

/* Registers pid with init and calls fn when it ended. The process must still be held back by its
 * gate. */
struct child *initlink_watch(struct initlink *l, pid_t pid, child_fn *fn, void *data,
			     struct error *err);

/* Nobody is interested any more; init reaps it silently. NULL is allowed. */
void child_unwatch(struct child *c);

/* Asks init to sync and power off (or, under supervise, to exit with this code). */
int initlink_poweroff(struct initlink *l, int exit_code, struct error *err);

/* Is our init PID 1? Times of INITPROTO_BOOT (0 if not told yet). */
bool initlink_is_pid1(const struct initlink *l);
uint64_t initlink_boot_ns(const struct initlink *l, int which);
