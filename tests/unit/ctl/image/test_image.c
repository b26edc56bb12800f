/* SPDX-License-Identifier: Apache-2.0 */
/* Images: users, the process, and the cache with fake programs for unpacking and downloading. */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/image/image.h"
#include "lib/cleanup.h"
#include "lib/path.h"
#include "tests/support/check.h"

#define DIGEST_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define DIGEST_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* ---- users ---- */

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
			     "short:x\n"
			     "web:x:1000:1001:web:/:/bin/sh\n"
			     "12:x:99:98::/:\n"
			     "bad:x:many:1::/:\n";
static const char group[] = "root:x:0:\nwheel:x:10:root\nweb:x:1001:web\n"
			    "logs:x:77:admin,web\nwebs:x:78:webs,aweb\n";

static const struct user_row {
	char text[24];
	bool found;
	uint32_t uid, gid, first_group;
	size_t n_groups;
	char says[40];
} user_rows[] = {
	{ "", true, 0, 0, 10, 1, "" },
	{ "root", true, 0, 0, 10, 1, "" },
	{ "0", true, 0, 0, 10, 1, "" },
	{ "web", true, 1000, 1001, 77, 1, "" },
	{ "1000", true, 1000, 1001, 77, 1, "" },
	{ "web:logs", true, 1000, 77, 0, 0, "" },
	{ "web:5", true, 1000, 5, 0, 0, "" },
	{ "4711", true, 4711, 0, 0, 0, "" },
	{ "4711:web", true, 4711, 1001, 0, 0, "" },
	/* A number is never a name. */
	{ "12", true, 12, 0, 0, 0, "" },
	{ "nobody", false, 0, 0, 0, 0, "no user nobody" },
	{ "short", false, 0, 0, 0, 0, "no user short" },
	{ "bad", false, 0, 0, 0, 0, "invalid line of user bad" },
	{ "web:none", false, 0, 0, 0, 0, "no group none" },
	{ "web:", false, 0, 0, 0, 0, "invalid user" },
	{ "-1", false, 0, 0, 0, 0, "no user -1" },
};

ParameterizedTestParameters(ctl_image, user)
{
	return cr_make_param_array(struct user_row, (void *)(uintptr_t)user_rows,
				   ARRAY_LEN(user_rows));
}

ParameterizedTest(struct user_row *row, ctl_image, user)
{
	struct error err = ERROR_INIT;
	struct account account;

	CHECK_EQ(account_find(row->text, passwd, group, &account, &err) == 0, row->found, "%s: %s",
		 row->text, err.msg);
	CHECK_HAS(err.msg, row->says);
	if (!row->found)
		return;
	CHECK_EQ(account.uid, row->uid);
	CHECK_EQ(account.gid, row->gid);
	CHECK_EQ(account.n_groups, row->n_groups);
	if (row->n_groups)
		CHECK_EQ(account.groups[0], row->first_group);
}

/* ---- the process ---- */

/* Joins a list with commas. */
static char *
joined(const char *const *list, size_t n, char *out, size_t size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < n && list[i]; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%s", i ? "," : "", list[i]);
	return out;
}

static const struct args_row {
	char config[80], entrypoint[24], command[2][8], want[24];
	bool has_entrypoint;
} args_rows[] = {
	{ "{\"Cmd\": [\"a\", \"b\"]}", "", { "", "" }, "a,b", false },
	{ "{\"Cmd\": [\"a\", \"b\"]}", "", { "c", "" }, "c", false },
	{ "{\"Entrypoint\": [\"e\"], \"Cmd\": [\"a\"]}", "", { "", "" }, "e,a", false },
	{ "{\"Entrypoint\": [\"e\"], \"Cmd\": [\"a\"]}", "", { "c", "d" }, "e,c,d", false },
	{ "{\"Entrypoint\": [\"e\"], \"Cmd\": null}", "", { "", "" }, "e", false },
	{ "{\"Entrypoint\": [\"e\"], \"Cmd\": [\"a\"]}", "x", { "", "" }, "x", true },
	{ "{\"Entrypoint\": [\"e\"], \"Cmd\": [\"a\"]}", "x", { "c", "" }, "x,c", true },
	{ "{\"Entrypoint\": [\"e\"]}", "[\"x\", \"y\"]", { "c", "" }, "x,y,c", true },
	{ "{\"Entrypoint\": [\"e\"]}", "", { "c", "" }, "c", true },
	{ "{}", "", { "", "" }, "", false },
};

