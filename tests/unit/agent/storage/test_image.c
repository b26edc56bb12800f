/* SPDX-License-Identifier: Apache-2.0 */
/* Images that the guest pulls: by programs, by the confidential data hub, and the pause image. The
 * guest's root is a tmpfs with fake programs and a fake hub. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/storage/driver.h"
#include "cdh.pb-c.h"
#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/ttrpc/envelope.h"
#include "lib/ttrpc/frame.h"
#include "tests/unit/agent/storage/bench.h"
#include "ttrpc.pb-c.h"

#define PULL_OPTION "image_guest_pull={\"metadata\":{\"x\":\"y\"}}"
#define PAUSE_OPTION \
	"image_guest_pull={\"metadata\":{\"io.kubernetes.cri.container-type\":\"sandbox\"}}"

/* Writes its arguments, environment and capabilities into the image, and tries to change the
 * guest. */
#define SKOPEO                                                               \
	"#!/bin/sh\n"                                                        \
	"for last; do :; done\n"                                             \
	"dir=${last#oci:} dir=${dir%:image}\n"                               \
	"mkdir $dir && printf '%s\\n' \"$@\" >$dir/args || exit 3\n"         \
	"env >$dir/env; grep CapEff /proc/self/status >$dir/caps\n"          \
	"echo changed 2>/dev/null >${0%/*}/changed && exit 4\n"              \
	"test ! -f ${dir%/*}/source/file || cp ${dir%/*}/source/file $dir\n" \
	"echo x >$TMPDIR/x\n"

#define UMOCI                                                  \
	"#!/bin/sh\n"                                          \
	"test \"$1 $2 $3\" = 'raw unpack --image' || exit 3\n" \
	"mkdir $5 && cp ${4%:image}/* $5 && ln -s /etc $5/etc\n"

static const char *const pull_options[] = { PULL_OPTION };
static const char *const pause_options[] = { PAUSE_OPTION };
static char guest[64];

static char *
in_guest(const char *name)
{
	static char paths[4][128];
	static unsigned int next;
	char *path = paths[next++ % 4];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", guest, name);
	return path;
}

