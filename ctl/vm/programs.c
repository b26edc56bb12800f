/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of a VM. */
#include "ctl/vm/programs.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/vm/find.h"
#include "ctl/vm/progress.h"
#include "lib/cleanup.h"
#include "lib/sys.h"

/* Time for a program to make its socket, the first thing it does. */
#define READY_MS 10000
/* time between the end of QEMU's devices and that of QEMU */
#define QEMU_GONE_MS 1000
/* part of a program's log that is shown */
#define LOG_TAIL 300

void
programs_init(struct programs *p, const char *dir)
{
	*p = (struct programs){ .dir = dir, .end_fd = epoll_create1(EPOLL_CLOEXEC) };
	for (size_t i = 0; i < PROGRAMS_MAX; i++)
		p->list[i].pidfd = -1;
}

int
programs_start(struct programs *p, enum program_slot slot, const char *name, struct argv *a,
	       int pass_fd, struct error *err)
{
	struct epoll_event e = { .events = EPOLLIN };
	struct program *program = &p->list[slot];
	char path[PATH_MAX + 32];
	auto_close int log = -1;
	off_t said;
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s/%s.log", p->dir, name);
	log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0) {
		error_sys(err, "failed to open %s", path);
		argv_release(a);
		return -1;
	}
	/* The first line of the log. */
	argv_write(a, log);
	said = lseek(log, 0, SEEK_END);
	pid = spawn(a, log, pass_fd, err);
	argv_release(a);
	if (pid < 0)
		return -1;
	*program = (struct program){ .pid = pid, .pidfd = sys_pidfd_open(pid, 0), .said = said };
	(void)snprintf(program->name, sizeof(program->name), "%s", name);
	if (program->pidfd < 0 || epoll_ctl(p->end_fd, EPOLL_CTL_ADD, program->pidfd, &e) < 0)
		return error_sys(err, "failed to watch %s", name);
	return 0;
}

void
programs_set_optional(struct programs *p, enum program_slot slot)
{
	struct program *program = &p->list[slot];

	program->is_optional = true;
	(void)epoll_ctl(p->end_fd, EPOLL_CTL_DEL, program->pidfd, NULL);
}

static bool
programs_reap(struct program *program, int timeout_ms)
{
	if (program->pid > 0 && wait_for(program->pid, timeout_ms, &program->status)) {
		program->pid = 0;
		program->has_ended = true;
	}
	return program->has_ended;
}

int
programs_wait_socket(struct programs *p, enum program_slot slot, const char *socket_name,
		     struct error *err)
{
	char path[PATH_MAX + 32];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", p->dir, socket_name);
	for (int waited = 0; waited < READY_MS; waited += 5) {
		if (stat(path, &st) == 0)
			return 0;
		if (programs_reap(&p->list[slot], 5))
			return programs_explain(p, slot, err);
	}
	return error_set(err, ERROR_DEADLINE_EXCEEDED,
			 "%s did not create its socket %s within %d ms", p->list[slot].name, path,
			 READY_MS);
}

bool
programs_wait(struct programs *p, enum program_slot slot, int timeout_ms)
{
	if (!programs_reap(&p->list[slot], timeout_ms))
		return false;
	/* The end of the VM is another one. */
	close_fd(&p->list[slot].pidfd);
	return true;
}

/* Prints the log of a program: its command line and all it said, if it said anything. */
static void
programs_print_log(const struct programs *p, const struct program *program)
{
	char path[PATH_MAX + 32];
	auto_free char *text = NULL;
	size_t size = 0;
	FILE *log;

	(void)snprintf(path, sizeof(path), "%s/%s.log", p->dir, program->name);
	log = fopen(path, "re");
	if (!log)
		return;
	if (getdelim(&text, &size, '\0', log) > program->said) {
		progress_end();
		(void)fprintf(stderr, "--- the command line of %s, and all it said ---\n%s---\n",
			      program->name, text);
	}
	(void)fclose(log);
}

/* Reads the last lines of a program's log, without its command line, into one line, with "; "
 * between them. */
