/* SPDX-License-Identifier: Apache-2.0 */
/* Overlays of directories and of other storages. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "tests/unit/agent/storage/bench.h"

#define RUN_LOWER "/run/kata-containers/"

static void
put_text(const struct bench *b, const char *name, const char *text)
{
	auto_close int fd = open(at(b, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static bool
has_text(const struct bench *b, const char *name, const char *text)
{
	char got[64] = "";

	return read_text_at(AT_FDCWD, at(b, name), got, sizeof(got)) >= 0 && strcmp(got, text) == 0;
}

/* Storages "a" and "b" in memory, each with a file of its own and one that both have. */
static void
mount_layers(struct bench *b)
{
	const struct storage_spec s[] = { memory(b, "a"), memory(b, "b") };

	CHECK(acquire(b, "layers", s, 2).code == ERROR_OK);
	put_text(b, "a/only-a", "a");
	put_text(b, "a/both", "from a");
	put_text(b, "b/only-b", "b");
	put_text(b, "b/both", "from b");
}

static struct storage_spec
overlay(const struct bench *b, const char *const *options, size_t n)
{
	struct storage_spec s = memory(b, "merged");

	s.driver = "overlayfs";
	s.source = "none";
	s.fstype = "overlay";
	s.options = options;
	s.n_options = n;
	return s;
}

AGENT_TEST(storage_overlayfs, stacks_layers_in_the_order_of_the_list)
{
	char lower[300];
	const char *options[] = { lower, "ro" };
	struct storage_spec s = overlay(b, options, 2);

	mount_layers(b);
	(void)snprintf(lower, sizeof(lower), "lowerdir=%s:%s", at(b, "a"), at(b, "b"));
	CHECK(acquire(b, "c", &s, 1).code == ERROR_OK);
	CHECK(has_text(b, "merged/only-a", "a") && has_text(b, "merged/only-b", "b"));
	CHECK(has_text(b, "merged/both", "from a"));
	CHECK(mkdir(at(b, "merged/new"), 0755) < 0 && errno == EROFS);
	CHECK(release(b, "c").code == ERROR_OK);
	CHECK(!exists(b, "merged"));
	CHECK(release(b, "").code == ERROR_OK);
}

AGENT_TEST(storage_overlayfs, writes_go_to_created_upperdir)
{
	char lower[300], upper[150], work[150], make_upper[200], make_work[200];
	/* As the Go runtime sends it, but all options in one. */
	char joined[640];
	const char *options[] = { joined };
	const char *driver_options[] = { make_upper, make_work };
	const struct storage_spec disk = memory(b, "disk");
	struct storage_spec s = overlay(b, options, 1);

	mount_layers(b);
	CHECK(acquire(b, "layers", &disk, 1).code == ERROR_OK);
	(void)snprintf(lower, sizeof(lower), "lowerdir=%s:%s", at(b, "a"), at(b, "b"));
	(void)snprintf(upper, sizeof(upper), "upperdir=%s", at(b, "disk/1/fs"));
	(void)snprintf(work, sizeof(work), "workdir=%s", at(b, "disk/1/work"));
	(void)snprintf(joined, sizeof(joined), "%s,%s,index=off,%s,nosuid", work, upper, lower);
	(void)snprintf(make_upper, sizeof(make_upper),
		       "io.katacontainers.volume.overlayfs.create_directory=%s",
		       at(b, "disk/1/fs"));
	(void)snprintf(make_work, sizeof(make_work),
		       "io.katacontainers.volume.overlayfs.create_directory=%s",
		       at(b, "disk/1/work"));
	s.driver_options = driver_options;
	s.n_driver_options = 2;
	CHECK(acquire(b, "c", &s, 1).code == ERROR_OK);
	put_text(b, "merged/both", "written");
	CHECK(unlink(at(b, "merged/only-b")) == 0);
	CHECK(has_text(b, "disk/1/fs/both", "written") && has_text(b, "a/both", "from a"));
	CHECK(release(b, "c").code == ERROR_OK);
	/* They are on a volume: what was written stays there. */
	CHECK(has_text(b, "disk/1/fs/both", "written") && has_text(b, "b/only-b", "b"));
	CHECK(release(b, "").code == ERROR_OK);
}

AGENT_TEST(storage_overlayfs, upper_layer_in_guest_memory_is_removed)
{
	char lower[300];
	const char *options[] = { lower, "io.katacontainers.fs-opt.overlay-rw" };
	struct storage_spec s = overlay(b, options, 2);

	mount_layers(b);
	(void)snprintf(lower, sizeof(lower), "lowerdir=%s", at(b, "a"));
	CHECK(acquire(b, "c", &s, 1).code == ERROR_OK);
	put_text(b, "merged/new", "written");
	/* RUN_DIR of the agent is b->dir here. */
	CHECK(has_text(b, "c/upper/new", "written"));
	CHECK(release(b, "c").code == ERROR_OK);
	CHECK(!exists(b, "c/upper") && !exists(b, "c/work"));
	CHECK(rmdir(at(b, "c")) == 0);
	CHECK(release(b, "").code == ERROR_OK);
}

AGENT_TEST(storage_overlayfs, created_directories_in_guest_memory_are_removed)
{
	char lower[300];
	const char *options[] = { lower, "upperdir=" RUN_LOWER "up/x/fs",
				  "workdir=" RUN_LOWER "up/x/work" };
	const char *driver_options[] = {
		"io.katacontainers.volume.overlayfs.create_directory=" RUN_LOWER "up/x/fs",
		"io.katacontainers.volume.overlayfs.create_directory=" RUN_LOWER "up/x/work",
	};
	struct storage_spec s = overlay(b, options, 3);

	mount_layers(b);
	(void)snprintf(lower, sizeof(lower), "lowerdir=%s", at(b, "a"));
	s.driver_options = driver_options;
	s.n_driver_options = 2;
	CHECK(acquire(b, "c", &s, 1).code == ERROR_OK);
	put_text(b, "merged/new", "written");
	CHECK(has_text(b, "up/x/fs/new", "written"));
	CHECK(release(b, "c").code == ERROR_OK);
	CHECK(!exists(b, "up/x") && rmdir(at(b, "up")) == 0);
	CHECK(release(b, "").code == ERROR_OK);
}

