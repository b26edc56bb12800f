/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices of the guest, found in sysfs when they are there already (cold-plugged ones send no uevent) and
 * waited for by uevent when they are not. Loop side: reads sysfs and a netlink socket, never blocks.
 */
#pragma once

#include <stdint.h>

#include "agent/roots.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/loop.h"
#include "lib/pending.h"

struct device_watch;

/* Longest "/dev/<name>" handed out. */
#define DEVICE_NODE_MAX 64

/* Opens the kernel's uevent socket (netlink(7), NETLINK_KOBJECT_UEVENT). Without one, devices that are
 * there are still found. timeout_ms bounds each wait. */
struct device_watch *device_watch_new(struct loop *loop, const struct roots *roots,
				      uint64_t timeout_ms, struct error *err);
void device_watch_free(struct device_watch *w);

/* node is "/dev/<name>" of the whole disk, or err says why not (NOT_FOUND after the timeout). */
typedef void device_found_fn(const struct error *err, const char *node, void *data);

/* Looks for a block device and waits for it if need be. location: a PCI path of a virtio-blk device, or
 * "/dev/<name>". found is called once, never from inside. NULL and err: malformed location. */
struct pending *device_find_block(struct device_watch *w, const char *location,
				  device_found_fn *found, void *data, struct error *err);

/* An event of the kernel. All of it is "" when events were lost: anything may have happened. */
struct device_event {
	const char *action;    /* "add", "remove", "online", ... */
	const char *path;      /* below /sys, with a leading slash */
	const char *subsystem; /* "memory", "cpu", "net", ... */
};
typedef void device_event_fn(const struct device_event *event, void *data);

/* Splits a message of the kernel, in place: "action@path", then NUL-ended "KEY=value" (kobject_uevent(9)). A NUL must
 * follow the n bytes of text. The event points into text. */
void device_event_parse(char *text, size_t n, struct device_event *event);

/* Its owner's, who gives it back with device_unlisten() before it goes. */
struct device_listener {
	struct list node;
	device_event_fn *fn;
	void *data;
};

/* Calls fn for every event from now on. It may unlisten itself, and other listeners. w NULL: there are none. */
void device_listen(struct device_watch *w, struct device_listener *l, device_event_fn *fn,
		   void *data);

/* Also for one that was zeroed and never listened. */
void device_unlisten(struct device_listener *l);
