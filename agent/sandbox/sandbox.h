/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox: the state that exists once per VM. Holds the containers by id and orders the
 * operations on them. Called by agent/rpc; independent of the calls' messages. Loop side: never
 * blocks; everything that may block runs in a job.
 *
 * Operations return OP_DONE, OP_FAILED (err is set) or OP_PENDING. If pending, done(err, data)
 * follows once, never from inside the call, and until then *p is for pending_cancel(). Strings and
 * messages of a request must stay valid until the operation has ended or was cancelled.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/container/container.h"
#include "agent/device/handlers.h"
#include "agent/roots.h"
#include "agent/sandbox/queue.h"
#include "agent/storage/storage.h"
#include "lib/error.h"
#include "lib/loop.h"

struct initlink;
struct jobs;
struct device_watch;
struct oom_events;
struct splice_worker;
struct sandbox;

#define SANDBOX_CONTAINERS_MAX 1024

/* The objects that the sandbox works with. They outlive the sandbox. */
struct sandbox_parts {
	struct loop *loop;
	struct jobs *jobs;
	struct initlink *init;
	struct storages *storages;
	const struct roots *roots;
	/* For streams that are passed through; NULL: none are. */
	struct splice_worker *splice_worker;
	/* NULL: no devices can be found. */
	struct device_watch *devices;
	/* In bytes, of stdout and stderr pipes; 0: the kernel's default. */
	uint32_t pipe_size;
	/* The security modules that the kernel has. */
	struct lsm lsm;
	/* Labels of modules that the kernel lacks are refused. */
	bool strict_lsm;
	/* Device rules for all devices include disks. */
	bool any_disk;
	/* The time for specs of CDI to appear, and then for a device to appear in them, in
	 * milliseconds. */
	uint64_t cdi_timeout_ms, cdi_device_ms;
	/* Containers ask for CDI devices by a variable, too. */
	bool visible_cdi_devices;
	/* The time limit of a launch, from starting the worker to the gate; 0: two minutes. */
	uint64_t create_timeout_ms;
};

/* Returns the sandbox, which exists from the agent's start, before CreateSandbox; or NULL and
 * err. */
struct sandbox *sandbox_new(const struct sandbox_parts *parts, struct error *err);

/* Frees the sandbox and its containers; no job may be running. */
void sandbox_free(struct sandbox *s);

/* Returns whether CreateSandbox has succeeded and no DestroySandbox has arrived. */
bool sandbox_is_created(const struct sandbox *s);

/* Returns the sandbox's id; "" before CreateSandbox, or if the host gave none. */
const char *sandbox_id(const struct sandbox *s);

/* Returns the container `id` if its state allows `call`; or NULL and err: INVALID_ARGUMENT
 * `container <id> not found`, or the error of container_allows(). */
struct container *sandbox_container(struct sandbox *s, const char *id, enum container_call call,
				    struct error *err);

/* Returns the process exec_id ("" or the container's id: init) of the container; or NULL and err:
 * NOT_FOUND, or the errors of sandbox_container(). */
struct process *sandbox_process(struct sandbox *s, const char *id, const char *exec_id,
				enum container_call call, struct error *err);

/* Calls fn with the cgroup of each container that has been started and has not ended. */
void sandbox_each_cgroup(const struct sandbox *s, void (*fn)(const char *path, void *data),
			 void *data);

/* Returns the number of containers in any state, for tests and shutdown. */
size_t sandbox_containers(const struct sandbox *s);

struct sandbox_module {
	const char *name;
	char *const *parameters;
	size_t n_parameters;
};

/* CreateSandbox, without its wire format. */
struct sandbox_request {
	const char *id;
	/* At most 64 bytes; "" leaves the guest's. */
	const char *hostname;
	/* Directory of hooks in the guest; "" for none. */
	const char *guest_hook_path;
	/* Lines of resolv.conf; none leaves the guest's. */
	char *const *dns;
	size_t n_dns;
	const struct sandbox_module *modules;
	size_t n_modules;
	const struct storage_spec *storages;
	size_t n_storages;
};

/* Creates the sandbox, once: ALREADY_EXISTS afterwards, FAILED_PRECONDITION while a creation is in
 * progress. A failure or pending_cancel() restores the state before the call. */
enum op_outcome sandbox_create(struct sandbox *s, const struct sandbox_request *request,
			       op_done_fn *done, void *data, struct pending **p, struct error *err);

