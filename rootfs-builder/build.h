/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of tatami-rootfs: inputs are read into an image in memory (image.h), additions change it,
 * and an output writes it. An input is a row of input_kinds[], an output a row of output_kinds[].
 * Nothing here needs privileges: owners, modes and device nodes exist in the image only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"
#include "rootfs-builder/image.h"
#include "rootfs-builder/pack.h"
#include "rootfs-builder/report.h"
#include "rootfs-builder/work.h"

/* The user's request. Strings belong to the caller; lists end with NULL, and may be NULL. */
struct build_spec {
	/* Our static program, and an agent for /usr/bin/kata-agent other than it, or NULL. */
	const char *init, *agent;
	/* systemd or another program of the input stays /sbin/init. */
	bool keep_init;
	/* "x86_64", "aarch64", ... */
	const char *arch;
	/* Time of every entry, seconds since 1970. */
	uint32_t epoch;
	/* Read no network. */
	bool offline;
	/* Directory for what was downloaded. */
	const char *cache;
	/* Packages that the Debian input adds. */
	const char *const *packages;
	/* Mirrors ("deb ..." lines or URLs) of the Debian input; NULL: those of this system. */
	const char *const *mirrors;
	/* Further options of outputs. */
	enum pack_format compress;
	/* File system of a disk: "ext4", "erofs", "squashfs", "xfs". */
	const char *filesystem;
	/* "none", "mbr" or "gpt". */
	const char *partitions;
	bool verity;
	/* The header by which the kernel maps an NVDIMM with DAX. */
	bool dax;
	/* Bytes: size of the file system (0: as needed), free space to leave in it, and the
	 * multiple to which the image is rounded up. */
	uint64_t size, free_space, align;
	uint64_t max_size;
};

struct build {
	const struct build_spec *spec;
	struct image image;
	struct work *work;
	struct report *report;
	/* SHA-256 of the image's entries and their content in hexadecimal, set before the output is
	 * written. UUIDs, salts and disk ids are derived from it (build_seed()). */
	char digest[65];
};

/* Derives n bytes that are the same for the same image and purpose, and differ between purposes
 * ("filesystem-uuid", "verity-salt"). */
void build_seed(const struct build *build, const char *purpose, uint8_t *out, size_t n);

/* Stores a random-looking UUID (RFC 4122 version 4 form) for a purpose. */
void build_uuid(const struct build *build, const char *purpose, char out[37]);

/* An input: reads what `source` names into build->image. */
struct input_kind {
	/* As in --from NAME:SOURCE. */
	const char *name;
	/* One line for --help. */
	const char *help;
	/* Tells whether a --from without a name is of this kind; NULL: must be named. */
	bool (*recognizes)(const char *source);
	int (*read)(struct build *build, const char *source, struct error *err);
};
extern const struct input_kind input_none, input_dir, input_tar, input_oci, input_debian;
extern const struct input_kind *const input_kinds[];

/* An output: writes build->image to the path `to`, which lies in the work directory and is
 * renamed by the caller once the output has been verified. */
struct output_kind {
	/* As in --format NAME. */
	const char *name;
	const char *help;
	/* The result is a directory. */
	bool is_directory;
	/* Rejects options that do not fit, before anything is read; or NULL. */
	int (*check)(const struct build_spec *spec, struct error *err);
	int (*write)(struct build *build, const char *to, struct error *err);
};
extern const struct output_kind output_initrd, output_disk, output_dir, output_tar, output_oci;
extern const struct output_kind *const output_kinds[];

/* Writes a bill of materials in SPDX 2.3 JSON for the image of this build, whose file is `file`. */
int sbom_write(struct build *build, const char *file, const char *to, struct error *err);
