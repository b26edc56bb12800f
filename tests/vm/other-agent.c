/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands for an agent that is not ours: tatamictl's --agent-binary puts it into a guest, where it
 * runs the agent of /init without what others lack:
 *   - 9p: the devices that are there are removed
 *   - disks that were plugged in before its start: they are removed as well, so that only the
 *     kernel's later events lead to disks
 *   - records that tatamictl knows: the log is passed on in capital letters
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Removes the PCI devices of a virtio driver. */
static void
remove_devices(const char *driver)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/sys/bus/virtio/drivers/%s", driver);
	dir = opendir(path);
	while (dir && (e = readdir(dir)) != NULL) {
		int fd;

		if (strncmp(e->d_name, "virtio", 6) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%s/../remove",
			       e->d_name);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, "1", 1) != 1)
			perror(path);
		(void)close(fd);
		(void)printf("other agent: %s of %s removed\n", e->d_name, driver);
	}
	(void)fflush(stdout);
	if (dir)
		(void)closedir(dir);
}

/* Passes on the log, until all processes that write to it have ended. */
static void
pass_on(int fd)
{
	char text[4096];
	ssize_t n;

	while ((n = read(fd, text, sizeof(text))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			text[i] = (char)toupper((unsigned char)text[i]);
		if (write(STDOUT_FILENO, text, (size_t)n) != n)
			return;
	}
}

int
main(int argc, char **argv)
{
	int log[2], status = 0;
	pid_t pid;

	(void)argc;
	remove_devices("virtio_blk");
	remove_devices("9pnet_virtio");
	if (pipe2(log, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		perror("other-agent");
		return 1;
	}
	if (pid == 0) {
		(void)dup2(log[1], STDOUT_FILENO);
		(void)dup2(log[1], STDERR_FILENO);
		(void)execv("/init", argv);
		_exit(127);
	}
	(void)close(log[1]);
	pass_on(log[0]);
	(void)waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
