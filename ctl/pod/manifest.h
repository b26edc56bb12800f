/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The description of a pod: a JSON file with the part of Kubernetes' Pod that a guest has to do with. A member that is not
 * known is refused by its name; tatamictl(1) lists them all. Reads one file.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/arena.h"
#include "lib/error.h"

#define MANIFEST_CONTAINERS_MAX 8
#define MANIFEST_VOLUMES_MAX    16
#define MANIFEST_MOUNTS_MAX     16
#define MANIFEST_WORDS_MAX      64 /* of a command, an environment, a list of servers */
#define MANIFEST_PORTS_MAX      8

enum manifest_volume_kind {
	VOLUME_CONFIG_MAP,
	VOLUME_SECRET,
	VOLUME_EMPTY_DIR,
	VOLUME_HOST_PATH,
};

struct manifest_volume {
	const char *name;
	enum manifest_volume_kind kind;
	const json_t *text;  /* files by name, as they are; NULL: none */
	const json_t *bytes; /* files by name, in base64; NULL: none */
	bool in_memory;      /* an empty directory on tmpfs */
	uint64_t size;       /* its limit in bytes, 0: none */
	const char *path;    /* on the host */
};

struct manifest_mount {
	unsigned int volume; /* index */
	const char *path;
	bool read_only;
};

/* A command that is run in the container again and again. */
struct manifest_probe {
	const char *command[MANIFEST_WORDS_MAX + 1]; /* [0] NULL: no probe */
	int delay_s, period_s, timeout_s, failures;
};

enum manifest_restart {
	RESTART_ALWAYS,
	RESTART_ON_FAILURE,
	RESTART_NEVER,
};

struct manifest_container {
	const char *name;
	const char *image; /* a directory, or an image of a file system */
	const char *command[MANIFEST_WORDS_MAX + 1];
	char *env[MANIFEST_WORDS_MAX]; /* "NAME=value" */
	size_t n_env;
	const char *cwd;
	int uid, gid;
	bool read_only, privileged;
	uint64_t memory;    /* bytes, 0: no limit */
	unsigned int milli; /* processors, in thousandths; 0: no limit */
	struct manifest_mount mounts[MANIFEST_MOUNTS_MAX];
	size_t n_mounts;
	struct manifest_probe readiness, liveness;
};

struct manifest {
	json_t *json;       /* what all strings belong to, but for */
	struct arena texts; /* those with variables in them */
	const char *name, *hostname;
	bool share_pids;
	enum manifest_restart restart;
	const char *servers[MANIFEST_WORDS_MAX]; /* of names */
	size_t n_servers;
	struct manifest_volume volumes[MANIFEST_VOLUMES_MAX];
	size_t n_volumes;
	struct manifest_container containers[MANIFEST_CONTAINERS_MAX];
	size_t n_containers;
	char ports[MANIFEST_PORTS_MAX][96]; /* as --publish takes them */
	size_t n_ports;
};

/* 0, or -1 and INVALID_ARGUMENT with the path of what is wrong ("spec.containers[1].volumeMounts[0]: ..."). To be
 * released in both cases. */
int manifest_read(struct manifest *m, const char *path, struct error *err);
int manifest_parse(struct manifest *m, const char *text, struct error *err);
void manifest_release(struct manifest *m);
