/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user of an exec. The files are read through the agent, not by the field of the protocol for a
 * name, which some agents ignore: they would run the process as root.
 */
#include "ctl/commands/exec_user.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "ctl/commands/commands.h"
#include "ctl/image/image.h"
#include "ctl/spec/spec.h"
#include "lib/arena.h"
#include "lib/deadline.h"
#include "lib/parse.h"
#include "lib/ttrpc/client.h"

#define CHUNK    (64u << 10)
#define FILE_MAX (1u << 20)

struct reader {
	struct ttrpc_client *client;
	const char *container;
	char exec_id[64];
	struct arena *arena;
	struct error *err;
	int timeout_ms;
};

static int exec_user_read(struct reader *r, const char *file, const char **out);
static int exec_user_output(struct reader *r, char *out, size_t size);

/* Returns whether the text is UID:GID. */
static bool
exec_user_is_numbers(const char *text, struct account *out)
{
	const char *colon = strchr(text, ':');
	char uid[16];

	if (!colon || (size_t)(colon - text) >= sizeof(uid))
		return false;
	(void)snprintf(uid, sizeof(uid), "%.*s", (int)(colon - text), text);
	return parse_u32(uid, &out->uid) && parse_u32(colon + 1, &out->gid);
}

int
exec_user_find(struct ttrpc_client *client, const struct vm_state *state, const char *container,
	       const char *text, int timeout_ms, struct account *out, struct error *err)
{
	const char *passwd = NULL, *group = NULL;
	struct reader r = {
		.client = client, .container = container, .err = err, .timeout_ms = timeout_ms
	};
	struct arena a;
	int done;

	*out = (struct account){ 0 };
	if (exec_user_is_numbers(text, out))
		return 0;
	arena_init(&a, 4 * FILE_MAX);
	r.arena = &a;
	done = exec_user_read(&r, "/etc/passwd", &passwd);
	if (done == 0 && passwd)
		done = exec_user_read(&r, "/etc/group", &group);
	if (done == 0 && passwd)
		done = account_find(text, passwd, group ? group : "", out, err);
	else if (done == 0 && state->rootfs[0] && strcmp(container, state->container) == 0)
		done = image_find_user_at(state->rootfs, text, out, err);
	else if (done == 0 && account_find(text, "", "", out, err) < 0)
		done = error_set(err, ERROR_INVALID_ARGUMENT,
				 "user %.64s: the container has no cat to read /etc/passwd: give a "
				 "number",
				 text);
	arena_release(&a);
	return done;
}

/* Runs `cat` in the container. Sets *out to the content of the file, "" if there is none, or leaves
 * it NULL if there is no cat. */
static int
exec_user_read(struct reader *r, const char *file, const char **out)
{
	char *args[] = { (char *)(uintptr_t) "cat", (char *)(uintptr_t)file, NULL };
	const char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
				    "/sbin:/bin" };
	struct container_options o = { .args = args, .env = env, .n_env = 1, .cwd = "/" };
	Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;
	char *text = arena_alloc(r->arena, FILE_MAX);

	(void)snprintf(r->exec_id, sizeof(r->exec_id), "user-%d-%llu", (int)getpid(),
		       (unsigned long long)monotonic_ns());
	q.container_id = (char *)(uintptr_t)r->container;
	q.exec_id = r->exec_id;
	q.process = spec_process(r->arena, &o);
	if (!q.process || !text)
		return error_nomem(r->err, "looking up a user");
	if (ttrpc_client_call(r->client, &grpc__agent_service__descriptor, "ExecProcess", &q.base,
			      r->timeout_ms, NULL, r->err) < 0) {
		if (exit_code_of(r->err) == EXIT_FAILED)
			return error_wrap(r->err, "failed to look up a user");
		*r->err = (struct error)ERROR_INIT;
		return 0;
	}
	if (exec_user_output(r, text, FILE_MAX) < 0)
		return error_wrap(r->err, "failed to read %s of the container", file);
	*out = text;
	return 0;
}

/* Reads the output of the process until its end, as a text: "" if it fails. */
static int
exec_user_output(struct reader *r, char *out, size_t size)
{
	Grpc__ReadStreamRequest q = GRPC__READ_STREAM_REQUEST__INIT;
	Grpc__WaitProcessRequest w = GRPC__WAIT_PROCESS_REQUEST__INIT;
	ProtobufCMessage *reply;
	size_t n = 0;
	int status;

	q.container_id = w.container_id = (char *)(uintptr_t)r->container;
	q.exec_id = w.exec_id = r->exec_id;
	q.len = CHUNK;
	for (;;) {
		struct error end = ERROR_INIT;
		size_t got = 0;

		reply = NULL;
		/* A failed read ends the stream. */
		if (ttrpc_client_call(r->client, &grpc__agent_service__descriptor, "ReadStdout",
				      &q.base, r->timeout_ms, &reply, &end) == 0) {
			const ProtobufCBinaryData *data =
				&((Grpc__ReadStreamResponse *)reply)->data;

			got = data->len < size - 1 - n ? data->len : size - 1 - n;
			if (got)
				memcpy(out + n, data->data, got);
			n += got;
		}
		if (reply)
			protobuf_c_message_free_unpacked(reply, NULL);
		if (got == 0)
			break;
	}
	out[n] = '\0';
	if (n == size - 1)
		return error_set(r->err, ERROR_RESOURCE_EXHAUSTED, "larger than %zu bytes", n);
	if (ttrpc_client_call(r->client, &grpc__agent_service__descriptor, "WaitProcess", &w.base,
			      r->timeout_ms, &reply, r->err) < 0)
		return -1;
	status = ((Grpc__WaitProcessResponse *)reply)->status;
	protobuf_c_message_free_unpacked(reply, NULL);
	if (status != 0)
		out[0] = '\0';
	return 0;
}
