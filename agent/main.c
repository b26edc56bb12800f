/* SPDX-License-Identifier: Apache-2.0 */
/* The program's entry. init/main_dispatch.c chooses between its roles. */
#include "agent/agent_main.h"
#include "init/main_dispatch.h"
#include "lib/relro.h"

int
main(int argc, char **argv)
{
	relro_protect();
	return main_dispatch(argc, argv, agent_main);
}
