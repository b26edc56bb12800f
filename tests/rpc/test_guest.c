/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest as a whole, as far as it can be tested on this machine without changing it: refused
 * calls, metrics and their cost, termination messages.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/sandbox/diagnostic.h"
#include "health.pb-c.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/version.h"
#include "tests/rpc/harness.h"
#include "tests/support/soak.h"

#define RSS_GROWTH_KIB 64

/* Checks that the call fails with this code and text. */
static void
expect_refusal(struct harness *h, const char *method, const void *request, enum error_code code,
	       const char *text)
{
	struct error err = ERROR_INIT;

	CHECK_LT(call(h, method, request, NULL, &err), 0, "%s was done", method);
	CHECK(err.code == code && strstr(err.msg, text), "%s: %s %s, not %s", method,
	      error_code_name(err.code), err.msg, text);
}

static void
refusals(struct harness *h)
{
	Grpc__SetGuestDateTimeRequest time = GRPC__SET_GUEST_DATE_TIME_REQUEST__INIT;
	Grpc__ReseedRandomDevRequest reseed = GRPC__RESEED_RANDOM_DEV_REQUEST__INIT;
	Grpc__MemHotplugByProbeRequest probe = GRPC__MEM_HOTPLUG_BY_PROBE_REQUEST__INIT;
	Grpc__MemAgentMemcgConfig memcg = GRPC__MEM_AGENT_MEMCG_CONFIG__INIT;
	Grpc__MemAgentCompactConfig compact = GRPC__MEM_AGENT_COMPACT_CONFIG__INIT;
	Grpc__GetDiagnosticDataRequest words = GRPC__GET_DIAGNOSTIC_DATA_REQUEST__INIT;
	struct error err = ERROR_INIT;

	time.sec = -1;
	expect_refusal(h, "SetGuestDateTime", &time, ERROR_INVALID_ARGUMENT, "-1 s");
	time.sec = 1;
	time.usec = 1000000;
	expect_refusal(h, "SetGuestDateTime", &time, ERROR_INVALID_ARGUMENT, "1000000 us");
	expect_refusal(h, "ReseedRandomDev", &reseed, ERROR_INVALID_ARGUMENT,
		       "missing entropy data");
	CHECK_OK(call(h, "MemHotplugByProbe", &probe, NULL, &err), &err, "no address");
	expect_refusal(h, "MemAgentMemcgSet", &memcg, ERROR_INTERNAL, "mem-agent is disabled");
	expect_refusal(h, "MemAgentCompactSet", &compact, ERROR_INTERNAL, "mem-agent is disabled");
	words.log_type = (char *)"core_dump";
	expect_refusal(h, "GetDiagnosticData", &words, ERROR_INVALID_ARGUMENT, "core_dump");
	words.log_type = (char *)"termination_log";
	words.container_id = (char *)"nobody";
	expect_refusal(h, "GetDiagnosticData", &words, ERROR_INVALID_ARGUMENT,
		       "container nobody not found");
}

/* Existing processors, and more than can ever exist; a cancelled call leaves nothing. */
static void
processors(struct harness *h)
{
	Grpc__OnlineCPUMemRequest q = GRPC__ONLINE_CPUMEM_REQUEST__INIT;
	struct error err = ERROR_INIT;
	struct ttrpc_client *other;

	q.cpu_only = true;
	CHECK_OK(call(h, "OnlineCPUMem", &q, NULL, &err), &err);
	q.nb_cpus = 1;
	CHECK_OK(call(h, "OnlineCPUMem", &q, NULL, &err), &err);
	q.nb_cpus = 60000;
	expect_refusal(h, "OnlineCPUMem", &q, ERROR_INTERNAL, "of 60000 processors are online");
	other = ttrpc_client_dial(h->address, 5000, &err);
	CHECK(other, "%s", err.msg);
	for (int i = 0; other && i < 20; i++)
		(void)ttrpc_client_start(other, &grpc__agent_service__descriptor, "OnlineCPUMem",
					 &q.base, 0, NULL, NULL, &err);
	CHECK(other && check_health(other, &err) == 0, "%s", err.msg);
	ttrpc_client_free(other);
}

/* Returns the number of a line, or -1. */
static long long
value_of(const char *text, const char *line)
{
	long long value;

	for (const char *p = text; (p = strstr(p, line)) != NULL; p++) {
		if ((p == text || p[-1] == '\n') && sscanf(p + strlen(line), " %lld", &value) == 1)
			return value;
	}
	return -1;
}

static int
scrape(struct harness *h, ProtobufCMessage **reply, struct error *err)
{
	Grpc__GetMetricsRequest q = GRPC__GET_METRICS_REQUEST__INIT;

	return call(h, "GetMetrics", &q, reply, err);
}

