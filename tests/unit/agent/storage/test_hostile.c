/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storages on paths of a volume in which a container exchanges directories for symbolic links out
 * of it, all the time: nothing outside changes, whichever driver mounts, and none of it is copied
 * into the volume. The drivers and the unmount are called directly, without an agent, so that
 * `make soak` makes a million attempts.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/job/worker.h"
#include "agent/storage/driver.h"
#include "agent/storage/mirror.h"
#include "agent/storage/mount_point.h"
#include "agent/storage/storage.h"
#include "agent/storage/unmount.h"
#include "agent/storage/watchable.h"
#include "lib/cleanup.h"
#include "lib/mountinfo.h"
#include "lib/path.h"
#include "lib/sys.h"
#include "tests/support/check.h"
#include "tests/support/orphan.h"
#include "tests/support/soak.h"

#define ROUNDS      6000
#define ROUNDS_SOAK 1000000
/* Attempts between two looks at the canaries. */
#define LOOK_EVERY 2000

#define OWNER "c1"
/* Below the agent's directory no link is followed; elsewhere, those of the guest's root are. */
#define INSIDE  "/run/kata-containers/volume"
#define OUTSIDE "/mnt/volume"

/* ---- the worker that the drivers see: it records what the agent would keep ---- */

static struct {
	struct storage_point point;
	struct storage_place place;
	int32_t id;
	bool has_copy;
	/* The journal, from which the agent undoes a mount that failed. */
	struct step steps[128];
	size_t n_steps;
} kept;

int
worker_announce(struct worker *w, const struct undo *undo, struct error *err)
{
	struct step *step = &kept.steps[kept.n_steps++];

	(void)w;
	(void)err;
	REQUIRE_LE(kept.n_steps, ARRAY_LEN(kept.steps));
	*step = (struct step){
		.kind = undo->kind,
		.id = undo->id,
		.fd = fcntl(undo->fd, F_DUPFD_CLOEXEC, 0),
		.name = strdup(undo->name ? undo->name : ""),
	};
	REQUIRE(step->fd >= 0 && step->name);
	return (int)kept.n_steps - 1;
}

int
worker_settle(struct worker *w, struct error *err)
{
	(void)w;
	(void)err;
	return 0;
}

int
worker_step(struct worker *w, const struct undo *undo, struct error *err)
{
	return worker_announce(w, undo, err) < 0 ? -1 : 0;
}

int
worker_taken(struct worker *w, const struct stat *made, struct error *err)
{
	return worker_step_taken(w, (int)kept.n_steps - 1, made, err);
}

int
worker_step_taken(struct worker *w, int n, const struct stat *made, struct error *err)
{
	struct step *step = &kept.steps[n];

	(void)w;
	(void)err;
	step->result = made ? STEP_TAKEN : STEP_NOT_TAKEN;
	if (made) {
		step->dev = made->st_dev;
		step->ino = made->st_ino;
	}
	return 0;
}

int
worker_send(struct worker *w, uint32_t type, const void *payload, size_t size, const int *fds,
	    size_t n_fds, bool wait, struct error *err)
{
	(void)w;
	(void)wait;
	(void)err;
	/* The unmount's messages have no payload. */
	if (!payload)
		return 0;
	switch (type) {
	case STORAGE_MSG_POINT:
		memcpy(&kept.point, payload, size);
		break;
	case STORAGE_MSG_MOUNTED:
		REQUIRE_EQ(n_fds, 2);
		memcpy(&kept.id, payload, sizeof(kept.id));
		kept.place.fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
		kept.place.parent = fcntl(fds[1], F_DUPFD_CLOEXEC, 0);
		break;
	case STORAGE_MSG_COPIED:
		kept.has_copy = true;
		break;
	default:
		break;
	}
	return 0;
}

int
worker_report(struct worker *w, uint32_t type, const void *payload, size_t size, const int *fds,
	      size_t n_fds, struct error *err)
{
	return worker_send(w, type, payload, size, fds, n_fds, false, err);
}

int
worker_output(struct worker *w, const void *data, size_t size, struct error *err)
{
	(void)w;
	(void)data;
	(void)size;
	(void)err;
	return 0;
}

