/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version of the program. Linked into each program separately (version.c.in, see meson.build),
 * so that a new commit rebuilds only the programs; fixed in tests.
 */
#pragma once

/* The version of the agent's protocol. */
#define TATAMI_API_VERSION "0.0.1"

/* The version of all programs of the tree: "0.1.0". */
extern const char tatami_version[];

/* The commit: 12 digits, followed by "-dirty" if a file differed from it, or "unknown". */
extern const char tatami_commit[];

/* The libraries that are linked statically, for a bill of materials
 * (rootfs-builder/sbom/sbom.c). */
extern const char tatami_components[];
