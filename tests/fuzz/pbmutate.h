/* SPDX-License-Identifier: Apache-2.0 */
/* A mutator for targets whose input is a single message; used only with libFuzzer. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

struct mutator;

/* Provided by libFuzzer (FuzzerInterface.h). */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);

/* Implements LLVMFuzzerCustomMutator(): changes a few fields of the message or writes a new one. */
size_t pb_mutate(const ProtobufCMessageDescriptor *desc, uint8_t *data, size_t size, size_t max,
		 unsigned int seed);

/* Changes one field of the message or of a nested one. */
void pb_change(struct mutator *m, ProtobufCMessage *message);

/* Defines the mutator of a target. */
#ifdef TATAMI_LIBFUZZER
#define PB_MUTATOR(desc)                                                                          \
	size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed) \
	{                                                                                         \
		return pb_mutate(desc, data, size, max, seed);                                    \
	}
#else
#define PB_MUTATOR(desc)
#endif
