/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk-suite ADDRESS QMP-SOCKET BASE-IMAGE DIRECTORY blk|scsi COUNT: plugs COUNT disks into a VM,
 * one after another. A container with the disk as its volume reads it and writes to it; then the
 * container is removed and the disk unplugged, and the file on the host has what was written. In
 * the end the guest is as before. While the first disk is waited for, init and agent must not wake
 * up.
 *
 * Prints how much guest time passes until the kernel announces the disk, and until it is mounted.
 * The VM runs with -icount shift=0, where the guest's time stamp counter and QEMU's virtual clock
 * are the same: nanoseconds, or instructions while the guest is busy. The begin is read on the
 * host, from the ACPI timer, just before the disk is plugged in; the end is read by mount-probe in
 * the guest. (A VM that is stopped meanwhile and continued may never run again, with this clock.)
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ctl/spec/spec.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "tests/rpc/harness.h"

#define DIAL_MS      30000
#define CALL_MS      60000
#define QMP_SECONDS  60
#define SETTLE_MS    30000
#define COUNT_MAX    1000
#define GUEST_ROOTFS "/run/kata-containers/shared/containers/main/rootfs"
#define STORAGES     "/run/kata-containers/sandbox/storage"
#define PROBE        "probe"
/* In the base image; replaced by the name of each disk, which is as long. */
#define NAME_MARK "DISK-MARK"
#define NAME_LEN  9

/* The ACPI timer of q35: 24 bits at 3.58 MHz. */
#define TIMER_PORT  "0x608"
#define TIMER_MASK  0xffffffu
#define TIMER_HZ    3579545.0
#define TIMER_RANGE ((TIMER_MASK + 1) * 1e9 / TIMER_HZ)

struct suite {
	struct harness h;
	FILE *in, *out;
	const char *dir;
	bool is_scsi;
	char *image;
	size_t image_size;
	char *mark;
	/* output of mount-probe since it was read last */
	char seen[1 << 16];
	size_t n_seen;
	/* ms of guest time from device_add to the uevent of the disk and to its mount */
	double found[COUNT_MAX], mounted[COUNT_MAX];
};

_Noreturn static void
disk_fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "disk-suite: %s: %s\n", what, why);
	exit(1);
}

static void
disk_must(int r, const char *what, const struct error *err)
{
	if (r < 0)
		disk_fail(what, err->msg);
}

/* ---- QMP ---- */

/* Reads lines until one has `text`, which *line keeps. */
static void
qmp_await(struct suite *s, const char *text, char *line, size_t size)
{
	while (fgets(line, (int)size, s->in)) {
		if (strstr(line, "\"error\""))
			disk_fail("QMP", line);
		if (strstr(line, text))
			return;
	}
	disk_fail("QMP did not send", text);
}

static void qmp(struct suite *s, char *line, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Sends a command and waits for its result. */
static void
qmp(struct suite *s, char *line, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vfprintf(s->out, fmt, ap);
	va_end(ap);
	(void)fputc('\n', s->out);
	(void)fflush(s->out);
	qmp_await(s, "\"return\"", line, size);
}

static void
qmp_open(struct suite *s, const char *path)
{
	const struct timeval limit = { .tv_sec = QMP_SECONDS };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[8192];

	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path) >=
		    sizeof(addr.sun_path) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		disk_fail(path, strerror(errno));
	s->in = fdopen(fd, "r");
	s->out = fdopen(dup(fd), "w");
	if (!s->in || !s->out)
		disk_fail(path, strerror(errno));
	qmp(s, line, sizeof(line), "{\"execute\":\"qmp_capabilities\"}");
}

/* Returns the guest's time in nanoseconds, modulo TIMER_RANGE. */
static double
guest_ns(struct suite *s)
{
	char line[8192];
	unsigned long ticks;
	const char *value;

	qmp(s, line, sizeof(line),
	    "{\"execute\":\"human-monitor-command\",\"arguments\":{\"command-line\":"
	    "\"i /w " TIMER_PORT "\"}}");
	value = strstr(line, "] = 0x");
	ticks = value ? strtoul(value + strlen("] = 0x"), NULL, 16) : 0;
	if (!value)
		disk_fail("invalid reading of the ACPI timer", line);
	return (double)(ticks & TIMER_MASK) * 1e9 / TIMER_HZ;
}

/* ---- containers ---- */

