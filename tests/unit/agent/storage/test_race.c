/* SPDX-License-Identifier: Apache-2.0 */
/* A container renames directories of its volume while storages are mounted in it: nothing
 * outside of it is touched. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/sys.h"
#include "lib/unmount.h"
#include "tests/support/check.h"
#include "tests/support/orphan.h"
#include "tests/unit/agent/storage/bench.h"

#define ROUNDS 60

/* Is removed just before "late" is made; "": nothing is. */
static char vanishing[128];

/* Takes the place of the C library's. */
int
mkdirat(int dir, const char *name, mode_t mode)
{
	if (*vanishing && strcmp(name, "late") == 0) {
		(void)rmdir(vanishing);
		*vanishing = '\0';
	}
	return (int)syscall(SYS_mkdirat, dir, name, mode);
}

/* A volume with a directory, and a directory elsewhere in which everything has the same names:
 * foreign. */
static void
set_up(const struct bench *b)
{
	REQUIRE_EQ(mkdir(at(b, "volume"), 0755), 0);
	REQUIRE_EQ(mkdir(at(b, "volume/a"), 0755), 0);
	REQUIRE_EQ(mkdir(at(b, "foreign"), 0755), 0);
	REQUIRE_EQ(mkdir(at(b, "foreign/v"), 0755), 0);
	REQUIRE_EQ(mkdir(at(b, "foreign/new"), 0755), 0);
	REQUIRE_EQ(mkdir(at(b, "foreign/new/v"), 0755), 0);
	REQUIRE_EQ(mount("foreign", at(b, "foreign/v"), "tmpfs", 0, NULL), 0);
	put_file(b, "foreign/v/file");
	REQUIRE_EQ(symlink("../foreign", at(b, "volume/link")), 0);
}

static void
check_foreign(const struct bench *b)
{
	struct stat st;

	REQUIRE_EQ(mounts_at(b, "foreign/v"), 1);
	REQUIRE(exists(b, "foreign/v/file"));
	REQUIRE_EQ(stat(at(b, "foreign/v/file"), &st), 0);
	REQUIRE_EQ(st.st_gid, 0);
	REQUIRE_EQ(st.st_mode & 07777, 0600);
	REQUIRE(exists(b, "foreign/new/v"));
}

static void
tear_down(const struct bench *b)
{
	REQUIRE_EQ(umount2(at(b, "foreign/v"), 0), 0);
	REQUIRE_EQ(rmdir(at(b, "foreign/new/v")), 0);
	REQUIRE_EQ(rmdir(at(b, "foreign/new")), 0);
	REQUIRE_EQ(rmdir(at(b, "foreign/v")), 0);
	REQUIRE_EQ(rmdir(at(b, "foreign")), 0);
	(void)unlink(at(b, "volume/link"));
	(void)unlink(at(b, "volume/a"));
	(void)rmdir(at(b, "volume/link"));
	(void)rmdir(at(b, "volume/a"));
	REQUIRE_EQ(rmdir(at(b, "volume")), 0);
}

/* Replaces "volume/a" by a link to "foreign", as a container can. */
static void
exchange(const struct bench *b)
{
	REQUIRE_EQ(sys_renameat2(AT_FDCWD, at(b, "volume/a"), AT_FDCWD, at(b, "volume/link"),
				 SYS_RENAME_EXCHANGE),
		   0);
}

AGENT_TEST(storage_race, an_unmount_follows_no_link_that_was_put_on_the_way)
{
	struct storage_spec s;

	set_up(b);
	s = memory(b, "volume/a/v");
	REQUIRE_EQ(acquire(b, "", &s, 1).code, ERROR_OK);
	REQUIRE_EQ(mounts_added(b), 2);
	exchange(b);
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
	check_foreign(b);
	REQUIRE_EQ(mounts_added(b), 1);
	REQUIRE(!exists(b, "volume/link/v"));
	tear_down(b);
}

AGENT_TEST(storage_race, only_directories_that_were_made_are_removed)
{
	struct storage_spec s;

	set_up(b);
	s = memory(b, "volume/a/new/v");
	REQUIRE_EQ(acquire(b, "", &s, 1).code, ERROR_OK);
	exchange(b);
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
	check_foreign(b);
	REQUIRE_EQ(mounts_added(b), 1);
	REQUIRE(!exists(b, "volume/link/new"));
	tear_down(b);
}

static void
check_undo(struct bench *b, char how)
{
	struct storage_spec s;
	struct result r;

	s = gate(b, "volume/a/new/v");
	REQUIRE_EQ(mkfifo(at(b, "deep.gate"), 0600), 0);
	s.source = at(b, "deep.gate");
	submit(b, "one", &s, 1, &r);
	UNTIL(b, exists(b, "volume/a/new/v"));
	exchange(b);
	auto_close int fd = open(at(b, "deep.gate"), O_WRONLY | O_CLOEXEC);
	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(write(fd, &how, 1), 1);
	UNTIL(b, r.ended);
	REQUIRE_EQ(r.err.code, ERROR_UNAVAILABLE);
	check_foreign(b);
	REQUIRE_EQ(mounts_added(b), 1);
	REQUIRE(!exists(b, "volume/link/new"));
	exchange(b);
	REQUIRE_EQ(unlink(at(b, "deep.gate")), 0);
}

AGENT_TEST(storage_race, an_undo_takes_back_what_was_done)
{
	set_up(b);
	check_undo(b, 'f');
	check_undo(b, 'u');
	tear_down(b);
}

