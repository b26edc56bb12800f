/* SPDX-License-Identifier: Apache-2.0 */
/* Crash handling of PID 1: logs the fault to the kernel log and powers off. */
#pragma once

#include "init/power.h"

/* Installs a handler, with a separate stack, for the signals that a fault raises. Signals sent by
 * other processes are ignored. `ops` is kept by reference. */
void crash_install(const struct power_ops *ops);
