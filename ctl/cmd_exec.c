/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl ps, exec, stop: use a VM that `boot` left running. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "ctl/commands.h"
#include "ctl/session.h"
#include "ctl/single.h"
#include "ctl/spec.h"
#include "ctl/vm/state.h"
#include "ctl/warden.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "lib/ttrpc/client.h"

#define STOP_TIMEOUT_MS 30000
#define CALL_TIMEOUT_MS 60000
#define ENV_MAX         32

struct exec_options {
	struct container_options process;
	const char *env[ENV_MAX];
	bool interactive, keep;
	const char *vm, *container;
	char id[160];
};

static const char exec_usage[] =
	"usage: tatamictl exec [OPTION…] NAME -- COMMAND [ARGUMENT…]\n"
	"Runs a process in the container of VM NAME. Passes on stdio, signals and the exit\n"
	"code. When this command is gone (its terminal was closed, or it was killed), the\n"
	"process gets SIGHUP and, 5 seconds later, SIGKILL.\n"
	"\n"
	"  -c, --container NAME   the container (default: the first)\n"
	"  -i, --interactive      pass standard input on\n"
	"  -t, --tty              give the process a terminal\n"
	"  -e, --env KEY=VALUE    set an environment variable (may be repeated)\n"
	"  -w, --cwd DIR          working directory (default /)\n"
	"  -u, --user UID[:GID]   user and group (default 0:0)\n"
	"  -p, --privileged       grant all capabilities\n"
	"  --keep                 let the process go on when this command is gone\n"
	"  -h, --help             print this\n";