int
worker_fd(const struct worker *w)
{
	(void)w;
	return -1;
}

int
worker_process(struct worker *w, pid_t pid, int pidfd, struct error *err)
{
	(void)w;
	(void)pid;
	(void)pidfd;
	return error_set(err, ERROR_INTERNAL, "no processes here");
}

void
worker_log(struct worker *w, enum log_level level, const char *fmt, ...)
{
	(void)w;
	(void)level;
	(void)fmt;
}

void
worker_event(struct worker *w, enum log_level level, const char *event,
	     const struct log_field *fields, size_t n_fields, const char *fmt, ...)
{
	(void)w;
	(void)level;
	(void)event;
	(void)fields;
	(void)n_fields;
	(void)fmt;
}

/* ---- the volume, and what is outside ---- */

static struct roots roots;

static void
put(const char *path, const char *text, mode_t mode)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	REQUIRE_GE(fd, 0, "%s", path);
	REQUIRE_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	REQUIRE_EQ(fchmod(fd, mode), 0);
}

static void
make(const char *path)
{
	REQUIRE_EQ(mkdir(path, 0755), 0, "%s", path);
}

/* A tree in which everything has the names that the volume has. */
static void
make_canary(const char *top)
{
	static const char *const directories[] = { "",       "/new",  "/new/v", "/v",
						   "/upper", "/work", "/d" };
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(directories); i++) {
		(void)snprintf(path, sizeof(path), "%s%s", top, directories[i]);
		make(path);
		(void)snprintf(path, sizeof(path), "%s%s/f", top, directories[i]);
		put(path, "canary", 0640);
	}
}

static void
make_volume(const char *top, const char *canary)
{
	char path[128], target[128];

	REQUIRE_EQ(mount("volume", top, "tmpfs", 0, "mode=755"), 0);
	(void)snprintf(path, sizeof(path), "%s/a", top);
	make(path);
	(void)snprintf(path, sizeof(path), "%s/a/f", top);
	put(path, "volume", 0600);
	(void)snprintf(path, sizeof(path), "%s/a/work", top);
	make(path);
	(void)snprintf(path, sizeof(path), "%s/a/d", top);
	make(path);
	(void)snprintf(path, sizeof(path), "%s/a/d/f", top);
	put(path, "volume", 0600);
	/* The links for which names in the volume are exchanged. */
	(void)snprintf(path, sizeof(path), "%s/a-link", top);
	REQUIRE_EQ(symlink(canary, path), 0);
	(void)snprintf(path, sizeof(path), "%s/a/d-link", top);
	(void)snprintf(target, sizeof(target), "../../../%s", canary);
	REQUIRE_EQ(symlink(target, path), 0);
	(void)snprintf(path, sizeof(path), "%s/a/f-link", top);
	(void)snprintf(target, sizeof(target), "%s/f", canary);
	REQUIRE_EQ(symlink(target, path), 0);
}

/* Everything that a change outside would alter, in one number: content, owners, modes, times. */
static uint64_t
mix(uint64_t hash, const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n-- > 0)
		hash = (hash ^ *p++) * 0x100000001b3u;
	return hash;
}

static uint64_t
hash_tree(const char *top, uint64_t hash)
{
	static const char *const names[] = { "",         "/f",      "/new", "/new/f", "/new/v",
					     "/new/v/f", "/v",      "/v/f", "/upper", "/upper/f",
					     "/work",    "/work/f", "/d",   "/d/f" };
	char path[160];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct stat st;
		char text[64] = "";
		auto_close int fd = -1;

		(void)snprintf(path, sizeof(path), "%s%s", top, names[i]);
		REQUIRE_EQ(lstat(path, &st), 0, "%s", path);
		hash = mix(hash, &st.st_mode, sizeof(st.st_mode));
		hash = mix(hash, &st.st_uid, sizeof(st.st_uid));
		hash = mix(hash, &st.st_gid, sizeof(st.st_gid));
		hash = mix(hash, &st.st_nlink, sizeof(st.st_nlink));
		hash = mix(hash, &st.st_size, sizeof(st.st_size));
		hash = mix(hash, &st.st_dev, sizeof(st.st_dev));
		hash = mix(hash, &st.st_mtim, sizeof(st.st_mtim));
		hash = mix(hash, &st.st_ctim, sizeof(st.st_ctim));
		if (!S_ISREG(st.st_mode))
			continue;
		fd = open(path, O_RDONLY | O_CLOEXEC);
		REQUIRE_GE(fd, 0);
		REQUIRE_GE(read(fd, text, sizeof(text)), 0);
		hash = mix(hash, text, sizeof(text));
	}
	return hash;
}

