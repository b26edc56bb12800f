/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's process. */
#pragma once

/* Runs the agent until it ends. init_fd is its end of the socket to init (lib/initproto.h), or -1.
 * Returns the exit code of the process. */
int agent_main(int argc, char **argv, int init_fd);
