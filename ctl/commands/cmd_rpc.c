/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls any method, with JSON as input and output. Methods come from the generated descriptors;
 * none is known here by name.
 */
#include "ctl/commands/cmd_rpc.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "ctl/commands/command_line.h"
#include "ctl/json/json.h"
#include "ctl/spec/oci_config.h"
#include "ctl/vm/state.h"
#include "health.pb-c.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/pbfield.h"
#include "lib/ttrpc/address.h"
#include "lib/ttrpc/client.h"

/* Time for the connection, unless --timeout is given. */
#define CONNECT_TIMEOUT_MS 60000

enum {
	EXIT_OK = 0,
	EXIT_STATUS = 1,
	EXIT_USAGE = 2,
	EXIT_TRANSPORT = 125,
};

static const ProtobufCServiceDescriptor *const services[] = {
	&grpc__agent_service__descriptor,
	&grpc__health__descriptor,
};

/* A method and the service it belongs to. */
struct method {
	const ProtobufCServiceDescriptor *service;
	const ProtobufCMethodDescriptor *method;
};

static const char rpc_usage[] =
	"usage: tatamictl rpc [OPTION]… NAME|ADDRESS METHOD [JSON|@FILE|-]\n"
	"       tatamictl rpc --list [METHOD | --json]\n"
	"\n"
	"Calls a method of an agent and prints the reply as JSON. The request is a JSON\n"
	"object with the field names of the protocol (default {}); @FILE reads it from a\n"
	"file, - from standard input. Bytes are base64, 64-bit numbers may be strings.\n"
	"CreateContainer takes a config.json of the OCI specification as well, alone or as\n"
	"its OCI.\n"
	"\n"
	"  --list             list all methods, or show the messages of one\n"
	"  --json             with --list, an array of objects\n"
	"  --timeout SECONDS  fail after this time (default: never)\n"
	"  --raw              write only the contents of the reply's bytes field\n"
	"  --compact          print the reply on one line\n"
	"  --id ID            the container that a config.json creates (default: the name\n"
	"                     of its directory, or container)\n"
	"  -h, --help         print this\n"
	"\n"
	"NAME:    a VM of `tatamictl boot` or `pod`\n"
	"ADDRESS: unix:///PATH  vsock://CID:PORT  tcp://HOST:PORT  hvsock:///PATH:PORT\n"
	"METHOD:  CreateContainer, or with its service: grpc.Health/Check\n"
	"Exit code: 0 success, 1 the call failed, 2 usage, 125 no connection.\n";

struct options {
	bool list, json, raw, compact;
	/* container of a config.json, or NULL */
	const char *id;
	/* -1: no timeout */
	int timeout_ms;
};

static int rpc_read_options(int argc, char **argv, struct options *o);
static int rpc_list_methods(bool as_json);
static int rpc_show_method(const char *name);
static int rpc_call(const char *address_text, const char *name, const char *json,
		    const struct options *o);
static bool rpc_find_method(const char *name, struct method *out);
static ProtobufCMessage *rpc_read_request(const struct method *m, const char *arg,
					  const struct options *o);
static ProtobufCMessage *rpc_read_container(json_t *json, const char *arg, const struct options *o,
					    struct error *err);
static void rpc_container_id(const char *arg, const struct options *o, char *out, size_t size);
static int rpc_perform(struct ttrpc_client *client, const struct method *m,
		       const ProtobufCMessage *request, const struct options *o);
static int rpc_print_reply(const ProtobufCMessage *reply, const struct options *o);

static int
rpc_complain(int code, const struct error *err)
{
	fprintf(stderr, "tatamictl: %s\n", err->msg);
	return code;
}

int
cmd_rpc(int argc, char **argv)
{
	struct options o = { .timeout_ms = -1 };
	int first = rpc_read_options(argc, argv, &o);

	if (first <= 0)
		return -first;
	argc -= first;
	argv += first;
	if (o.list && (argc == 0 || (argc == 1 && !o.json)))
		return argc ? rpc_show_method(argv[0]) : rpc_list_methods(o.json);
	if (o.list || o.json || argc < 2) {
		(void)fputs(rpc_usage, stderr);
		return EXIT_USAGE;
	}
	return rpc_call(argv[0], argv[1], argc == 3 ? argv[2] : "{}", &o);
}

/* Returns what command_line_read() returns. */
static int
rpc_read_options(int argc, char **argv, struct options *o)
{
	const struct command_option options[] = {
		{ "list", .flag = &o->list },
		{ "json", .flag = &o->json },
		{ "timeout", .timeout_ms = &o->timeout_ms },
		{ "raw", .flag = &o->raw },
		{ "compact", .flag = &o->compact },
		{ "id", .text = &o->id },
	};
	const struct command_line line = {
		.usage = rpc_usage,
		.options = options,
		.n_options = ARRAY_LEN(options),
		.operands_max = 3,
		.is_prefix = true,
	};

	return command_line_read(&line, argc, argv);
}

/* ---- --list ---- */

