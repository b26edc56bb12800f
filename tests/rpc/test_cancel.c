/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls cancelled while they are under way: their connection closes, or timeout_nano expires.
 * Waiting and reading calls leave nothing; changes are completed (lib/pending.h). harness_stop()
 * tests DestroySandbox.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "tests/rpc/net.h"

/* more than a pipe holds */
#define WRITE_SIZE (1u << 20)
#define TIMEOUT_MS 50

/* Ways to cancel a call. */
enum how {
	/* by closing the connection once the agent has parked the call */
	HOW_DROP,
	/* by timeout_nano */
	HOW_TIMEOUT,
	/* by closing the connection right after the request: no worker can have ended before */
	HOW_AT_ONCE,
};

static char *
str(const char *text)
{
	return (char *)(uintptr_t)text;
}

static void
time_out(struct harness *h, const char *method, const void *request)
{
	struct error err = ERROR_INIT;
	uint32_t id = ttrpc_client_start(h->client, &grpc__agent_service__descriptor, method,
					 request, TIMEOUT_MS * 1000000ll, NULL, NULL, &err);

	CHECK_NE(id, 0, "%s: %s", method, err.msg);
	CHECK(ttrpc_client_wait(h->client, id, 10000, NULL, &err) < 0 &&
		      err.code == ERROR_DEADLINE_EXCEEDED && strcmp(err.msg, "timeout") == 0,
	      "%s: code %d: %s", method, err.code, err.msg);
}

static void
give_up(struct harness *h, const char *method, const void *request, enum how how)
{
	struct error err = ERROR_INIT;
	struct ttrpc_client *other;

	if (how == HOW_TIMEOUT) {
		time_out(h, method, request);
		return;
	}
	other = ttrpc_client_dial(h->address, 5000, &err);
	CHECK(other && check_health(other, &err) == 0, "%s: %s", method, err.msg);
	if (!other)
		return;
	if (how == HOW_AT_ONCE)
		CHECK_EQ(kill(h->agent, SIGSTOP), 0, "the agent does not stop");
	CHECK_NE(ttrpc_client_start(other, &grpc__agent_service__descriptor, method, request, 0,
				    NULL, NULL, &err),
		 0, "%s: %s", method, err.msg);
	if (how == HOW_DROP) {
		CHECK_EQ(check_health(other, &err), 0, "%s: %s", method, err.msg);
		CHECK_EQ(ttrpc_client_n_pending(other), 1, "%s did not wait", method);
	}
	ttrpc_client_free(other);
	if (how == HOW_AT_ONCE)
		CHECK_EQ(kill(h->agent, SIGCONT), 0, "the agent does not continue");
}

/* Cancels the call and checks for leftovers. */
static void
leaves_nothing(struct harness *h, const char *method, const void *request, enum how how)
{
	struct counts before;

	harness_settle(h, &before);
	give_up(h, method, request, how);
	if (!harness_check_leaks(h, &before))
		printf("# after %s, cancelled in way %d\n", method, how);
}

