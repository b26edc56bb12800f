/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bulk data in a VM: `bench-bulk-vm AGENT BARE ROOTFS`, the addresses of the agent, whose sandbox
 * exists, and of the bare server in the same guest, and the path of a container's root there.
 * Prints rows (rows.h). Started by tests/bench/area-bulk.sh.
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
	static struct harness ours, bare;
	struct error err = ERROR_INIT;

	(void)signal(SIGPIPE, SIG_IGN);
	if (argc != 4 || strlen(argv[3]) >= sizeof(ours.rootfs)) {
		(void)fprintf(stderr, "usage: bench-bulk-vm AGENT BARE ROOTFS\n");
		return 2;
	}
	(void)snprintf(ours.rootfs, sizeof(ours.rootfs), "%s", argv[3]);
	ours.client = ttrpc_client_dial(argv[1], DIAL_MS, &err);
	if (!ours.client)
		bench_die("connect to the agent", &err);
	bare.client = ttrpc_client_dial(argv[2], DIAL_MS, &err);
	if (!bare.client)
		bench_die("connect to the bare server", &err);
	bench_bulk(&ours, &bare, "in the VM: ", &in_vm);
	ttrpc_client_free(ours.client);
	ttrpc_client_free(bare.client);
	return 0;
}
