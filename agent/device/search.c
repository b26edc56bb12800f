/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for several devices. */
#include "agent/device/search.h"

#include <stdio.h>
#include <stdlib.h>

struct item {
	struct device_search *search;
	/* NULL once it has finished */
	struct pending *wait;
	char node[DEVICE_NODE_MAX];
};

struct device_search {
	size_t n, left;
	device_search_fn *done;
	void *data;
	struct item items[];
};

static void
cancel_rest(struct device_search *s)
{
	for (size_t i = 0; i < s->n; i++)
		pending_cancel(&s->items[i].wait);
}

/* Records the result of one device. done may free the search, which must not be used after it. */
static void
on_found(const struct error *err, const char *node, void *data)
{
	struct item *item = data;
	struct device_search *s = item->search;
	struct error copy = *err;

	item->wait = NULL;
	if (err->code == ERROR_OK) {
		(void)snprintf(item->node, sizeof(item->node), "%s", node);
		if (--s->left == 0)
			s->done(&copy, s->data);
		return;
	}
	cancel_rest(s);
	s->done(&copy, s->data);
}

struct device_search *
device_search_start(struct device_watch *w, const struct device_address *addresses, size_t n,
		    device_search_fn *done, void *data, struct error *err)
{
	struct device_search *s = calloc(1, sizeof(*s) + n * sizeof(s->items[0]));

	if (!s) {
		error_nomem(err, "searching for devices");
		return NULL;
	}
	s->n = s->left = n;
	s->done = done;
	s->data = data;
	for (size_t i = 0; i < n; i++) {
		s->items[i].search = s;
		s->items[i].wait = device_find(w, &addresses[i], on_found, &s->items[i], err);
		if (!s->items[i].wait) {
			device_search_free(s);
			return NULL;
		}
	}
	return s;
}

const char *
device_search_node(const struct device_search *s, size_t i)
{
	return s->items[i].node;
}

void
device_search_free(struct device_search *s)
{
	if (s)
		cancel_rest(s);
	free(s);
}
