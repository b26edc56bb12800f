/* SPDX-License-Identifier: Apache-2.0 */
/* tatamictl plug, unplug: hot-plug devices into a VM that runs in the background. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "ctl/commands/command_line.h"
#include "ctl/commands/commands.h"
#include "ctl/commands/options.h"
#include "ctl/spec/quantity.h"
#include "ctl/spec/volume.h"
#include "ctl/vm/attach.h"
#include "ctl/vm/state.h"
#include "lib/cleanup.h"
#include "lib/ttrpc/client.h"

/* Time for the guest to release what is taken back after a failure. */
#define DETACH_TIMEOUT_S 30
#define MEMORY_UNIT      (UINT64_C(128) << 20)

static const char plug_usage[] =
	"usage: tatamictl plug NAME type=blk|scsi,source=IMAGE[,readonly]\n"
	"       tatamictl plug NAME type=nic[,mac=MAC]\n"
	"       tatamictl plug NAME type=memory,size=BYTES\n"
	"       tatamictl plug NAME type=cpu\n"
	"       tatamictl plug --list [--json] NAME\n"
	"Plugs a device into the running VM NAME. Prints its id and, for a disk or network\n"
	"card, the address that a Storage, a Device or UpdateInterface of the protocol\n"
	"takes. Memory and processors are brought online. --list prints the ids and QEMU's\n"
	"types of what was plugged in. `attach NAME type=…` is the same command.\n"
	"\n"
	"  --list             print what was plugged in\n"
	"  --json             with --list, an array of objects\n"
	"  --timeout SECONDS  time for the reply to a call to the agent (default 60)\n"
	"  -h, --help         print this\n";
static const char unplug_usage[] =
	"usage: tatamictl unplug [--timeout SECONDS] NAME ID\n"
	"Asks the guest of VM NAME to release a device that was plugged in, waits until it has,\n"
	"and removes it.\n"
	"\n"
	"  --timeout SECONDS  time for the guest to release it (default 30)\n"
	"  -h, --help         print this\n";

enum plug_type {
	PLUG_BLK,
	PLUG_SCSI,
	PLUG_NIC,
	PLUG_MEMORY,
	PLUG_CPU,
};

struct plug_request {
	enum plug_type type;
	char image[PATH_MAX];
	const char *source, *mac;
	uint64_t size;
	bool readonly;
	int timeout_ms;
};

static int plug_parse(struct plug_request *r, char *text, struct error *err);
static int plug_do(const struct vm_state *state, const struct plug_request *r, struct error *err);
static int plug_online(const struct vm_state *state, const struct plug_request *r,
		       const struct attached *a, struct error *err);
static void plug_collect(const char *id, const char *type, void *data);
static void plug_print(const char *id, const char *type, void *data);

static int
plug_complain(const char *command, const struct error *err)
{
	(void)fprintf(stderr, "tatamictl %s: %s\n", command, err->msg);
	return err->code == ERROR_INVALID_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}

int
cmd_plug(int argc, char **argv)
{
	struct plug_request r = { .type = PLUG_BLK, .timeout_ms = CALL_TIMEOUT_S * 1000 };
	bool is_list = false, as_json = false;
	const struct command_option options[] = {
		{ "list", .flag = &is_list },
		{ "json", .flag = &as_json },
		{ "timeout", .timeout_ms = &r.timeout_ms },
	};
	const struct command_line line = {
		.usage = plug_usage,
		.options = options,
		.n_options = ARRAY_LEN(options),
		.operands_min = 1,
		.operands_max = 2,
	};
	struct error err = ERROR_INIT;
	struct vm_state state;
	struct qmp q = { .fd = -1 };
	json_t *list = NULL;
	int done, first = command_line_read(&line, argc, argv);

	if (first <= 0)
		return -first;
	if (argc - first != (is_list ? 1 : 2) || (as_json && !is_list)) {
		(void)fprintf(stderr, "%s", plug_usage);
		return EXIT_USAGE;
	}
	list = as_json ? json_array() : NULL;
	if (is_list) {
		done = state_read_alive(argv[first], &state, &err);
		if (done == 0)
			done = qmp_open(&q, state.dir, &err);
		if (done == 0)
			done = attach_list(&q, list ? plug_collect : plug_print, list, &err);
		qmp_close(&q);
		if (done == 0 && list) {
			(void)json_dumpf(list, stdout, JSON_INDENT(2));
			(void)putchar('\n');
		}
	} else {
		done = plug_parse(&r, argv[first + 1], &err);
		if (done == 0)
			done = state_read_alive(argv[first], &state, &err);
		if (done == 0)
			done = plug_do(&state, &r, &err);
	}
	json_decref(list);
	return done < 0 ? plug_complain(argv[0], &err) : 0;
}

static void
plug_collect(const char *id, const char *type, void *data)
{
	(void)json_array_append_new(data, json_pack("{s:s, s:s}", "id", id, "type", type));
}

static void
plug_print(const char *id, const char *type, void *data)
{
	(void)data;
	(void)printf("%s %s\n", id, type);
}

