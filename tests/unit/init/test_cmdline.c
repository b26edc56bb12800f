/* SPDX-License-Identifier: Apache-2.0 */
/* Look-ups in valid and malformed kernel command lines. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "init/cmdline.h"
#include "tests/support/check.h"

static const struct {
	/* NULL if there is no value. */
	const char *name, *cmdline, *key, *value;
} rows[] = {
	{ "empty", "", "agent.log", NULL },
	{ "blanks", " \t\n ", "agent.log", NULL },
	{ "alone", "agent.log=debug", "agent.log", "debug" },
	{ "between", "quiet agent.log=debug ro", "agent.log", "debug" },
	{ "last wins", "agent.log=debug agent.log=warn", "agent.log", "warn" },
	{ "longer key", "agent.log_vport=1025", "agent.log", NULL },
	{ "suffix", "xagent.log=debug", "agent.log", NULL },
	{ "bare", "agent.log", "agent.log", NULL },
	{ "no value", "agent.log= x", "agent.log", "" },
	{ "two equals signs", "agent.log=a=b", "agent.log", "a=b" },
	{ "too long", "agent.log=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "agent.log", NULL },
	{ "only equals", "===== = =", "agent.log", NULL },
	{ "after dashes", "quiet -- agent.log=info", "agent.log", "info" },
};

Test(cmdline, finds_values)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char value[16] = "untouched";
		bool found = cmdline_value(rows[i].cmdline, rows[i].key, value, sizeof(value));

		CHECK_EQ(found, rows[i].value != NULL, "%s", rows[i].name);
		CHECK_STR(value, rows[i].value ? rows[i].value : "untouched", "%s", rows[i].name);
	}
}

Test(cmdline, finds_keys)
{
	CHECK(cmdline_has("a sysctl.kernel.sysrq=1 b", "sysctl.kernel.sysrq"));
	CHECK(cmdline_has("quiet", "quiet"));
	CHECK(!cmdline_has("sysctl.kernel.sysrqx=1", "sysctl.kernel.sysrq"));
	CHECK(!cmdline_has("", "quiet"));
}

Test(cmdline, survives_anything)
{
	unsigned int seed = 3;

	for (int i = 0; i < 20000; i++) {
		size_t len = (size_t)rand_r(&seed) % 300;
		char *text = malloc(len + 1), value[8];

		REQUIRE(text);
		for (size_t k = 0; k < len; k++)
			text[k] = (char)(rand_r(&seed) % 4 ? "a= \t\""[rand_r(&seed) % 5]
							   : 1 + rand_r(&seed) % 255);
		text[len] = '\0';
		if (cmdline_value(text, "a", value, sizeof(value)))
			REQUIRE(strlen(value) < sizeof(value) && cmdline_has(text, "a"));
		free(text);
	}
}
