/* SPDX-License-Identifier: Apache-2.0 */
/* The debug console of an agent (agent/console), if its configuration asks for it and its build has it. */
#pragma once

struct agent;

/* Logs what fails: the agent serves all the same. */
void debug_start(struct agent *agent);

/* Before jobs_free(). */
void debug_stop(struct agent *agent);
