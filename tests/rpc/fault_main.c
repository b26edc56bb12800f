/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fault suite: the k-th system call of each kind fails once while a container lives, files are
 * copied, and interfaces and routes are set. After any failure, each call is answered, the agent
 * runs, and nothing is left. TAP on stdout; started by tests/rpc/run. POINTS: number of failures
 * tried per scenario, spread evenly (0: all). KIND=TEXT: only kinds with TEXT in their name
 * (faults.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/storage/driver.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/path.h"
#include "tests/rpc/faults.h"
#include "tests/rpc/harness.h"
#include "tests/rpc/net.h"

#define POINTS 20
#define SHARED "/run/kata-containers/shared"
/* a call that takes longer will never be answered */
#define SLOW_MS 60000

/* A scenario: the steps during a failure, and those before and after, without failures. */
struct scenario {
	const char *name;
	void (*before)(struct harness *h);
	void (*run)(struct harness *h);
	void (*after)(struct harness *h);
};

/* Totals of one scenario. */
static struct {
	/* number of failures that a call reported */
	size_t tried, happened, refused;
	bool is_refused;
} sum;

/* The text that the container with storages read in all three of them, or an error. */
static char volumes_text[sizeof(((struct error *)NULL)->msg)];

/* Accepts any error, but the agent must have completed the call. */
static bool
is_done(const char *what, int r, const struct error *err)
{
	CHECK(r >= 0 || (err->code != ERROR_DEADLINE_EXCEEDED && err->code != ERROR_UNAVAILABLE),
	      "%s: %s", what, err->msg);
	sum.is_refused = sum.is_refused || r < 0;
	return r >= 0;
}

/* ---- a container ---- */

static void
container_run(struct harness *h)
{
	struct error err = ERROR_INIT;
	char out[256];

	if (!is_done("create", create(h, "faulty", SH("echo begun; read x; echo $x"), &err),
		     &err) ||
	    !is_done("start", start(h, "faulty", &err), &err))
		return;
	if (is_done("exec", exec(h, "faulty", "exec", SH("echo hello; exit 3"), false, &err),
		    &err)) {
		(void)is_done("read",
			      (int)read_all(h, false, "faulty", "exec", out, sizeof(out), &err),
			      &err);
		(void)is_done("wait", wait_process(h, "faulty", "exec", &err), &err);
	}
	(void)is_done("write", write_stdin(h, "faulty", "faulty", "line\n", 5, &err), &err);
	(void)is_done("close", close_stdin(h, "faulty", "faulty", &err), &err);
	(void)is_done("kill", kill_process(h, "faulty", "faulty", SIGKILL, &err), &err);
	(void)is_done("wait", wait_process(h, "faulty", "faulty", &err), &err);
	(void)is_done("remove", remove_container(h, "faulty", &err), &err);
}

static void
terminal_run(struct harness *h)
{
	struct error err = ERROR_INIT;
	char out[256];

	if (!is_done("create", create_start_tty(h, "faulty", SH("stty size; sleep 100"), &err),
		     &err))
		return;
	if (is_done("exec", exec(h, "faulty", "exec", SH("tty"), true, &err), &err)) {
		(void)is_done("read",
			      (int)read_all(h, false, "faulty", "exec", out, sizeof(out), &err),
			      &err);
		(void)is_done("wait", wait_process(h, "faulty", "exec", &err), &err);
	}
	(void)is_done("remove", remove_container(h, "faulty", &err), &err);
}

#define INPUT_PART  60000
#define INPUT_PARTS 3

/* The bytes of input that replies reported, and those that the container read. */
static uint64_t input_accepted, input_read;

/* The container is stopped while it is sent more than its pipe holds, so that requests wait. */
static void
input_run(struct harness *h)
{
	static const uint8_t part[INPUT_PART];
	Grpc__WriteStreamRequest q = GRPC__WRITE_STREAM_REQUEST__INIT;
	struct error err = ERROR_INIT;
	uint32_t ids[INPUT_PARTS];
	char out[64];

	input_accepted = input_read = 0;
	if (!is_done("create", create_start(h, "faulty", SH("exec wc -c"), &err), &err))
		return;
	(void)is_done("stop", kill_process(h, "faulty", "faulty", SIGSTOP, &err), &err);
	q.container_id = q.exec_id = (char *)(uintptr_t) "faulty";
	q.data = (ProtobufCBinaryData){ .data = (uint8_t *)(uintptr_t)part, .len = sizeof(part) };
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		ids[i] = ttrpc_client_start(h->client, &grpc__agent_service__descriptor,
					    "WriteStdin", &q.base, 0, NULL, NULL, &err);
	/* Only one of these can fail. */
	if (!is_done("continue", kill_process(h, "faulty", "faulty", SIGCONT, &err), &err))
		(void)kill_process(h, "faulty", "faulty", SIGCONT, &err);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		ProtobufCMessage *reply = NULL;

		if (!is_done("write", ttrpc_client_wait(h->client, ids[i], SLOW_MS, &reply, &err),
			     &err))
			continue;
		input_accepted += ((Grpc__WriteStreamResponse *)reply)->len;
		protobuf_c_message_free_unpacked(reply, NULL);
	}
	if (is_done("close", close_stdin(h, "faulty", "faulty", &err), &err) &&
	    is_done("read", (int)read_all(h, false, "faulty", "faulty", out, sizeof(out), &err),
		    &err) &&
	    *out) {
		/* Without output, the program was not executed. */
		input_read = strtoull(out, NULL, 10);
		CHECK_EQ(input_read, input_accepted, "bytes read and bytes accepted");
	}
	(void)is_done("remove", remove_container(h, "faulty", &err), &err);
}

