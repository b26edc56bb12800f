/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl exec: one more process in a container of a VM in the background. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "ctl/commands/command_line.h"
#include "ctl/commands/commands.h"
#include "ctl/commands/exec_user.h"
#include "ctl/commands/options.h"
#include "ctl/spec/spec.h"
#include "ctl/streams/session.h"
#include "ctl/streams/warden.h"
#include "ctl/vm/record.h"
#include "ctl/vm/state.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/sys.h"
#include "lib/ttrpc/client.h"

/* time between the end of a connection and that of the VM's monitor */
#define VM_GONE_MS 5000
#define ENV_MAX    32

struct exec_options {
	struct container_options process;
	const char *env[ENV_MAX];
	bool interactive, keep, has_cwd;
	int timeout_ms;
	const char *vm, *container;
	/* "USER[:GROUP]", or NULL */
	const char *user;
	struct account account;
	char id[160];
};

static const char exec_usage[] =
	"usage: tatamictl exec [OPTION…] NAME[/CONTAINER] -- COMMAND [ARGUMENT…]\n"
	"Runs a process in a container of VM NAME, with the environment, directory, user\n"
	"and capabilities of the container. Passes on stdio, signals and the exit code. When\n"
	"this command is gone (its terminal was closed, or it was killed), the process gets\n"
	"SIGHUP and, 5 seconds later, SIGKILL.\n"
	"\n"
	"  -c, --container NAME   the container (default: the first)\n"
	"  -i, --interactive      pass standard input on\n"
	"  -t, --tty              give the process a terminal\n"
	"  -e, --env KEY=VALUE    set an environment variable (may be repeated)\n"
	"  -w, --cwd DIR          working directory\n"
	"  -u, --user USER[:GROUP]\n"
	"                         user and group: names of the container, or numbers\n"
	"  --privileged           grant all capabilities\n"
	"  --keep                 let the process go on when this command is gone\n"
	"  --timeout SECONDS      time for the reply to a call to the agent (default 60)\n"
	"  -h, --help             print this\n";

static int exec_parse(struct exec_options *o, int argc, char **argv);
static int exec_parse_env(const char *value, void *data, struct error *err);
static int exec_find_user(struct ttrpc_client *client, const struct vm_state *state,
			  struct exec_options *o, struct error *err);
static int exec_session(struct ttrpc_client *client, const struct vm_state *state,
			const struct exec_options *o, struct error *err);

static int
exec_complain(const char *command, const struct error *err, int code)
{
	(void)fprintf(stderr, "tatamictl %s: %s\n", command, err->msg);
	return code;
}

int
cmd_exec(int argc, char **argv)
{
	struct exec_options o = { 0 };
	struct record_ref c;
	struct error err = ERROR_INIT;
	struct ttrpc_client *client;
	bool is_usage;
	int r = exec_parse(&o, argc, argv);

	if (r <= 0)
		return -r;
	(void)signal(SIGPIPE, SIG_IGN);
	if (record_find(o.vm, o.container, true, &c, &err) < 0)
		return exec_complain("exec", &err, EXIT_FAILED);
	memcpy(o.id, c.id, sizeof(o.id));
	client = ttrpc_client_dial(c.state.address, o.timeout_ms, &err);
	if (!client)
		return exec_complain("exec", &err, EXIT_FAILED);
	r = o.user ? exec_find_user(client, &c.state, &o, &err) : 0;
	is_usage = r < 0 && err.code == ERROR_INVALID_ARGUMENT;
	if (r == 0)
		r = exec_session(client, &c.state, &o, &err);
	/* The monitor knows why. */
	if (r < 0 && err.code == ERROR_UNAVAILABLE)
		(void)state_ends_within(&c.state, VM_GONE_MS, &err);
	ttrpc_client_free(client);
	return r < 0 ? exec_complain("exec", &err, is_usage ? EXIT_USAGE : exit_code_of(&err)) : r;
}

/* Returns what command_line_read() returns. */
static int
exec_parse(struct exec_options *o, int argc, char **argv)
{
	const char *cwd = NULL;
	const struct command_option options[] = {
		{ "container", 'c', .text = &o->container },
		{ "interactive", 'i', .flag = &o->interactive },
		{ "tty", 't', .flag = &o->process.terminal },
		{ "env", 'e', .parse = exec_parse_env, .data = o },
		{ "cwd", 'w', .text = &cwd },
		{ "user", 'u', .text = &o->user },
		{ "privileged", .flag = &o->process.privileged },
		{ "keep", .flag = &o->keep },
		{ "timeout", .timeout_ms = &o->timeout_ms },
	};
	const struct command_line line = {
		.usage = exec_usage,
		.options = options,
		.n_options = ARRAY_LEN(options),
		.operands_min = 2,
		.operands_max = argc,
		.is_prefix = true,
	};
	int first;

	o->timeout_ms = CALL_TIMEOUT_S * 1000;
	o->process.env = o->env;
	o->env[o->process.n_env++] =
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	first = command_line_read(&line, argc, argv);
	if (first <= 0)
		return first;
	o->has_cwd = cwd != NULL;
	o->process.cwd = cwd ? cwd : "/";
	if (o->process.terminal)
		spec_env_default(o->env, &o->process.n_env, "TERM=xterm");
	o->vm = argv[first++];
	if (strcmp(argv[first], "--") == 0)
		first++;
	o->process.args = argv + first;
	if (argv[first])
		return first;
	(void)fputs(exec_usage, stderr);
	return -EXIT_USAGE;
}

