/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The description of a pod: a JSON file with the part of a Kubernetes Pod that concerns the guest.
 * An unknown member is an error that names it; tatamictl(1) lists the known ones. May block.
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
/* entries of a command, an environment or a list of servers */
#define MANIFEST_WORDS_MAX 64
#define MANIFEST_PORTS_MAX 8

enum manifest_volume_kind {
	VOLUME_CONFIG_MAP,
	VOLUME_SECRET,
	VOLUME_EMPTY_DIR,
	VOLUME_HOST_PATH,
};

struct manifest_volume {
	const char *name;
	enum manifest_volume_kind kind;
	/* plain files by name, or NULL */
	const json_t *text;
	/* base64 files by name, or NULL */
	const json_t *bytes;
	/* emptyDir on tmpfs */
	bool in_memory;
	/* size limit of the tmpfs in bytes, 0: none */
	uint64_t size;
	/* hostPath on the host */
	const char *path;
};

struct manifest_mount {
	/* index into the pod's volumes */
	unsigned int volume;
	const char *path;
	bool read_only;
};

/* A command that is run in the container periodically. */
struct manifest_probe {
	/* [0] NULL: no probe */
	const char *command[MANIFEST_WORDS_MAX + 1];
	int delay_s, period_s, timeout_s, failures;
};

enum manifest_restart {
	RESTART_ALWAYS,
	RESTART_ON_FAILURE,
	RESTART_NEVER,
};

struct manifest_container {
	const char *name;
	/* directory or file system image */
	const char *image;
	const char *command[MANIFEST_WORDS_MAX + 1];
	/* "NAME=value" */
	char *env[MANIFEST_WORDS_MAX];
	size_t n_env;
	const char *cwd;
	int uid, gid;
	bool read_only, privileged;
	/* bytes, 0: no limit */
	uint64_t memory;
	/* thousandths of a processor, 0: no limit */
	unsigned int milli;
	struct manifest_mount mounts[MANIFEST_MOUNTS_MAX];
	size_t n_mounts;
	struct manifest_probe readiness, liveness;
};

struct manifest {
	/* owner of all strings except */
	json_t *json;
	/* expanded strings */
	struct arena texts;
	const char *name, *hostname;
	bool share_pids;
	enum manifest_restart restart;
	/* addresses of name servers */
	const char *servers[MANIFEST_WORDS_MAX];
	size_t n_servers;
	struct manifest_volume volumes[MANIFEST_VOLUMES_MAX];
	size_t n_volumes;
	struct manifest_container containers[MANIFEST_CONTAINERS_MAX];
	size_t n_containers;
	/* in the format of --publish */
	char ports[MANIFEST_PORTS_MAX][96];
	size_t n_ports;
};

/* Reads the description in file `path`. Returns 0, or -1 and err: INVALID_ARGUMENT with the path
 * of the invalid value ("spec.containers[1].volumeMounts[0]: ..."). The caller releases m in
 * both cases. */
int manifest_read(struct manifest *m, const char *path, struct error *err);
int manifest_parse(struct manifest *m, const char *text, struct error *err);
void manifest_release(struct manifest *m);
