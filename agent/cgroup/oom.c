/* SPDX-License-Identifier: Apache-2.0 */
/* Reading memory.events. The loop may do it: the kernel has these counters at hand. */
#include "agent/cgroup/oom.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/io.h"
#include "lib/parse.h"

int
cgroup_oom_kills(int fd, uint64_t *kills)
{
	static const char key[] = "oom_kill ";
	char text[512], *line;
	ssize_t n = RETRY_EINTR(pread(fd, text, sizeof(text) - 1, 0));

	if (n < 0)
		return -1;
	text[n] = '\0';
	for (line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		line += strlen(key);
		line[strcspn(line, "\n")] = '\0';
		if (parse_u64(line, kills))
			return 0;
		break;
	}
	errno = EINVAL;
	return -1;
}
