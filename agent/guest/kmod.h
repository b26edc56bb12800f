/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel modules that the host wants in the guest, loaded without modprobe: the image's own modules.dep says what they need.
 * Worker only: may block.
 */
#pragma once

#include <stddef.h>

#include "lib/error.h"

#define KMOD_PARAMETERS_MAX 256

/* Where modules are looked for, and how they are loaded: a test has its own. */
struct kmod_env {
	int root;            /* of the guest: lib/modules/<release> is below */
	int sys;             /* /sys */
	const char *release; /* of the kernel (uname(2)) */
	int (*load)(int fd, const char *parameters, int flags); /* finit_module(2) */
	/* Reports that a parameter of a module that is in the kernel already cannot be set. */
	void (*warn)(void *data, const char *module, const char *parameter, const char *text);
	void *data;
};

/* The running kernel's; release is kept in the caller's buffer. */
int kmod_env_init(struct kmod_env *env, int root, int sys, char release[static 65],
		  struct error *err);

/* Loads the module with all that it needs; parameters are "name=value". One that is there already, or built in, is given
 * the parameters through sysfs, with a warning for each that cannot be set any more: modprobe ignores them all. */
int kmod_load(const struct kmod_env *env, const char *name, char *const *parameters, size_t n,
	      struct error *err);
