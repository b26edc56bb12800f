/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion of JSON to messages and back, and errors for invalid documents. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "agent.pb-c.h"
#include "ctl/json/base64.h"
#include "ctl/json/json.h"
#include "health.pb-c.h"
#include "tests/support/check.h"

#define CREATE    &grpc__create_container_request__descriptor
#define EXEC      &grpc__exec_process_request__descriptor
#define WRITE     &grpc__write_stream_request__descriptor
#define MEMCG     &grpc__mem_agent_memcg_config__descriptor
#define INTERFACE &grpc__update_interface_request__descriptor
#define TIME      &grpc__set_guest_date_time_request__descriptor
#define SIGNAL    &grpc__signal_process_request__descriptor
#define VOLUME    &grpc__resize_volume_request__descriptor
#define STATS     &grpc__stats_container_response__descriptor
#define PROBE     &grpc__mem_hotplug_by_probe_request__descriptor

/* A document and its round-trip result, which defaults to the document itself. */
struct good_row {
	const ProtobufCMessageDescriptor *desc;
	const char *json;
	/* hex */
	const char *wire;
};

static const struct good_row good_rows[] = {
	{ SIGNAL, "{}", "" },
	{ SIGNAL, "{\"container_id\": \"c1\", \"signal\": 9}", "0a0263311809" },
	{ SIGNAL, "{\"container_id\": \"c1\", \"exec_id\": null}", "0a026331" },
	{ SIGNAL, "{\"signal\": \"4294967295\"}", "18ffffffff0f" },
	{ TIME, "{\"Sec\": -1, \"Usec\": \"9223372036854775807\"}",
	  "08ffffffffffffffffff0110ffffffffffffffff7f" },
	{ VOLUME, "{\"size\": \"18446744073709551615\"}", "10ffffffffffffffffff01" },
	{ WRITE, "{\"data\": \"aGVsbG8K\"}", "1a0668656c6c6f0a" },
	{ WRITE, "{\"data\": \"\"}", "" },
	{ PROBE, "{\"memHotplugProbeAddr\": [1, \"2\", 300]}", "0a040102ac02" },
	{ PROBE, "{\"memHotplugProbeAddr\": []}", "" },
	{ INTERFACE, "{\"interface\": {\"IPAddresses\": [{\"family\": \"v6\"}, {\"family\": 0}]}}",
	  "0a061a0208011a00" },
	{ MEMCG, "{\"disabled\": false, \"swap\": true}", "08001001" },
	{ MEMCG, "{\"swappiness_max\": 0}", "1800" },
	{ CREATE, "{\"OCI\": {\"Annotations\": {\"k\": \"v\"}}}", "32083a060a016b120176" },
	{ CREATE, "{\"OCI\": {\"Process\": {\"Args\": [\"a\", \"\"], \"User\": {\"UID\": 5}}}}",
	  "320b1209"
	  "1a020805"
	  "220161"
	  "2200" },
	{ CREATE, "{\"OCI\": {\"Linux\": {\"Seccomp\": {\"Syscalls\": [{\"errnoret\": 0}, {}]}}}}",
	  "320a4208420622021800"
	  "2200" },
	{ STATS, "{\"cgroup_stats\": {\"hugetlb_stats\": {\"2MB\": {\"usage\": 4096}}}}",
	  "0a0c2a0a0a03324d421203088020" },
};

static void
hex(const uint8_t *data, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", data[i]);
	out[2 * n] = '\0';
}