static void
metrics_of_the_agent(struct harness *h)
{
	long long scrapes = 0;
	struct error err = ERROR_INIT;

	for (int i = 0; i < 2; i++) {
		ProtobufCMessage *reply = NULL;
		const char *text;

		CHECK_OK(scrape(h, &reply, &err), &err);
		if (!reply)
			return;
		text = ((Grpc__Metrics *)reply)->metrics;
		CHECK_EQ(value_of(text, "kata_agent_threads"), 1, "one thread");
		CHECK_GT(value_of(text, "kata_agent_total_rss"), 100000, "%.400s", text);
		CHECK_GT(value_of(text, "kata_agent_fds"), 5, "descriptors");
		CHECK_GT(value_of(text, "kata_guest_meminfo{item=\"mem_total\"}"), 1 << 20,
			 "memory of the machine");
		CHECK_LACKS(text, "kata_agent_mem_agent", "there is no memory agent");
		if (i == 1)
			CHECK_EQ(value_of(text, "kata_agent_scrape_count"), scrapes + 1,
				 "the count");
		scrapes = value_of(text, "kata_agent_scrape_count");
		protobuf_c_message_free_unpacked(reply, NULL);
	}
}

/* Calls that wait at the same time are answered from the same reading, so the work does not grow
 * with the number of callers. Each reading has another count. */
static void
metrics_for_many(struct harness *h)
{
	enum { CALLS = 100 };
	Grpc__GetMetricsRequest q = GRPC__GET_METRICS_REQUEST__INIT;
	struct error err = ERROR_INIT;
	long long last = 0, first = 0;
	uint32_t calls[CALLS];
	int readings = 0;

	CHECK_EQ(kill(h->agent, SIGSTOP), 0);
	for (int i = 0; i < CALLS; i++)
		calls[i] = ttrpc_client_start(h->client, &grpc__agent_service__descriptor,
					      "GetMetrics", &q.base, 0, NULL, NULL, &err);
	CHECK_EQ(kill(h->agent, SIGCONT), 0);
	for (int i = 0; i < CALLS; i++) {
		ProtobufCMessage *reply = NULL;
		long long count;

		CHECK_EQ(ttrpc_client_wait(h->client, calls[i], 60000, &reply, &err), 0, "%d: %s",
			 i, err.msg);
		if (!reply)
			return;
		count = value_of(((Grpc__Metrics *)reply)->metrics, "kata_agent_scrape_count");
		first = i == 0 ? count : first;
		/* No reply is older than its call. */
		CHECK_GE(count, first + i, "call %d", i);
		readings += count != last;
		last = count;
		protobuf_c_message_free_unpacked(reply, NULL);
	}
	printf("# %d calls, %d readings\n", CALLS, readings);
	CHECK_LE(readings, CALLS / 4, "readings for %d calls", CALLS);
}

/* The scrapes of twenty hours at one per second, without pauses: nothing grows. */
static void
many_scrapes(struct harness *h)
{
	int n = h->soak && h->is_product ? (int)soak_count(72000) : 200;
	struct error err = ERROR_INIT;
	struct counts before, after;
	uint64_t begin;

	/* warm up */
	for (int i = 0; i < 50; i++)
		CHECK_OK(scrape(h, NULL, &err), &err);
	harness_settle(h, &before);
	begin = monotonic_ns();
	for (int i = 0; i < n && !h->failures; i++)
		CHECK_EQ(scrape(h, NULL, &err), 0, "scrape %d: %s", i, err.msg);
	harness_settle(h, &after);
	printf("# %d scrapes, %llu us each; RSS %llu -> %llu KiB\n", n,
	       (unsigned long long)((monotonic_ns() - begin) / 1000 / (uint64_t)n),
	       (unsigned long long)before.rss_kib, (unsigned long long)after.rss_kib);
	if (h->is_product)
		CHECK_LE(after.rss_kib, before.rss_kib + RSS_GROWTH_KIB,
			 "RSS grew from %llu to %llu KiB", (unsigned long long)before.rss_kib,
			 (unsigned long long)after.rss_kib);
}

/* ---- termination messages ---- */

/* Creates a container with `source` as the file of its termination message; it is never started. */
static void
create_with_words(struct harness *h, const char *id, const char *source, struct error *err)
{
	Grpc__Spec__AnnotationsEntry annotation = GRPC__SPEC__ANNOTATIONS_ENTRY__INIT;
	Grpc__Spec__AnnotationsEntry *annotations[] = { &annotation };
	Grpc__Mount mount = GRPC__MOUNT__INIT;
	Grpc__CreateContainerRequest *q;
	char *options[] = { (char *)"bind" };
	Grpc__Mount **mounts;
	struct arena a;

	arena_init(&a, 1 << 20);
	q = make_create(h, &a, id, SH("true"), false);
	mounts = q ? arena_zalloc(&a, q->oci->n_mounts + 1, sizeof(*mounts)) : NULL;
	CHECK(mounts, "memory");
	if (!mounts)
		return;
	memcpy(mounts, q->oci->mounts, q->oci->n_mounts * sizeof(*mounts));
	mounts[q->oci->n_mounts++] = &mount;
	q->oci->mounts = mounts;
	mount.destination = (char *)"/dev/termination-log";
	mount.type = (char *)"bind";
	mount.source = (char *)(uintptr_t)source;
	mount.options = options;
	mount.n_options = 1;
	annotation.key = (char *)"io.kubernetes.container.terminationMessagePath";
	annotation.value = mount.destination;
	q->oci->annotations = annotations;
	q->oci->n_annotations = 1;
	CHECK_OK(call(h, "CreateContainer", q, NULL, err), err);
	arena_release(&a);
}