static void
waiting(struct harness *h)
{
	Grpc__WaitProcessRequest wait = GRPC__WAIT_PROCESS_REQUEST__INIT;
	Grpc__ReadStreamRequest read = GRPC__READ_STREAM_REQUEST__INIT;
	Grpc__WriteStreamRequest write = GRPC__WRITE_STREAM_REQUEST__INIT;
	Grpc__GetOOMEventRequest oom = GRPC__GET_OOMEVENT_REQUEST__INIT;
	Grpc__OnlineCPUMemRequest online = GRPC__ONLINE_CPUMEM_REQUEST__INIT;
	Grpc__AddSwapRequest swap = GRPC__ADD_SWAP_REQUEST__INIT;
	const struct wanted nowhere = { .mac = "02:00:00:00:00:97", .name = "eth7" };
	struct interface *interface = calloc(1, sizeof(*interface));
	uint32_t slot = 0x1e;
	const struct {
		const char *method;
		const void *request;
	} rows[] = {
		{ "WaitProcess", &wait }, { "ReadStdout", &read },
		{ "ReadStderr", &read },  { "WriteStdin", &write },
		{ "GetOOMEvent", &oom },  { "OnlineCPUMem", &online },
		{ "AddSwap", &swap },     { "UpdateInterface", &interface->q },
	};
	struct error err = ERROR_INIT;

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	wait.container_id = read.container_id = write.container_id = str("c1");
	wait.exec_id = read.exec_id = write.exec_id = str("c1");
	read.len = 100;
	write.data.len = WRITE_SIZE;
	write.data.data = calloc(1, WRITE_SIZE);
	online.nb_cpus = 60000;
	online.cpu_only = true;
	swap.pcipath = &slot;
	swap.n_pcipath = 1;
	make_interface(interface, &nowhere);
	for (enum how how = HOW_DROP; how <= HOW_AT_ONCE; how++)
		for (size_t i = 0; i < ARRAY_LEN(rows); i++)
			leaves_nothing(h, rows[i].method, rows[i].request, how);
	/* The streams are still available to others. */
	CHECK_OK(kill_process(h, "c1", "c1", SIGKILL, &err), &err);
	CHECK_EQ(wait_process(h, "c1", "c1", &err), 128 + SIGKILL, "%s", err.msg);
	CHECK_OK(remove_container(h, "c1", &err), &err);
	free(write.data.data);
	free(interface);
}

static void
reading(struct harness *h)
{
	Grpc__StatsContainerRequest stats = GRPC__STATS_CONTAINER_REQUEST__INIT;
	Grpc__GetMetricsRequest metrics = GRPC__GET_METRICS_REQUEST__INIT;
	Grpc__ListInterfacesRequest interfaces = GRPC__LIST_INTERFACES_REQUEST__INIT;
	Grpc__ListRoutesRequest routes = GRPC__LIST_ROUTES_REQUEST__INIT;
	Grpc__GetIPTablesRequest iptables = GRPC__GET_IPTABLES_REQUEST__INIT;
	Grpc__VolumeStatsRequest volume = GRPC__VOLUME_STATS_REQUEST__INIT;
	Grpc__RemoveStaleVirtiofsShareMountsRequest stale =
		GRPC__REMOVE_STALE_VIRTIOFS_SHARE_MOUNTS_REQUEST__INIT;
	const struct {
		const char *method;
		const void *request;
	} rows[] = {
		{ "StatsContainer", &stats },
		{ "GetMetrics", &metrics },
		{ "ListInterfaces", &interfaces },
		{ "ListRoutes", &routes },
		{ "GetIPTables", &iptables },
		{ "GetVolumeStats", &volume },
		{ "RemoveStaleVirtiofsShareMounts", &stale },
	};
	struct error err = ERROR_INIT;

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	stats.container_id = str("c1");
	volume.volume_guest_path = str("/");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		leaves_nothing(h, rows[i].method, rows[i].request, HOW_AT_ONCE);
	CHECK_OK(remove_container(h, "c1", &err), &err);
}

