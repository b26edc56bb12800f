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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/sys.h"
#include "lib/unmount.h"
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
	CHECK(mkdir(at(b, "volume"), 0755) == 0 && mkdir(at(b, "volume/a"), 0755) == 0);
	CHECK(mkdir(at(b, "foreign"), 0755) == 0 && mkdir(at(b, "foreign/v"), 0755) == 0);
	CHECK(mkdir(at(b, "foreign/new"), 0755) == 0 && mkdir(at(b, "foreign/new/v"), 0755) == 0);
	CHECK(mount("foreign", at(b, "foreign/v"), "tmpfs", 0, NULL) == 0);
	put_file(b, "foreign/v/file");
	CHECK(symlink("../foreign", at(b, "volume/link")) == 0);
}

static void
check_foreign(const struct bench *b)
{
	struct stat st;

	CHECK(mounts_at(b, "foreign/v") == 1 && exists(b, "foreign/v/file"));
	CHECK(stat(at(b, "foreign/v/file"), &st) == 0 && st.st_gid == 0);
	CHECK((st.st_mode & 07777) == 0600);
	CHECK(exists(b, "foreign/new/v"));
}

static void
tear_down(const struct bench *b)
{
	CHECK(umount2(at(b, "foreign/v"), 0) == 0);
	CHECK(rmdir(at(b, "foreign/new/v")) == 0 && rmdir(at(b, "foreign/new")) == 0);
	CHECK(rmdir(at(b, "foreign/v")) == 0 && rmdir(at(b, "foreign")) == 0);
	(void)unlink(at(b, "volume/link"));
	(void)unlink(at(b, "volume/a"));
	(void)rmdir(at(b, "volume/link"));
	(void)rmdir(at(b, "volume/a"));
	CHECK(rmdir(at(b, "volume")) == 0);
}

/* Replaces "volume/a" by a link to "foreign", as a container can. */
static void
exchange(const struct bench *b)
{
	CHECK(sys_renameat2(AT_FDCWD, at(b, "volume/a"), AT_FDCWD, at(b, "volume/link"),
			    SYS_RENAME_EXCHANGE) == 0);
}

AGENT_TEST(storage_race, an_unmount_follows_no_link_that_was_put_on_the_way)
{
	struct storage_spec s;

	set_up(b);
	s = memory(b, "volume/a/v");
	CHECK(acquire(b, "", &s, 1).code == ERROR_OK);
	CHECK(mounts_added(b) == 2);
	exchange(b);
	CHECK(release(b, "").code == ERROR_OK);
	check_foreign(b);
	CHECK(mounts_added(b) == 1 && !exists(b, "volume/link/v"));
	tear_down(b);
}

AGENT_TEST(storage_race, only_directories_that_were_made_are_removed)
{
	struct storage_spec s;

	set_up(b);
	s = memory(b, "volume/a/new/v");
	CHECK(acquire(b, "", &s, 1).code == ERROR_OK);
	exchange(b);
	CHECK(release(b, "").code == ERROR_OK);
	check_foreign(b);
	CHECK(mounts_added(b) == 1 && !exists(b, "volume/link/new"));
	tear_down(b);
}

static void
check_undo(struct bench *b, char how)
{
	struct storage_spec s;
	struct result r;

	s = gate(b, "volume/a/new/v");
	CHECK(mkfifo(at(b, "deep.gate"), 0600) == 0);
	s.source = at(b, "deep.gate");
	submit(b, "one", &s, 1, &r);
	UNTIL(b, exists(b, "volume/a/new/v"));
	exchange(b);
	auto_close int fd = open(at(b, "deep.gate"), O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && write(fd, &how, 1) == 1);
	UNTIL(b, r.ended);
	CHECK(r.err.code == ERROR_UNAVAILABLE);
	check_foreign(b);
	CHECK(mounts_added(b) == 1 && !exists(b, "volume/link/new"));
	exchange(b);
	CHECK(unlink(at(b, "deep.gate")) == 0);
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
	CHECK(rename(at(b, "volume/a/new"), at(b, "volume/moved")) == 0);
	CHECK(mkdir(at(b, other), 0755) == 0);
}

