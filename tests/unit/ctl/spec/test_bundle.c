/* SPDX-License-Identifier: Apache-2.0 */
/* --bundle: what becomes of config.json, and which options override it. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/commands/options.h"
#include "ctl/json/json.h"
#include "lib/arena.h"
#include "lib/path.h"
#include "tests/support/check.h"

static char dir[40];
static struct run_options *o;
static struct arena arena;
static struct error err;

static void
make_file(const char *name, const char *text)
{
	char path[200];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s", path);
	(void)close(fd);
}

static void
make_files(void)
{
	static const char *const dirs[] = { "rootfs", "rootfs/etc", "userdata", "userdata/shm",
					    "data" };
	static const char *const files[] = { "kernel", "userdata/hosts", "userdata/resolv.conf",
					     "userdata/hostname", "userdata/.containerenv" };
	char path[200];

	(void)snprintf(dir, sizeof(dir), "/tmp/tatami-bundle-XXXXXX");
	REQUIRE(mkdtemp(dir) != NULL);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, dirs[i]);
		REQUIRE_EQ(mkdir(path, 0755), 0);
	}
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		make_file(files[i], "x");
	make_file("rootfs/etc/passwd", "app:x:7:8::/:/bin/sh\n");
	arena_init(&arena, 1u << 20);
	o = calloc(1, sizeof(*o));
}

static void
remove_files(void)
{
	struct error ignored = ERROR_INIT;

	options_release(o);
	free(o);
	arena_release(&arena);
	(void)path_remove_tree(AT_FDCWD, dir, &ignored);
}

TestSuite(bundle, .init = make_files, .fini = remove_files);

/* Parses the words after --bundle. */
static int
parse(enum options_for command, const char *const *words)
{
	static char kernel[200];
	const char *argv[40] = { "run",      "--share", "9p",       "--kernel", kernel,
				 "--initrd", kernel,    "--bundle", dir };
	int argc = 9;

	(void)snprintf(kernel, sizeof(kernel), "%s/kernel", dir);
	while (*words)
		argv[argc++] = *words++;
	err = (struct error)ERROR_INIT;
	return options_parse(o, argc, (char **)(uintptr_t)argv, command, &err);
}

#define WORDS(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define NO_WORDS   ((const char *const[]){ NULL })

/* Parses the command line with a config.json of tests/data/oci. Returns the request. */
static Grpc__CreateContainerRequest *
make(const char *config, const char *const *words)
{
	Grpc__CreateContainerRequest *r;
	char path[300];
	json_t *json;

	(void)snprintf(path, sizeof(path), TEST_DATA "/oci/%s.json", config);
	json = json_read_file(path, &err);
	REQUIRE_NE(json, NULL);
	(void)snprintf(path, sizeof(path), "%s/config.json", dir);
	REQUIRE_EQ(json_dump_file(json, path, 0), 0);
	json_decref(json);
	REQUIRE_EQ(parse(OPTIONS_RUN, words), 0, "%s", err.msg);
	o->container.id = "main";
	r = spec_container(&arena, &o->container);
	REQUIRE_NE(r, NULL);
	return r;
}

static const Grpc__Mount *
mount_at(const Grpc__Spec *s, const char *target)
{
	for (size_t i = 0; i < s->n_mounts; i++)
		if (strcmp(s->mounts[i]->destination, target) == 0)
			return s->mounts[i];
	REQUIRE(false, "no mount at %s", target);
	return NULL;
}

/* Returns the types of namespaces, separated by blanks. */
static const char *
namespaces(const Grpc__Spec *s)
{
	static char text[200];

	text[0] = '\0';
	for (size_t i = 0; i < s->linux->n_namespaces; i++) {
		CHECK_STR(s->linux->namespaces[i]->path, "");
		(void)strcat(strcat(text, i ? " " : ""), s->linux->namespaces[i]->type);
	}
	return text;
}

Test(bundle, runc_spec)
{
	const Grpc__Spec *s = make("runc", NO_WORDS)->oci;

	CHECK_STR(o->bundle.config.ignored, "");
	CHECK(o->container.terminal && o->interactive, "the bundle has a terminal");
	CHECK_STR(s->hostname, "runc");
	CHECK_STR(o->container.hostname, "runc");
	CHECK_STR(s->process->args[0], "sh");
	CHECK_EQ(s->process->n_env, 2);
	CHECK_EQ(s->process->n_rlimits, 1);
	CHECK_EQ(s->process->capabilities->n_effective, 3);
	CHECK(s->root->readonly && o->vm.shares[0].readonly);
	CHECK_STR(s->root->path, SPEC_SHARED "/main/rootfs");
	CHECK_STR(namespaces(s), "ipc uts mount cgroup");
	CHECK_STR(s->linux->cgroupspath, "/main");
	CHECK_EQ(s->n_mounts, 7);
	CHECK_STR(mount_at(s, "/dev/shm")->type, "tmpfs");
	CHECK_EQ(o->vm.n_shares, 1);
}

