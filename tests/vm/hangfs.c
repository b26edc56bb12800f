/* SPDX-License-Identifier: Apache-2.0 */
/* A FUSE file system that answers no request, mounted on argv[1] until this process is killed:
 * every access to it hangs. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	char options[128];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (argc != 2 || fd < 0) {
		perror("/dev/fuse");
		return 1;
	}
	(void)snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (mount("hangfs", argv[1], "fuse", 0, options) < 0) {
		perror(argv[1]);
		return 1;
	}
	for (;;)
		pause();
}
