/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of other projects, and the directory in which a build works. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/work/tool.h"
#include "rootfs-builder/work/work.h"
#include "tests/support/check.h"
#include "tests/unit/rootfs-builder/fixture.h"

/* A wait for another process ends after this many turns of 20 ms. */
#define TURNS 3000

static const char *dir;
static struct error err;

static void
init(void)
{
	dir = scratch_dir(NULL);
}

TestSuite(tool, .init = init, .fini = scratch_fini);

/* Signal that arrives when the work directory has just been made; 0: none. */
static int signal_at_birth;

/* Replaces the function of the C library. */
char *
mkdtemp(char *template)
{
	static unsigned n;
	char *end = template + strlen(template) - 6;

	do {
		(void)snprintf(end, 7, "%06u", n++ % 1000000);
	} while (mkdir(template, 0700) < 0 && errno == EEXIST);
	if (signal_at_birth)
		(void)raise(signal_at_birth);
	return template;
}

static int
run_shell(const char *script)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	const struct tool tool = { .argv = argv, .epoch = 7 };

	return tool_run(&tool, &err);
}

static char *
read_shell(const char *script, const char *const *env)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	const struct tool tool = { .argv = argv, .epoch = 7, .env = env, .dir = "/proc" };
	char *out = NULL;
	size_t n;

	REQUIRE_OK(tool_read(&tool, 10000, &out, &n, &err), &err);
	CHECK_EQ(strlen(out), n);
	return out;
}

Test(tool, environment)
{
	static const char *const more[] = { "MORE=1", "HOME=/elsewhere", NULL };
	auto_free char *out = NULL;

	(void)setenv("LANG", "de_DE", 1);
	(void)setenv("TZ", "Asia/Tokyo", 1);
	(void)setenv("http_proxy", "http://proxy:3128", 1);
	(void)umask(077);
	out = read_shell(
		"printf '%s|' \"$LC_ALL\" \"$TZ\" \"$LANG\" $SOURCE_DATE_EPOCH $MORE $HOME "
		"$http_proxy $(umask) $(pwd); cat; case :$PATH: in *:/usr/sbin:*) echo s; "
		"esac",
		more);
	CHECK_STR(out, "C|UTC||7|1|/elsewhere|http://proxy:3128|0022|/proc|s\n");
	CHECK_EQ(umask(022), 077);
}

Test(tool, failure_has_last_lines)
{
	CHECK_FAILS(run_shell("i=0; while [ $i -lt 100 ]; do echo line $i >&2; i=$((i + 1)); done; "
			      "printf 'no space' >&2; exit 3"),
		    &err, ERROR_FAILED_PRECONDITION, "sh failed with status 3: ");
	CHECK_HAS(err.msg, "; line 99; no space");
	CHECK_LACKS(err.msg, "line 10;");
	CHECK_FAILS(run_shell("kill -9 $$"), &err, ERROR_FAILED_PRECONDITION,
		    "sh was killed by Killed");
	CHECK_OK(run_shell("echo text; echo warning >&2"), &err);
}

Test(tool, missing_program_names_package)
{
	const char *const argv[] = { "no-such-program", NULL };
	const struct tool tool = { .argv = argv, .package = "some-package" };

	CHECK_FAILS(tool_need("no-such-program", "some-package", &err), &err, ERROR_UNAVAILABLE,
		    "program no-such-program not found: install the package some-package");
	CHECK_FAILS(tool_run(&tool, &err), &err, ERROR_UNAVAILABLE, "some-package");
	CHECK_FAILS(tool_need("/no/such", "x", &err), &err, ERROR_UNAVAILABLE, "/no/such");
	CHECK_OK(tool_need("sh", "dash", &err), &err);
}

Test(tool, output_is_limited)
{
	const char *const argv[] = { "sh", "-c", "while :; do echo y; done", NULL };
	const struct tool tool = { .argv = argv };
	char *out = NULL;

	CHECK_FAILS(tool_read(&tool, 1000, &out, NULL, &err), &err, ERROR_RESOURCE_EXHAUSTED,
		    "more than 1000 bytes");
}

Test(tool, version)
{
	const char *const argv[] = { "sh", "-c", "echo 1.2.3 >&2; echo more", NULL };
	const char *const none[] = { "no-such-program", NULL };
	auto_free char *text = tool_version(argv);

	CHECK_STR(text, "1.2.3");
	CHECK_EQ(tool_version(none), NULL);
}

static void
take_line(const char *text, void *data)
{
	strcat(data, text);
	strcat(data, "|");
}

Test(tool, lines)
{
	const char *const argv[] = { "sh", "-c", "printf 'a\\nb\\r\\nlast' >&2", NULL };
	char seen[100] = "";
	const struct tool tool = { .argv = argv, .line = take_line, .line_data = seen };

	REQUIRE_OK(tool_run(&tool, &err), &err);
	CHECK_STR(seen, "a|b|last|");
}

