/* SPDX-License-Identifier: Apache-2.0 */
/* Unmounting through file descriptors, without path look-ups. May block: only for workers. */
#pragma once

/* Unmounts the mount `id` (of sys_mount_id()), and mounts on top of it, from `point`, an fd that
 * was opened (O_PATH) before it was mounted there. With id 0 all mounts there are unmounted. flags
 * as for umount2(2). Returns 0, also if it is no longer mounted, or -1 and errno; no mount is
 * removed if the list of mounts cannot be read. */
int unmount_upon(int point, int id, int flags);
