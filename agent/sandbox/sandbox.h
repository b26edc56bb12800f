/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox: what there is one of in a VM. Holds the containers by id and orders the work on them. Called
 * by agent/rpc; knows no call. Loop side: never blocks, what could is a job.
 *
 * Operations return OP_DONE, OP_FAILED (err is set) or OP_PENDING: then done(err, data) follows once, never
 * from inside, and until then *p is for pending_cancel(). Strings and messages of a request must live until the
 * operation has ended or was cancelled.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/container/container.h"
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

/* What the sandbox works with: all of it outlives the sandbox. */
struct sandbox_parts {
	struct loop *loop;
	struct jobs *jobs;
	struct initlink *init;
	struct storages *storages;
	const struct roots *roots;
	struct splice_worker
		*splice_worker;       /* for streams that are passed through; NULL: none are */
	struct device_watch *devices; /* NULL: none are found */
	uint32_t pipe_size;         /* bytes, of stdout and stderr pipes; 0: the kernel's default */
	struct lsm lsm;             /* what the kernel has */
	bool strict_lsm;            /* labels of others are refused */
	bool any_disk;              /* device rules for everything cover disks, too */
	uint64_t create_timeout_ms; /* of a launch, from worker to gate; 0: two minutes */
};

/* Not created yet; exists from the agent's start. */
struct sandbox *sandbox_new(const struct sandbox_parts *parts, struct error *err);

/* Frees everything; no job may be running. */
void sandbox_free(struct sandbox *s);

/* Did CreateSandbox succeed, and no DestroySandbox come? */
bool sandbox_is_created(const struct sandbox *s);

/* "" before CreateSandbox, or if the host gave none. */
const char *sandbox_id(const struct sandbox *s);

/* The container `id` if its state allows `call`; NULL and INVALID_ARGUMENT `container <id> not found`, or
 * what container_allows() says. */
struct container *sandbox_container(struct sandbox *s, const char *id, enum container_call call,
				    struct error *err);

/* The process exec_id ("" or the container's id: init) of that container; NULL and NOT_FOUND. */
struct process *sandbox_process(struct sandbox *s, const char *id, const char *exec_id,
				enum container_call call, struct error *err);

/* Calls fn with the cgroup of each container that has started and not ended. */
void sandbox_each_cgroup(const struct sandbox *s, void (*fn)(const char *path, void *data),
			 void *data);

/* Containers in any state, for tests and shutdown. */
size_t sandbox_containers(const struct sandbox *s);

struct sandbox_module {
	const char *name;
	char *const *parameters;
	size_t n_parameters;
};

/* CreateSandbox in plain terms. */
struct sandbox_request {
	const char *id;
	const char *hostname;        /* at most 64 bytes; "" leaves the guest's */
	const char *guest_hook_path; /* directory of hooks in the guest; "" for none */
	char *const *dns;            /* lines of resolv.conf; none leaves the guest's */
	size_t n_dns;
	const struct sandbox_module *modules;
	size_t n_modules;
	const struct storage_spec *storages;
	size_t n_storages;
};

/* Once only: ALREADY_EXISTS afterwards, FAILED_PRECONDITION while one is under way. A failure, and
 * pending_cancel(), leave the sandbox as if it had never come. */
enum op_outcome sandbox_create(struct sandbox *s, const struct sandbox_request *request,
			       op_done_fn *done, void *data, struct pending **p, struct error *err);

/* Takes every container down and releases the sandbox's storages; done once nothing is left, or what is
 * left was given up (15 s). Works without a CreateSandbox too. A second one is FAILED_PRECONDITION.
 * Goes on if the wait is cancelled. The power-off that follows is the caller's. */
enum op_outcome sandbox_destroy(struct sandbox *s, op_done_fn *done, void *data, struct pending **p,
				struct error *err);

/* A device that the host has plugged in for a container. */
struct sandbox_device {
	const char *id, *type, *vm_path, *container_path;
};

/* The types of devices that are found, by index; NULL past the last. */
const char *sandbox_device_type(size_t i);

/* A mount of another container (by the name that it has in its pod) that a new one shall have, too. */
struct sandbox_shared_mount {
	const char *src_name, *src_path, *dst_path;
};

/* CreateContainer in plain terms. */
struct sandbox_container_request {
	const char *id;
	const Grpc__Spec *spec; /* NULL is an error */
	bool sandbox_pidns;
	const struct sandbox_device *devices;
	size_t n_devices;
	const struct sandbox_shared_mount *shared;
	size_t n_shared;
	const struct storage_spec *storages;
	size_t n_storages;
	int *pass; /* three sockets of the host for stdin, stdout, stderr, each may be -1; NULL: none. What is taken
		    * over is set to -1. */
};

/* Done when the container's init waits at its gate. A failure or pending_cancel() undoes everything,
 * storages included. */
enum op_outcome sandbox_create_container(struct sandbox *s,
					 const struct sandbox_container_request *request,
					 op_done_fn *done, void *data, struct pending **p,
					 struct error *err);

/* Opens the gate of a created container. */
enum op_outcome sandbox_start_container(struct sandbox *s, const char *id, op_done_fn *done,
					void *data, struct pending **p, struct error *err);

/* ExecProcess in plain terms. */
struct sandbox_exec_request {
	const char *id, *exec_id;
	const Grpc__Process *process; /* NULL is an error */
	int *pass;                    /* as for a container */
};

/* Done when the process is released to execve(2). */
enum op_outcome sandbox_exec(struct sandbox *s, const struct sandbox_exec_request *request,
			     op_done_fn *done, void *data, struct pending **p, struct error *err);

/* Aborts what waits for the container, lets what runs end for 5 s, then takes it down. Goes on if the
 * wait is cancelled. timeout_s > 0: DEADLINE_EXCEEDED after that many seconds, and the work goes on. */
enum op_outcome sandbox_remove_container(struct sandbox *s, const char *id, uint32_t timeout_s,
					 op_done_fn *done, void *data, struct pending **p,
					 struct error *err);

/* SIGKILL to everything in the container's cgroup, without a fork. 0, or -1 and err. */
int sandbox_kill_all(struct sandbox *s, struct container *c, struct error *err);

/* One signal to one process: 0 also when it is dead already. SIGTERM becomes SIGKILL for an init that
 * neither handles, ignores nor blocks it (pid_namespaces(7): it would be dropped). */
int sandbox_signal(struct sandbox *s, struct process *p, uint32_t signal, struct error *err);

/* Stops the container's processes; done when they have stopped. Until it is resumed nothing can be started in
 * it; signals wait, SIGKILL kills. */
enum op_outcome sandbox_pause_container(struct sandbox *s, const char *id, op_done_fn *done,
					void *data, struct pending **p, struct error *err);
enum op_outcome sandbox_resume_container(struct sandbox *s, const char *id, op_done_fn *done,
					 void *data, struct pending **p, struct error *err);

/* Changes what of the limits is given; device rules are replaced as a whole if there are any. A failure leaves
 * all as it was. Copies what it needs. */
enum op_outcome sandbox_update_container(struct sandbox *s, const char *id,
					 const Grpc__LinuxResources *resources, op_done_fn *done,
					 void *data, struct pending **p, struct error *err);

struct stats;

/* Fills *out, whose list is then the caller's to free, before done is called without an error. */
enum op_outcome sandbox_container_stats(struct sandbox *s, const char *id, struct stats *out,
					op_done_fn *done, void *data, struct pending **p,
					struct error *err);

/* OOM kills of all containers, to be taken. */
struct oom_events *sandbox_oom(struct sandbox *s);
