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

/* The commit: 12 digits, with "-dirty" after them if a file differed from it; "unknown" where nothing told it. */
extern const char tatami_commit[];
