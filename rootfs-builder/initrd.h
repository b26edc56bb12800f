/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes an initrd: our program as /init, an agent, a userland and kernel modules, if wanted. Used
 * by tatami-initrd and, with another agent, by tatamictl. Needs no privilege; the same input gives
 * the same bytes, whoever runs it, wherever and whenever.
 *
 * Layout without another agent:    /usr/bin/kata-agent   our program
 *                                  /usr/bin/tatami, /init, /sbin/init -> it
 * With another agent:              /usr/bin/kata-agent   that agent
 *                                  /usr/bin/tatami       our program
 *                                  /init, /sbin/init     -> it
 * With keep_init:                  /usr/bin/kata-agent   our program, or that agent
 *                                  /usr/bin/tatami       our program, or a link to it
 *                                  /init                 -> /sbin/init, unless a tree has one
 * so that init finds the agent at /usr/bin/kata-agent in every case: the same file as itself, or
 * another one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/error.h"
#include "rootfs-builder/initrd_paths.h"
#include "rootfs-builder/pack.h"

#define INITRD_EPOCH 1735689600u /* 2025-01-01T00:00:00Z; for initrd_spec.epoch */

/* Everything is the caller's and lives until initrd_build() returns. Lists end with NULL. */
struct initrd_spec {
	const char *init;           /* our static program; must be set */
	const char *output;         /* must be set; replaced in one step when all went well */
	const char *agent;          /* another agent for /usr/bin/kata-agent, or NULL */
	bool keep_init;             /* /sbin/init is a tree's (systemd); ours is the agent only */
	const char *const *trees;   /* directories whose content goes in first, or NULL */
	bool keep_owners;           /* of the trees; else everything is root's */
	const char *const *owners;  /* "UID:GID:PATH", or NULL */
	const char *modules_dir;    /* .../lib/modules/RELEASE, or NULL for no modules */
	const char *const *modules; /* "NAME[ PARAMETERS]" on top of the default set, or NULL */
	bool no_default_modules;
	bool modules_as_is;      /* leave packed modules packed */
	enum pack_format format; /* PACK_GZIP for any kernel; PACK_NONE boots fastest */
	uint64_t max_size;       /* of the file, in bytes; 0: any */
	const char *arch;        /* "x86_64", ...; NULL: this machine's */
	uint32_t epoch;          /* time of every entry, seconds since 1970 */
	void (*note)(const char *text, void *data); /* told what was left out; or NULL */
	void *note_data;
};

struct initrd_result {
	uint64_t raw_size; /* of the archive before it was packed, bytes */
	uint64_t size;     /* of the file, bytes */
	size_t entries;
	size_t modules;
};

/* Builds, reads back what it wrote, and only then gives the file its name. *result may be NULL. */
int initrd_build(const struct initrd_spec *spec, struct initrd_result *result, struct error *err);

/* Prints "MODE UID:GID SIZE PATH[ -> TARGET]" for every member of an archive, packed or not; a
 * write error on `out` is the caller's to look for. */
int initrd_list(const char *path, FILE *out, struct error *err);