/* The container does not exist afterwards, whatever state its creation had reached. */
static void
creating(struct harness *h)
{
	Grpc__Hook hook = GRPC__HOOK__INIT, *hook_list[] = { &hook };
	Grpc__Hooks hooks = GRPC__HOOKS__INIT;
	Grpc__Device device = GRPC__DEVICE__INIT, *devices[] = { &device };
	Grpc__Storage storage = GRPC__STORAGE__INIT, *storages[] = { &storage };
	Grpc__CreateContainerRequest *q;
	struct error err = ERROR_INIT;
	struct arena a;

	hook.path = str("/bin/sh");
	hook.args = (char **)(uintptr_t)ARGS("sh", "-c", "exec sleep 60");
	hook.n_args = 3;
	hooks.createruntime = hook_list;
	device.type = str("mmioblk");
	device.vm_path = str("/dev/vdzz");
	device.container_path = str("/dev/disk");
	storage.driver = str("blk");
	storage.source = str("/dev/vdzz");
	storage.fstype = str("ext4");
	storage.mount_point = str("/run/kata-containers/sandbox/storage/cancelled");
	arena_init(&a, 1 << 20);
	q = make_create(h, &a, "c1", ARGS("/bin/true"), false);
	q->storages = storages;
	q->devices = devices;
	q->oci->hooks = &hooks;
	for (enum how how = HOW_DROP; how <= HOW_AT_ONCE; how++) {
		/* Waits for a storage's device, for a device of its own, for a hook. */
		q->n_storages = 1;
		q->n_devices = 0;
		hooks.n_createruntime = 0;
		leaves_nothing(h, "CreateContainer", q, how);
		q->n_storages = 0;
		q->n_devices = 1;
		leaves_nothing(h, "CreateContainer", q, how);
		q->n_devices = 0;
		hooks.n_createruntime = 1;
		leaves_nothing(h, "CreateContainer", q, how);
	}
	arena_release(&a);
	CHECK_OK(run_container(h, "c1", ARGS("/bin/true"), (char[64]){ 0 }, 64, &err), &err);
}

/* Creates a container whose hook at this point of its life takes that long. */
static void
create_with_hook(struct harness *h, const char *id, bool at_start, const char *script)
{
	Grpc__Hook hook = GRPC__HOOK__INIT, *list[] = { &hook };
	Grpc__Hooks hooks = GRPC__HOOKS__INIT;
	Grpc__CreateContainerRequest *q;
	struct error err = ERROR_INIT;
	struct arena a;

	hook.path = str("/bin/sh");
	hook.args = (char **)(uintptr_t)ARGS("sh", "-c", script);
	hook.n_args = 3;
	hooks.poststart = hooks.poststop = list;
	hooks.n_poststart = at_start;
	hooks.n_poststop = !at_start;
	arena_init(&a, 1 << 20);
	q = make_create(h, &a, id, SH("sleep 3600"), false);
	q->oci->hooks = &hooks;
	CHECK_EQ(call(h, "CreateContainer", q, NULL, &err), 0, "%s: %s", id, err.msg);
	arena_release(&a);
}

/* A start that is cancelled in a hook ends the container. */
static void
starting(struct harness *h)
{
	Grpc__StartContainerRequest q = GRPC__START_CONTAINER_REQUEST__INIT;
	struct error err = ERROR_INIT;

	q.container_id = str("c1");
	for (enum how how = HOW_DROP; how <= HOW_AT_ONCE; how++) {
		create_with_hook(h, "c1", true, "exec sleep 60");
		give_up(h, "StartContainer", &q, how);
		/* killed, or the end of its gate came first */
		CHECK_GT(wait_process(h, "c1", "c1", &err), 0, "way %d: %s", how, err.msg);
		CHECK_EQ(remove_container(h, "c1", &err), 0, "way %d: %s", how, err.msg);
	}
}

/* A process without a waiting caller does not run, and its exec id is free. */
static void
executing(struct harness *h)
{
	Grpc__ExecProcessRequest q = GRPC__EXEC_PROCESS_REQUEST__INIT;
	Grpc__CreateContainerRequest *container;
	struct error err = ERROR_INIT;
	struct arena a;

	CHECK_OK(create_start(h, "c1", SH("sleep 3600"), &err), &err);
	arena_init(&a, 1 << 20);
	container = make_create(h, &a, "c2", SH("sleep 3600"), false);
	q.container_id = str("c1");
	q.exec_id = str("e1");
	q.process = container->oci->process;
	for (int i = 0; i < 4; i++)
		leaves_nothing(h, "ExecProcess", &q, HOW_AT_ONCE);
	CHECK_OK(exec(h, "c1", "e1", SH("exit 7"), false, &err), &err);
	CHECK_EQ(wait_process(h, "c1", "e1", &err), 7, "%s", err.msg);
	CHECK_OK(remove_container(h, "c1", &err), &err);
	arena_release(&a);
}

