/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs another container runtime in the guest. Started by link.c as the process of a privileged
 * container that sees the guest's /proc at /hostproc; moves from the container to the guest's
 * namespaces (except its pid namespace) and to a cgroup next to the agent's, then executes commands
 * from standard input:
 *
 *   write PATH LEN          LEN bytes follow: the file's contents
 *   run MS CGROUP LEN       LEN bytes follow: NUL-terminated arguments. Runs them in the cgroup for
 *                           at most MS milliseconds; the answer is their output
 *   times CGROUP LEN        LEN bytes follow: commands as above, separated by an argument "--".
 *                           Runs all of them; the answer is the time in nanoseconds up to the
 *                           command after "++"
 *   read PATH 0             the answer is the file's contents
 *
 * The guest's /proc is mounted at /run/guest-proc. Each command is answered by "STATUS LEN\n" and
 * LEN bytes. Static and self-contained: uses no library of this tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CGROUPS     "/sys/fs/cgroup/"
#define VOLUME      "/diff/vol"
#define GUEST_PROC  "/run/guest-proc"
#define ARGS_MAX    256
#define ANSWER_MAX  (4u << 20)
#define PAYLOAD_MAX (4u << 20)

static char answer[ANSWER_MAX];
static size_t answer_len;

static void
die(const char *what)
{
	(void)fprintf(stderr, "guest: %s: %s\n", what, strerror(errno));
	exit(125);
}

static unsigned long long
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000000000ull + (unsigned long long)t.tv_nsec;
}

/* ---- leaving the container ---- */

static int
write_file(const char *path, const void *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	const char *p = data;

	if (fd < 0)
		return -1;
	while (n) {
		ssize_t w = write(fd, p, n);

		if (w < 0) {
			(void)close(fd);
			return -1;
		}
		p += w;
		n -= (size_t)w;
	}
	return close(fd);
}

/* Creates, once, a volume for binds in the guest's mount namespace: a file system with another
 * below it. */
static void
make_volume(void)
{
	if (access(VOLUME "/file", F_OK) == 0)
		return;
	if (mount("tmpfs", VOLUME, "tmpfs", 0, "size=64k") < 0 || mkdir(VOLUME "/sub", 0755) < 0 ||
	    write_file(VOLUME "/file", "volume\n", 7) < 0 ||
	    mount("tmpfs", VOLUME "/sub", "tmpfs", MS_NOATIME, "size=64k") < 0)
		die("make the volume");
}

static void
join_guest(void)
{
	static const char *const kinds[] = { "cgroup", "ipc", "uts", "net", "mnt" };
	int fds[sizeof(kinds) / sizeof(kinds[0])];
	char path[64];

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		(void)snprintf(path, sizeof(path), "/hostproc/1/ns/%s", kinds[i]);
		fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0)
			die(path);
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (setns(fds[i], 0) < 0)
			die(kinds[i]);
	make_volume();
	/* Only a descendant pid namespace can be joined, so /proc must show the current one. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    chdir("/") < 0 || (mkdir(GUEST_PROC, 0755) < 0 && errno != EEXIST) ||
	    mount("/proc", GUEST_PROC, NULL, MS_BIND, NULL) < 0 ||
	    mount("proc", "/proc", "proc", 0, NULL) < 0)
		die("mount /proc");
}

static void
enter_cgroup(const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), CGROUPS "%s", name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		die(path);
	(void)snprintf(path, sizeof(path), CGROUPS "%s/cgroup.procs", name);
	if (write_file(path, "0", 1) < 0)
		die(path);
}

/* Creates a cgroup for other runtimes' containers, with all controllers, and one for the
 * runtimes. */
static void
make_cgroups(void)
{
	static const char *const controllers[] = { "+cpu",  "+cpuset", "+memory",
						   "+pids", "+io",     "+hugetlb" };

	if (mkdir(CGROUPS "crun", 0755) < 0 && errno != EEXIST)
		die("make a cgroup");
	for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++)
		(void)write_file(CGROUPS "crun/cgroup.subtree_control", controllers[i],
				 strlen(controllers[i]));
	if (mkdir(CGROUPS "crun/cli", 0755) < 0 && errno != EEXIST)
		die("make a cgroup");
	enter_cgroup("runtimes");
}

/* ---- commands ---- */

static void
append(const void *data, size_t n)
{
	if (n > sizeof(answer) - answer_len)
		n = sizeof(answer) - answer_len;
	memcpy(answer + answer_len, data, n);
	answer_len += n;
}

static void
respond(int status)
{
	printf("%d %zu\n", status, answer_len);
	if (fwrite(answer, 1, answer_len, stdout) != answer_len || fflush(stdout) != 0)
		exit(125);
}

