/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SCSI disks by "TARGET:LUN". The address does not name the controller, of which there may be
 * several: the disk is looked for on all of them, on those of virtio-scsi first, since the disks of
 * emulated controllers have the same addresses. An address that two of them have is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/device/kind.h"
#include "agent/device/sysfs.h"
#include "lib/io.h"
#include "lib/parse.h"

/* SAM-5: 8 bits of peripheral addressing, 14 of flat addressing, which the kernel shows with its
 * address method in bits 14 and 15. */
#define TARGET_MAX   255
#define LUN_MAX      16383
#define LUN_DIRECT   255
#define LUN_FLAT     0x4000u
#define VIRTIO_NAME  "virtio_scsi"
#define SCSI_DEVICES "bus/scsi/devices"
#define SCSI_HOSTS   "class/scsi_host"

static int
scsi_parse(const char *text, struct device_address *out, struct error *err)
{
	const char *colon = strchr(text, ':');
	char target[8];
	uint32_t t = 0, lun = 0;

	if (!colon || (size_t)(colon - text) >= sizeof(target))
		goto bad;
	(void)snprintf(target, sizeof(target), "%.*s", (int)(colon - text), text);
	if (!parse_u32(target, &t) || !parse_u32(colon + 1, &lun) || t > TARGET_MAX ||
	    lun > LUN_MAX)
		goto bad;
	out->scsi.target = t;
	out->scsi.lun = lun;
	return 0;
bad:
	return error_set(err, ERROR_INVALID_ARGUMENT,
			 "invalid SCSI address \"%.64s\": expected <target>:<LUN>, at most %d:%d",
			 text, TARGET_MAX, LUN_MAX);
}

/* Returns the LUN as the kernel counts it. */
static unsigned int
kernel_lun(const struct device_address *a)
{
	return a->scsi.lun > LUN_DIRECT ? a->scsi.lun | LUN_FLAT : a->scsi.lun;
}

static bool
is_virtio(int sysfd, const char *host)
{
	char path[128], name[32];

	(void)snprintf(path, sizeof(path), SCSI_HOSTS "/host%s/proc_name", host);
	return read_text_at(sysfd, path, name, sizeof(name)) > 0 && strcmp(name, VIRTIO_NAME) == 0;
}

struct matches {
	const struct device_address *address;
	int sysfd;
	struct {
		unsigned int n;
		/* "H:C:T:L" of the last one. */
		char device[64];
	} virtio, other;
};

/* Takes a device "HOST:CHANNEL:TARGET:LUN" that has the address. */
static bool
scsi_match(const char *name, void *data)
{
	struct matches *m = data;
	char want[32], host[16];
	const char *rest = strchr(name, ':');
	bool is_ours;

	if (!rest || (size_t)(rest - name) >= sizeof(host))
		return true;
	(void)snprintf(want, sizeof(want), ":0:%u:%u", m->address->scsi.target,
		       kernel_lun(m->address));
	if (strcmp(rest, want) != 0)
		return true;
	(void)snprintf(host, sizeof(host), "%.*s", (int)(rest - name), name);
	is_ours = is_virtio(m->sysfd, host);
	if (is_ours) {
		m->virtio.n++;
		(void)snprintf(m->virtio.device, sizeof(m->virtio.device), "%s", name);
	} else {
		m->other.n++;
		(void)snprintf(m->other.device, sizeof(m->other.device), "%s", name);
	}
	return true;
}

static int
scsi_look(const struct roots *roots, const struct device_address *a, char name[DEVICE_NODE_MAX],
	  struct error *err)
{
	struct matches m = { .address = a, .sysfd = roots->sys };
	char dir[128];

	(void)sysfs_each(roots->sys, SCSI_DEVICES, scsi_match, &m);
	if (m.virtio.n > 1 || (m.virtio.n == 0 && m.other.n > 1))
		return error_set(err, ERROR_FAILED_PRECONDITION,
				 "%u SCSI controllers have a device %s",
				 m.virtio.n ? m.virtio.n : m.other.n, a->text);
	if (m.virtio.n + m.other.n == 0)
		return 1;
	(void)snprintf(dir, sizeof(dir), SCSI_DEVICES "/%s/block",
		       m.virtio.n ? m.virtio.device : m.other.device);
	return !sysfs_first(roots->sys, dir, "", name, DEVICE_NODE_MAX - 5);
}

struct scan {
	const struct device_address *address;
	int sysfd;
	bool only_virtio;
	unsigned int n, failed;
	int errnum;
};

static bool
scsi_count_virtio(const char *name, void *data)
{
	struct scan *s = data;

	if (strncmp(name, "host", 4) == 0 && is_virtio(s->sysfd, name + 4))
		s->n++;
	return true;
}

static bool
scsi_scan_host(const char *name, void *data)
{
	struct scan *s = data;
	char path[128], text[32];

	if (strncmp(name, "host", 4) != 0 || (s->only_virtio && !is_virtio(s->sysfd, name + 4)))
		return true;
	(void)snprintf(path, sizeof(path), SCSI_HOSTS "/%.64s/scan", name);
	(void)snprintf(text, sizeof(text), "0 %u %u", s->address->scsi.target,
		       kernel_lun(s->address));
	if (write_text_at(s->sysfd, path, text) < 0) {
		s->failed++;
		s->errnum = errno;
	}
	return true;
}

/* Has each controller look for the address: a controller without hot-plug events does not notice a
 * new disk by itself. */
static int
scsi_scan(const struct roots *roots, const struct device_address *a, struct error *err)
{
	struct scan s = { .address = a, .sysfd = roots->sys };

	(void)sysfs_each(roots->sys, SCSI_HOSTS, scsi_count_virtio, &s);
	s.only_virtio = s.n > 0;
	(void)sysfs_each(roots->sys, SCSI_HOSTS, scsi_scan_host, &s);
	if (s.failed == 0)
		return 0;
	errno = s.errnum;
	return error_sys(err, "failed to scan %u SCSI controllers for %s", s.failed, a->text);
}

const struct device_kind device_scsi = {
	.what = "SCSI disk",
	.parse = scsi_parse,
	.look = scsi_look,
	.scan = scsi_scan,
	.is_disk = true,
};
