/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PID 1: boots, supervises, powers off. From its first line on nothing may end this process: no exit, no
 * return, no assertion. It parses nothing that a peer sent.
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

#define AGENT_PATH   "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define LOG_FLUSH_MS 200 /* what a slow console may cost at the end */
#define STAGES_MAX   16

/* When each stage of the boot was over. */
struct timeline {
	uint64_t last_ns;
	size_t n;
	struct log_field fields[STAGES_MAX];
	char values[STAGES_MAX][24];
};

/* Notes that stage `name` (kept by reference) ends now; its value is what it took, in milliseconds. */
static void
stamp(struct timeline *t, const char *name, uint64_t until_ns)
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
hold_lines(const char *line, size_t len, void *data)
{
	(void)line;
	(void)len;
	(void)data;
	return false;
}

/* The console is non-blocking and may take a part of a line: it is given a moment for the rest. */
static bool
write_line(const char *line, size_t len, void *data)
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
		if (poll(&p, 1, LOG_FLUSH_MS) <= 0)
			return true; /* a torn line is better than a stuck init */
	}
	return true;
}

/* Gives the console a bounded time for what it has not taken yet. */
static void
flush_log(void)
{
	uint64_t deadline = deadline_in(LOG_FLUSH_MS);

	while (!log_flush() && !deadline_is_over(deadline)) {
		struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

		if (poll(&p, 1, LOG_FLUSH_MS) <= 0)
			return;
	}
}

/* What init itself takes from the kernel command line. Nothing in it is ever fatal. */
static void
read_settings(char *cmdline, size_t size)
{
	enum log_level level;
	char value[64];
	bool is_v2;

	if (read_text_at(AT_FDCWD, "/proc/cmdline", cmdline, size) < 0) {
		cmdline[0] = '\0';
		log_warn("init", "read /proc/cmdline: %s", strerror(errno));
	}
	if (cmdline_value(cmdline, "agent.log", value, sizeof(value))) {
		if (log_level_parse(value, &level))
			log_set_level(level);
		else
			log_warn("init", "agent.log=%s is no log level: ignored", value);
	}
	if (cmdline_value(cmdline, "systemd.unified_cgroup_hierarchy", value, sizeof(value)) &&
	    parse_bool(value, &is_v2) && !is_v2)
		log_warn("init",
			 "the command line asks for cgroup v1, which is not supported: using v2");
}

/* Everything about the boot that outlives it. */
struct boot {
	struct timeline timeline;
	struct agent_exec program;
	int cgroups; /* root directory of the hierarchy; -1: none */
	struct limits_size size;
	char cmdline[CMDLINE_MAX];
};

static void
set_up_cgroups(struct boot *b)
{
	b->cgroups = open(CGROUP_MOUNT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->cgroups < 0)
		log_warn("init", "open %s: %s", CGROUP_MOUNT, strerror(errno));
	else
		(void)cgroups_setup(b->cgroups);
}

/* Sets limits that follow from memory, which is measured once, before there is an agent or a container. */
static void
set_limits(struct boot *b, unsigned int kinds)
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
		log_warn("init", "%u limits are not set: %s", failed, err.msg);
	if (limits_apply_process(0, &b->size, &err) < 0)
		log_warn("init", "%s", err.msg);
}

/* What the agent needs before it starts. */
static void
boot_guest(struct boot *b)
{
	struct timeline *t = &b->timeline;
	struct error err = ERROR_INIT;
	unsigned int failed;
	bool moved;

	if (root_prepare(&moved, &err) < 0)
		log_warn("init", "%s", err.msg);
	stamp(t, "root", monotonic_ns());
	(void)mounts_boot();
	stamp(t, "mounts", monotonic_ns());
	(void)boot_console();
	crash_open_kmsg();
	log_set_sink(write_line, NULL);
	read_settings(b->cmdline, sizeof(b->cmdline));
	boot_dev_links();
	stamp(t, "console", monotonic_ns());
	set_up_cgroups(b);
	boot_limits();
	stamp(t, "cgroups", monotonic_ns());
	(void)modules_load(MODULES_LIST, &failed);
	set_limits(b, LIMITS_CGROUPS);
	stamp(t, "modules", monotonic_ns());
	boot_loopback();
	boot_hostname("/etc/hostname");
	stamp(t, "network", monotonic_ns());
}

/* What would only delay the agent: some of it waits in the kernel for tens of milliseconds. */
static void
boot_rest(void *data)
{
	struct boot *b = data;
	struct timeline *t = &b->timeline;

	stamp(t, "agent", monotonic_ns());
	boot_sysctls(b->cmdline);
	set_limits(b, LIMITS_SYSCTLS);
	if (b->cgroups >= 0)
		cgroups_join_agent(b->cgroups);
	(void)reboot(RB_DISABLE_CAD); /* Ctrl-Alt-Del becomes SIGINT: an orderly power-off */
	stamp(t, "rest", monotonic_ns());
	log_event(LOG_LEVEL_INFO, "init", EVENT_GUEST_SET_UP, t->fields, t->n,
		  "guest is set up, the agent is started");
}

static int
start_agent(int fd, void *data)
{
	struct boot *b = data;

	return agent_exec(fd, &b->program);
}

/* Finds -c FILE or --config FILE and puts the pair behind argv[0] of the agent. */
static int
agent_args(int argc, char **argv, char **out)
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

static void
log_end(const struct supervise_result *result)
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
		log_event(level, "init", EVENT_POWER_OFF, &cause, 1, "the agent %s, powering off",
			  text);
		break;
	case SUPERVISE_POWEROFF_ASKED:
		log_event(level, "init", EVENT_POWER_OFF, &cause, 1,
			  "powering off as the agent asked");
		break;
	case SUPERVISE_SIGNALLED:
		log_event(level, "init", EVENT_POWER_OFF, &cause, 1,
			  "powering off because of signal %d", result->status);
		break;
	}
}

static void
boot_and_supervise(int argc, char **argv, uint64_t main_ns, agent_main_fn *agent_main)
{
	char *args[4];
	struct boot b = {
		.program = { .path = AGENT_PATH, .argv = args, .agent_main = agent_main },
		.cgroups = -1,
	};
	struct supervise_spec spec = {
		.is_pid1 = true,
		.main_ns = main_ns,
		.start = start_agent,
		.started = boot_rest,
		.data = &b,
	};
	struct supervise_result result;
	struct error err = ERROR_INIT;

	stamp(&b.timeline, "kernel", main_ns);
	boot_guest(&b);
	b.program.argc = agent_args(argc, argv, args);
	b.program.foreign = agent_exec_foreign();
	if (b.program.foreign)
		log_info("init", "the agent is %s, which is not ours", b.program.foreign);
	spec.has_protocol = !b.program.foreign;
	if (b.cgroups >= 0)
		spec.cgroup_fd = cgroups_open_agent(b.cgroups);
	if (supervise_run(&spec, &result, &err) < 0)
		log_crit("init", "%s, powering off", err.msg);
	else
		log_end(&result);
}

_Noreturn void
init_run(int argc, char **argv, uint64_t main_ns, agent_main_fn *agent_main)
{
	/* From here on we must not die. */
	boot_reserve_stdio();
	crash_install(&power_real);
	log_identity("tatami-init", "init");
	log_set_sink(hold_lines, NULL);
	boot_and_supervise(argc, argv, main_ns, agent_main);
	flush_log();
	for (;;)
		power_off(&power_real, false);
}
