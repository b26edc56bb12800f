/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's end of the socket to init (lib/initproto.h): reports the ends of processes. Every
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

/* Called once, from the loop; the handle is invalid afterwards. status: as of waitpid(2). gone: the
 * process had ended before it was registered, and status is unknown (as if killed by SIGKILL). */
typedef void child_fn(int status, bool gone, void *data);

/* Takes ownership of the fd of INITPROTO_ENV. Calls on_lost if init closes its end: the agent
 * learns of no more exits then and should end. */
struct initlink *initlink_new(struct loop *loop, int fd, void (*on_lost)(void *data), void *data,
			      struct error *err);
void initlink_free(struct initlink *l);

/* Registers pid with init; fn is called when it has ended. The process must still be held at its
 * gate. */
struct child *initlink_watch(struct initlink *l, pid_t pid, child_fn *fn, void *data,
			     struct error *err);

/* Drops the callback; init reaps the process silently. c may be NULL. */
void child_unwatch(struct child *c);

/* Asks init to sync and power off (or, under supervise, to exit with this code). */
int initlink_poweroff(struct initlink *l, int exit_code, struct error *err);

/* Returns whether init is PID 1, and the times of INITPROTO_BOOT (0 if not received yet). */
bool initlink_is_pid1(const struct initlink *l);
uint64_t initlink_boot_ns(const struct initlink *l, int which);
