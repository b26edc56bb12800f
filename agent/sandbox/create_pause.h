/* SPDX-License-Identifier: Apache-2.0 */
/* The process of a pod's sandbox container whose root is the guest's pause image. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agent/roots.h"
#include "agent/storage/spec.h"
#include "lib/error.h"
#include "oci.pb-c.h"

#define CREATE_PAUSE_STRINGS 64
#define CREATE_PAUSE_CONFIG  65536

/* A spec whose process is that of the pause bundle. */
struct create_pause {
	Grpc__Spec spec;
	Grpc__Process process;
	Grpc__User user;
	char *args[CREATE_PAUSE_STRINGS], *env[CREATE_PAUSE_STRINGS];
	uint32_t gids[CREATE_PAUSE_STRINGS];
	/* The strings, decoded. */
	char text[CREATE_PAUSE_CONFIG];
};

/* Returns whether one of the storages is the guest's pause image. Pure. */
bool create_pause_is_wanted(const struct storage_spec *storages, size_t n);

/* Fills in a copy of `spec` that has args, env, cwd and user of config.json in the guest's pause
 * bundle, as the reference does, so that they fit the image. Everything else stays the host's. The
 * result refers to `spec`. Worker only: may block. */
int create_pause_fill(struct create_pause *p, const struct roots *roots, const Grpc__Spec *spec,
		      struct error *err);
