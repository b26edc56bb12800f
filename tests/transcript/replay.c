/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a transcript of what a runtime asks of an agent: replay ADDRESS FILE [NAME=VALUE...]. All calls go over one
 * connection, in the order of the file. What stands at the beginning of a line:
 *   call METHOD JSON          waits for the answer, which must be a success unless `fails` follows
 *   reply JSON                the last call's reply has these members; "~text": a string with text in it; ">": a
 *                             number over 0
 *   fails CODE text           the last call failed with this code, and text is part of the message
 *   start NAME METHOD JSON    begins a call and goes on
 *   pending NAME              it is not answered yet
 *   answer NAME JSON          waits for its answer, and compares as `reply` does
 *   refused NAME CODE text    waits for its failure, and compares as `fails` does
 *   read NAME METHOD JSON     begins to repeat a read until the stream ends
 *   data NAME JSON-STRING     waits for that, and compares all that was read
 * Lines that begin with a tab continue the one before; # begins a comment; ${NAME} is replaced. Exit code 1 with the
 * line's number at the first difference.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "ctl/json.h"
#include "health.pb-c.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/ttrpc/client.h"

#define ANSWER_MS   60000
#define PENDING_MAX 64

struct pending {
	char name[64];
	const ProtobufCServiceDescriptor *service;
	const char *method;
	ProtobufCMessage *request; /* of a read: sent again and again */
	ProtobufCMessage *reply;
	struct error failure;
	bool is_answered, is_read, is_used;
	char *data;
	size_t len;
};

struct replay {
	struct ttrpc_client *client;
	const char *file;
	unsigned int line;
	char *const *vars;
	struct pending pending[PENDING_MAX];
	struct pending last; /* of `call` */
	bool last_unchecked; /* it failed, and nobody has said that it shall */
	unsigned int calls;
};

static void __attribute__((format(printf, 2, 3), noreturn))
die(const struct replay *r, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%u: ", r->file, r->line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* ---- comparing ---- */

static bool
number_over_0(const json_t *got)
{
	if (json_is_string(got))
		return strtod(json_string_value(got), NULL) > 0;
	return json_is_number(got) && json_number_value(got) > 0;
}

static bool
same_text(const char *want, const json_t *got)
{
	const char *text = json_string_value(got);
	char number[32];

	if (strcmp(want, ">") == 0)
		return number_over_0(got);
	if (!text && json_is_integer(got)) {
		(void)snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(got));
		text = number;
	}
	if (!text)
		return false;
	return want[0] == '~' ? strstr(text, want + 1) != NULL : strcmp(want, text) == 0;
}

/* Is everything that is wanted there? */
static bool
matches(const json_t *want, const json_t *got)
{
	const char *key;
	json_t *value;
	size_t i;

	if (json_is_string(want))
		return same_text(json_string_value(want), got);
	if (json_is_integer(want) && json_is_string(got))
		return json_integer_value(want) == strtoll(json_string_value(got), NULL, 10);
	if (json_is_object(want)) {
		json_object_foreach(
			(json_t *)(uintptr_t)want, key,
			value) if (!json_object_get(got, key) ||
				   !matches(value, json_object_get(got, key))) return false;
		return json_is_object(got);
	}
	if (json_is_array(want)) {
		if (json_array_size(want) != json_array_size(got))
			return false;
		json_array_foreach(want, i,
				   value) if (!matches(value, json_array_get(got, i))) return false;
		return true;
	}
	return json_equal(want, got);
}

static json_t *
parse(const struct replay *r, const char *text)
{
	json_error_t why;
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);

	if (!json)
		die(r, "column %d: %s in %s", why.column, why.text, text);
	return json;
}

static void
compare_reply(const struct replay *r, const struct pending *p, const char *text)
{
	struct error err = ERROR_INIT;
	json_t *want = parse(r, text), *got;

	if (!p->reply)
		die(r, "%s failed: %s: %s", p->method, error_code_name(p->failure.code),
		    p->failure.msg);
	got = json_from_message(p->reply, &err);
	if (!got)
		die(r, "%s", err.msg);
	if (!matches(want, got))
		die(r, "%s replied %s\nwanted: %s", p->method, json_dumps(got, JSON_COMPACT), text);
	json_decref(want);
	json_decref(got);
}

static void
compare_failure(const struct replay *r, const struct pending *p, const char *text)
{
	const char *name = error_code_name(p->failure.code);
	size_t n = strcspn(text, " ");

	if (p->reply)
		die(r, "%s succeeded", p->method);
	if (strlen(name) != n || strncmp(name, text, n) != 0 ||
	    !strstr(p->failure.msg, text + n + (text[n] == ' ')))
		die(r, "%s failed: %s: %s\nwanted: %s", p->method, name, p->failure.msg, text);
}

