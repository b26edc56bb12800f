/* SPDX-License-Identifier: Apache-2.0 */
/* Unmounting through file descriptors: no path is looked up. In workers only: may block. */
#pragma once

/* Unmounts the mount `id` (of sys_mount_id()) from `point`, an fd that was opened (O_PATH) before the mount was put there, and
 * what was mounted on it later; id 0: whatever is mounted there. flags: of umount2(2). Returns 0, also if it is no longer
 * mounted, or -1 and errno; nothing is unmounted if the table of mounts cannot be read. */
int unmount_upon(int point, int id, int flags);