static pid_t
spawn(const char *cgroup, char **argv, int out)
{
	pid_t pid = fork();
	int in[2];

	if (pid != 0)
		return pid;
	enter_cgroup(cgroup);
	/* Pass no input, and no file of the guest that a runtime might chown to a container's
	 * user. */
	if (pipe2(in, O_CLOEXEC) < 0 || dup2(in[0], 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	(void)execvp(argv[0], argv);
	(void)fprintf(stderr, "guest: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int
exit_code(pid_t pid)
{
	int status = 0;

	if (waitpid(pid, &status, 0) != pid)
		return 125;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Takes arguments of the payload from *at up to "--", "++" or the end. */
static size_t
take_args(char *payload, size_t n, size_t *at, char **argv)
{
	size_t argc = 0;

	while (*at < n && argc < ARGS_MAX) {
		char *arg = payload + *at;

		*at += strlen(arg) + 1;
		if (strcmp(arg, "--") == 0 || strcmp(arg, "++") == 0)
			break;
		argv[argc++] = arg;
	}
	argv[argc] = NULL;
	return argc;
}

/* Reads fd until end of file or timeout. */
static int
collect(int fd, unsigned long ms)
{
	unsigned long long end = now_ns() + ms * 1000000ull;
	static char block[65536];

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		unsigned long long now = now_ns();
		ssize_t n;

		if (now >= end)
			return -1;
		if (poll(&p, 1, (int)((end - now) / 1000000 + 1)) <= 0)
			continue;
		n = read(fd, block, sizeof(block));
		if (n <= 0)
			return 0;
		append(block, (size_t)n);
	}
}

static void
run(unsigned long ms, const char *cgroup, char *payload, size_t n)
{
	char *argv[ARGS_MAX + 1];
	size_t at = 0;
	int p[2], code;
	pid_t pid;

	if (take_args(payload, n, &at, argv) == 0 || pipe2(p, O_CLOEXEC) < 0) {
		respond(125);
		return;
	}
	pid = spawn(cgroup, argv, p[1]);
	(void)close(p[1]);
	if (collect(p[0], ms) < 0) {
		append("guest: killed, took too long\n", 29);
		(void)kill(pid, SIGKILL);
	}
	(void)close(p[0]);
	code = exit_code(pid);
	respond(code);
}

static int
run_one(const char *cgroup, char **argv)
{
	pid_t pid = spawn(cgroup, argv, STDERR_FILENO);

	return pid < 0 ? 125 : exit_code(pid);
}

/* Runs one round of `times`. Returns the nanoseconds of the commands before "++". */
static unsigned long long
round_of(const char *cgroup, char *payload, size_t n, int *code)
{
	unsigned long long begin = now_ns(), measured = 0;
	char *argv[ARGS_MAX + 1];
	size_t at = 0;

	while (at < n) {
		if (strcmp(payload + at, "++") == 0) {
			measured = now_ns() - begin;
			at += 3;
		}
		if (take_args(payload, n, &at, argv) == 0)
			continue;
		*code = run_one(cgroup, argv);
		if (*code)
			return 0;
		/* "++" ended the arguments and belongs to the next command. */
		if (at < n && at >= 3 && strcmp(payload + at - 3, "++") == 0)
			at -= 3;
	}
	return measured ? measured : now_ns() - begin;
}

static void
times(const char *cgroup, char *payload, size_t n)
{
	char line[32];
	int code = 0;
	int len = snprintf(line, sizeof(line), "%llu\n", round_of(cgroup, payload, n, &code));

	append(line, (size_t)len);
	respond(code);
}

static void
read_file(const char *path)
{
	char block[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		append(strerror(errno), strlen(strerror(errno)));
		respond(errno);
		return;
	}
	while ((n = read(fd, block, sizeof(block))) > 0)
		append(block, (size_t)n);
	(void)close(fd);
	respond(0);
}

static void
serve(void)
{
	static char line[8192], payload[PAYLOAD_MAX];
	char word[16], a[4096], b[256];
	size_t n;

	while (fgets(line, sizeof(line), stdin)) {
		a[0] = b[0] = '\0';
		answer_len = 0;
		if (sscanf(line, "run %255s %255s %zu", a, b, &n) == 3 ||
		    sscanf(line, "times %255s %zu", a, &n) == 2 ||
		    sscanf(line, "write %4095s %zu", a, &n) == 2 ||
		    sscanf(line, "read %4095s %zu", a, &n) == 2) {
			if (n > sizeof(payload) - 1 || fread(payload, 1, n, stdin) != n)
				exit(125);
			payload[n] = '\0';
		} else {
			(void)fprintf(stderr, "guest: invalid command: %s", line);
			exit(125);
		}
		(void)sscanf(line, "%15s", word);
		if (strcmp(word, "run") == 0)
			run(strtoul(a, NULL, 10), b, payload, n);
		else if (strcmp(word, "times") == 0)
			times(a, payload, n);
		else if (strcmp(word, "read") == 0)
			read_file(a);
		else
			respond(write_file(a, payload, n) < 0 ? errno : 0);
	}
}

/* Reaps processes left by detached containers until the serving child exits. */
static int
reap_until(pid_t server)
{
	int status;
	pid_t pid;

	do {
		pid = wait(&status);
	} while (pid != server && (pid > 0 || errno == EINTR));
	return pid == server && WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}

int
main(void)
{
	pid_t pid;

	join_guest();
	make_cgroups();
	pid = fork();
	if (pid == 0) {
		(void)setenv("PATH", "/usr/bin:/usr/sbin:/bin:/sbin", 1);
		serve();
		_exit(0);
	}
	return reap_until(pid);
}
