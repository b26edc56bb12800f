/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bringing processors and memory online: for OnlineCPUMem, and on events for hot-plugged memory.
 * Processors that are not plugged in yet are awaited by uevent. Loop side: never blocks; jobs do
 * the work.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/pending.h"

struct guest;

/* Time limit of the wait for processors. */
#define ONLINE_MS 5000

/* Receives ERROR_OK if enough processors are online. */
typedef void online_done_fn(const struct error *err, void *data);

/* Brings processors online until `cpus` are online in total (0: none are needed), and, with
 * `memory`, all memory. done is called once, never before this returns. Returns NULL and sets err
 * on failure. */
struct pending *online_start(struct guest *g, uint32_t cpus, bool memory, online_done_fn *done,
			     void *data, struct error *err);

struct memory_watch;

/* Brings memory online whenever the kernel reports it, and adjusts the limits. Returns NULL and
 * sets err if memory runs out. */
struct memory_watch *memory_watch_new(struct guest *g, struct error *err);

/* Must be called after jobs_free(). NULL is allowed. */
void memory_watch_free(struct memory_watch *m);