static void
put_file(const char *path, const char *bytes, size_t n)
{
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write_full(fd, bytes, n) == 0, "%s: %s", path, strerror(errno));
}

static void
expect_words(struct harness *h, const char *id, const char *want, size_t len)
{
	Grpc__GetDiagnosticDataRequest q = GRPC__GET_DIAGNOSTIC_DATA_REQUEST__INIT;
	ProtobufCMessage *reply = NULL;
	struct error err = ERROR_INIT;
	const char *data;

	q.log_type = (char *)"termination_log";
	q.container_id = (char *)(uintptr_t)id;
	CHECK_OK(call(h, "GetDiagnosticData", &q, &reply, &err), &err);
	if (!reply)
		return;
	data = ((Grpc__GetDiagnosticDataResponse *)reply)->data;
	CHECK(strlen(data) == len && strncmp(data, want, len) == 0, "\"%.80s\" (%zu bytes)", data,
	      strlen(data));
	protobuf_c_message_free_unpacked(reply, NULL);
}

static void
last_words(struct harness *h)
{
	static const char path[] = "/run/words", bytes[] = "so \xff\0long\n";
	Grpc__GetDiagnosticDataRequest q = GRPC__GET_DIAGNOSTIC_DATA_REQUEST__INIT;
	struct error err = ERROR_INIT;
	char many[TERMINATION_MAX + 100];

	put_file(path, "", 0);
	create_with_words(h, "w1", path, &err);
	expect_words(h, "w1", "", 0);
	put_file(path, bytes, sizeof(bytes) - 1);
	expect_words(h, "w1", "so \xef\xbf\xbd\xef\xbf\xbdlong\n", 14);
	memset(many, 'x', sizeof(many));
	put_file(path, many, sizeof(many));
	expect_words(h, "w1", many, TERMINATION_MAX);
	q.log_type = (char *)"termination_log";
	q.container_id = (char *)"w1";
	/* Replacements of the file on the guest's side: none is followed, opened or waited for. */
	CHECK(unlink(path) == 0 && symlink("/etc/passwd", path) == 0, "%s", strerror(errno));
	expect_refusal(h, "GetDiagnosticData", &q, ERROR_INTERNAL, "ymbolic link");
	CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0, "%s", strerror(errno));
	expect_refusal(h, "GetDiagnosticData", &q, ERROR_FAILED_PRECONDITION, "not a regular file");
	CHECK_EQ(unlink(path), 0, "%s", strerror(errno));
	expect_words(h, "w1", "", 0);
	CHECK_OK(remove_container(h, "w1", &err), &err);
	CHECK_OK(create(h, "w2", SH("true"), &err), &err);
	q.container_id = (char *)"w2";
	expect_refusal(h, "GetDiagnosticData", &q, ERROR_NOT_FOUND, "no mount");
	CHECK_OK(remove_container(h, "w2", &err), &err);
}

/* Version and GetGuestDetails name the program that --version names. */
static void
versions(struct harness *h)
{
	Grpc__CheckRequest check = GRPC__CHECK_REQUEST__INIT;
	Grpc__GuestDetailsRequest q = GRPC__GUEST_DETAILS_REQUEST__INIT;
	const Grpc__VersionCheckResponse *version;
	const Grpc__GuestDetailsResponse *details;
	ProtobufCMessage *reply = NULL;
	struct error err = ERROR_INIT;

	CHECK_OK(ttrpc_client_call(h->client, &grpc__health__descriptor, "Version", &check.base,
				   5000, &reply, &err),
		 &err);
	version = (const Grpc__VersionCheckResponse *)reply;
	CHECK(version && strcmp(version->agent_version, tatami_version) == 0, "%s",
	      version ? version->agent_version : "no reply");
	CHECK(version && strcmp(version->grpc_version, TATAMI_API_VERSION) == 0, "%s",
	      version ? version->grpc_version : "no reply");
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
	reply = NULL;
	CHECK_OK(call(h, "GetGuestDetails", &q, &reply, &err), &err);
	details = (const Grpc__GuestDetailsResponse *)reply;
	CHECK(details && details->agent_details &&
		      strcmp(details->agent_details->version, tatami_version) == 0,
	      "the version in the details");
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

const struct test tests_guest[] = {
	{ "the guest: versions", versions },
	{ "the guest: refused calls", refusals },
	{ "the guest: processors", processors },
	{ "metrics of the agent", metrics_of_the_agent },
	{ "one reading of the metrics for many calls", metrics_for_many },
	{ "many scrapes without growth of memory", many_scrapes },
	{ "termination messages", last_words },
};
const size_t n_tests_guest = ARRAY_LEN(tests_guest);
