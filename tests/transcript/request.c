/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of a transcript: [MANNER...] METHOD JSON becomes a message and its properties. */
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "ctl/json/base64.h"
#include "ctl/json/json.h"
#include "health.pb-c.h"
#include "lib/cleanup.h"
#include "lib/parse.h"
#include "tests/transcript/replay.h"

/* Expands {"bytes", "first64"} to base64 of that many bytes. */
static json_t *
request_expand_bytes(const struct replay *r, const json_t *cut)
{
	const json_t *first = json_object_get(cut, "first64");
	size_t total = (size_t)json_integer_value(json_object_get(cut, "bytes")), n = 0;
	auto_free uint8_t *from = NULL;
	auto_free uint8_t *all = malloc(total + 1);
	auto_free char *text = NULL;

	if (json_is_string(first))
		from = base64_decode(json_string_value(first), json_string_length(first), &n);
	if (!from || !all || n == 0)
		die(r, "invalid bytes");
	for (size_t i = 0; i < total; i++)
		all[i] = from[i % n];
	text = base64_encode(all, total);
	return json_string(text);
}

static void
request_expand(const struct replay *r, json_t *json)
{
	const char *key;
	json_t *value;
	size_t i;

	json_array_foreach(json, i, value) request_expand(r, value);
	json_object_foreach(json, key, value)
	{
		if (json_object_size(value) == 2 && json_object_get(value, "first64"))
			json_object_set_new(json, key, request_expand_bytes(r, value));
		else
			request_expand(r, value);
	}
}

/* Applies --share and --tag. */
static bool
request_move_shares(const struct replay *r, json_t *request)
{
	json_t *storage;
	bool changed = false;
	size_t i;

	json_array_foreach(json_object_get(request, "storages"), i, storage)
	{
		const char *driver = json_string_value(json_object_get(storage, "driver"));

		if (!driver || (strcmp(driver, "virtio-fs") != 0 && strcmp(driver, "9p") != 0))
			continue;
		if (r->tag && strcmp(driver, "virtio-fs") == 0) {
			json_object_set_new(storage, "source", json_string(r->tag));
			changed = true;
		}
		if (!r->share)
			continue;
		json_object_set_new(storage, "driver", json_string("bind"));
		json_object_set_new(storage, "fstype", json_string("bind"));
		json_object_set_new(storage, "source", json_string(r->share));
		json_object_set_new(storage, "options", json_pack("[s]", "rbind"));
		changed = true;
	}
	return changed;
}

static bool
request_method(const char *name, struct pending *p)
{
	static const ProtobufCServiceDescriptor *const services[] = {
		&grpc__agent_service__descriptor,
		&grpc__health__descriptor,
	};

	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		p->service = services[i];
		p->method = protobuf_c_service_descriptor_get_method_by_name(services[i], name);
		if (p->method)
			return true;
	}
	return false;
}

char *
request_word(const struct replay *r, char **rest)
{
	char *begin = *rest, *end;

	begin += strspn(begin, " \t");
	end = begin + strcspn(begin, " \t");
	if (end == begin)
		die(r, "the line is too short");
	if (*end)
		*end++ = '\0';
	*rest = end + strspn(end, " \t");
	return begin;
}

unsigned int
request_number(const struct replay *r, const char *text)
{
	uint32_t n;

	if (!parse_u32(text, &n))
		die(r, "invalid number \"%s\"", text);
	return n;
}

/* Parses one word before the method. Returns false if it is the method. */
static bool
request_manner(const struct replay *r, char *text, struct manner *m)
{
	size_t len = strlen(text);
	char *value = strchr(text, '=');

	if (text[0] == '@') {
		m->conn = request_number(r, text + 1);
	} else if (text[0] == '+') {
		m->length = request_number(r, text + 1);
	} else if (value) {
		if (m->n_metadata == METADATA_MAX)
			die(r, "more than %d pairs of metadata", METADATA_MAX);
		*value++ = '\0';
		(void)snprintf(m->key[m->n_metadata], sizeof(m->key[0]), "%s", text);
		(void)snprintf(m->value[m->n_metadata++], sizeof(m->value[0]), "%s", value);
	} else if (text[0] >= '0' && text[0] <= '9' && text[len - 1] == 's') {
		text[len - 1] = '\0';
		m->timeout_ns = (int64_t)request_number(r, text) * 1000000000;
	} else {
		return false;
	}
	return true;
}

void
request_make(const struct replay *r, char *text, struct pending *p)
{
	struct error err = ERROR_INIT;
	json_t *json;
	char *name;

	p->manner = (struct manner){ .conn = 1 };
	do
		name = request_word(r, &text);
	while (request_manner(r, name, &p->manner));
	if (!request_method(name, p))
		die(r, "unknown method \"%s\"", name);
	json = compare_parse(r, *text ? text : "{}");
	request_expand(r, json);
	if (strcmp(name, "CreateSandbox") == 0 && request_move_shares(r, json))
		p->manner.length = 0;
	p->request = json_to_message(p->method->input, json, &err);
	if (!p->request)
		die(r, "%s", err.msg);
	json_decref(json);
}
