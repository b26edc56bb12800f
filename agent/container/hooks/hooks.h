/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks of a spec (runtime-spec, config.md "POSIX-platform Hooks"): programs that run at defined
 * points of a container's lifecycle, with the container's state as JSON on standard input. Workers
 * run the hooks that belong in the guest's namespaces; the container's first process runs those
 * that belong in the container's, before it executes the program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"
#include "oci.pb-c.h"

struct buf;
struct worker;

enum hook_kind {
	/* In the guest's namespaces, before the root is changed. */
	HOOK_PRESTART,
	/* The same, after the prestart hooks. */
	HOOK_CREATE_RUNTIME,
	/* In the container's namespaces, with a path in the guest, before the root is changed. */
	HOOK_CREATE_CONTAINER,
	/* In the container, as its user, just before the program. */
	HOOK_START_CONTAINER,
	/* In the guest's namespaces, after the program has started. */
	HOOK_POSTSTART,
	/* In the guest's namespaces, after all processes of the container have ended. */
	HOOK_POSTSTOP,
	HOOK_KINDS,
};

/* Default and maximum of a hook's timeout, in seconds. */
#define HOOK_TIMEOUT_S     10
#define HOOK_TIMEOUT_MAX_S 86400
/* Limit on the hooks of one kind. */
#define HOOKS_MAX 64
/* Limit on the output that is kept of all hooks of one kind, in bytes. */
#define HOOK_SAID_MAX 4096

/* Upper bounds in milliseconds on the run time of a container's hooks, for the deadlines of
 * jobs; 0: no hooks. */
struct hook_times {
	uint64_t create_ms, start_ms, stop_ms;
};

/* Checks paths, timeouts and counts. Returns 0, or -1 and INVALID_ARGUMENT with the field's
 * name. Pure. */
int hooks_validate(const Grpc__Hooks *hooks, struct error *err);

/* `hooks` may be NULL. Pure. */
struct hook_times hooks_times(const Grpc__Hooks *hooks);
bool hooks_has(const Grpc__Hooks *hooks, enum hook_kind kind);

/* Fills *out with the hooks of `a`, then those of `b`; either may be NULL. The caller releases
 * the arrays with hooks_merge_release(); the hooks still belong to `a` and `b`. Returns 0, or -1
 * and RESOURCE_EXHAUSTED. Pure. */
int hooks_merge(const Grpc__Hooks *a, const Grpc__Hooks *b, Grpc__Hooks *out, struct error *err);
void hooks_merge_release(Grpc__Hooks *merged);

/* The hooks of one container, and the state that they read. */
struct hook_context {
	/* Its version, annotations and hooks are used. */
	const Grpc__Spec *spec;
	const char *id, *bundle;
	/* The container's process in the hook's pid namespace; 0: none. */
	pid_t pid;
	/* The cgroup in which hooks start; -1: the caller's. */
	int cgroup_fd;
	/* Logs the output of hooks; if NULL, the output is appended to `said`. */
	struct worker *w;
	char said[HOOK_SAID_MAX];
};

/* Runs the hooks of one kind in order. Stops at the first one that fails, and returns -1 and err
 * with its path and output; failures of poststart and poststop hooks are only logged. May block. */
int hooks_run(struct hook_context *c, enum hook_kind kind, struct error *err);

/* The hooks of one kind, prepared so that running them allocates no memory. */
struct hook_plan {
	enum hook_kind kind;
	size_t n;
	struct hook_run {
		char *path, **args, **env;
		int timeout_ms;
	} * runs;
	char *state;
};

/* A placeholder for a context's pid, which hooks_plan_name_process() replaces. */
#define HOOK_PID_LATER INT32_MAX

/* The two halves of hooks_run(). The plan refers to the spec's strings. The caller calls
 * hooks_plan_release() in all cases. */
int hooks_plan(const struct hook_context *c, enum hook_kind kind, struct hook_plan *plan,
	       struct error *err);
int hooks_run_plan(struct hook_context *c, const struct hook_plan *plan, struct error *err);
void hooks_plan_release(struct hook_plan *plan);

/* Sets the pid in the state of a plan that was made with HOOK_PID_LATER. */
void hooks_plan_name_process(struct hook_plan *plan, pid_t pid);

/* Appends the state of a container (runtime-spec, runtime.md) as JSON and a NUL. Returns 0, or
 * -1 if `out` is full or memory runs out. Pure. */
int hook_state(const struct hook_context *c, enum hook_kind kind, struct buf *out);

/* Returns the hooks of the guest's image: executable regular files in <path>/prestart and so on,
 * sorted by name. A directory that cannot be read is logged and skipped. The caller frees the
 * result with grpc__hooks__free_unpacked(, NULL). Returns NULL and RESOURCE_EXHAUSTED if memory
 * runs out. Worker only: may block. */
Grpc__Hooks *hooks_scan(struct worker *w, int root_fd, const char *path, struct error *err);
