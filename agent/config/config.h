/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent is told at its start: by a configuration file, or else the kernel command line, and by the environment.
 * Nothing in them is fatal: what cannot be understood is warned about and leaves the value as it was; unknown keys
 * belong to somebody else. Each key is a row of the table in config.c; docs/man/tatami.8 lists them.
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
#define CONFIG_FILE_MAX     65536 /* bytes of a configuration file */

/* Who said it: the later of these wins. */
enum config_source {
	CONFIG_DEFAULT,
	CONFIG_FILE,
	CONFIG_CMDLINE,
	CONFIG_ENV,
};

/* Programs of a confidential guest that are to be started; each implies those before it. */
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

/* The memory agent; the two calls that set it (MemAgentMemcgSet, MemAgentCompactSet) say the same later. */
struct config_mem_agent {
	bool enable;
	bool memcg_disable, memcg_swap;
	uint32_t memcg_swappiness_max; /* 0 to 200 */
	uint64_t memcg_period_s;
	uint32_t memcg_period_psi_percent, memcg_eviction_psi_percent;
	uint64_t memcg_eviction_run_aging_count_min;
	bool compact_disable;
	uint64_t compact_period_s;
	uint32_t compact_period_psi_percent, compact_psi_percent;
	uint64_t compact_s_max;
	uint32_t compact_order;
	uint64_t compact_threshold;   /* pages */
	uint64_t compact_force_times; /* INT64_MAX: never */
};

struct config {
	enum log_level log_level;
	uint32_t log_vport; /* vsock port of the log stream; 0: standard error */
	char server_addr[CONFIG_ADDR_MAX];
	bool debug_console;
	uint32_t debug_console_vport;  /* 0: /dev/console */
	uint32_t passfd_listener_port; /* vsock port of pass-through streams; 0: none */
	bool tracing;                  /* spans of calls are sent to the host */
	uint32_t hotplug_timeout_s;    /* how long a device is waited for */
	uint32_t container_pipe_size;  /* bytes, of stdout and stderr; 0: the kernel's default */
	bool strict_lsm;               /* labels of modules that the kernel lacks are refused */
	bool any_disk;                 /* a device rule for everything opens all disks, too */
	bool unified_cgroup;           /* false: version 1 was asked for, which there is not */
	bool cgroup_no_v1;             /* cgroup_no_v1=all: the same wish the other way round */
	char policy_file[CONFIG_ADDR_MAX]; /* "": the default place, if there is one */
	struct config_mem_agent mem_agent;
	/* For parts that this agent does not have (agent/confidential.h). */
	enum guest_components guest_components_procs;
	enum guest_rest_api guest_components_rest_api;
	bool secure_storage_integrity;
	uint32_t cdh_api_timeout_s, image_pull_timeout_s, cdi_timeout_s, launch_process_timeout_s;
	bool visible_cdi_devices;
	char https_proxy[CONFIG_STRING_MAX], no_proxy[CONFIG_STRING_MAX];
	bool dev_mode;                         /* known, without effect */
	char file[CONFIG_ADDR_MAX];            /* the configuration file that was read; "": none */
	unsigned char source[CONFIG_KEYS_MAX]; /* enum config_source, for each row of the table */
};

/* The defaults. */
void config_init(struct config *c);

/* Everything in its order: the file (NULL: the one that the command line names, if it does), without a file the command
 * line, then the environment. A file that cannot be read is warned about, and the command line used. Starts from
 * config_init(). Returns how many warnings there were. At start only: may block on the file. */
unsigned int config_load(struct config *c, const char *file, const char *cmdline);

/* Tokens are split at white space; there is no quoting, and of duplicates the later wins. Returns how many
 * tokens were warned about. */
unsigned int config_read_cmdline(struct config *c, const char *text);

/* Environment variables. Returns how many were warned about. */
unsigned int config_read_env(struct config *c);

/* The text of a configuration file: the flat part of TOML (agent/config/toml.h). name is for warnings. Returns how many
 * there were. */
unsigned int config_read_file(struct config *c, const char *text, size_t n, const char *name);

/* Who said what the key is, by its name in a file; CONFIG_DEFAULT for one that there is not. */
enum config_source config_source_of(const struct config *c, const char *key);

/* Writes all keys with their values and who said so to fd, as a configuration file: read back, it gives the same values.
 * 0, or -1 and errno. May block as fd does. */
int config_print(const struct config *c, int fd);
