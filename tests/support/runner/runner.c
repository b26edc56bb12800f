/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the tests of a program, each in a process of its own, and prints TAP.
 *
 *   unit-NAME [--tap] [--filter SUITE/TEST]   (PATTERN of glob(7))
 *
 * RUNNER_SKIP names a file of tests that are not run: "PROGRAM SUITE TEST REASON" on a line, in
 * which the first three are patterns.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <fnmatch.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/support/orphan.h"

#define TEXT_MAX        4096
#define FAILURES_MAX    16
#define TIMEOUT_DEFAULT 240.0

/* The result of a test, shared with the process that has started it. */
static struct runner_shared {
	unsigned int n_failures;
	bool has_ended, is_skipped;
	char failures[FAILURES_MAX][TEXT_MAX];
	char reason[TEXT_MAX];
} * shared;

static struct runner_test *tests;
static jmp_buf end_of_test;

static void runner_report(const char *file, int line, const char *text, bool ends_test, void *data);
static void runner_in_child(const struct runner_test *t, const struct runner_test *suite);
static bool runner_wait(pid_t pid, double timeout, int *status);

void
runner_add(struct runner_test *t)
{
	struct runner_test **at = &tests;

	while (*at)
		at = &(*at)->next;
	*at = t;
}

/* Returns the reason for not running a test, in static memory, or NULL. */
static const char *
runner_reason(const char *program, const struct runner_test *t)
{
	static char line[TEXT_MAX];
	const char *path = getenv("RUNNER_SKIP");
	char *reason = NULL;
	FILE *f = path ? fopen(path, "re") : NULL;

	if (path && !f) {
		perror(path);
		exit(2);
	}
	while (f && !reason && fgets(line, sizeof(line), f)) {
		char *word[3] = { 0 }, *rest = line;

		line[strcspn(line, "\n")] = '\0';
		for (size_t i = 0; i < ARRAY_LEN(word); i++) {
			rest += strspn(rest, " \t");
			word[i] = rest;
			rest += strcspn(rest, " \t");
			if (*rest)
				*rest++ = '\0';
		}
		rest += strspn(rest, " \t");
		if (line[0] != '#' && fnmatch(word[0], program, 0) == 0 &&
		    fnmatch(word[1], t->suite, 0) == 0 && fnmatch(word[2], t->name, 0) == 0)
			reason = rest;
	}
	if (f)
		(void)fclose(f);
	return reason;
}

/* Prints a text as lines of a comment. */
static void
runner_print(const char *text)
{
	(void)printf("#   ");
	for (; *text; text++) {
		(void)putchar(*text);
		if (*text == '\n' && text[1])
			(void)printf("#   ");
	}
	(void)putchar('\n');
}

/* Runs a test and prints its result. Returns whether it failed. */
static bool
runner_run(const struct runner_test *t)
{
	const struct runner_test *suite = tests;
	double timeout = t->options.timeout;
	int status = 0, exit_code = t->options.exit_code, signo = t->options.signal;
	char why[128] = "";
	bool is_failed, in_time;
	pid_t pid;

	while (suite && (suite->run || strcmp(suite->suite, t->suite) != 0))
		suite = suite->next;
	if (suite) {
		timeout = timeout > 0 ? timeout : suite->options.timeout;
		exit_code = exit_code ? exit_code : suite->options.exit_code;
		signo = signo ? signo : suite->options.signal;
	}
	memset(shared, 0, sizeof(*shared));
	(void)fflush(NULL);
	pid = fork();
	if (pid < 0) {
		perror("fork");
		exit(2);
	}
	if (pid == 0)
		runner_in_child(t, suite);
	in_time = runner_wait(pid, timeout > 0 ? timeout : TIMEOUT_DEFAULT, &status);
	if (!in_time)
		(void)snprintf(why, sizeof(why), "timed out");
	else if (WIFSIGNALED(status) && WTERMSIG(status) != signo)
		(void)snprintf(why, sizeof(why), "killed by signal %d", WTERMSIG(status));
	else if (WIFEXITED(status) && !shared->has_ended &&
		 (signo || WEXITSTATUS(status) != exit_code))
		(void)snprintf(why, sizeof(why), "exited with status %d", WEXITSTATUS(status));
	else if (shared->has_ended && (signo || exit_code) && !shared->is_skipped)
		(void)snprintf(why, sizeof(why), "ended without the expected exit");
	is_failed = why[0] || shared->n_failures;
	for (unsigned int i = 0; i < shared->n_failures && i < FAILURES_MAX; i++)
		runner_print(shared->failures[i]);
	if (why[0])
		runner_print(why);
	(void)printf("%s - %s::%s%s%s\n", is_failed ? "not ok" : "ok", t->suite, t->name,
		     !is_failed && shared->is_skipped ? " # SKIP " : "",
		     is_failed ? "" : shared->reason);
	return is_failed;
}

