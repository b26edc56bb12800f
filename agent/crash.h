/* SPDX-License-Identifier: Apache-2.0 */
/* One line about why the agent died, where somebody may see it. What follows is init's business. */
#pragma once

/* Catches the signals that mean a bug of our own, on a stack of their own. The line goes to standard error
 * and, where there is one, to the kernel's log; then the signal has its default action, so that init learns
 * of it. Nothing is caught in a build with sanitizers, which say more. */
void crash_watch(void);
