/* SPDX-License-Identifier: Apache-2.0 */
/* Sends QMP commands: qmp SOCKET COMMAND-JSON... Prints each reply that has a value. Exits with 1
 * if a reply is an error. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Reads one reply, a line with "return" or "error"; skips events and the greeting. */
static int
answer(FILE *f)
{
	char line[8192];

	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "\"error\"")) {
			fputs(line, stderr);
			return -1;
		}
		if (!strstr(line, "\"return\""))
			continue;
		line[strcspn(line, "\r\n")] = '\0';
		if (strcmp(line, "{\"return\": {}}") != 0)
			puts(line);
		return 0;
	}
	return -1;
}

int
main(int argc, char **argv)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FILE *in, *out;

	if (argc < 3 || strlen(argv[1]) >= sizeof(addr.sun_path))
		return 2;
	strcpy(addr.sun_path, argv[1]);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		perror(argv[1]);
		return 1;
	}
	in = fdopen(fd, "r");
	out = fdopen(dup(fd), "w");
	fprintf(out, "{\"execute\":\"qmp_capabilities\"}\n");
	fflush(out);
	if (answer(in) < 0)
		return 1;
	for (int i = 2; i < argc; i++) {
		fprintf(out, "%s\n", argv[i]);
		fflush(out);
		if (answer(in) < 0)
			return 1;
	}
	return 0;
}
