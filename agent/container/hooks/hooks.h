/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hooks of a spec (runtime-spec, config.md "POSIX-platform Hooks"): programs that are run at set points of a
 * container's life, with its state as JSON on their standard input. Those of the guest's namespaces are run by workers,
 * those of the container's by its first process before it is the program.
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
	HOOK_PRESTART,       /* guest's namespaces, before the root is changed */
	HOOK_CREATE_RUNTIME, /* the same, after those */
	HOOK_CREATE_CONTAINER, /* container's namespaces, path of the guest's; before the root is changed */
	HOOK_START_CONTAINER, /* inside the container, as its user, just before the program */
	HOOK_POSTSTART,       /* guest's namespaces, once the program runs */
	HOOK_POSTSTOP,        /* guest's namespaces, everything of the container being dead */
	HOOK_KINDS,
};

/* Without a timeout of its own a hook gets this, and never more than a day. */
#define HOOK_TIMEOUT_S     10
#define HOOK_TIMEOUT_MAX_S 86400
#define HOOKS_MAX          64   /* of a kind */
#define HOOK_SAID_MAX      4096 /* bytes that are kept of what hooks print */

/* Upper bounds of what a container's hooks take, for the deadlines of jobs; 0: there are none. */
struct hook_times {
	uint64_t create_ms, start_ms, stop_ms;
};

/* Absolute paths, timeouts, counts. INVALID_ARGUMENT naming the field. Pure. */
int hooks_validate(const Grpc__Hooks *hooks, struct error *err);

/* NULL is allowed. Pure. */
struct hook_times hooks_times(const Grpc__Hooks *hooks);
bool hooks_has(const Grpc__Hooks *hooks, enum hook_kind kind);

/* Those of a, then those of b (either may be NULL), in *out, whose arrays are the caller's: hooks_merge_release(). The
 * hooks themselves stay theirs. Pure. */
int hooks_merge(const Grpc__Hooks *a, const Grpc__Hooks *b, Grpc__Hooks *out, struct error *err);
void hooks_merge_release(Grpc__Hooks *merged);

/* Whose hooks, and what they are told. */
struct hook_context {
	const Grpc__Spec *spec; /* version, annotations, hooks */
	const char *id, *bundle;
	pid_t pid;        /* of the container's process, as the hook sees it; 0: there is none */
	int cgroup_fd;    /* they begin in this cgroup; -1: the caller's */
	struct worker *w; /* logs what they print; NULL: it is added to `said` */
	char said[HOOK_SAID_MAX];
};

/* Runs those of one kind one after the other, in order. The first that fails ends it with its path and what it said;
 * of poststart and poststop hooks failures are only logged, and the others are run. May block. */
int hooks_run(struct hook_context *c, enum hook_kind kind, struct error *err);

/* Hooks of one kind, ready to be run: with these nothing is allocated any more. */
struct hook_plan {
	enum hook_kind kind;
	size_t n;
	struct hook_run {
		char *path, **args, **env;
		int timeout_ms;
	} * runs;
	char *state;
};

/* As a context's pid: it is not known yet (hooks_plan_name_process()). */
#define HOOK_PID_LATER INT32_MAX

/* The two halves of hooks_run(). Paths, arguments and variables stay the spec's. Release the plan in both cases. */
int hooks_plan(const struct hook_context *c, enum hook_kind kind, struct hook_plan *plan,
	       struct error *err);
int hooks_run_plan(struct hook_context *c, const struct hook_plan *plan, struct error *err);
void hooks_plan_release(struct hook_plan *plan);

/* Puts the process into the state of a plan that was made with HOOK_PID_LATER. */
void hooks_plan_name_process(struct hook_plan *plan, pid_t pid);

/* The state of a container (runtime-spec, runtime.md) as JSON. 0, or -1 without memory. */
int hook_state(const struct hook_context *c, enum hook_kind kind, struct buf *out);

/* Hooks of the guest: executable regular files in <path>/prestart and its like, in the order of their names. What
 * cannot be read is logged and left out. The result is freed with grpc__hooks__free_unpacked(, NULL); NULL only
 * without memory. Worker only: may block. */
Grpc__Hooks *hooks_scan(struct worker *w, int root_fd, const char *path, struct error *err);
