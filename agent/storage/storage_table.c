/* SPDX-License-Identifier: Apache-2.0 */
/* The table of storages: look-up, removal of an entry, and notification of those that wait for
 * it. */
#include "agent/storage/storage_table.h"

#include <stdlib.h>
#include <string.h>

struct storage *
storage_find(const struct storages *t, const char *mount_point)
{
	struct list *pos;

	list_for_each (pos, &t->all) {
		struct storage *s = list_entry(pos, struct storage, node);

		if (strcmp(s->spec->mount_point, mount_point) == 0)
			return s;
	}
	return NULL;
}

void
storage_free(struct storage *s)
{
	struct list *pos, *tmp;

	list_remove(&s->node);
	s->table->count--;
	storage_release_done(s);
	list_for_each_safe (pos, tmp, &s->refs)
		free(list_entry(pos, struct ref, node));
	pending_cancel(&s->finding);
	timer_cancel(s->retry);
	follow_stop(s->follow);
	free(s->spec);
	free(s->owner);
	storage_place_release(&s->place);
	free(s->real);
	free(s);
}

void
storage_wake_waiters(struct storages *t, const struct storage *s, const struct error *err)
{
	struct list *pos;

	list_for_each (pos, &t->requests) {
		struct storage_request *r = list_entry(pos, struct storage_request, node);

		if (r->waiting != s)
			continue;
		if (err && err->code != ERROR_OK)
			r->err = *err;
		r->waiting = NULL;
		loop_post(t->loop, &r->look);
	}
}

void
storage_release_done(struct storage *s)
{
	struct list *pos;

	if (s->release)
		s->release->left--;
	s->release = NULL;
	list_for_each (pos, &s->table->releases)
		loop_post(s->table->loop, &list_entry(pos, struct release, node)->look);
}
