/* SPDX-License-Identifier: Apache-2.0 */
/* CopyFile and the calls on volumes, checked through the agent's own root directory. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/path.h"
#include "tests/rpc/harness.h"

#define SHARED         "/run/kata-containers/shared"
#define PLACE          SHARED "/containers/"
#define PART           (1u << 20)
#define RSS_GROWTH_KIB 64

static char *
str(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* Opens the guest's root as the agent sees it. */
static int
guest_root(const struct harness *h)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)h->agent);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void
remove_copies(struct harness *h)
{
	auto_close int root = guest_root(h);
	auto_close int run = path_try_open(root, "/run/kata-containers", O_PATH | O_DIRECTORY, 0,
					   PATH_FOLLOW_NONE);
	struct error err = ERROR_INIT;

	CHECK_OK(path_remove_tree(run, "shared", &err), &err);
}

struct copied {
	const char *path;
	uint32_t mode;
	int64_t size, offset;
	const void *data;
	size_t n;
};

static int
copy(struct harness *h, const struct copied *c, struct error *err)
{
	Grpc__CopyFileRequest q = GRPC__COPY_FILE_REQUEST__INIT;
	char path[PATH_MAX + 64];

	(void)snprintf(path, sizeof(path), PLACE "%s", c->path);
	*err = ERROR_INIT;
	q.path = path;
	q.file_mode = c->mode;
	/* as a host in Go writes "directory" */
	q.dir_mode = 020000000000u | 0750;
	q.uid = q.gid = -1;
	q.file_size = c->size;
	q.offset = c->offset;
	q.data.data = (uint8_t *)(uintptr_t)c->data;
	q.data.len = c->n;
	return call(h, "CopyFile", &q, NULL, err);
}

/* Copies a small file in one call. */
static int
put(struct harness *h, const char *path, uint32_t mode, const char *data, struct error *err)
{
	struct copied c = { path, mode, (int64_t)strlen(data), 0, data, strlen(data) };

	return copy(h, &c, err);
}

/* Returns whether shared/containers/path has these contents. */
static bool
has(const struct harness *h, const char *path, const uint8_t *data, size_t n)
{
	auto_close int root = guest_root(h);
	auto_free uint8_t *got = malloc(n + 1);
	auto_close int fd = -1;
	char name[256];

	(void)snprintf(name, sizeof(name), PLACE "%s", path);
	fd = path_try_open(root, name, O_RDONLY, 0, PATH_FOLLOW_NONE);
	return got && fd >= 0 && read_full(fd, got, n + 1) == (ssize_t)n &&
	       memcmp(got, data, n) == 0;
}

static void
parts(struct harness *h)
{
	size_t size = 3 * PART + 12345;
	auto_free uint8_t *data = malloc(size);
	struct error err = ERROR_INIT;
	struct copied c = { "d/large", S_IFREG | 0644, (int64_t)size, 0, NULL, 0 };
	unsigned int seed = 1;

	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)((seed = seed * 1103515245u + 12345u) >> 16);
	for (size_t at = 0; at < size; at += PART) {
		c.offset = (int64_t)at;
		c.data = data + at;
		c.n = size - at < PART ? size - at : PART;
		CHECK_OK(copy(h, &c, &err), &err);
	}
	CHECK(has(h, "d/large", data, size), "not what was sent");
	/* the whole in one message, over what is there */
	data[0] ^= 1;
	c.offset = 0;
	c.data = data;
	c.n = size;
	CHECK_OK(copy(h, &c, &err), &err);
	CHECK(has(h, "d/large", data, size), "not what was sent in one message");
	CHECK_OK(put(h, "d/empty", S_IFREG | 0600, "", &err), &err);
	CHECK(has(h, "d/empty", data, 0), "not empty");
	remove_copies(h);
}

