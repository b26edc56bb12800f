/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which version this is. Each program has these linked in by itself (version.c.in, see meson.build), so that a new commit
 * compiles and links nothing but the programs; in tests they are fixed.
 */
#pragma once

/* The version of the agent's protocol. */
#define TATAMI_API_VERSION "0.0.1"

/* The version of all programs of the tree: "0.1.0". */
extern const char tatami_version[];

/* The commit: 12 digits, with "-dirty" after them if a file differed from it; "unknown" where nothing told it. */
extern const char tatami_commit[];
