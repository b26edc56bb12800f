/* SPDX-License-Identifier: Apache-2.0 */
/* The known fields, enumerated from the descriptors. See suite.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent.pb-c.h"
#include "lib/pbfield.h"
#include "tests/oci/suite.h"

#define PATH_LEN 256

static const struct {
	const char *prefix;
	const ProtobufCMessageDescriptor *descriptor;
} messages[] = {
	{ "exec.", &grpc__process__descriptor },
	{ "update.", &grpc__linux_resources__descriptor },
	/* last: prefix of any path */
	{ "", &grpc__spec__descriptor },
};

static void
print_fields(const ProtobufCMessageDescriptor *d, const char *prefix)
{
	for (unsigned int i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];
		char path[PATH_LEN];

		(void)snprintf(path, sizeof(path) - 1, "%s%s", prefix, f->name);
		for (char *c = path; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		printf("%s\n", path);
		if (f->type != PROTOBUF_C_TYPE_MESSAGE || pbfield_is_map(f))
			continue;
		(void)strcat(path, ".");
		print_fields(f->descriptor, path);
	}
}

void
suite_fields(void)
{
	print_fields(&grpc__spec__descriptor, "");
}

static bool
has_field(const ProtobufCMessageDescriptor *d, const char *path)
{
	size_t len = strcspn(path, ".");

	for (unsigned int i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &d->fields[i];

		if (strncasecmp(f->name, path, len) != 0 || f->name[len])
			continue;
		if (!path[len])
			return true;
		return f->type == PROTOBUF_C_TYPE_MESSAGE &&
		       (pbfield_is_map(f) || has_field(f->descriptor, path + len + 1));
	}
	return false;
}

bool
suite_has_field(const char *path)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		size_t len = strlen(messages[i].prefix);

		if (strncmp(path, messages[i].prefix, len) == 0)
			return has_field(messages[i].descriptor, path + len);
	}
	return false;
}