/* Reads what mount-probe has written, until it has a line that contains `text`. */
static char *
probe_await(struct suite *s, const char *text)
{
	struct error err = ERROR_INIT;
	char *at;

	while (!(at = strstr(s->seen, text)) || !strchr(at, '\n')) {
		ssize_t n;

		if (s->n_seen + 1 >= sizeof(s->seen))
			disk_fail("mount-probe wrote too much", text);
		n = read_stream(&s->h, false, PROBE, PROBE, s->seen + s->n_seen,
				sizeof(s->seen) - 1 - s->n_seen, &err);
		disk_must(n > 0 ? 0 : -1, "read from mount-probe", &err);
		s->n_seen += (size_t)n;
		s->seen[s->n_seen] = '\0';
	}
	while (at > s->seen && at[-1] != '\n')
		at--;
	return at;
}

/* Creates and starts a container that sees the whole guest. */
static void
start_privileged(struct suite *s, const char *id, const char *const *args)
{
	static const char *const env[] = { "PATH=/bin:/sbin:/usr/bin" };
	struct vm_share no_share = { .kind = SHARE_9P };
	struct container_options o = { .id = id,
				       .hostname = "pod",
				       .args = (char *const *)(uintptr_t)args,
				       .env = env,
				       .n_env = ARRAY_LEN(env),
				       .cwd = "/",
				       .privileged = true,
				       .guest_proc = "/hostproc",
				       .shares = &no_share };
	struct error err = ERROR_INIT;
	Grpc__CreateContainerRequest *q;
	struct arena a;

	arena_init(&a, 1 << 20);
	q = spec_container(&a, &o);
	if (!q)
		disk_fail(id, "out of memory");
	q->n_storages = 0;
	q->oci->root->path = s->h.rootfs;
	disk_must(call(&s->h, "CreateContainer", q, NULL, &err), id, &err);
	disk_must(start(&s->h, id, &err), id, &err);
	arena_release(&a);
}

/* Runs a shell in such a container. */
static void
look(struct suite *s, const char *script, char *out, size_t size)
{
	struct error err = ERROR_INIT;

	start_privileged(s, "look", SH(script));
	disk_must(read_all(&s->h, false, "look", "look", out, size, &err) < 0 ? -1 : 0, "look",
		  &err);
	disk_must(remove_container(&s->h, "look", &err), "look", &err);
}

/* Sets "agent" to the directory of the agent, which is init's first child, in the guest's /proc. */
#define FIND_AGENT "agent=/hostproc/$(cut -d ' ' -f 1 /hostproc/1/task/1/children); "

/* Prints everything that a disk may leave behind. */
static const char everything[] =
	FIND_AGENT "echo $(ls $agent/fd | wc -l) fds; cut -d ' ' -f 1-3 /hostproc/1/mounts; "
		   "ls /sys/block /sys/bus/pci/devices /sys/bus/scsi/devices "
		   "/sys/bus/virtio/devices; "
		   "ls /hostproc/1/root/dev; ls /hostproc/1/root" STORAGES "; "
		   "grep nr_descendants /hostproc/1/root/sys/fs/cgroup/pods/cgroup.stat";

/* Prints the wake-ups of init and of the agent in two seconds, up to five times, since a call may
 * still be on its way in the first ones. Its output causes some, too, and comes last. */
static const char wakeups[] = FIND_AGENT
	"count() { awk '/ctxt_switches/ { n += $2 } END { print n }' $1/status; }; sleep 1; "
	"for n in 1 2 3 4 5; do i=$(count /hostproc/1); a=$(count $agent); sleep 2; "
	"i=$(($(count /hostproc/1) - i)); a=$(($(count $agent) - a)); "
	"all=\"$all init $i, agent $a;\"; test $i$a != 00 || break; done; echo \"$all\"";
#define NO_WAKEUPS " init 0, agent 0;\n"

static void
as_before(struct suite *s, const char *before)
{
	uint64_t until = deadline_in(SETTLE_MS);
	char now[1 << 16];

	for (;;) {
		look(s, everything, now, sizeof(now));
		if (strcmp(now, before) == 0)
			return;
		if (deadline_is_over(until)) {
			(void)fprintf(stderr, "before:\n%s\nafter:\n%s\n", before, now);
			disk_fail("the guest", "not as before");
		}
	}
}

/* ---- disks ---- */

