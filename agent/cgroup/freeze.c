/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing cgroups for PauseContainer and ResumeContainer. */
#include "agent/cgroup/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"

static int freeze_set(int root_fd, const char *path, bool frozen, int timeout_ms,
		      struct error *err);
static int freeze_wait_for(int events, bool frozen, int timeout_ms);

int
cgroup_freeze(int root_fd, const char *path, int timeout_ms, struct error *err)
{
	return freeze_set(root_fd, path, true, timeout_ms, err);
}

int
cgroup_thaw(int root_fd, const char *path, int timeout_ms, struct error *err)
{
	return freeze_set(root_fd, path, false, timeout_ms, err);
}

static int
freeze_set(int root_fd, const char *path, bool frozen, int timeout_ms, struct error *err)
{
	const char *what = frozen ? "freeze" : "thaw";
	auto_close int dir = cgroup_open(root_fd, path);
	auto_close int events = dir < 0 ? -1 : openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);

	if (events < 0 || write_text_at(dir, "cgroup.freeze", frozen ? "1" : "0") < 0)
		return error_sys(err, "failed to %s cgroup %s", what, path);
	if (freeze_wait_for(events, frozen, timeout_ms) == 0)
		return 0;
	error_sys_code(err, errno == ETIME ? ERROR_DEADLINE_EXCEEDED : ERROR_INTERNAL,
		       "failed to %s cgroup %s within %d ms", what, path, timeout_ms);
	if (frozen)
		(void)write_text_at(dir, "cgroup.freeze", "0");
	return -1;
}

/* Waits until cgroup.events reports the state; the kernel signals changes by POLLPRI. Returns 0, or
 * -1 and errno (ETIME if it timed out). */
static int
freeze_wait_for(int events, bool frozen, int timeout_ms)
{
	uint64_t deadline_ns = deadline_of_timeout(timeout_ms);
	char text[256];

	for (;;) {
		struct pollfd changed = { .fd = events, .events = POLLPRI };
		int left = deadline_left_ms(deadline_ns);
		ssize_t n = RETRY_EINTR(pread(events, text, sizeof(text) - 1, 0));

		if (n < 0)
			return -1;
		text[n] = '\0';
		/* an empty cgroup never becomes frozen */
		if ((strstr(text, "frozen 1") != NULL) == frozen || strstr(text, "populated 0"))
			return 0;
		if (left == 0) {
			errno = ETIME;
			return -1;
		}
		if (poll(&changed, 1, left) < 0 && errno != EINTR)
			return -1;
	}
}
