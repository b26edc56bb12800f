/* SPDX-License-Identifier: Apache-2.0 */
/* The options that `run` and `boot` share. Pure but for looking at the files that are named. */
#pragma once

#include <stdbool.h>

#include "ctl/spec.h"
#include "ctl/vm/vm.h"
#include "lib/error.h"

#define OPTIONS_ENV_MAX 64
#define ATTACH_MAX      8

struct run_options {
	struct vm_options vm;
	struct container_options container;
	struct volume volumes[SPEC_VOLUMES_MAX];
	const char *env[OPTIONS_ENV_MAX + 1]; /* and TERM */
	struct {
		enum share_kind kind;
		const char *path;
	} attached[ATTACH_MAX];
	size_t n_attached;
	const char *rootfs;
	const char *name; /* boot: of the VM */
	enum share_kind share;
	bool share_given, interactive, timing, verbose;
	bool no_container; /* boot: the agent is not asked for anything */
	bool want_help;
	char kernel[PATH_MAX], initrd[PATH_MAX], init[PATH_MAX];
};

enum options_for {
	OPTIONS_RUN,
	OPTIONS_BOOT,
	OPTIONS_POD, /* one argument: the file; what is in it is not asked for here */
};

/* argv[0] is the command. 0; -1 and err (INVALID_ARGUMENT) for wrong usage. */
int options_parse(struct run_options *o, int argc, char **argv, enum options_for command,
		  struct error *err);

/* "[ADDRESS:]HOSTPORT:GUESTPORT" becomes one more published port. 0, or -1 and INVALID_ARGUMENT. */
int options_publish(struct vm_options *vm, const char *text, struct error *err);

/* The lines of --help that describe them. */
extern const char options_help[];
