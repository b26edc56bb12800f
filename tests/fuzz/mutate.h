/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests by grammar: valid frames of every method with plausible fields, and mutations of them.
 * For the storm on a running agent and for seeds of the fuzzers. Deterministic for each seed. A
 * request may take effect: send it only to an agent in a VM, or to one in private namespaces with
 * `only_safe_paths` set and mutate_skip_machine as skip list.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/* Size of the largest frame of mutate_next(). */
#define MUTATE_FRAME_MAX (256u << 10)

struct mutator {
	/* Set by the caller; not copied. */
	/* any number but 0 */
	uint64_t seed;
	/* values of container_id fields, NULL-terminated */
	const char *const *container_ids;
	/* methods never to call, NULL-terminated; may be NULL */
	const char *const *skip;
	/* methods chosen less often by a factor of twenty, NULL-terminated; may be NULL */
	const char *const *seldom;
	/* odd; advances by two */
	uint32_t next_stream;
	/* paths are below /run/kata-containers */
	bool only_safe_paths;
	/* percentage of frames that should not decode: 0 to 100 */
	unsigned broken_percent;

	/* Properties of the last frame of mutate_next(). */
	const char *service;
	const char *method;
	uint32_t stream;
	/* broken, so that it should not decode (a few decode nevertheless) */
	bool broken;
};

/* Methods that change the machine (clock, swap, CPUs, memory) or end the agent. For `skip`. */
extern const char *const mutate_skip_machine[];

/* Methods that start a worker for each call; many of them would mostly measure fork(2). For
 * `seldom`. */
extern const char *const mutate_seldom_worker[];

/* Initialises with these container_ids, no skip list, safe paths only, stream ids from 1, and 35
 * percent broken. */
void mutate_init(struct mutator *m, uint64_t seed, const char *const *container_ids);

/* Writes one complete frame. The length in its header is always correct, so that a connection stays
 * in sync. Returns its size; `cap` must be at least MUTATE_FRAME_MAX. */
size_t mutate_next(struct mutator *m, uint8_t *out, size_t cap);

/* Writes a packed message of the type with plausible fields, mutated if `mutated`, broken if
 * `broken`. Returns its size, or 0 if it does not fit. */
size_t mutate_message(struct mutator *m, const ProtobufCMessageDescriptor *desc, bool mutated,
		      bool broken, uint8_t *out, size_t cap);

/* Returns the method with this index among those of both services, or NULL after the last. */
const ProtobufCMethodDescriptor *mutate_method(unsigned i, const char **service);