static void
put_program(const char *name, const char *text)
{
	auto_close int fd = open(in_guest(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);

	REQUIRE(fd >= 0 && write_full(fd, text, strlen(text)) == 0, "%s", name);
}

/* The guest gets a root of its own. */
static void
guest_init(struct bench *b)
{
	static const char *const directories[] = { "usr", "usr/bin", "run",
						   "run/confidential-containers" };

	strcpy(guest, "/tmp/test-guest-XXXXXX");
	REQUIRE(mkdtemp(guest));
	REQUIRE_EQ(mount("tmpfs", guest, "tmpfs", 0, ""), 0);
	for (size_t i = 0; i < ARRAY_LEN(directories); i++)
		REQUIRE_EQ(mkdir(in_guest(directories[i]), 0755), 0);
	close(b->roots.root);
	b->roots.root = open(guest, O_PATH | O_CLOEXEC);
	REQUIRE_GE(b->roots.root, 0);
}

static void
guest_release(struct bench *b)
{
	close(b->roots.root);
	b->roots.root = open("/", O_PATH | O_CLOEXEC);
	REQUIRE_EQ(umount2(guest, MNT_DETACH), 0);
	REQUIRE_EQ(rmdir(guest), 0);
}

static struct storage_spec
image(const char *reference)
{
	return (struct storage_spec){
		.driver = "image_guest_pull",
		.source = reference,
		.fstype = "overlay",
		.mount_point = "/run/kata-containers/c/rootfs",
		.driver_options = pull_options,
		.n_driver_options = 1,
	};
}

static bool
has(const struct bench *b, const char *name, const char *part)
{
	char text[4096] = "";

	if (read_text_at(AT_FDCWD, at(b, name), text, sizeof(text)) >= 0 && strstr(text, part))
		return true;
	fprintf(stderr, "%s: %s\n", name, text);
	return false;
}

/* RUN_DIR of the agent is b->dir: only the FIFOs of other tests are in it. */
static bool
is_clean(const struct bench *b)
{
	return mounts_added(b) == 1 && rmdir(b->dir) == 0 && mkdir(b->dir, 0700) == 0;
}

static int
fails(struct bench *b, const struct storage_spec *s, enum error_code code, const char *part)
{
	struct error err = acquire(b, "c", s, 1);

	CHECK_EQ(err.code, code, "%s", err.msg);
	CHECK_HAS(err.msg, part);
	CHECK_EQ(mounts_added(b), 1);
	CHECK(!exists(b, "c"));
	return err.code == code;
}

AGENT_TEST(storage_image, programs_pull_and_unpack)
{
	const struct storage_pull pull = { .timeout_s = 600,
					   .https_proxy = "http://proxy:3128",
					   .no_proxy = "" };
	struct storage_spec s = image("registry.example:5000/a/b:1.0@sha256:00ff");
	char to[16] = "";

	guest_init(b);
	put_program("usr/bin/skopeo", SKOPEO);
	put_program("usr/bin/umoci", UMOCI);
	storages_set_pull(b->t, &pull);
	REQUIRE_EQ(acquire(b, "c", &s, 1).code, ERROR_OK);
	CHECK(has(b, "c/rootfs/args",
		  "copy\n--quiet\n--remove-signatures\n--dest-oci-accept-uncompressed-layers\n"
		  "docker://registry.example:5000/a/b:1.0@sha256:00ff\noci:/"));
	CHECK(has(b, "c/rootfs/env", "HTTPS_PROXY=http://proxy:3128"));
	CHECK(!has(b, "c/rootfs/env", "NO_PROXY"));
	/* Those of image_tools.c alone. */
	CHECK(has(b, "c/rootfs/caps", "CapEff:\t000000008800001b"));
	CHECK_EQ(access(in_guest("usr/bin/changed"), F_OK), -1);
	/* Nothing follows links of the image. */
	CHECK(readlink(at(b, "c/rootfs/etc"), to, sizeof(to)) == 4 && strncmp(to, "/etc", 4) == 0);
	/* The root of the container and that of the guest; the working directory is gone. */
	CHECK_EQ(mounts_added(b), 2);
	CHECK_EQ(access(at(b, "c/rootfs/tmp"), F_OK), -1);
	REQUIRE_EQ(release(b, "c").code, ERROR_OK);
	CHECK(is_clean(b));
	guest_release(b);
}

AGENT_TEST(storage_image, layout_on_a_volume)
{
	struct storage_spec s[] = { memory(b, "disk"),
				    image("oci:/run/kata-containers/disk/l:demo"),
				    image("oci:/run/kata-containers/disk/l"),
				    image("oci:/run/kata-containers/disk/link:demo"),
				    image("oci:/run/kata-containers/disk/none:demo") };

	guest_init(b);
	put_program("usr/bin/skopeo", SKOPEO);
	put_program("usr/bin/umoci", UMOCI);
	s[0].mount_point = "/run/kata-containers/disk";
	REQUIRE_EQ(acquire(b, "volume", s, 1).code, ERROR_OK);
	REQUIRE_EQ(mkdir(at(b, "disk/l"), 0755), 0);
	put_file(b, "disk/l/file");
	REQUIRE_EQ(symlink(b->dir, at(b, "disk/link")), 0);
	REQUIRE_EQ(acquire(b, "c", &s[1], 1).code, ERROR_OK);
	CHECK(exists(b, "c/rootfs/file"));
	CHECK(has(b, "c/rootfs/args", "/source:demo\noci:"));
	CHECK(has(b, "c/rootfs/args", "\noci:"));
	REQUIRE_EQ(release(b, "c").code, ERROR_OK);
	REQUIRE_EQ(acquire(b, "c", &s[2], 1).code, ERROR_OK);
	CHECK(has(b, "c/rootfs/args", "/source\noci:"));
	REQUIRE_EQ(release(b, "c").code, ERROR_OK);
	/* A container can make links on a volume. */
	CHECK_HAS(acquire(b, "c", &s[3], 1).msg, "disk/link");
	CHECK_EQ(acquire(b, "c", &s[4], 1).code, ERROR_NOT_FOUND);
	CHECK(!exists(b, "c"));
	REQUIRE_EQ(release(b, "volume").code, ERROR_OK);
	REQUIRE_EQ(release(b, "").code, ERROR_OK);
	CHECK(is_clean(b));
	guest_release(b);
}

AGENT_TEST(storage_image, failure_of_a_program_is_reported)
{
	const struct storage_spec s = image("a/b");

	guest_init(b);
	put_program("usr/bin/skopeo", "#!/bin/sh\necho 'unauthorized: no' >&2; exit 1\n");
	put_program("usr/bin/umoci", UMOCI);
	fails(b, &s, ERROR_INTERNAL, "failed to pull image a/b: skopeo: unauthorized: no");
	put_program("usr/bin/skopeo", SKOPEO);
	put_program("usr/bin/umoci", "#!/bin/sh\nmkdir $5; touch $5/x; kill -9 $$\n");
	fails(b, &s, ERROR_RESOURCE_EXHAUSTED,
	      "failed to unpack image a/b: umoci ended by signal 9");
	/* No directory, but a link. */
	put_program("usr/bin/umoci", "#!/bin/sh\nln -s / $5\n");
	CHECK_NE(acquire(b, "c", &s, 1).code, ERROR_OK);
	CHECK(is_clean(b));
	guest_release(b);
}

AGENT_TEST(storage_image, missing_programs_are_named)
{
	const struct storage_spec s = image("a/b");

	guest_init(b);
	fails(b, &s, ERROR_FAILED_PRECONDITION, "neither the confidential data hub nor skopeo and");
	put_program("usr/bin/skopeo", SKOPEO);
	fails(b, &s, ERROR_FAILED_PRECONDITION, "nor umoci");
	put_program("usr/bin/umoci", UMOCI);
	REQUIRE_EQ(chmod(in_guest("usr/bin/skopeo"), 0644), 0);
	fails(b, &s, ERROR_FAILED_PRECONDITION, "nor skopeo");
	CHECK(is_clean(b));
	guest_release(b);
}

AGENT_TEST(storage_image, pull_ends_with_its_time)
{
	const struct storage_pull pull = { .timeout_s = 1 };
	const struct storage_spec s = image("a/b");

	guest_init(b);
	put_program("usr/bin/skopeo", "#!/bin/sh\nsleep 1000\n");
	put_program("usr/bin/umoci", UMOCI);
	storages_set_pull(b->t, &pull);
	fails(b, &s, ERROR_DEADLINE_EXCEEDED, "timed out");
	CHECK(is_clean(b));
	guest_release(b);
}

/* Returns whether the program of the test below runs. */
static bool
has_begun(const struct bench *b)
{
	glob_t found;
	int r = glob(at(b, ".image-*/tmp/begun"), 0, NULL, &found);

	globfree(&found);
	return r == 0;
}

/* The program is killed with its worker: in_agent() checks that no process is left. */
AGENT_TEST(storage_image, cancelled_pull_leaves_nothing)
{
	const struct storage_spec s = image("a/b");
	struct error err = ERROR_INIT;
	struct result acquired, released = { 0 };

	guest_init(b);
	put_program("usr/bin/skopeo", "#!/bin/sh\necho $$ >${TMPDIR}/begun; exec sleep 1000\n");
	put_program("usr/bin/umoci", UMOCI);
	submit(b, "c", &s, 1, &acquired);
	UNTIL(b, has_begun(b));
	REQUIRE_OK(storages_release_owner(b->t, "c", on_done, &released, &err), &err);
	UNTIL(b, acquired.ended && released.ended);
	CHECK_NE(acquired.err.code, ERROR_OK);
	CHECK(is_clean(b));
	guest_release(b);
}

Test(storage_image, references)
{
	static const struct {
		const char *text;
		bool is_valid;
	} rows[] = {
		{ "busybox", true },
		{ "quay.io/a/b_c-d:v1.2", true },
		{ "localhost:5000/x@sha256:0123", true },
		{ "oci:/disk/layout", true },
		{ "oci:/disk/layout:v1.0_x-y", true },
		{ "", false },
		{ "-option", false },
		{ "/etc/passwd", false },
		{ "a b", false },
		{ "a\nb", false },
		{ "a$(b)", false },
		{ "a;b", false },
		{ "oci:", false },
		{ "oci:layout", false },
		{ "oci:/", false },
		{ "oci:/a/../b", false },
		{ "oci:/a:", false },
		{ "oci:/a:-b", false },
		{ "oci:/a:b:c", false },
		{ "oci:/a:b/c", false },
	};
	static char name[700];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct storage_spec s = image(rows[i].text);
		struct error err = ERROR_INIT;

		CHECK_EQ(storage_spec_check(&s, &err) == 0, rows[i].is_valid, "%s", rows[i].text);
		CHECK_EQ(err.code, rows[i].is_valid ? ERROR_OK : ERROR_INVALID_ARGUMENT);
	}
	for (size_t n = 511; n <= 512; n++) {
		struct storage_spec s = image(name);
		struct error err = ERROR_INIT;

		memset(name, 'a', n);
		CHECK_EQ(storage_spec_check(&s, &err) == 0, n == 511);
		memcpy(name, "oci:/", 5);
		CHECK_EQ(storage_spec_check(&s, &err) == 0, n == 511);
	}
}

