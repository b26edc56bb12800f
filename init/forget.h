/* SPDX-License-Identifier: Apache-2.0 */
/* Constants of the program that init and `tatami supervise` do not use. */
#pragma once

/* Gives back the memory of the descriptors of the protocol's messages, 40 KiB, which the relocation
 * at the start of the program has written. A later access is a fault, and does not find descriptors
 * without relocations. Called once the agent's process has been started: if it cannot execute the
 * program, it runs the agent as a fork, which keeps its own copy. */
void forget_messages(void);

/* Makes the whole pages between begin and end inaccessible, and gives back their memory. */
void forget_range(const char *begin, const char *end);
