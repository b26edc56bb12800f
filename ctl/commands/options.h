/* SPDX-License-Identifier: Apache-2.0 */
/* Options shared by `run`, `boot` and `pod`. Pure, except that named files are looked up. */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

#include "ctl/image/image.h"
#include "ctl/pod/spec.h"
#include "ctl/spec/bundle.h"
#include "ctl/spec/spec.h"
#include "ctl/streams/log.h"
#include "ctl/vm/vm.h"
#include "lib/error.h"

/* time limits unless others are given: of a boot, and of the reply to a call */
#define BOOT_TIMEOUT_S 180
#define CALL_TIMEOUT_S 60

#define OPTIONS_ENV_MAX    64
#define ATTACH_MAX         8
#define OPTIONS_IMAGES_MAX 16
#define OPTIONS_CLAIMS_MAX 16

struct run_options {
	struct vm_options vm;
	struct container_options container;
	struct volume volumes[SPEC_VOLUMES_MAX];
	/* one more entry for TERM */
	const char *env[OPTIONS_ENV_MAX + 1];
	struct {
		enum share_kind kind;
		const char *path;
	} attached[ATTACH_MAX];
	size_t n_attached;
	/* root of the container as named by the user or by the bundle, or NULL */
	const char *rootfs;
	/* directory of an OCI bundle, or NULL; what it has */
	const char *bundle_dir;
	struct bundle bundle;
	struct spec_bundle bundle_spec;
	/* the root, once all options are parsed */
	struct image image;
	/* "USER[:GROUP]", or NULL */
	const char *user;
	uint32_t groups[ACCOUNT_GROUPS_MAX];
	const char *entrypoint, *stop_signal_text;
	/* signal that asks the process to end */
	int stop_signal;
	/* entries of env that were not given by the user, the first ones */
	size_t n_default_env;
	/* QEMU's machine as given, or NULL */
	const char *machine;
	/* name of a VM in the background, or of a container in one */
	const char *name;
	/* run: as boot */
	bool detach;
	/* nothing is kept after the end */
	bool remove;
	/* limits of each container's log, in the background */
	struct log_limit log;
	/* run: name of the running VM for the container, or NULL to boot one */
	const char *in;
	/* share of directories once all options are parsed: 9p, virtio-fs, or with share_copy a
	 * disk */
	enum share_kind share;
	bool arch_given, share_given, share_none, interactive, timing, verbose;
	/* neither progress nor notes are printed */
	bool quiet;
	/* the container writes to its root as given, not to a layer in the guest */
	bool writable;
	/* bytes of a disk for that layer, 0: the guest's memory */
	uint64_t scratch;
	/* virtiofsd to use, or NULL to find one */
	const char *virtiofsd;
	/* the reason for sharing directories by 9p, or for copying them, although the user did not
	 * choose it, or "" */
	char share_note[PATH_MAX + 192];
	/* boot: no calls are made to the agent */
	bool no_container;
	/* the network card is not configured */
	bool no_network;
	/* pod: where images are */
	struct podspec_image images[OPTIONS_IMAGES_MAX];
	size_t n_images;
	/* pod: what claims stand for */
	struct manifest_claim claims[OPTIONS_CLAIMS_MAX];
	size_t n_claims;
	/* pod: directory of the profiles of type Localhost; NULL: that of the pod's file */
	const char *seccomp_profiles;
	bool want_help;
	/* directories are copied to disks */
	bool share_copy;
	char kernel[PATH_MAX], initrd[PATH_MAX], init[PATH_MAX], found_virtiofsd[PATH_MAX];
};

enum options_for {
	OPTIONS_RUN,
	OPTIONS_BOOT,
	/* one argument, the file, which is not read here */
	OPTIONS_POD,
};

/* Parses the command line; argv[0] is the command. Finds the root of the container, and unpacks or
 * downloads it if it is an image. Returns 0, or -1 and err: INVALID_ARGUMENT if the command line is
 * wrong. The caller releases *o in both cases. */
int options_parse(struct run_options *o, int argc, char **argv, enum options_for command,
		  struct error *err);

/* Releases the image. */
void options_release(struct run_options *o);

static inline void
cleanup_options(struct run_options **o)
{
	if (*o)
		options_release(*o);
	free(*o);
}

#define auto_options __attribute__((cleanup(cleanup_options)))

/* Prints share_note, if there is one, and what is ignored of a bundle, as messages of this
 * command. */
void options_print_note(const struct run_options *o, const char *command);

/* Adds the published port "[ADDRESS:]HOSTPORT:GUESTPORT". Returns 0, or -1 and err
 * (INVALID_ARGUMENT). */
int options_publish(struct vm_options *vm, const char *text, struct error *err);

/* Lines of --help that describe the options. */
extern const char options_help[];

/* ---- for options.c ---- */

/* Returns whether a file system cannot be written. */
bool options_is_readonly(const char *fstype);

/* Finds o->rootfs, and fills in the first share from it; the kind is left alone for a directory.
 * Returns 0, or -1 and err. */
int options_open_root(struct run_options *o, struct error *err);

/* Reads o->bundle_dir, whose mounts become volumes. Returns 0, or -1 and err. */
int options_open_bundle(struct run_options *o, struct error *err);

/* Combines the options with those of the bundle or of the image, if the root is one: arguments,
 * environment, user, directory, signal. Returns 0, or -1 and err. */
int options_apply_image(struct run_options *o, struct error *err);
