/* SPDX-License-Identifier: Apache-2.0 */
/* See spec.h. */
#include "agent/cdi/spec.h"

#include <string.h>

#include "agent/cdi/names.h"
#include "lib/cleanup.h"

static const char *const versions[] = {
	[CDI_0_3] = "0.3.0", [CDI_0_4] = "0.4.0", [CDI_0_5] = "0.5.0", [CDI_0_6] = "0.6.0",
	[CDI_0_7] = "0.7.0", [CDI_0_8] = "0.8.0", [CDI_1_0] = "1.0.0", [CDI_1_1] = "1.1.0",
};

static const struct cdi_field spec_fields[] = {
	{ "cdiVersion", CDI_0_3 }, { "kind", CDI_0_3 },           { "annotations", CDI_0_6 },
	{ "devices", CDI_0_3 },    { "containerEdits", CDI_0_3 },
};

static const struct cdi_field device_fields[] = {
	{ "name", CDI_0_3 },
	{ "annotations", CDI_0_6 },
	{ "containerEdits", CDI_0_3 },
};

static int spec_check_devices(const struct cdi_spec *spec, const struct yaml_node *devices,
			      struct error *err);

static int
spec_read_version(const struct yaml_node *document, enum cdi_version *out, struct error *err)
{
	const char *text;

	if (cdi_text(document, "cdiVersion", &text, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		if (strcmp(text + (*text == 'v'), versions[i]) == 0) {
			*out = (enum cdi_version)i;
			return 0;
		}
	}
	if (!*text)
		return cdi_invalid(document, err, "cdiVersion is missing");
	return cdi_invalid(cdi_field(document, "cdiVersion"), err,
			   "cdiVersion \"%.32s\" is not supported, only %s to %s", text,
			   versions[0], versions[ARRAY_LEN(versions) - 1]);
}

static int
spec_check_annotations(const struct yaml_node *map, struct error *err)
{
	const struct yaml_node *annotations = cdi_field(map, "annotations");

	if (annotations && annotations->kind != YAML_MAP)
		return cdi_invalid(annotations, err, "annotations: expected a map");
	for (const struct yaml_node *a = annotations ? annotations->first : NULL; a; a = a->next) {
		if (!a->text)
			return cdi_invalid(a, err, "annotations: \"%.64s\" is not a text", a->key);
	}
	return 0;
}

int
cdi_spec_read(const struct yaml_node *document, struct cdi_spec *out, struct error *err)
{
	const struct yaml_node *devices;
	const char *kind;

	*out = (struct cdi_spec){ 0 };
	if (document->kind != YAML_MAP)
		return cdi_invalid(document, err, "expected a map");
	if (cdi_text(document, "kind", &kind, err) < 0)
		return -1;
	if (!cdi_kind_is_valid(kind))
		return cdi_invalid(cdi_field(document, "kind") ? cdi_field(document, "kind")
							       : document,
				   err, "invalid kind \"%.128s\"", kind);
	out->kind = kind;
	if (spec_read_version(document, &out->version, err) < 0 ||
	    cdi_map_check(document, "the spec", spec_fields, ARRAY_LEN(spec_fields), out->version,
			  err) < 0 ||
	    spec_check_annotations(document, err) < 0)
		return -1;
	if (strchr(strchr(kind, '/'), '.') && out->version < CDI_0_6)
		return cdi_invalid(cdi_field(document, "kind"), err,
				   "kind: a dot in the class needs cdiVersion %s",
				   versions[CDI_0_6]);
	out->edits = cdi_field(document, "containerEdits");
	if (out->edits && cdi_edits_add(NULL, out->edits, out->version, err) < 0)
		return -1;
	devices = cdi_field(document, "devices");
	if (!devices || devices->kind != YAML_LIST || devices->n == 0)
		return cdi_invalid(devices ? devices : document, err,
				   "devices: expected a list with at least one");
	if (devices->n > CDI_DEVICES_MAX)
		return cdi_invalid(devices, err, "devices: more than %d", CDI_DEVICES_MAX);
	out->devices = devices->first;
	return spec_check_devices(out, devices, err);
}

static int
spec_check_device(const struct cdi_spec *spec, const struct yaml_node *device, struct error *err)
{
	const struct yaml_node *edits;
	const char *name;

	if (cdi_map_check(device, "a device", device_fields, ARRAY_LEN(device_fields),
			  spec->version, err) < 0 ||
	    cdi_text(device, "name", &name, err) < 0 || spec_check_annotations(device, err) < 0)
		return -1;
	if (!cdi_device_is_valid(name))
		return cdi_invalid(device, err, "invalid name \"%.128s\" of a device", name);
	if (*name >= '0' && *name <= '9' && spec->version < CDI_0_5)
		return cdi_invalid(device, err,
				   "device \"%.128s\": a digit at the beginning needs "
				   "cdiVersion %s",
				   name, versions[CDI_0_5]);
	edits = cdi_field(device, "containerEdits");
	if (!edits || edits->n == 0)
		return cdi_invalid(device, err, "device \"%.128s\": containerEdits is missing",
				   name);
	if (cdi_edits_add(NULL, edits, spec->version, err) < 0)
		return error_wrap(err, "device \"%.128s\"", name);
	return 0;
}

static int
spec_check_devices(const struct cdi_spec *spec, const struct yaml_node *devices, struct error *err)
{
	for (const struct yaml_node *d = devices->first; d; d = d->next) {
		if (spec_check_device(spec, d, err) < 0)
			return -1;
	}
	for (const struct yaml_node *d = devices->first; d; d = d->next) {
		const char *name;

		if (cdi_text(d, "name", &name, err) < 0)
			return -1;
		if (cdi_spec_device(spec, name) != d)
			return cdi_invalid(d, err, "device \"%.128s\" is given twice", name);
	}
	return 0;
}

const struct yaml_node *
cdi_spec_device(const struct cdi_spec *spec, const char *name)
{
	for (const struct yaml_node *d = spec->devices; d; d = d->next) {
		if (strcmp(cdi_field(d, "name")->text, name) == 0)
			return d;
	}
	return NULL;
}

const struct yaml_node *
cdi_device_edits(const struct yaml_node *device)
{
	return cdi_field(device, "containerEdits");
}
