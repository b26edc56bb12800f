/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of an image_guest_pull storage. */
#include "agent/storage/image_request.h"

#include <string.h>

#include "lib/cleanup.h"
#include "lib/json_scan.h"

#define OPTION        IMAGE_PULL_DRIVER "="
#define LAYOUT        "oci:"
#define REFERENCE_MAX 512
#define NAME_MAX_LEN  128

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS  "0123456789"

/* Keys of the kind of a container in Kubernetes: of containerd, of CRI-O. */
static const char *const kinds[] = { "io.kubernetes.cri.container-type",
				     "io.kubernetes.cri-o.ContainerType" };

/* Finds the object "metadata" of the driver option. */
static bool
image_request_metadata(const struct storage_spec *spec, struct json_value *out)
{
	struct json_value all;

	for (size_t i = 0; i < spec->n_driver_options; i++) {
		const char *option = spec->driver_options[i];

		if (strncmp(option, OPTION, strlen(OPTION)) != 0)
			continue;
		option += strlen(OPTION);
		return json_scan(option, strlen(option), &all) &&
		       json_scan_member(all, "metadata", out) && json_scan_is(*out, '{');
	}
	return false;
}

bool
image_request_has_metadata(const struct storage_spec *spec)
{
	struct json_value ignored;

	return image_request_metadata(spec, &ignored);
}

bool
image_request_is_pause(const struct storage_spec *spec)
{
	struct json_value metadata, kind;

	if (strcmp(spec->driver, IMAGE_PULL_DRIVER) != 0 ||
	    !image_request_metadata(spec, &metadata))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (json_scan_member(metadata, kinds[i], &kind) &&
		    json_scan_equals(kind, "sandbox"))
			return true;
	return false;
}

/* Returns whether `text` begins with a letter or digit, and has no other characters than these and
 * `others`: a program cannot take it for an option, or for the name of another transport. */
static bool
image_request_is_word(const char *text, const char *others)
{
	size_t n = 0;

	if (!*text || !strchr(LETTERS DIGITS, *text))
		return false;
	while (text[n] && (strchr(LETTERS DIGITS, text[n]) || strchr(others, text[n])))
		n++;
	return text[n] == '\0';
}

bool
image_request_parse(const char *reference, struct image_source *out)
{
	char directory[REFERENCE_MAX];
	const char *end;

	*out = (struct image_source){ .name = reference };
	if (strlen(reference) >= REFERENCE_MAX)
		return false;
	if (strncmp(reference, LAYOUT, strlen(LAYOUT)) != 0)
		return image_request_is_word(reference, "._-/:@+");
	out->layout = reference + strlen(LAYOUT);
	end = out->layout + strcspn(out->layout, ":");
	out->len = (size_t)(end - out->layout);
	out->name = end + (*end == ':');
	memcpy(directory, out->layout, out->len);
	directory[out->len] = '\0';
	return storage_is_plain_path(directory) &&
	       (!*end ||
		(strlen(out->name) <= NAME_MAX_LEN && image_request_is_word(out->name, "._-")));
}
