/* SPDX-License-Identifier: Apache-2.0 */
/* Random specs: mostly what runtimes send, with each field now and then something else that is allowed. Pure: the same
 * seed and number give the same spec. */
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

/* Spec `number` of this seed, in the arena; root.path and linux.cgroupsPath are the caller's to set. NULL: no memory. */
Grpc__Spec *generate(struct arena *a, uint64_t seed, uint32_t number);

/* ---- for the parts ---- */

/* 0..n-1; true with this many percent; one of a NULL-terminated list. */
uint32_t roll(struct gen *g, uint32_t n);
bool chance(struct gen *g, unsigned int percent);
const char *pick(struct gen *g, const char *const *list);

/* Zeroed; ends the program when memory is out. */
void *make(struct gen *g, size_t n, size_t size);
/* Appends to a list of pointers. */
void push(struct gen *g, void *list, size_t *n, const void *item);
/* One argument more for the probe. */
void ask(struct gen *g, const char *what, const char *path);
bool has_namespace(const struct gen *g, const char *type);

void generate_files(struct gen *g);     /* mounts, devices, masks, root */
void generate_resources(struct gen *g); /* cgroup, sysctl, seccomp */