/* Whether a process is there, and no zombie. */
static bool
lives(pid_t pid)
{
	auto_free char *path = NULL;
	char text[200] = "";
	auto_close int fd = -1;

	REQUIRE_GT(asprintf(&path, "/proc/%d/stat", pid), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && !strstr(text, ") Z ");
}

static pid_t
read_pid(const char *path)
{
	size_t n;

	return (pid_t)atoi((char *)get_file(path, &n));
}

/* A process that outlives its tool is killed, and does not keep the build waiting. */
Test(tool, stragglers)
{
	auto_free char *script = NULL;
	struct work *work = work_open(path_in(dir, "out"), &err);

	REQUIRE(work, "%s", err.msg);
	REQUIRE_GT(asprintf(&script,
			    "sleep 1000 & echo $! >%s/one; setsid sleep 1000 & echo $! >%s/two",
			    dir, dir),
		   0);
	REQUIRE_OK(run_shell(script), &err);
	CHECK(!lives(read_pid(path_in(dir, "one"))));
	CHECK(!lives(read_pid(path_in(dir, "two"))));
	work_close(work);
}

/* A server of a tool, such as that of fakeroot, may remove what it has elsewhere. */
Test(tool, servers_clean_up)
{
	auto_free char *script = NULL;
	struct work *work = work_open(path_in(dir, "out"), &err);

	REQUIRE(work, "%s", err.msg);
	REQUIRE_GT(
		asprintf(&script,
			 "cd %s; setsid sh -c 'trap \"sleep 0.1; mv up down; exit\" TERM; : >up;"
			 " while :; do sleep 0.01; done' & while ! [ -e up ]; do sleep 0.01; done",
			 dir),
		0);
	REQUIRE_OK(run_shell(script), &err);
	CHECK_EQ(access(path_in(dir, "down"), F_OK), 0);
	work_close(work);
}

static size_t
count_files(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	REQUIRE(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n - 2;
}

Test(tool, work_directory)
{
	struct work *work = work_open(path_in(dir, "out/"), &err);
	auto_free char *path = NULL;
	struct stat st;

	REQUIRE(work, "%s", err.msg);
	REQUIRE_EQ(stat(work_dir(work), &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0700);
	path = work_path(work, "a/b", &err);
	put_text(path_in(path, "c"), "x");
	REQUIRE_EQ(chmod(path, 0), 0);
	CHECK_EQ(count_files(dir), 1);
	CHECK_OK(work_check(&err), &err);
	work_close(work);
	CHECK_EQ(count_files(dir), 0);
	work_close(NULL);
	CHECK_EQ(work_open(path_in(dir, "none/out"), &err), NULL);
	expect_error(&err, ERROR_NOT_FOUND, "none/out");
}

static void
interrupt(const char *text, void *data)
{
	(void)text;
	(void)raise(*(int *)data);
}

/* In a process of its own: a build that a signal interrupts while a tool runs. */
static void
interrupted_build(int number)
{
	auto_free char *script = NULL;
	struct work *work = work_open(path_in(dir, "out"), &err);

	REQUIRE(work, "%s", err.msg);
	REQUIRE_GT(asprintf(&script,
			    "trap 'echo cleaned >%s/trap; exit 1' TERM; "
			    "echo $$ >%s/pid; echo ready >&2; while :; do sleep 0.1; done",
			    dir, dir),
		   0);
	{
		const char *const argv[] = { "sh", "-c", script, NULL };
		const struct tool tool = { .argv = argv, .line = interrupt, .line_data = &number };

		CHECK_FAILS(tool_run(&tool, &err), &err, ERROR_ABORTED, "interrupted");
		CHECK_FAILS(tool_run(&tool, &err), &err, ERROR_ABORTED, "interrupted");
	}
	CHECK_EQ(work_signal(), number);
	work_close(work);
}

static int
in_child(void (*run)(int), int number)
{
	pid_t pid = fork();
	int status;

	REQUIRE_GE(pid, 0);
	if (pid == 0) {
		run(number);
		_exit(0);
	}
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	return status;
}

Test(tool, interruption)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		CHECK_EQ(in_child(interrupted_build, numbers[i]), 0);
		/* The tool had time to clean up. */
		CHECK_EQ(access(path_in(dir, "trap"), F_OK), 0);
		CHECK(!lives(read_pid(path_in(dir, "pid"))));
		REQUIRE_EQ(unlink(path_in(dir, "trap")), 0);
		REQUIRE_EQ(unlink(path_in(dir, "pid")), 0);
		CHECK_EQ(count_files(dir), 0);
	}
}

/* A signal that comes as early as others can see that a build has begun. */
static void
build_interrupted_at_birth(int number)
{
	struct work *work;
	int r;

	signal_at_birth = number;
	work = work_open(path_in(dir, "out"), &err);
	if (!work)
		_exit(2);
	r = work_check(&err);
	work_close(work);
	_exit(r == -1 && strstr(err.msg, "interrupted by") ? 0 : 1);
}

Test(tool, early_interruption)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		CHECK_EQ(in_child(build_interrupted_at_birth, numbers[i]), 0);
		CHECK_EQ(count_files(dir), 0);
	}
}

/* Nothing is left of a build that was killed, nor of its tool. */
static void
killed_build(int number)
{
	number = SIGKILL;
	interrupted_build(number);
}

Test(tool, sigkill)
{
	CHECK_EQ(in_child(killed_build, 0), SIGKILL);
	for (int i = 0; i < TURNS && count_files(dir) > 1; i++)
		(void)poll(NULL, 0, 20);
	CHECK_EQ(count_files(dir), 1, "the pid of the tool");
	for (int i = 0; i < TURNS && lives(read_pid(path_in(dir, "pid"))); i++)
		(void)poll(NULL, 0, 20);
	CHECK(!lives(read_pid(path_in(dir, "pid"))));
}
