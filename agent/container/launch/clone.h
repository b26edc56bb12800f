/* SPDX-License-Identifier: Apache-2.0 */
/* Cloning a container's first process, also in a user namespace that exists already. */
#pragma once

#include <sys/types.h>

#include "lib/sys.h"

/* clone3(2) with args, among whose flags are CLONE_PARENT and CLONE_PIDFD. With user_ns (-1: none) the process, and
 * the namespaces that are new with it, belong to that user namespace: a helper enters it first, and pid_ns (-1: none)
 * before it, so that the caller stays what it is. The caller itself must not have entered a pid namespace then: the
 * helper, and the pid that it learns, would be in there. Returns the pid, 0 in the process, or -1 and errno. Worker
 * only: may block. */
pid_t clone_in(int user_ns, int pid_ns, struct clone_args *args);
