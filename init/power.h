/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of the guest: kills all containers, syncs disks within a time limit, and powers off.
 * Needs no memory and no fd, and is async-signal-safe, so that the crash handler can use it.
 */
#pragma once

#include <stdbool.h>

/* Operations that tests replace. */
struct power_ops {
	/* Kills the containers, so that they stop writing. */
	void (*kill_all)(void);
	/* sync(2), called in a child. */
	void (*sync)(void);
	/* Returns false if the kernel would halt the processor in place of a power-off. */
	bool (*can_power_off)(void);
	/* reboot(2). */
	int (*reboot)(int how);
	/* Waits forever. */
	void (*rest)(void);
	/* Time limit of the sync. */
	unsigned int sync_ms;
};

/* The real operations: SIGKILL to the cgroup of the pods, sync(2) for at most 5 s, reboot(2),
 * pause(2). */
extern const struct power_ops power_real;

/* Kills, syncs, and calls RB_POWER_OFF; without a power-off, or if that returns, RB_AUTOBOOT, upon
 * which a VMM for such guests ends; then waits forever. A sync that exceeds its time limit is
 * abandoned. With without_sync only the power-off is done, for a
 * crash inside the crash handler. SIGCHLD must be blocked. Returns only if ops->rest does. */
void power_off(const struct power_ops *ops, bool without_sync);
