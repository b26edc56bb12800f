/* SPDX-License-Identifier: Apache-2.0 */
/* The client on a socketpair, with the test as the server. */
#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "health.pb-c.h"
#include "lib/buf.h"
#include "lib/io.h"
#include "lib/ttrpc/address.h"
#include "lib/ttrpc/client.h"
#include "lib/ttrpc/envelope.h"
#include "lib/ttrpc/frame.h"
#include "tests/support/check.h"
#include "ttrpc.pb-c.h"

static const ProtobufCServiceDescriptor *const agent = &grpc__agent_service__descriptor;
static const ProtobufCServiceDescriptor *const health = &grpc__health__descriptor;
static struct ttrpc_client *client;
static int server;

static void
setup(void)
{
	struct error err = ERROR_INIT;
	int pair[2];

	REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	client = ttrpc_client_new(pair[0], &err);
	REQUIRE_NE(client, NULL, "%s", err.msg);
	server = pair[1];
}

static void
teardown(void)
{
	ttrpc_client_free(client);
	if (server >= 0)
		close(server);
}

TestSuite(client, .init = setup, .fini = teardown);

/* Returns the next request, to be freed with ttrpc__request__free_unpacked(). */
static Ttrpc__Request *
serve(uint32_t *stream)
{
	uint8_t head[FRAME_HEADER_SIZE], body[4096];
	struct frame_header h;
	Ttrpc__Request *request;

	REQUIRE_EQ(read_full(server, head, sizeof(head)), sizeof(head));
	frame_header_decode(&h, head);
	REQUIRE_EQ(h.type, FRAME_REQUEST);
	REQUIRE_LE(h.length, sizeof(body));
	REQUIRE_EQ(read_full(server, body, h.length), h.length);
	request = ttrpc__request__unpack(NULL, h.length, body);
	REQUIRE_NE(request, NULL);
	*stream = h.stream;
	return request;
}

static void
put(const struct buf *out)
{
	REQUIRE_EQ(write_full(server, buf_head(out), buf_len(out)), 0);
}

static void
answer(uint32_t stream, int32_t status)
{
	Grpc__WaitProcessResponse reply = GRPC__WAIT_PROCESS_RESPONSE__INIT;
	struct error err = ERROR_INIT;
	struct buf out;

	reply.status = status;
	buf_init(&out, 4096);
	REQUIRE_OK(envelope_append_reply(&out, stream, &reply.base, &err), &err);
	put(&out);
	buf_release(&out);
}

static uint32_t
start_wait_process(const char *id, ttrpc_reply_fn *fn, void *data)
{
	Grpc__WaitProcessRequest request = GRPC__WAIT_PROCESS_REQUEST__INIT;
	struct error err = ERROR_INIT;
	uint32_t call;

	request.container_id = (char *)id;
	call = ttrpc_client_start(client, agent, "WaitProcess", &request.base, 0, fn, data, &err);
	REQUIRE_NE(call, 0, "%s", err.msg);
	return call;
}

static int
result_of(uint32_t call)
{
	struct error err = ERROR_INIT;
	ProtobufCMessage *reply = NULL;
	int status;

	REQUIRE_OK(ttrpc_client_wait(client, call, 5000, &reply, &err), &err);
	REQUIRE_EQ(reply->descriptor, &grpc__wait_process_response__descriptor);
	status = ((Grpc__WaitProcessResponse *)reply)->status;
	protobuf_c_message_free_unpacked(reply, NULL);
	return status;
}

Test(client, request_as_sent)
{
	Grpc__CheckRequest check = GRPC__CHECK_REQUEST__INIT;
	struct error err = ERROR_INIT;
	Ttrpc__Request *request;
	uint32_t stream;

	REQUIRE_EQ(ttrpc_client_start(client, health, "Check", &check.base, 30000000000, NULL, NULL,
				      &err),
		   1);
	request = serve(&stream);
	CHECK_EQ(stream, 1);
	CHECK_STR(request->service, "grpc.Health");
	CHECK_STR(request->method, "Check");
	CHECK_EQ(request->timeout_nano, 30000000000);
	CHECK_EQ(request->payload.len, 0);
	ttrpc__request__free_unpacked(request, NULL);
}

Test(client, answers_in_any_order)
{
	uint32_t calls[100], stream;
	char id[16];

	for (size_t i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "c%zu", i);
		calls[i] = start_wait_process(id, NULL, NULL);
		REQUIRE_EQ(calls[i], 2 * i + 1, "ids are odd and increase");
	}
	CHECK_EQ(ttrpc_client_n_pending(client), 100);
	for (size_t i = 0; i < 100; i++)
		ttrpc__request__free_unpacked(serve(&stream), NULL);
	for (size_t i = 100; i-- > 0;)
		answer(calls[i], (int32_t)i);
	for (size_t i = 0; i < 100; i++)
		CHECK_EQ(result_of(calls[i * 37 % 100]), i * 37 % 100);
	CHECK_EQ(ttrpc_client_n_pending(client), 0);
}

