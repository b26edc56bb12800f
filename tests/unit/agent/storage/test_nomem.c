/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are aborted while memory is out. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/unit/agent/storage/bench.h"

static bool is_out_of_memory;

static void *
try_calloc(size_t n, size_t size)
{
	return is_out_of_memory ? NULL : calloc(n, size);
}

/* It takes the place of the guest library's. */
#define calloc try_calloc
#include "agent/storage/storage.c"
#include "tests/support/check.h"
#undef calloc

AGENT_TEST(storage_nomem, a_cancelled_request_is_gone_only_after_the_call)
{
	struct storage_spec s = gate(b, "v");
	struct result r, gone = { 0 };

	begin_gate(b, "one", "v", &r);
	is_out_of_memory = true;
	storages_abort(r.request, on_done, &gone);
	is_out_of_memory = false;
	/* callers let go of the request after this, in memory that on_done may free */
	REQUIRE(!gone.ended);
	UNTIL(b, gone.ended);
	UNTIL(b, storages_count(b->t) == 0);
	REQUIRE(!r.ended && !exists(b, "v"));
	/* the table is as it was */
	submit(b, "one", &s, 1, &r);
	UNTIL(b, exists(b, "v"));
	open_gate(b, "v", 'f');
	UNTIL(b, r.ended);
	REQUIRE_EQ(r.err.code, ERROR_UNAVAILABLE);
	REQUIRE_EQ(gone.ended, 1);
}