ParameterizedTestParameters(ctl_image, args)
{
	return cr_make_param_array(struct args_row, (void *)(uintptr_t)args_rows,
				   ARRAY_LEN(args_rows));
}

ParameterizedTest(struct args_row *row, ctl_image, args)
{
	json_t *json = json_loads(row->config, 0, NULL);
	char *command[] = { row->command[0][0] ? row->command[0] : NULL,
			    row->command[1][0] ? row->command[1] : NULL, NULL };
	struct error err = ERROR_INIT;
	struct image_config config;
	char *const *args;
	struct arena arena;
	char text[64];

	arena_init(&arena, 1u << 16);
	REQUIRE_OK(image_config_read(&config, json, &arena, &err), &err);
	args = image_args(&config, row->has_entrypoint ? row->entrypoint : NULL, command, &arena,
			  &err);
	REQUIRE_NE(args, NULL);
	CHECK_STR(joined((const char *const *)args, 9, text, sizeof(text)), row->want);
	arena_release(&arena);
	json_decref(json);
}

Test(ctl_image, environment)
{
	static const char *const given[] = { "B=user", "PATHS=x" };
	json_t *json = json_loads("{\"Env\": [\"PATH=/bin\", \"B=image\", \"C=1\"]}", 0, NULL);
	struct error err = ERROR_INIT;
	struct image_config config;
	const char *const *env;
	struct arena arena;
	char text[80];
	size_t n = 2;

	arena_init(&arena, 1u << 16);
	REQUIRE_OK(image_config_read(&config, json, &arena, &err), &err);
	env = image_env(&config, given, &n, &arena);
	REQUIRE_NE(env, NULL);
	CHECK_STR(joined(env, n, text, sizeof(text)), "PATH=/bin,C=1,B=user,PATHS=x");
	CHECK_STR(config.user, "");
	arena_release(&arena);
	json_decref(json);
}

Test(ctl_image, invalid_configurations)
{
	static const char *const texts[] = { "{\"Cmd\": \"sh\"}", "{\"Env\": [1]}", "{\"User\": 0}",
					     "{\"WorkingDir\": []}" };

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		json_t *json = json_loads(texts[i], 0, NULL);
		struct error err = ERROR_INIT;
		struct image_config config;
		struct arena arena;

		arena_init(&arena, 1u << 16);
		CHECK_EQ(image_config_read(&config, json, &arena, &err), -1, "%s", texts[i]);
		CHECK_HAS(err.msg, "invalid configuration of the image");
		arena_release(&arena);
		json_decref(json);
	}
}

Test(ctl_image, signals)
{
	CHECK_EQ(image_signal("SIGTERM"), SIGTERM);
	CHECK_EQ(image_signal("quit"), SIGQUIT);
	CHECK_EQ(image_signal("9"), SIGKILL);
	CHECK_EQ(image_signal("SIGRTMIN+3"), SIGRTMIN + 3);
	CHECK_EQ(image_signal("RTMAX-1"), SIGRTMAX - 1);
	CHECK_EQ(image_signal("SIGRTMIN-3"), 0);
	CHECK_EQ(image_signal("SIGNOTHING"), 0);
	CHECK_EQ(image_signal("0"), 0);
	CHECK_EQ(image_signal("65"), 0);
	CHECK_EQ(image_signal(""), 0);
}

/* ---- names ---- */

