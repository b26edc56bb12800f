/* SPDX-License-Identifier: Apache-2.0 */
/* The session keyring of a container (keyrings(7)), which is never the agent's. */
#pragma once

#include "lib/error.h"

/* Size of "_ses.", 128 random bits as hex digits, and a NUL. */
#define KEYRING_NAME_SIZE 38

/* Makes an unguessable name, because a process that knows the name can join the keyring. Never
 * blocks. */
void keyring_make_name(char name[KEYRING_NAME_SIZE]);

/* Creates or joins the keyring of this name in the caller's user namespace. Only its possessors
 * may access it; its owner may join it by name, as later processes of the container do. If the
 * user's quota of keys is exhausted, the process gets an anonymous keyring of its own, which is
 * not charged. Succeeds on a kernel without keyrings. Returns 0, or -1 and err. */
int keyring_join(const char *name, struct error *err);