static int
exec_parse_env(const char *value, void *data, struct error *err)
{
	struct exec_options *o = data;

	if (!strchr(value, '='))
		return error_set(err, ERROR_INVALID_ARGUMENT, "--env %s: expected KEY=VALUE",
				 value);
	if (o->process.n_env >= ENV_MAX - 1)
		return error_set(err, ERROR_INVALID_ARGUMENT, "--env: more than %d variables",
				 ENV_MAX - 2);
	o->env[o->process.n_env++] = value;
	return 0;
}

static int
exec_find_user(struct ttrpc_client *client, const struct vm_state *state, struct exec_options *o,
	       struct error *err)
{
	if (exec_user_find(client, state, o->id, o->user, o->timeout_ms, &o->account, err) < 0)
		return error_wrap(err, "--user");
	o->process.uid = o->account.uid;
	o->process.gid = o->account.gid;
	o->process.groups = o->account.groups;
	o->process.n_groups = o->account.n_groups;
	return 0;
}

static bool
exec_has_env(const Grpc__Process *p, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < p->n_env; i++)
		if (strncmp(p->env[i], name, n) == 0 && p->env[i][n] == '=')
			return true;
	return false;
}

/* Returns whether two variables have the same name. */
static bool
exec_same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return strncmp(a, b, n) == 0 && b[n] == '=';
}

/* Adds a variable to the environment, or replaces the one of its name. */
static void
exec_set_env(Grpc__Process *p, const char *entry)
{
	for (size_t i = 0; i < p->n_env; i++) {
		if (exec_same_name(entry, p->env[i])) {
			p->env[i] = (char *)(uintptr_t)entry;
			return;
		}
	}
	p->env[p->n_env++] = (char *)(uintptr_t)entry;
}

/* Returns the process to execute: that of the container, as it was created (*created, which the
 * caller frees after the process), with what the options say; a process with the options' defaults
 * if the container was not created by tatamictl. */
static Grpc__Process *
exec_process(struct arena *a, const struct vm_state *state, const struct exec_options *o,
	     Grpc__CreateContainerRequest **created)
{
	Grpc__Process *p = spec_process(a, &o->process), *own, *inherited;

	*created = record_read_request(state->dir, o->id);
	own = *created && (*created)->oci ? (*created)->oci->process : NULL;
	if (!p || !own)
		return p;
	inherited = arena_zalloc(a, 1, sizeof(*inherited));
	if (!inherited)
		return NULL;
	*inherited = *own;
	inherited->terminal = o->process.terminal;
	inherited->args = p->args;
	inherited->n_args = p->n_args;
	inherited->consolesize = NULL;
	inherited->env = arena_zalloc(a, own->n_env + o->process.n_env + 1, sizeof(char *));
	if (!inherited->env)
		return NULL;
	memcpy(inherited->env, own->env, own->n_env * sizeof(char *));
	if (o->process.terminal && !exec_has_env(own, "TERM"))
		exec_set_env(inherited, "TERM=xterm");
	/* The first is the default for PATH. */
	for (size_t i = o->process.terminal ? 2 : 1; i < o->process.n_env; i++)
		exec_set_env(inherited, o->env[i]);
	if (o->has_cwd)
		inherited->cwd = p->cwd;
	if (o->user)
		inherited->user = p->user;
	if (o->process.privileged) {
		inherited->capabilities = p->capabilities;
		inherited->nonewprivileges = false;
	}
	return inherited;
}

static int
exec_session(struct ttrpc_client *client, const struct vm_state *state,
	     const struct exec_options *o, struct error *err)
{
	Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;
	auto_close int monitor = sys_pidfd_open(state->monitor, 0);
	Grpc__CreateContainerRequest *created = NULL;
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
		.vm_pidfd = monitor,
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
	q.process = exec_process(&a, state, o, &created);
	if (!q.process)
		r = error_nomem(err, "building the request");
	else
		r = ttrpc_client_call(client, &grpc__agent_service__descriptor, "ExecProcess",
				      &q.base, o->timeout_ms, NULL, err);
	arena_release(&a);
	if (created)
		grpc__create_container_request__free_unpacked(created, NULL);
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
