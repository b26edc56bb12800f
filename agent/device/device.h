/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices of the guest: looked up in sysfs first (cold-plugged ones send no uevent), then awaited
 * by uevent. Loop side: reads sysfs and a netlink socket, never blocks; where the kernel has to be
 * asked to look for a device, a job does that.
 */
#pragma once

#include <stdint.h>

#include "agent/device/bus.h"
#include "agent/roots.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/pending.h"

struct device_watch;
struct jobs;

/* Opens the kernel's uevent socket (netlink(7), NETLINK_KOBJECT_UEVENT). If that fails, a
 * warning is logged and devices that exist already are still found. timeout_ms limits each wait.
 * loop and roots must outlive the watch, jobs must be freed before it; without jobs (NULL) no
 * bus is scanned. Returns NULL and sets err if memory or the loop fails. */
struct device_watch *device_watch_new(struct loop *loop, struct jobs *jobs,
				      const struct roots *roots, uint64_t timeout_ms,
				      struct error *err);
/* Frees the watch and its waits without calling their callbacks. NULL is allowed. */
void device_watch_free(struct device_watch *w);

/* Return what the watch was made with. */
struct loop *device_watch_loop(const struct device_watch *w);
struct jobs *device_watch_jobs(const struct device_watch *w);
const struct roots *device_watch_roots(const struct device_watch *w);

/* Receives the name of the device: "/dev/<name>" of the whole disk, or what else its kind says; or
 * NULL and the error (NOT_FOUND if the wait timed out). */
typedef void device_found_fn(const struct error *err, const char *name, void *data);

/* Looks for a device and waits for it if it does not exist yet. Copies the address. found is called
 * once, never before this returns, and not after pending_cancel(). Returns NULL and sets err if
 * memory runs out. */
struct pending *device_find(struct device_watch *w, const struct device_address *address,
			    device_found_fn *found, void *data, struct error *err);

/* A uevent of the kernel. All fields are "" when events were lost: any change may have happened. */
struct device_event {
	/* "add", "remove", "online", ... */
	const char *action;
	/* below /sys, with a leading slash */
	const char *path;
	/* "memory", "cpu", "net", ... */
	const char *subsystem;
};
typedef void device_event_fn(const struct device_event *event, void *data);

/* Splits a message of the kernel in place: "action@path", then NUL-terminated "KEY=value" strings
 * (lib/kobject_uevent.c in Linux). A NUL must follow the n bytes of text. The event points into
 * text. */
void device_event_parse(char *text, size_t n, struct device_event *event);

/* Memory of the listener's owner, which calls device_unlisten() before it frees it. */
struct device_listener {
	struct list node;
	device_event_fn *fn;
	void *data;
};

/* Calls fn for every event from now on. fn may remove its own and other listeners. Does nothing if
 * w is NULL. */
void device_listen(struct device_watch *w, struct device_listener *l, device_event_fn *fn,
		   void *data);

/* Removes a listener. A zeroed one that was never added is allowed. */
void device_unlisten(struct device_listener *l);
