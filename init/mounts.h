/* SPDX-License-Identifier: Apache-2.0 */
/* What PID 1 mounts at boot. */
#pragma once

/* Mounts every row of the table in mounts.c that is not mounted yet, below the present root. Each failure is
 * logged and the next row tried. Returns the number of rows that failed. May block as mount(2) does. */
int mounts_boot(void);
