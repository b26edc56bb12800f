/* SPDX-License-Identifier: Apache-2.0 */
/* A full /run: calls that need space fail with a clear error and leave nothing, all others
 * succeed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/rpc/harness.h"

#define FILLER "/run/filler"
#define SHARED "/run/kata-containers/shared"
#define TARGET SHARED "/containers/full/file"

/* /run is mounted by the suite in the agent's mount namespace. */
static void
remount(const char *options)
{
	CHECK_EQ(mount("tmpfs", "/run", NULL, MS_REMOUNT, options), 0, "%s: %s", options,
		 strerror(errno));
}

static struct statfs
look(void)
{
	struct statfs st = { 0 };

	CHECK_EQ(statfs("/run", &st), 0, "%s", strerror(errno));
	return st;
}

static void
take_inodes(void)
{
	struct statfs st = look();
	char options[64];

	(void)snprintf(options, sizeof(options), "nr_inodes=%llu",
		       (unsigned long long)(st.f_files - st.f_ffree));
	remount(options);
	CHECK(mkdir("/run/one-more", 0700) < 0 && errno == ENOSPC, "there is room");
}

static void
take_blocks(void)
{
	struct statfs st = look();
	static const char block[4096];
	char options[64];
	auto_close int fd = open(FILLER, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	(void)snprintf(options, sizeof(options), "size=%llu",
		       (unsigned long long)((st.f_blocks - st.f_bfree) + 16) *
			       (unsigned long long)st.f_bsize);
	remount(options);
	CHECK_GE(fd, 0, "%s", strerror(errno));
	while (write(fd, block, sizeof(block)) > 0)
		continue;
	CHECK_EQ(errno, ENOSPC, "%s", strerror(errno));
}

static void
give_back(void)
{
	(void)unlink(FILLER);
	(void)rmdir("/run/one-more");
	remount("size=50%,nr_inodes=1000000");
}

static void
expect_full(int result, const struct error *err, const char *what)
{
	CHECK_LT(result, 0, "%s succeeds", what);
	CHECK_EQ(err->code, ERROR_RESOURCE_EXHAUSTED, "%s: code %d: %s", what, err->code, err->msg);
	CHECK_HAS(err->msg, "No space left on device", "%s: %s", what, err->msg);
}

static int
copy(struct harness *h, struct error *err)
{
	static uint8_t data[64 << 10];
	Grpc__CopyFileRequest q = GRPC__COPY_FILE_REQUEST__INIT;

	q.path = (char *)(uintptr_t)TARGET;
	q.file_mode = S_IFREG | 0600;
	q.dir_mode = 0755;
	q.uid = q.gid = -1;
	q.file_size = sizeof(data);
	q.data.data = data;
	q.data.len = sizeof(data);
	*err = ERROR_INIT;
	return call(h, "CopyFile", &q, NULL, err);
}

static int
create_with_storage(struct harness *h, struct error *err)
{
	struct arena arena;
	Grpc__CreateContainerRequest *q;
	Grpc__Storage s = GRPC__STORAGE__INIT;
	Grpc__Storage *list[] = { &s };
	int r;

	arena_init(&arena, 1u << 20);
	q = make_create(h, &arena, "volume", ARGS("/bin/true"), false);
	s.driver = s.fstype = s.source = (char *)(uintptr_t) "tmpfs";
	s.driver = (char *)(uintptr_t) "ephemeral";
	s.mount_point = (char *)(uintptr_t) "/run/kata-containers/sandbox/ephemeral/full";
	q->storages = list;
	q->n_storages = 1;
	*err = ERROR_INIT;
	r = call(h, "CreateContainer", q, NULL, err);
	arena_release(&arena);
	return r;
}

/* An existing container keeps working and can be removed. */
static void
check_life(struct harness *h, const char *id)
{
	char out[64] = "";
	struct error err = ERROR_INIT;

	CHECK_OK(check_health(h->client, &err), &err);
	CHECK_OK(exec(h, id, "look", SH("echo here"), false, &err), &err);
	CHECK_OK(wait_process(h, id, "look", &err), &err);
	CHECK_GT(read_all(h, false, id, "look", out, sizeof(out), &err), 0, "%s", err.msg);
	CHECK_STR(out, "here\n");
	CHECK_OK(kill_process(h, id, "", 9, &err), &err);
	CHECK_EQ(wait_process(h, id, "", &err), 137, "%s", err.msg);
	CHECK_OK(remove_container(h, id, &err), &err);
}

static void
no_inodes(struct harness *h)
{
	char out[64] = "";
	struct error err = ERROR_INIT;

	CHECK_OK(create_start(h, "stays", ARGS("/bin/sleep", "1000"), &err), &err);
	take_inodes();
	expect_full(create(h, "full", ARGS("/bin/true"), &err), &err, "CreateContainer");
	expect_full(create_with_storage(h, &err), &err, "CreateContainer with a storage");
	expect_full(copy(h, &err), &err, "CopyFile");
	err = ERROR_INIT;
	check_life(h, "stays");
	give_back();
	CHECK_OK(run_container(h, "full", SH("echo room"), out, sizeof(out), &err), &err);
	CHECK_STR(out, "room\n");
}

static void
no_blocks(struct harness *h)
{
	char out[64] = "";
	struct error err = ERROR_INIT;

	CHECK_OK(create_start(h, "stays", ARGS("/bin/sleep", "1000"), &err), &err);
	take_blocks();
	expect_full(copy(h, &err), &err, "CopyFile");
	/* Nothing of the copy exists except the directory of all copies. */
	CHECK(rmdir(SHARED "/containers") == 0 && rmdir(SHARED) == 0, "%s", strerror(errno));
	/* A container needs directories, but no data. */
	err = ERROR_INIT;
	CHECK_OK(run_container(h, "fits", SH("echo fits"), out, sizeof(out), &err), &err);
	check_life(h, "stays");
	give_back();
}

const struct test tests_full[] = {
	{ "a full /run: no inodes left", no_inodes },
	{ "a full /run: no space left", no_blocks },
};
const size_t n_tests_full = ARRAY_LEN(tests_full);
