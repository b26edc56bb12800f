/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of the state fuzzer on processes, and those on no container; see state.h. */
#include "tests/rpc/state.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/spec/spec.h"
#include "lib/cleanup.h"

#define PARKED_MAX 48
/* as a host in Go writes "directory" */
#define DIR_MODE (020000000000u | 0750)

static char *
str(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* ---- processes ---- */

static bool
do_exec(struct state *s, struct box *b)
{
	static const char *const env[] = { "PATH=/bin:/sbin:/usr/bin" };
	static const char *const what[] = { "exec cat", "echo x; exit 5", "exec sleep 3600", "yes",
					    "sleep 3600 & exit 0" };
	struct container_options o = {
		.args = (char *const *)(uintptr_t)SH(what[state_below(s, ARRAY_LEN(what))]),
		.env = env,
		.n_env = 1,
		.cwd = "/",
		.terminal = state_below(s, 8) == 0,
	};
	Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;
	char exec_id[16];
	struct arena a;

	if (b->phase != PHASE_RUNNING)
		return false;
	(void)snprintf(exec_id, sizeof(exec_id), "e%u", b->serial++);
	b->execs++;
	arena_init(&a, 1 << 20);
	q.container_id = b->id;
	q.exec_id = exec_id;
	q.process = spec_process(&a, &o);
	state_send(s, b, "ExecProcess", &q.base, (struct state_how){ .must = !b->is_dying });
	arena_release(&a);
	return true;
}

/* Returns the container's own process, or one of the latest execs, which may have ended. */
static const char *
some_process(struct state *s, const struct box *b, char out[16])
{
	unsigned int back = 1 + state_below(s, STATE_EXECS);

	if (state_below(s, 2) || b->execs < back)
		(void)snprintf(out, 16, "%s", b->id);
	else
		(void)snprintf(out, 16, "e%u", b->serial - back);
	return out;
}

static bool
do_signal(struct state *s, struct box *b)
{
	static const int signals[] = { SIGTERM, SIGKILL, SIGUSR1, SIGWINCH, SIGCONT, SIGHUP };
	Grpc__SignalProcessRequest q = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
	char exec_id[16];
	bool must;

	if (!state_is_there(s, b))
		return false;
	q.container_id = b->id;
	q.exec_id = str(some_process(s, b, exec_id));
	q.signal = (uint32_t)signals[state_below(s, ARRAY_LEN(signals))];
	/* An ended exec may already be released. */
	must = strcmp(exec_id, b->id) == 0 && b->is_made && !b->is_dying;
	if (strcmp(exec_id, b->id) == 0)
		b->is_dying = b->is_hit = true;
	state_send(s, b, "SignalProcess", &q.base,
		   (struct state_how){ .must = must, .survives = true });
	return true;
}

static bool
do_wait(struct state *s, struct box *b)
{
	Grpc__WaitProcessRequest q = GRPC__WAIT_PROCESS_REQUEST__INIT;
	char exec_id[16];

	if (!state_is_there(s, b) || s->parked >= PARKED_MAX)
		return false;
	q.container_id = b->id;
	q.exec_id = str(some_process(s, b, exec_id));
	state_send(s, b, "WaitProcess", &q.base, (struct state_how){ .parks = true });
	return true;
}

static bool
do_read(struct state *s, struct box *b)
{
	Grpc__ReadStreamRequest q = GRPC__READ_STREAM_REQUEST__INIT;
	char exec_id[16];

	if (!state_is_there(s, b) || s->parked >= PARKED_MAX)
		return false;
	q.container_id = b->id;
	q.exec_id = str(some_process(s, b, exec_id));
	q.len = 1 + state_below(s, 40000);
	state_send(s, b, state_below(s, 3) ? "ReadStdout" : "ReadStderr", &q.base,
		   (struct state_how){ .parks = true });
	return true;
}

/* May block as well: a pipe without a reader fills up. */
static bool
do_write(struct state *s, struct box *b)
{
	static uint8_t data[8192];
	Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;
	char exec_id[16];

	if (!state_is_there(s, b) || s->parked >= PARKED_MAX)
		return false;
	memset(data, '\n', sizeof(data));
	q.container_id = b->id;
	q.exec_id = str(some_process(s, b, exec_id));
	q.data.data = data;
	q.data.len = 1 + state_below(s, sizeof(data));
	state_send(s, b, "WriteStdin", &q.base, (struct state_how){ .parks = true });
	return true;
}

static bool
do_close(struct state *s, struct box *b)
{
	Grpc__CloseStdinRequest q = GRPC__CLOSE_STDIN_REQUEST__INIT;
	char exec_id[16];

	if (!state_is_there(s, b))
		return false;
	q.container_id = b->id;
	q.exec_id = str(some_process(s, b, exec_id));
	/* ends cat */
	if (strcmp(exec_id, b->id) == 0)
		b->is_dying = b->is_hit = true;
	state_send(s, b, "CloseStdin", &q.base, (struct state_how){ 0 });
	return true;
}

static bool
do_resize(struct state *s, struct box *b)
{
	Grpc__TtyWinResizeRequest q = GRPC__TTY_WIN_RESIZE_REQUEST__INIT;
	char exec_id[16];

	if (!b->has_tty && state_below(s, 4))
		return false;
	if (!state_is_there(s, b))
		return false;
	q.container_id = b->id;
	q.exec_id = str(some_process(s, b, exec_id));
	q.row = 1 + state_below(s, 100);
	q.column = 1 + state_below(s, 200);
	state_send(s, b, "TtyWinResize", &q.base, (struct state_how){ 0 });
	return true;
}

/* ---- calls on no container ---- */

static bool
do_check(struct state *s, struct box *b)
{
	Grpc__CheckRequest q = GRPC__CHECK_REQUEST__INIT;

	(void)b;
	state_send(s, NULL, "Check", &q.base, (struct state_how){ .must = true });
	return true;
}

static bool
do_plain(struct state *s, struct box *b)
{
	Grpc__GetMetricsRequest metrics = GRPC__GET_METRICS_REQUEST__INIT;
	Grpc__GuestDetailsRequest details = GRPC__GUEST_DETAILS_REQUEST__INIT;
	Grpc__ListInterfacesRequest interfaces = GRPC__LIST_INTERFACES_REQUEST__INIT;
	Grpc__ListRoutesRequest routes = GRPC__LIST_ROUTES_REQUEST__INIT;
	Grpc__VolumeStatsRequest volume = GRPC__VOLUME_STATS_REQUEST__INIT;

	(void)b;
	volume.volume_guest_path = str("/run/kata-containers/sandbox/ephemeral/v0");
	switch (state_below(s, 5)) {
	case 0:
		state_send(s, NULL, "GetMetrics", &metrics.base,
			   (struct state_how){ .must = true });
		break;
	case 1:
		state_send(s, NULL, "GetGuestDetails", &details.base,
			   (struct state_how){ .must = true });
		break;
	case 2:
		state_send(s, NULL, "ListInterfaces", &interfaces.base,
			   (struct state_how){ .must = true });
		break;
	case 3:
		state_send(s, NULL, "ListRoutes", &routes.base, (struct state_how){ .must = true });
		break;
	default:
		state_send(s, NULL, "GetVolumeStats", &volume.base,
			   (struct state_how){ .must = true });
		break;
	}
	return true;
}

static bool
do_network(struct state *s, struct box *b)
{
	Grpc__UpdateInterfaceRequest q = GRPC__UPDATE_INTERFACE_REQUEST__INIT;
	Grpc__UpdateRoutesRequest r = GRPC__UPDATE_ROUTES_REQUEST__INIT;
	Types__Interface i = TYPES__INTERFACE__INIT;
	Types__IPAddress address = TYPES__IPADDRESS__INIT, *addresses[] = { &address };
	Grpc__Routes routes = GRPC__ROUTES__INIT;
	Types__Route route = TYPES__ROUTE__INIT, *list[] = { &route };
	char text[32];

	(void)b;
	(void)snprintf(text, sizeof(text), "10.%u.0.0/16", state_below(s, 200));
	address.address = str("10.0.0.2");
	address.mask = str("8");
	i.name = i.device = str("eth0");
	i.hwaddr = str("02:00:00:00:00:01");
	i.ipaddresses = addresses;
	i.n_ipaddresses = 1;
	i.mtu = 1400 + state_below(s, 100);
	q.interface = &i;
	route.dest = text;
	route.device = str("eth0");
	routes.routes = list;
	routes.n_routes = 1;
	r.routes = &routes;
	if (state_below(s, 2))
		state_send(s, NULL, "UpdateInterface", &q.base, (struct state_how){ .must = true });
	else
		state_send(s, NULL, "UpdateRoutes", &r.base, (struct state_how){ .must = true });
	return true;
}

static bool
do_copy(struct state *s, struct box *b)
{
	static uint8_t data[8192];
	Grpc__CopyFileRequest q = GRPC__COPY_FILE_REQUEST__INIT;
	char path[128];

	(void)b;
	(void)snprintf(path, sizeof(path), STATE_COPIES "/f%u", state_below(s, STATE_FILES));
	q.path = path;
	q.file_mode = S_IFREG | 0644;
	q.dir_mode = DIR_MODE;
	q.uid = q.gid = -1;
	q.data.data = data;
	q.data.len = state_below(s, sizeof(data));
	/* a whole file, or the first part of one that is never completed */
	q.file_size = (int64_t)q.data.len + (state_below(s, 8) ? 0 : 1);
	state_send(s, NULL, "CopyFile", &q.base, (struct state_how){ .must = true });
	return true;
}

void
state_complete_copies(struct state *s)
{
	for (unsigned int i = 0; i < STATE_FILES; i++) {
		Grpc__CopyFileRequest q = GRPC__COPY_FILE_REQUEST__INIT;
		struct error err = ERROR_INIT;
		char path[128];

		(void)snprintf(path, sizeof(path), STATE_COPIES "/f%u", i);
		q.path = path;
		q.file_mode = S_IFREG | 0644;
		q.dir_mode = DIR_MODE;
		CHECK_EQ(call(s->h, "CopyFile", &q, NULL, &err), 0, "round %u: %s: %s", s->round,
			 path, err.msg);
	}
}

/* Never answered unless a process is killed, so only for a connection that is about to close. */
static bool
do_oom_event(struct state *s, struct box *b)
{
	Grpc__GetOOMEventRequest q = GRPC__GET_OOMEVENT_REQUEST__INIT;

	(void)b;
	if (!s->other)
		return false;
	state_send(s, NULL, "GetOOMEvent", &q.base, (struct state_how){ 0 });
	return true;
}

static const struct {
	bool (*run)(struct state *s, struct box *b);
	unsigned int weight;
} steps[] = {
	{ state_create, 8 },  { state_start, 12 }, { state_remove, 2 }, { state_pause, 2 },
	{ state_resume, 12 }, { state_stats, 6 },  { state_update, 4 }, { do_exec, 5 },
	{ do_signal, 5 },     { do_wait, 8 },      { do_read, 16 },     { do_write, 10 },
	{ do_close, 2 },      { do_resize, 5 },    { do_check, 10 },    { do_plain, 6 },
	{ do_network, 2 },    { do_copy, 6 },      { do_oom_event, 5 },
};

void
state_step(struct state *s)
{
	for (;;) {
		struct box *b = &s->boxes[state_below(s, STATE_BOXES)];
		unsigned int total = 0, at;
		size_t i = 0;

		for (size_t j = 0; j < ARRAY_LEN(steps); j++)
			total += steps[j].weight;
		for (at = state_below(s, total); at >= steps[i].weight; i++)
			at -= steps[i].weight;
		if (s->other)
			b->is_loose = true;
		if (steps[i].run(s, b))
			return;
	}
}
