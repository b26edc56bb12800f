/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that the agent has registered, and exit statuses that it has not acknowledged yet. A
 * hash table that starts in the struct itself and grows by mmap(2), without heap. If growing fails,
 * it can fill up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Entries without allocation; a power of two. */
#define CHILDREN_STATIC 256
/* Maximum number of entries; a power of two. */
#define CHILDREN_MAX (1u << 20)

enum child_flags {
	/* Registered and running. */
	CHILD_LIVE = 1 << 0,
	/* `status` is yet to be sent as INITPROTO_EXIT. */
	CHILD_UNSENT = 1 << 1,
	/* INITPROTO_GONE is yet to be sent. */
	CHILD_GONE = 1 << 2,
};

/* A pid may be reused while the status of its previous owner is in transit, so there are flags and
 * a counter. */
struct child_entry {
	/* 0 if the slot is free. */
	int32_t pid;
	int32_t status;
	uint16_t flags;
	/* Number of INITPROTO_EXIT messages without an INITPROTO_TAKEN. */
	uint16_t owed;
};

struct children {
	struct child_entry *slots;
	/* A power of two. */
	size_t size;
	size_t used;
	struct child_entry first[CHILDREN_STATIC];
};

void children_init(struct children *c);

/* Unmaps the memory of the table. */
void children_release(struct children *c);

/* Returns the entry of a pid, or NULL. Valid until the next children_add() or children_drop(). */
struct child_entry *children_find(struct children *c, pid_t pid);

/* Finds or adds the entry of pid, which is positive. Returns NULL if the table is full and cannot
 * grow. */
struct child_entry *children_add(struct children *c, pid_t pid);

/* Removes the entry if it has no flags and no pending acknowledgement. */
void children_drop(struct children *c, struct child_entry *e);

/* Returns the first entry at or after *pos with any of `flags` and advances *pos; NULL at the end.
 * *pos is 0 at first. Entries must not be added or removed during the iteration. */
struct child_entry *children_next(struct children *c, size_t *pos, unsigned int flags);