/* Removes all containers and releases the sandbox's storages. Done when nothing is left or the time
 * limits (DESTROY_MS and so on) have passed. Works without a CreateSandbox, too. A second call
 * fails with FAILED_PRECONDITION. Continues if the wait is cancelled. The caller powers the guest
 * off afterwards. */
enum op_outcome sandbox_destroy(struct sandbox *s, op_done_fn *done, void *data, struct pending **p,
				struct error *err);

/* A mount of another container, named as in its pod, that the new container is to have, too. */
struct sandbox_shared_mount {
	const char *src_name, *src_path, *dst_path;
};

/* CreateContainer, without its wire format. */
struct sandbox_container_request {
	const char *id;
	/* NULL is an error */
	const Grpc__Spec *spec;
	bool sandbox_pidns;
	const struct device_request *devices;
	size_t n_devices;
	const struct sandbox_shared_mount *shared;
	size_t n_shared;
	const struct storage_spec *storages;
	size_t n_storages;
	/* Three sockets of the host for stdin, stdout and stderr, each of which may be -1; NULL:
	 * none. The sockets that are taken over are set to -1. */
	int *pass;
};

/* Creates a container. Done when its init waits at the start gate. A failure or pending_cancel()
 * undoes everything, including the storages. */
enum op_outcome sandbox_create_container(struct sandbox *s,
					 const struct sandbox_container_request *request,
					 op_done_fn *done, void *data, struct pending **p,
					 struct error *err);

/* Opens the start gate of a created container. If hooks are to run, done when they have. */
enum op_outcome sandbox_start_container(struct sandbox *s, const char *id, op_done_fn *done,
					void *data, struct pending **p, struct error *err);

/* ExecProcess, without its wire format. */
struct sandbox_exec_request {
	const char *id, *exec_id;
	/* NULL is an error */
	const Grpc__Process *process;
	/* As in struct sandbox_container_request. */
	int *pass;
};

/* Starts a process in a container. Done when the process is released to execve(2). */
enum op_outcome sandbox_exec(struct sandbox *s, const struct sandbox_exec_request *request,
			     op_done_fn *done, void *data, struct pending **p, struct error *err);

/* Removes a container: aborts its waiting operations, gives the running one 5 s, then tears the
 * container down. Continues if the wait is cancelled. If timeout_s > 0, the caller gets
 * DEADLINE_EXCEEDED after that many seconds, and the removal continues. */
enum op_outcome sandbox_remove_container(struct sandbox *s, const char *id, uint32_t timeout_s,
					 op_done_fn *done, void *data, struct pending **p,
					 struct error *err);

/* Sends SIGKILL to everything in the container's cgroup, without a fork. Returns 0, or -1 and
 * err. */
int sandbox_kill_all(struct sandbox *s, struct container *c, struct error *err);

/* Sends one signal to one process. Returns 0, also if the process is dead already, or -1 and err.
 * SIGTERM becomes SIGKILL for an init that neither handles, ignores nor blocks it, because the
 * kernel would drop it (pid_namespaces(7)). */
int sandbox_signal(struct sandbox *s, struct process *p, uint32_t signal, struct error *err);

/* Freezes or thaws a container; done when its processes have stopped or run again. No process can
 * be started in a paused container; signals are held back, except SIGKILL. */
enum op_outcome sandbox_pause_container(struct sandbox *s, const char *id, op_done_fn *done,
					void *data, struct pending **p, struct error *err);
enum op_outcome sandbox_resume_container(struct sandbox *s, const char *id, op_done_fn *done,
					 void *data, struct pending **p, struct error *err);

/* Changes the limits that `resources` gives; device rules, if there are any, are replaced as a
 * whole. A failure leaves all limits unchanged. Copies what it needs. */
enum op_outcome sandbox_update_container(struct sandbox *s, const char *id,
					 const Grpc__LinuxResources *resources, op_done_fn *done,
					 void *data, struct pending **p, struct error *err);

struct stats;

/* Reads a container's statistics into *out before `done` is called without an error. The caller
 * frees the list in *out. */
enum op_outcome sandbox_container_stats(struct sandbox *s, const char *id, struct stats *out,
					op_done_fn *done, void *data, struct pending **p,
					struct error *err);

/* Returns the OOM kills of all containers, for oom_take(). */
struct oom_events *sandbox_oom(struct sandbox *s);
