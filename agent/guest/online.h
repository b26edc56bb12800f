/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for processors and memory to come online: OnlineCPUMem, and memory that nobody asked for. What has not been
 * plugged in yet is waited for by the kernel's events. Loop side: never blocks, what may is a job.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "lib/pending.h"

struct guest;

/* How long processors are waited for. */
#define ONLINE_MS 5000

/* err->code is ERROR_OK once as many are online as were asked for. */
typedef void online_done_fn(const struct error *err, void *data);

/* cpus: how many shall be online in all, 0: any. memory: all that there is, as far as it goes. done is called once,
 * never from inside. NULL and err. */
struct pending *online_start(struct guest *g, uint32_t cpus, bool memory, online_done_fn *done,
			     void *data, struct error *err);

struct memory_watch;

/* Brings memory online on the kernel's event for it, and has the pods use it. NULL and err. */
struct memory_watch *memory_watch_new(struct guest *g, struct error *err);
/* After jobs_free(). */
void memory_watch_free(struct memory_watch *m);