/* A source below /sys is the guest's. */
Test(bundle, rootless)
{
	const Grpc__Spec *s = make("rootless", NO_WORDS)->oci;

	CHECK_STR(o->bundle.config.ignored, "");
	CHECK_STR(namespaces(s), "ipc uts mount cgroup user");
	CHECK_EQ(s->linux->n_uidmappings, 1);
	CHECK_STR(mount_at(s, "/sys")->source, "/sys");
	CHECK_EQ(o->vm.n_shares, 1);
}

Test(bundle, podman)
{
	const Grpc__CreateContainerRequest *r = make("podman", NO_WORDS);
	const Grpc__Spec *s = r->oci;
	const Grpc__Mount *hosts = mount_at(s, "/etc/hosts"), *data = mount_at(s, "/data");

	CHECK_STR(o->bundle.config.ignored,
		  "process.user.umask, linux.resources.cpu.burst, linux.resources.unified, "
		  "linux.seccomp.defaultErrnoRet, hooks.prestart, hooks.poststop, "
		  "linux.devices[1], linux.resources.cpu.cpus, "
		  "linux.resources.blockIO.throttleReadBpsDevice, linux.namespaces[1].path");
	CHECK(!o->container.terminal && !o->interactive);
	CHECK_EQ(s->n_mounts, 12);
	/* The order of the mounts and their options are the bundle's. */
	CHECK_STR(s->mounts[0]->destination, "/proc");
	CHECK_STR(s->mounts[5]->destination, "/etc/hosts");
	CHECK_STR(s->mounts[11]->destination, "/sys/fs/cgroup");
	CHECK_STR(hosts->source, SPEC_SHARED "/main-volume0/hosts");
	CHECK_STR(hosts->options[1], "rprivate");
	CHECK_STR(data->source, SPEC_SHARED "/main-volume5");
	CHECK_EQ(data->n_options, 5);
	CHECK_EQ(o->vm.n_shares, 7);
	CHECK_EQ(r->n_storages, 8);
	CHECK_EQ(s->process->user->uid, 1000);
	CHECK_EQ(s->process->capabilities->n_effective, 0);
	CHECK_EQ(s->process->oomscoreadj, 200);
	CHECK_EQ(s->linux->n_devices, 1);
	CHECK_STR(s->linux->devices[0]->path, "/dev/fuse");
	CHECK_EQ(s->linux->resources->memory->limit, 67108864);
	CHECK_EQ(s->linux->seccomp->n_syscalls, 4);
	CHECK_EQ(s->n_annotations, 5);
	CHECK_STR(s->linux->cgroupspath, "user.slice:libpod:1f2e3d4c5b6a");
	CHECK_EQ(s->hooks->n_prestart + s->hooks->n_poststop, 0);
}

Test(bundle, options_override)
{
	char image[200], volume[250];
	const Grpc__CreateContainerRequest *r;
	const Grpc__Spec *s;

	(void)snprintf(image, sizeof(image), "%s/raw.img", dir);
	(void)snprintf(volume, sizeof(volume), "%s:/dev/raw", image);
	make_file("raw.img", "x");
	r = make("podman", WORDS("-e", "GREETING=bye", "-e", "MORE=1", "-w", "/tmp", "-u", "app",
				 "--hostname", "other", "--read-only", "--privileged", "-t", "-v",
				 "type=tmpfs,target=/data,size=1Mi", "-v", "type=tmpfs,target=/new",
				 "--device", volume, "--", "id", "-u"));
	s = r->oci;
	REQUIRE_EQ(s->process->n_args, 2);
	CHECK_STR(s->process->args[1], "-u");
	REQUIRE_EQ(s->process->n_env, 7);
	CHECK_STR(s->process->env[0], "TERM=xterm");
	CHECK_STR(s->process->env[5], "GREETING=bye");
	CHECK_STR(s->process->env[6], "MORE=1");
	CHECK_STR(s->process->cwd, "/tmp");
	CHECK_EQ(s->process->user->uid, 7);
	CHECK_EQ(s->process->user->gid, 8);
	CHECK_EQ(s->process->user->n_additionalgids, 0);
	CHECK_STR(s->hostname, "other");
	CHECK(s->root->readonly && s->process->terminal);
	CHECK_EQ(s->process->capabilities->n_effective, 41);
	CHECK_EQ(s->linux->n_maskedpaths + s->linux->n_readonlypaths, 0);
	CHECK_STR(mount_at(s, "/data")->type, "tmpfs");
	CHECK_STR(mount_at(s, "/new")->type, "tmpfs");
	CHECK_EQ(s->n_mounts, 13);
	REQUIRE_EQ(s->linux->n_devices, 2);
	CHECK_STR(s->linux->devices[1]->path, "/dev/raw");
	CHECK_EQ(r->n_devices, 1);
	/* The options leave the bundle's own spec alone. */
	CHECK_EQ(o->bundle.config.spec->linux->n_devices, 1);
	CHECK_EQ(o->bundle.config.spec->process->n_env, 5);
}

