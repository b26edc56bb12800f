/* SPDX-License-Identifier: Apache-2.0 */
/* The debug console with real shells: sessions, their limit, their ends, and leaks. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/console/console.h"
#include "agent/job/initlink.h"
#include "agent/job/job.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/log.h"
#include "tests/support/check.h"
#include "tests/support/fakeinit.h"
#include "tests/support/terminal.h"

#define LIMIT_NS 60000000000ull

struct bench {
	struct loop *loop;
	struct initlink *link;
	struct jobs *jobs;
	struct roots roots;
	struct console *console;
	struct error err;
	char dir[32], path[48];
	char text[1 << 20];
	size_t n_text;
};

static bool
keep_quiet(const char *line, size_t len, void *data)
{
	(void)line;
	(void)len;
	(void)data;
	return true;
}

static struct bench *
make(int fd, const char *root)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct console_spec spec;
	char address[64];

	REQUIRE(b);
	log_set_sink(keep_quiet, NULL);
	strcpy(b->dir, "/tmp/test-console-XXXXXX");
	REQUIRE(mkdtemp(b->dir));
	snprintf(b->path, sizeof(b->path), "%s/console", b->dir);
	snprintf(address, sizeof(address), "unix://%s", b->path);
	b->roots = (struct roots){ -1, -1, -1, -1, -1, -1 };
	b->roots.dev = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->roots.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->roots.root = open(root ? root : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	b->loop = loop_new(&b->err);
	REQUIRE(b->loop);
	b->link = initlink_new(b->loop, fd, NULL, NULL, &b->err);
	REQUIRE(b->link);
	b->jobs = jobs_new(b->loop, b->link, NULL, &b->err);
	REQUIRE(b->jobs);
	spec = (struct console_spec){ b->loop, b->jobs, b->link, &b->roots, address };
	b->console = console_new(&spec, &b->err);
	REQUIRE(b->console);
	return b;
}

static void
release(struct bench *b)
{
	console_free(b->console);
	jobs_free(b->jobs);
	initlink_free(b->link);
	loop_free(b->loop);
	close_fd(&b->roots.dev);
	close_fd(&b->roots.proc);
	close_fd(&b->roots.root);
	REQUIRE_EQ(rmdir(b->dir), 0);
	free(b);
}

static int
dial(const struct bench *b)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(a.sun_path, b->path);
	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void
type(int fd, const char *text)
{
	REQUIRE_EQ(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void
turn(struct bench *b)
{
	REQUIRE_OK(loop_run_once(b->loop, 10, &b->err), &b->err);
}

/* Reads until text has arrived (NULL: until the end of the connection). */
static void
await(struct bench *b, int fd, const char *text)
{
	uint64_t limit = monotonic_ns() + LIMIT_NS;

	for (b->n_text = 0, b->text[0] = '\0';;) {
		ssize_t n = recv(fd, b->text + b->n_text, sizeof(b->text) - 1 - b->n_text,
				 MSG_DONTWAIT);

		if (n > 0)
			b->n_text += (size_t)n;
		b->text[b->n_text] = '\0';
		if (n == 0 || (text && strstr(b->text, text)))
			break;
		if (deadline_is_over(limit))
			fprintf(stderr, "timed out waiting for \"%s\", received: %s\n",
				text ? text : "end of file", b->text);
		REQUIRE(!deadline_is_over(limit));
		turn(b);
	}
	REQUIRE(!text || strstr(b->text, text));
}

static void
await_sessions(struct bench *b, unsigned int n)
{
	uint64_t limit = monotonic_ns() + LIMIT_NS;

	while (console_sessions(b->console) != n) {
		REQUIRE(!deadline_is_over(limit));
		turn(b);
	}
}

