/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests by grammar: valid frames of every method with plausible fields, and mutations of them. For the
 * tests that storm a live agent, and for seeds of the fuzzers. Deterministic by its seed.
 *
 * A request may well do what it says: give them only to an agent in a VM, or in namespaces of its own with
 * `only_safe_paths` left on and mutate_skip_machine as skip list.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/* The largest frame that mutate_next() makes; give it so much room. */
#define MUTATE_FRAME_MAX (256u << 10)

struct mutator {
	/* Set by the caller; none is copied. */
	uint64_t seed; /* any number but 0 */
	const char *const
		*container_ids;    /* what container_id fields are filled with, NULL-terminated */
	const char *const *skip;   /* methods that are never called, NULL-terminated; may be NULL */
	const char *const *seldom; /* methods that are chosen once in twenty times; may be NULL */
	uint32_t next_stream;      /* odd; counts on by two */
	bool only_safe_paths;      /* fields with paths name nothing outside /run/kata-containers */
	unsigned broken_percent;   /* of frames that should not be decodable: 0 to 100 */

	/* About the frame that mutate_next() returned last. */
	const char *service;
	const char *method;
	uint32_t stream;
	bool broken; /* was made so that it should not decode (a few do all the same) */
};

/* Methods that change the machine (clock, swap, CPUs, memory) or end the agent. For `skip`. */
extern const char *const mutate_skip_machine[];

/* Methods that start a worker for each call: so many of them measure little else than fork(2). For `seldom`. */
extern const char *const mutate_seldom_worker[];

/* container_ids, no skip list, safe paths only, stream ids from 1, 35 percent broken. */
void mutate_init(struct mutator *m, uint64_t seed, const char *const *container_ids);

/* Writes one whole frame: the header's length is always right, so a connection stays in step. Returns its
 * size; `cap` must be MUTATE_FRAME_MAX or more. */
size_t mutate_next(struct mutator *m, uint8_t *out, size_t cap);

/* Writes a message of the type with plausible fields, packed; mutated if `mutated`, broken if `broken`.
 * Returns its size, 0 also if it did not fit. */
size_t mutate_message(struct mutator *m, const ProtobufCMessageDescriptor *desc, bool mutated,
		      bool broken, uint8_t *out, size_t cap);

/* All methods that there are, of both services, in one row: NULL past the end. */
const ProtobufCMethodDescriptor *mutate_method(unsigned i, const char **service);
