/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's process: makes the parts, connects them, runs the loop, and releases the parts. */
#include "agent/agent_main.h"

#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/confidential.h"
#include "agent/container/stdio/splice_worker.h"
#include "agent/crash.h"
#include "agent/debug.h"
#include "agent/device/device.h"
#include "agent/files/copy.h"
#include "agent/guest/guest.h"
#include "agent/guest/memagent.h"
#include "agent/job/initlink.h"
#include "agent/job/job.h"
#include "agent/network/network.h"
#include "agent/rpc/rpc.h"
#include "agent/sandbox/sandbox.h"
#include "agent/server/logsink.h"
#include "agent/server/ports.h"
#include "agent/server/server.h"
#include "agent/server/trace.h"
#include "agent/storage/storage.h"
#include "agent/storage/verity.h"
#include "agent/storage/watchable.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/log_event.h"
#include "lib/stack.h"
#include "lib/version.h"

#define CMDLINE_MAX 16384

/* The state that only start and end of the agent need. */
struct life {
	struct agent agent;
	struct rpc_table table;
	struct server_spec server;
	/* --listen; NULL: as configured */
	const char *listen;
	/* --config; NULL: from the kernel command line */
	const char *file;
	/* --print-config: print the configuration and exit */
	bool is_question;
	uint64_t main_ns, listening_ns;
	int signal_fd;
	struct watch *signal_watch;
	/* a signal has started the teardown of the sandbox */
	bool is_ending;
};

/* Kinds of undo steps that agent/job does not implement itself. */
static const struct undo_kind *const undo_kinds[] = { &undo_cgroup, &undo_copy, &undo_verity,
						      NULL };

static void agent_read_arguments(struct life *life, int argc, char **argv);
static void agent_read_config(struct config *config, const char *file);
static int agent_run(struct life *life, int init_fd, struct error *err);
static int agent_make_base(struct life *life, int init_fd, struct error *err);
static void agent_announce(const struct agent *agent);
static int agent_make_parts(struct agent *agent, struct error *err);
static int agent_make_server(struct life *life, struct error *err);
static void agent_log_stages(const struct life *life);
static void agent_release(struct life *life);

int
agent_main(int argc, char **argv, int init_fd)
{
	struct life life = {
		.agent.roots = { -1, -1, -1, -1, -1, -1 },
		.main_ns = monotonic_ns(),
		.signal_fd = -1,
	};
	struct error err = ERROR_INIT;

	log_identity("kata-agent", "agent");
	crash_watch();
	(void)prctl(PR_SET_DUMPABLE, 0);
	/* executed through a descriptor, the process is named after its number */
	(void)prctl(PR_SET_NAME, "kata-agent");
	agent_read_arguments(&life, argc, argv);
	agent_read_config(&life.agent.config, life.file);
	if (life.is_question)
		return config_print(&life.agent.config, STDOUT_FILENO) < 0;
	if (agent_run(&life, init_fd, &err) < 0) {
		log_crit("agent", "%s", err.msg);
		life.agent.exit_code = 1;
	}
	log_info("agent", "shutdown complete");
	agent_release(&life);
	return life.agent.exit_code;
}

static void
agent_read_arguments(struct life *life, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		bool is_file = strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "--config") == 0;

		if (strcmp(argv[i], "--listen") == 0 && i + 1 < argc)
			life->listen = argv[++i];
		else if (is_file && i + 1 < argc)
			life->file = argv[++i];
		else if (strcmp(argv[i], "--print-config") == 0)
			life->is_question = true;
		else
			log_warn("agent", "unknown argument %s ignored", argv[i]);
	}
}

/* Not inlined: its buffer would stay on the stack while the agent runs. */
__attribute__((noinline)) static void
agent_read_config(struct config *config, const char *file)
{
	char text[CMDLINE_MAX];

	if (read_text_at(AT_FDCWD, "/proc/cmdline", text, sizeof(text)) < 0) {
		log_warn("agent", "failed to read /proc/cmdline: %s", strerror(errno));
		text[0] = '\0';
	}
	(void)config_load(config, file, text);
	log_set_level(config->log_level);
	if (!config->unified_cgroup)
		log_warn("agent", "cgroup v1 is configured but not supported: using v2");
}

