/* SPDX-License-Identifier: Apache-2.0 */
/* What a container has to say about its end: the termination message of Kubernetes. */
#pragma once

#include "agent/sandbox/sandbox.h"
#include "lib/error.h"

/* Bytes of a message that are read (kubelet takes no more), and what they may become once they are UTF-8. */
#define TERMINATION_MAX      4096
#define TERMINATION_TEXT_MAX (3 * TERMINATION_MAX + 1)

/* Where in the guest the message of a container lies: 0 and the path in *path, which is the caller's to free. -1 and
 * err: INVALID_ARGUMENT for an unknown container, NOT_FOUND for one that has no such file. In any state, also after its end:
 * that is when hosts ask. Loop side. */
int sandbox_termination_path(struct sandbox *s, const char *id, char **path, struct error *err);

/* Reads the message; none is "". What is no UTF-8 becomes U+FFFD. root is the guest's. Worker only: may block. */
int termination_read(int root, const char *path, char text[static TERMINATION_TEXT_MAX],
		     struct error *err);
