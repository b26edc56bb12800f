/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration from the kernel command line, the environment and a file: valid, invalid and
 * unknown keys, and precedence. Values are compared through config_print().
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/config/config.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "tests/support/check.h"

#define PRINT_MAX 16384

static char logged[16384];

static bool
collect(const char *line, size_t len, void *data)
{
	(void)data;
	strncat(logged, line, len < sizeof(logged) - strlen(logged) - 1 ? len : 0);
	return true;
}

static void
quiet(void)
{
	log_set_sink(collect, NULL);
}

TestSuite(config, .init = quiet);

static void
print(const struct config *c, char *out, size_t size)
{
	auto_close int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ssize_t n;

	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(config_print(c, fd), 0);
	n = pread(fd, out, size - 1, 0);
	REQUIRE_GT(n, 0);
	out[n] = '\0';
}

/* Prints the keys whose source is not the default, without blanks before the comment: "key = value
 * # source". */
static void
print_set(const struct config *c, char *out, size_t size)
{
	char text[PRINT_MAX];
	size_t len = 0;

	print(c, text, sizeof(text));
	out[0] = '\0';
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *comment = strrchr(line, '#'), *end = comment;

		if (comment == line || strcmp(comment, "# default") == 0)
			continue;
		while (end[-1] == ' ')
			end--;
		len += (size_t)snprintf(out + len, size - len, "%.*s %s\n", (int)(end - line), line,
					comment);
	}
}

static void
expect_set(const struct config *c, const char *want, const char *what)
{
	char got[PRINT_MAX];

	print_set(c, got, sizeof(got));
	CHECK_STR(got, want, "%s: got\n%sexpected\n%s", what, got, want);
}

#define CMDLINE(key, value, token) key " = " value " # kernel command line: " token "\n"
#define FILED(key, value)          key " = " value " # file\n"

/* ---- the kernel command line ---- */

