/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /var/lib/osbuilder/osbuilder.yaml: the description of an image that kata-collect-data.sh prints,
 * in version 0.0.2 of its format. Our packages have versions, for which it has no place.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/json_put.h"
#include "lib/version.h"
#include "rootfs-builder/build.h"

#define TEXT_MAX ((size_t)4 << 20)

/* A file in the making. */
struct yaml {
	struct buf text;
	bool has_failed;
};

/* Adds text, and a value in the quotes of JSON, which YAML reads, and the end of the line. */
static void
yaml_put(struct yaml *y, const char *text, const char *value)
{
	struct json_put w = { .buf = &y->text };

	if (buf_append(&y->text, text, strlen(text)) < 0)
		y->has_failed = true;
	if (value)
		json_put_text(&w, NULL, value);
	if (w.has_failed || buf_append(&y->text, "\n", 1) < 0)
		y->has_failed = true;
}

static bool
yaml_was_asked_for(const struct build *build, const char *name)
{
	for (const char *const *p = build->spec->packages; p && *p; p++) {
		if (!strcmp(*p, name))
			return true;
	}
	return false;
}

int
osbuilder_yaml_add(struct build *build, struct error *err)
{
	const struct packages *packages = &build->packages;
	const time_t epoch = build->spec->epoch;
	struct yaml y = { .has_failed = false };
	char created[40];
	struct tm tm;
	int r;

	(void)gmtime_r(&epoch, &tm);
	(void)strftime(created, sizeof(created), "%Y-%m-%dT%H:%M:%S.000000000+0000Z", &tm);
	buf_init(&y.text, TEXT_MAX);
	yaml_put(&y, "---\nosbuilder:", NULL);
	yaml_put(&y, "  url: ", "tatami-rootfs");
	yaml_put(&y, "  version: ", tatami_version);
	yaml_put(&y, "rootfs-creation-time: ", created);
	yaml_put(&y, "description: ", "osbuilder rootfs");
	yaml_put(&y, "file-format-version: ", "0.0.2");
	yaml_put(&y, "architecture: ", build->spec->arch);
	yaml_put(&y, "base-distro:", NULL);
	yaml_put(&y, "  name: ", packages->distribution ? packages->distribution : "unknown");
	yaml_put(&y, "  version: ", packages->release ? packages->release : "unknown");
	for (unsigned extra = 0; extra < 2; extra++) {
		yaml_put(&y, extra ? "    extra:" : "  packages:\n    default:", NULL);
		for (size_t i = 0; i < packages->n; i++) {
			if (yaml_was_asked_for(build, packages->items[i].name) == (extra != 0))
				yaml_put(&y, "      - ", packages->items[i].name);
		}
	}
	yaml_put(&y, "agent:", NULL);
	yaml_put(&y, "  url: ", "tatami");
	yaml_put(&y, "  name: ", "kata-agent");
	yaml_put(&y, "  version: ", build->spec->agent ? "unknown" : tatami_version);
	yaml_put(&y, "  agent-is-init-daemon: ", build->spec->keep_init ? "no" : "yes");
	if (y.has_failed)
		r = error_nomem(err, "describing the image");
	else
		r = image_add_data(&build->image, "/var/lib/osbuilder/osbuilder.yaml", 0644,
				   buf_head(&y.text), buf_len(&y.text), err);
	buf_release(&y.text);
	return r;
}
