/* SPDX-License-Identifier: Apache-2.0 */
/* The Kubernetes termination message of a container. */
#pragma once

#include "agent/sandbox/sandbox.h"
#include "lib/error.h"

/* Bytes of a message that are read (the kubelet accepts no more), and the size of the buffer for
 * them after conversion to UTF-8, in which a byte may take three. */
#define TERMINATION_MAX      4096
#define TERMINATION_TEXT_MAX (3 * TERMINATION_MAX + 1)

/* Finds the guest path of a container's termination message, in any state of the container: hosts
 * ask after it has ended. Returns 0 and the path in *path, which the caller frees; or -1 and err:
 * INVALID_ARGUMENT for an unknown container, NOT_FOUND if it has no such file. Loop side. */
int sandbox_termination_path(struct sandbox *s, const char *id, char **path, struct error *err);

/* Reads the message at `path` below `root`, the guest's root, into `text`; a missing file gives "".
 * Invalid UTF-8 becomes U+FFFD. Returns 0, or -1 and err. Worker only: may block. */
int termination_read(int root, const char *path, char text[static TERMINATION_TEXT_MAX],
		     struct error *err);
