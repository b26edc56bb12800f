/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes the agent registered, and the statuses that it has not taken yet. A hash table that
 * starts in the struct itself and grows with mmap(2); growing may fail, then it fills up. No heap.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CHILDREN_STATIC 256        /* entries without any allocation; power of two */
#define CHILDREN_MAX    (1u << 20) /* entries at most; power of two */

enum child_flags {
	CHILD_LIVE = 1 << 0,   /* registered and running */
	CHILD_UNSENT = 1 << 1, /* `status` is still to be sent as EXIT */
	CHILD_GONE = 1 << 2,   /* GONE is still to be sent */
};

/* A pid may be used again while the status of its former owner is on its way: hence flags and a count. */
struct child_entry {
	int32_t pid; /* 0: free */
	int32_t status;
	uint16_t flags;
	uint16_t owed; /* EXITs sent whose TAKEN has not come yet */
};

struct children {
	struct child_entry *slots;
	size_t size; /* power of two */
	size_t used;
	struct child_entry first[CHILDREN_STATIC];
};

void children_init(struct children *c);

/* Gives back what was mapped. */
void children_release(struct children *c);

/* NULL if there is none. Valid until the next children_add() or children_drop(). */
struct child_entry *children_find(struct children *c, pid_t pid);

/* Finds or adds; NULL when there is no room and none can be had. pid > 0. */
struct child_entry *children_add(struct children *c, pid_t pid);

/* Takes the entry out if nothing is known or owed about it any more. */
void children_drop(struct children *c, struct child_entry *e);

/* The first entry at or after *pos that has any of `flags`, *pos set behind it; NULL at the end. Start with
 * *pos = 0; entries must not be added or dropped meanwhile. */
struct child_entry *children_next(struct children *c, size_t *pos, unsigned int flags);