static unsigned int
count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	REQUIRE(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void
in_agent(fakeinit_body *body)
{
	int leaked = 0;

	CHECK_EQ(fakeinit_run(body, NULL, &leaked), 0);
	CHECK_EQ(leaked, 0, "%d processes are left", leaked);
}

/* ---- */

static int
body_session(int init_fd, void *data)
{
	struct bench *b = make(init_fd, NULL);
	int fd;

	(void)data;
	fd = dial(b);
	/* the query of the window's size */
	await(b, fd, "\033[18t");
	type(fd, "tty; stty size\n");
	await(b, fd, "24 80");
	REQUIRE_HAS(b->text, "/dev/pts/");
	/* The answer is removed from the input, also in the middle of a line. */
	type(fd, "stty \033[8;33;77tsize; echo $TERM-$0-$((6 * 7))\n");
	await(b, fd, "sh-42");
	REQUIRE_HAS(b->text, "33 77");
	REQUIRE_HAS(b->text, "xterm-");
	type(fd, "echo =$(cat /proc/self/oom_score_adj)=; ls -l /proc/$$/fd; exit\n");
	await(b, fd, NULL);
	REQUIRE_HAS(b->text, "=0=");
	/* no descriptor of the agent is inherited */
	REQUIRE(!strstr(b->text, "socket:") && !strstr(b->text, "pipe:"));
	await_sessions(b, 0);
	close(fd);
	release(b);
	return 0;
}

Test(console, session)
{
	if (!can_open_guest_terminal())
		cr_skip_test(NO_TERMINAL);
	in_agent(body_session);
}

static int
body_many(int init_fd, void *data)
{
	struct bench *b = make(init_fd, NULL);
	int fds[CONSOLE_SESSIONS_MAX], fd;

	(void)data;
	for (int i = 0; i < CONSOLE_SESSIONS_MAX; i++) {
		fds[i] = dial(b);
		type(fds[i], "echo $((100 + 11))\n");
	}
	for (int i = 0; i < CONSOLE_SESSIONS_MAX; i++)
		await(b, fds[i], "111");
	REQUIRE_EQ(console_sessions(b->console), CONSOLE_SESSIONS_MAX);
	fd = dial(b);
	await(b, fd, NULL);
	REQUIRE_HAS(b->text, "all sessions are taken");
	close(fd);
	/* A session that ends makes room for another one. */
	type(fds[2], "exit\n");
	await(b, fds[2], NULL);
	close(fds[2]);
	await_sessions(b, CONSOLE_SESSIONS_MAX - 1);
	fds[2] = dial(b);
	type(fds[2], "echo $((100 + 22))\n");
	await(b, fds[2], "122");
	/* release() ends the other three. */
	release(b);
	for (int i = 0; i < CONSOLE_SESSIONS_MAX; i++)
		close(fds[i]);
	return 0;
}

Test(console, at_most_four)
{
	if (!can_open_guest_terminal())
		cr_skip_test(NO_TERMINAL);
	in_agent(body_many);
}

/* Closing the connection ends the shell, also one that ignores SIGHUP and one that is still being
 * started. */
static int
body_hang_up(int init_fd, void *data)
{
	static const char *const scripts[] = {
		NULL,
		"exec sleep 1000\n",
		"trap '' HUP; echo $((30 + 3)); exec sleep 1000\n",
	};
	struct bench *b = make(init_fd, NULL);
	unsigned int before = count_fds();
	uint64_t limit;

	(void)data;
	for (size_t i = 0; i < 3 * ARRAY_LEN(scripts); i++) {
		int fd = dial(b);

		if (scripts[i % 3]) {
			await(b, fd, "\033[18t");
			type(fd, scripts[i % 3]);
		}
		if (i % 3 == 2)
			await(b, fd, "33");
		else
			turn(b);
		close(fd);
		await_sessions(b, 0);
	}
	/* The workers of cancelled starts may outlive their sessions. */
	limit = monotonic_ns() + LIMIT_NS;
	while (count_fds() != before) {
		REQUIRE(!deadline_is_over(limit), "%u fds, %u before", count_fds(), before);
		turn(b);
	}
	release(b);
	return 0;
}

Test(console, hang_up)
{
	if (!can_open_guest_terminal())
		cr_skip_test(NO_TERMINAL);
	in_agent(body_hang_up);
}

/* A client that closes its sending side still receives the output. */
static int
body_half_closed(int init_fd, void *data)
{
	struct bench *b = make(init_fd, NULL);
	int fd = dial(b);

	(void)data;
	type(fd, "echo $((50 + 5)); sleep 0.3; echo $((60 + 6))\n");
	REQUIRE_EQ(shutdown(fd, SHUT_WR), 0);
	await(b, fd, NULL);
	REQUIRE_HAS(b->text, "55");
	REQUIRE_HAS(b->text, "66");
	await_sessions(b, 0);
	close(fd);
	/* Each shell reads the end of the input at its own prompt, programs without one later, and
	 * an unfinished last line counts. */
	fd = dial(b);
	type(fd, "sh\nsh\nsh\nsh\nsh\nsh\nsh\nsh\nsh\nsh\nsh\nsh\ncat; cat; echo $((70 + 7))");
	REQUIRE_EQ(shutdown(fd, SHUT_WR), 0);
	await(b, fd, NULL);
	REQUIRE_HAS(b->text, "77");
	await_sessions(b, 0);
	close(fd);
	release(b);
	return 0;
}

Test(console, half_closed)
{
	if (!can_open_guest_terminal())
		cr_skip_test(NO_TERMINAL);
	in_agent(body_half_closed);
}

/* A client that does not read delays its own shell only, and loses no output. */
static int
body_slow(int init_fd, void *data)
{
	struct bench *b = make(init_fd, NULL);
	int fd, other, size = 4096;

	(void)data;
	fd = dial(b);
	REQUIRE_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	type(fd, "seq -s, 1 90000 | tail -c 500000; exit\n");
	other = dial(b);
	type(other, "echo $((70 + 7)); exit\n");
	await(b, other, "77");
	await(b, fd, NULL);
	REQUIRE_HAS(b->text, ",89999,90000");
	REQUIRE_GT(b->n_text, 500000);
	await_sessions(b, 0);
	close(fd);
	close(other);
	release(b);
	return 0;
}

Test(console, slow_reader)
{
	if (!can_open_guest_terminal())
		cr_skip_test(NO_TERMINAL);
	in_agent(body_slow);
}

static int
body_no_shell(int init_fd, void *data)
{
	struct bench *b = make(init_fd, "/proc/self/fdinfo");
	int fd = dial(b);

	(void)data;
	await(b, fd, NULL);
	REQUIRE_HAS(b->text, "debug console: no shell found in the guest");
	await_sessions(b, 0);
	close(fd);
	release(b);
	return 0;
}

Test(console, no_shell)
{
	in_agent(body_no_shell);
}
