/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy sees exactly the request that the handler acts on: for requests of every method, valid
 * and mutated, the gate and the handler are called once each with the same object and content, and
 * a request that does not decode reaches neither.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent.pb-c.h"
#include "health.pb-c.h"
#include "tests/fuzz/mutate.h"
#include "tests/support/check.h"
#include "tests/unit/agent/server/bench.h"

#define N_FRAMES 4000

/* The last request that the gate was given. */
static struct {
	const ProtobufCMessage *request;
	const struct rpc_method *method;
	uint8_t *packed;
	size_t n_packed;
	unsigned int asked, handled, denied;
	bool deny;
} seen;

static int
gate(struct agent *agent, const struct rpc_method *method, const ProtobufCMessage *request,
     bool *blank, struct error *err)
{
	(void)agent;
	(void)blank;
	REQUIRE_EQ(seen.asked, seen.handled + seen.denied, "asked once for each");
	seen.asked++;
	seen.request = request;
	seen.method = method;
	free(seen.packed);
	seen.n_packed = protobuf_c_message_get_packed_size(request);
	seen.packed = malloc(seen.n_packed + 1);
	REQUIRE(seen.packed);
	(void)protobuf_c_message_pack(request, seen.packed);
	seen.deny = seen.asked % 5 == 0;
	if (!seen.deny)
		return 0;
	seen.denied++;
	return error_set(err, ERROR_PERMISSION_DENIED, "denied");
}

static enum rpc_outcome
handler(struct call *call, const void *request, void *response, struct error *err)
{
	const ProtobufCMessage *message = request;
	uint8_t *packed = malloc(seen.n_packed + 1);

	(void)response;
	(void)err;
	seen.handled++;
	REQUIRE(!seen.deny, "what is denied is not done");
	REQUIRE(packed);
	CHECK_EQ(message, seen.request);
	CHECK_EQ(call_request(call), seen.request);
	REQUIRE_EQ(protobuf_c_message_get_packed_size(message), seen.n_packed);
	(void)protobuf_c_message_pack(message, packed);
	CHECK(memcmp(packed, seen.packed, seen.n_packed) == 0, "%s", seen.method->name);
	free(packed);
	return RPC_REPLY;
}

static void
handle_all(const ProtobufCServiceDescriptor *service, struct rpc_method *rows,
	   const struct rpc_method **methods)
{
	for (unsigned int i = 0; i < service->n_methods; i++) {
		rows[i] = (struct rpc_method){ service->methods[i].name, handler, 0 };
		methods[i] = &rows[i];
	}
}

Test(view, gate_and_handler_see_the_same)
{
	static const char *const ids[] = { "c1", "c2", NULL };
	static struct rpc_method agent_rows[64], health_rows[8];
	static struct bench b;
	uint8_t *frame = malloc(MUTATE_FRAME_MAX);
	struct client c;
	struct mutator m;
	unsigned int methods = 0;

	REQUIRE(frame);
	bench_init(&b);
	b.spec.gate = gate;
	handle_all(&grpc__agent_service__descriptor, agent_rows, b.agent);
	handle_all(&grpc__health__descriptor, health_rows, b.health);
	client_init(&c, &b);
	mutate_init(&m, 11, ids);
	for (unsigned int i = 0; i < N_FRAMES; i++) {
		size_t n = mutate_next(&m, frame, MUTATE_FRAME_MAX);
		unsigned int asked = seen.asked;
		char replies[4096];

		REQUIRE(client_send(&c, frame, n));
		bench_settle(&b);
		while (recv(c.fd, replies, sizeof(replies), MSG_DONTWAIT) > 0)
			continue;
		REQUIRE_LE(seen.asked, asked + 1);
		methods += seen.asked > asked;
	}
	CHECK_GT(methods, N_FRAMES / 3);
	CHECK_EQ(seen.asked, seen.handled + seen.denied);
	CHECK_GT(seen.denied, 100);
	client_release(&c);
	bench_release(&b);
	free(seen.packed);
	free(frame);
}
