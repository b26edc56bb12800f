/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns the process that init or supervise has forked into the agent. Does not run in PID 1 itself,
 * so it may allocate memory.
 */
#include "init/agent_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/initproto.h"
#include "lib/log.h"
#include "lib/sys.h"

#define AGENT_FD      3
#define AGENT_FD_TEXT "3"
#define SELF          "/proc/self/exe"

/* The exit codes of shells for these failures. */
#define EXIT_NOT_RUN   126
#define EXIT_NOT_FOUND 127

static void agent_exec_plain_console(void);
static int agent_exec_pass_fd(int fd);
static void agent_exec_read_only(char **argv);

const char *
agent_exec_foreign(void)
{
	struct stat self, other;

	if (stat(PROGRAM_FOREIGN, &other) < 0 || !S_ISREG(other.st_mode) || !(other.st_mode & 0111))
		return NULL;
	if (stat(SELF, &self) < 0)
		return NULL;
	return self.st_dev == other.st_dev && self.st_ino == other.st_ino ? NULL : PROGRAM_FOREIGN;
}

int
agent_exec(int fd, void *data)
{
	static char name[] = "kata-agent";
	struct agent_exec *p = data;
	const char *file = p->foreign ? p->foreign : SELF;
	int failed;

	p->argv[0] = name;
	if (p->foreign)
		agent_exec_plain_console();
	if (p->path && setenv("PATH", p->path, 1) < 0)
		return EXIT_NOT_RUN;
	if (fd < 0) {
		(void)unsetenv(INITPROTO_ENV);
	} else if (agent_exec_pass_fd(fd) < 0 || setenv(INITPROTO_ENV, AGENT_FD_TEXT, 1) < 0) {
		log_error("supervise", "failed to pass the socket to the agent: %s",
			  strerror(errno));
		return EXIT_NOT_RUN;
	}
	if (!p->foreign)
		agent_exec_read_only(p->argv);
	(void)execv(file, p->argv);
	failed = errno;
	if (!p->foreign && fd >= 0) {
		log_warn("supervise", "failed to execute %s: %s; running the agent as it is", file,
			 strerror(failed));
		(void)unsetenv(INITPROTO_ENV);
		(void)fcntl(AGENT_FD, F_SETFD, FD_CLOEXEC);
		return p->agent_main(p->argc, p->argv, AGENT_FD);
	}
	log_error("supervise", "failed to execute %s: %s", file, strerror(failed));
	return failed == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUN;
}

/* Makes the console blocking: ours is not, which other programs do not expect. */
static void
agent_exec_plain_console(void)
{
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return;
	for (int i = 0; i <= STDERR_FILENO; i++)
		(void)dup2(fd, i);
}

/* Duplicates fd to AGENT_FD without close-on-exec. */
static int
agent_exec_pass_fd(int fd)
{
	if (fd == AGENT_FD)
		return fcntl(fd, F_SETFD, 0);
	return dup2(fd, AGENT_FD) < 0 ? -1 : 0;
}

/* Executes the agent from a detached read-only mount of its file, so that a container that reaches
 * the file through /proc/<pid>/exe cannot open it for writing. Returns on failure. */
static void
agent_exec_read_only(char **argv)
{
	struct sys_mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };
	auto_close int file = sys_open_tree(AT_FDCWD, SELF, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (file >= 0 && sys_mount_setattr(file, "", AT_EMPTY_PATH, &attr) == 0)
		(void)sys_execveat(file, "", argv, environ, AT_EMPTY_PATH);
}
