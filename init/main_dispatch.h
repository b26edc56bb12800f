/* SPDX-License-Identifier: Apache-2.0 */
/* Decides what this process is: init, supervise or agent. */
#pragma once

#include "init/agent_exec.h"

/* The whole of main(): as PID 1 it never returns; else it returns the exit code. agent_main is called when we
 * are the agent, with fd of the socket to our parent (lib/initproto.h), CLOEXEC set. */
int main_dispatch(int argc, char **argv, agent_main_fn *agent_main);