static void
programs_log_tail(const struct programs *p, const struct program *program, char *out, size_t size)
{
	char path[PATH_MAX + 32], text[LOG_TAIL + 1], *line = text, *save = NULL;
	auto_close int fd = -1;
	off_t end, at;
	ssize_t n;
	size_t len = 0;

	out[0] = '\0';
	(void)snprintf(path, sizeof(path), "%s/%s.log", p->dir, program->name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	end = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	at = end > program->said + LOG_TAIL ? end - LOG_TAIL : program->said;
	n = fd >= 0 ? pread(fd, text, LOG_TAIL, at) : 0;
	text[n > 0 ? n : 0] = '\0';
	/* Without the rest of a line, unless the line is all there is. */
	if (at > program->said && strchr(text, '\n') && strchr(text, '\n')[1])
		line = strchr(text, '\n') + 1;
	for (line = strtok_r(line, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (len < size)
			len += (size_t)snprintf(out + len, size - len, "%s%s", len ? "; " : "",
						line);
	}
}

/* Adds the probable reason for the failure of a program that enters a sandbox. */
static void
programs_explain_sandbox(const struct program *program, char *out, size_t size)
{
	static const struct {
		const char *name, *instead;
	} sandboxed[] = { { "passt", "--network user" }, { "virtiofsd", "--share 9p" } };
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(sandboxed); i++)
		if (strncmp(program->name, sandboxed[i].name, strlen(sandboxed[i].name)) == 0 &&
		    !find_user_namespace(&err))
			(void)snprintf(out, size, " (%.128s: %s does without)", err.msg,
				       sandboxed[i].instead);
}

static void
programs_describe(const struct programs *p, const struct program *program, char *out, size_t size)
{
	char tail[LOG_TAIL * 2];
	int n;

	if (program->status != 0)
		programs_print_log(p, program);
	programs_log_tail(p, program, tail, sizeof(tail));
	n = snprintf(out, size,
		     WIFSIGNALED(program->status) ? "%s was killed by signal %d"
						  : "%s exited with code %d",
		     program->name,
		     WIFSIGNALED(program->status) ? WTERMSIG(program->status)
						  : WEXITSTATUS(program->status));
	if (tail[0])
		n += snprintf(out + n, size - (size_t)n, ": %s", tail);
	if (program->status != 0 && (size_t)n < size)
		programs_explain_sandbox(program, out + n, size - (size_t)n);
}

int
programs_explain(const struct programs *p, enum program_slot slot, struct error *err)
{
	char text[ERROR_MSG_MAX];

	programs_describe(p, &p->list[slot], text, sizeof(text));
	return error_set(err, ERROR_UNAVAILABLE, "%s", text);
}

bool
programs_have_ended(struct programs *p, struct error *why)
{
	struct program *qemu = &p->list[PROGRAM_QEMU];
	char text[ERROR_MSG_MAX] = "", one[ERROR_MSG_MAX];
	bool qemu_ended = programs_reap(qemu, 0), helper_ended = false, helper_failed = false;
	size_t n = 0;

	for (size_t i = 0; i < PROGRAMS_MAX; i++) {
		struct program *program = &p->list[i];

		if (i == PROGRAM_QEMU || i == PROGRAM_MKFS || !programs_reap(program, 0) ||
		    program->is_optional)
			continue;
		helper_ended = true;
		helper_failed |= program->status != 0;
	}
	if (!qemu_ended && helper_ended && !helper_failed)
		qemu_ended = programs_reap(qemu, QEMU_GONE_MS);
	if (!qemu_ended && !helper_ended)
		return false;
	for (size_t i = 0; i < PROGRAMS_MAX && n < sizeof(text); i++) {
		struct program *program = &p->list[i];

		/* The others ended because QEMU has. */
		if (!program->has_ended || i == PROGRAM_MKFS ||
		    (i != PROGRAM_QEMU && qemu_ended && program->status == 0))
			continue;
		programs_describe(p, program, one, sizeof(one));
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? "; " : "", one);
	}
	error_set(why, ERROR_UNAVAILABLE, "%s", text);
	return true;
}

bool
programs_have_failed(const struct programs *p)
{
	bool qemu_ended = p->list[PROGRAM_QEMU].has_ended;

	for (size_t i = 0; i < PROGRAMS_MAX; i++) {
		const struct program *program = &p->list[i];

		if (i != PROGRAM_MKFS && program->has_ended && !program->is_optional &&
		    (program->status != 0 || !qemu_ended))
			return true;
	}
	return false;
}

void
programs_kill(struct programs *p)
{
	for (size_t i = 0; i < PROGRAMS_MAX; i++) {
		struct program *program = &p->list[i];

		if (program->pid > 0) {
			/* Kill the whole process group: virtiofsd forks. A stopped process is
			 * killed as well. */
			(void)kill(-program->pid, SIGKILL);
			(void)kill(program->pid, SIGKILL);
			(void)waitpid(program->pid, &program->status, 0);
			program->pid = 0;
		}
		close_fd(&program->pidfd);
	}
	close_fd(&p->end_fd);
}
