/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts made by PID 1 at boot. */
#pragma once

/* Mounts every row of the table in mounts.c that is not mounted yet, below the current root. Logs
 * each failure and continues with the next row. Returns the number of failures. May block as
 * mount(2) does. */
int mounts_boot(void);