/* Without a failure, everything arrives. */
static void
input_after(struct harness *h)
{
	struct error err = ERROR_INIT;

	(void)remove_container(h, "faulty", &err);
	input_run(h);
	CHECK_EQ(input_read, (uint64_t)INPUT_PART * INPUT_PARTS);
}

/* A second RemoveContainer removes the container at the latest. */
static void
container_after(struct harness *h)
{
	struct error err = ERROR_INIT;
	char out[64];

	(void)remove_container(h, "faulty", &err);
	CHECK_OK(run_container(h, "faulty", SH("echo again"), out, sizeof(out), &err), &err,
		 "another of this name");
}

/* ---- files ---- */

static int
copy(struct harness *h, const char *path, uint32_t mode, const char *data, int64_t offset,
     int64_t size, struct error *err)
{
	Grpc__CopyFileRequest q = GRPC__COPY_FILE_REQUEST__INIT;

	q.path = (char *)(uintptr_t)path;
	q.file_mode = mode;
	q.dir_mode = 0750;
	q.file_size = size;
	q.offset = offset;
	q.data.data = (uint8_t *)(uintptr_t)data;
	q.data.len = strlen(data);
	return call(h, "CopyFile", &q, NULL, err);
}

static void
files_run(struct harness *h)
{
	static const char dir[] = SHARED "/containers/f-dir",
			  file[] = SHARED "/containers/f-dir/a/b",
			  link[] = SHARED "/containers/f-dir/link";
	struct error err = ERROR_INIT;

	(void)is_done("directory", copy(h, dir, S_IFDIR | 0755, "", 0, 0, &err), &err);
	(void)is_done("first part", copy(h, file, S_IFREG | 0644, "one", 0, 6, &err), &err);
	(void)is_done("last part", copy(h, file, S_IFREG | 0644, "two", 3, 6, &err), &err);
	(void)is_done("link", copy(h, link, S_IFLNK | 0777, "a/b", 0, 0, &err), &err);
	(void)is_done("link", copy(h, link, S_IFLNK | 0777, "a/c", 0, 0, &err), &err);
}

static void
files_after(struct harness *h)
{
	char path[64];
	auto_close int root = -1;
	auto_close int run = -1;
	struct error err = ERROR_INIT;

	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)h->agent);
	root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	run = path_try_open(root, "/run/kata-containers", O_PATH | O_DIRECTORY, 0,
			    PATH_FOLLOW_NONE);
	CHECK_OK(path_remove_tree(run, "shared", &err), &err);
}

/* ---- storages ---- */

/* Fields of requests are not const, and the agent does not see this one. */
static char *
str(const char *text)
{
	return (char *)(uintptr_t)text;
}

#define VOLUME SHARED "/containers/f-volume"
#define LAYERS "/run/kata-containers/faulty/layers"

static void
storages_before(struct harness *h)
{
	struct error err = ERROR_INIT;

	CHECK_OK(copy(h, VOLUME "/file", S_IFREG | 0644, "volume", 0, 6, &err), &err);
}

/* A container on a volume that is bound twice, once as a ConfigMap, and on an overlay over it with
 * a writable layer in memory and a directory that the agent makes. */