static const struct option exec_options[] = {
	{ "container", required_argument, NULL, 'c' },
	{ "interactive", no_argument, NULL, 'i' },
	{ "tty", no_argument, NULL, 't' },
	{ "env", required_argument, NULL, 'e' },
	{ "cwd", required_argument, NULL, 'w' },
	{ "user", required_argument, NULL, 'u' },
	{ "privileged", no_argument, NULL, 'p' },
	{ "keep", no_argument, NULL, 'k' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void ps_print(const struct vm_state *s, void *data);
static int exec_parse(struct exec_options *o, int argc, char **argv);
static int exec_session(struct ttrpc_client *client, const struct vm_state *state,
			const struct exec_options *o, struct error *err);
static bool stop_wait_gone(int monitor, int timeout_ms);

static int
exec_complain(const char *command, const struct error *err, int code)
{
	(void)fprintf(stderr, "tatamictl %s: %s\n", command, err->msg);
	return code;
}

/* ---- ps ---- */

int
cmd_ps(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	int count = 0;

	if (argc > 1) {
		(void)printf("usage: tatamictl ps\nLists the VMs that `tatamictl boot` started.\n");
		return is_help(argv[1]) ? 0 : EXIT_USAGE;
	}
	return state_for_each(ps_print, &count, &err) < 0 ? exec_complain("ps", &err, EXIT_FAILED)
							  : 0;
}

static void
ps_print(const struct vm_state *s, void *data)
{
	int *count = data;
	int64_t age = (int64_t)time(NULL) - s->started;

	if ((*count)++ == 0)
		(void)printf("%-24s %-6s %8s  %-8s  %s\n", "NAME", "STATE", "AGE/s", "MONITOR",
			     "COMMAND");
	(void)printf("%-24s %-6s %8lld  %-8d  %s\n", s->name, state_is_alive(s) ? "up" : "dead",
		     (long long)age, (int)s->monitor, s->command);
}

/* ---- exec ---- */

int
cmd_exec(int argc, char **argv)
{
	struct exec_options o = { 0 };
	struct vm_state state;
	struct error err = ERROR_INIT;
	struct ttrpc_client *client;
	int r = exec_parse(&o, argc, argv);

	if (r > 0)
		return 0;
	if (r < 0) {
		(void)fprintf(stderr, "%s", exec_usage);
		return EXIT_USAGE;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	if (state_read(o.vm, &state, &err) < 0)
		return exec_complain("exec", &err, EXIT_FAILED);
	if (o.container && state.pod[0])
		(void)snprintf(o.id, sizeof(o.id), "%s-%.63s", state.pod, o.container);
	else
		(void)snprintf(o.id, sizeof(o.id), "%.159s",
			       o.container ? o.container : state.container);
	client = ttrpc_client_dial(state.address, CALL_TIMEOUT_MS, &err);
	if (!client)
		return exec_complain("exec", &err, EXIT_FAILED);
	r = exec_session(client, &state, &o, &err);
	ttrpc_client_free(client);
	return r < 0 ? exec_complain("exec", &err, exit_code_of(&err)) : r;
}

/* UID[:GID] */
static bool
exec_parse_user(char *text, struct container_options *process)
{
	char *colon = strchr(text, ':');

	if (colon)
		*colon++ = '\0';
	return parse_u32(text, &process->uid) && (!colon || parse_u32(colon, &process->gid));
}

/* Returns 0, 1 after printing the help, or -1 for invalid usage. */
static int
exec_parse(struct exec_options *o, int argc, char **argv)
{
	int opt;

	o->process.cwd = "/";
	o->process.env = o->env;
	o->env[o->process.n_env++] =
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	optind = 0;
	while ((opt = getopt_long(argc, argv, "+ptie:w:u:c:h", exec_options, NULL)) != -1) {
		if (opt == 't') {
			o->process.terminal = true;
		} else if (opt == 'i') {
			o->interactive = true;
		} else if (opt == 'p') {
			o->process.privileged = true;
		} else if (opt == 'k') {
			o->keep = true;
		} else if (opt == 'e' && o->process.n_env < ENV_MAX - 1 && strchr(optarg, '=')) {
			o->env[o->process.n_env++] = optarg;
		} else if (opt == 'c') {
			o->container = optarg;
		} else if (opt == 'w') {
			o->process.cwd = optarg;
		} else if (opt == 'u' && exec_parse_user(optarg, &o->process)) {
			continue;
		} else if (opt == 'h') {
			(void)printf("%s", exec_usage);
			return 1;
		} else {
			return -1;
		}
	}
	if (o->process.terminal)
		spec_env_default(o->env, &o->process.n_env, "TERM=xterm");
	if (optind >= argc)
		return -1;
	o->vm = argv[optind++];
	if (optind < argc && strcmp(argv[optind], "--") == 0)
		optind++;
	o->process.args = argv + optind;
	return argv[optind] ? 0 : -1;
}

static int
exec_session(struct ttrpc_client *client, const struct vm_state *state,
	     const struct exec_options *o, struct error *err)
{
	Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;
	auto_close int monitor = sys_pidfd_open(state->monitor, 0);
	struct warden w = { .fd = -1 };
	char exec_id[64];
	struct arena a;
	bool has_ended;
	int r;
	struct session s = {
		.client = client,
		.container_id = o->id,
		.exec_id = exec_id,
		.terminal = o->process.terminal,
		.in = o->interactive ? STDIN_FILENO : -1,
		.out = STDOUT_FILENO,
		.err = STDERR_FILENO,
		.vm_pidfd = state_is_alive(state) ? monitor : -1,
		.stop_fd = -1,
	};

	(void)snprintf(exec_id, sizeof(exec_id), "exec-%d-%llu", (int)getpid(),
		       (unsigned long long)monotonic_ns());
	/* Before the process, which then cannot be left alone. */
	if (!o->keep && warden_start(&w, state->address, o->id, exec_id, err) < 0)
		return -1;
	arena_init(&a, 1u << 20);
	q.container_id = (char *)(uintptr_t)o->id;
	q.exec_id = exec_id;
	q.process = spec_process(&a, &o->process);
	if (!q.process)
		r = error_nomem(err, "building the request");
	else
		r = ttrpc_client_call(client, &grpc__agent_service__descriptor, "ExecProcess",
				      &q.base, CALL_TIMEOUT_MS, NULL, err);
	arena_release(&a);
	/* Without an answer the process may have been started. */
	has_ended = r < 0 && err->code != ERROR_DEADLINE_EXCEEDED;
	if (r == 0) {
		r = session_run(&s, err);
		has_ended = r >= 0;
	}
	if (!o->keep)
		warden_end(&w, has_ended);
	return r;
}

/* ---- stop ---- */

int
cmd_stop(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	auto_close int monitor = -1;
	struct vm_state s;

	if (argc != 2 || is_help(argv[1])) {
		(void)printf("usage: tatamictl stop NAME\nEnds a VM and removes its files.\n");
		return argc == 2 ? 0 : EXIT_USAGE;
	}
	if (state_read(argv[1], &s, &err) < 0)
		return exec_complain("stop", &err, EXIT_FAILED);
	/* Opened before the check, after which it cannot be another process of that number. */
	monitor = sys_pidfd_open(s.monitor, 0);
	if (state_is_alive(&s) && monitor >= 0) {
		/* On SIGALRM, the monitor stops the container and powers the guest off. */
		(void)sys_pidfd_send_signal(monitor, SIGALRM);
		if (!stop_wait_gone(monitor, STOP_TIMEOUT_MS + s.grace_s * 1000)) {
			/* The kernel kills the monitor's children together with it
			 * (PR_SET_PDEATHSIG). */
			(void)sys_pidfd_send_signal(monitor, SIGKILL);
			(void)stop_wait_gone(monitor, STOP_TIMEOUT_MS);
		}
	}
	if (path_remove_tree(AT_FDCWD, s.dir, &err) < 0)
		return exec_complain("stop", &err, EXIT_FAILED);
	return 0;
}

/* Waits until the monitor has ended. */
static bool
stop_wait_gone(int monitor, int timeout_ms)
{
	struct pollfd ended = { .fd = monitor, .events = POLLIN };

	return RETRY_EINTR(poll(&ended, 1, timeout_ms)) > 0;
}