static void
check_replaced(const struct bench *b, const char *other)
{
	CHECK(mounts_added(b) == 1 && exists(b, other) && !exists(b, "volume/moved/v"));
	CHECK(rmdir(at(b, other)) == 0 && rmdir(at(b, "volume/moved")) == 0);
	check_foreign(b);
	tear_down(b);
}

AGENT_TEST(storage_race, an_unmount_leaves_a_directory_of_the_same_name)
{
	struct storage_spec s;

	set_up(b);
	s = memory(b, "volume/a/new/v");
	CHECK(acquire(b, "", &s, 1).code == ERROR_OK);
	/* next to the moved directory, where the release looks for it */
	replace_made(b, "volume/new");
	CHECK(release(b, "").code == ERROR_OK);
	check_replaced(b, "volume/new");
}

AGENT_TEST(storage_race, an_undo_leaves_a_directory_of_the_same_name)
{
	struct storage_spec s;
	struct result r;

	set_up(b);
	s = gate(b, "volume/a/new/v");
	CHECK(mkfifo(at(b, "deep.gate"), 0600) == 0);
	s.source = at(b, "deep.gate");
	submit(b, "one", &s, 1, &r);
	UNTIL(b, exists(b, "volume/a/new/v"));
	replace_made(b, "volume/a/new");
	auto_close int fd = open(at(b, "deep.gate"), O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && write(fd, "u", 1) == 1);
	UNTIL(b, r.ended);
	CHECK(r.err.code == ERROR_UNAVAILABLE);
	CHECK(unlink(at(b, "deep.gate")) == 0);
	check_replaced(b, "volume/a/new");
}

/* The volume's directories change places all the time. */
static pid_t
start_exchanging(const struct bench *b)
{
	pid_t pid = fork();

	if (pid == 0) {
		char a[128], link[128];

		/* a check that fails ends the agent without a word to this */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);

		(void)snprintf(a, sizeof(a), "%s", at(b, "volume/a"));
		(void)snprintf(link, sizeof(link), "%s", at(b, "volume/link"));
		for (;;)
			(void)sys_renameat2(AT_FDCWD, a, AT_FDCWD, link, SYS_RENAME_EXCHANGE);
	}
	CHECK(pid > 0);
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
			CHECK(release(b, "").code == ERROR_OK);
		UNTIL(b, storages_count(b->t) == 0);
		check_foreign(b);
		CHECK(mounts_added(b) == 1);
	}
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid);
	tear_down(b);
}

/* As another storage does at its end that had made it. */
AGENT_TEST(storage_race, a_directory_that_is_removed_on_the_way_is_made_again)
{
	struct storage_spec s = memory(b, "way/late");

	CHECK(mkdir(at(b, "way"), 0755) == 0);
	(void)snprintf(vanishing, sizeof(vanishing), "%s", at(b, "way"));
	CHECK(acquire(b, "", &s, 1).code == ERROR_OK);
	CHECK(mounts_at(b, "way/late") == 1);
	*vanishing = '\0';
	CHECK(release(b, "").code == ERROR_OK);
	CHECK(mounts_added(b) == 0 && !exists(b, "way"));
}

/* Without the table of mounts it is not known which mount would go. */
AGENT_TEST(storage_race, nothing_is_unmounted_without_the_table_of_mounts)
{
	struct rlimit old, none;
	int point;

	CHECK(mkdir(at(b, "p"), 0755) == 0);
	point = open(at(b, "p"), O_PATH | O_CLOEXEC);
	CHECK(point >= 0 && mount("other", at(b, "p"), "tmpfs", 0, NULL) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = old.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(unmount_upon(point, INT_MAX, MNT_DETACH) == -1 && errno == EMFILE);
	CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
	CHECK(mounts_at(b, "p") == 1);
	/* and the one that is there is not the one that was asked for */
	CHECK(unmount_upon(point, INT_MAX, MNT_DETACH) == 0 && mounts_at(b, "p") == 1);
	CHECK(close(point) == 0);
	CHECK(umount2(at(b, "p"), 0) == 0 && rmdir(at(b, "p")) == 0);
}
