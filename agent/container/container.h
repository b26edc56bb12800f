/* SPDX-License-Identifier: Apache-2.0 */
/* The loop side of a container: state, processes, pinned namespaces, packed spec. Workers create,
 * enter and remove the container itself (launch.h). Loop side: never blocks.
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

/* Limit on the processes of a container, init and execs. */
#define CONTAINER_PROCESSES_MAX 1024
/* Limit on the processes whose status was reported and whose output is unread. The oldest are
 * dropped. */
#define CONTAINER_UNREAD_MAX 64

enum container_state {
	/* Storages are being mounted or the launch runs: calls cannot name the container yet. */
	CONTAINER_CREATING,
	/* The init process waits at its gate. */
	CONTAINER_CREATED,
	CONTAINER_RUNNING,
	/* The init process has ended; its status and output may not have been read. */
	CONTAINER_STOPPED,
	/* A worker removes the container. */
	CONTAINER_REMOVING,
	CONTAINER_STATES,
};

/* The calls that depend on a container's state. */
enum container_call {
	CONTAINER_CALL_CREATE,
	CONTAINER_CALL_START,
	CONTAINER_CALL_EXEC,
	CONTAINER_CALL_SIGNAL,
	CONTAINER_CALL_WAIT,
	/* Reading, writing, closing and resizing of streams. */
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
struct device_number;
struct pci_pair;

struct container {
	/* In the sandbox's list. */
	struct list node;
	/* The name in the pod, from the host's annotation; NULL: none. */
	char *name;
	struct loop *loop;
	char *id;
	enum container_state state;
	/* The packed part of the spec (spec/retain.h). */
	uint8_t *kept;
	size_t kept_size;
	/* A reference; NULL: no seccomp. */
	struct cached_filter *profile;
	char *cgroup_path;
	char *bundle;
	/* The name of the session keyring, for execs. */
	char keyring[KEYRING_NAME_SIZE];
	/* Owned by the sandbox; NULL: not watched. */
	struct oom_source *oom;
	/* The id of the attached device program; 0: none. */
	uint32_t device_program;
	/* The devices that the host plugged in, for later device rules, which have the host's
	 * numbers. */
	struct device_number *numbers;
	size_t n_numbers;
	/* The PCI functions that the host plugged in, for variables of execs. */
	struct pci_pair *functions;
	size_t n_functions;
	bool paused;
	/* The container is an owner of storages. */
	bool has_storages;
	/* The writing end of the init process's gate; -1 after the start. */
	int gate;
	/* Pinned namespaces for execs; -1: the sandbox's (ns_of_sandbox), the init process's
	 * (NS_PID), or the agent's own. */
	int ns[NS_KINDS];
	/* A bit for each ns_kind that is the sandbox's. */
	uint32_t ns_of_sandbox;
	pid_t init_pid;
	/* Upper bounds on the run time of the hooks. */
	struct hook_times hooks;
	/* NULL after it was dropped. */
	struct process *init;
	bool init_exited;
	/* The pid namespace belongs to another container and does not end with the init process. */
	bool joins_pids;
	struct list processes;
	struct post sweep;
	/* Called as the last step when a process has ended. May free the container. May be NULL. */
	void (*on_exit)(struct container *c, void *data);
	void *data;
};

/* Allocates a container in state CREATING, with an init process that has no streams yet. Copies
 * `id` and the retained part of the spec. Returns NULL and err on failure. */
struct container *container_new(struct loop *loop, const char *id, const Grpc__Spec *spec,
				struct error *err);

/* Replaces the retained part of the spec and the times of the hooks, while the container is being
 * created. Returns 0, or -1 and err. */
int container_set_spec(struct container *c, const Grpc__Spec *spec, struct error *err);

/* Frees the container and its processes (process_free()). The caller has removed it from its
 * list. */
void container_free(struct container *c);

const char *container_id(const struct container *c);

/* Checks whether a call is allowed in the container's state. The table of results is in
 * container.c. Returns 0, or -1 and err. */
int container_allows(const struct container *c, enum container_call call, struct error *err);

/* Returns the process `exec_id`; "" and the container's id mean the init process. Processes that
 * are not ready are not found; those whose status was reported are found for
 * CONTAINER_CALL_STREAM only. Returns NULL and NOT_FOUND otherwise. */
struct process *container_process(struct container *c, const char *exec_id,
				  enum container_call call, struct error *err);

/* Adds a process with this name that is not ready yet. One with the same name whose status was
 * reported is dropped. Returns NULL and err on failure: ALREADY_EXISTS `exec_id '<id>' already
 * exists`. */
struct process *container_add_process(struct container *c, const char *exec_id, struct error *err);

/* Opens the gate of the init process: CREATED becomes RUNNING. Returns 0, or -1 and
 * FAILED_PRECONDITION if the process is dead. */
int container_start(struct container *c, struct error *err);

/* Updates the state after a worker has opened the gate. */
void container_started(struct container *c);

/* Returns the number of processes with a pid that have not ended. */
size_t container_alive(const struct container *c);

/* Sends SIGKILL to each process of the table. Errors are logged. */
void container_kill_processes(struct container *c);
