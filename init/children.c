/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing; deletion shifts back, so there are no tombstones. */
#include "init/children.h"

#include <string.h>
#include <sys/mman.h>

void
children_init(struct children *c)
{
	memset(c, 0, sizeof(*c));
	c->slots = c->first;
	c->size = CHILDREN_STATIC;
}

void
children_release(struct children *c)
{
	if (c->slots != c->first)
		(void)munmap(c->slots, c->size * sizeof(*c->slots));
	children_init(c);
}

static size_t
children_home_of(const struct children *c, int32_t pid)
{
	/* Pids are allocated in sequence, so their low bits are well distributed. */
	return (uint32_t)pid & (c->size - 1);
}

static size_t
children_slot_of(const struct children *c, int32_t pid)
{
	size_t i = children_home_of(c, pid);

	while (c->slots[i].pid && c->slots[i].pid != pid)
		i = (i + 1) & (c->size - 1);
	return i;
}

/* Moves all entries to a table of `size` slots. Returns false and changes nothing if it cannot be
 * allocated. */
static bool
children_resize(struct children *c, size_t size)
{
	struct child_entry *old = c->slots;
	size_t old_size = c->size;
	void *mem = c->first;

	if (size > CHILDREN_STATIC) {
		mem = mmap(NULL, size * sizeof(*old), PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (mem == MAP_FAILED)
			return false;
	} else {
		memset(c->first, 0, sizeof(c->first));
	}
	c->slots = mem;
	c->size = size;
	for (size_t i = 0; i < old_size; i++)
		if (old[i].pid)
			c->slots[children_slot_of(c, old[i].pid)] = old[i];
	if (old != c->first)
		(void)munmap(old, old_size * sizeof(*old));
	return true;
}

struct child_entry *
children_find(struct children *c, pid_t pid)
{
	struct child_entry *e = &c->slots[children_slot_of(c, pid)];

	return pid > 0 && e->pid == pid ? e : NULL;
}

struct child_entry *
children_add(struct children *c, pid_t pid)
{
	struct child_entry *e = children_find(c, pid);

	if (e)
		return e;
	if (c->used >= c->size / 2 && c->size < CHILDREN_MAX)
		(void)children_resize(c, c->size * 2);
	/* One slot stays free, because it ends every search. */
	if (c->used + 1 >= c->size)
		return NULL;
	e = &c->slots[children_slot_of(c, pid)];
	*e = (struct child_entry){ .pid = pid };
	c->used++;
	return e;
}

void
children_drop(struct children *c, struct child_entry *e)
{
	size_t mask = c->size - 1, hole = (size_t)(e - c->slots), i = hole;

	if (e->flags || e->owed)
		return;
	for (;;) {
		size_t home;

		i = (i + 1) & mask;
		if (!c->slots[i].pid)
			break;
		home = children_home_of(c, c->slots[i].pid);
		/* The entry stays unless the hole is between its home slot and its slot. */
		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		c->slots[hole] = c->slots[i];
		hole = i;
	}
	memset(&c->slots[hole], 0, sizeof(c->slots[hole]));
	c->used--;
	if (c->slots != c->first && c->used < CHILDREN_STATIC / 4)
		(void)children_resize(c, CHILDREN_STATIC);
}

struct child_entry *
children_next(struct children *c, size_t *pos, unsigned int flags)
{
	while (*pos < c->size) {
		struct child_entry *e = &c->slots[(*pos)++];

		if (e->pid && (e->flags & flags))
			return e;
	}
	return NULL;
}
