/* SPDX-License-Identifier: Apache-2.0 */
/* Unmounting through file descriptors: no path is looked up. In workers only: may block. */
#pragma once

#include <stdbool.h>

/* Is the mount `id` (of sys_mount_id()) mounted on what `point` stands for, an fd that was opened (O_PATH) before the mount
 * was put there? True too if that cannot be found out. */
bool is_mounted_upon(int point, int id);

/* Unmounts the mount `id` from `point`, and what was mounted on it later; id 0: whatever is mounted there. flags:
 * of umount2(2). 0, also if it is not mounted (any more), or -1 and errno. */
int unmount_upon(int point, int id, int flags);