Test(bundle, entrypoint)
{
	const Grpc__Spec *s = make("podman", WORDS("--entrypoint", "/bin/true"))->oci;

	CHECK_EQ(s->process->n_args, 1);
	CHECK_STR(s->process->args[0], "/bin/true");
}

Test(bundle, in_the_background)
{
	make_file("config.json",
		  "{\"process\": {\"terminal\": true, \"args\": [\"sh\"]}, \"root\": "
		  "{\"path\": \"rootfs\"}, \"linux\": {}}");
	REQUIRE_EQ(parse(OPTIONS_BOOT, NO_WORDS), 0, "%s", err.msg);
	CHECK(o->container.terminal && o->interactive);
	CHECK_STR(o->bundle.config.ignored, "");
	CHECK_STR(namespaces(o->bundle.config.spec), "mount ipc uts");
}

#define ROOT  "\"root\": {\"path\": \"rootfs\"}"
#define START "{\"process\": {\"args\": [\"sh\"]}, \"linux\": {}, " ROOT

static const struct {
	const char *json, *text;
} bad_rows[] = {
	{ "{", "config.json: line 1, column 1: " },
	{ "{\"process\": {\"arg\": []}}", "config.json: process.arg: unknown field" },
	{ "{" ROOT ", \"linux\": {}}", "config.json: process is missing" },
	{ "{" ROOT ", \"process\": {}}", "config.json: linux is missing" },
	{ "{\"process\": {}, \"linux\": {}}", "config.json: root.path is missing" },
	{ "{\"process\": {}, \"linux\": {}, \"root\": {\"path\": \"none\"}}",
	  "config.json: root.path: failed to look up " },
	{ "{" ROOT ", \"process\": {}, \"linux\": {}}", "no command given" },
	{ START ", \"mounts\": [{\"destination\": \"/x\", \"type\": \"bind\"}]}",
	  "config.json: mounts[0].source is missing" },
	{ START ", \"mounts\": [{\"destination\": \"/x\", \"type\": \"bind\", \"source\": "
		"\"none\"}]}",
	  "config.json: mounts[0]: failed to look up " },
	{ START ", \"mounts\": [{\"destination\": \"x\", \"type\": \"bind\", \"source\": "
		"\"data\"}]}",
	  "config.json: mounts[0]: invalid target \"x\"" },
	{ START ", \"mounts\": [{\"destination\": \"/x\", \"type\": \"ext4\", \"source\": "
		"\"/srv/disk\"}]}",
	  "config.json: mounts[0]: /srv/disk of the host cannot be mounted as ext4" },
	{ START ", \"mounts\": [{\"destination\": \"/x\", \"type\": \"bind\", \"source\": "
		"\"data\"}, {\"destination\": \"/x\", \"type\": \"bind\", \"source\": \"data\"}]}",
	  "two volumes or devices have the target /x" },
};

Test(bundle, wrong)
{
	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
		make_file("config.json", bad_rows[i].json);
		CHECK_EQ(parse(OPTIONS_RUN, NO_WORDS), -1, "%s", bad_rows[i].json);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
		CHECK_NE(strstr(err.msg, bad_rows[i].text), NULL, "%s: %s", bad_rows[i].json,
			 err.msg);
		options_release(o);
	}
	make_file("config.json", START "}");
	CHECK_EQ(parse(OPTIONS_RUN, WORDS("--in", "box")), -1);
	CHECK_NE(strstr(err.msg, "--bundle"), NULL, "%s", err.msg);
	CHECK_EQ(parse(OPTIONS_POD, NO_WORDS), -1);
	CHECK_NE(strstr(err.msg, "--bundle"), NULL, "%s", err.msg);
}

Test(bundle, too_many_mounts)
{
	char *text = malloc(8192);
	size_t n = (size_t)snprintf(text, 8192, START ", \"mounts\": [");

	for (int i = 0; i < 16; i++)
		n += (size_t)snprintf(text + n, 8192 - n,
				      "%s{\"destination\": \"/m%d\", \"type\": \"bind\", "
				      "\"source\": \"data\"}",
				      i ? ", " : "", i);
	(void)snprintf(text + n, 8192 - n, "]}");
	make_file("config.json", text);
	CHECK_EQ(parse(OPTIONS_RUN, NO_WORDS), -1);
	CHECK_NE(strstr(err.msg, "mounts[15]: too many volumes"), NULL, "%s", err.msg);
	free(text);
}