/* Parses "type=TYPE,KEY=VALUE...", which it changes, and looks an image up. */
static int
plug_parse(struct plug_request *r, char *text, struct error *err)
{
	static const struct {
		const char *name;
		/* keys: s source, r readonly, m mac, z size; a capital one is required */
		const char *keys;
	} types[] = {
		[PLUG_BLK] = { "blk", "Sr" }, [PLUG_SCSI] = { "scsi", "Sr" },
		[PLUG_NIC] = { "nic", "m" },  [PLUG_MEMORY] = { "memory", "Z" },
		[PLUG_CPU] = { "cpu", "" },
	};
	char *save = NULL, *word = strtok_r(text, ",", &save);
	const char *size = NULL;
	size_t t = 0;

	while (t < ARRAY_LEN(types) &&
	       !(word && strncmp(word, "type=", 5) == 0 && strcmp(word + 5, types[t].name) == 0))
		t++;
	if (t == ARRAY_LEN(types))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s: expected type=blk, scsi, nic, memory or cpu",
				 word ? word : "nothing given");
	r->type = (enum plug_type)t;
	while ((word = strtok_r(NULL, ",", &save)) != NULL) {
		char *value = strchr(word, '=');
		char key;

		if (value)
			*value++ = '\0';
		if (value && *value && (strcmp(word, "source") == 0 || strcmp(word, "src") == 0)) {
			r->source = value;
			key = 's';
		} else if (value && *value && strcmp(word, "mac") == 0) {
			r->mac = value;
			key = 'm';
		} else if (value && *value && strcmp(word, "size") == 0) {
			size = value;
			key = 'z';
		} else if (!value && (strcmp(word, "readonly") == 0 || strcmp(word, "ro") == 0)) {
			r->readonly = true;
			key = 'r';
		} else {
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "invalid key or value: %s%s%s", word, value ? "=" : "",
					 value ? value : "");
		}
		if (!strchr(types[t].keys, key) && !strchr(types[t].keys, key - 'a' + 'A'))
			return error_set(err, ERROR_INVALID_ARGUMENT, "type %s does not take %s",
					 types[t].name, word);
	}
	if (strchr(types[t].keys, 'S') && !r->source)
		return error_set(err, ERROR_INVALID_ARGUMENT, "type %s: source is missing",
				 types[t].name);
	if (r->source && volume_find_image(r->source, r->type == PLUG_SCSI ? SHARE_SCSI : SHARE_BLK,
					   r->readonly, r->image, err) < 0)
		return -1;
	if (strchr(types[t].keys, 'Z') && (!size || !quantity_parse(size, 0, INT64_MAX, &r->size) ||
					   r->size == 0 || r->size % MEMORY_UNIT))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "type memory: size must be a multiple of 128Mi");
	return 0;
}

static int
plug_do(const struct vm_state *state, const struct plug_request *r, struct error *err)
{
	struct qmp q = { .fd = -1 };
	struct attached a;
	int done = qmp_open(&q, state->dir, err);

	if (done == 0) {
		switch (r->type) {
		case PLUG_BLK:
		case PLUG_SCSI:
			done = attach_disk(&q, r->type == PLUG_BLK ? SHARE_BLK : SHARE_SCSI,
					   r->image, r->readonly, &a, err);
			break;
		case PLUG_NIC:
			done = attach_nic(&q, r->mac, &a, err);
			break;
		case PLUG_MEMORY:
			done = attach_memory(&q, r->size, &a, err);
			break;
		case PLUG_CPU:
			done = attach_cpu(&q, &a, err);
			break;
		}
		if (done == 0 && (r->type == PLUG_MEMORY || r->type == PLUG_CPU) &&
		    plug_online(state, r, &a, err) < 0) {
			struct error ignored = ERROR_INIT;

			(void)attach_remove(&q, a.id, DETACH_TIMEOUT_S * 1000, &ignored);
			done = -1;
		}
	}
	qmp_close(&q);
	if (done == 0)
		(void)printf("%s%s%s\n", a.id, a.address[0] ? " " : "", a.address);
	return done;
}

/* Lets the guest bring memory or a processor online. */
static int
plug_online(const struct vm_state *state, const struct plug_request *r, const struct attached *a,
	    struct error *err)
{
	Grpc__OnlineCPUMemRequest q = GRPC__ONLINE_CPUMEM_REQUEST__INIT;
	struct ttrpc_client *client = ttrpc_client_dial(state->address, r->timeout_ms, err);
	int done;

	if (!client)
		return -1;
	if (r->type == PLUG_CPU) {
		q.nb_cpus = a->total;
		q.cpu_only = true;
	}
	done = ttrpc_client_call(client, &grpc__agent_service__descriptor, "OnlineCPUMem", &q.base,
				 r->timeout_ms, NULL, err);
	ttrpc_client_free(client);
	return done < 0 ? error_wrap(err, "OnlineCPUMem") : 0;
}

int
cmd_unplug(int argc, char **argv)
{
	int timeout_ms = DETACH_TIMEOUT_S * 1000;
	const struct command_option options[] = { { "timeout", .timeout_ms = &timeout_ms } };
	const struct command_line line = {
		.usage = unplug_usage,
		.options = options,
		.n_options = ARRAY_LEN(options),
		.operands_min = 2,
		.operands_max = 2,
	};
	struct error err = ERROR_INIT;
	struct vm_state state;
	struct qmp q = { .fd = -1 };
	int done, first = command_line_read(&line, argc, argv);

	if (first <= 0)
		return -first;
	done = state_read_alive(argv[first], &state, &err);
	if (done == 0)
		done = qmp_open(&q, state.dir, &err);
	if (done == 0)
		done = attach_remove(&q, argv[first + 1], timeout_ms, &err);
	qmp_close(&q);
	return done < 0 ? plug_complain(argv[0], &err) : 0;
}
