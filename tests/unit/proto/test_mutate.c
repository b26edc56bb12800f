/* SPDX-License-Identifier: Apache-2.0 */
/* The mutator keeps its promises: whole frames, every method, at least half of them decodable. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/pbcheck.h"
#include "lib/ttrpc/frame.h"
#include "tests/fuzz/mutate.h"
#include "tests/support/check.h"
#include "ttrpc.pb-c.h"

#define N_FRAMES 20000

static const char *const ids[] = { "c1", "c2", NULL };

/* The index of the method that a frame reaches, as a server would find it; -1 for none. */
static int
reaches(const uint8_t *payload, size_t n)
{
	const struct pbcheck_limits envelope = PBCHECK_LIMITS_ENVELOPE;
	const struct pbcheck_limits limits = PBCHECK_LIMITS_MESSAGE;
	struct error err = ERROR_INIT;
	const ProtobufCMethodDescriptor *method;
	const char *service;
	int found = -1;
	Ttrpc__Request *r = (Ttrpc__Request *)pbcheck_unpack(&ttrpc__request__descriptor, payload,
							     n, &envelope, NULL, &err);

	for (unsigned i = 0; r && (method = mutate_method(i, &service)); i++)
		if (strcmp(service, r->service) == 0 && strcmp(method->name, r->method) == 0 &&
		    pbcheck(method->input, r->payload.data, r->payload.len, &limits, NULL, &err) ==
			    0)
			found = (int)i;
	ttrpc__request__free_unpacked(r, NULL);
	return found;
}

Test(mutate, promises)
{
	uint8_t *out = malloc(MUTATE_FRAME_MAX);
	unsigned decoded = 0, broken = 0, wrong = 0, seen[44] = { 0 };
	struct mutator m;

	mutate_init(&m, 42, ids);
	for (unsigned i = 0; i < N_FRAMES; i++) {
		size_t n = mutate_next(&m, out, MUTATE_FRAME_MAX);
		struct frame_header h;
		int method;

		REQUIRE_GE(n, FRAME_HEADER_SIZE);
		REQUIRE_LE(n, MUTATE_FRAME_MAX);
		frame_header_decode(&h, out);
		REQUIRE_EQ(h.length, n - FRAME_HEADER_SIZE, "frame %u is not whole", i);
		REQUIRE_EQ(m.stream, 2 * i + 1);
		method = reaches(out + FRAME_HEADER_SIZE, h.length);
		if (method >= 0) {
			decoded++;
			seen[method]++;
		}
		broken += m.broken;
		wrong += !m.broken && method < 0;
	}
	fprintf(stderr, "# %u frames: %u decodable, %u made to be broken\n", N_FRAMES, decoded,
		broken);
	CHECK_GT(decoded, N_FRAMES / 2);
	CHECK_GT(N_FRAMES - decoded, N_FRAMES / 5, "hardly anything is broken");
	CHECK_LT(wrong, N_FRAMES / 1000, "%u frames do not decode by mistake", wrong);
	for (unsigned i = 0; i < 44; i++)
		CHECK_GT(seen[i], 50, "method %u reached %u times", i, seen[i]);
	free(out);
}

Test(mutate, repeatable)
{
	uint8_t *a = malloc(MUTATE_FRAME_MAX), *b = malloc(MUTATE_FRAME_MAX);
	struct mutator m1, m2, m3;
	bool differs = false;

	mutate_init(&m1, 7, ids);
	mutate_init(&m2, 7, ids);
	mutate_init(&m3, 8, ids);
	for (unsigned i = 0; i < 100; i++) {
		size_t n = mutate_next(&m1, a, MUTATE_FRAME_MAX);

		REQUIRE_EQ(mutate_next(&m2, b, MUTATE_FRAME_MAX), n);
		REQUIRE_BYTES(a, b, n);
		differs |= mutate_next(&m3, b, MUTATE_FRAME_MAX) != n;
	}
	CHECK(differs, "the seed does not matter");
	free(a);
	free(b);
}

Test(mutate, skips)
{
	uint8_t *out = malloc(MUTATE_FRAME_MAX);
	struct mutator m;

	mutate_init(&m, 9, ids);
	m.skip = mutate_skip_machine;
	for (unsigned i = 0; i < 2000; i++) {
		mutate_next(&m, out, MUTATE_FRAME_MAX);
		for (size_t s = 0; mutate_skip_machine[s]; s++)
			REQUIRE(strcmp(m.method, mutate_skip_machine[s]) != 0);
	}
	free(out);
}
