/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One binary, three roles: init as PID 1, under any name; the agent if there is a socket to init;
 * else the parent of the agent (`tatami supervise`, or started by another init system). In the
 * pause container of a pod, it is the programs pause and probe.
 */
#include "init/main_dispatch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/boot.h"
#include "init/init.h"
#include "init/pause.h"
#include "init/probe.h"
#include "init/supervise.h"
#include "lib/deadline.h"
#include "lib/initproto.h"
#include "lib/log.h"
#include "lib/parse.h"
#include "lib/version.h"

static const char usage[] =
	"usage: tatami [supervise [--]] [--config FILE] [--listen ADDRESS]\n"
	"       tatami --print-config [--config FILE]\n"
	"       tatami --version | --help\n"
	"\n"
	"The guest half of Kata Containers: init and agent in one program.\n"
	"As PID 1, under any name, it boots the guest, runs the agent and powers off.\n"
	"Otherwise it runs the agent as its child and reaps what the agent starts.\n"
	"\n"
	"  -c, --config FILE  configuration file, instead of the kernel command line\n"
	"  --listen ADDRESS   where the agent listens: vsock://, unix:// or tcp://\n"
	"  --print-config     print the configuration with the source of each value, and exit\n"
	"  -v, --version      print the version and exit\n"
	"  -h, --help         print this help and exit\n"
	"\n"
	"See tatami(8) for more.\n";

static bool dispatch_is_word(const char *arg, const char *brief, const char *full);
static int dispatch_init_fd(void);
static int dispatch_supervise(int argc, char **argv, uint64_t main_ns, agent_main_fn *agent_main);

int
main_dispatch(int argc, char **argv, agent_main_fn *agent_main)
{
	uint64_t main_ns = monotonic_ns();
	const char *name = argc > 0 ? argv[0] : "tatami";
	const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
	int fd, skip = 0;

	/* Checked first: PID 1 of the pid namespace of a pod is not the PID 1 of the guest. */
	if (strcmp(base, "pause") == 0)
		return pause_run();
	if (strcmp(base, "probe") == 0)
		return probe_run(argc, argv);
	if (getpid() == 1)
		init_run(argc, argv, main_ns, agent_main);
	boot_reserve_stdio();
	if (argc > 1 && dispatch_is_word(argv[1], "-v", "--version")) {
		(void)dprintf(STDOUT_FILENO,
			      "kata-agent version %s (api version: " TATAMI_API_VERSION
			      ", commit version: %s-%s, type: c, "
			      "extra-features: [agent-policy, seccomp])\n",
			      tatami_version, tatami_version, tatami_commit);
		return 0;
	}
	if (argc > 1 && dispatch_is_word(argv[1], "-h", "--help")) {
		(void)dprintf(STDOUT_FILENO, "%s", usage);
		return 0;
	}
	if (argc > 1 && strcmp(argv[1], "--print-config") == 0)
		return agent_main(argc, argv, -1);
	if (argc < 1 || strcmp(base, "init") == 0) {
		/* Never run init by accident: it would take over the machine. */
		(void)dprintf(STDERR_FILENO, "%s: init must be PID 1 (see --help)\n", name);
		return 2;
	}
	fd = dispatch_init_fd();
	if (fd >= 0)
		return agent_main(argc, argv, fd);
	if (argc > 1 && strcmp(argv[1], "supervise") == 0)
		skip += 1;
	if (skip && argc > 2 && strcmp(argv[2], "--") == 0)
		skip += 1;
	return dispatch_supervise(argc - skip, argv + skip, main_ns, agent_main);
}

static bool
dispatch_is_word(const char *arg, const char *brief, const char *full)
{
	return strcmp(arg, brief) == 0 || strcmp(arg, full) == 0;
}

/* Returns the fd in INITPROTO_ENV if it is a socket, or -1 if we were not started by init or
 * supervise. */
static int
dispatch_init_fd(void)
{
	const char *text = getenv(INITPROTO_ENV);
	struct stat st;
	uint32_t fd;

	if (!text)
		return -1;
	if (!parse_u32(text, &fd) || fd <= STDERR_FILENO || fd > INT32_MAX ||
	    fstat((int)fd, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		log_warn("role", "ignoring " INITPROTO_ENV "=%s: not a socket", text);
		return -1;
	}
	(void)fcntl((int)fd, F_SETFD, FD_CLOEXEC);
	(void)unsetenv(INITPROTO_ENV);
	return (int)fd;
}

/* Returns an exit status as a shell does: 128 plus the signal. */
static int
dispatch_exit_code(const struct supervise_result *result)
{
	int code = WIFSIGNALED(result->status) ? 128 + WTERMSIG(result->status)
					       : WEXITSTATUS(result->status);

	if (result->cause == SUPERVISE_POWEROFF_ASKED && code == 0)
		return result->exit_code;
	return code;
}

/* argv[0] is followed only by arguments of the agent. */
static int
dispatch_supervise(int argc, char **argv, uint64_t main_ns, agent_main_fn *agent_main)
{
	struct agent_exec program = { .argc = argc, .argv = argv, .agent_main = agent_main };
	struct supervise_spec spec = {
		.main_ns = main_ns,
		.start = agent_exec,
		.data = &program,
		.has_protocol = true,
	};
	struct supervise_result result;
	struct error err = ERROR_INIT;
	char text[128];

	log_identity("tatami-supervise", "supervise");
	if (supervise_run(&spec, &result, &err) < 0) {
		log_crit("role", "%s", err.msg);
		return 1;
	}
	if (result.status != 0) {
		supervise_describe(result.status, text, sizeof(text));
		log_error("role", "agent %s", text);
	}
	(void)log_flush();
	return dispatch_exit_code(&result);
}