/* Writes the file of a disk, with its name in it. */
static void
disk_make(struct suite *s, const char *path, const char *name)
{
	auto_close int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

	memcpy(s->mark, name, NAME_LEN);
	if (fd < 0 || write_full(fd, s->image, s->image_size) < 0)
		disk_fail(path, strerror(errno));
}

/* Returns whether the file of a disk has the text. */
static bool
disk_has(const struct suite *s, const char *path, const char *text)
{
	auto_free char *data = malloc(s->image_size);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (!data || fd < 0 || read_full(fd, data, s->image_size) != (ssize_t)s->image_size)
		disk_fail(path, strerror(errno));
	return memmem(data, s->image_size, text, strlen(text)) != NULL;
}

/* Creates a container with the disk as its volume; ends when the agent has read the request. */
static uint32_t
create_begin(struct suite *s, const char *source, const char *name)
{
	char script[512];
	struct error err = ERROR_INIT;
	Grpc__CreateContainerRequest *q;
	Grpc__Storage storage = GRPC__STORAGE__INIT, *storages[] = { &storage };
	Grpc__Mount mount = GRPC__MOUNT__INIT, *mounts[16];
	char *options[] = { (char *)(uintptr_t) "rbind" };
	struct arena a;
	uint32_t id;

	(void)snprintf(script, sizeof(script),
		       "test \"$(cat /vol/name)\" = %s && echo WROTE-%s >/vol/data && sync && "
		       "test \"$(cat /vol/data)\" = WROTE-%s",
		       name, name, name);
	arena_init(&a, 1 << 20);
	q = make_create(&s->h, &a, name, SH(script), false);
	if (!q || q->oci->n_mounts >= ARRAY_LEN(mounts))
		disk_fail(name, "failed to make a request");
	storage.driver = (char *)(uintptr_t)(s->is_scsi ? "scsi" : "blk");
	storage.source = (char *)(uintptr_t)source;
	storage.fstype = (char *)(uintptr_t) "ext4";
	storage.mount_point = arena_printf(&a, STORAGES "/%s", name);
	q->storages = storages;
	q->n_storages = 1;
	memcpy(mounts, q->oci->mounts, q->oci->n_mounts * sizeof(*mounts));
	mount.destination = (char *)(uintptr_t) "/vol";
	mount.source = storage.mount_point;
	mount.type = (char *)(uintptr_t) "bind";
	mount.options = options;
	mount.n_options = 1;
	mounts[q->oci->n_mounts++] = &mount;
	q->oci->mounts = mounts;
	id = ttrpc_client_start(s->h.client, &grpc__agent_service__descriptor, "CreateContainer",
				&q->base, 0, NULL, NULL, &err);
	disk_must(id ? 0 : -1, name, &err);
	arena_release(&a);
	disk_must(check_health(s->h.client, &err), "Check", &err);
	return id;
}

/* Returns the ms of guest time from `begin` to the time in a line of mount-probe. */
static double
since(const char *line, double begin)
{
	const char *ns = strchr(line, ' ');
	double passed;

	if (!ns)
		disk_fail("invalid line of mount-probe", line);
	passed = (double)strtoull(ns, NULL, 10) - begin;
	passed -= (double)(uint64_t)(passed / TIMER_RANGE) * TIMER_RANGE;
	return passed / 1e6;
}

