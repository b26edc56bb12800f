/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of the agent: from a configuration file or else the kernel command line, and
 * from the environment. Errors are never fatal: an invalid value is ignored with a warning, and
 * unknown keys are ignored, since other programs read the command line, too. Each key is a row of
 * the table in config.c; docs/man/tatami.8 lists them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/log.h"

#define CONFIG_ADDR_MAX     256
#define CONFIG_STRING_MAX   512
#define CONFIG_DEFAULT_ADDR "vsock://-1:1024"
#define CONFIG_KEYS_MAX     48
/* bytes of a configuration file */
#define CONFIG_FILE_MAX 65536

/* The source of a value. Later ones override earlier ones. */
enum config_source {
	CONFIG_DEFAULT,
	CONFIG_FILE,
	CONFIG_CMDLINE,
	CONFIG_ENV,
};

/* Programs of a confidential guest to be started. Each implies those before it. */
enum guest_components {
	GUEST_COMPONENTS_NONE,
	GUEST_COMPONENTS_ATTESTATION_AGENT,
	GUEST_COMPONENTS_DATA_HUB,
	GUEST_COMPONENTS_API_SERVER,
};

enum guest_rest_api {
	GUEST_REST_API_ALL,
	GUEST_REST_API_ATTESTATION,
	GUEST_REST_API_RESOURCE,
};

/* Settings of the memory agent, as in the calls MemAgentMemcgSet and MemAgentCompactSet. */
struct config_mem_agent {
	bool enable;
	bool memcg_disable, memcg_swap;
	/* 0 to 200 */
	uint32_t memcg_swappiness_max;
	uint64_t memcg_period_s;
	uint32_t memcg_period_psi_percent, memcg_eviction_psi_percent;
	uint64_t memcg_eviction_run_aging_count_min;
	bool compact_disable;
	uint64_t compact_period_s;
	uint32_t compact_period_psi_percent, compact_psi_percent;
	uint64_t compact_s_max;
	uint32_t compact_order;
	/* pages */
	uint64_t compact_threshold;
	/* INT64_MAX: never */
	uint64_t compact_force_times;
};

struct config {
	enum log_level log_level;
	/* vsock port of the log stream; 0: standard error */
	uint32_t log_vport;
	char server_addr[CONFIG_ADDR_MAX];
	bool debug_console;
	/* 0: /dev/console */
	uint32_t debug_console_vport;
	/* vsock port of pass-through streams; 0: none */
	uint32_t passfd_listener_port;
	/* spans of calls are sent to the host */
	bool tracing;
	/* time limit of the wait for a hot-plugged device */
	uint32_t hotplug_timeout_s;
	/* bytes, of stdout and stderr; 0: the kernel's default */
	uint32_t container_pipe_size;
	/* labels of security modules that the kernel lacks are refused */
	bool strict_lsm;
	/* a device rule for all devices includes all disks */
	bool any_disk;
	/* false: cgroup v1 is requested, which is not supported */
	bool unified_cgroup;
	/* cgroup_no_v1=all */
	bool cgroup_no_v1;
	/* "": the default file, if it exists */
	char policy_file[CONFIG_ADDR_MAX];
	struct config_mem_agent mem_agent;
	/* Of images that the guest pulls. */
	uint32_t image_pull_timeout_s;
	char https_proxy[CONFIG_STRING_MAX], no_proxy[CONFIG_STRING_MAX];
	/* Settings of parts that this agent does not have (agent/confidential.h). */
	enum guest_components guest_components_procs;
	enum guest_rest_api guest_components_rest_api;
	bool secure_storage_integrity;
	uint32_t cdh_api_timeout_s, cdi_timeout_s, launch_process_timeout_s;
	bool visible_cdi_devices;
	/* has no effect */
	bool dev_mode;
	/* the configuration file that was read; "": none */
	char file[CONFIG_ADDR_MAX];
	/* enum config_source of each row of the table */
	unsigned char source[CONFIG_KEYS_MAX];
};

/* Sets the defaults. */
void config_init(struct config *c);

/* Sets the defaults and reads all sources: the file (NULL: the one on the command line, if any),
 * or, if there is no file or it cannot be read, the command line; then the environment. Returns the
 * number of warnings. Called at start only: may block on the file. */
unsigned int config_load(struct config *c, const char *file, const char *cmdline);

/* Reads a kernel command line. Tokens are separated by white space, without quoting; later ones
 * override earlier ones. Returns the number of warnings. */
unsigned int config_read_cmdline(struct config *c, const char *text);

/* Reads the environment variables. Returns the number of warnings. */
unsigned int config_read_env(struct config *c);

/* Reads the text of a configuration file, in TOML (agent/config/toml.h). name is for warnings.
 * Returns the number of warnings. */
unsigned int config_read_file(struct config *c, const char *text, size_t n, const char *name);

/* Returns the source of a key's value, by the key's name in a file. CONFIG_DEFAULT for unknown
 * keys. */
enum config_source config_source_of(const struct config *c, const char *key);

/* Writes all keys with their values and sources to fd, as a configuration file that gives the same
 * values when it is read. Returns 0, or -1 and errno. May block on fd. */
int config_print(const struct config *c, int fd);
