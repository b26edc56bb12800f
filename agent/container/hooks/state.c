/* SPDX-License-Identifier: Apache-2.0 */
/* What hooks read on their standard input. Pure. */
#include "agent/container/hooks/hooks.h"
#include "agent/container/spec/json.h"

/* runtime-spec, runtime.md: "state". */
static const char *const statuses[HOOK_KINDS] = {
	[HOOK_PRESTART] = "creating",         [HOOK_CREATE_RUNTIME] = "creating",
	[HOOK_CREATE_CONTAINER] = "creating", [HOOK_START_CONTAINER] = "created",
	[HOOK_POSTSTART] = "running",         [HOOK_POSTSTOP] = "stopped",
};

static int
write_member(struct buf *b, const char *name, const char *value)
{
	return json_quoted(b, name) < 0 || json_raw(b, ":") < 0 || json_quoted(b, value) < 0 ||
			       json_raw(b, ",") < 0
		       ? -1
		       : 0;
}

static int
write_annotations(struct buf *b, const Grpc__Spec *spec)
{
	if (json_raw(b, "\"annotations\":{") < 0)
		return -1;
	for (size_t i = 0; i < spec->n_annotations; i++) {
		if ((i && json_raw(b, ",") < 0) || json_quoted(b, spec->annotations[i]->key) < 0 ||
		    json_raw(b, ":") < 0 || json_quoted(b, spec->annotations[i]->value) < 0)
			return -1;
	}
	return json_raw(b, "}");
}

int
hook_state(const struct hook_context *c, enum hook_kind kind, struct buf *out)
{
	const char *version = *c->spec->version ? c->spec->version : "1.0.2";

	if (json_raw(out, "{") < 0 || write_member(out, "ociVersion", version) < 0 ||
	    write_member(out, "id", c->id) < 0 || write_member(out, "status", statuses[kind]) < 0)
		return -1;
	if (c->pid > 0 &&
	    (json_raw(out, "\"pid\":") < 0 || json_int(out, c->pid) < 0 || json_raw(out, ",") < 0))
		return -1;
	if (write_member(out, "bundle", c->bundle) < 0 || write_annotations(out, c->spec) < 0)
		return -1;
	/* the end of the text is that of a string, too */
	return buf_append(out, "}", sizeof("}"));
}