/* A directory that was made for the mount is moved, and the container has another one of its
 * name. */
static void
replace_made(const struct bench *b, const char *other)
{
	REQUIRE_EQ(rename(at(b, "volume/a/new"), at(b, "volume/moved")), 0);
	REQUIRE_EQ(mkdir(at(b, other), 0755), 0);
}

static void
check_replaced(const struct bench *b, const char *other)
{
	REQUIRE_EQ(mounts_added(b), 1);
	REQUIRE(exists(b, other));
	REQUIRE(!exists(b, "volume/moved/v"));
	REQUIRE_EQ(rmdir(at(b, other)), 0);
	REQUIRE_EQ(rmdir(at(b, "volume/moved")), 0);
	check_foreign(b);
	tear_down(b);
}

AGENT_TEST(storage_race, an_unmount_leaves_a_directory_of_the_same_name)
{
	struct storage_spec s;

	set_up(b);
	s = memory(b, "volume/a/new/v");
	REQUIRE_EQ(acquire(b, "", &s, 1).code, ERROR_OK);
	/* next to the moved directory, where the release looks for it */
	replace_made(b, "volume/new");
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
	check_replaced(b, "volume/new");
}

AGENT_TEST(storage_race, an_undo_leaves_a_directory_of_the_same_name)
{
	struct storage_spec s;
	struct result r;

	set_up(b);
	s = gate(b, "volume/a/new/v");
	REQUIRE_EQ(mkfifo(at(b, "deep.gate"), 0600), 0);
	s.source = at(b, "deep.gate");
	submit(b, "one", &s, 1, &r);
	UNTIL(b, exists(b, "volume/a/new/v"));
	replace_made(b, "volume/a/new");
	auto_close int fd = open(at(b, "deep.gate"), O_WRONLY | O_CLOEXEC);
	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(write(fd, "u", 1), 1);
	UNTIL(b, r.ended);
	REQUIRE_EQ(r.err.code, ERROR_UNAVAILABLE);
	REQUIRE_EQ(unlink(at(b, "deep.gate")), 0);
	check_replaced(b, "volume/a/new");
}

/* The volume's directories change places all the time. */
static pid_t
start_exchanging(const struct bench *b)
{
	pid_t agent = getpid(), pid = fork();

	if (pid == 0) {
		char a[128], link[128];

		die_with_parent(agent);
		(void)snprintf(a, sizeof(a), "%s", at(b, "volume/a"));
		(void)snprintf(link, sizeof(link), "%s", at(b, "volume/link"));
		for (;;)
			(void)sys_renameat2(AT_FDCWD, a, AT_FDCWD, link, SYS_RENAME_EXCHANGE);
	}
	REQUIRE_GT(pid, 0);
	return pid;
}

AGENT_TEST(storage_race, renames_during_mounts_and_unmounts_touch_nothing_foreign)
{
	static const char *const points[] = { "volume/a/v", "volume/a/new/v" };
	struct storage_spec s;
	int status;
	pid_t pid;

	set_up(b);
	pid = start_exchanging(b);
	for (int i = 0; i < ROUNDS; i++) {
		s = memory(b, points[i % 2]);
		s.has_fs_group = true;
		s.fs_group_id = 77;
		if (acquire(b, "", &s, 1).code == ERROR_OK)
			REQUIRE_EQ(release(b, "").code, ERROR_OK);
		UNTIL(b, storages_count(b->t) == 0);
		check_foreign(b);
		REQUIRE_EQ(mounts_added(b), 1);
	}
	REQUIRE_EQ(kill(pid, SIGKILL), 0);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	tear_down(b);
}

/* As another storage does at its end that had made it. */
AGENT_TEST(storage_race, a_directory_that_is_removed_on_the_way_is_made_again)
{
	struct storage_spec s = memory(b, "way/late");

	REQUIRE_EQ(mkdir(at(b, "way"), 0755), 0);
	(void)snprintf(vanishing, sizeof(vanishing), "%s", at(b, "way"));
	REQUIRE_EQ(acquire(b, "", &s, 1).code, ERROR_OK);
	REQUIRE_EQ(mounts_at(b, "way/late"), 1);
	*vanishing = '\0';
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
	REQUIRE_EQ(mounts_added(b), 0);
	REQUIRE(!exists(b, "way"));
}

/* Without the table of mounts it is not known which mount would go. */
AGENT_TEST(storage_race, nothing_is_unmounted_without_the_table_of_mounts)
{
	struct rlimit old, none;
	int point;

	REQUIRE_EQ(mkdir(at(b, "p"), 0755), 0);
	point = open(at(b, "p"), O_PATH | O_CLOEXEC);
	REQUIRE_GE(point, 0);
	REQUIRE_EQ(mount("other", at(b, "p"), "tmpfs", 0, NULL), 0);
	REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = old.rlim_max };
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
	REQUIRE_EQ(unmount_upon(point, INT_MAX, MNT_DETACH), -1);
	REQUIRE_EQ(errno, EMFILE);
	REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	REQUIRE_EQ(mounts_at(b, "p"), 1);
	/* and the one that is there is not the one that was asked for */
	REQUIRE(unmount_upon(point, INT_MAX, MNT_DETACH) == 0 && mounts_at(b, "p") == 1);
	REQUIRE_EQ(close(point), 0);
	REQUIRE_EQ(umount2(at(b, "p"), 0), 0);
	REQUIRE_EQ(rmdir(at(b, "p")), 0);
}
