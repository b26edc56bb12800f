/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration file: for any text the result is within the limits, a second reading changes
 * nothing, and the printed configuration reads back to the same values.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/config/config.h"
#include "lib/parse.h"
#include "tests/fuzz/target.h"

static char printed[1 << 16], again[1 << 16];

static bool
keep_quiet(const char *line, size_t len, void *data)
{
	(void)data;
	MUST(len > 1 && line[len - 1] == '\n');
	return true;
}

static void
expect_string(const char *s, size_t size)
{
	size_t n = strnlen(s, size);

	MUST(n < size && utf8_is_valid(s, n));
}

static void
expect_sane(const struct config *c)
{
	MUST(c->log_level <= LOG_LEVEL_TRACE);
	MUST(c->log_vport <= INT32_MAX && c->debug_console_vport <= INT32_MAX);
	MUST(c->hotplug_timeout_s >= 1 && c->hotplug_timeout_s <= 86400);
	MUST(c->container_pipe_size <= INT32_MAX);
	MUST(c->guest_components_procs <= GUEST_COMPONENTS_API_SERVER);
	MUST(c->guest_components_rest_api <= GUEST_REST_API_RESOURCE);
	MUST(c->mem_agent.memcg_period_s >= 1 && c->mem_agent.memcg_swappiness_max <= 200);
	expect_string(c->server_addr, sizeof(c->server_addr));
	MUST(c->server_addr[0]);
	expect_string(c->policy_file, sizeof(c->policy_file));
	expect_string(c->https_proxy, sizeof(c->https_proxy));
	expect_string(c->no_proxy, sizeof(c->no_proxy));
}

static size_t
print(const struct config *c, char *out)
{
	static int fd = -1;
	ssize_t n;

	if (fd < 0)
		fd = memfd_create("config", MFD_CLOEXEC);
	MUST(fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	MUST(config_print(c, fd) == 0);
	n = pread(fd, out, sizeof(printed) - 1, 0);
	MUST(n > 0);
	out[n] = '\0';
	return (size_t)n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config once, twice;
	unsigned int warned;
	size_t n;

	log_set_sink(keep_quiet, NULL);
	config_init(&once);
	warned = config_read_file(&once, (const char *)data, size, "fuzz");
	expect_sane(&once);
	twice = once;
	MUST(config_read_file(&twice, (const char *)data, size, "fuzz") == warned);
	MUST(memcmp(&once, &twice, sizeof(once)) == 0);
	n = print(&once, printed);
	config_init(&twice);
	MUST(config_read_file(&twice, printed, n, "printed") == 0);
	memcpy(twice.source, once.source, sizeof(once.source));
	(void)print(&twice, again);
	MUST(strcmp(printed, again) == 0);
	return 0;
}
