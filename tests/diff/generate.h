/* SPDX-License-Identifier: Apache-2.0 */
/* Random specs: mostly the values that runtimes send; occasionally a field has another valid value.
 * Pure: the same seed and number give the same spec. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/arena.h"
#include "oci.pb-c.h"

/* A spec under construction. */
struct gen {
	struct arena *a;
	uint64_t state;
	Grpc__Spec *spec;
};

/* Returns spec `number` of this seed, in the arena, or NULL if out of memory. The caller sets
 * root.path and linux.cgroupsPath. */
Grpc__Spec *generate(struct arena *a, uint64_t seed, uint32_t number);

/* ---- helpers of the generators ---- */

/* Random choices: 0 to n-1; true with this probability in percent; an entry of a NULL-terminated
 * list. */
uint32_t roll(struct gen *g, uint32_t n);
bool chance(struct gen *g, unsigned int percent);
const char *pick(struct gen *g, const char *const *list);

/* Returns zeroed memory; exits if out of memory. */
void *make(struct gen *g, size_t n, size_t size);
/* Appends to a list of pointers. */
void push(struct gen *g, void *list, size_t *n, const void *item);
/* Appends an argument of the probe. */
void ask(struct gen *g, const char *what, const char *path);
bool has_namespace(const struct gen *g, const char *type);

/* mounts, devices, masks, root */
void generate_files(struct gen *g);
/* cgroup, sysctl, seccomp */
void generate_resources(struct gen *g);