static const struct row {
	const char *text;
	unsigned int warned;
	const char *set;
} rows[] = {
	{ "", 0, "" },
	{ "  \t\n ", 0, "" },
	{ "console=ttyS0 quiet panic=1 root=/dev/pmem0p1 ro", 0, "" },
	{ "agent.log=debug", 0, CMDLINE("log_level", "\"debug\"", "agent.log") },
	{ "agent.log=warning", 0, CMDLINE("log_level", "\"warn\"", "agent.log") },
	{ "agent.log=panic", 0, CMDLINE("log_level", "\"critical\"", "agent.log") },
	{ "agent.log=loud", 1, "" },
	{ "agent.log=", 1, "" },
	{ "agent.log", 1, "" },
	{ "agent.log=debug=x", 1, "" },
	{ "agent.log=debug agent.log=trace", 0, CMDLINE("log_level", "\"trace\"", "agent.log") },
	{ "agent.log=debug agent.log=bad", 1, CMDLINE("log_level", "\"debug\"", "agent.log") },
	{ "agent.log_vport=1025", 0, CMDLINE("log_vport", "1025", "agent.log_vport") },
	{ "agent.log_vport=0", 1, "" },
	{ "agent.log_vport=-1", 1, "" },
	{ "agent.log_vport=4294967296", 1, "" },
	{ "agent.log_vport=2147483648", 1, "" },
	{ "agent.log_vport=10x", 1, "" },
	{ "agent.log_vport= agent.log=debug", 1, CMDLINE("log_level", "\"debug\"", "agent.log") },
	{ "agent.server_addr=unix:///run/a=b", 0,
	  CMDLINE("server_addr", "\"unix:///run/a=b\"", "agent.server_addr") },
	{ "agent.server_addr=", 1, "" },
	{ "agent.server_addr=\xff", 1, "" },
	{ "agent.debug_console", 0, CMDLINE("debug_console", "true", "agent.debug_console") },
	{ "agent.debug_console=true", 1, "" },
	{ "agent.debug_console=", 1, "" },
	{ "agent.debug_console_vport=1026", 0,
	  CMDLINE("debug_console_vport", "1026", "agent.debug_console_vport") },
	{ "agent.debug_console_vport=0", 1, "" },
	{ "agent.passfd_listener_port=1027", 0,
	  CMDLINE("passfd_listener_port", "1027", "agent.passfd_listener_port") },
	{ "agent.trace", 0, CMDLINE("tracing", "true", "agent.trace") },
	{ "agent.trace=true", 0, CMDLINE("tracing", "true", "agent.trace") },
	{ "agent.trace=0", 0, CMDLINE("tracing", "false", "agent.trace") },
	{ "agent.trace=2", 0, CMDLINE("tracing", "true", "agent.trace") },
	{ "agent.trace=isolated", 1, "" },
	{ "agent.hotplug_timeout=20", 0,
	  CMDLINE("hotplug_timeout", "{ secs = 20, nanos = 0 }", "agent.hotplug_timeout") },
	{ "agent.hotplug_timeout=0", 1, "" },
	{ "agent.hotplug_timeout=86401", 1, "" },
	{ "agent.cdh_api_timeout=1 agent.image_pull_timeout=2 agent.cdi_timeout=3 "
	  "agent.launch_process_timeout=4",
	  0,
	  CMDLINE("cdh_api_timeout", "{ secs = 1, nanos = 0 }", "agent.cdh_api_timeout") CMDLINE(
		  "image_pull_timeout", "{ secs = 2, nanos = 0 }", "agent.image_pull_timeout")
		  CMDLINE("cdi_timeout", "{ secs = 3, nanos = 0 }", "agent.cdi_timeout")
			  CMDLINE("launch_process_timeout", "{ secs = 4, nanos = 0 }",
				  "agent.launch_process_timeout") },
	{ "agent.container_pipe_size=65536", 0,
	  CMDLINE("container_pipe_size", "65536", "agent.container_pipe_size") },
	{ "agent.container_pipe_size=0", 0,
	  CMDLINE("container_pipe_size", "0", "agent.container_pipe_size") },
	{ "agent.container_pipe_size=-4096", 1, "" },
	{ "agent.visible_cdi_devices=true", 0,
	  CMDLINE("visible_cdi_devices", "true", "agent.visible_cdi_devices") },
	{ "agent.https_proxy=http://user:word@proxy:3128", 0,
	  CMDLINE("https_proxy", "\"http://user:word@proxy:3128\"", "agent.https_proxy") },
	{ "agent.https_proxy=proxy:secret-word", 1, "" },
	{ "agent.https_proxy=http://", 1, "" },
	{ "agent.no_proxy=10.0.0.0/8,.local", 0,
	  CMDLINE("no_proxy", "\"10.0.0.0/8,.local\"", "agent.no_proxy") },
	{ "agent.guest_components_rest_api=all agent.guest_components_procs=none", 0,
	  CMDLINE("guest_components_procs", "\"none\"", "agent.guest_components_procs") CMDLINE(
		  "guest_components_rest_api", "\"all\"", "agent.guest_components_rest_api") },
	{ "agent.guest_components_rest_api=some agent.guest_components_procs=", 2, "" },
	{ "agent.secure_storage_integrity=false", 0,
	  CMDLINE("secure_storage_integrity", "false", "agent.secure_storage_integrity") },
	{ "agent.devmode", 0, CMDLINE("dev_mode", "true", "agent.devmode") },
	{ "agent.devmode=true", 1, "" },
	{ "agent.devmodes", 0, "" },
	{ "agent.policy_file=/x", 0, "" },
	{ "agent.unknown=1 agent. agent.=1 =1 = agent", 0, "" },
	{ "xagent.log=debug agent.logs=debug", 0, "" },
	{ "systemd.unified_cgroup_hierarchy=1", 0,
	  CMDLINE("unified_cgroup_hierarchy", "true", "systemd.unified_cgroup_hierarchy") },
	{ "systemd.unified_cgroup_hierarchy=0", 0,
	  CMDLINE("unified_cgroup_hierarchy", "false", "systemd.unified_cgroup_hierarchy") },
	{ "systemd.unified_cgroup_hierarchy=maybe", 1, "" },
	{ "cgroup_no_v1=all", 0, CMDLINE("# cgroup_no_v1", "true", "cgroup_no_v1") },
	{ "cgroup_no_v1=memory", 0, CMDLINE("# cgroup_no_v1", "false", "cgroup_no_v1") },
	/* sorted, as one of the runtimes writes them: mem_agent_enable is not the first */
	{ "agent.mem_agent_compact_order=4 agent.mem_agent_enable=1 agent.mem_agent_memcg_swap=1",
	  0,
	  CMDLINE("mem_agent_enable", "true", "agent.mem_agent_enable")
		  CMDLINE("mem_agent_memcg_swap", "true", "agent.mem_agent_memcg_swap") CMDLINE(
			  "mem_agent_compact_order", "4", "agent.mem_agent_compact_order") },
	{ "agent.mem_agent_memcg_swappiness_max=256 agent.mem_agent_compact_psi_percent_limit=101 "
	  "agent.mem_agent_compact_sec_max=-1 agent.mem_agent_memcg_period_secs=0",
	  4, "" },
	{ "agent.mem_agent_compact_force_times=9223372036854775807", 0,
	  CMDLINE("mem_agent_compact_force_times", "9223372036854775807",
		  "agent.mem_agent_compact_force_times") },
	{ "agent.mem_agent_compact_force_times=9223372036854775808", 1, "" },
};

