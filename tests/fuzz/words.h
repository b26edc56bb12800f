/* SPDX-License-Identifier: Apache-2.0 */
/* Values for the mutator: what hosts send in a field of this name, and what nobody should. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define N_NUMBERS 20
#define N_NASTY   24

/* Edges of types and of ranges that handlers check. */
extern const uint64_t numbers[N_NUMBERS];

/* Valid strings that mean trouble: escapes, formats, separators, scripts. */
extern const char *const nasty[N_NASTY];

/* A plausible value for a string field of this name, chosen by `random`. */
const char *word_for(const char *field, uint64_t random);

/* Does an agent open, mount, chown or remove what a field of this name says? */
bool word_is_path(const char *field);