/* ---- calling ---- */

static void
find_method(const struct replay *r, const char *name, struct pending *p)
{
	static const ProtobufCServiceDescriptor *const services[] = {
		&grpc__agent_service__descriptor,
		&grpc__health__descriptor,
	};

	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		const ProtobufCMethodDescriptor *m =
			protobuf_c_service_descriptor_get_method_by_name(services[i], name);

		if (!m)
			continue;
		p->service = services[i];
		p->method = m->name;
		return;
	}
	die(r, "no method %s", name);
}

/* Cuts the first word off. */
static char *
word(const struct replay *r, char **rest)
{
	char *begin = *rest, *end = begin + strcspn(begin, " ");

	if (end == begin)
		die(r, "something is missing here");
	if (*end)
		*end++ = '\0';
	*rest = end + strspn(end, " ");
	return begin;
}

/* METHOD JSON */
static void
make_request(const struct replay *r, char *text, struct pending *p)
{
	struct error err = ERROR_INIT;
	const ProtobufCMethodDescriptor *m;
	json_t *json;

	find_method(r, word(r, &text), p);
	m = protobuf_c_service_descriptor_get_method_by_name(p->service, p->method);
	json = parse(r, *text ? text : "{}");
	p->request = json_to_message(m->input, json, &err);
	if (!p->request)
		die(r, "%s", err.msg);
	json_decref(json);
}

static void on_answer(void *data, ProtobufCMessage *reply, const struct error *failure);

static void
send_request(struct replay *r, struct pending *p)
{
	struct error err = ERROR_INIT;

	r->calls++;
	if (!ttrpc_client_start(r->client, p->service, p->method, p->request, 0, on_answer, p,
				&err))
		die(r, "%s: %s", p->method, err.msg);
}

static struct replay *the_replay; /* for the callback of repeated reads */

static void
on_answer(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct pending *p = data;
	const Grpc__ReadStreamResponse *read = (const Grpc__ReadStreamResponse *)reply;

	if (!p->is_read || !reply || read->data.len == 0) {
		p->is_answered = true;
		p->reply = reply;
		if (!reply)
			p->failure = *failure;
		return;
	}
	p->data = realloc(p->data, p->len + read->data.len + 1);
	if (!p->data)
		abort();
	memcpy(p->data + p->len, read->data.data, read->data.len);
	p->len += read->data.len;
	p->data[p->len] = '\0';
	protobuf_c_message_free_unpacked(reply, NULL);
	send_request(the_replay, p);
}

static void
wait_for(struct replay *r, const struct pending *p)
{
	struct error err = ERROR_INIT;

	while (!p->is_answered)
		if (ttrpc_client_poll(r->client, ANSWER_MS, &err) <= 0)
			die(r, "%s is not answered: %s", p->method, err.msg);
}

static void
forget(struct pending *p)
{
	if (p->reply)
		protobuf_c_message_free_unpacked(p->reply, NULL);
	if (p->request)
		protobuf_c_message_free_unpacked(p->request, NULL);
	free(p->data);
	*p = (struct pending){ 0 };
}

static struct pending *
named(struct replay *r, const char *name, bool make)
{
	struct pending *unused = NULL;

	for (size_t i = 0; i < PENDING_MAX; i++) {
		if (r->pending[i].is_used && strcmp(r->pending[i].name, name) == 0)
			return make ? NULL : &r->pending[i];
		if (!r->pending[i].is_used && !unused)
			unused = &r->pending[i];
	}
	if (!make || !unused)
		return NULL;
	unused->is_used = true;
	(void)snprintf(unused->name, sizeof(unused->name), "%s", name);
	return unused;
}

static struct pending *
find_named(struct replay *r, char **rest, bool make)
{
	const char *name = word(r, rest);
	struct pending *p = named(r, name, make);

	if (!p)
		die(r, make ? "%s is under way already" : "there is no %s", name);
	return p;
}

/* ---- the file ---- */

static void
end_call(const struct replay *r)
{
	if (r->last_unchecked)
		die(r, "before this: %s failed: %s: %s", r->last.method,
		    error_code_name(r->last.failure.code), r->last.failure.msg);
}

static void
do_call(struct replay *r, char *rest)
{
	end_call(r);
	forget(&r->last);
	make_request(r, rest, &r->last);
	send_request(r, &r->last);
	wait_for(r, &r->last);
	r->last_unchecked = !r->last.reply;
}

static void
do_start(struct replay *r, char *rest, bool is_read)
{
	struct pending *p = find_named(r, &rest, true);

	end_call(r);
	make_request(r, rest, p);
	p->is_read = is_read;
	send_request(r, p);
}