Test(ctl_image, names)
{
	static const char *const rows[][2] = {
		{ "alpine", "docker.io/library/alpine:latest" },
		{ "docker://alpine:3", "docker.io/library/alpine:3" },
		{ "user/name", "docker.io/user/name:latest" },
		{ "quay.io/a/b", "quay.io/a/b:latest" },
		{ "host:5000/b:v1", "host:5000/b:v1" },
		{ "localhost/b", "localhost/b:latest" },
		{ "a@sha256:00", "docker.io/library/a@sha256:00" },
		{ "containers-storage:b", "containers-storage:b" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[100];

		cache_canonical(rows[i][0], out, sizeof(out));
		CHECK_STR(out, rows[i][1]);
	}
	CHECK(cache_is_reference("docker://x") && !cache_is_reference("oci:x"));
}

/* ---- the cache ---- */

static char dir[64], archive[96];

static void
put(const char *name, const char *text, mode_t mode)
{
	char path[160];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	REQUIRE_NE(f, NULL);
	(void)fputs(text, f);
	(void)fclose(f);
	REQUIRE_EQ(chmod(path, mode), 0);
}

/* The content of a file, "" if there is none. */
static const char *
get(const char *name)
{
	static char text[4096];
	char path[160];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Installs programs whose runs are noted in the file "runs". Each unpacks the digest that is in the
 * file "digest"; with a file "hold" the first one does not end. */
static void
cache_begin(void)
{
	char text[4096];

	(void)snprintf(dir, sizeof(dir), "/tmp/ctl-image-XXXXXX");
	REQUIRE_NE(mkdtemp(dir), NULL);
	(void)snprintf(archive, sizeof(archive), "%s/archive.tar", dir);
	(void)snprintf(text, sizeof(text), "%s/bin", dir);
	REQUIRE_EQ(mkdir(text, 0755), 0);
	(void)snprintf(text, sizeof(text), "%s/bin:%s", dir, getenv("PATH"));
	(void)setenv("PATH", text, 1);
	(void)snprintf(text, sizeof(text), "%s/cache", dir);
	(void)setenv("TATAMI_CACHE", text, 1);
	(void)setenv("TEST_DIR", dir, 1);
	put("bin/tatami-rootfs",
	    "#!/bin/sh\n"
	    "echo run >>\"$TEST_DIR/runs\"\n"
	    "for word; do case $word in --output=*) out=${word#*=} ;; esac; done\n"
	    "echo \"$*\" >\"$TEST_DIR/arguments\"\n"
	    "test ! -e \"$TEST_DIR/fail\" || { echo 'tatami-rootfs: it is broken' >&2; exit 1; }\n"
	    ": >\"$out.part\"\n"
	    "test ! -e \"$TEST_DIR/hold\" || { : >\"$TEST_DIR/begun\"; "
	    "while test -e \"$TEST_DIR/hold\"; do sleep 0.02; done; }\n"
	    "mv \"$out.part\" \"$out\"\n"
	    "printf '{\"digest\": \"%s\", \"config\": {\"config\": {\"User\": \"web\"}}, "
	    "\"passwd\": \"web:x:7:8::/:\\\\n\", \"group\": null}' \"$(cat \"$TEST_DIR/digest\")\" "
	    ">\"$out.image.json\"\n",
	    0755);
	put("digest", DIGEST_A, 0644);
	put("archive.tar", "x", 0644);
}

static void
cache_end(void)
{
	struct error ignored = ERROR_INIT;

	(void)path_remove_tree(AT_FDCWD, dir, &ignored);
}

/* The number of entries of the cache's directory other than the sources. */
static int
cache_entries(void)
{
	char text[160];
	FILE *f;
	int n = -1;

	(void)snprintf(text, sizeof(text), "ls -A %s/cache/images | grep -vc sources", dir);
	f = popen(text, "re");
	REQUIRE_NE(f, NULL);
	REQUIRE_EQ(fscanf(f, "%d", &n), 1);
	(void)pclose(f);
	return n;
}

TestSuite(ctl_cache, .init = cache_begin, .fini = cache_end);

Test(ctl_cache, unpacks_once)
{
	struct cached first = { .lock = -1 }, second = { .lock = -1 };
	struct error err = ERROR_INIT;

	REQUIRE_OK(cache_unpack(archive, ":v1", "x86_64", &first, &err), &err);
	CHECK_STR(first.digest, DIGEST_A);
	CHECK_HAS(get("arguments"), "--arch=x86_64");
	CHECK_HAS(get("arguments"), "--from=oci:");
	CHECK_HAS(get("arguments"), "archive.tar:v1");
	REQUIRE_OK(cache_unpack(archive, ":v1", "x86_64", &second, &err), &err);
	CHECK_STR(get("runs"), "run\n");
	CHECK_STR(second.dir, first.dir);
	/* Another image of the archive, and another state of it. */
	close_fd(&second.lock);
	REQUIRE_OK(cache_unpack(archive, ":v2", "x86_64", &second, &err), &err);
	CHECK_STR(get("runs"), "run\nrun\n");
	CHECK_STR(second.digest, DIGEST_A, "the same image");
	CHECK_EQ(cache_entries(), 1);
	close_fd(&second.lock);
	put("archive.tar", "longer", 0644);
	put("digest", DIGEST_B, 0644);
	REQUIRE_OK(cache_unpack(archive, ":v1", "x86_64", &second, &err), &err);
	CHECK_STR(second.digest, DIGEST_B);
	CHECK_EQ(cache_entries(), 2);
	close_fd(&first.lock);
	close_fd(&second.lock);
}

/* Each of several processes gets the image, which one of them unpacks. */
Test(ctl_cache, processes_at_once)
{
	pid_t pids[6];

	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct cached image = { .lock = -1 };
			struct error err = ERROR_INIT;

			_exit(cache_unpack(archive, "", "x86_64", &image, &err) == 0 &&
					      strcmp(image.digest, DIGEST_A) == 0
				      ? 0
				      : 1);
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		int status;

		REQUIRE_EQ(waitpid(pids[i], &status, 0), pids[i]);
		CHECK_EQ(status, 0);
	}
	CHECK_STR(get("runs"), "run\n");
	CHECK_EQ(cache_entries(), 1);
}

/* Starts a process that unpacks, and ends it by a signal while it does. */
static void
interrupt_by(int sig)
{
	char begun[96];
	int status;
	pid_t pid;

	put("hold", "", 0644);
	(void)snprintf(begun, sizeof(begun), "%s/begun", dir);
	(void)unlink(begun);
	pid = fork();
	if (pid == 0) {
		struct cached image = { .lock = -1 };
		struct error err = ERROR_INIT;

		(void)signal(sig, SIG_DFL);
		(void)cache_unpack(archive, "", "x86_64", &image, &err);
		_exit(1);
	}
	while (access(begun, F_OK) < 0)
		(void)poll(NULL, 0, 5);
	(void)kill(pid, sig);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == sig, "status 0x%x", (unsigned)status);
	(void)snprintf(begun, sizeof(begun), "%s/hold", dir);
	(void)unlink(begun);
}

