/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds an initrd: our program as /init, an agent, and optionally a userland and kernel modules.
 * Used by tatami-initrd and, with another agent, by tatamictl. Needs no privilege. The output is
 * reproducible: it depends on the input alone.
 *
 * Layout without another agent:    /usr/bin/kata-agent   our program
 *                                  /usr/bin/tatami, /init, /sbin/init -> it
 * With another agent:              /usr/bin/kata-agent   that agent
 *                                  /usr/bin/tatami       our program
 *                                  /init, /sbin/init     -> it
 * With keep_init:                  /usr/bin/kata-agent   our program, or that agent
 *                                  /usr/bin/tatami       our program, or a link to it
 *                                  /init                 -> /sbin/init, unless a tree has one
 * In every case init finds the agent at /usr/bin/kata-agent, which may be the same file as init.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/error.h"
#include "rootfs-builder/archive/pack.h"
#include "rootfs-builder/guest/initrd_paths.h"

/* 2025-01-01T00:00:00Z, the default of initrd_spec.epoch. */
#define INITRD_EPOCH 1735689600u

/* Owned by the caller, and unchanged until initrd_build() returns. Lists end with NULL. */
struct initrd_spec {
	/* Our static program. Required. */
	const char *init;
	/* Output file, replaced atomically on success. Required. */
	const char *output;
	/* Another agent for /usr/bin/kata-agent, or NULL. */
	const char *agent;
	/* Keep /sbin/init of a tree (systemd); our program is the agent only. */
	bool keep_init;
	/* Directories whose content is added first, or NULL. */
	const char *const *trees;
	/* Keep the owners of files in the trees; otherwise everything is owned by root. */
	bool keep_owners;
	/* Owners of single paths: "UID:GID:PATH". Or NULL. */
	const char *const *owners;
	/* Directory .../lib/modules/RELEASE, or NULL for no modules. */
	const char *modules_dir;
	/* Modules in addition to the default set: "NAME[ PARAMETERS]". Or NULL. */
	const char *const *modules;
	bool no_default_modules;
	/* Keep compressed modules compressed. */
	bool modules_as_is;
	/* PACK_GZIP works with any kernel; PACK_NONE boots fastest. */
	enum pack_format format;
	/* Largest size of the file in bytes; 0: unlimited. */
	uint64_t max_size;
	/* "x86_64", ...; NULL: that of this machine. */
	const char *arch;
	/* Time of every entry in seconds since 1970. */
	uint32_t epoch;
	/* Called with a sentence about each module and about attributes that were left out; or
	 * NULL. */
	void (*note)(const char *text, void *data);
	void *note_data;
};

struct initrd_result {
	/* Bytes of the archive before compression. */
	uint64_t raw_size;
	/* Bytes of the file. */
	uint64_t size;
	size_t entries;
	size_t modules;
};

/* Builds the initrd, reads it back to verify it, and only then renames it to its final name.
 * `result` may be NULL. */
int initrd_build(const struct initrd_spec *spec, struct initrd_result *result, struct error *err);

/* Prints "MODE UID:GID SIZE PATH[ -> TARGET]" for every member of an archive, which may be
 * compressed. The caller checks `out` for write errors. */
int initrd_list(const char *path, FILE *out, struct error *err);