static void
runner_in_child(const struct runner_test *t, const struct runner_test *suite)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	check_set_report(runner_report, NULL);
	die_with_parent(getppid());
	if (setjmp(end_of_test) == 0) {
		if (suite && suite->options.init)
			suite->options.init();
		if (t->options.init)
			t->options.init();
		t->run();
	}
	if (setjmp(end_of_test) == 0) {
		if (t->options.fini)
			t->options.fini();
		if (suite && suite->options.fini)
			suite->options.fini();
	}
	shared->has_ended = true;
	(void)fflush(NULL);
	_exit(0);
}

/* Waits for a test, and kills it after its time. SIGCHLD is blocked. */
static bool
runner_wait(pid_t pid, double timeout, int *status)
{
	struct timespec end, now, left;
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += (time_t)timeout;
	for (;;) {
		if (waitpid(pid, status, WNOHANG) == pid)
			return true;
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >= end.tv_sec)
			break;
		left = (struct timespec){ .tv_sec = end.tv_sec - now.tv_sec };
		(void)sigtimedwait(&set, NULL, &left);
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, status, 0);
	return false;
}

static void
runner_report(const char *file, int line, const char *text, bool ends_test, void *data)
{
	(void)data;
	if (shared->n_failures < FAILURES_MAX)
		(void)snprintf(shared->failures[shared->n_failures], TEXT_MAX, "%s:%d: %s", file,
			       line, text);
	shared->n_failures++;
	if (ends_test)
		longjmp(end_of_test, 1);
}

bool
runner_expect(bool holds, bool ends_test, const char *file, int line, const char *what,
	      const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list args;
	int n;

	if (holds)
		return true;
	n = snprintf(text, sizeof(text), "%s:", what);
	va_start(args, fmt);
	if (n > 0 && (size_t)n < sizeof(text))
		(void)vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, args);
	va_end(args);
	runner_report(file, line, text, ends_test, NULL);
	return false;
}

void
runner_skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(shared->reason, sizeof(shared->reason), fmt, args);
	va_end(args);
	shared->is_skipped = true;
	longjmp(end_of_test, 1);
}

int
main(int argc, char **argv)
{
	const char *program = strrchr(argv[0], '/'), *filter = NULL;
	unsigned int n = 0, n_failed = 0;
	sigset_t set;

	program = program ? program + 1 : argv[0];
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc) {
			filter = argv[++i];
		} else if (strcmp(argv[i], "--tap") != 0) {
			(void)fprintf(stderr, "usage: %s [--tap] [--filter SUITE/TEST]\n", program);
			return 2;
		}
	}
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	die_with_parent(getppid());
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	for (const struct runner_test *t = tests; t; t = t->next) {
		char name[256];
		const char *reason;

		(void)snprintf(name, sizeof(name), "%s/%s", t->suite, t->run ? t->name : "");
		if (!t->run || (filter && fnmatch(filter, name, 0) != 0))
			continue;
		reason = runner_reason(program, t);
		n++;
		if (reason)
			(void)printf("ok - %s::%s # SKIP %s\n", t->suite, t->name, reason);
		else
			n_failed += runner_run(t);
		(void)fflush(stdout);
	}
	(void)printf("1..%u\n", n);
	return n_failed > 0;
}