Test(config, cmdline)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct config c;

		config_init(&c);
		CHECK_EQ(config_read_cmdline(&c, rows[i].text), rows[i].warned, "%s: warnings",
			 rows[i].text);
		expect_set(&c, rows[i].set, rows[i].text);
	}
	CHECK_LACKS(logged, "secret-word", "the value of a proxy was logged");
}

/* A command line as a runtime writes it. */
Test(config, complete_command_line)
{
	struct config c;

	config_init(&c);
	CHECK_EQ(
		config_read_cmdline(
			&c,
			"tsc=reliable no_timer_check rcupdate.rcu_expedited=1 i8042.direct=1 "
			"reboot=k "
			"cryptomgr.notests net.ifnames=0 pci=lastbus=0 root=/dev/vda1 rootflags=ro "
			"rootfstype=ext4 "
			"console=hvc0 debug systemd.show_status=true systemd.log_level=debug "
			"panic=1 nr_cpus=2 "
			"selinux=0 systemd.unit=kata-containers.target "
			"systemd.mask=systemd-networkd.service "
			"scsi_mod.scan=none agent.log=debug agent.debug_console "
			"agent.debug_console_vport=1026 agent.log_vport=1025 cgroup_no_v1=all "
			"systemd.unified_cgroup_hierarchy=1"),
		0);
	CHECK_EQ(c.log_level, LOG_LEVEL_DEBUG);
	CHECK_EQ(c.log_vport, 1025);
	CHECK(c.debug_console);
	CHECK_EQ(c.debug_console_vport, 1026);
}

Test(config, long_lines)
{
	struct config c;
	char text[65536];
	size_t n;

	/* A value that just fits, and one that is a byte too long; the next token is read in both
	 * cases. */
	for (size_t extra = 0; extra < 2; extra++) {
		config_init(&c);
		n = (size_t)snprintf(text, sizeof(text), "agent.server_addr=");
		memset(text + n, 'a', CONFIG_ADDR_MAX - 1 + extra);
		n += CONFIG_ADDR_MAX - 1 + extra;
		(void)snprintf(text + n, sizeof(text) - n, " agent.log=debug");
		REQUIRE_EQ(config_read_cmdline(&c, text), extra);
		REQUIRE_EQ(c.log_level, LOG_LEVEL_DEBUG);
		REQUIRE_EQ(strlen(c.server_addr),
			   extra ? strlen(CONFIG_DEFAULT_ADDR) : CONFIG_ADDR_MAX - 1);
	}
	/* One very long token with an unknown and with a known key, and many tokens. */
	config_init(&c);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	REQUIRE_EQ(config_read_cmdline(&c, text), 0);
	memcpy(text, "agent.no_proxy=", 15);
	REQUIRE_EQ(config_read_cmdline(&c, text), 1);
	for (n = 0; n + 17 < sizeof(text); n += 16)
		memcpy(text + n, "agent.log=debug ", 16);
	text[n] = '\0';
	REQUIRE_EQ(config_read_cmdline(&c, text), 0);
	REQUIRE_EQ(c.log_level, LOG_LEVEL_DEBUG);
}