static void
cycle(struct suite *s, unsigned int i)
{
	struct error err = ERROR_INIT;
	char name[16], path[600], source[32], device[128], line[8192], text[256];
	uint32_t id;
	double begin;
	int status;

	(void)snprintf(name, sizeof(name), "DISK-%04u", i);
	(void)snprintf(path, sizeof(path), "%s/%s", s->dir, name);
	if (s->is_scsi) {
		(void)snprintf(source, sizeof(source), "%u:%u", i % 250, i % 3);
		(void)snprintf(device, sizeof(device),
			       "\"driver\":\"scsi-hd\",\"bus\":\"scsi0.0\",\"scsi-id\":%u,"
			       "\"lun\":%u",
			       i % 250, i % 3);
	} else {
		(void)snprintf(source, sizeof(source), "1e/00");
		(void)snprintf(device, sizeof(device),
			       "\"driver\":\"virtio-blk-pci\",\"bus\":\"hotplug0\"");
	}
	disk_make(s, path, name);
	qmp(s, line, sizeof(line),
	    "{\"execute\":\"blockdev-add\",\"arguments\":{\"node-name\":\"%s\",\"driver\":\"raw\","
	    "\"file\":{\"driver\":\"file\",\"filename\":\"%s\"}}}",
	    name, path);
	s->n_seen = 0;
	s->seen[0] = '\0';
	id = create_begin(s, source, name);
	if (i == 0) {
		look(s, wakeups, text, sizeof(text));
		if (!strstr(text, NO_WAKEUPS))
			disk_fail("wake-ups while a disk is waited for", text);
	}
	begin = guest_ns(s);
	qmp(s, line, sizeof(line),
	    "{\"execute\":\"device_add\",\"arguments\":{\"id\":\"d%s\",\"drive\":\"%s\",%s}}", name,
	    name, device);
	disk_must(ttrpc_client_wait(s->h.client, id, CALL_MS, NULL, &err), name, &err);
	(void)snprintf(text, sizeof(text), STORAGES "/%s\n", name);
	s->mounted[i] = since(probe_await(s, text), begin);
	s->found[i] = since(probe_await(s, " block "), begin);
	disk_must(start(&s->h, name, &err), name, &err);
	status = wait_process(&s->h, name, name, &err);
	disk_must(status, name, &err);
	disk_must(remove_container(&s->h, name, &err), name, &err);
	if (status != 0)
		disk_fail(name, "the container did not find its disk");
	qmp(s, line, sizeof(line), "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"d%s\"}}",
	    name);
	(void)snprintf(text, sizeof(text), "\"DEVICE_DELETED\", \"data\": {\"device\": \"d%s\"",
		       name);
	qmp_await(s, text, line, sizeof(line));
	qmp(s, line, sizeof(line),
	    "{\"execute\":\"blockdev-del\",\"arguments\":{\"node-name\":\"%s\"}}", name);
	(void)snprintf(text, sizeof(text), "WROTE-%s", name);
	if (!disk_has(s, path, text))
		disk_fail(name, "the data are not on the disk");
	(void)unlink(path);
}

static int
by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void
report(const char *what, double *ms, unsigned int n)
{
	qsort(ms, n, sizeof(*ms), by_size);
	printf("%s: p50 %.3f ms, p90 %.3f ms, max %.3f ms\n", what, ms[n / 2], ms[n * 9 / 10],
	       ms[n - 1]);
}

static void
read_base(struct suite *s, const char *path)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);

	s->image_size = size > 0 ? (size_t)size : 0;
	s->image = size > 0 ? malloc(s->image_size) : NULL;
	if (!s->image || lseek(fd, 0, SEEK_SET) < 0 ||
	    read_full(fd, s->image, s->image_size) != (ssize_t)s->image_size)
		disk_fail(path, strerror(errno));
	s->mark = memmem(s->image, s->image_size, NAME_MARK, NAME_LEN);
	if (!s->mark)
		disk_fail(path, "no " NAME_MARK);
}

int
main(int argc, char **argv)
{
	static struct suite s = { .h.rootfs = GUEST_ROOTFS };
	static char before[1 << 16];
	struct error err = ERROR_INIT;
	uint32_t n;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 7 || !parse_u32(argv[6], &n) || n == 0 || n > COUNT_MAX) {
		(void)fprintf(stderr,
			      "usage: disk-suite ADDRESS QMP-SOCKET BASE-IMAGE DIRECTORY blk|scsi "
			      "COUNT\n");
		return 2;
	}
	s.dir = argv[4];
	s.is_scsi = strcmp(argv[5], "scsi") == 0;
	read_base(&s, argv[3]);
	qmp_open(&s, argv[2]);
	s.h.client = ttrpc_client_dial(argv[1], DIAL_MS, &err);
	disk_must(s.h.client ? 0 : -1, argv[1], &err);
	start_privileged(&s, PROBE, ARGS("mount-probe", "/hostproc/1/mountinfo", STORAGES));
	(void)probe_await(&s, "ready");
	look(&s, everything, before, sizeof(before));
	for (unsigned int i = 0; i < n; i++)
		cycle(&s, i);
	as_before(&s, before);
	disk_must(remove_container(&s.h, PROBE, &err), PROBE, &err);
	printf("%s: %u disks\n", argv[5], n);
	report("from device_add to the uevent", s.found, n);
	report("from device_add to mounted", s.mounted, n);
	ttrpc_client_free(s.h.client);
	free(s.image);
	return 0;
}