static int
agent_run(struct life *life, int init_fd, struct error *err)
{
	struct agent *agent = &life->agent;

	if (agent_make_base(life, init_fd, err) < 0)
		return -1;
	agent_announce(agent);
	if (confidential_refuse(&agent->config, &agent->roots, err) < 0 ||
	    policy_load(agent, agent->config.policy_file, err) < 0 ||
	    agent_make_parts(agent, err) < 0 || agent_make_server(life, err) < 0)
		return -1;
	agent_log_stages(life);
	debug_start(agent);
	stack_release();
	/* From here on only a signal, DestroySandbox or the loss of init ends the agent. */
	return loop_run(agent->loop, err);
}

/* ---- signals and the end ---- */

static void
agent_on_init_lost(void *data)
{
	struct life *life = data;

	/* without init, the agent does not learn of the exits of processes */
	log_crit("agent", "lost the connection to init");
	life->agent.exit_code = 1;
	loop_stop(life->agent.loop);
}

/* Stops the loop: all replies have been sent. */
static void
agent_on_drained(void *data)
{
	struct agent *agent = data;

	loop_stop(agent->loop);
}

/* Sandbox teardown finished or timed out. */
static void
agent_on_sandbox_ended(const struct error *err, void *data)
{
	struct agent *agent = data;

	if (err->code != ERROR_OK)
		log_warn("agent", "failed to tear down the sandbox: %s", err->msg);
	server_drain(agent->server, agent_on_drained, agent);
}

/* Tears down the sandbox and then stops: the guest may outlive the agent, so its containers, mounts
 * and cgroups are removed first, with the time limits of sandbox_destroy(). Further signals are
 * ignored: systemd sends one to the agent and one to its parent, which forwards it. */
static void
agent_end_on_signal(struct life *life)
{
	struct agent *agent = &life->agent;
	struct error err = ERROR_INIT;
	struct pending *p;

	if (life->is_ending)
		return;
	life->is_ending = true;
	switch (sandbox_destroy(agent->sandbox, agent_on_sandbox_ended, agent, &p, &err)) {
	case OP_PENDING:
		return;
	case OP_FAILED:
		/* DestroySandbox is in progress, or memory ran out */
		log_warn("agent", "failed to tear down the sandbox: %s", err.msg);
		break;
	case OP_DONE:
		break;
	}
	server_drain(agent->server, agent_on_drained, agent);
}