Test(ctl_cache, interrupted)
{
	struct cached image = { .lock = -1 };
	struct error err = ERROR_INIT;

	interrupt_by(SIGTERM);
	CHECK_EQ(cache_entries(), 0, "nothing is left by SIGTERM");
	interrupt_by(SIGINT);
	CHECK_EQ(cache_entries(), 0, "nor by SIGINT");
	interrupt_by(SIGKILL);
	REQUIRE_OK(cache_unpack(archive, "", "x86_64", &image, &err), &err);
	CHECK_EQ(cache_entries(), 1, "the next one removes what SIGKILL leaves");
	close_fd(&image.lock);
}

/* A process that ignores a signal goes on. */
Test(ctl_cache, ignored_signal)
{
	char begun[96], hold[96];
	int status;
	pid_t pid;

	put("hold", "", 0644);
	(void)snprintf(begun, sizeof(begun), "%s/begun", dir);
	(void)snprintf(hold, sizeof(hold), "%s/hold", dir);
	pid = fork();
	if (pid == 0) {
		struct cached image = { .lock = -1 };
		struct error err = ERROR_INIT;

		(void)signal(SIGHUP, SIG_IGN);
		_exit(cache_unpack(archive, "", "x86_64", &image, &err) == 0 ? 0 : 1);
	}
	while (access(begun, F_OK) < 0)
		(void)poll(NULL, 0, 5);
	(void)kill(pid, SIGHUP);
	(void)unlink(hold);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(cache_entries(), 1);
}

Test(ctl_cache, failures)
{
	struct cached image = { .lock = -1 };
	struct error err = ERROR_INIT;

	put("fail", "", 0644);
	CHECK_EQ(cache_unpack(archive, "", "x86_64", &image, &err), -1);
	CHECK_HAS(err.msg, "archive.tar: tatami-rootfs failed: it is broken");
	CHECK_EQ(cache_entries(), 0);
	CHECK_EQ(cache_unpack("/no/such/file", "", "x86_64", &image, &err), -1);
	CHECK_EQ(err.code, ERROR_NOT_FOUND);
}