Test(storage_image, metadata_is_required)
{
	static const char *const rows[] = {
		"",
		"image_guest_pull",
		"image_guest_pull=",
		"image_guest_pull={}",
		"image_guest_pull={\"metadata\":[]}",
		"image_guest_pull={\"metadata\":{}",
		"other={\"metadata\":{}}",
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct storage_spec s = image("a/b");
		struct error err = ERROR_INIT;

		s.driver_options = &rows[i];
		CHECK_EQ(storage_spec_check(&s, &err), -1, "%s", rows[i]);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
		CHECK_HAS(err.msg, "metadata");
	}
}

/* ---- the hub ---- */

enum hub_answer {
	HUB_MOUNTS,
	HUB_FAILS,
	HUB_LIES,
};

static void
hub_serve(int sock, enum hub_answer answer)
{
	Api__ImagePullResponse reply = API__IMAGE_PULL_RESPONSE__INIT;
	const struct error refused = { .code = ERROR_PERMISSION_DENIED, .msg = "no such key" };
	uint8_t head[FRAME_HEADER_SIZE], body[4096];
	struct error err = ERROR_INIT;
	Api__ImagePullRequest *pull;
	Ttrpc__Request *request;
	struct frame_header h;
	char root[128], file[160];
	struct buf out;

	REQUIRE_EQ(read_full(sock, head, sizeof(head)), sizeof(head));
	frame_header_decode(&h, head);
	REQUIRE_LE(h.length, sizeof(body));
	REQUIRE_EQ(read_full(sock, body, h.length), h.length);
	request = ttrpc__request__unpack(NULL, h.length, body);
	REQUIRE(request);
	REQUIRE_STR(request->service, "api.ImagePullService");
	REQUIRE_STR(request->method, "PullImage");
	REQUIRE_GT(request->timeout_nano, 0);
	pull = api__image_pull_request__unpack(NULL, request->payload.len, request->payload.data);
	REQUIRE(pull);
	REQUIRE_STR(pull->image_url, "a/b:1");
	(void)snprintf(root, sizeof(root), "%s/rootfs", pull->bundle_path);
	(void)snprintf(file, sizeof(file), "%s/from-the-hub", root);
	if (answer == HUB_MOUNTS) {
		REQUIRE_EQ(mkdir(root, 0755), 0);
		REQUIRE_EQ(mount("hub", root, "tmpfs", 0, ""), 0);
		REQUIRE_EQ(mknod(file, S_IFREG | 0644, 0), 0);
	}
	buf_init(&out, 4096);
	if (answer == HUB_FAILS)
		REQUIRE_EQ(envelope_append_failure(&out, h.stream, &refused), 0);
	else
		REQUIRE_OK(envelope_append_reply(&out, h.stream, &reply.base, &err), &err);
	REQUIRE_EQ(write_full(sock, buf_head(&out), buf_len(&out)), 0);
	buf_release(&out);
	ttrpc__request__free_unpacked(request, NULL);
	api__image_pull_request__free_unpacked(pull, NULL);
}