static uint64_t
hash_canaries(void)
{
	return hash_tree("/mnt/canary", hash_tree("/run/canary", 0xcbf29ce484222325u));
}

static int
count_mounts(void)
{
	struct error err = ERROR_INIT;
	auto_free char *text = mountinfo_read(AT_FDCWD, "/proc/self/mountinfo", &err);
	int n = 0;

	REQUIRE(text);
	for (const char *p = text; (p = strchr(p, '\n')); p++)
		n++;
	return n;
}

static void
set_up(void)
{
	REQUIRE_EQ(unshare(CLONE_NEWNS), 0);
	REQUIRE_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	REQUIRE_EQ(mount("run", "/run", "tmpfs", 0, "mode=755"), 0);
	REQUIRE_EQ(mount("mnt", "/mnt", "tmpfs", 0, "mode=755"), 0);
	make("/run/kata-containers");
	make("/run/kata-containers/" OWNER);
	make(INSIDE);
	make(OUTSIDE);
	make("/run/point");
	make("/run/lower");
	make_canary("/run/canary");
	make_canary("/mnt/canary");
	make_volume(INSIDE, "/run/canary");
	make_volume(OUTSIDE, "/mnt/canary");
	roots = (struct roots){ .proc = open("/proc", O_PATH | O_CLOEXEC),
				.sys = open("/sys", O_PATH | O_CLOEXEC),
				.dev = open("/dev", O_PATH | O_CLOEXEC),
				.cgroup = -1,
				.run = open("/run/kata-containers", O_PATH | O_CLOEXEC),
				.root = open("/", O_PATH | O_CLOEXEC) };
	kept.place = STORAGE_PLACE_NONE;
}

/* ---- the attacker ---- */

static pid_t
start_exchanging(const char *volume)
{
	static const char *const inner[][2] = { { "d", "d-link" }, { "f", "f-link" } };
	char path[128];
	pid_t test = getpid(), pid;
	int top = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC), dir;

	/* By descriptor, so that the attacker does not follow its own links. */
	(void)snprintf(path, sizeof(path), "%s/a", volume);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(top >= 0 && dir >= 0);
	pid = fork();
	REQUIRE_GE(pid, 0);
	if (pid == 0) {
		die_with_parent(test);
		for (unsigned int i = 0;; i++) {
			(void)sys_renameat2(top, "a", top, "a-link", SYS_RENAME_EXCHANGE);
			(void)sys_renameat2(dir, inner[i % 2][0], dir, inner[i % 2][1],
					    SYS_RENAME_EXCHANGE);
		}
	}
	REQUIRE_EQ(close(top), 0);
	REQUIRE_EQ(close(dir), 0);
	return pid;
}

/* ---- the attempts ---- */

/* A storage whose paths begin with the volume's ("%s"). */
struct attempt {
	const char *driver, *source, *fstype, *mount_point, *option, *driver_option;
	/* One attempt in so many rounds: a mount takes as long as a hundred directories. */
	unsigned int one_in;
	bool has_group;
};

