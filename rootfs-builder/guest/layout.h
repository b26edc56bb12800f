/* SPDX-License-Identifier: Apache-2.0 */
/* The content that every guest image has: mount points and files for init, our programs, kernel
 * modules. The paths of the programs are those of initrd.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"
#include "rootfs-builder/image/image.h"

/* Lists end with NULL, and may be NULL. */
struct layout {
	/* Our static program. */
	const char *init;
	/* Another agent for /usr/bin/kata-agent, or NULL. */
	const char *agent;
	/* Keep /sbin/init of the image. */
	bool keep_init;
	/* e_machine of programs and modules. */
	uint16_t machine;
	/* Directory .../lib/modules/RELEASE, or NULL for no modules. */
	const char *modules_dir;
	/* Modules in addition to the default set: "NAME[ PARAMETERS]". */
	const char *const *modules;
	bool no_default_modules;
	/* Keep compressed modules compressed. */
	bool modules_as_is;
	/* Called with the name of each module that was left out; or NULL. */
	void (*note)(const char *text, void *data);
	void *note_data;
};

/* Adds the layout to an image. Files that the image has already are kept, except the programs.
 * Stores the number of modules. */
int layout_add(const struct layout *layout, struct image *image, size_t *modules,
	       struct error *err);

/* Sets one owner: "UID:GID:PATH". */
int layout_set_owner(struct image *image, const char *row, struct error *err);