/* ---- the environment ---- */

Test(config, environment)
{
	static const struct {
		const char *name, *value;
		unsigned int warned;
		const char *set;
	} env[] = {
		{ "KATA_AGENT_LOG_LEVEL", "debug", 0,
		  "log_level = \"debug\" # environment: KATA_AGENT_LOG_LEVEL\n" },
		{ "KATA_AGENT_LOG_LEVEL", "secret-value", 1,
		  CMDLINE("log_level", "\"error\"", "agent.log") },
		{ "KATA_AGENT_LOG_LEVEL", "", 1, CMDLINE("log_level", "\"error\"", "agent.log") },
		{ "KATA_AGENT_SERVER_ADDR", "tcp://127.0.0.1:1", 0,
		  CMDLINE("log_level", "\"error\"",
			  "agent.log") "server_addr = \"tcp://127.0.0.1:1\" "
				       "# environment: KATA_AGENT_SERVER_ADDR\n" },
		{ "KATA_AGENT_SERVER_ADDR", "", 1, CMDLINE("log_level", "\"error\"", "agent.log") },
		{ "KATA_AGENT_TRACING", "true", 0,
		  CMDLINE("log_level", "\"error\"", "agent.log") "tracing = true # environment: "
								 "KATA_AGENT_TRACING\n" },
		{ "KATA_AGENT_POLICY_FILE", "/etc/p.rego", 0,
		  CMDLINE("log_level", "\"error\"",
			  "agent.log") "policy_file = \"/etc/p.rego\" # "
				       "environment: KATA_AGENT_POLICY_FILE\n" },
	};

	for (size_t i = 0; i < ARRAY_LEN(env); i++) {
		struct config c;

		setenv(env[i].name, env[i].value, 1);
		CHECK_EQ(config_load(&c, NULL, "agent.log=error"), env[i].warned, "row %zu", i);
		expect_set(&c, env[i].set, env[i].name);
		(void)unsetenv(env[i].name);
	}
	CHECK_HAS(logged, "KATA_AGENT_LOG_LEVEL");
	CHECK_LACKS(logged, "secret-value", "the value of a variable was logged");
}

/* ---- the file ---- */