/* A config map as hosts send it, twice: links are replaced. */
static void
config_map(struct harness *h)
{
	static const char *const versions[] = { "..2024_01_01", "..2024_01_02" };
	struct error err = ERROR_INIT;
	char path[128];

	for (int i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "map/%s", versions[i]);
		CHECK_OK(put(h, "map", S_IFDIR | 0755, "", &err), &err);
		CHECK_OK(put(h, path, S_IFDIR | 0755, "", &err), &err);
		(void)snprintf(path, sizeof(path), "map/%s/key", versions[i]);
		CHECK_OK(put(h, path, S_IFREG | 0644, versions[i], &err), &err);
		CHECK_OK(put(h, "map/..data", S_IFLNK | 0777, versions[i], &err), &err);
		CHECK_OK(put(h, "map/key", S_IFLNK | 0777, "..data/key", &err), &err);
	}
	(void)snprintf(path, sizeof(path), "map/%s/key", versions[1]);
	CHECK(has(h, path, (const uint8_t *)versions[1], strlen(versions[1])), "not the second");
	/* Nothing is copied through a link. */
	CHECK_LT(put(h, "map/..data/key", S_IFREG | 0644, "x", &err), 0, "through a link");
	CHECK(err.code == ERROR_PERMISSION_DENIED && strstr(err.msg, "symlink"), "%d %s", err.code,
	      err.msg);
	remove_copies(h);
}