struct got {
	int n, status;
	struct error failure;
};

static void
on_reply(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct got *got = data;

	got->n++;
	if (reply) {
		got->status = ((Grpc__WaitProcessResponse *)reply)->status;
		protobuf_c_message_free_unpacked(reply, NULL);
	} else {
		got->failure = *failure;
	}
}

Test(client, callbacks)
{
	struct got got[2] = { 0 };
	struct error err = ERROR_INIT, failure = ERROR_INIT;
	uint32_t a = start_wait_process("a", on_reply, &got[0]);
	uint32_t b = start_wait_process("b", on_reply, &got[1]);
	struct buf out;

	answer(b, 137);
	while (got[1].n == 0)
		REQUIRE_GE(ttrpc_client_poll(client, 5000, &err), 0, "%s", err.msg);
	CHECK_EQ(got[1].status, 137);
	CHECK_EQ(got[0].n, 0);
	buf_init(&out, 4096);
	error_set(&failure, ERROR_NOT_FOUND, "process %s not found", "x");
	REQUIRE_EQ(envelope_append_failure(&out, a, &failure), 0);
	put(&out);
	buf_release(&out);
	while (got[0].n == 0)
		REQUIRE_GE(ttrpc_client_poll(client, 5000, &err), 0, "%s", err.msg);
	CHECK_EQ(got[0].failure.code, ERROR_NOT_FOUND);
	CHECK_STR(got[0].failure.msg, "process x not found");
	CHECK_OK(ttrpc_client_poll(client, 0, &err), &err);
}

Test(client, timeout_then_answer)
{
	struct error err = ERROR_INIT;
	uint32_t call = start_wait_process("a", NULL, NULL);

	CHECK_EQ(ttrpc_client_wait(client, call, 1, NULL, &err), -1);
	CHECK_EQ(err.code, ERROR_DEADLINE_EXCEEDED);
	answer(call, 3);
	CHECK_EQ(result_of(call), 3);
	CHECK_EQ(ttrpc_client_wait(client, call, 1, NULL, &err), -1, "ended calls are gone");
	CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
}

Test(client, forgotten)
{
	uint32_t a = start_wait_process("a", NULL, NULL), b = start_wait_process("b", NULL, NULL);

	ttrpc_client_forget(client, a);
	CHECK_EQ(ttrpc_client_n_pending(client), 1);
	answer(a, 1);
	answer(b, 2);
	CHECK_EQ(result_of(b), 2);
}

Test(client, wrong_method_or_message)
{
	Grpc__CheckRequest check = GRPC__CHECK_REQUEST__INIT;
	struct error err = ERROR_INIT;

	CHECK_OK(ttrpc_client_start(client, health, "Chek", &check.base, 0, NULL, NULL, &err),
		 &err);
	CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
	CHECK_OK(ttrpc_client_start(client, agent, "WaitProcess", &check.base, 0, NULL, NULL, &err),
		 &err);
	CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
	CHECK_EQ(ttrpc_client_n_pending(client), 0);
}

Test(client, server_goes_away)
{
	struct got got = { 0 };
	struct error err = ERROR_INIT;
	uint32_t a = start_wait_process("a", NULL, NULL);
	uint32_t stream;

	(void)start_wait_process("b", on_reply, &got);
	ttrpc__request__free_unpacked(serve(&stream), NULL);
	ttrpc__request__free_unpacked(serve(&stream), NULL);
	close(server);
	server = -1;
	CHECK_EQ(ttrpc_client_wait(client, a, 5000, NULL, &err), -1);
	CHECK_EQ(err.code, ERROR_UNAVAILABLE);
	CHECK_STR(err.msg, "server closed the connection");
	CHECK_EQ(got.n, 1);
	CHECK_EQ(got.failure.code, ERROR_UNAVAILABLE);
	CHECK(ttrpc_client_is_broken(client));
	CHECK_EQ(ttrpc_client_n_pending(client), 0);
	CHECK_EQ(ttrpc_client_handle(client, &err), -1);
}

/* Answers of a malicious guest: each fails only its call. */
struct bad_row {
	const char *name;
	const char *payload;
	size_t n;
	uint8_t type;
};

static const struct bad_row bad_rows[] = {
	{ "not an envelope", "\xff\xff", 2, FRAME_RESPONSE },
	{ "reply of another shape", "\x12\x02\x0a\x00", 4, FRAME_RESPONSE },
	{ "NUL in the status", "\x0a\x05\x08\x05\x12\x01\0", 7, FRAME_RESPONSE },
};