static const struct file_row {
	const char *text;
	unsigned int warned;
	const char *set;
} file_rows[] = {
	{ "", 0, "" },
	{ "# nothing\n\n  \n", 0, "" },
	{ "log_level = \"debug\"", 0, FILED("log_level", "\"debug\"") },
	{ "log_level = 'trace' # why not\r\n", 0, FILED("log_level", "\"trace\"") },
	{ "\"log_level\" = \"\\u0077arn\"\n", 0, FILED("log_level", "\"warn\"") },
	{ "log_level = \"loud\"\n", 1, "" },
	{ "log_level = 5\n", 1, "" },
	{ "log_level = [\"debug\"]\n", 1, "" },
	{ "log_level = { a = \"debug\" }\n", 1, "" },
	{ "[log_level]\nx = 1\n", 1, "" },
	{ "agent.log = \"debug\"\n", 0, "" },
	{ "debug_console = true\ndev_mode = true\ntracing = true\n", 0,
	  FILED("debug_console", "true") FILED("tracing", "true") FILED("dev_mode", "true") },
	{ "debug_console = \"true\"\n", 1, "" },
	{ "debug_console = 1\n", 1, "" },
	{ "log_vport = 1_025\ndebug_console_vport = 0x402\npassfd_listener_port = 0\n", 0,
	  FILED("log_vport", "1025") FILED("debug_console_vport", "1026")
		  FILED("passfd_listener_port", "0") },
	{ "log_vport = -1\n", 1, "" },
	{ "log_vport = 1.5\n", 1, "" },
	{ "log_vport = 99999999999999999999\n", 1, "" },
	{ "log_vport = 1__0\n", 1, "" },
	{ "hotplug_timeout = { secs = 7, nanos = 0 }\n", 0,
	  FILED("hotplug_timeout", "{ secs = 7, nanos = 0 }") },
	{ "[hotplug_timeout]\nsecs = 8\nnanos = 0\n", 0,
	  FILED("hotplug_timeout", "{ secs = 8, nanos = 0 }") },
	{ "hotplug_timeout = 9\n", 0, FILED("hotplug_timeout", "{ secs = 9, nanos = 0 }") },
	{ "hotplug_timeout.secs = 10\n", 0, FILED("hotplug_timeout", "{ secs = 10, nanos = 0 }") },
	{ "hotplug_timeout = { secs = 7, nanos = 5 }\n", 1,
	  FILED("hotplug_timeout", "{ secs = 7, nanos = 0 }") },
	{ "hotplug_timeout = { secs = 0 }\n", 1, "" },
	{ "hotplug_timeout = \"7\"\n", 1, "" },
	{ "unified_cgroup_hierarchy = false\ncgroup_no_v1 = \"all\"\n", 0,
	  FILED("unified_cgroup_hierarchy", "false") },
	{ "policy_file = \"/etc/kata-opa/default-policy.rego\"\nhttps_proxy = \"\"\n", 0,
	  FILED("policy_file", "\"/etc/kata-opa/default-policy.rego\"")
		  FILED("https_proxy", "\"\"") },
	{ "server_addr = \"\"\n", 1, "" },
	{ "guest_components_procs = \"none\"\nguest_components_rest_api = \"attestation\"\n", 0,
	  FILED("guest_components_procs", "\"none\"")
		  FILED("guest_components_rest_api", "\"attestation\"") },
	{ "mem_agent_enable = true\nmem_agent_compact_force_times = 9223372036854775807\n", 0,
	  FILED("mem_agent_enable", "true")
		  FILED("mem_agent_compact_force_times", "9223372036854775807") },
	/* keys of older files, and unknown keys */
	{ "[endpoints]\nallowed = [ # all\n  \"CreateContainerRequest\",\n  ['x', { y = 1 }],\n]\n"
	  "log_level = \"debug\"\n",
	  0, "" },
	{ "[[a]]\nlog_level = \"debug\"\n[\"log_level\".x]\n[b.c]\nd = 1979-05-27T07:32:00Z\n"
	  "e = inf\n",
	  0, "" },
	{ "title = \"\"\"\nlog_level = \"debug\"\n\"\"\"\nx = '''\n]'''\nlog_level = \"error\"\n",
	  0, FILED("log_level", "\"error\"") },
	/* a malformed line is skipped, and only that */
	{ "log_level = \"debug\nlog_vport = 1025\n", 1, FILED("log_vport", "1025") },
	{ "log_level\nlog_vport = 1025\n", 1, FILED("log_vport", "1025") },
	{ "= 1\nlog_vport = \nlog_vport = 5 5\nlog_vport = tru\n[x\nlog_vport = 7\n", 5, "" },
	{ "log_level = \"\\q\"\nlog_vport = 1025\n", 1, FILED("log_vport", "1025") },
	{ "log_level = \"\xff\"\nlog_vport = 1025\n", 1, FILED("log_vport", "1025") },
	{ "log_level = \"deb\\u0000ug\"\n", 1, "" },
};

Test(config, file)
{
	for (size_t i = 0; i < ARRAY_LEN(file_rows); i++) {
		const struct file_row *row = &file_rows[i];
		struct config c;

		config_init(&c);
		CHECK_EQ(config_read_file(&c, row->text, strlen(row->text), "test"), row->warned,
			 "%s: warnings", row->text);
		expect_set(&c, row->set, row->text);
	}
	CHECK_HAS(logged, "configuration file test: line 1: log_level");
}

