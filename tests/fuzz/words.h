/* SPDX-License-Identifier: Apache-2.0 */
/* Values for the mutator: those that hosts send in a field of a given name, and invalid ones. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define N_NUMBERS 20
#define N_NASTY   24

/* Boundaries of types and of ranges that handlers check. */
extern const uint64_t numbers[N_NUMBERS];

/* Valid strings that are prone to cause errors: escapes, formats, separators, scripts. */
extern const char *const nasty[N_NASTY];

/* Returns a plausible value of a string field of this name, chosen by `random`. */
const char *word_for(const char *field, uint64_t random);

/* Returns whether an agent opens, mounts, chowns or removes the path in a field of this name. */
bool word_is_path(const char *field);