static const struct attempt attempts[] = {
	{ "local", "local", "", "%s/a/new/v", "mode=0777", "", 1, false },
	{ "local", "local", "", "%s/a/d", "fsgid=77", "", 1, false },
	{ "local", "local", "", "%s/a/d/new", "mode=0777", "", 1, false },
	{ "local", "local", "", "%s/a", "mode=0777", "", 1, false },
	{ "ephemeral", "tmpfs", "tmpfs", "%s/a/new/v", "fsgid=77", "", 20, false },
	{ "ephemeral", "tmpfs", "tmpfs", "%s/a/d", "fsgid=77", "", 20, false },
	{ "bind", "%s/a", "bind", "/run/point/v", "rbind", "", 20, true },
	{ "bind", "%s/a/f", "bind", "/run/point/f", "rbind", "", 20, true },
	{ "bind", "%s/a/d", "bind", "%s/a/new", "rbind", "", 20, true },
	/* Only the change of the group. */
	{ "group", "%s", "bind", "/run/point/v", "rbind", "", 1, true },
	{ "overlayfs", "overlay", "overlay", "/run/point/v", "lowerdir=%s/a:/run/lower", "", 20,
	  false },
	{ "overlayfs", "overlay", "overlay", "%s/a/v", "lowerdir=%s/a/d:/run/lower",
	  OVERLAY_CREATE_OPTION "%s/a/upper", 20, false },
	{ "overlayfs", "overlay", "overlay", "/run/point/v",
	  "lowerdir=/run/lower,upperdir=%s/a/upper,workdir=%s/a/work",
	  OVERLAY_CREATE_OPTION "%s/a/upper", 20, true },
	{ "copy", "%s/a", "bind", "/run/point/v", "rbind", "", 20, false },
	{ "copy", "%s/a/d", "bind", "/run/point/v", "rbind", "", 20, false },
	/* Not reached through the race: a node or a tag of that name. */
	{ "9p", "%s/a/f", "9p", "%s/a/v", "trans=fd", "", 100, false },
	{ "virtio-fs", "%s/a/f", "virtiofs", "%s/a/v", "", "", 100, false },
};

static char *
expand(const char *text, const char *volume)
{
	static char texts[8][300];
	static unsigned int next;
	char *to = texts[next++ % ARRAY_LEN(texts)];

	(void)snprintf(to, sizeof(texts[0]), text, volume, volume);
	return to;
}

/* Empties the journal, after a failed attempt by undoing it. */
static void
end_steps(bool undo)
{
	while (kept.n_steps > 0) {
		struct step *step = &kept.steps[--kept.n_steps];
		struct error err = ERROR_INIT;

		if (undo)
			REQUIRE_OK(step->kind->undo(step, &err), &err);
		close_fd(&step->fd);
		free(step->name);
	}
}

/* The copy of a volume has nothing from outside. */
static void
check_copy(void)
{
	static const char *const names[] = { "f", "d/f", "d-link/f", "f-link" };
	auto_close int data =
		openat(kept.place.fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	REQUIRE_GE(data, 0);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char text[16] = "";
		auto_close int fd =
			path_try_open(data, names[i], O_RDONLY | O_NOFOLLOW, 0, PATH_FOLLOW_NONE);

		if (fd < 0)
			continue;
		REQUIRE_GE(read(fd, text, sizeof(text) - 1), 0);
		REQUIRE_STR(text, "volume", "%s of a copy", names[i]);
	}
}