Test(config, file_limits)
{
	static char text[CONFIG_FILE_MAX];
	struct config c;

	config_init(&c);
	memset(text, '[', sizeof(text));
	text[0] = 'a';
	text[1] = '=';
	CHECK_EQ(config_read_file(&c, text, sizeof(text), "nested"), 1);
	memset(text, '\n', sizeof(text));
	for (size_t i = 0; i < sizeof(text); i += 2)
		text[i] = '=';
	CHECK_LT(config_read_file(&c, text, sizeof(text), "errors"), 25);
	memset(text, 'k', sizeof(text));
	memcpy(text + sizeof(text) - 4, " = 1", 4);
	CHECK_EQ(config_read_file(&c, text, sizeof(text), "long key"), 0);
	expect_set(&c, "", "all of it");
}

/* ---- precedence ---- */

static const char *
write_file(const char *text)
{
	static char path[] = "/tmp/test-config-XXXXXX";
	auto_close int fd = -1;

	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	fd = mkostemp(path, O_CLOEXEC);
	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(write_full(fd, text, strlen(text)), 0);
	return path;
}

Test(config, precedence)
{
	const char *path = write_file("log_level = \"warn\"\nlog_vport = 5\n");
	char cmdline[256];
	struct config c;

	(void)snprintf(cmdline, sizeof(cmdline),
		       "agent.log=error agent.config_file=%s agent.any_disk=1", path);
	setenv("KATA_AGENT_LOG_LEVEL", "trace", 1);
	/* A file on the command line replaces the rest of the line; the environment overrides
	 * both. */
	CHECK_EQ(config_load(&c, NULL, cmdline), 0);
	expect_set(&c,
		   "log_level = \"trace\" # environment: KATA_AGENT_LOG_LEVEL\n" FILED("log_vport",
										       "5"),
		   "named by the command line");
	CHECK_STR(c.file, path);
	/* A file in the agent's arguments is preferred. */
	(void)unsetenv("KATA_AGENT_LOG_LEVEL");
	CHECK_EQ(config_load(&c, path, "agent.config_file=/nonexistent agent.log=error"), 0);
	expect_set(&c, FILED("log_level", "\"warn\"") FILED("log_vport", "5"), "an argument");
	/* If the file cannot be read, the command line is used. */
	CHECK_EQ(config_load(&c, NULL, "agent.config_file=/nonexistent agent.log=error"), 1);
	expect_set(&c, CMDLINE("log_level", "\"error\"", "agent.log"), "no file");
	CHECK_HAS(logged, "/nonexistent: No such file");
	CHECK_EQ(config_source_of(&c, "log_level"), CONFIG_CMDLINE);
	CHECK_EQ(config_source_of(&c, "log_vport"), CONFIG_DEFAULT);
	CHECK_EQ(config_source_of(&c, "nothing"), CONFIG_DEFAULT);
	CHECK_EQ(config_load(&c, "/", ""), 1, "a directory");
	unlink(path);
}

/* The printed configuration is a file with the same values. */
Test(config, print_and_read_back)
{
	char text[PRINT_MAX], again[PRINT_MAX];
	struct config c, copy;

	config_init(&c);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		(void)config_read_cmdline(&c, rows[i].text);
	(void)config_read_cmdline(&c, "agent.no_proxy=a\"b\\c\x01#d");
	print(&c, text, sizeof(text));
	config_init(&copy);
	CHECK_EQ(config_read_file(&copy, text, strlen(text), "printed"), 0, "%s", logged);
	/* except the keys that are not allowed in a file, and the sources */
	copy.cgroup_no_v1 = c.cgroup_no_v1;
	memcpy(copy.source, c.source, sizeof(c.source));
	print(&copy, again, sizeof(again));
	CHECK_STR(again, text);
}
