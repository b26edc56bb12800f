/* SPDX-License-Identifier: Apache-2.0 */
/* worker_run(): helpers' output, input, exit statuses, limits of time and size. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "agent/job/subprocess.h"
#include "tests/support/check.h"

static const char *const no_env[] = { NULL };

static const struct row {
	const char *name, *script, *input, *out;
	int exit_code, timeout_ms;
} rows[] = {
	{ "output of both", "echo one; echo two >&2", NULL, "one\ntwo\n", 0, 5000 },
	{ "status", "exit 7", NULL, "", 7, 5000 },
	{ "input", "cat", "text\n", "text\n", 0, 5000 },
	{ "no input is an end of file", "cat; echo done", NULL, "done\n", 0, 5000 },
	{ "input not read", "exec 0<&-; echo ok", "x", "ok\n", 0, 5000 },
	{ "environment is what was given", "echo ${HOME-none}", NULL, "none\n", 0, 5000 },
	{ "output is cut", "echo 0123456789012345678901234567890123456789", NULL,
	  "0123456789012345678901234567890", 0, 5000 },
	{ "grandchild holds the output", "sleep 100 & echo gone", NULL, "gone\n", 0, 5000 },
	{ "only stdio is inherited", "ls /proc/self/fd | wc -l", NULL, "4\n", 0, 5000 },
};

/* As in a worker. */
static void
ignore_sigpipe(void)
{
	(void)signal(SIGPIPE, SIG_IGN);
}

Test(worker_run, table, .init = ignore_sigpipe)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *argv[] = { "/bin/sh", "-c", rows[i].script, NULL };
		struct error err = ERROR_INIT;
		char out[32];
		int status = -1;

		CHECK_EQ(worker_run(NULL, argv, no_env, rows[i].input, out, sizeof(out),
				    rows[i].timeout_ms, &status, &err),
			 0, "%s: %s", rows[i].name, err.msg);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == rows[i].exit_code,
		      "%s: status %x", rows[i].name, (unsigned int)status);
		CHECK_STR(out, rows[i].out, "%s: %s", rows[i].name, out);
	}
}

Test(worker_run, too_long)
{
	const char *argv[] = { "/bin/sh", "-c", "echo begun; sleep 100", NULL };
	struct error err = ERROR_INIT;
	char out[32];
	int status = 0;

	REQUIRE_EQ(worker_run(NULL, argv, no_env, NULL, out, sizeof(out), 200, &status, &err), -1);
	REQUIRE_EQ(err.code, ERROR_DEADLINE_EXCEEDED);
	REQUIRE_STR(out, "begun\n");
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == 9);
}

Test(worker_run, missing_program)
{
	const char *argv[] = { "/nonexistent/program", NULL };
	struct error err = ERROR_INIT;
	char out[128];
	int status = 0;

	REQUIRE_OK(worker_run(NULL, argv, no_env, NULL, out, sizeof(out), 5000, &status, &err),
		   &err);
	REQUIRE_EQ(WEXITSTATUS(status), 127);
	REQUIRE_STR(out, "failed to execute /nonexistent/program: "
			 "No such file or directory\n");
}

/* A hook's error text is what it has written. */
Test(worker_run, program_that_cannot_be_executed)
{
	const char *argv[] = { "/", NULL };
	struct error err = ERROR_INIT;
	char out[128];
	int status = 0;

	REQUIRE_OK(worker_run(NULL, argv, no_env, NULL, out, sizeof(out), 5000, &status, &err),
		   &err);
	REQUIRE_EQ(WEXITSTATUS(status), 126);
	REQUIRE_STR(out, "failed to execute /: it is a directory: Permission denied\n");
}

Test(worker_run, much_input)
{
	const char *argv[] = { "/usr/bin/wc", "-c", NULL };
	struct error err = ERROR_INIT;
	size_t n = 1u << 20;
	char *input = malloc(n + 1), out[32];
	int status = 0;

	REQUIRE(input);
	memset(input, 'x', n);
	input[n] = '\0';
	REQUIRE_OK(worker_run(NULL, argv, no_env, input, out, sizeof(out), 10000, &status, &err),
		   &err);
	REQUIRE_STR(out, "1048576\n");
	free(input);
}

/* startContainer hooks are run by a process whose signals have their default actions. */
Test(worker_run, stdin_closed_early_with_default_signals)
{
	const char *argv[] = { "/bin/sh", "-c", "exec 0<&-; sleep 0.1; exit 3", NULL };
	struct error err = ERROR_INIT;
	struct sigaction after;
	size_t n = 1u << 20;
	char *input = malloc(n + 1);
	int status = 0;

	REQUIRE(input && signal(SIGPIPE, SIG_DFL) != SIG_ERR);
	memset(input, 'x', n);
	input[n] = '\0';
	REQUIRE_OK(worker_run(NULL, argv, no_env, input, NULL, 0, 5000, &status, &err), &err);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3, "status %x", (unsigned int)status);
	CHECK(sigaction(SIGPIPE, NULL, &after) == 0 && after.sa_handler == SIG_DFL);
	free(input);
}
