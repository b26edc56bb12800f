/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl rpc: calls any method of the protocol by hand. */
#pragma once

/* Runs the command; argv[0] is "rpc". Returns the exit code: 0 on success, 1 if the agent
 * replied with an error, 2 for invalid usage (including invalid JSON), 125 if the connection
 * failed or broke. */
int cmd_rpc(int argc, char **argv);