Test(json, valid)
{
	for (size_t i = 0; i < sizeof(good_rows) / sizeof(good_rows[0]); i++) {
		const struct good_row *row = &good_rows[i];
		struct error err = ERROR_INIT;
		json_t *json = json_loads(row->json, 0, NULL), *back, *expect;
		ProtobufCMessage *m, *again;
		uint8_t wire[256], wire2[256];
		char text[513];
		size_t n;

		REQUIRE_NE(json, NULL, "%s", row->json);
		m = json_to_message(row->desc, json, &err);
		REQUIRE_NE(m, NULL, "%s: %s", row->json, err.msg);
		n = protobuf_c_message_pack(m, wire);
		hex(wire, n, text);
		CHECK_STR(text, row->wire, "%s: %s", row->json, text);

		/* Convert back to JSON and to a message once more. */
		back = json_from_message(m, &err);
		REQUIRE_NE(back, NULL, "%s: %s", row->json, err.msg);
		again = json_to_message(row->desc, back, &err);
		REQUIRE_NE(again, NULL, "%s: %s", row->json, err.msg);
		CHECK_EQ(protobuf_c_message_pack(again, wire2), n);
		CHECK_BYTES(wire, wire2, n, "%s", row->json);
		expect = json_from_message(again, &err);
		CHECK(json_equal(back, expect), "%s", row->json);
		json_decref(expect);
		protobuf_c_message_free_unpacked(again, NULL);
		protobuf_c_message_free_unpacked(m, NULL);
		json_decref(back);
		json_decref(json);
	}
}

struct bad_row {
	const ProtobufCMessageDescriptor *desc;
	const char *json;
	const char *text;
};

static const struct bad_row bad_rows[] = {
	{ SIGNAL, "[]", "expected an object, not an array" },
	{ SIGNAL, "{\"sig\": 1}", "sig: grpc.SignalProcessRequest has no such field" },
	{ SIGNAL, "{\"Signal\": 1}",
	  "Signal: grpc.SignalProcessRequest has no such field; did you mean 'signal'?" },
	{ SIGNAL, "{\"signal\": -1}", "signal: number must not be negative" },
	{ SIGNAL, "{\"signal\": 4294967296}", "signal: number is out of range" },
	{ SIGNAL, "{\"signal\": 1.5}", "signal: expected an integer, not a fraction" },
	{ SIGNAL, "{\"signal\": \"9a\"}", "signal: not an unsigned 64-bit integer" },
	{ SIGNAL, "{\"signal\": true}", "signal: expected an integer, not true" },
	{ SIGNAL, "{\"container_id\": 5}", "container_id: expected a string, not a number" },
	{ SIGNAL, "{\"container_id\": \"a\\u0000b\"}", "container_id: string contains a NUL byte" },
	{ WRITE, "{\"data\": \"abc\"}", "data: invalid base64" },
	{ WRITE, "{\"data\": [1, 2]}", "data: expected base64, not an array" },
	{ PROBE, "{\"memHotplugProbeAddr\": 1}",
	  "memHotplugProbeAddr: expected an array, not a number" },
	{ INTERFACE, "{\"interface\": {\"IPAddresses\": [{}, {\"family\": \"v5\"}]}}",
	  "interface.IPAddresses[1].family: must be one of v4, v6" },
	{ MEMCG, "{\"swap\": 1}", "swap: expected true or false, not a number" },
	{ CREATE, "{\"OCI\": {\"Process\": {\"Args\": [\"a\", \"b\", 3]}}}",
	  "OCI.Process.Args[2]: expected a string, not a number" },
	{ CREATE, "{\"OCI\": {\"Annotations\": {\"a\": \"b\", \"k\": 1}}}",
	  "OCI.Annotations[\"k\"]: expected a string, not a number" },
	{ CREATE, "{\"OCI\": {\"Annotations\": []}}",
	  "OCI.Annotations: expected an object, not an array" },
	{ CREATE, "{\"storages\": [{\"driver\": \"blk\"}, {\"options\": \"ro\"}]}",
	  "storages[1].options: expected an array, not a string" },
	{ EXEC, "{\"process\": {\"Rlimits\": [{\"Hard\": null}, null]}}",
	  "process.Rlimits[1]: expected an object, not null" },
};

Test(json, invalid)
{
	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
		struct error err = ERROR_INIT;
		json_t *json = json_loads(bad_rows[i].json, JSON_ALLOW_NUL, NULL);

		REQUIRE_NE(json, NULL, "%s", bad_rows[i].json);
		CHECK_EQ(json_to_message(bad_rows[i].desc, json, &err), NULL, "%s",
			 bad_rows[i].json);
		CHECK_STR(err.msg, bad_rows[i].text);
		CHECK_EQ(err.code, ERROR_INVALID_ARGUMENT);
		json_decref(json);
	}
}

