/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container as the loop sees it: state, processes, pinned namespaces, packed spec. What makes,
 * enters and takes down the real one is launch.h, in workers. Loop side: never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/container/hooks/hooks.h"
#include "agent/container/launch/keyring.h"
#include "agent/container/launch/params.h"
#include "agent/container/process.h"
#include "lib/error.h"
#include "lib/list.h"
#include "lib/loop.h"

/* init and execs that can be named at a time */
#define CONTAINER_PROCESSES_MAX 1024
/* collected ones whose output nobody has read: the oldest go */
#define CONTAINER_UNREAD_MAX 64

enum container_state {
	/* storages, launch: not to be named yet */
	CONTAINER_CREATING,
	/* init waits at its gate */
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	/* init has ended; its status and output may not have been taken */
	CONTAINER_STOPPED,
	/* being taken down */
	CONTAINER_REMOVING,
	CONTAINER_STATES,
};

/* What hosts ask of a container. */
enum container_call {
	CONTAINER_CALL_CREATE,
	CONTAINER_CALL_START,
	CONTAINER_CALL_EXEC,
	CONTAINER_CALL_SIGNAL,
	CONTAINER_CALL_WAIT,
	/* read, write, close, resize */
	CONTAINER_CALL_STREAM,
	CONTAINER_CALL_REMOVE,
	CONTAINER_CALL_UPDATE,
	CONTAINER_CALL_STATS,
	CONTAINER_CALL_PAUSE,
	CONTAINER_CALL_RESUME,
	CONTAINER_CALLS,
};

struct oom_source;
struct cached_filter;

struct container {
	/* in its sandbox */
	struct list node;
	/* in its pod, as hosts annotate it; NULL: none */
	char *name;
	struct loop *loop;
	char *id;
	enum container_state state;
	/* of its spec: see spec/retain.h */
	uint8_t *kept;
	size_t kept_size;
	/* a reference; NULL: no seccomp */
	struct cached_filter *profile;
	char *cgroup_path;
	char *bundle;
	/* the name of its session keyring, for execs */
	char keyring[KEYRING_NAME_SIZE];
	/* the sandbox's; NULL: not watched */
	struct oom_source *oom;
	/* id of the device rules in force; 0: none */
	uint32_t device_program;
	/* its devices have the guest's numbers: device rules that come later have the host's */
	bool renumbered;
	bool paused;
	/* references are held in its name */
	bool has_storages;
	/* writing end of init's start gate; -1 once used */
	int gate;
	/* pinned, for execs; -1: the agent's own */
	int ns[NS_KINDS];
	pid_t init_pid;
	/* how long they may take */
	struct hook_times hooks;
	/* NULL once it is over */
	struct process *init;
	bool init_exited;
	/* its pid namespace is that of another container: it does not end with init */
	bool joins_pids;
	struct list processes;
	struct post sweep;
	/* Called when a process has ended, last. May free the container. May be NULL. */
	void (*on_exit)(struct container *c, void *data);
	void *data;
};

/* In state CREATING, with an init process that has no streams yet. Copies id and what is kept of
 * the spec. NULL and err. */
struct container *container_new(struct loop *loop, const char *id, const Grpc__Spec *spec,
				struct error *err);

/* Frees it and its processes: see process_free(). The caller has taken it out of its list. */
void container_free(struct container *c);

const char *container_id(const struct container *c);

/* May this be asked in the container's state? The table of replies to every call in every state
 * is in container.c. 0, or -1 and err. */
int container_allows(const struct container *c, enum container_call call, struct error *err);

/* The process exec_id, "" or the container's id being init. Only ready ones; collected ones only
 * for CONTAINER_CALL_STREAM. NULL and NOT_FOUND. */
struct process *container_process(struct container *c, const char *exec_id,
				  enum container_call call, struct error *err);

/* A new process of this name, not ready, in the container. ALREADY_EXISTS `exec_id '<id>' already
 * exists`. A collected one of this name is dropped. */
struct process *container_add_process(struct container *c, const char *exec_id, struct error *err);

/* Lets init go: CREATED becomes RUNNING. FAILED_PRECONDITION if init is dead. */
int container_start(struct container *c, struct error *err);

/* For somebody else who has opened the gate: the same state. */
void container_started(struct container *c);

/* Processes with a pid that have not ended. */
size_t container_alive(const struct container *c);

/* SIGKILL to each of them, as far as it goes. */
void container_kill_processes(struct container *c);