static void
storages_run(struct harness *h)
{
	static const char *const layers[] = { "lowerdir=" VOLUME ":" LAYERS, OVERLAY_RW_OPTION };
	static const char *const made[] = { OVERLAY_CREATE_OPTION LAYERS };
	static const char *const read_only[] = { "rbind", "ro" };
	Grpc__Storage storages[3], *list[ARRAY_LEN(storages)];
	Grpc__Mount mounts[ARRAY_LEN(storages)], *mount_list[16];
	Grpc__CreateContainerRequest *q;
	struct error err = ERROR_INIT;
	char out[256];
	struct arena a;

	arena_init(&a, 1 << 20);
	q = make_create(h, &a, "faulty",
			SH("cat /0/file /1/file /2/file && echo x >/2/new && read x"), false);
	memcpy(mount_list, q->oci->mounts, q->oci->n_mounts * sizeof(*mount_list));
	for (size_t i = 0; i < ARRAY_LEN(storages); i++) {
		static const char *const destinations[] = { "/0", "/1", "/2" };

		list[i] = &storages[i];
		grpc__storage__init(list[i]);
		storages[i].source = str(VOLUME);
		storages[i].fstype = str("bind");
		storages[i].options = (char **)(uintptr_t)read_only;
		storages[i].n_options = ARRAY_LEN(read_only);
		mount_list[q->oci->n_mounts++] = &mounts[i];
		grpc__mount__init(&mounts[i]);
		mounts[i].destination = str(destinations[i]);
		mounts[i].type = str("bind");
		mounts[i].options = (char **)(uintptr_t)read_only;
		/* A bind mount as the storage is. */
		mounts[i].n_options = 1;
	}
	storages[0].driver = str("bind");
	storages[0].mount_point = str("/run/kata-containers/faulty/volume");
	storages[1].driver = str("watchable-bind");
	storages[1].mount_point = str(SHARED "/containers/watchable/faulty");
	storages[2].driver = str("overlayfs");
	storages[2].source = storages[2].fstype = str("overlay");
	storages[2].mount_point = str("/run/kata-containers/faulty/overlay");
	storages[2].options = (char **)(uintptr_t)layers;
	storages[2].n_options = ARRAY_LEN(layers);
	storages[2].driver_options = (char **)(uintptr_t)made;
	storages[2].n_driver_options = ARRAY_LEN(made);
	for (size_t i = 0; i < ARRAY_LEN(storages); i++)
		mounts[i].source = storages[i].mount_point;
	q->oci->mounts = mount_list;
	q->storages = list;
	q->n_storages = ARRAY_LEN(storages);
	*volumes_text = '\0';
	if (is_done("create", call(h, "CreateContainer", q, NULL, &err), &err) &&
	    is_done("start", start(h, "faulty", &err), &err)) {
		(void)is_done("close", close_stdin(h, "faulty", "faulty", &err), &err);
		(void)is_done("wait", wait_process(h, "faulty", "faulty", &err), &err);
		if (is_done("read",
			    (int)read_all(h, false, "faulty", "faulty", out, sizeof(out), &err),
			    &err))
			(void)snprintf(volumes_text, sizeof(volumes_text), "%s", out);
		(void)is_done("remove", remove_container(h, "faulty", &err), &err);
	}
	if (err.code != ERROR_OK)
		(void)snprintf(volumes_text, sizeof(volumes_text), "%s", err.msg);
	arena_release(&a);
}

/* Another container of this name gets the same storages. */
static void
storages_after(struct harness *h)
{
	struct error err = ERROR_INIT;

	(void)remove_container(h, "faulty", &err);
	storages_before(h);
	storages_run(h);
	CHECK_STR(volumes_text, "volumevolumevolume");
	files_after(h);
}

/* ---- the network ---- */

static void
network_before(struct harness *h)
{
	(void)h;
	CHECK_EQ(mnl_add_link("net7", 7), 0, "no link");
}

