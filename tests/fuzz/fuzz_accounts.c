/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passwd(5) and group(5) as a container may have written them. The first byte selects whether the
 * file continues after the text; the name to look up follows, up to the first newline. A result
 * must be a line of the text.
 */
#include <string.h>

#include "agent/container/launch/accounts.h"
#include "tests/fuzz/target.h"

#define GIDS_MAX 64

/* Returns whether `want` is a whole field of a line. */
static bool
has_field(const struct accounts *a, const char *want)
{
	size_t n = strlen(want);

	for (size_t i = 0; n > 0 && i + n <= a->n; i++) {
		bool begins = i == 0 || strchr("\n:,", a->text[i - 1]);
		bool ends = i + n == a->n || strchr("\n:,", a->text[i + n]);

		if (begins && ends && memcmp(a->text + i, want, n) == 0)
			return true;
	}
	return false;
}

static void
expect_account(const struct accounts *a, const struct account *found)
{
	size_t n = strnlen(found->home, sizeof(found->home));

	MUST(n < sizeof(found->home));
	MUST(n == 0 || found->home[0] == '/');
	MUST(n == 0 || memmem(a->text, a->n, found->home, n));
	MUST(!strchr(found->home, '\n') && !strchr(found->home, ':'));
	MUST(found->uid != UINT32_MAX && found->gid != UINT32_MAX);
}

static void
look_up(const struct accounts *a, const char *name)
{
	uint32_t gid = UINT32_MAX, few[1], gids[GIDS_MAX];
	struct account found, same;
	size_t n;

	if (accounts_by_name(a, name, &found)) {
		expect_account(a, &found);
		/* Lines with an empty name are malformed. */
		MUST(has_field(a, name));
		MUST(accounts_by_uid(a, found.uid, &same) && same.uid == found.uid);
	}
	if (accounts_by_uid(a, 0, &found)) {
		expect_account(a, &found);
		MUST(found.uid == 0);
	}
	if (accounts_group(a, name, &gid))
		MUST(gid != UINT32_MAX && has_field(a, name));
	n = accounts_groups_of(a, name, gids, GIDS_MAX);
	MUST(n == 0 || has_field(a, name));
	for (size_t i = 0; i < n && i < GIDS_MAX; i++)
		MUST(gids[i] != UINT32_MAX);
	MUST(accounts_groups_of(a, name, few, 1) == n);
	MUST(n == 0 || few[0] == gids[0]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct accounts a = { 0 };
	const uint8_t *stop;
	char name[64];
	size_t n;

	if (size == 0)
		return 0;
	a.cut = data[0] & 1;
	data++;
	size--;
	stop = memchr(data, '\n', size);
	n = stop ? (size_t)(stop - data) : 0;
	if (n >= sizeof(name) || memchr(data, '\0', n))
		return 0;
	memcpy(name, data, n);
	name[n] = '\0';
	if (stop) {
		data += n + 1;
		size -= n + 1;
	}
	/* An exact allocation, so that reading past the end is detected. */
	a.text = malloc(size ? size : 1);
	MUST(a.text);
	memcpy(a.text, data, size);
	a.n = size;
	look_up(&a, name);
	accounts_release(&a);
	return 0;
}
