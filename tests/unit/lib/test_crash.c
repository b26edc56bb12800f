/* SPDX-License-Identifier: Apache-2.0 */
/* Crash handlers, in children that have a fault. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "lib/cleanup.h"
#include "lib/crash.h"
#include "lib/io.h"
#include "tests/support/check.h"

Test(crash, a_line_names_the_fault)
{
	siginfo_t info = { .si_code = 1 };
	char line[CRASH_LINE_MAX];

	info.si_addr = (void *)(uintptr_t)0xdeadbeef;
	CHECK_STR(crash_describe(line, "some-name", SIGSEGV, &info, ", over\n"),
		  "some-name: fatal signal 11 code 1 address 0xdeadbeef, over\n");
	info.si_code = -6;
	info.si_addr = (void *)UINTPTR_MAX;
	CHECK_STR(crash_describe(line, "x", SIGABRT, &info, ""),
		  "x: fatal signal 6 code 4294967290 address 0xffffffffffffffff");
}

static void
on_crash(int sig, siginfo_t *info, void *context)
{
	char line[CRASH_LINE_MAX];

	(void)context;
	info->si_addr = NULL;
	crash_say(crash_describe(line, "child", sig, info, "\n"));
	_exit(40);
}

static int
overflow(int n)
{
	volatile char page[4096];

	page[0] = (char)n;
	return n < 0 ? 0 : overflow(n + 1) + page[0];
}

/* Runs a child that raises `sig` (0: its stack overflows), and reads what it says. */
static void
crash(int sig, char *text, size_t size)
{
	struct rlimit stack = { 1 << 20, 1 << 20 };
	int out[2], status;
	ssize_t n;
	pid_t pid;

	REQUIRE_EQ(pipe(out), 0);
	pid = fork();
	REQUIRE_GE(pid, 0);
	if (pid == 0) {
		(void)dup2(out[1], STDERR_FILENO);
		(void)setrlimit(RLIMIT_STACK, &stack);
		crash_catch(on_crash, 0);
		if (sig)
			(void)raise(sig);
		_exit(sig ? 1 : overflow(0));
	}
	close(out[1]);
	n = read_full(out[0], text, size - 1);
	text[n < 0 ? 0 : n] = '\0';
	close(out[0]);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 40, "status %x", (unsigned)status);
}

Test(crash, every_signal_of_a_fault_is_caught)
{
	char text[256], wanted[64];

	for (size_t i = 0; i < CRASH_SIGNALS; i++) {
		crash(crash_signals[i], text, sizeof(text));
		(void)snprintf(wanted, sizeof(wanted), "child: fatal signal %d code ",
			       crash_signals[i]);
		CHECK(strncmp(text, wanted, strlen(wanted)) == 0, "%s", text);
		CHECK_HAS(text, " address 0x0\n");
	}
}

Test(crash, the_handler_has_a_stack_of_its_own)
{
	char text[256];

	crash(0, text, sizeof(text));
	CHECK_HAS(text, "fatal signal 11");
}
