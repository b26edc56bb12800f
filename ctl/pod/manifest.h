/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The description of a pod: a file of Kubernetes' documents, in YAML or JSON. Fields that concern
 * only a cluster are skipped and listed; a field that is unknown or not supported is an error that
 * names its path and line. docs/pods.md has a row for each field. May block.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/image/account.h"
#include "ctl/pod/field.h"
#include "lib/arena.h"
#include "lib/error.h"

/* init containers included */
#define MANIFEST_CONTAINERS_MAX 14
#define MANIFEST_VOLUMES_MAX    32
#define MANIFEST_MOUNTS_MAX     32
/* entries of a command or a list of servers */
#define MANIFEST_WORDS_MAX   64
#define MANIFEST_ENV_MAX     512
#define MANIFEST_PORTS_MAX   8
#define MANIFEST_GROUPS_MAX  16
#define MANIFEST_ALIASES_MAX 32
#define MANIFEST_SYSCTLS_MAX 64

/* An option --claim NAME=PATH: the directory or disk of the host that a claim stands for. */
struct manifest_claim {
	const char *name, *path;
	size_t n_name;
};

/* Properties of the guest, for the fields that refer to it, and what the user gives. */
struct manifest_guest {
	/* addresses of the pod and its host, and a random id */
	const char *ip, *host_ip, *uid;
	uint64_t memory;
	unsigned int cpus;
	/* the network forwards ports of IPv6 addresses of the host */
	bool publishes_ipv6;
	const struct manifest_claim *claims;
	size_t n_claims;
	/* completion index of a Job's pod */
	unsigned int index;
};

enum manifest_volume_kind {
	/* configMap, secret, downwardAPI, projected */
	VOLUME_FILES,
	VOLUME_EMPTY_DIR,
	VOLUME_HOST_PATH,
	/* the content of an image */
	VOLUME_IMAGE,
};

/* A file of a volume. */
struct manifest_file {
	/* relative path */
	const char *path;
	const void *bytes;
	size_t size;
	unsigned int mode;
};

struct manifest_volume {
	const char *name;
	enum manifest_volume_kind kind;
	struct manifest_file *files;
	size_t n_files;
	/* emptyDir on tmpfs */
	bool in_memory;
	/* size limit of the tmpfs in bytes, 0: none */
	uint64_t size;
	/* hostPath on the host, or an image; to be created if it is missing; must be a file, or a
	 * directory */
	const char *path;
	bool make, is_file, is_directory;
	/* the volume of a claim: may be the image of a file system; cannot be written */
	bool may_be_disk, read_only;
	/* hostPath of a file, whose directory is shared: its name, or "" */
	char file[256];
	/* for errors */
	unsigned int line;
	/* pullPolicy: an enum image_pull */
	unsigned int pull;
};

struct manifest_mount {
	/* index into the pod's volumes */
	unsigned int volume;
	const char *path;
	/* in the volume, or "" */
	const char *sub_path;
	bool read_only;
};

/* Something that is run in the container, or in the pause container. */
struct manifest_action {
	/* NULL: nothing */
	const char **args;
	/* the program is that of the pause container, which makes requests to the container */
	bool is_request;
	/* sleeps this long instead, with args NULL; -1: no */
	int sleep_s;
	/* port of a request by HTTPS, which the host makes (https.h); 0: none */
	unsigned int https_port;
	const char *https_path;
	/* "NAME: VALUE" */
	const char *const *https_headers;
	/* its field in the description and the line */
	const char *field;
	unsigned int line;
};

struct manifest_probe {
	struct manifest_action action;
	int delay_s, period_s, timeout_s, failures, successes;
	/* -1: that of the pod */
	int grace_s;
};

enum manifest_restart {
	RESTART_ALWAYS,
	RESTART_ON_FAILURE,
	RESTART_NEVER,
};

enum manifest_seccomp {
	SECCOMP_UNCONFINED,
	SECCOMP_RUNTIME_DEFAULT,
	SECCOMP_LOCALHOST,
};

/* The filter of system calls of a container. */
struct manifest_filter {
	enum manifest_seccomp type;
	/* Localhost: relative path of the profile; its field in the description and the line */
	const char *path, *field;
	unsigned int line;
	/* security_read_profiles() */
	struct Grpc__LinuxSeccomp *profile;
};

