/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel modules that the host asks for, loaded without modprobe: dependencies come from the
 * image's modules.dep. Worker side: may block.
 */
#pragma once

#include <stddef.h>

#include "lib/error.h"

#define KMOD_PARAMETERS_MAX 256

/* The place of modules, and the functions to load them, which tests replace. */
struct kmod_env {
	/* the guest's root, with lib/modules/<release> in it */
	int root;
	/* /sys */
	int sys;
	/* release of the kernel (uname(2)) */
	const char *release;
	/* finit_module(2) */
	int (*load)(int fd, const char *parameters, int flags);
	/* Called when a parameter of a module that is loaded or built in cannot be set. */
	void (*warn)(void *data, const char *module, const char *parameter, const char *text);
	void *data;
};

/* Fills in the environment of the running kernel. env keeps a pointer to release. Returns 0, or -1
 * and sets err. */
int kmod_env_init(struct kmod_env *env, int root, int sys, char release[static 65],
		  struct error *err);

/* Loads a module, given by its name or an alias, and its dependencies; parameters are
 * "name=value". If the module is loaded or
 * built in, its parameters are set through sysfs, with a warning for each that cannot be changed
 * (modprobe would ignore them all). Returns 0, or -1 and sets err. */
int kmod_load(const struct kmod_env *env, const char *name, char *const *parameters, size_t n,
	      struct error *err);

/* Loads the module with a file system, as the kernel does with modprobe, which an image may not
 * have. Returns 0, or -1 and sets err: NOT_FOUND if the image has no such module. */
int kmod_load_for_fs(const struct kmod_env *env, const char *fstype, struct error *err);
