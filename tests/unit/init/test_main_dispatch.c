/* SPDX-License-Identifier: Apache-2.0 */
/* The role selected by arguments and environment if we are not PID 1. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/main_dispatch.h"
#include "lib/initproto.h"
#include "lib/version.h"
#include "tests/support/check.h"

static int
agent(int argc, char **argv, int init_fd)
{
	(void)argv;
	/* Close-on-exec, and not in the environment of processes that the agent starts. */
	if (init_fd < 3 || !(fcntl(init_fd, F_GETFD) & FD_CLOEXEC) || getenv(INITPROTO_ENV))
		return 99;
	return 50 + argc;
}

/* Runs main_dispatch() in a forked process; its output is stored in text. */
static int
run(char **argv, const char *env, char *text, size_t size)
{
	int argc = 0, ends[2], status;
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	while (argv[argc])
		argc++;
	REQUIRE_EQ(pipe2(ends, O_CLOEXEC), 0);
	(void)fflush(NULL);
	pid = fork();
	REQUIRE_GE(pid, 0);
	if (pid == 0) {
		(void)dup2(ends[1], 1);
		(void)dup2(ends[1], 2);
		(void)close(ends[1]);
		if (env)
			(void)setenv(INITPROTO_ENV, env, 1);
		_exit(main_dispatch(argc, argv, agent));
	}
	(void)close(ends[1]);
	while ((n = read(ends[0], text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	(void)close(ends[0]);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	REQUIRE(WIFEXITED(status));
	return WEXITSTATUS(status);
}

Test(role, prints_its_version)
{
	char text[512], want[128];
	char *brief[] = { (char[]){ "kata-agent" }, (char[]){ "-v" }, NULL };
	char *full[] = { (char[]){ "/usr/bin/tatami" }, (char[]){ "--version" }, NULL };

	CHECK_EQ(run(brief, NULL, text, sizeof(text)), 0);
	CHECK(strncmp(text, "kata-agent version ", 19) == 0, "%s", text);
	(void)snprintf(want, sizeof(want),
		       "kata-agent version %s (api version: 0.0.1, commit version: %s-%s,",
		       tatami_version, tatami_version, tatami_commit);
	CHECK(strncmp(text, want, strlen(want)) == 0, "%s", text);
	CHECK_STR(tatami_commit, "tests");
	CHECK_HAS(text, ", type: c, extra-features: [agent-policy, seccomp])\n");
	CHECK_EQ(run(full, NULL, text, sizeof(text)), 0);
	CHECK(strncmp(text, "kata-agent version ", 19) == 0, "%s", text);
}

Test(role, prints_help)
{
	char *argv[] = { (char[]){ "tatami" }, (char[]){ "--help" }, NULL };
	char text[4096];

	CHECK_EQ(run(argv, NULL, text, sizeof(text)), 0);
	CHECK(strncmp(text, "usage: ", 7) == 0);
}

/* Options of the agent are handled without a parent. */
static int
asked(int argc, char **argv, int init_fd)
{
	return init_fd < 0 && argc == 2 && strcmp(argv[1], "--print-config") == 0 ? 77 : 99;
}

Test(role, prints_the_configuration)
{
	char *argv[] = { (char[]){ "tatami" }, (char[]){ "--print-config" }, NULL };

	CHECK_EQ(main_dispatch(2, argv, asked), 77);
}

Test(role, refuses_to_be_init_on_a_host)
{
	char *argv[] = { (char[]){ "/sbin/init" }, NULL };
	char text[512];

	CHECK_EQ(run(argv, NULL, text, sizeof(text)), 2);
	CHECK_HAS(text, "init must be PID 1");
}

Test(role, is_the_agent_with_a_socket)
{
	char *argv[] = { (char[]){ "kata-agent" }, (char[]){ "-c" }, (char[]){ "f" }, NULL };
	char text[512], env[16];
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	REQUIRE_GE(fd, 0);
	(void)snprintf(env, sizeof(env), "%d", fd);
	CHECK_EQ(run(argv, env, text, sizeof(text)), 53, "%s", text);
	(void)close(fd);
}
