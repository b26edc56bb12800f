/* SPDX-License-Identifier: Apache-2.0 */
/* A pod's pause container: holds its namespaces and, with a shared pid namespace, reaps what nobody else does. */
#pragma once

/* Returns 0 once it is asked to end (SIGTERM, SIGINT). */
int pause_run(void);
