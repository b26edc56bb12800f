/* SPDX-License-Identifier: Apache-2.0 */
/* config.json to the protocol's Spec. */
#include "ctl/spec/oci_config.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ctl/json/json.h"
#include "lib/cleanup.h"

/* Fields of the runtime specification that the protocol cannot express, and other platforms'. */
static const char *const left_out[] = {
	"domainname",
	"freebsd",
	"linux.intelRdt.closID",
	"linux.intelRdt.enableCMT",
	"linux.intelRdt.enableMBM",
	"linux.intelRdt.enableMonitoring",
	"linux.intelRdt.memBwSchema",
	"linux.intelRdt.schemata",
	"linux.memoryPolicy",
	"linux.netDevices",
	"linux.personality",
	"linux.resources.blockIO.leafWeightDevice",
	"linux.resources.cpu.burst",
	"linux.resources.cpu.idle",
	"linux.resources.memory.checkBeforeUpdate",
	"linux.resources.memory.useHierarchy",
	"linux.resources.rdma",
	"linux.resources.unified",
	"linux.seccomp.defaultErrnoRet",
	"linux.seccomp.listenerMetadata",
	"linux.seccomp.listenerPath",
	"linux.timeOffsets",
	"mounts[].gidMappings",
	"mounts[].uidMappings",
	"process.commandLine",
	"process.execCPUAffinity",
	"process.ioPriority",
	"process.scheduler",
	"process.user.umask",
	"solaris",
	"vm",
	"windows",
	"zos",
};

bool
oci_config_is(const json_t *json)
{
	static const char *const keys[] = { "ociVersion", "process", "root", "linux" };

	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (json_object_get(json, keys[i]))
			return true;
	return false;
}

/* Writes a field's name in config.json: the protocol's without the capitals that begin it, except
 * the last one before a small letter, which begins a word. */
static void
oci_config_name(const ProtobufCFieldDescriptor *f, char *out, size_t size)
{
	static const struct {
		const char *protocol, *config;
	} others[] = {
		{ "Version", "ociVersion" },
		{ "errnoret", "errnoRet" },
		{ "Pagesize", "pageSize" },
		/* other platforms */
		{ "Solaris", "" },
		{ "Windows", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (strcmp(f->name, others[i].protocol) == 0) {
			(void)snprintf(out, size, "%s", others[i].config);
			return;
		}
	}
	(void)snprintf(out, size, "%s", f->name);
	for (size_t i = 0; isupper((unsigned char)out[i]); i++) {
		if (i > 0 && islower((unsigned char)out[i + 1]))
			break;
		out[i] = (char)tolower((unsigned char)out[i]);
	}
}

/* Notes what the protocol lacks. The numbers of list elements are left out. */
static bool
oci_config_leave_out(void *data, const char *path)
{
	struct oci_config *c = data;
	char general[200];
	size_t n = 0;

	for (const char *at = path; *at && n + 1 < sizeof(general); at++) {
		general[n++] = *at;
		if (*at == '[')
			at += strspn(at + 1, "0123456789");
	}
	general[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(left_out); i++) {
		if (strcmp(general, left_out[i]) == 0) {
			oci_config_ignore(c, "%s", general);
			return true;
		}
	}
	return false;
}

int
oci_config_read(struct oci_config *out, const json_t *json, struct error *err)
{
	struct json_names names = { oci_config_name, oci_config_leave_out, out };

	*out = (struct oci_config){ 0 };
	out->spec = (Grpc__Spec *)json_to_message_named(&names, &grpc__spec__descriptor, json, err);
	return out->spec ? 0 : -1;
}

void
oci_config_ignore(struct oci_config *c, const char *fmt, ...)
{
	size_t used = strlen(c->ignored), n;
	char path[200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	n = strlen(path);
	for (const char *at = c->ignored; *at; at += strcspn(at, ","), at += strspn(at, ", "))
		if (strncmp(at, path, n) == 0 && (!at[n] || at[n] == ','))
			return;
	(void)snprintf(c->ignored + used, sizeof(c->ignored) - used, "%s%s", used ? ", " : "",
		       path);
}

void
oci_config_release(struct oci_config *c)
{
	if (c->spec)
		grpc__spec__free_unpacked(c->spec, NULL);
	c->spec = NULL;
}