static void
network_run(struct harness *h)
{
	const struct wanted w = { .mac = "02:00:00:00:00:07",
				  .name = "eth0",
				  .addresses = "10.0.0.2/24 fd00::2/64",
				  .mtu = 1400 };
	const struct route routes[] = {
		{ .dest = "", .gateway = "10.0.0.1", .device = "eth0" },
		{ .dest = "10.7.0.0/16", .gateway = "10.0.0.1", .device = "eth0" },
	};
	struct error err = ERROR_INIT;
	ProtobufCMessage *reply = NULL;
	Grpc__ListInterfacesRequest q = GRPC__LIST_INTERFACES_REQUEST__INIT;

	(void)is_done("UpdateInterface", update_interface(h, &w, &err), &err);
	(void)is_done("UpdateRoutes", update_routes(h, routes, ARRAY_LEN(routes), &err), &err);
	(void)is_done("ListInterfaces", call(h, "ListInterfaces", &q, &reply, &err), &err);
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

/* A repeated request succeeds after the failure. */
static void
network_after(struct harness *h)
{
	network_run(h);
	has(MNL_LINKS, "eth0 mac 02:00:00:00:00:07 mtu 1400 up");
	has(MNL_ADDRESSES, "eth0 10.0.0.2/24 brd 10.0.0.255");
	has(MNL_ROUTES, "10.7.0.0/16 via 10.0.0.1 dev eth0 scope 0");
	remove_links();
}

static const struct scenario scenarios[] = {
	{ "a container and an exec", NULL, container_run, container_after },
	{ "a container and an exec with terminals", NULL, terminal_run, container_after },
	{ "input of a container", NULL, input_run, input_after },
	{ "files", NULL, files_run, files_after },
	{ "a container with storages", storages_before, storages_run, storages_after },
	{ "interfaces and routes", network_before, network_run, network_after },
};

/* ---- the failures ---- */

struct failure {
	size_t kind;
	uint64_t k;
};

static uint64_t
run_once(struct harness *h, const struct scenario *s, const struct failure *f,
	 struct fault_hit *hit)
{
	uint64_t start_ns = monotonic_ns();

	if (s->before)
		s->before(h);
	sum.is_refused = false;
	faults_arm(h->faults, f->kind, f->k);
	s->run(h);
	sum.tried++;
	sum.happened += faults_disarm(h->faults, hit);
	sum.refused += sum.is_refused;
	start_ns = monotonic_ns() - start_ns;
	s->after(h);
	return start_ns / 1000000;
}

/* Injects one failure and checks the state after it. */
static void
try_failure(struct harness *h, const struct scenario *s, const struct failure *f,
	    const struct counts *before)
{
	unsigned int failures = h->failures;
	struct error err = ERROR_INIT;
	struct fault_hit hit;
	uint64_t ms;

	ms = run_once(h, s, f, &hit);
	CHECK_LT(ms, SLOW_MS, "it took %llu ms", (unsigned long long)ms);
	harness_check_leaks(h, before);
	CHECK_EQ(kill(h->agent, 0), 0, "the agent is gone");
	if (check_health(h->client, &err) < 0) {
		CHECK(false, "Check: %s", err.msg);
		ttrpc_client_free(h->client);
		h->client = ttrpc_client_dial(h->address, 5000, &err);
		if (!h->client) {
			printf("Bail out! the agent does not answer: %s\n", err.msg);
			exit(1);
		}
	}
	if (h->failures > failures)
		printf("#   after call %llu of \"%s\" failed: system call %d of process %d, %s\n",
		       (unsigned long long)f->k, fault_kinds[f->kind].name, hit.call, (int)hit.pid,
		       hit.process);
}

/* Tries `points` failures, spread evenly over the scenario's calls. At least half must have
 * occurred: the number of calls varies between runs, but not by more. */
static void
try_all(struct harness *h, const struct scenario *s, uint64_t points)
{
	uint64_t seen[64] = { 0 }, total = 0, step, at = 0;
	struct failure none = { 0, 0 };
	struct fault_hit hit;
	const char *only = getenv("KIND");
	struct counts before;

	harness_settle(h, &before);
	run_once(h, s, &none, &hit);
	harness_check_leaks(h, &before);
	memset(&sum, 0, sizeof(sum));
	for (size_t i = 0; i < n_fault_kinds; i++) {
		if (h->is_product || strcmp(fault_kinds[i].name, FAULT_MEMORY) != 0)
			total += seen[i] = faults_seen(h->faults, i);
	}
	step = points > 0 && points < total ? total / points : 1;
	for (size_t i = 0; i < n_fault_kinds; i++) {
		for (uint64_t k = 1; k <= seen[i]; k++, at++) {
			const struct failure f = { i, k };

			if (at % step != 0 || (only && !strstr(fault_kinds[i].name, only)))
				continue;
			try_failure(h, s, &f, &before);
		}
	}
	printf("# %s: %llu calls, %zu injected failures, %zu occurred, %zu reported by a reply\n",
	       s->name, (unsigned long long)total, sum.tried, sum.happened, sum.refused);
	CHECK_GE(sum.happened * 2, sum.tried, "fewer than half of the failures occurred");
}

int
main(void)
{
	const char *only = getenv("ONLY"), *points = getenv("POINTS");
	struct harness h = { .install = faults_install, .listen = faults_listen };
	unsigned int failed = 0, n = 0;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	h.faults = faults_new();
	if (!h.faults)
		return 1;
	harness_start(&h);
	for (size_t i = 0; i < ARRAY_LEN(scenarios); i++) {
		char title[128];

		(void)snprintf(title, sizeof(title), "%s: every system call may fail",
			       scenarios[i].name);
		if (only && *only && !strstr(title, only))
			continue;
		h.failures = 0;
		try_all(&h, &scenarios[i], points ? strtoull(points, NULL, 10) : POINTS);
		printf("%sok - %s\n", h.failures ? "not " : "", title);
		failed += h.failures != 0;
		n++;
	}
	h.faults = NULL;
	failed += harness_stop(&h);
	printf("1..%u\n", n + h.n_run);
	return failed != 0;
}
