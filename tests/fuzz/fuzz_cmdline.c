/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel command line: for any text the result is within the limits, a second reading changes
 * nothing, and later parameters take effect.
 */
#include <string.h>

#include "agent/config/config.h"
#include "lib/parse.h"
#include "tests/fuzz/target.h"

static bool
keep_quiet(const char *line, size_t len, void *data)
{
	(void)data;
	MUST(len > 1 && line[len - 1] == '\n');
	return true;
}

static void
expect_sane(const struct config *c)
{
	size_t n = strnlen(c->server_addr, sizeof(c->server_addr));

	MUST(c->log_level <= LOG_LEVEL_TRACE);
	MUST(c->log_vport <= INT32_MAX);
	MUST(n > 0 && n < sizeof(c->server_addr));
	MUST(utf8_is_valid(c->server_addr, n));
	MUST(c->hotplug_timeout_s >= 1 && c->hotplug_timeout_s <= 86400);
	MUST(c->container_pipe_size <= INT32_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char after[] = " agent.hotplug_timeout=77";
	char *text = malloc(size + sizeof(after));
	struct config once, again;
	unsigned int warned;

	MUST(text);
	log_set_sink(keep_quiet, NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	config_init(&once);
	warned = config_read_cmdline(&once, text);
	expect_sane(&once);
	again = once;
	MUST(config_read_cmdline(&again, text) == warned);
	MUST(memcmp(&once, &again, sizeof(once)) == 0);
	strcpy(text + strlen(text), after);
	(void)config_read_cmdline(&again, text);
	expect_sane(&again);
	MUST(again.hotplug_timeout_s == 77);
	free(text);
	return 0;
}