static void
do_pending(struct replay *r, char *rest)
{
	struct pending *p = find_named(r, &rest, false);
	struct error err = ERROR_INIT;

	while (ttrpc_client_poll(r->client, 0, &err) > 0)
		continue;
	if (p->is_answered)
		die(r, "%s is answered: %s", p->method, p->reply ? "it succeeded" : p->failure.msg);
}

static void
do_answer(struct replay *r, char *rest, const char *what)
{
	struct pending *p = find_named(r, &rest, false);
	json_t *want, *got;

	wait_for(r, p);
	if (strcmp(what, "answer") == 0) {
		compare_reply(r, p, rest);
	} else if (strcmp(what, "refused") == 0) {
		compare_failure(r, p, rest);
	} else {
		want = parse(r, rest);
		got = json_string(p->data ? p->data : "");
		if (!matches(want, got))
			die(r, "%s read: %s", p->method, p->data ? p->data : "(nothing)");
		json_decref(want);
		json_decref(got);
	}
	forget(p);
}

static void
do_line(struct replay *r, char *text)
{
	const char *what = word(r, &text);

	if (strcmp(what, "call") == 0) {
		do_call(r, text);
	} else if (strcmp(what, "reply") == 0) {
		compare_reply(r, &r->last, text);
	} else if (strcmp(what, "fails") == 0) {
		compare_failure(r, &r->last, text);
		r->last_unchecked = false;
	} else if (strcmp(what, "start") == 0 || strcmp(what, "read") == 0) {
		do_start(r, text, what[0] == 'r');
	} else if (strcmp(what, "pending") == 0) {
		do_pending(r, text);
	} else if (strcmp(what, "answer") == 0 || strcmp(what, "refused") == 0 ||
		   strcmp(what, "data") == 0) {
		do_answer(r, text, what);
	} else {
		die(r, "what is '%s'?", what);
	}
}

/* Appends text with ${NAME} replaced. */
static void
append(const struct replay *r, struct buf *out, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "$");
		const char *value = NULL;
		size_t len;

		if (text[n] != '$' || text[n + 1] != '{') {
			n += text[n] == '$';
			if (buf_append(out, text, n) < 0)
				die(r, "out of memory");
			text += n;
			continue;
		}
		if (buf_append(out, text, n) < 0)
			die(r, "out of memory");
		text += n + 2;
		len = strcspn(text, "}");
		for (char *const *v = r->vars; *v && !value; v++)
			if (strncmp(*v, text, len) == 0 && (*v)[len] == '=')
				value = *v + len + 1;
		if (!value)
			die(r, "no value for ${%.*s}", (int)len, text);
		if (buf_append(out, value, strlen(value)) < 0)
			die(r, "out of memory");
		text += len + (text[len] == '}');
	}
}

static void
run(struct replay *r, FILE *f)
{
	struct buf text;
	char *line = NULL;
	size_t size = 0;
	unsigned int n = 0;
	ssize_t len;

	buf_init(&text, 4u << 20);
	do {
		len = getline(&line, &size, f);
		n++;
		if (len > 0 && line[len - 1] == '\n')
			line[--len] = '\0';
		if (len > 0 && line[0] == '\t') {
			append(r, &text, line);
			continue;
		}
		if (text.len > 0) {
			if (buf_append(&text, "", 1) < 0)
				die(r, "out of memory");
			do_line(r, (char *)text.data + text.off);
			buf_release(&text);
			buf_init(&text, 4u << 20);
		}
		r->line = n;
		if (len > 0 && line[0] != '#')
			append(r, &text, line);
	} while (len >= 0);
	end_call(r);
	free(line);
	buf_release(&text);
}

int
main(int argc, char **argv)
{
	static struct replay r;
	struct error err = ERROR_INIT;
	FILE *f;

	if (argc < 3) {
		fprintf(stderr, "usage: replay ADDRESS FILE [NAME=VALUE...]\n");
		return 2;
	}
	r.file = argv[2];
	r.vars = argv + 3;
	the_replay = &r;
	f = fopen(argv[2], "re");
	if (!f) {
		perror(argv[2]);
		return 2;
	}
	r.client = ttrpc_client_dial(argv[1], ANSWER_MS, &err);
	if (!r.client)
		die(&r, "%s", err.msg);
	run(&r, f);
	printf("%s: %u calls\n", r.file, r.calls);
	for (size_t i = 0; i < PENDING_MAX; i++)
		forget(&r.pending[i]);
	forget(&r.last);
	ttrpc_client_free(r.client);
	(void)fclose(f);
	return 0;
}
