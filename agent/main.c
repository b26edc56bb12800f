/* SPDX-License-Identifier: Apache-2.0 */
/* One program, several roles: init/role.c decides which. */
#include "agent/agent.h"
#include "init/role.h"

int
main(int argc, char **argv)
{
	return role_main(argc, argv, agent_main);
}