struct manifest_container {
	const char *name;
	const char *image;
	/* line of the image, for errors */
	unsigned int line;
	/* imagePullPolicy: an enum image_pull */
	unsigned int pull;
	/* is_sidecar: an init container that goes on running */
	bool is_init, is_sidecar;
	/* NULL: that of the image */
	const char **command, **args;
	/* "NAME=value"; the image's come before them */
	char **env;
	size_t n_env;
	/* NULL: that of the image */
	const char *cwd;
	/* -1: that of the image */
	int64_t uid, gid;
	bool run_as_non_root;
	/* groups of the user in the image's /etc/group */
	uint32_t image_groups[ACCOUNT_GROUPS_MAX];
	size_t n_image_groups;
	/* "CAP_CHOWN" or "ALL" */
	const char **add_caps, **drop_caps;
	bool read_only, privileged, no_new_privileges;
	struct manifest_filter seccomp;
	bool terminal, keeps_stdin;
	/* from the image: nobody may write its disk */
	bool has_read_only_image;
	/* signal for the end, that of the image unless there is stopSignal; 0: SIGTERM */
	int stop_signal;
	/* bytes, 0: no limit */
	uint64_t memory;
	/* thousandths of a processor, 0: no limit; and as requested */
	unsigned int milli, requested_milli;
	uint64_t requested_memory;
	struct manifest_mount mounts[MANIFEST_MOUNTS_MAX];
	size_t n_mounts;
	struct manifest_probe startup, readiness, liveness;
	struct manifest_action post_start, pre_stop;
	/* procMount: Unmasked */
	bool has_unmasked_proc;
	/* terminationMessagePath, and whether the end of the output may be the message */
	const char *message_path;
	bool has_message_of_log;
	/* bytes of ephemeral-storage, only for references; 0: none */
	uint64_t storage, requested_storage;
};

struct manifest_alias {
	const char *ip;
	const char **names;
};

/* A kernel parameter: "net.ipv4.tcp_rmem". */
struct manifest_sysctl {
	const char *name, *value;
};

/* The number of pods of a Job, and how many may fail. */
struct manifest_job {
	/* the pod is that of a Job; completionMode: Indexed */
	bool is_job, is_indexed;
	int64_t completions, backoff_limit;
	/* backoffLimitPerIndex, maxFailedIndexes; -1: none */
	int64_t limit_per_index, max_failed;
	/* activeDeadlineSeconds of the Job; 0: none */
	int64_t deadline_s;
};

struct manifest {
	/* owner of all strings */
	struct arena texts;
	const char *name, *hostname;
	/* kind of the object with the template, or NULL: a Pod */
	const char *kind;
	bool share_pids;
	enum manifest_restart restart;
	int grace_s;
	/* -1: none */
	int64_t fs_group;
	/* fsGroupChangePolicy: OnRootMismatch */
	bool fs_group_on_mismatch;
	/* processes do not get the groups of the image */
	bool has_strict_groups;
	uint32_t groups[MANIFEST_GROUPS_MAX];
	size_t n_groups;
	/* lines of resolv.conf */
	const char *dns[MANIFEST_WORDS_MAX];
	size_t n_dns;
	struct manifest_alias aliases[MANIFEST_ALIASES_MAX];
	size_t n_aliases;
	struct manifest_volume volumes[MANIFEST_VOLUMES_MAX];
	size_t n_volumes;
	/* the first n_init are init containers */
	struct manifest_container containers[MANIFEST_CONTAINERS_MAX];
	size_t n_containers, n_init;
	/* in the format of --publish */
	char ports[MANIFEST_PORTS_MAX][96];
	size_t n_ports;
	/* paths of what was ignored, separated by commas, or "" */
	const char *ignored;
	struct manifest_sysctl sysctls[MANIFEST_SYSCTLS_MAX];
	size_t n_sysctls;
	/* activeDeadlineSeconds; 0: none */
	int64_t deadline_s;
	/* name of the host without domain; with that of `subdomain`, or NULL. `hostname` is one of
	 * them */
	const char *label, *fqdn;
	/* dnsPolicy: None */
	bool has_own_dns;
	struct manifest_job job;
	/* metadata.name of the pod, which differs from `name` in an Indexed Job */
	const char *pod_name;
	/* the description itself, from which that of a Job's next pod is read */
	const char *text;
	size_t text_size;
};

/* Reads the description in file `path` ("-": standard input). Returns 0, or -1 and err:
 * INVALID_ARGUMENT with line and path of the invalid value ("FILE: line 9:
 * spec.containers[1].image: ..."). The caller releases m in both cases. */
int manifest_read(struct manifest *m, const char *path, const struct manifest_guest *guest,
		  struct error *err);
int manifest_parse(struct manifest *m, const char *text, size_t size,
		   const struct manifest_guest *guest, struct error *err);
void manifest_release(struct manifest *m);