/* Replies include defaults, but not unset members of oneofs. */
Test(json, reply)
{
	Grpc__HealthCheckResponse check = GRPC__HEALTH_CHECK_RESPONSE__INIT;
	Grpc__MemAgentMemcgConfig memcg = GRPC__MEM_AGENT_MEMCG_CONFIG__INIT;
	Grpc__CpuUsage usage = GRPC__CPU_USAGE__INIT;
	uint64_t percpu[] = { 1, UINT64_MAX };
	const struct {
		const ProtobufCMessage *message;
		const char *json;
	} rows[] = {
		{ &check.base, "{\"status\":\"SERVING\"}" },
		{ &memcg.base, "{\"swap\":true}" },
		{ &usage.base, "{\"percpu_usage\":[1,\"18446744073709551615\"],\"total_usage\":0,"
			       "\"usage_in_kernelmode\":0,\"usage_in_usermode\":0}" },
	};

	check.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
	memcg._swap_case = GRPC__MEM_AGENT_MEMCG_CONFIG___SWAP_SWAP;
	memcg.swap = 1;
	usage.percpu_usage = percpu;
	usage.n_percpu_usage = 2;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct error err = ERROR_INIT;
		json_t *json = json_from_message(rows[i].message, &err);
		char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

		CHECK_STR(text, rows[i].json);
		free(text);
		json_decref(json);
	}
}

Test(json, unknown_enum_value)
{
	Grpc__HealthCheckResponse check = GRPC__HEALTH_CHECK_RESPONSE__INIT;
	struct error err = ERROR_INIT;
	json_t *json;

	check.status = (Grpc__HealthCheckResponse__ServingStatus)77;
	json = json_from_message(&check.base, &err);
	CHECK_EQ(json_integer_value(json_object_get(json, "status")), 77);
	json_decref(json);
}

/* Test vectors of RFC 4648, section 10, and invalid base64. */
struct base64_row {
	const char *plain, *text;
};

static const struct base64_row base64_rows[] = {
	{ "", "" },
	{ "f", "Zg==" },
	{ "fo", "Zm8=" },
	{ "foo", "Zm9v" },
	{ "foob", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xff\xfe\xfd", "//79" },
	{ NULL, "Zg" },
	{ NULL, "Zg=" },
	{ NULL, "Z===" },
	{ NULL, "====" },
	{ NULL, "Zg==Zg==" },
	{ NULL, "Zm9\n" },
	{ NULL, "Z-9v" },
	{ NULL, "=" },
};

Test(json, base64)
{
	for (size_t i = 0; i < sizeof(base64_rows) / sizeof(base64_rows[0]); i++) {
		const struct base64_row *row = &base64_rows[i];
		size_t n = 0;
		uint8_t *data = base64_decode(row->text, strlen(row->text), &n);
		char *text;

		CHECK_EQ(data != NULL, row->plain != NULL, "'%s'", row->text);
		if (data && row->plain) {
			CHECK_EQ(n, strlen(row->plain), "'%s'", row->text);
			CHECK_BYTES(data, row->plain, n, "'%s'", row->text);
			text = base64_encode(data, n);
			CHECK_STR(text, row->text);
			free(text);
		}
		free(data);
	}
}

Test(ctl_json, text_of_the_host)
{
	static const struct {
		const char *text, *json;
	} rows[] = {
		{ "/plain", "/plain" },
		{ "", "" },
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "\xff", "\xef\xbf\xbd" },
		{ "a\xc3", "a\xef\xbf\xbd" },
		{ "\xc3\x28\xe2\x82\xacz", "\xef\xbf\xbd(\xe2\x82\xacz" },
		{ "\xf0\x9f\x98\x80\xf0\x9f\x98",
		  "\xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *j = json_from_text(rows[i].text);

		REQUIRE(j);
		CHECK_STR(json_string_value(j), rows[i].json);
		json_decref(j);
	}
}
