/* SPDX-License-Identifier: Apache-2.0 */
/* Selects the role of this process: init, supervise or agent. */
#pragma once

#include "init/agent_exec.h"

/* Runs the selected role. Never returns as PID 1, otherwise returns the exit code. agent_main is
 * called for the agent, with the fd of the socket to its parent (lib/initproto.h), which is
 * close-on-exec. */
int main_dispatch(int argc, char **argv, agent_main_fn *agent_main);
