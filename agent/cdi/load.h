/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CDI specs of the guest, and the devices in them. Specs are the files *.json and *.yaml of
 * /etc/cdi and /var/run/cdi (or /run/cdi); the latter take precedence. Worker side: may block.
 * Source: CDI's SPEC.md, and the package pkg/cdi.
 */
#pragma once

#include <stdint.h>

#include "agent/cdi/names.h"
#include "agent/roots.h"
#include "lib/arena.h"
#include "lib/error.h"
#include "oci.pb-c.h"

/* Limits on the specs of the guest, on the size of each in bytes, and on the memory for them. */
#define CDI_FILES_MAX 256
#define CDI_FILE_MAX  ((size_t)1 << 20)
#define CDI_ARENA_MAX ((size_t)64 << 20)

struct cdi_request {
	const struct roots *roots;
	const struct cdi_names *names;
	/* The container's user and group, which own a node unless the spec says otherwise. */
	uint32_t uid, gid;
	/* An inotify descriptor, to which everything is added that has to change before a missing
	 * device can appear; -1: none could be made. */
	int inotify;
};

enum cdi_state {
	/* All devices were found. */
	CDI_FOUND,
	/* No spec has the kind of a device, or a node of the guest is missing. */
	CDI_MISSING,
	/* There are specs of the kind, which do not have the device or are invalid. */
	CDI_MISSING_DEVICE,
};

struct cdi_loaded {
	enum cdi_state state;
	/* Not everything could be watched: a change may go unnoticed. */
	bool is_unwatched;
	/* CDI_FOUND: what is to be added to the container's spec, in the arena. */
	const Grpc__Spec *edits;
	/* The reason why a device is missing; if all were found, that of an invalid spec, or "". */
	char why[ERROR_MSG_MAX];
};

/* Reads the specs and looks for the devices. The watches are added first, so that no change is
 * missed. Returns 0, or -1 and err: FAILED_PRECONDITION if the devices cannot be had as the specs
 * are, RESOURCE_EXHAUSTED. */
int cdi_load(struct arena *arena, const struct cdi_request *r, struct cdi_loaded *out,
	     struct error *err);