static int
rpc_list_methods(bool as_json)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		if (!as_json)
			printf("%s\n", services[i]->name);
		for (unsigned j = 0; j < services[i]->n_methods; j++) {
			const ProtobufCMethodDescriptor *m = &services[i]->methods[j];

			if (as_json)
				(void)json_array_append_new(
					list,
					json_pack("{s:s, s:s, s:s, s:s}", "service",
						  services[i]->name, "method", m->name, "request",
						  m->input->name, "response", m->output->name));
			else
				printf("  %-30s %s -> %s\n", m->name, m->input->short_name,
				       m->output->short_name);
		}
	}
	if (as_json) {
		(void)json_dumpf(list, stdout, JSON_INDENT(2));
		(void)putchar('\n');
	}
	json_decref(list);
	return EXIT_OK;
}

static const char *
rpc_type_name(const ProtobufCFieldDescriptor *f)
{
	static const char *const names[] = {
		[PROTOBUF_C_TYPE_INT32] = "int32",   [PROTOBUF_C_TYPE_INT64] = "int64",
		[PROTOBUF_C_TYPE_UINT32] = "uint32", [PROTOBUF_C_TYPE_UINT64] = "uint64",
		[PROTOBUF_C_TYPE_BOOL] = "bool",     [PROTOBUF_C_TYPE_STRING] = "string",
		[PROTOBUF_C_TYPE_BYTES] = "bytes",
	};

	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		return ((const ProtobufCMessageDescriptor *)f->descriptor)->name;
	if (f->type == PROTOBUF_C_TYPE_ENUM)
		return ((const ProtobufCEnumDescriptor *)f->descriptor)->name;
	return f->type < ARRAY_LEN(names) && names[f->type] ? names[f->type] : "number";
}

/* Prints the fields of a message and, indented below each, the fields of its type. No message
 * type contains itself; the depth is limited nevertheless. */
static void
rpc_show_message(const ProtobufCMessageDescriptor *desc, int depth)
{
	for (unsigned i = 0; i < desc->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &desc->fields[i];
		const ProtobufCMessageDescriptor *inner = f->descriptor;
		bool map = pbfield_is_map(f);
		const ProtobufCFieldDescriptor *shown = map ? &inner->fields[1] : f;

		printf("%*s%s: %s%s%s\n", 2 * depth, "", f->name, map ? "{name: " : "",
		       rpc_type_name(shown),
		       map                                     ? "}"
		       : f->label == PROTOBUF_C_LABEL_REPEATED ? "[]"
							       : "");
		if (shown->type == PROTOBUF_C_TYPE_MESSAGE && depth < 10)
			rpc_show_message(shown->descriptor, depth + 1);
	}
}

static int
rpc_show_method(const char *name)
{
	struct method m;

	if (!rpc_find_method(name, &m))
		return EXIT_USAGE;
	printf("%s/%s\nrequest %s\n", m.service->name, m.method->name, m.method->input->name);
	rpc_show_message(m.method->input, 1);
	printf("response %s\n", m.method->output->name);
	rpc_show_message(m.method->output, 1);
	return EXIT_OK;
}

/* ---- a call ---- */

static int
rpc_call(const char *address_text, const char *name, const char *json, const struct options *o)
{
	struct error err = ERROR_INIT;
	struct ttrpc_client *client = NULL;
	struct address address;
	ProtobufCMessage *request;
	struct vm_state state;
	struct method m;
	int fd, rc = EXIT_TRANSPORT;

	if (!strstr(address_text, "://")) {
		if (state_read_alive(address_text, &state, &err) < 0)
			return rpc_complain(EXIT_TRANSPORT, &err);
		address_text = state.address;
	}
	if (address_parse(address_text, &address, &err) < 0)
		return rpc_complain(EXIT_USAGE, &err);
	if (!rpc_find_method(name, &m))
		return EXIT_USAGE;
	request = rpc_read_request(&m, json, o);
	if (!request)
		return EXIT_USAGE;
	fd = address_connect(&address, o->timeout_ms > 0 ? o->timeout_ms : CONNECT_TIMEOUT_MS,
			     &err);
	if (fd >= 0)
		client = ttrpc_client_new(fd, &err);
	if (client)
		rc = rpc_perform(client, &m, request, o);
	else
		rpc_complain(EXIT_TRANSPORT, &err);
	ttrpc_client_free(client);
	protobuf_c_message_free_unpacked(request, NULL);
	return rc;
}

/* "Check" or "grpc.Health/Check". */
static bool
rpc_find_method(const char *name, struct method *out)
{
	const char *slash = strchr(name, '/');

	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		if (slash && strncmp(services[i]->name, name, (size_t)(slash - name)) != 0)
			continue;
		if (slash && services[i]->name[slash - name])
			continue;
		out->service = services[i];
		out->method = protobuf_c_service_descriptor_get_method_by_name(
			services[i], slash ? slash + 1 : name);
		if (out->method)
			return true;
	}
	fprintf(stderr, "tatamictl: unknown method %s; see tatamictl rpc --list\n", name);
	return false;
}

/* Reads the request from the command line, a file or standard input. Returns NULL after printing
 * an error. */
