/* SPDX-License-Identifier: Apache-2.0 */
/* The container state that hooks read from standard input. Pure. */
#include "agent/container/hooks/hooks.h"
#include "lib/json_put.h"

/* Values of "status" (runtime-spec, runtime.md "State"). */
static const char *const statuses[HOOK_KINDS] = {
	[HOOK_PRESTART] = "creating",         [HOOK_CREATE_RUNTIME] = "creating",
	[HOOK_CREATE_CONTAINER] = "creating", [HOOK_START_CONTAINER] = "created",
	[HOOK_POSTSTART] = "running",         [HOOK_POSTSTOP] = "stopped",
};

int
hook_state(const struct hook_context *c, enum hook_kind kind, struct buf *out)
{
	struct json_put w = { .buf = out };

	json_put_begin(&w, NULL, '{');
	json_put_text(&w, "ociVersion", *c->spec->version ? c->spec->version : "1.0.2");
	json_put_text(&w, "id", c->id);
	json_put_text(&w, "status", statuses[kind]);
	if (c->pid > 0)
		json_put_i64(&w, "pid", c->pid);
	json_put_text(&w, "bundle", c->bundle);
	json_put_begin(&w, "annotations", '{');
	for (size_t i = 0; i < c->spec->n_annotations; i++)
		json_put_text(&w, c->spec->annotations[i]->key, c->spec->annotations[i]->value);
	json_put_end(&w, '}');
	json_put_end(&w, '}');
	/* The text is used as a C string. */
	return w.has_failed ? -1 : buf_append(out, "", 1);
}
