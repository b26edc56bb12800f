/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker of a storage tells the loop. */
#pragma once

#include <limits.h>

enum storage_msg {
	STORAGE_MSG_POINT = 1, /* payload: struct storage_point up to the NUL of path */
};

/* What is unmounted at the end, and which directories are removed then. */
struct storage_point {
	unsigned int made;   /* so many of the last components of path did not exist before */
	char path[PATH_MAX]; /* the mount point without symlinks */
};
