/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The changes ("containerEdits") of a CDI spec: checked, and collected for one container. They
 * become a Grpc__Spec with what is to be added to the container's. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/arena.h"
#include "lib/error.h"
#include "lib/yaml.h"
#include "oci.pb-c.h"

/* The versions of CDI, in their order. A spec must not use what is newer than its version. */
enum cdi_version {
	CDI_0_3,
	CDI_0_4,
	CDI_0_5,
	CDI_0_6,
	CDI_0_7,
	CDI_0_8,
	CDI_1_0,
	CDI_1_1,
};

/* Limit on the additions of each kind (variables, mounts, …) to one container. */
#define CDI_EDITS_MAX 1024

/* A device node to be added. */
struct cdi_node {
	/* Type and numbers are those of the spec; type "" and major 0: not given. */
	Grpc__LinuxDevice device;
	/* In the guest. */
	const char *host_path;
	/* As in a device rule; "": all, "none": no rule. */
	const char *access;
	bool has_mode, has_uid, has_gid;
};

/* The changes of one container. */
struct cdi_edits {
	struct arena *arena;
	/* Lists with room for CDI_EDITS_MAX; the protobuf messages point to them. */
	Grpc__Spec spec;
	Grpc__Process process;
	Grpc__User user;
	Grpc__Hooks hooks;
	struct cdi_node **nodes;
	size_t n_nodes;
};

/* Initialises empty changes. Returns 0, or -1 and RESOURCE_EXHAUSTED. */
int cdi_edits_init(struct cdi_edits *e, struct arena *arena, struct error *err);

/* Checks changes in a spec of a version and adds them to `e`; NULL: only checks them. What a guest
 * does not support is refused only when it is added. Returns 0, or -1 and err with the line:
 * INVALID_ARGUMENT, FAILED_PRECONDITION (not supported), RESOURCE_EXHAUSTED. */
int cdi_edits_add(struct cdi_edits *e, const struct yaml_node *edits, enum cdi_version version,
		  struct error *err);

/* ---- fields of a map, for the reader of specs ---- */

/* A field of a map: its name, and the version that it came with. */
struct cdi_field {
	const char *name;
	enum cdi_version since;
};

/* Checks that the node is a map with these fields only. Returns 0, or -1 and err. */
int cdi_map_check(const struct yaml_node *map, const char *what, const struct cdi_field *fields,
		  size_t n, enum cdi_version version, struct error *err);

/* Returns the value of a field; NULL if it is missing or null. */
const struct yaml_node *cdi_field(const struct yaml_node *map, const char *name);

/* Sets *out to the text of a field, or to "" if it is missing. Returns 0, or -1 and err. */
int cdi_text(const struct yaml_node *map, const char *name, const char **out, struct error *err);

/* Sets INVALID_ARGUMENT "line N: …". Returns -1. */
int cdi_invalid(const struct yaml_node *node, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
