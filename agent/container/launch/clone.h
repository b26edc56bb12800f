/* SPDX-License-Identifier: Apache-2.0 */
/* Cloning of a container's first process, optionally in an existing user namespace. */
#pragma once

#include <sys/types.h>

#include "lib/sys.h"

/* Calls clone3(2) with `args`, whose flags include CLONE_PARENT and CLONE_PIDFD. With user_ns
 * (-1: none), the process and its new namespaces belong to that user namespace: a helper process
 * joins pid_ns (-1: none) and user_ns and clones, so that the caller's namespaces do not change.
 * In that case the caller must not have joined a pid namespace, because the helper, and the pid
 * that it reports, would be in it. Returns the pid, 0 in the process, or -1 and errno. Worker
 * only: may block. */
pid_t clone_in(int user_ns, int pid_ns, struct clone_args *args);