AGENT_TEST(storage_overlayfs, escaped_names_are_one_layer)
{
	char lower[400];
	const char *options[] = { lower };
	struct storage_spec s = overlay(b, options, 1);
	const struct storage_spec layers[] = { memory(b, "x:y,z\\"), memory(b, "b") };

	CHECK(acquire(b, "layers", layers, 2).code == ERROR_OK);
	put_text(b, "x:y,z\\/only-x", "x");
	(void)snprintf(lower, sizeof(lower), "lowerdir=%s/x\\:y\\,z\\\\:%s", b->dir, at(b, "b"));
	CHECK(acquire(b, "c", &s, 1).code == ERROR_OK);
	CHECK(has_text(b, "merged/only-x", "x"));
	CHECK(release(b, "c").code == ERROR_OK);
	CHECK(release(b, "").code == ERROR_OK);
}

/* A container can make links on a volume. */
AGENT_TEST(storage_overlayfs, link_on_a_volume_is_no_layer)
{
	char lower[300];
	const char *options[] = { lower };
	struct storage_spec s = overlay(b, options, 1);
	struct error err;

	mount_layers(b);
	CHECK(symlink("/etc", at(b, "a/link")) == 0);
	(void)snprintf(lower, sizeof(lower), "lowerdir=%s:%s", at(b, "a/link"), at(b, "b"));
	err = acquire(b, "c", &s, 1);
	CHECK(err.code != ERROR_OK && strstr(err.msg, "a/link"));
	CHECK(!exists(b, "merged"));
	CHECK(release(b, "").code == ERROR_OK);
}

AGENT_TEST(storage_overlayfs, failure_removes_created_directories)
{
	char lower[300], upper[150], work[150], make_upper[200];
	const char *options[] = { lower, upper, work };
	const char *driver_options[] = { make_upper };
	struct storage_spec s = overlay(b, options, 3);

	mount_layers(b);
	(void)snprintf(lower, sizeof(lower), "lowerdir=%s", at(b, "b"));
	(void)snprintf(upper, sizeof(upper), "upperdir=%s", at(b, "a/1/2"));
	(void)snprintf(work, sizeof(work), "workdir=%s", at(b, "a/missing"));
	(void)snprintf(make_upper, sizeof(make_upper),
		       "io.katacontainers.volume.overlayfs.create_directory=%s", at(b, "a/1/2"));
	s.driver_options = driver_options;
	s.n_driver_options = 1;
	CHECK(acquire(b, "c", &s, 1).code != ERROR_OK);
	CHECK(!exists(b, "a/1") && !exists(b, "merged"));
	CHECK(release(b, "").code == ERROR_OK);
}

/* The list is over twice as long as what mount(2) takes. */
AGENT_TEST(storage_overlayfs, long_names_of_many_layers)
{
	enum { LAYERS = 150 };
	static char lower[LAYERS * 200];
	const char *options[] = { lower };
	struct storage_spec s = overlay(b, options, 1);
	const struct storage_spec disk = memory(b, "disk");
	size_t used = (size_t)sprintf(lower, "lowerdir=");

	CHECK(acquire(b, "layers", &disk, 1).code == ERROR_OK);
	for (int i = 0; i < LAYERS; i++) {
		char name[100];

		(void)snprintf(name, sizeof(name), "disk/a-layer-with-quite-a-long-name-of-%030d",
			       i);
		CHECK(mkdir(at(b, name), 0755) == 0);
		used += (size_t)sprintf(lower + used, "%s%s", i ? ":" : "", at(b, name));
	}
	put_text(b, "disk/a-layer-with-quite-a-long-name-of-000000000000000000000000000149/x",
		 "149");
	CHECK(used > 2 * 4096);
	CHECK(acquire(b, "c", &s, 1).code == ERROR_OK);
	CHECK(has_text(b, "merged/x", "149"));
	CHECK(release(b, "c").code == ERROR_OK);
	CHECK(release(b, "").code == ERROR_OK);
}

AGENT_TEST(storage_overlayfs, layers_are_unmounted_after_the_overlay)
{
	char lower[300];
	const char *options[] = { lower };
	struct storage_spec s = overlay(b, options, 1);
	struct error err = ERROR_INIT;
	struct result r = { 0 };
	int busy;

	mount_layers(b);
	(void)snprintf(lower, sizeof(lower), "lowerdir=%s:%s", at(b, "a"), at(b, "b"));
	CHECK(acquire(b, "c", &s, 1).code == ERROR_OK);
	/* The unmount is retried for a while, then the mount is detached. */
	busy = open(at(b, "merged"), O_RDONLY | O_CLOEXEC);
	CHECK(busy >= 0);
	CHECK(storages_release_owner(b->t, "", on_done, &r, &err) == 0);
	while (!r.ended) {
		CHECK(loop_run_once(b->loop, 5, &err) == 0);
		bool has_layers = mounts_at(b, "a") == 1 && mounts_at(b, "b") == 1;

		/* Layers first: the overlay may end in between. */
		CHECK(has_layers || mounts_at(b, "merged") == 0);
	}
	CHECK(r.err.code == ERROR_OK);
	CHECK(close(busy) == 0);
}
