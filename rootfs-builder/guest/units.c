/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/guest/units.h"

#include <string.h>

int
units_add(struct image *image, struct error *err)
{
	if (!image_find(image, "usr/lib/systemd/systemd") &&
	    !image_find(image, "lib/systemd/systemd"))
		return 0;
	for (const struct unit *unit = units; unit->path; unit++) {
		if (image_find(image, unit->path))
			continue;
		if (image_add_data(image, unit->path, 0644, unit->text, strlen(unit->text), err) <
		    0)
			return -1;
	}
	return 0;
}
