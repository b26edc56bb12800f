/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a container of a pod, made from the pause container, whatever program the image has:
 *
 *	probe tcp HOST PORT		connects
 *	probe http HOST PORT PATH ["NAME: VALUE"...]
 *					status 200 to 399
 *	probe grpc HOST PORT SERVICE	grpc.health.v1.Health/Check says SERVING
 *
 * HOST is an address; an empty one means each address of the guest, loopback first. Not part of
 * init. Blocks for as long as the server does: the caller kills it.
 */
#pragma once

/* Returns the exit status: 0 for success; else 1, with a line on standard output that says why. */
int probe_run(int argc, char **argv);
