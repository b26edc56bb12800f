/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that create a pod in a freshly booted VM, in the order of a Kata runtime. Blocks. */
#pragma once

#include "ctl/pod/manifest.h"
#include "ctl/vm/vm.h"
#include "lib/error.h"

struct ttrpc_client;

struct podspec {
	const struct manifest *m;
	/* with shares in the order of podspec_shares() */
	const struct vm_options *vm;
	struct ttrpc_client *client;
};

/* Adds the shares of a pod: the containers' images, `files` (files.h), then host directories.
 * Directories are shared by `kind`. Returns -1 and err (INVALID_ARGUMENT) if one does not exist. */
int podspec_shares(const struct manifest *m, const char *files, enum share_kind kind,
		   struct vm_options *vm, struct error *err);

/* Configures the network card, creates the sandbox and starts the pause container. */
int podspec_sandbox(const struct podspec *p, struct error *err);

/* Creates and starts container i. */
int podspec_start(const struct podspec *p, size_t i, struct error *err);

/* Fills the environment of a container and its probes with PATH and the described variables.
 * Returns the number of entries. */
size_t podspec_env(const struct manifest_container *c, const char *env[MANIFEST_WORDS_MAX + 1]);

/* Writes the id of container i in the protocol. */
void podspec_id(const struct podspec *p, size_t i, char *out, size_t size);
