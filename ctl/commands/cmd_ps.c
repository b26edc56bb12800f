/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl ps, inspect, stats: what runs, and what ran. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "agent.pb-c.h"
#include "ctl/commands/command_line.h"
#include "ctl/commands/commands.h"
#include "ctl/commands/options.h"
#include "ctl/json/json.h"
#include "ctl/vm/record.h"
#include "ctl/vm/state.h"
#include "ctl/vm/watcher.h"
#include "lib/cleanup.h"
#include "lib/ttrpc/client.h"

static const char ps_usage[] =
	"usage: tatamictl ps [-ac] [-q | --json]\n"
	"Lists the VMs that `tatamictl boot` and `pod` started.\n"
	"\n"
	"  -a, --all         those that have ended, too, until `tatamictl rm`\n"
	"  -c, --containers  the containers of each, as NAME/CONTAINER\n"
	"  -q, --quiet       only the names\n"
	"  --json            an array of objects\n"
	"  -h, --help        print this\n";
static const char inspect_usage[] =
	"usage: tatamictl inspect NAME\n"
	"Prints what is known of a VM and its containers as a JSON object: the state, with exit\n"
	"codes, and the requests that created the containers, with their OCI specs.\n"
	"\n"
	"  -h, --help  print this\n";
static const char stats_usage[] =
	"usage: tatamictl stats [-c CONTAINER] [--json] [--timeout SECONDS] NAME[/CONTAINER]\n"
	"Prints processor time, memory and tasks of a container of VM NAME.\n"
	"\n"
	"  -c, --container NAME  the container (default: the first)\n"
	"  --json                the agent's whole reply\n"
	"  --timeout SECONDS     time for the reply to a call to the agent (default 60)\n"
	"  -h, --help            print this\n";

struct ps {
	bool all, containers, quiet, json;
	json_t *list;
	unsigned int count;
};

static void ps_add(const struct vm_state *s, void *data);
static void ps_print(struct ps *p, const struct vm_state *s);
static void ps_print_containers(struct ps *p, const struct vm_state *s);

static int
ps_complain(const char *command, const struct error *err)
{
	(void)fprintf(stderr, "tatamictl %s: %s\n", command, err->msg);
	return EXIT_FAILED;
}

static int
ps_print_json(json_t *j, const char *command)
{
	struct error err = ERROR_INIT;
	int r = j ? json_dumpf(j, stdout, JSON_INDENT(2)) : -1;

	json_decref(j);
	if (r < 0) {
		error_nomem(&err, "writing JSON");
		return ps_complain(command, &err);
	}
	(void)putchar('\n');
	return 0;
}

/* ---- ps ---- */

int
cmd_ps(int argc, char **argv)
{
	struct ps p = { .all = false };
	const struct command_option options[] = {
		{ "all", 'a', .flag = &p.all },
		{ "containers", 'c', .flag = &p.containers },
		{ "quiet", 'q', .flag = &p.quiet },
		{ "json", .flag = &p.json },
	};
	const struct command_line line = { .usage = ps_usage,
					   .options = options,
					   .n_options = ARRAY_LEN(options) };
	struct error err = ERROR_INIT;
	int first = command_line_read(&line, argc, argv);

	if (first <= 0)
		return -first;
	p.list = json_array();
	if (state_for_each(ps_add, &p, &err) < 0) {
		json_decref(p.list);
		return ps_complain("ps", &err);
	}
	if (p.json)
		return ps_print_json(p.list, "ps");
	json_decref(p.list);
	return 0;
}

/* Returns what is known of a VM: state.json with the word for its state and the containers. */
static json_t *
ps_describe(const struct vm_state *s)
{
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:I, s:I}", "name", s->name, "state",
			      state_word(s), "pod", s->pod, "address", s->address, "rootfs",
			      json_from_text(s->rootfs), "command", json_from_text(s->command),
			      "monitor", (json_int_t)s->monitor, "started", (json_int_t)s->started);
	char why[256];

	if (j)
		(void)json_object_set_new(j, "accelerator",
					  json_pack("{s:s, s:b, s:o}", "name", s->accel, "kvmTried",
						    (int)s->kvm_was_tried, "reason",
						    json_from_text(s->accel_why)));
	if (j && state_is_alive(s) && watcher_network_is_down(s->dir, why, sizeof(why)))
		(void)json_object_set_new(j, "networkDown", json_from_text(why));
	if (j && s->finished) {
		(void)json_object_set_new(j, "finished", json_integer(s->finished));
		(void)json_object_set_new(j, "exitCode", json_integer(s->exit_code));
		(void)json_object_set_new(j, "error", json_from_text(s->error));
	}
	if (j)
		(void)json_object_set_new(j, "containers", record_containers(s->dir));
	return j;
}

static void
ps_add(const struct vm_state *s, void *data)
{
	struct ps *p = data;

	if (s->finished && !p->all)
		return;
	if (p->json)
		(void)json_array_append_new(p->list, ps_describe(s));
	else if (p->containers)
		ps_print_containers(p, s);
	else if (p->quiet)
		(void)printf("%s\n", s->name);
	else
		ps_print(p, s);
}

static void
ps_print(struct ps *p, const struct vm_state *s)
{
	int64_t age = (int64_t)time(NULL) - s->started;
	char word[32], why[256];

	(void)snprintf(word, sizeof(word), "%s", state_word(s));
	if (s->finished && !s->error[0])
		(void)snprintf(word, sizeof(word), "exited (%d)", s->exit_code);
	else if (state_is_alive(s) && watcher_network_is_down(s->dir, why, sizeof(why)))
		(void)snprintf(word, sizeof(word), "up (no net)");
	if (p->count++ == 0)
		(void)printf("%-24s %-12s %8s  %-5s  %-8s  %s\n", "NAME", "STATE", "AGE/s", "ACCEL",
			     "MONITOR", "COMMAND");
	(void)printf("%-24s %-12s %8lld  %-5s  %-8d  %s\n", s->name, word, (long long)age, s->accel,
		     (int)s->monitor, s->command);
}

