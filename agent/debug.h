/* SPDX-License-Identifier: Apache-2.0 */
/* The debug console (agent/console), if it is configured and part of the build. */
#pragma once

struct agent;

/* Starts the debug console. A failure is only logged. */
void debug_start(struct agent *agent);

/* Stops the debug console. Must be called before jobs_free(). */
void debug_stop(struct agent *agent);
