/* SPDX-License-Identifier: Apache-2.0 */
/* What PID 1 does when it has a bug: says so on the kernel's log and powers off. */
#pragma once

#include "init/power.h"

/* Catches the signals that mean a fault of our own, on a stack of their own; the same signals sent by another
 * process are ignored. `ops` is kept by reference. */
void crash_install(const struct power_ops *ops);