static ProtobufCMessage *
rpc_read_request(const struct method *m, const char *arg, const struct options *o)
{
	struct error err = ERROR_INIT;
	ProtobufCMessage *request = NULL;
	json_t *json;

	if (strcmp(arg, "-") == 0)
		json = json_read_file(arg, &err);
	else if (arg[0] == '@')
		json = json_read_file(arg + 1, &err);
	else
		json = json_parse(arg, strlen(arg), &err);
	if (json && m->method->input == &grpc__create_container_request__descriptor)
		request = rpc_read_container(json, arg, o, &err);
	else if (json)
		request = json_to_message(m->method->input, json, &err);
	json_decref(json);
	if (!request)
		rpc_complain(EXIT_USAGE, &err);
	return request;
}

/* Reads a request of CreateContainer: the protocol's, whose member OCI may be in the form of
 * config.json, or config.json alone. */
static ProtobufCMessage *
rpc_read_container(json_t *json, const char *arg, const struct options *o, struct error *err)
{
	bool is_config = oci_config_is(json);
	json_t *oci = is_config ? json : json_object_get(json, "OCI"), *others;
	Grpc__CreateContainerRequest *request;
	struct oci_config config;
	char id[256] = "";

	if (!oci_config_is(oci))
		return json_to_message(&grpc__create_container_request__descriptor, json, err);
	if (oci_config_read(&config, oci, err) < 0)
		return NULL;
	if (is_config)
		rpc_container_id(arg, o, id, sizeof(id));
	others = is_config ? json_pack("{s:s, s:s}", "container_id", id, "exec_id", id)
			   : json_copy(json);
	(void)json_object_del(others, "OCI");
	request = (Grpc__CreateContainerRequest *)json_to_message(
		&grpc__create_container_request__descriptor, others, err);
	json_decref(others);
	if (request) {
		request->oci = config.spec;
		config.spec = NULL;
	}
	if (request && config.ignored[0])
		(void)fprintf(stderr, "tatamictl rpc: ignored: %s\n", config.ignored);
	if (request && is_config && !o->id)
		(void)fprintf(stderr, "tatamictl rpc: the container is \"%s\" (see --id)\n", id);
	oci_config_release(&config);
	return (ProtobufCMessage *)request;
}

/* Writes the id of a container that config.json does not name: that of the option, or the name of
 * the bundle's directory. */
static void
rpc_container_id(const char *arg, const struct options *o, char *out, size_t size)
{
	char path[PATH_MAX], *slash;

	(void)snprintf(out, size, "%s", o->id ? o->id : "container");
	if (o->id || arg[0] != '@' || !realpath(arg + 1, path))
		return;
	slash = strrchr(path, '/');
	*slash = '\0';
	slash = strrchr(path, '/');
	if (slash && container_id_is_valid(slash + 1))
		(void)snprintf(out, size, "%s", slash + 1);
}

static int
rpc_perform(struct ttrpc_client *client, const struct method *m, const ProtobufCMessage *request,
	    const struct options *o)
{
	struct error err = ERROR_INIT;
	ProtobufCMessage *reply = NULL;
	int rc;

	if (ttrpc_client_call(client, m->service, m->method->name, request, o->timeout_ms, &reply,
			      &err) < 0) {
		if (ttrpc_client_is_broken(client))
			return rpc_complain(EXIT_TRANSPORT, &err);
		fprintf(stderr, "tatamictl: %s: %s: %s\n", m->method->name,
			error_code_name(err.code), err.msg);
		return EXIT_STATUS;
	}
	rc = rpc_print_reply(reply, o);
	protobuf_c_message_free_unpacked(reply, NULL);
	return rc;
}

static int
rpc_write_raw(const ProtobufCMessage *reply)
{
	const ProtobufCMessageDescriptor *desc = reply->descriptor;

	for (unsigned i = 0; i < desc->n_fields; i++) {
		const ProtobufCBinaryData *bytes =
			(const void *)((const uint8_t *)reply + desc->fields[i].offset);

		if (desc->fields[i].type != PROTOBUF_C_TYPE_BYTES ||
		    desc->fields[i].label == PROTOBUF_C_LABEL_REPEATED)
			continue;
		if (write_full(STDOUT_FILENO, bytes->data, bytes->len) == 0)
			return EXIT_OK;
		fprintf(stderr, "tatamictl: failed to write to standard output: %s\n",
			strerror(errno));
		return EXIT_STATUS;
	}
	fprintf(stderr, "tatamictl: %s has no bytes field\n", desc->name);
	return EXIT_USAGE;
}

static int
rpc_print_reply(const ProtobufCMessage *reply, const struct options *o)
{
	struct error err = ERROR_INIT;
	json_t *json;
	int rc;

	if (o->raw)
		return rpc_write_raw(reply);
	json = json_from_message(reply, &err);
	if (!json)
		return rpc_complain(EXIT_STATUS, &err);
	rc = json_dumpf(json, stdout, o->compact ? JSON_COMPACT : JSON_INDENT(2));
	json_decref(json);
	if (rc < 0 || putchar('\n') == EOF || fflush(stdout) == EOF) {
		fputs("tatamictl: failed to write to standard output\n", stderr);
		return EXIT_STATUS;
	}
	return EXIT_OK;
}