static void
append_frame(struct buf *out, uint32_t stream, enum frame_type type, const void *payload, size_t n)
{
	const struct frame_header header = {
		.length = (uint32_t)n,
		.stream = stream,
		.type = (uint8_t)type,
	};
	uint8_t head[FRAME_HEADER_SIZE];

	frame_header_encode(&header, head);
	REQUIRE_EQ(buf_append(out, head, sizeof(head)), 0);
	REQUIRE_EQ(buf_append(out, payload, n), 0);
}

Test(client, bad_answers)
{
	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
		struct error err = ERROR_INIT;
		uint32_t call = start_wait_process("a", NULL, NULL);
		struct buf out;

		buf_init(&out, 4096);
		append_frame(&out, call, FRAME_DATA, "ignored", 7);
		append_frame(&out, call + 1000, FRAME_RESPONSE, "", 0);
		append_frame(&out, call, bad_rows[i].type, bad_rows[i].payload, bad_rows[i].n);
		put(&out);
		buf_release(&out);
		CHECK_EQ(ttrpc_client_wait(client, call, 5000, NULL, &err), -1);
		CHECK_EQ(err.code, ERROR_INTERNAL, "%s: %s", bad_rows[i].name, err.msg);
		call = start_wait_process("b", NULL, NULL);
		answer(call, 9);
		CHECK_EQ(result_of(call), 9, "%s: next call", bad_rows[i].name);
	}
}

/* The text of an error is one line, without the stack of the agent. */
Test(client, error_of_many_lines)
{
	static const char text[] = "mount watch directory\n\nCaused by:\n    0: source\n    1: gone"
				   "\n\nStack backtrace:\n   0: <unknown>";
	char payload[sizeof(text) + 5] = { 0x0a, sizeof(text) + 3, 0x08, 5, 0x12 };
	uint32_t call = start_wait_process("a", NULL, NULL);
	struct error err = ERROR_INIT;
	struct buf out;

	payload[5] = sizeof(text) - 1;
	memcpy(payload + 6, text, sizeof(text) - 1);
	buf_init(&out, 4096);
	append_frame(&out, call, FRAME_RESPONSE, payload, sizeof(payload));
	put(&out);
	buf_release(&out);
	CHECK_EQ(ttrpc_client_wait(client, call, 5000, NULL, &err), -1);
	CHECK_EQ(err.code, ERROR_NOT_FOUND);
	CHECK_STR(err.msg, "mount watch directory: 0: source: 1: gone");
}

Test(client, empty_answer_is_success)
{
	uint32_t call = start_wait_process("a", NULL, NULL);
	struct buf out;

	buf_init(&out, 4096);
	append_frame(&out, call, FRAME_RESPONSE, "", 0);
	put(&out);
	buf_release(&out);
	CHECK_EQ(result_of(call), 0);
}

/* ---- addresses ---- */

struct address_row {
	const char *text;
	/* 0 if rejected. */
	int family;
	uint32_t port;
};

static const struct address_row address_rows[] = {
	{ "unix:///run/a.sock", AF_UNIX, 0 },
	{ "unix://a.sock", AF_UNIX, 0 },
	{ "unix://@name", AF_UNIX, 0 },
	{ "unix://", 0, 0 },
	{ "unix:///0123456789012345678901234567890123456789012345678901234567890123456789012345678"
	  "901234567890123456789012345678901234",
	  0, 0 },
	{ "vsock://3:1024", AF_VSOCK, 1024 },
	{ "vsock://-1:1024", AF_VSOCK, 1024 },
	{ "vsock://any:1024", AF_VSOCK, 1024 },
	{ "vsock://host:1024", 0, 0 },
	{ "vsock://3", 0, 0 },
	{ "vsock://3:", 0, 0 },
	{ "vsock://3:99999999999", 0, 0 },
	{ "tcp://127.0.0.1:80", AF_INET, 80 },
	{ "tcp://localhost:80", AF_INET, 80 },
	{ "tcp://[::1]:80", AF_INET6, 80 },
	{ "tcp://example.org:80", 0, 0 },
	{ "tcp://127.0.0.1:65536", 0, 0 },
	{ "hvsock:///run/vm.sock:1024", AF_UNIX, 1024 },
	{ "hvsock:///run/vm.sock", 0, 0 },
	{ "/run/a.sock", 0, 0 },
	{ "", 0, 0 },
};

