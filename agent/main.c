/* SPDX-License-Identifier: Apache-2.0 */
/* One program, several roles: init/main_dispatch.c decides which. */
#include "agent/agent_main.h"
#include "init/main_dispatch.h"

int
main(int argc, char **argv)
{
	return main_dispatch(argc, argv, agent_main);
}