static void
refused(struct harness *h)
{
	static const struct {
		const char *path;
		uint32_t mode;
		enum error_code code;
	} rows[] = {
		{ "../../evil", S_IFREG, ERROR_INVALID_ARGUMENT },
		{ "", S_IFREG, ERROR_INVALID_ARGUMENT },
		{ "f/", S_IFREG, ERROR_INVALID_ARGUMENT },
		{ "f", S_IFBLK | 0644, ERROR_INVALID_ARGUMENT },
		{ "f", S_IFIFO | 0644, ERROR_INVALID_ARGUMENT },
		{ "f", S_IFMT | 0644, ERROR_INVALID_ARGUMENT },
		{ "out/etc/evil", S_IFREG, ERROR_PERMISSION_DENIED },
		{ "out/tmp", S_IFDIR, ERROR_PERMISSION_DENIED },
	};
	struct error err = ERROR_INIT;
	struct copied c = { "f", S_IFREG | 0600, 9, 3, "abc", 3 };

	CHECK_OK(put(h, "out", S_IFLNK, "/", &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		CHECK_FAILS(put(h, rows[i].path, rows[i].mode, "evil", &err), &err, rows[i].code,
			    "", "row %zu: %d %s", i, err.code, err.msg);
	CHECK_FAILS(copy(h, &c, &err), &err, ERROR_FAILED_PRECONDITION, "", "%d %s", err.code,
		    err.msg);
	CHECK_LT(access("/etc/evil", F_OK), 0, "it is there");
	remove_copies(h);
}

/* Permissions alone, without the bits of a file's type, mean a regular file. */
static void
mode_without_type(struct harness *h)
{
	struct error err = ERROR_INIT;

	CHECK_OK(put(h, "plain", 0640, "text", &err), &err);
	CHECK(has(h, "plain", (const uint8_t *)"text", 4), "no regular file");
	CHECK_OK(put(h, "plain", 0, "other", &err), &err);
	CHECK(has(h, "plain", (const uint8_t *)"other", 5), "not replaced");
	remove_copies(h);
}

/* Creates a container with the volume as watchable-bind at /cfg, as the Go runtime requests a
 * ConfigMap. */
static int
create_with_config(struct harness *h, const char *id, const char *point, struct error *err)
{
	static const char *const options[] = { "rbind", "rprivate", "ro" };
	Grpc__Storage storage = GRPC__STORAGE__INIT, *storages[] = { &storage };
	Grpc__Mount mount = GRPC__MOUNT__INIT, *mounts[16];
	Grpc__CreateContainerRequest *q;
	struct arena a;
	int r;

	arena_init(&a, 1 << 20);
	q = make_create(h, &a, id, SH("cat /cfg/key; read x; cat /cfg/key; echo z >/cfg/key"),
			false);
	storage.driver = (char *)"watchable-bind";
	storage.fstype = (char *)"bind";
	storage.source = (char *)PLACE "vol";
	mount.source = storage.mount_point = (char *)(uintptr_t)point;
	mount.destination = (char *)"/cfg";
	mount.type = (char *)"bind";
	mount.options = storage.options = (char **)(uintptr_t)options;
	mount.n_options = storage.n_options = ARRAY_LEN(options);
	q->storages = storages;
	q->n_storages = ARRAY_LEN(storages);
	memcpy(mounts, q->oci->mounts, q->oci->n_mounts * sizeof(*mounts));
	mounts[q->oci->n_mounts++] = &mount;
	q->oci->mounts = mounts;
	r = call(h, "CreateContainer", q, NULL, err);
	arena_release(&a);
	return r;
}

/* Returns whether the directory of mount points is a file system of its own. The share belongs
 * to the host and may be read-only. */
static bool
has_own_directory(const struct harness *h)
{
	auto_close int root = guest_root(h);
	auto_close int share = path_try_open(root, PLACE, O_PATH, 0, PATH_FOLLOW_NONE);
	auto_close int dir = path_try_open(root, PLACE "watchable", O_PATH, 0, PATH_FOLLOW_NONE);
	struct stat a, b;

	return share >= 0 && fstat(share, &a) == 0 && dir >= 0 && fstat(dir, &b) == 0 &&
	       a.st_dev != b.st_dev;
}

/* Two containers use a volume that the host changes; both see the change, and neither can write. */
static void
watchable(struct harness *h)
{
	static const char *const ids[] = { "c1", "c2" };
	struct error err = ERROR_INIT;
	char out[256];

	CHECK_OK(put(h, "vol", S_IFDIR | 0755, "", &err), &err);
	CHECK_OK(put(h, "vol/key", S_IFREG | 0644, "one ", &err), &err);
	CHECK_LT(create_with_config(h, "c0", PLACE "elsewhere/vol", &err), 0, "elsewhere");
	CHECK(err.code == ERROR_INVALID_ARGUMENT && strstr(err.msg, PLACE "watchable"), "%s",
	      err.msg);
	CHECK_OK(create_with_config(h, "c1", PLACE "watchable/c1-vol", &err), &err);
	CHECK_OK(create_with_config(h, "c2", PLACE "watchable/c2-vol", &err), &err);
	CHECK(has_own_directory(h), "the mount points are in the share");
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		CHECK_OK(start(h, ids[i], &err), &err);
		CHECK_EQ(read_stream(h, false, ids[i], ids[i], out, sizeof(out), &err), 4, "%s",
			 err.msg);
	}
	CHECK_OK(put(h, "vol/key", S_IFREG | 0644, "two", &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		CHECK_OK(write_stdin(h, ids[i], ids[i], "\n", 1, &err), &err);
		CHECK(read_all(h, false, ids[i], ids[i], out, sizeof(out), &err) >= 0 &&
			      strcmp(out, "two") == 0,
		      "%s read \"%s\": %s", ids[i], out, err.msg);
		CHECK(read_all(h, true, ids[i], ids[i], out, sizeof(out), &err) >= 0 &&
			      strstr(out, "Read-only file system"),
		      "%s wrote: \"%s\" %s", ids[i], out, err.msg);
		CHECK_OK(remove_container(h, ids[i], &err), &err);
		CHECK_EQ(has_own_directory(h), i == 0, "with %zu of 2 left", 1 - i);
	}
	remove_copies(h);
}

/* The connection closes while its calls are pending. */
static void
abandoned(struct harness *h)
{
	Grpc__CopyFileRequest q = GRPC__COPY_FILE_REQUEST__INIT;
	auto_free uint8_t *data = calloc(1, PART);
	struct error err = ERROR_INIT;
	char path[64];

	q.path = path;
	q.file_mode = S_IFREG | 0600;
	q.file_size = q.data.len = PART;
	q.data.data = data;
	for (int round = 0; round < 5; round++) {
		struct ttrpc_client *client = ttrpc_client_dial(h->address, 5000, &err);

		CHECK(client, "%s", err.msg);
		for (int i = 0; client && i < 20; i++) {
			(void)snprintf(path, sizeof(path), PLACE "a/%d", i % 4);
			CHECK_GT(ttrpc_client_start(client, &grpc__agent_service__descriptor,
						    "CopyFile", &q.base, 0, NULL, NULL, &err),
				 0, "%s", err.msg);
			if (i == 10)
				(void)ttrpc_client_poll(client, 100, &err);
		}
		ttrpc_client_free(client);
	}
	CHECK_OK(put(h, "a/last", S_IFREG | 0600, "x", &err), &err);
	remove_copies(h);
}

static void
many_small(struct harness *h)
{
	unsigned int n = h->soak ? 10000 : 1000;
	struct counts before, after;
	struct error err = ERROR_INIT;
	char path[64];
	uint64_t start_ns;

	for (unsigned int i = 0; i < 200; i++)
		CHECK_OK(put(h, "m/first", S_IFREG | 0600, "x", &err), &err);
	harness_settle(h, &before);
	start_ns = monotonic_ns();
	for (unsigned int i = 0; i < n && !h->failures; i++) {
		(void)snprintf(path, sizeof(path), "m/%u/%u", i / 100, i);
		CHECK_OK(put(h, path, S_IFREG | 0600, "some text", &err), &err);
	}
	start_ns = monotonic_ns() - start_ns;
	harness_settle(h, &after);
	printf("# %u files, %llu us each; RSS %llu -> %llu KiB\n", n,
	       (unsigned long long)(start_ns / 1000 / n), (unsigned long long)before.rss_kib,
	       (unsigned long long)after.rss_kib);
	if (h->is_product)
		CHECK_LE(after.rss_kib, before.rss_kib + RSS_GROWTH_KIB, "RSS grew");
	remove_copies(h);
}

static void
volume_stats(struct harness *h)
{
	Grpc__VolumeStatsRequest q = GRPC__VOLUME_STATS_REQUEST__INIT;
	auto_close int root = guest_root(h);
	auto_close int run =
		path_try_open(root, "/run/kata-containers", O_PATH, 0, PATH_FOLLOW_NONE);
	const Grpc__VolumeStatsResponse *r;
	ProtobufCMessage *reply = NULL;
	struct error err = ERROR_INIT;
	struct statfs st;

	q.volume_guest_path = str("/run/kata-containers");
	CHECK_EQ(fstatfs(run, &st), 0, "statfs");
	CHECK_OK(call(h, "GetVolumeStats", &q, &reply, &err), &err);
	r = (const Grpc__VolumeStatsResponse *)reply;
	CHECK(r && r->n_usage == 2 && r->volume_condition, "an incomplete reply");
	if (r && r->n_usage == 2) {
		uint64_t total = (uint64_t)st.f_blocks * (uint64_t)st.f_bsize;

		CHECK_EQ(r->usage[0]->unit, GRPC__VOLUME_USAGE__UNIT__BYTES, "unit");
		CHECK_EQ(r->usage[0]->total, total, "%llu not %llu",
			 (unsigned long long)r->usage[0]->total, (unsigned long long)total);
		CHECK_LE(r->usage[0]->used + r->usage[0]->available, total, "more than all");
		CHECK_EQ(r->usage[1]->unit, GRPC__VOLUME_USAGE__UNIT__INODES, "unit");
		CHECK_EQ(r->usage[1]->total, st.f_files, "inodes");
		CHECK(!r->volume_condition->abnormal, "%s", r->volume_condition->message);
	}
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
	q.volume_guest_path = str("/no/such");
	CHECK_FAILS(call(h, "GetVolumeStats", &q, NULL, &err), &err, ERROR_NOT_FOUND, "", "%d %s",
		    err.code, err.msg);
	q.volume_guest_path = str("relative");
	CHECK_FAILS(call(h, "GetVolumeStats", &q, NULL, &err), &err, ERROR_INVALID_ARGUMENT, "",
		    "%d %s", err.code, err.msg);
}

static void
volume_errors(struct harness *h)
{
	static char *options[] = { (char *)"remount", (char *)"size=1M" };
	Grpc__UpdateEphemeralMountsRequest update = GRPC__UPDATE_EPHEMERAL_MOUNTS_REQUEST__INIT;
	Grpc__ResizeVolumeRequest resize = GRPC__RESIZE_VOLUME_REQUEST__INIT;
	Grpc__AddSwapPathRequest path = GRPC__ADD_SWAP_PATH_REQUEST__INIT;
	Grpc__AddSwapRequest swap = GRPC__ADD_SWAP_REQUEST__INIT;
	Grpc__RemoveStaleVirtiofsShareMountsRequest stale =
		GRPC__REMOVE_STALE_VIRTIOFS_SHARE_MOUNTS_REQUEST__INIT;
	Grpc__Storage storage = GRPC__STORAGE__INIT, *storages[] = { &storage };
	struct error err = ERROR_INIT;
	uint32_t slot = 32;

	CHECK_OK(call(h, "RemoveStaleVirtiofsShareMounts", &stale, NULL, &err), &err);
	CHECK_OK(call(h, "UpdateEphemeralMounts", &update, NULL, &err), &err);
	storage.driver = str("ephemeral");
	storage.fstype = str("tmpfs");
	storage.mount_point = str("/proc");
	storage.options = options;
	storage.n_options = 2;
	update.storages = storages;
	update.n_storages = 1;
	CHECK_FAILS(call(h, "UpdateEphemeralMounts", &update, NULL, &err), &err,
		    ERROR_FAILED_PRECONDITION, "/proc", "%d %s", err.code, err.msg);
	storage.driver = str("local");
	CHECK_FAILS(call(h, "UpdateEphemeralMounts", &update, NULL, &err), &err,
		    ERROR_INVALID_ARGUMENT, "", "%d %s", err.code, err.msg);
	resize.volume_guest_path = str("/run/kata-containers");
	CHECK_FAILS(call(h, "ResizeVolume", &resize, NULL, &err), &err, ERROR_FAILED_PRECONDITION,
		    "/run/kata-containers", "%d %s", err.code, err.msg);
	CHECK_FAILS(call(h, "AddSwap", &swap, NULL, &err), &err, ERROR_INVALID_ARGUMENT, "",
		    "%d %s", err.code, err.msg);
	swap.pcipath = &slot;
	swap.n_pcipath = 1;
	CHECK_FAILS(call(h, "AddSwap", &swap, NULL, &err), &err, ERROR_INVALID_ARGUMENT, "",
		    "%d %s", err.code, err.msg);
	path.path = str("/etc/passwd");
	CHECK_FAILS(call(h, "AddSwapPath", &path, NULL, &err), &err, ERROR_FAILED_PRECONDITION,
		    "mkswap", "%d %s", err.code, err.msg);
	path.path = str("/etc");
	CHECK_FAILS(call(h, "AddSwapPath", &path, NULL, &err), &err, ERROR_INVALID_ARGUMENT, "",
		    "%d %s", err.code, err.msg);
}

const struct test tests_files[] = {
	{ "CopyFile: in parts, and in a single message", parts },
	{ "CopyFile: a config map, twice", config_map },
	{ "CopyFile: paths outside the shared directory are refused", refused },
	{ "CopyFile: a mode without a file type means a regular file", mode_without_type },
	{ "CopyFile: a connection closed halfway", abandoned },
	{ "CopyFile: many small files without growth of memory", many_small },
	{ "watchable-bind: containers see the changes of the host", watchable },
	{ "GetVolumeStats", volume_stats },
	{ "volumes: invalid requests", volume_errors },
};
const size_t n_tests_files = ARRAY_LEN(tests_files);