Test(address, parse)
{
	for (size_t i = 0; i < sizeof(address_rows) / sizeof(address_rows[0]); i++) {
		const struct address_row *row = &address_rows[i];
		struct error err = ERROR_INIT;
		struct address a = { 0 };
		int rc = address_parse(row->text, &a, &err);

		CHECK_EQ(rc, row->family ? 0 : -1, "%s: %s", row->text, err.msg);
		CHECK_EQ(a.addr.ss_family, row->family, "%s", row->text);
		CHECK_EQ(a.port, row->port, "%s", row->text);
		if (rc < 0)
			CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT, "%s", row->text);
	}
}

static int
listen_abstract(const char *name)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", name);

	REQUIRE_EQ(bind(fd, (struct sockaddr *)&un, (socklen_t)(sizeof(sa_family_t) + 1 + n)), 0);
	REQUIRE_EQ(listen(fd, 8), 0);
	return fd;
}

struct vmm {
	int listener;
	const char *answer;
	char asked[64];
};

/* Serves one connection: reads a line, sends its answer, closes. */
static void *
vmm_serve(void *data)
{
	struct vmm *vmm = data;
	int fd = accept(vmm->listener, NULL, NULL);
	ssize_t n = read(fd, vmm->asked, sizeof(vmm->asked) - 1);

	if (n > 0)
		(void)write_full(fd, vmm->answer, strlen(vmm->answer));
	close(fd);
	return NULL;
}

struct hybrid_row {
	const char *answer;
	enum error_code code;
};

static const struct hybrid_row hybrid_rows[] = {
	{ "OK 1073741824\n", ERROR_OK },
	{ "", ERROR_UNAVAILABLE },
	{ "NO\n", ERROR_UNAVAILABLE },
	{ "OK 12", ERROR_UNAVAILABLE },
	{ "OK 0123456789012345678901234567890123456789012345678901234567890123456789",
	  ERROR_UNAVAILABLE },
};

Test(address, hybrid_handshake)
{
	for (size_t i = 0; i < sizeof(hybrid_rows) / sizeof(hybrid_rows[0]); i++) {
		struct vmm vmm = { .answer = hybrid_rows[i].answer };
		struct error err = ERROR_INIT;
		struct address a;
		pthread_t thread;
		char name[64], text[80];
		int fd;

		snprintf(name, sizeof(name), "tatami-test-%d-%zu", (int)getpid(), i);
		snprintf(text, sizeof(text), "hvsock://@%s:1024", name);
		vmm.listener = listen_abstract(name);
		REQUIRE_EQ(pthread_create(&thread, NULL, vmm_serve, &vmm), 0);
		REQUIRE_OK(address_parse(text, &a, &err), &err);
		fd = address_connect(&a, 5000, &err);
		pthread_join(thread, NULL);
		CHECK_STR(vmm.asked, "CONNECT 1024\n");
		CHECK_EQ(fd >= 0, hybrid_rows[i].code == ERROR_OK, "'%s': %s",
			 hybrid_rows[i].answer, err.msg);
		CHECK_EQ(err.code, hybrid_rows[i].code, "'%s'", hybrid_rows[i].answer);
		if (fd >= 0)
			close(fd);
		close(vmm.listener);
	}
}

Test(address, nobody_there)
{
	struct error err = ERROR_INIT;
	struct address a;

	REQUIRE_OK(address_parse("unix://@tatami-test-nobody", &a, &err), &err);
	CHECK_EQ(address_connect(&a, 1000, &err), -1);
	CHECK_EQ(err.code, ERROR_UNAVAILABLE);
	CHECK_EQ(err.errnum, ECONNREFUSED);
	CHECK_EQ(address_dial(&a, 30, &err), -1);
	CHECK_EQ(err.code, ERROR_UNAVAILABLE);
}

/* Other clones run this test, too. */
static const char *
later_name(void)
{
	static char name[64];

	(void)snprintf(name, sizeof(name), "tatami-test-later-%d", (int)getpid());
	return name;
}

static void *
listen_later(void *data)
{
	struct pollfd none = { .fd = -1 };

	(void)poll(&none, 1, 50);
	*(int *)data = listen_abstract(later_name());
	return NULL;
}

Test(address, dial_waits_for_a_server)
{
	struct error err = ERROR_INIT;
	struct address a;
	pthread_t thread;
	int fd, listener = -1;
	char text[80];

	(void)snprintf(text, sizeof(text), "unix://@%s", later_name());
	REQUIRE_OK(address_parse(text, &a, &err), &err);
	REQUIRE_EQ(pthread_create(&thread, NULL, listen_later, &listener), 0);
	fd = address_dial(&a, 10000, &err);
	pthread_join(thread, NULL);
	CHECK_GE(fd, 0, "%s", err.msg);
	close(fd);
	close(listener);
}
