/* SPDX-License-Identifier: Apache-2.0 */
/* The set of bytes of a file that have been written, as sorted ranges. Pure. */
#include <string.h>

#include "agent/files/files_internal.h"

bool
extents_add(struct extents *e, uint64_t from, uint64_t to)
{
	unsigned int first = 0, last;

	if (from >= to)
		return true;
	while (first < e->n && e->at[first].to < from)
		first++;
	/* the ranges [first, last) touch the new one and are merged with it */
	for (last = first; last < e->n && e->at[last].from <= to; last++)
		continue;
	if (first == last && e->n == EXTENTS_MAX)
		return false;
	if (first < last) {
		if (e->at[first].from < from)
			from = e->at[first].from;
		if (e->at[last - 1].to > to)
			to = e->at[last - 1].to;
	}
	memmove(&e->at[first + 1], &e->at[last], (e->n - last) * sizeof(e->at[0]));
	e->n = e->n - (last - first) + 1;
	e->at[first].from = from;
	e->at[first].to = to;
	return true;
}

bool
extents_overlap(const struct extents *e, uint64_t from, uint64_t to)
{
	for (unsigned int i = 0; from < to && i < e->n; i++)
		if (e->at[i].from < to && from < e->at[i].to)
			return true;
	return false;
}

bool
extents_cover(const struct extents *e, uint64_t size)
{
	return size == 0 || (e->n == 1 && e->at[0].from == 0 && e->at[0].to >= size);
}
