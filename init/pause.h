/* SPDX-License-Identifier: Apache-2.0 */
/* The pause container of a pod: keeps its namespaces and, in a shared pid namespace, reaps
 * orphans. */
#pragma once

/* Waits for SIGTERM or SIGINT, then returns 0. */
int pause_run(void);