Test(ctl_cache, removal)
{
	struct cached image = { .lock = -1 };
	struct error err = ERROR_INIT;

	REQUIRE_OK(cache_unpack(archive, "", "x86_64", &image, &err), &err);
	CHECK_EQ(cache_remove(archive, &err), -1);
	CHECK_EQ(err.code, ERROR_FAILED_PRECONDITION, "%s", err.msg);
	CHECK_EQ(cache_remove("aaaaaaa", &err), -1);
	CHECK_EQ(err.code, ERROR_FAILED_PRECONDITION, "%s", err.msg);
	CHECK_EQ(cache_prune(&err), 0, "it is in use");
	close_fd(&image.lock);
	CHECK_EQ(cache_remove("ccccccc", &err), -1);
	CHECK_EQ(err.code, ERROR_NOT_FOUND);
	REQUIRE_OK(cache_remove("aaaaaaa", &err), &err);
	CHECK_EQ(cache_entries(), 0);
	REQUIRE_OK(cache_unpack(archive, "", "x86_64", &image, &err), &err);
	CHECK_STR(get("runs"), "run\nrun\n", "it is unpacked again");
	close_fd(&image.lock);
	REQUIRE_OK(cache_remove(archive, &err), &err);
	REQUIRE_OK(cache_unpack(archive, "", "x86_64", &image, &err), &err);
	close_fd(&image.lock);
	CHECK_EQ(cache_prune(&err), 1);
	CHECK_EQ(cache_entries(), 0);
}

Test(ctl_cache, roots)
{
	struct error err = ERROR_INIT;
	struct account account;
	struct image image;
	char name[160];

	REQUIRE_OK(image_open(&image, archive, "x86_64", &err), &err);
	CHECK(image.has_config);
	CHECK_STR(image.fstype, "ext4");
	CHECK_HAS(image.path, "/root.img");
	REQUIRE_OK(image_find_user(&image, image.config.user, &account, &err), &err);
	CHECK_EQ(account.uid, 7);
	CHECK_EQ(account.gid, 8);
	/* The same by the path of the unpacked image alone. */
	REQUIRE_OK(image_find_user_at(image.path, image.config.user, &account, &err), &err);
	CHECK_EQ(account.uid, 7);
	CHECK_EQ(image_find_user_at(image.path, "nobody-here", &account, &err), -1);
	CHECK_EQ(err.code, ERROR_NOT_FOUND);
	image_close(&image);
	/* By its digest, and with skopeo's prefix. */
	REQUIRE_OK(image_open(&image, "aaaaaa", "x86_64", &err), &err);
	image_close(&image);
	(void)snprintf(name, sizeof(name), "docker-archive:%s:v2", archive);
	REQUIRE_OK(image_open(&image, name, "x86_64", &err), &err);
	CHECK_HAS(get("arguments"), "archive.tar:v2");
	image_close(&image);
	/* A directory is a root, and names of its users are found. */
	(void)snprintf(name, sizeof(name), "%s/etc", dir);
	REQUIRE_EQ(mkdir(name, 0755), 0);
	put("etc/passwd", "me:x:5:6::/:\n", 0644);
	REQUIRE_OK(image_open(&image, dir, "x86_64", &err), &err);
	CHECK(!image.has_config && !image.fstype);
	CHECK_STR(image.path, dir);
	REQUIRE_OK(image_find_user(&image, "me", &account, &err), &err);
	CHECK_EQ(account.uid, 5);
	image_close(&image);
	REQUIRE_OK(image_find_user_at(dir, "me", &account, &err), &err);
	CHECK_EQ(account.gid, 6);
	CHECK_EQ(image_find_user_at(archive, "me", &account, &err), -1);
	CHECK_HAS(err.msg, "a disk is not searched for names");
	REQUIRE_OK(image_find_user_at(archive, "9", &account, &err), &err);
	CHECK_EQ(account.uid, 9);
	(void)snprintf(name, sizeof(name), "%s:tag", dir);
	CHECK_EQ(image_open(&image, name, "x86_64", &err), -1);
	CHECK_HAS(err.msg, "is not a container image");
	image_close(&image);
	CHECK_EQ(image_open(&image, "nothing", "x86_64", &err), -1);
	CHECK_EQ(err.code, ERROR_NOT_FOUND);
	CHECK_HAS(err.msg, "no image nothing");
	image_close(&image);
}

