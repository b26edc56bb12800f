/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tatamictl attach: the terminal, or standard input and output, of a container in the background.
 * Output comes from the VM's monitor (outlet.h), which reads it for the log as well; input, signals
 * and the size of the window go to the agent.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "ctl/commands/command_line.h"
#include "ctl/commands/commands.h"
#include "ctl/commands/options.h"
#include "ctl/streams/outlet.h"
#include "ctl/streams/session.h"
#include "ctl/vm/record.h"
#include "ctl/vm/state.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/sys.h"
#include "lib/ttrpc/client.h"

#define DETACH_KEYS "ctrl-p,ctrl-q"
/* A VM ends together with its container, and `rm` refuses one that runs. The monitor's own steps at
 * the end have shorter limits each. */
#define VM_ENDS_MS 60000

static const char attach_usage[] =
	"usage: tatamictl attach [OPTION…] NAME[/CONTAINER]\n"
	"Connects to the input and output of a container in the background until it ends, and\n"
	"returns its exit code. What it wrote before is printed by `tatamictl logs`. The keys\n"
	"ctrl-p ctrl-q detach from it again, and so do SIGTERM and SIGHUP: it goes on. At the\n"
	"end of standard input, that of the container stays open.\n"
	"\n"
	"  -c, --container NAME   the container (default: the first)\n"
	"  --detach-keys KEYS     other keys, as ctrl-LETTER or a character, with commas; \"\":\n"
	"                         none\n"
	"  --no-stdin             pass no input on\n"
	"  --close-stdin          close the container's at the end of standard input\n"
	"  --no-signals           detach at any signal, instead of passing on SIGINT, SIGQUIT,\n"
	"                         SIGUSR1 and SIGUSR2\n"
	"  --timeout SECONDS      time for the connection to the agent (default 60)\n"
	"  -h, --help             print this\n"
	"\n"
	"`attach NAME type=…` is the former name of `plug`.\n";

static int attach_run(const char *vm, const char *container, int timeout_ms, struct session *s,
		      struct error *err);

int
cmd_attach(int argc, char **argv)
{
	struct session s = {
		.out = STDOUT_FILENO,
		.err = STDERR_FILENO,
		.vm_pidfd = -1,
		.stop_fd = -1,
	};
	const char *container = NULL, *keys = DETACH_KEYS;
	bool no_stdin = false, close_stdin = false;
	int timeout_ms = CALL_TIMEOUT_S * 1000, first, code;
	const struct command_option options[] = {
		{ "container", 'c', .text = &container },
		{ "detach-keys", .text = &keys },
		{ "no-stdin", .flag = &no_stdin },
		{ "close-stdin", .flag = &close_stdin },
		{ "no-signals", .flag = &s.keeps_signals },
		{ "timeout", .timeout_ms = &timeout_ms },
	};
	const struct command_line line = {
		.usage = attach_usage,
		.options = options,
		.n_options = ARRAY_LEN(options),
		.operands_min = 1,
		.operands_max = 1,
	};
	struct error err = ERROR_INIT;

	if (argc == 3 && (strncmp(argv[2], "type=", 5) == 0 || strcmp(argv[1], "--list") == 0))
		return cmd_plug(argc, argv);
	first = command_line_read(&line, argc, argv);
	if (first <= 0)
		return -first;
	s.in = no_stdin ? -1 : STDIN_FILENO;
	s.keeps_stdin = !close_stdin;
	(void)signal(SIGPIPE, SIG_IGN);
	if (session_parse_keys(keys, &s.detach, &err) < 0) {
		(void)fprintf(stderr, "tatamictl attach: %s\n", err.msg);
		return EXIT_USAGE;
	}
	code = attach_run(argv[first], container, timeout_ms, &s, &err);
	if (code < 0) {
		(void)fprintf(stderr, "tatamictl attach: %s\n", err.msg);
		return exit_code_of(&err);
	}
	if (s.is_detached)
		(void)fprintf(stderr, "detached from %s\n", argv[first]);
	return code;
}

static int
attach_run(const char *vm, const char *container, int timeout_ms, struct session *s,
	   struct error *err)
{
	Grpc__CreateContainerRequest *created;
	auto_close int feed = -1;
	auto_close int monitor = -1;
	struct record_ref c;
	int code;

	if (record_find(vm, container, true, &c, err) < 0)
		return -1;
	if (!c.state.pod[0] && strcmp(c.id, c.state.container) == 0)
		monitor = sys_pidfd_open(c.state.monitor, 0);
	created = record_read_request(c.state.dir, c.id);
	s->terminal =
		created && created->oci && created->oci->process && created->oci->process->terminal;
	if (created)
		grpc__create_container_request__free_unpacked(created, NULL);
	s->client = ttrpc_client_dial(c.state.address, timeout_ms, err);
	if (!s->client)
		return -1;
	feed = outlet_connect(c.state.dir, c.id, err);
	s->feed_fd = feed;
	s->container_id = s->exec_id = c.id;
	code = feed < 0 ? -1 : session_run(s, err);
	ttrpc_client_free(s->client);
	s->client = NULL;
	s->container_id = s->exec_id = NULL;
	if ((code >= 0 || err->code == ERROR_UNAVAILABLE) && !s->is_detached && monitor >= 0) {
		struct pollfd end = { .fd = monitor, .events = POLLIN };

		(void)RETRY_EINTR(poll(&end, 1, VM_ENDS_MS));
	}
	return code;
}
