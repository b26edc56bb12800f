/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that make a pod in a VM that has been asked for nothing yet, as a Kata runtime makes them. Blocks. */
#pragma once

#include "ctl/pod/manifest.h"
#include "ctl/vm/vm.h"
#include "lib/error.h"

struct ttrpc_client;

struct podspec {
	const struct manifest *m;
	const struct vm_options *vm; /* whose shares are in the order of podspec_shares() */
	struct ttrpc_client *client;
};

/* Containers' images, then `files` (files.h), then directories of the host. INVALID_ARGUMENT for one that is not there. */
int podspec_shares(const struct manifest *m, const char *files, struct vm_options *vm,
		   struct error *err);

/* The card, the sandbox and the pause container. */
int podspec_sandbox(const struct podspec *p, struct error *err);

/* Creates and starts container i. */
int podspec_start(const struct podspec *p, size_t i, struct error *err);

/* Fills the environment of a container and of its probes: PATH, and what the description says. Returns the number of entries. */
size_t podspec_env(const struct manifest_container *c, const char *env[MANIFEST_WORDS_MAX + 1]);

/* The id of container i in the protocol. */
void podspec_id(const struct podspec *p, size_t i, char *out, size_t size);
