/* SPDX-License-Identifier: Apache-2.0 */
/* A container's session keyring (keyrings(7)): its own from its first process on, never the agent's. */
#pragma once

#include "lib/error.h"

/* "_ses.", 128 random bits, NUL. */
#define KEYRING_NAME_SIZE 38

/* Makes a name that no other container can guess: whoever knows it can join the keyring. Never blocks. */
void keyring_make_name(char name[KEYRING_NAME_SIZE]);

/* Makes or joins the keyring of this name in the caller's user namespace. Nobody but its holders may look at it; its
 * owner may join it by name, as later processes of the container do. When the keys of the user are used up it is one
 * without a name, which is charged to nobody and is the calling process's alone. A kernel without keyrings is
 * success. */
int keyring_join(const char *name, struct error *err);