/* Runs of the fake skopeo. */
static size_t
pulls(void)
{
	const char *text = get("pulls");
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

Test(ctl_cache, pull_policies)
{
	struct error err = ERROR_INIT;
	struct image image;

	put("pulls", "", 0644);
	put("bin/skopeo",
	    "#!/bin/sh\necho \"$*\" >>\"$TEST_DIR/pulls\"\n"
	    "for last; do :; done; last=${last#oci:}; mkdir -p \"${last%:*}\"\n"
	    "echo x >\"${last%:*}/blob\"\n",
	    0755);
	CHECK_EQ(image_open_named(&image, "web:1", "x86_64", IMAGE_PULL_NEVER, &err), -1);
	CHECK_EQ(err.code, ERROR_NOT_FOUND);
	image_close(&image);
	CHECK_EQ(pulls(), 0);
	REQUIRE_OK(image_open_named(&image, "web:1", "x86_64", IMAGE_PULL_IF_NOT_PRESENT, &err),
		   &err);
	image_close(&image);
	CHECK_EQ(pulls(), 1);
	CHECK_HAS(get("pulls"), "copy docker://web:1 oci:");
	REQUIRE_OK(image_open_named(&image, "docker.io/library/web:1", "x86_64",
				    IMAGE_PULL_IF_NOT_PRESENT, &err),
		   &err);
	image_close(&image);
	REQUIRE_OK(image_open_named(&image, "web:1", "x86_64", IMAGE_PULL_NEVER, &err), &err);
	image_close(&image);
	CHECK_EQ(pulls(), 1, "it is in the cache");
	REQUIRE_OK(image_open_named(&image, "web:1", "x86_64", IMAGE_PULL_ALWAYS, &err), &err);
	CHECK(image.has_config);
	image_close(&image);
	CHECK_EQ(pulls(), 2);
}

Test(ctl_cache, pull)
{
	struct cached image = { .lock = -1 };
	struct error err = ERROR_INIT;
	struct image opened;
	char path[96];

	put("bin/skopeo",
	    "#!/bin/sh\necho \"$*\" >\"$TEST_DIR/skopeo\"\n"
	    "for last; do :; done; last=${last#oci:}; mkdir -p \"${last%:*}\"\n"
	    "echo x >\"${last%:*}/blob\"\n",
	    0755);
	REQUIRE_OK(cache_pull("alpine", "aarch64", &image, &err), &err);
	CHECK_HAS(get("skopeo"), "--override-arch=arm64");
	CHECK_HAS(get("skopeo"), "copy docker://alpine oci:");
	CHECK_HAS(get("arguments"), "--arch=aarch64");
	CHECK_EQ(cache_entries(), 1, "the layout is gone");
	close_fd(&image.lock);
	/* By each of its names, without skopeo. */
	(void)snprintf(path, sizeof(path), "%s/skopeo", dir);
	(void)unlink(path);
	REQUIRE_OK(image_open(&opened, "docker.io/library/alpine", "aarch64", &err), &err);
	image_close(&opened);
	REQUIRE_OK(image_open(&opened, "docker://alpine:latest", "aarch64", &err), &err);
	image_close(&opened);
	CHECK_EQ(access(path, F_OK), -1, "it was not run again");
	CHECK_EQ(image_open(&opened, "alpine", "x86_64", &err), -1, "another architecture");
	image_close(&opened);
	REQUIRE_OK(cache_remove("alpine", &err), &err);
	/* A program that is not there. */
	(void)snprintf(path, sizeof(path), "%s/bin", dir);
	(void)setenv("PATH", "/nonexistent", 1);
	if (access("/usr/bin/skopeo", F_OK) < 0) {
		CHECK_EQ(cache_pull("alpine", "x86_64", &image, &err), -1);
		CHECK_HAS(err.msg, "install the package skopeo");
	}
}