static void
agent_on_signal(uint32_t events, void *data)
{
	struct life *life = data;
	struct signalfd_siginfo info;

	(void)events;
	if (read(life->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	log_info("agent", "shutting down on signal %u", info.ssi_signo);
	agent_end_on_signal(life);
}

static int
agent_watch_signals(struct life *life, struct error *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	life->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (life->signal_fd < 0)
		return error_sys(err, "failed to create a signalfd");
	life->signal_watch =
		loop_watch(life->agent.loop, life->signal_fd, EPOLLIN, agent_on_signal, life, err);
	return life->signal_watch ? 0 : -1;
}

/* ---- the parts ---- */

/* Makes the parts that all others need: loop, log, directories, the link to init, jobs. */
static int
agent_make_base(struct life *life, int init_fd, struct error *err)
{
	struct agent *agent = &life->agent;

	agent->loop = loop_new(err);
	if (!agent->loop)
		return -1;
	agent->logsink = logsink_new(agent->loop, agent->config.log_vport, err);
	if (!agent->logsink || agent_watch_signals(life, err) < 0 ||
	    roots_open(&agent->roots, err) < 0)
		return -1;
	agent->init = initlink_new(agent->loop, init_fd, agent_on_init_lost, life, err);
	if (!agent->init)
		return -1;
	agent->jobs = jobs_new(agent->loop, agent->init, undo_kinds, err);
	if (!agent->jobs)
		return -1;
	return 0;
}

static void
agent_announce(const struct agent *agent)
{
	char config[CONFIG_ADDR_MAX + 128];
	const struct log_field fields[] = {
		{ "agent-version", tatami_version },
		{ "api-version", TATAMI_API_VERSION },
		{ "agent-commit", tatami_commit },
		{ "config", config },
		{ "extra-features", "[agent-policy, seccomp]" },
	};

	(void)snprintf(config, sizeof(config),
		       "server_addr=%s log_vport=%u hotplug_timeout=%u container_pipe_size=%u",
		       agent->config.server_addr, agent->config.log_vport,
		       agent->config.hotplug_timeout_s, agent->config.container_pipe_size);
	log_event(LOG_LEVEL_INFO, "agent", EVENT_ANNOUNCE, fields, ARRAY_LEN(fields), "announce");
}

/* Listens for pass-through streams. A failure is not fatal: only calls that use such streams fail
 * then. */
static void
agent_make_ports(struct agent *agent)
{
	struct error err = ERROR_INIT;

	if (agent->config.passfd_listener_port == 0)
		return;
	agent->ports = ports_new(agent->loop, agent->config.passfd_listener_port, &err);
	if (agent->ports)
		log_info("agent", "accepting pass-through streams on port %u",
			 agent->config.passfd_listener_port);
	else
		log_error("agent", "pass-through streams disabled: %s", err.msg);
}

static void
agent_list_containers(void *data, void (*add)(const char *path, void *add_data), void *add_data)
{
	sandbox_each_cgroup(data, add, add_data);
}

/* Makes the memory agent if it is configured. A compact_s_max of 0, which it does not accept,
 * disables compaction. */
static void
agent_make_memagent(struct agent *agent)
{
	const struct config_mem_agent *c = &agent->config.mem_agent;
	const struct memagent_parts parts = {
		.loop = agent->loop,
		.jobs = agent->jobs,
		.roots = &agent->roots,
		.list = agent_list_containers,
		.list_data = agent->sandbox,
	};
	const struct memagent_reclaim reclaim = {
		.disabled = c->memcg_disable,
		.swap = c->memcg_swap,
		.swappiness_max = c->memcg_swappiness_max,
		.period_secs = c->memcg_period_s,
		.period_psi_percent_limit = c->memcg_period_psi_percent,
		.eviction_psi_percent_limit = c->memcg_eviction_psi_percent,
		.eviction_run_aging_count_min = c->memcg_eviction_run_aging_count_min,
	};
	const struct memagent_compact compact = {
		.disabled = c->compact_disable || c->compact_s_max == 0,
		.period_secs = c->compact_period_s,
		.period_psi_percent_limit = c->compact_period_psi_percent,
		.compact_psi_percent_limit = c->compact_psi_percent,
		.compact_sec_max = c->compact_s_max > 0 ? (int64_t)c->compact_s_max : 1,
		.compact_order = c->compact_order,
		.compact_threshold = c->compact_threshold,
		.compact_force_times = c->compact_force_times,
	};
	struct error why = ERROR_INIT;

	if (!c->enable)
		return;
	agent->memagent = memagent_new(&parts, &reclaim, &compact, &why);
	if (!agent->memagent)
		log_warn("agent", "failed to start the memory agent: %s", why.msg);
}

static int
agent_make_guest(struct agent *agent, struct error *err)
{
	const struct guest_parts parts = {
		.loop = agent->loop,
		.jobs = agent->jobs,
		.roots = &agent->roots,
		.devices = agent->devices,
		.is_pid1 = initlink_is_pid1(agent->init),
	};

	agent->guest = guest_new(&parts, err);
	agent_make_memagent(agent);
	return agent->guest ? 0 : -1;
}

static int
agent_make_parts(struct agent *agent, struct error *err)
{
	struct sandbox_parts parts = {
		.loop = agent->loop,
		.jobs = agent->jobs,
		.init = agent->init,
		.roots = &agent->roots,
		.pipe_size = agent->config.container_pipe_size,
		.any_disk = agent->config.any_disk,
		.cdi_timeout_ms = agent->config.cdi_timeout_s * 1000ull,
		.cdi_device_ms = agent->config.hotplug_timeout_s * 1000ull,
		.visible_cdi_devices = agent->config.visible_cdi_devices,
		.lsm = lsm_detect(agent->roots.sys),
		.strict_lsm = agent->config.strict_lsm,
	};
	const struct storage_pull pull = {
		.timeout_s = agent->config.image_pull_timeout_s,
		.https_proxy = agent->config.https_proxy,
		.no_proxy = agent->config.no_proxy,
	};

	agent_make_ports(agent);
	agent->splice_worker = splice_worker_new(agent->loop, agent->jobs, err);
	if (!agent->splice_worker)
		return -1;
	parts.splice_worker = agent->splice_worker;
	agent->devices = device_watch_new(agent->loop, agent->jobs, &agent->roots,
					  agent->config.hotplug_timeout_s * 1000ull, err);
	if (!agent->devices)
		return -1;
	agent->network = network_new(agent->loop, agent->jobs, &agent->roots,
				     agent->config.hotplug_timeout_s * 1000ull, err);
	if (!agent->network)
		return -1;
	agent->storages =
		storages_new(agent->loop, agent->jobs, agent->devices, &agent->roots, err);
	if (!agent->storages)
		return -1;
	storages_set_pull(agent->storages, &pull);
	agent->copies = copies_new(agent->loop, agent->jobs, &agent->roots, err);
	if (!agent->copies)
		return -1;
	parts.storages = agent->storages;
	parts.devices = agent->devices;
	agent->sandbox = sandbox_new(&parts, err);
	return agent->sandbox ? agent_make_guest(agent, err) : -1;
}

/* Listens on the configured address or, if that fails, on the default one. */
static int
agent_start_listening(struct life *life, struct error *err)
{
	struct agent *agent = &life->agent;
	const char *address = life->listen ? life->listen : agent->config.server_addr;

	if (server_listen(agent->server, address, err) == 0) {
		log_info("agent", "listening on %s", address);
		return 0;
	}
	if (life->listen || strcmp(address, CONFIG_DEFAULT_ADDR) == 0)
		return -1;
	log_warn("agent", "%s; falling back to " CONFIG_DEFAULT_ADDR, err->msg);
	return server_listen(agent->server, CONFIG_DEFAULT_ADDR, err);
}

static int
agent_make_server(struct life *life, struct error *err)
{
	struct agent *agent = &life->agent;

	if (agent->config.tracing) {
		agent->tracer = tracer_new(agent->loop, NULL, 0, err);
		if (!agent->tracer)
			return -1;
	}
	if (rpc_table_init(&life->table, err) < 0)
		return -1;
	life->server = (struct server_spec){
		.agent = agent,
		.services = life->table.services,
		.n_services = ARRAY_LEN(life->table.services),
		.gate = rpc_gate,
		.tracer = agent->tracer,
	};
	agent->server = server_new(agent->loop, &life->server, err);
	if (!agent->server || agent_start_listening(life, err) < 0)
		return -1;
	life->listening_ns = monotonic_ns();
	return 0;
}

/* Logs the stages of the boot in microseconds of CLOCK_MONOTONIC, which starts with the kernel. */
static void
agent_log_stages(const struct life *life)
{
	static const char *const names[] = { "init-us", "agent-us", "agent-main-us",
					     "listening-us" };
	const uint64_t ns[] = {
		initlink_boot_ns(life->agent.init, 0),
		initlink_boot_ns(life->agent.init, 1),
		life->main_ns,
		life->listening_ns,
	};
	char text[ARRAY_LEN(names)][24];
	struct log_field fields[ARRAY_LEN(names)];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		(void)snprintf(text[i], sizeof(text[i]), "%llu", (unsigned long long)ns[i] / 1000);
		fields[i] = (struct log_field){ names[i], text[i] };
	}
	log_event(LOG_LEVEL_INFO, "agent", EVENT_AGENT_READY, fields, ARRAY_LEN(fields),
		  "agent ready");
}

/* Releases the parts in reverse order, so that none calls back into a freed one. */
static void
agent_release(struct life *life)
{
	struct agent *agent = &life->agent;

	server_free(agent->server);
	tracer_free(agent->tracer);
	debug_stop(agent);
	jobs_free(agent->jobs);
	copies_free(agent->copies);
	memagent_free(agent->memagent);
	guest_free(agent->guest);
	if (agent->sandbox)
		sandbox_free(agent->sandbox);
	splice_worker_free(agent->splice_worker);
	ports_free(agent->ports);
	if (agent->storages)
		storages_free(agent->storages);
	network_free(agent->network);
	if (agent->devices)
		device_watch_free(agent->devices);
	initlink_free(agent->init);
	roots_close(&agent->roots);
	loop_unwatch(life->signal_watch);
	close_fd(&life->signal_fd);
	logsink_free(agent->logsink);
	if (agent->loop)
		loop_free(agent->loop);
}
