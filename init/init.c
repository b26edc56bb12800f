/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1: boots, supervises, powers off. This process must never end: no exit, return or assertion.
 * It parses no input of a peer.
 */
#include "init/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "init/boot.h"
#include "init/cgroups.h"
#include "init/cmdline.h"
#include "init/crash.h"
#include "init/limits.h"
#include "init/modules.h"
#include "init/mounts.h"
#include "init/power.h"
#include "init/root.h"
#include "init/supervise.h"
#include "lib/cleanup.h"
#include "lib/crash.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/log.h"
#include "lib/log_event.h"
#include "lib/parse.h"

#define AGENT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
/* Time limit for flushing the log to a slow console at the end. */
#define LOG_FLUSH_MS 200
#define STAGES_MAX   16

/* The times at which the stages of the boot ended. */
struct timeline {
	uint64_t last_ns;
	size_t n;
	struct log_field fields[STAGES_MAX];
	char values[STAGES_MAX][24];
};

/* State of the boot that is used after it. */
struct boot {
	struct timeline timeline;
	struct agent_exec program;
	/* Root directory of the hierarchy, or -1. */
	int cgroups;
	struct limits_size size;
	char cmdline[CMDLINE_MAX];
};

static void init_boot_and_supervise(int argc, char **argv, uint64_t main_ns,
				    agent_main_fn *agent_main);
static void init_boot_guest(struct boot *b);
static int init_agent_args(int argc, char **argv, char **out);
static int init_start_agent(int fd, void *data);
static void init_boot_rest(void *data);
static void init_log_end(const struct supervise_result *result);
static bool init_write_line(const char *line, size_t len, void *data);
static void init_flush_log(void);

/* Records the end of stage `name` (kept by reference) with its duration in milliseconds. */
static void
init_stamp(struct timeline *t, const char *name, uint64_t until_ns)
{
	uint64_t us = (until_ns - t->last_ns) / 1000;

	t->last_ns = until_ns;
	if (t->n == STAGES_MAX)
		return;
	(void)snprintf(t->values[t->n], sizeof(t->values[t->n]), "%llu.%03llu ms",
		       (unsigned long long)(us / 1000), (unsigned long long)(us % 1000));
	t->fields[t->n] = (struct log_field){ .key = name, .value = t->values[t->n] };
	t->n++;
}

static bool
init_hold_lines(const char *line, size_t len, void *data)
{
	(void)line;
	(void)len;
	(void)data;
	return false;
}

_Noreturn void
init_run(int argc, char **argv, uint64_t main_ns, agent_main_fn *agent_main)
{
	/* Point of no return: this process must not end. */
	boot_reserve_stdio();
	crash_install(&power_real);
	log_identity("tatami-init", "init");
	log_set_sink(init_hold_lines, NULL);
	init_boot_and_supervise(argc, argv, main_ns, agent_main);
	init_flush_log();
	for (;;)
		power_off(&power_real, false);
}

static void
init_boot_and_supervise(int argc, char **argv, uint64_t main_ns, agent_main_fn *agent_main)
{
	char *args[4];
	struct boot b = {
		.program = { .path = AGENT_PATH, .argv = args, .agent_main = agent_main },
		.cgroups = -1,
	};
	struct supervise_spec spec = {
		.is_pid1 = true,
		.main_ns = main_ns,
		.start = init_start_agent,
		.started = init_boot_rest,
		.data = &b,
	};
	struct supervise_result result;
	struct error err = ERROR_INIT;

	init_stamp(&b.timeline, "kernel", main_ns);
	init_boot_guest(&b);
	b.program.argc = init_agent_args(argc, argv, args);
	b.program.foreign = agent_exec_foreign();
	if (b.program.foreign)
		log_info("init", "using another agent: %s", b.program.foreign);
	spec.has_protocol = !b.program.foreign;
	if (b.cgroups >= 0)
		spec.cgroup_fd = cgroups_open_agent(b.cgroups);
	if (supervise_run(&spec, &result, &err) < 0)
		log_crit("init", "%s, powering off", err.msg);
	else
		init_log_end(&result);
}

/* Applies init's own parameters of the kernel command line. Invalid ones are never fatal. */
static void
init_read_settings(char *cmdline, size_t size)
{
	enum log_level level;
	char value[64];
	bool is_v2;

	if (read_text_at(AT_FDCWD, "/proc/cmdline", cmdline, size) < 0) {
		cmdline[0] = '\0';
		log_warn("init", "failed to read /proc/cmdline: %s", strerror(errno));
	}
	if (cmdline_value(cmdline, "agent.log", value, sizeof(value))) {
		if (log_level_parse(value, &level))
			log_set_level(level);
		else
			log_warn("init", "ignoring agent.log=%s: invalid log level", value);
	}
	if (cmdline_value(cmdline, "systemd.unified_cgroup_hierarchy", value, sizeof(value)) &&
	    parse_bool(value, &is_v2) && !is_v2)
		log_warn("init", "ignoring the request for cgroup v1: not supported, using v2");
}

