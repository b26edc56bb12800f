/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount-probe MOUNTINFO PREFIX: notes when devices and mounts appear in the guest, by the
 * processor's time stamp counter (disks.c explains it). Writes to stdout
 *	ready
 *	event NS SUBSYSTEM /DEVICE-PATH	for each uevent "add"
 *	mounted NS PATH	for each new mount point below PREFIX
 * Between these it sleeps, and it reads the clock before anything else.
 */
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <x86intrin.h>

#define POINTS 64

static const char *prefix;

/* Prints the action's subsystem and path if it is "add". */
static void
note_event(int sock, unsigned long long now)
{
	char text[4096];
	ssize_t n = recv(sock, text, sizeof(text) - 1, MSG_DONTWAIT);
	const char *subsystem = "";

	if (n <= 0 || strncmp(text, "add@", 4) != 0)
		return;
	text[n] = '\0';
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(text + i) + 1)
		if (strncmp(text + i, "SUBSYSTEM=", 10) == 0)
			subsystem = text + i + 10;
	printf("event %llu %s %s\n", now, subsystem, text + 4);
}

/* Prints the mount points that were not there at the last call. */
static void
note_mounts(int fd, unsigned long long now)
{
	static char seen[POINTS][256], text[1 << 16];
	char found[POINTS][256];
	size_t n = 0, have = 0;
	ssize_t r;

	(void)lseek(fd, 0, SEEK_SET);
	while (have < sizeof(text) - 1 && (r = read(fd, text + have, sizeof(text) - 1 - have)) > 0)
		have += (size_t)r;
	text[have] = '\0';
	for (char *save, *line = strtok_r(text, "\n", &save); line && n < POINTS;
	     line = strtok_r(NULL, "\n", &save)) {
		char point[256];
		int old = 0;

		if (sscanf(line, "%*s %*s %*s %*s %255s", point) != 1 ||
		    strncmp(point, prefix, strlen(prefix)) != 0)
			continue;
		for (size_t i = 0; i < POINTS; i++)
			old |= strcmp(seen[i], point) == 0;
		if (!old)
			printf("mounted %llu %s\n", now, point);
		memcpy(found[n++], point, sizeof(point));
	}
	memset(seen, 0, sizeof(seen));
	memcpy(seen, found, n * sizeof(found[0]));
}

int
main(int argc, char **argv)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	struct pollfd fds[2];

	if (argc != 3)
		return 2;
	prefix = argv[2];
	fds[0].fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	fds[0].events = POLLPRI;
	fds[1].fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	fds[1].events = POLLIN;
	if (fds[0].fd < 0 || fds[1].fd < 0 ||
	    bind(fds[1].fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		perror(argv[1]);
		return 1;
	}
	note_mounts(fds[0].fd, __rdtsc());
	puts("ready");
	(void)fflush(stdout);
	while (poll(fds, 2, -1) > 0) {
		unsigned long long now = __rdtsc();

		if (fds[1].revents)
			note_event(fds[1].fd, now);
		if (fds[0].revents)
			note_mounts(fds[0].fd, now);
		(void)fflush(stdout);
	}
	return 1;
}
