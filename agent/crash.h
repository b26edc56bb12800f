/* SPDX-License-Identifier: Apache-2.0 */
/* A line in the log about the signal that killed the agent. */
#pragma once

/* Catches the signals that mean a bug of the agent, on a stack of their own. The handler writes one
 * line to standard error and, if possible, to the kernel's log. Then the signal has its default
 * action, so that init sees it. Does nothing in a build with sanitizers. */
void crash_watch(void);