/* Starts a hub for one call in a process of its own. */
static pid_t
hub_start(enum hub_answer answer)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s",
		       in_guest("run/confidential-containers/cdh.sock"));
	(void)unlink(addr.sun_path);
	REQUIRE_EQ(bind(listening, (struct sockaddr *)&addr, sizeof(addr)), 0);
	REQUIRE_EQ(listen(listening, 1), 0);
	pid = fork();
	if (pid == 0) {
		int sock = accept(listening, NULL, NULL);

		hub_serve(sock, answer);
		_exit(0);
	}
	close(listening);
	return pid;
}

static void
hub_end(pid_t pid)
{
	int status = -1;

	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

AGENT_TEST(storage_image, hub_mounts_the_root)
{
	const struct storage_spec s = image("a/b:1");
	pid_t hub;

	guest_init(b);
	/* They are not used. */
	put_program("usr/bin/skopeo", "#!/bin/sh\nexit 1\n");
	put_program("usr/bin/umoci", "#!/bin/sh\nexit 1\n");
	hub = hub_start(HUB_MOUNTS);
	CHECK_EQ(acquire(b, "c", &s, 1).code, ERROR_OK);
	hub_end(hub);
	CHECK(exists(b, "c/rootfs/from-the-hub"));
	CHECK_EQ(mounts_added(b), 2);
	REQUIRE_EQ(release(b, "c").code, ERROR_OK);
	CHECK(is_clean(b));
	guest_release(b);
}

AGENT_TEST(storage_image, hub_that_fails_is_not_replaced)
{
	const struct storage_spec s = image("a/b:1");
	pid_t hub;

	guest_init(b);
	put_program("usr/bin/skopeo", SKOPEO);
	put_program("usr/bin/umoci", UMOCI);
	hub = hub_start(HUB_FAILS);
	fails(b, &s, ERROR_PERMISSION_DENIED,
	      "the confidential data hub failed to pull image a/b:1: no such key");
	hub_end(hub);
	hub = hub_start(HUB_LIES);
	fails(b, &s, ERROR_INTERNAL, "bundle/rootfs");
	hub_end(hub);
	/* Its socket is still there. */
	fails(b, &s, ERROR_UNAVAILABLE, "failed to connect to the confidential data hub");
	CHECK(is_clean(b));
	guest_release(b);
}

/* ---- the pause image ---- */

AGENT_TEST(storage_image, pause_image_of_the_guest)
{
	struct storage_spec s = image("pause");

	s.driver_options = pause_options;
	guest_init(b);
	fails(b, &s, ERROR_FAILED_PRECONDITION, "/pause_bundle/rootfs");
	REQUIRE_EQ(mkdir(in_guest("pause_bundle"), 0755), 0);
	REQUIRE_EQ(mkdir(in_guest("pause_bundle/rootfs"), 0755), 0);
	put_program("pause_bundle/rootfs/pause", "#!/bin/sh\n");
	REQUIRE_EQ(mount(NULL, guest, NULL, MS_REMOUNT | MS_RDONLY, ""), 0);
	REQUIRE_EQ(acquire(b, "c", &s, 1).code, ERROR_OK);
	CHECK(exists(b, "c/rootfs/pause"));
	put_file(b, "c/rootfs/written");
	CHECK_EQ(mounts_added(b), 2);
	REQUIRE_EQ(release(b, "c").code, ERROR_OK);
	CHECK_EQ(access(in_guest("pause_bundle/rootfs/written"), F_OK), -1);
	CHECK(is_clean(b));
	guest_release(b);
}
