/* SPDX-License-Identifier: Apache-2.0 */
/* A mutator for targets whose input is one message: under libFuzzer only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

struct mutator;

/* libFuzzer's own (FuzzerInterface.h). */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);

/* For LLVMFuzzerCustomMutator(): changes a few fields of the message, or writes a new one. */
size_t pb_mutate(const ProtobufCMessageDescriptor *desc, uint8_t *data, size_t size, size_t max,
		 unsigned int seed);

/* One field of the message, or of one in it. */
void pb_change(struct mutator *m, ProtobufCMessage *message);

/* Defines a target's whole mutator. */
#ifdef TATAMI_LIBFUZZER
#define PB_MUTATOR(desc)                                                                          \
	size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed) \
	{                                                                                         \
		return pb_mutate(desc, data, size, max, seed);                                    \
	}
#else
#define PB_MUTATOR(desc)
#endif