static void
ps_print_containers(struct ps *p, const struct vm_state *s)
{
	json_t *list = record_containers(s->dir), *c;
	bool is_up = state_is_alive(s);
	size_t i;

	json_array_foreach(list, i, c)
	{
		const char *name = json_string_value(json_object_get(c, "name"));
		int code = (int)json_integer_value(json_object_get(c, "exitCode"));
		bool runs = is_up && json_is_true(json_object_get(c, "running"));
		char whole[160], word[32] = "up";

		if (!name || (!runs && !p->all))
			continue;
		(void)snprintf(whole, sizeof(whole), "%s/%.90s", s->name, name);
		if (p->quiet) {
			(void)printf("%s\n", whole);
			continue;
		}
		if (!runs)
			(void)snprintf(word, sizeof(word), "exited (%d)", code);
		if (p->count++ == 0)
			(void)printf("%-40s %-12s %8s\n", "NAME", "STATE", "RESTARTS");
		(void)printf("%-40s %-12s %8d\n", whole, word,
			     (int)json_integer_value(json_object_get(c, "restarts")));
	}
	json_decref(list);
}

/* ---- inspect ---- */

int
cmd_inspect(int argc, char **argv)
{
	const struct command_line line = { .usage = inspect_usage,
					   .operands_min = 1,
					   .operands_max = 1 };
	struct error err = ERROR_INIT;
	struct vm_state s;
	json_t *j, *c;
	size_t i;
	int first = command_line_read(&line, argc, argv);

	if (first <= 0)
		return -first;
	if (state_read(argv[first], &s, &err) < 0)
		return ps_complain("inspect", &err);
	j = ps_describe(&s);
	json_array_foreach(json_object_get(j, "containers"), i, c)
	{
		const char *id = json_string_value(json_object_get(c, "id"));
		Grpc__CreateContainerRequest *r = id ? record_read_request(s.dir, id) : NULL;

		if (r)
			(void)json_object_set_new(c, "request", json_from_message(&r->base, &err));
		if (r)
			grpc__create_container_request__free_unpacked(r, NULL);
	}
	return ps_print_json(j, "inspect");
}

/* ---- stats ---- */

/* Prints a number of bytes with three digits or more. */
static void
stats_bytes(char *out, size_t size, uint64_t n)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	size_t unit = 0;
	double v = (double)n;

	while (v >= 1024 && unit + 1 < ARRAY_LEN(units)) {
		v /= 1024;
		unit++;
	}
	(void)snprintf(out, size, unit ? "%.1f %s" : "%.0f %s", v, units[unit]);
}

static void
stats_print(const char *id, const Grpc__StatsContainerResponse *r)
{
	const Grpc__CgroupStats *g = r->cgroup_stats;
	const Grpc__MemoryData *m = g && g->memory_stats ? g->memory_stats->usage : NULL;
	const Grpc__CpuUsage *cpu = g && g->cpu_stats ? g->cpu_stats->cpu_usage : NULL;
	char usage[32], limit[32] = "-";

	stats_bytes(usage, sizeof(usage), m ? m->usage : 0);
	/* No limit is the largest number that the kernel knows. */
	if (m && m->limit && m->limit < UINT64_C(1) << 60)
		stats_bytes(limit, sizeof(limit), m->limit);
	(void)printf("%-24s %10s %12s %12s %8s\n", "CONTAINER", "CPU/s", "MEMORY", "LIMIT",
		     "TASKS");
	(void)printf("%-24s %10.2f %12s %12s %8" PRIu64 "\n", id,
		     cpu ? (double)cpu->total_usage / 1e9 : 0.0, usage, limit,
		     g && g->pids_stats ? g->pids_stats->current : 0);
}

int
cmd_stats(int argc, char **argv)
{
	const char *container = NULL;
	int timeout_ms = CALL_TIMEOUT_S * 1000, first, code = 0;
	bool json = false;
	const struct command_option options[] = {
		{ "container", 'c', .text = &container },
		{ "json", .flag = &json },
		{ "timeout", .timeout_ms = &timeout_ms },
	};
	const struct command_line line = {
		.usage = stats_usage,
		.options = options,
		.n_options = ARRAY_LEN(options),
		.operands_min = 1,
		.operands_max = 1,
	};
	Grpc__StatsContainerRequest q = GRPC__STATS_CONTAINER_REQUEST__INIT;
	struct error err = ERROR_INIT;
	struct ttrpc_client *client;
	ProtobufCMessage *reply = NULL;
	struct record_ref c;

	first = command_line_read(&line, argc, argv);
	if (first <= 0)
		return -first;
	if (record_find(argv[first], container, true, &c, &err) < 0)
		return ps_complain("stats", &err);
	q.container_id = c.id;
	client = ttrpc_client_dial(c.state.address, timeout_ms, &err);
	if (!client || ttrpc_client_call(client, &grpc__agent_service__descriptor, "StatsContainer",
					 &q.base, timeout_ms, &reply, &err) < 0) {
		ttrpc_client_free(client);
		return ps_complain("stats", &err);
	}
	ttrpc_client_free(client);
	if (json)
		code = ps_print_json(json_from_message(reply, &err), "stats");
	else
		stats_print(c.id, (const Grpc__StatsContainerResponse *)reply);
	protobuf_c_message_free_unpacked(reply, NULL);
	return code;
}
