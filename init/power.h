/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the guest ends: what runs is killed, disks are synced within a bound, the power goes off. Needs
 * no memory and no fd, calls nothing that is not async-signal-safe, and so also serves the crash handler.
 */
#pragma once

#include <stdbool.h>

/* What a test replaces. */
struct power_ops {
	void (*kill_all)(void); /* ends containers, so that they write no more */
	void (*sync)(void);     /* sync(2); runs in a child */
	int (*reboot)(int how); /* reboot(2) */
	void (*rest)(void);     /* waits for ever */
	unsigned int sync_ms;   /* what the sync may take */
};

/* The real ones: SIGKILL to the cgroup of the pods, sync(2) for at most 5 s, reboot(2), pause(2). */
extern const struct power_ops power_real;

/* Kills, syncs, RB_POWER_OFF; if that returns, RB_AUTOBOOT; then rests for ever. A sync that outlasts its
 * bound is left behind. With without_sync only the end is done (a crash inside the crash handler). SIGCHLD must
 * be blocked. Returns only if ops->rest does. */
void power_off(const struct power_ops *ops, bool without_sync);
