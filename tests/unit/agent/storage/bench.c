/* SPDX-License-Identifier: Apache-2.0 */
/* See bench.h. */
#include "tests/unit/agent/storage/bench.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/storage/watchable.h"
#include "lib/cleanup.h"
#include "lib/mountinfo.h"
#include "tests/support/check.h"

static int
count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	REQUIRE(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Of those at path; NULL: all. */
static int
count_mounts(const char *path)
{
	struct error err = ERROR_INIT;
	auto_free char *text = mountinfo_read(AT_FDCWD, "/proc/self/mountinfo", &err);
	char *rest = text, *line;
	struct mountinfo m;
	int n = 0;

	REQUIRE(text);
	while ((line = strsep(&rest, "\n")))
		n += mountinfo_parse(line, &m) && (!path || strcmp(m.point, path) == 0);
	return n;
}

void
bench_init(struct bench *b, int init_fd)
{
	static const struct undo_kind *const kinds[] = { &undo_copy, NULL };
	struct error err = ERROR_INIT;

	memset(b, 0, sizeof(*b));
	signal(SIGPIPE, SIG_IGN);
	REQUIRE_EQ(unshare(CLONE_NEWNS), 0);
	REQUIRE_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	strcpy(b->dir, "/tmp/test-storage-XXXXXX");
	REQUIRE(mkdtemp(b->dir));
	b->fds_before = count_fds();
	b->mounts_before = count_mounts(NULL);
	b->roots = (struct roots){ .proc = open("/proc", O_PATH | O_CLOEXEC),
				   .sys = open("/sys", O_PATH | O_CLOEXEC),
				   .dev = open("/dev", O_PATH | O_CLOEXEC),
				   .cgroup = -1,
				   .run = open(b->dir, O_PATH | O_CLOEXEC),
				   .root = open("/", O_PATH | O_CLOEXEC) };
	b->loop = loop_new(&err);
	REQUIRE(b->loop);
	b->link = initlink_new(b->loop, init_fd, NULL, NULL, &err);
	REQUIRE(b->link);
	b->jobs = jobs_new(b->loop, b->link, kinds, &err);
	REQUIRE(b->jobs);
	b->devices = device_watch_new(b->loop, b->jobs, &b->roots, 100, &err);
	REQUIRE(b->devices);
	b->t = storages_new(b->loop, b->jobs, b->devices, &b->roots, &err);
	REQUIRE(b->t);
}

static void
remove_gates(const struct bench *b)
{
	DIR *dir = opendir(b->dir);
	struct dirent *e;

	REQUIRE(dir);
	while ((e = readdir(dir)))
		if (e->d_type == DT_FIFO)
			REQUIRE_EQ(unlinkat(dirfd(dir), e->d_name, 0), 0);
	closedir(dir);
}

void
bench_release(struct bench *b)
{
	REQUIRE_EQ(storages_count(b->t), 0);
	REQUIRE_EQ(count_mounts(NULL), b->mounts_before);
	jobs_free(b->jobs);
	storages_free(b->t);
	device_watch_free(b->devices);
	initlink_free(b->link);
	loop_free(b->loop);
	close(b->roots.proc);
	close(b->roots.sys);
	close(b->roots.dev);
	close(b->roots.run);
	close(b->roots.root);
	remove_gates(b);
	REQUIRE_EQ(rmdir(b->dir), 0);
	/* The link took one that was there before. */
	REQUIRE_EQ(count_fds(), b->fds_before - 1);
}

char *
at(const struct bench *b, const char *name)
{
	static char paths[4][128];
	static unsigned int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", b->dir, name);
	return path;
}

static char *
keep(const char *text)
{
	static char kept[64][128];
	static unsigned int next;
	char *to = kept[next++ % 64];

	(void)snprintf(to, sizeof(kept[0]), "%s", text);
	return to;
}

struct storage_spec
gate(const struct bench *b, const char *name)
{
	char fifo[128];

	(void)snprintf(fifo, sizeof(fifo), "%s/%s.gate", b->dir, name);
	return (struct storage_spec){ .driver = "gate",
				      .source = keep(fifo),
				      .fstype = "",
				      .mount_point = keep(at(b, name)) };
}

struct storage_spec
memory(const struct bench *b, const char *name)
{
	return (struct storage_spec){ .driver = "ephemeral",
				      .source = "tmpfs",
				      .fstype = "tmpfs",
				      .mount_point = keep(at(b, name)) };
}

void
make_gate(const struct bench *b, const char *name)
{
	REQUIRE_EQ(mkfifo(gate(b, name).source, 0600), 0);
}

void
open_gate(const struct bench *b, const char *name, char how)
{
	/* both ends, so that it does not wait; kept until the byte is taken */
	auto_close int fd = open(gate(b, name).source, O_WRONLY | O_CLOEXEC);

	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(write(fd, &how, 1), 1);
}

void
on_done(const struct error *err, void *data)
{
	struct result *r = data;

	r->ended++;
	r->err = *err;
	r->request = NULL;
}

void
submit(struct bench *b, const char *owner, const struct storage_spec *specs, size_t n,
       struct result *r)
{
	*r = (struct result){ 0 };
	r->request = storages_acquire(b->t, owner, specs, n, on_done, r, &r->err);
	if (!r->request)
		fprintf(stderr, "storages_acquire: %s\n", r->err.msg);
	REQUIRE(r->request);
	REQUIRE(!r->ended);
}

void
begin_gate(struct bench *b, const char *owner, const char *name, struct result *r)
{
	struct storage_spec s = gate(b, name);

	if (access(s.source, F_OK) < 0)
		make_gate(b, name);
	submit(b, owner, &s, 1, r);
	UNTIL(b, exists(b, name));
}

void
mount_gate(struct bench *b, const char *owner, const char *name)
{
	struct result r;

	begin_gate(b, owner, name, &r);
	open_gate(b, name, 'o');
	UNTIL(b, r.ended);
	REQUIRE_EQ(r.err.code, ERROR_OK);
}

struct error
acquire(struct bench *b, const char *owner, const struct storage_spec *specs, size_t n)
{
	struct result r;

	submit(b, owner, specs, n, &r);
	UNTIL(b, r.ended);
	if (r.err.code == ERROR_OK)
		storages_commit(b->t, owner);
	return r.err;
}

struct error
release(struct bench *b, const char *owner)
{
	struct result r = { 0 };

	REQUIRE_OK(storages_release_owner(b->t, owner, on_done, &r, &r.err), &r.err);
	REQUIRE(!r.ended);
	UNTIL(b, r.ended);
	return r.err;
}

bool
exists(const struct bench *b, const char *name)
{
	return access(at(b, name), F_OK) == 0;
}

int
mounts_added(const struct bench *b)
{
	return count_mounts(NULL) - b->mounts_before;
}

int
mounts_at(const struct bench *b, const char *name)
{
	return count_mounts(at(b, name));
}

void
put_file(const struct bench *b, const char *name)
{
	REQUIRE_EQ(mknod(at(b, name), S_IFREG | 0600, 0), 0);
}

void
in_agent(fakeinit_body *body)
{
	int leaked = -1;

	if (geteuid() != 0)
		cr_skip_test("needs root");
	REQUIRE_EQ(fakeinit_run(body, NULL, &leaked), 0);
	REQUIRE_EQ(leaked, 0, "%d processes left behind", leaked);
}
