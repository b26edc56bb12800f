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
#include "rootfs-builder/archive/pack.h"
#include "rootfs-builder/image/image.h"
#include "rootfs-builder/sbom/packages.h"
#include "rootfs-builder/work/report.h"
#include "rootfs-builder/work/work.h"

struct build;
struct input_kind;
struct output_kind;

/* A change of the image that the command line asks for, such as --add: a row of additions[]. */
struct addition_kind {
	/* Long option, without dashes. */
	const char *option;
	/* Name of the argument, and one line for --help. */
	const char *argument, *help;
	int (*apply)(struct build *build, const char *value, struct error *err);
};
/* Ends with a row without an option. */
extern const struct addition_kind additions[];

struct addition {
	const struct addition_kind *kind;
	const char *value;
};

struct build_input {
	const struct input_kind *kind;
	const char *source;
};

/* The user's request. Strings belong to the caller; lists end with NULL, and may be NULL. */
struct build_spec {
	/* Read in this order; a later one replaces files of an earlier one. */
	const struct build_input *inputs;
	size_t n_inputs;
	const struct output_kind *format;
	/* The file or directory to make. */
	const char *output;
	/* Applied in this order, after the inputs, the programs and the modules. */
	const struct addition *additions;
	size_t n_additions;
	/* Our static program, and an agent for /usr/bin/kata-agent other than it, or NULL. */
	const char *init, *agent;
	/* systemd or another program of the input stays /sbin/init. */
	bool keep_init;
	/* Directories keep their owners; otherwise their files are owned by root. */
	bool keep_owners;
	/* "x86_64", "aarch64", ... */
	const char *arch;
	/* Its number in ELF headers. */
	uint16_t machine;
	/* Directory .../lib/modules/RELEASE, or NULL; modules in addition to the default set. */
	const char *modules_dir;
	const char *const *modules;
	bool no_default_modules, modules_as_is;
	/* Time of every entry, seconds since 1970. */
	uint32_t epoch;
	/* Read no network. */
	bool offline;
	/* Read the lists of packages again, however new those in the cache are. */
	bool refresh;
	/* Keep documentation and the like of a distribution. */
	bool no_prune;
	/* Add no programs, files and modules of ours. */
	bool rootfs_only;
	/* Write no bill of materials. */
	bool no_sbom;
	/* Write OUTPUT.image.json (build_write_description()). */
	bool describe;
	/* Directory for what was downloaded. */
	const char *cache;
	/* Packages that the Debian input adds. */
	const char *const *packages;
	/* Mirrors ("deb ..." lines or URLs) of the Debian input; NULL: those of this system. */
	const char *const *mirrors;
	/* Further options of outputs. */
	enum pack_format compress;
	/* --compress was given. */
	bool has_compress;
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
	/* Largest size of the result in bytes; 0: unlimited. */
	uint64_t max_size;
};

struct build {
	const struct build_spec *spec;
	struct image image;
	struct work *work;
	struct report *report;
	/* Content of archives: files in the work directory, and bytes in memory. */
	uint64_t n_spooled, small_bytes;
	/* The packages of the inputs. */
	struct packages packages;
	/* An input needs to be pruned. */
	bool prune;
	/* SHA-256 of the image's entries, their content and the time in hexadecimal, set before the
	 * output is written. UUIDs, salts and disk ids are derived from it (build_seed()). */
	char digest[65];
	/* Content of a small file that is written next to the output, and the end of its name; or
	 * NULL. An output sets both; the content is freed by the caller. */
	char *note;
	const char *note_suffix;
	/* The configuration of the container image that was read last, and its digest; or NULL. */
	struct json_t *config;
	char config_digest[sizeof("sha256:") + 64];
};

/* Makes what the request asks for: reads the inputs, adds programs, modules and additions, writes
 * the output in the work directory, verifies it and renames it. Until then an existing output is
 * left alone. */
int build_run(const struct build_spec *spec, struct report *report, struct error *err);

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
	/* No SOURCE after the name. */
	bool has_no_source;
	/* Tells whether a --from without a name is of this kind; NULL: must be named. */
	bool (*recognizes)(const char *source);
	int (*read)(struct build *build, const char *source, struct error *err);
};
extern const struct input_kind input_none, input_dir, input_tar, input_oci, input_debian;
/* Ends with NULL. */
extern const struct input_kind *const input_kinds[];

/* An output: writes build->image, which is sorted, to the path `to`, which lies in the work
 * directory, and verifies it. The caller renames it then. */
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
/* Ends with NULL. */
extern const struct output_kind *const output_kinds[];

/* Adds /var/lib/osbuilder/osbuilder.yaml, from which Kata's data collection describes an image. */
int osbuilder_yaml_add(struct build *build, struct error *err);

/* Writes a bill of materials in SPDX 2.3 JSON for the image of this build, whose file or directory
 * is `file`. It depends on the image alone. */
int sbom_write(struct build *build, const char *file, const char *to, struct error *err);