/* Sets the limits that depend on memory, which is measured before the agent or a container runs. */
static void
init_set_limits(struct boot *b, unsigned int kinds)
{
	auto_close int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct limits_place place = {
		.proc = proc,
		.cgroup = b->cgroups,
		.cmdline = b->cmdline,
	};
	struct error err = ERROR_INIT;
	unsigned int failed;

	if (b->size.total == 0 && limits_measure(&place, &b->size, &err) < 0) {
		log_warn("init", "%s", err.msg);
		return;
	}
	failed = limits_apply(&place, &b->size, kinds, &err);
	if (failed > 0)
		log_warn("init", "failed to set %u limits: %s", failed, err.msg);
	if (limits_apply_process(0, &b->size, &err) < 0)
		log_warn("init", "%s", err.msg);
}

/* The steps that must precede the start of the agent. */
static void
init_boot_guest(struct boot *b)
{
	struct timeline *t = &b->timeline;
	struct error err = ERROR_INIT;
	unsigned int failed;
	bool moved;

	if (root_prepare(&moved, &err) < 0)
		log_warn("init", "%s", err.msg);
	init_stamp(t, "root", monotonic_ns());
	(void)mounts_boot();
	init_stamp(t, "mounts", monotonic_ns());
	(void)boot_console();
	crash_open_kmsg();
	log_set_sink(init_write_line, NULL);
	init_read_settings(b->cmdline, sizeof(b->cmdline));
	boot_dev_links();
	init_stamp(t, "console", monotonic_ns());
	b->cgroups = open(CGROUP_MOUNT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->cgroups < 0)
		log_warn("init", "failed to open %s: %s", CGROUP_MOUNT, strerror(errno));
	else
		(void)cgroups_setup(b->cgroups);
	boot_limits();
	init_stamp(t, "cgroups", monotonic_ns());
	(void)modules_load(MODULES_LIST, &failed);
	init_set_limits(b, LIMITS_CGROUPS);
	init_stamp(t, "modules", monotonic_ns());
	boot_loopback();
	boot_hostname("/etc/hostname");
	init_stamp(t, "network", monotonic_ns());
}

/* Finds -c FILE or --config FILE, and passes it to the agent as its only arguments. */
static int
init_agent_args(int argc, char **argv, char **out)
{
	int n = 1;

	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "--config") == 0) {
			out[1] = argv[i];
			out[2] = argv[i + 1];
			n = 3;
			break;
		}
	}
	out[n] = NULL;
	return n;
}

static int
init_start_agent(int fd, void *data)
{
	struct boot *b = data;

	return agent_exec(fd, &b->program);
}

/* The steps that can follow the start of the agent: some of them take tens of milliseconds. */
static void
init_boot_rest(void *data)
{
	struct boot *b = data;
	struct timeline *t = &b->timeline;

	init_stamp(t, "agent", monotonic_ns());
	boot_sysctls(b->cmdline);
	init_set_limits(b, LIMITS_SYSCTLS);
	if (b->cgroups >= 0)
		cgroups_join_agent(b->cgroups);
	/* Ctrl-Alt-Del becomes SIGINT, an orderly power-off. */
	(void)reboot(RB_DISABLE_CAD);
	init_stamp(t, "rest", monotonic_ns());
	log_event(LOG_LEVEL_INFO, "init", EVENT_GUEST_SET_UP, t->fields, t->n,
		  "guest set up, agent started");
}

static void
init_log_end(const struct supervise_result *result)
{
	static const char *const causes[] = {
		[SUPERVISE_AGENT_ENDED] = "agent-ended",
		[SUPERVISE_POWEROFF_ASKED] = "asked",
		[SUPERVISE_SIGNALLED] = "signal",
	};
	const struct log_field cause = { "cause", causes[result->cause] };
	enum log_level level = LOG_LEVEL_INFO;
	char text[128];

	switch (result->cause) {
	case SUPERVISE_AGENT_ENDED:
		supervise_describe(result->status, text, sizeof(text));
		if (result->status != 0)
			level = LOG_LEVEL_CRIT;
		log_event(level, "init", EVENT_POWER_OFF, &cause, 1, "agent %s, powering off",
			  text);
		break;
	case SUPERVISE_POWEROFF_ASKED:
		log_event(level, "init", EVENT_POWER_OFF, &cause, 1,
			  "powering off at the request of the agent");
		break;
	case SUPERVISE_SIGNALLED:
		log_event(level, "init", EVENT_POWER_OFF, &cause, 1, "powering off on signal %d",
			  result->status);
		break;
	}
}

/* Writes a line to the console, which is non-blocking; after a partial write, waits briefly for the
 * rest. */
static bool
init_write_line(const char *line, size_t len, void *data)
{
	size_t done = 0;

	(void)data;
	while (done < len) {
		struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
		ssize_t n = write(STDERR_FILENO, line + done, len - done);

		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return true;
		if (done == 0)
			return false;
		/* An incomplete line is better than a blocked init. */
		if (poll(&p, 1, LOG_FLUSH_MS) <= 0)
			return true;
	}
	return true;
}

/* Flushes pending log lines to the console, for a limited time. */
static void
init_flush_log(void)
{
	uint64_t deadline = deadline_in(LOG_FLUSH_MS);

	while (!log_flush() && !deadline_is_over(deadline)) {
		struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

		if (poll(&p, 1, LOG_FLUSH_MS) <= 0)
			return;
	}
}