/* Makes one attempt. Returns 0, or -1 and err. */
static int
attempt_once(const struct attempt *a, const char *volume, struct error *err)
{
	const char *option = expand(a->option, volume);
	const char *driver_option = expand(a->driver_option, volume);
	const struct storage_spec wanted = {
		.driver = strcmp(a->driver, "copy") == 0 || strcmp(a->driver, "group") == 0
				  ? "bind"
				  : a->driver,
		.source = expand(a->source, volume),
		.fstype = a->fstype,
		.mount_point = expand(a->mount_point, volume),
		.options = &option,
		.n_options = *option ? 1 : 0,
		.driver_options = &driver_option,
		.n_driver_options = *driver_option ? 1 : 0,
		.has_fs_group = a->has_group,
		.fs_group_id = 77,
		.fs_group_policy = FS_GROUP_ALWAYS,
	};
	auto_free struct storage_spec *spec = storage_spec_copy(&wanted);
	const struct storage_driver *driver = storage_driver_find(wanted.driver);
	const struct storage_mount m = { .spec = spec, .roots = &roots, .owner = OWNER };
	bool is_copy = strcmp(a->driver, "copy") == 0;
	int r;

	REQUIRE(spec && driver);
	if (strcmp(a->driver, "group") == 0) {
		auto_close int fd = open(spec->source, O_PATH | O_DIRECTORY | O_CLOEXEC);

		REQUIRE_GE(fd, 0);
		return storage_apply_fs_group(&m, fd, err);
	}
	REQUIRE_OK(storage_spec_check(spec, err), err);
	r = is_copy ? watchable_mount_copy(NULL, &m, err) : driver->mount(NULL, &m, err);
	if (r == 0) {
		struct error failed = ERROR_INIT;
		struct unmount u = {
			.driver = driver,
			.mount = &m,
			.path = kept.point.path,
			.place = kept.place,
			.id = kept.id,
			.has_copy = kept.has_copy,
			.made = kept.point.made,
		};

		if (kept.has_copy)
			check_copy();
		memcpy(u.files, kept.point.files, sizeof(u.files));
		REQUIRE_OK(storage_unmount_work(NULL, &u, &failed), &failed);
	}
	end_steps(r < 0);
	storage_place_release(&kept.place);
	kept.id = 0;
	kept.has_copy = false;
	kept.point.made = 0;
	return r;
}

/* Results of all attempts of one kind. */
struct tally {
	unsigned int mounted, met;
};

/* Without both outcomes there was no race. */
static void
check_met(const struct tally *tallies)
{
	static const char *const drivers[] = { "local", "ephemeral", "bind", "overlayfs", "copy" };

	for (size_t i = 0; i < ARRAY_LEN(drivers); i++) {
		struct tally sum = { 0 };

		for (size_t k = 0; k < ARRAY_LEN(attempts); k++) {
			if (strcmp(attempts[k].driver, drivers[i]) != 0)
				continue;
			sum.mounted += tallies[k].mounted;
			sum.met += tallies[k].met;
		}
		CHECK(sum.mounted > 0 && sum.met > 0, "%s: %u mounted, %u met a link", drivers[i],
		      sum.mounted, sum.met);
	}
}

static void
race(void)
{
	static const char *const volumes[] = { INSIDE, OUTSIDE };
	unsigned int rounds = is_soak() ? (unsigned int)soak_count(ROUNDS_SOAK) : ROUNDS;
	struct tally tallies[ARRAY_LEN(attempts)] = { 0 };
	unsigned int done = 0;
	uint64_t before;
	pid_t pids[ARRAY_LEN(volumes)];
	int mounts;

	set_up();
	before = hash_canaries();
	mounts = count_mounts();
	for (size_t i = 0; i < ARRAY_LEN(volumes); i++)
		pids[i] = start_exchanging(volumes[i]);
	for (unsigned int round = 0; done < rounds; round++) {
		size_t kind = round % ARRAY_LEN(attempts);
		const struct attempt *a = &attempts[kind];
		const char *volume = volumes[round / ARRAY_LEN(attempts) % 2];
		struct error err = ERROR_INIT;

		if (round / ARRAY_LEN(attempts) / 2 % (a->one_in * (is_soak() ? 5 : 1)) != 0 &&
		    a->one_in > 1)
			continue;
		if (attempt_once(a, volume, &err) == 0)
			tallies[kind].mounted++;
		else if (strstr(err.msg, strerror(ELOOP)))
			tallies[kind].met++;
		if (++done % LOOK_EVERY == 0)
			REQUIRE_EQ(hash_canaries(), before, "changed by attempt %u", done);
	}
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		REQUIRE_EQ(kill(pids[i], SIGKILL), 0);
		REQUIRE_EQ(waitpid(pids[i], NULL, 0), pids[i]);
	}
	REQUIRE_EQ(hash_canaries(), before);
	REQUIRE_EQ(count_mounts(), mounts);
	check_met(tallies);
}

/* The mount namespace goes with the test's process. */
Test(storage_hostile, nothing_outside_changes, .timeout = 1200)
{
	if (geteuid() != 0)
		cr_skip_test("needs root");
	race();
}