/* Changes to a container are completed without a waiting caller. */
static void
changing(struct harness *h)
{
	Grpc__PauseContainerRequest pause = GRPC__PAUSE_CONTAINER_REQUEST__INIT;
	Grpc__ResumeContainerRequest resume = GRPC__RESUME_CONTAINER_REQUEST__INIT;
	Grpc__RemoveContainerRequest removal = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
	struct error err = ERROR_INIT;

	pause.container_id = resume.container_id = removal.container_id = str("c1");
	for (enum how how = HOW_DROP; how <= HOW_AT_ONCE; how++) {
		create_with_hook(h, "c1", false, "exec sleep 1");
		CHECK_OK(start(h, "c1", &err), &err);
		give_up(h, "PauseContainer", &pause, HOW_AT_ONCE);
		/* The next call waits for its turn. */
		CHECK(call(h, "PauseContainer", &pause, NULL, &err) < 0 &&
			      strstr(err.msg, "is paused"),
		      "it was not paused: %s", err.msg);
		give_up(h, "ResumeContainer", &resume, HOW_AT_ONCE);
		CHECK_OK(exec(h, "c1", "e1", SH("exit 7"), false, &err), &err, "not resumed");
		CHECK_EQ(wait_process(h, "c1", "e1", &err), 7, "%s", err.msg);
		give_up(h, "RemoveContainer", &removal, how);
		CHECK_FAILS(remove_container(h, "c1", &err), &err, ERROR_INVALID_ARGUMENT,
			    "not found", "way %d: it was not removed: %s", how, err.msg);
	}
}

/* A whole copy, and changes of volumes without effect. */
static void
copying(struct harness *h)
{
	static char *options[] = { (char *)"remount", (char *)"size=1M" };
	Grpc__CopyFileRequest copy = GRPC__COPY_FILE_REQUEST__INIT;
	Grpc__UpdateEphemeralMountsRequest update = GRPC__UPDATE_EPHEMERAL_MOUNTS_REQUEST__INIT;
	Grpc__ResizeVolumeRequest resize = GRPC__RESIZE_VOLUME_REQUEST__INIT;
	Grpc__AddSwapPathRequest swap = GRPC__ADD_SWAP_PATH_REQUEST__INIT;
	Grpc__Storage storage = GRPC__STORAGE__INIT, *storages[] = { &storage };
	struct error err = ERROR_INIT;

	copy.path = str("/run/kata-containers/shared/containers/cancelled");
	copy.file_mode = 0644;
	copy.file_size = 5;
	copy.data.data = (uint8_t *)str("hello");
	copy.data.len = 5;
	storage.driver = str("ephemeral");
	storage.fstype = str("tmpfs");
	storage.mount_point = str("/run/kata-containers/sandbox/ephemeral/none");
	storage.options = options;
	storage.n_options = ARRAY_LEN(options);
	update.storages = storages;
	update.n_storages = 1;
	resize.volume_guest_path = str("/proc");
	swap.path = str("/run/kata-containers/no-swap");
	leaves_nothing(h, "UpdateEphemeralMounts", &update, HOW_AT_ONCE);
	leaves_nothing(h, "ResizeVolume", &resize, HOW_AT_ONCE);
	leaves_nothing(h, "AddSwapPath", &swap, HOW_AT_ONCE);
	for (int i = 0; i < 8; i++)
		give_up(h, "CopyFile", &copy, HOW_AT_ONCE);
	/* This call follows the completed ones. */
	CHECK_OK(call(h, "CopyFile", &copy, NULL, &err), &err);
	remove_copies(h);
}

const struct test tests_cancel[] = {
	{ "cancelled: waiting calls", waiting },
	{ "cancelled: reading calls", reading },
	{ "cancelled: CreateContainer", creating },
	{ "cancelled: StartContainer", starting },
	{ "cancelled: ExecProcess", executing },
	{ "cancelled: changes to a container", changing },
	{ "cancelled: copies and volumes", copying },
};
const size_t n_tests_cancel = ARRAY_LEN(tests_cancel);
