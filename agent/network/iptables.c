/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gets and sets the packet filter with the iptables tools of the guest image, whose text format
 * hosts store and send. Worker only: may block. Called by network.c.
 */
#include "agent/job/subprocess.h"
#include "agent/network/network_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"

/* The tool's own wait for the lock (5 s), and time for many rules. */
#define TOOL_MS 30000
#define OUT_MAX ((size_t)4 << 20)
/* Limit of the error output that is kept. */
#define WORDS_MAX 400

static int iptables_find_tool(const struct roots *roots, const char *name, char *out, size_t size,
			      struct error *err);
static int iptables_run(struct worker *w, const char *const argv[], const char *input,
			struct error *err);
static int iptables_output_file(struct error *err);
static int iptables_send_output(struct worker *w, int fd, struct error *err);

int
net_get_iptables_work(struct worker *w, struct net_task *task, struct error *err)
{
	char path[64];
	const char *const argv[] = { path, NULL };

	if (iptables_find_tool(task->roots, task->is_v6 ? "ip6tables-save" : "iptables-save", path,
			       sizeof(path), err) < 0 ||
	    iptables_run(w, argv, NULL, err) < 0)
		return error_wrap(err, "failed to get the iptables rules");
	return 0;
}

int
net_set_iptables_work(struct worker *w, struct net_task *task, struct error *err)
{
	char path[64];
	/* Another process may hold the lock briefly. */
	const char *const argv[] = { path, "--wait", "5", NULL };

	if (iptables_find_tool(task->roots, task->is_v6 ? "ip6tables-restore" : "iptables-restore",
			       path, sizeof(path), err) < 0 ||
	    iptables_run(w, argv, task->rules, err) < 0)
		return error_wrap(err, "failed to set the iptables rules");
	return 0;
}

/* Finds the path of a tool in the guest image. */
static int
iptables_find_tool(const struct roots *roots, const char *name, char *out, size_t size,
		   struct error *err)
{
	static const char *const dirs[] = { "usr/sbin", "sbin", "usr/bin", "bin" };

	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		(void)snprintf(out, size, "/%s/%s", dirs[i], name);
		if (faccessat(roots->root, out + 1, X_OK, 0) == 0)
			return 0;
	}
	return error_set(err, ERROR_FAILED_PRECONDITION,
			 "the guest image has no %s in /usr/sbin, /sbin, /usr/bin or /bin", name);
}

/* Runs a tool and sends its output. The error includes what it printed to stderr. */
static int
iptables_run(struct worker *w, const char *const argv[], const char *input, struct error *err)
{
	static const char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	auto_close int fd = iptables_output_file(err);
	char words[WORDS_MAX] = "";
	struct subprocess_spec spec = {
		.argv = argv,
		.envp = envp,
		.input = input,
		.out = words,
		.out_size = sizeof(words),
		.timeout_ms = TOOL_MS,
		.cgroup_fd = -1,
		.stdout_fd = fd,
	};
	int status;

	if (fd < 0 || subprocess_run(&spec, &status, err) < 0)
		return -1;
	for (char *c = words; *c; c++)
		if (*c == '\n')
			*c = c[1] ? ' ' : '\0';
	if (!WIFEXITED(status))
		return error_set(err, ERROR_INTERNAL, "%s was killed by signal %d", argv[0],
				 WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return error_set(err, ERROR_INTERNAL, "%s exited with status %d: %s", argv[0],
				 WEXITSTATUS(status), words);
	return iptables_send_output(w, fd, err);
}

/* Makes a memfd limited to OUT_MAX: a tool that writes without end fails without filling the
 * guest's memory. */
static int
iptables_output_file(struct error *err)
{
	auto_close int fd = memfd_create("iptables", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)OUT_MAX) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) < 0)
		return error_sys(err, "failed to create a file for the output of iptables");
	return steal_fd(&fd);
}

/* Sends the tool's output. The tool shares the file offset of our descriptor. */
static int
iptables_send_output(struct worker *w, int fd, struct error *err)
{
	off_t size = lseek(fd, 0, SEEK_CUR);
	struct buf out;
	uint8_t *room;
	int result;

	if (size <= 0)
		return size < 0
			       ? error_sys(err, "failed to read the size of the output of iptables")
			       : 0;
	buf_init(&out, OUT_MAX);
	room = buf_reserve(&out, (size_t)size);
	if (!room || RETRY_EINTR(pread(fd, room, (size_t)size, 0)) != size) {
		buf_release(&out);
		return error_sys(err, "failed to read the output of iptables");
	}
	buf_commit(&out, (size_t)size);
	result = net_send(w, &out, err);
	buf_release(&out);
	return result;
}
