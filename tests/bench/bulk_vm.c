/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bulk data in a VM: `bench-bulk-vm AGENT OTHER ROOTFS [agents]`, the addresses of the agent, whose
 * sandbox exists, and of the bare server in the same guest or, with the word "agents", of another
 * agent in another guest, and the path of a container's root there. Prints rows (rows.h). Started
 * by tests/bench/area-bulk.sh.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/bulk.h"
#include "tests/bench/rows.h"

#define DIAL_MS 60000

static const struct bulk_sizes in_vm = { .mib = 8, .files = 100, .checks = 200 };

int
main(int argc, char **argv)
{
	static struct harness ours, other;
	struct error err = ERROR_INIT;

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc < 4 || argc > 5 || strlen(argv[3]) >= sizeof(ours.rootfs)) {
		(void)fprintf(stderr, "usage: bench-bulk-vm AGENT OTHER ROOTFS [agents]\n");
		return 2;
	}
	(void)snprintf(ours.rootfs, sizeof(ours.rootfs), "%s", argv[3]);
	(void)snprintf(other.rootfs, sizeof(other.rootfs), "%s", argv[3]);
	ours.client = ttrpc_client_dial(argv[1], DIAL_MS, &err);
	if (!ours.client)
		bench_die("connect to the agent", &err);
	other.client = ttrpc_client_dial(argv[2], DIAL_MS, &err);
	if (!other.client)
		bench_die("connect to the other side", &err);
	if (argc == 5)
		bench_bulk_agents(&ours, &other, "in the VM, old and new: ", &in_vm);
	else
		bench_bulk(&ours, &other, "in the VM: ", &in_vm);
	ttrpc_client_free(ours.client);
	ttrpc_client_free(other.client);
	return 0;
}
