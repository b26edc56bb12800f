/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of a fake guest: the families that hosts expect, units, and well-formed text for
 * malformed sources. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/guest/metrics.h"
#include "agent/guest/metrics_text.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/agent/guest/tree.h"

static struct tree t;
static char text[4 << 20];

static int
take(void *data, const void *piece, size_t n, struct error *err)
{
	size_t used = strlen(text);

	(void)data;
	(void)err;
	REQUIRE_LT(used + n, sizeof(text));
	memcpy(text + used, piece, n);
	text[used + n] = '\0';
	return 0;
}

static void
scrape(void)
{
	const struct metrics_agent agent = {
		.pid = 7, .scrapes = 3, .workers = 1, .version = "4.1.0"
	};
	struct error err = ERROR_INIT;

	text[0] = '\0';
	REQUIRE_OK(metrics_write(&t.roots, &agent, take, NULL, &err), &err);
}

/* Returns whether the text has this line. */
static bool
has(const char *line)
{
	size_t n = strlen(line);

	for (const char *p = text; (p = strstr(p, line)) != NULL; p++) {
		if ((p == text || p[-1] == '\n') && p[n] == '\n')
			return true;
	}
	return false;
}

static void
fill_proc(void)
{
	int proc = t.roots.proc;

	tree_put(proc, "7/stat",
		 "7 (kata ) R) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 30 40 20 0 2 0 9 8192000 250 1 "
		 "1 1\n");
	tree_put(proc, "7/status",
		 "Name:\tkata-agent\nVmPeak:\t    1000 kB\nVmRSS:\t     900 kB\nRssAnon:\t 5 kB\n"
		 "HugetlbPages:\t       0 kB\nThreads:\t2\nSigQ:\t0/1\n"
		 "voluntary_ctxt_switches:\t11\n"
		 "nonvoluntary_ctxt_switches:\t12\n");
	tree_put(proc, "7/io", "rchar: 10\nsyscr: 2\ncancelled_write_bytes: 0\n");
	tree_put(proc, "7/fd/0", "");
	tree_put(proc, "7/fd/1", "");
	tree_put(proc, "loadavg", "0.50 1.25 12.00 2/345 6789\n");
	tree_put(proc, "uptime", "12.34 5.67\n");
	tree_put(
		proc, "stat",
		"cpu  100 1 50 900 5 0 2 0 0 0\ncpu0 60 1 30 400 5 0 2 0 0 0\ncpu1 40 0 20 500 0 0 "
		"0 0 0 0\nintr 5\n");
	tree_put(proc, "meminfo",
		 "MemTotal:         256 kB\nActive(anon):       1 kB\nHugePages_Total:       4\n"
		 "DirectMap4M:        2 kB\nSecPageTables:      3 kB\nPercpu:  9 kB\n");
	tree_put(proc, "vmstat", "nr_free_pages 123\noom_kill 1\n");
	tree_put(proc, "thread-self/net/dev",
		 "Inter-|   Receive     |  Transmit\n face |bytes    packets errs\n"
		 "    lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"
		 "  eth0:100 2 0 0 0 0 0 0 200 4 0 0 0 0 0 0\n");
	tree_put(proc, "diskstats",
		 " 254       0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n   8 0 sda 1 2 3\n");
	tree_put(proc, "pressure/memory",
		 "some avg10=1.50 avg60=0.00 avg300=0.00 total=77\nfull avg10=0.25 avg60=0.00 "
		 "avg300=0.00 total=66\n");
}

Test(metrics, values)
{
	static const char *const want[] = {
		"# TYPE kata_agent_scrape_count counter",
		"kata_agent_scrape_count 3",
		"kata_agent_info{version=\"4.1.0\"} 1",
		"kata_agent_workers 1",
		"kata_agent_threads 2",
		"kata_agent_total_time 2.00",
		"kata_agent_total_vm 8192000",
		"kata_agent_total_rss 1024000",
		"kata_agent_fds 2",
		"kata_agent_proc_stat{item=\"utime\"} 150",
		"kata_agent_proc_stat{item=\"cstime\"} 40",
		"kata_agent_proc_status{item=\"vmpeak\"} 1000",
		"kata_agent_proc_status{item=\"hugetlbpages\"} 0",
		"kata_agent_proc_status{item=\"nonvoluntary_ctxt_switches\"} 12",
		"kata_agent_io_stat{item=\"cancelled_write_bytes\"} 0",
		"kata_guest_load{item=\"load5\"} 1.25",
		"kata_guest_tasks{item=\"cur\"} 2",
		"kata_guest_tasks{item=\"max\"} 345",
		"kata_guest_uptime_seconds 12.34",
		"kata_guest_cpu_time{cpu=\"total\",item=\"user\"} 1000",
		"kata_guest_cpu_time{cpu=\"1\",item=\"idle\"} 5000",
		"kata_guest_meminfo{item=\"mem_total\"} 262144",
		"kata_guest_meminfo{item=\"active_anon\"} 1024",
		"kata_guest_meminfo{item=\"hugepages_total\"} 4",
		"kata_guest_meminfo{item=\"direct_map_4M\"} 2048",
		"kata_guest_meminfo{item=\"sec_page_tables\"} 3072",
		"kata_guest_meminfo{item=\"per_cpu\"} 9216",
		"kata_guest_meminfo{item=\"quicklists\"} 0",
		"kata_guest_vm_stat{item=\"oom_kill\"} 1",
		"kata_guest_netdev_stat{interface=\"eth0\",item=\"sent_bytes\"} 200",
		"kata_guest_netdev_stat{interface=\"lo\",item=\"sent_compressed\"} 16",
		"kata_guest_diskstat{disk=\"vda\",item=\"time_flushing\"} 17",
		"kata_guest_diskstat{disk=\"sda\",item=\"sectors_read\"} 3",
		("kata_guest_pressure_percent{resource=\"memory\",kind=\"some\",item=\"avg10\"} "
		 "1.50"),
		"kata_guest_pressure_total_usec{resource=\"memory\",kind=\"full\"} 66",
		"kata_guest_cgroup_memory_bytes{cgroup=\"pods\",item=\"current\"} 4096",
		"kata_guest_cgroup_memory_events{cgroup=\"pods\",item=\"oom_kill\"} 2",
		"kata_guest_cgroup_cpu{cgroup=\"agent\",item=\"usage_usec\"} 55",
		"kata_guest_cgroup_io{cgroup=\"pods\",item=\"wbytes\"} 25",
		"kata_guest_cgroup_pressure_usec{cgroup=\"pods\",resource=\"io\",kind=\"some\"} 8",
	};

	tree_make(&t);
	fill_proc();
	tree_put(t.roots.cgroup, "pods/memory.current", "4096\n");
	tree_put(t.roots.cgroup, "pods/memory.max", "max\n");
	tree_put(t.roots.cgroup, "pods/memory.events", "low 0\noom_kill 2\n");
	tree_put(t.roots.cgroup, "agent/cpu.stat", "usage_usec 55\n");
	tree_put(t.roots.cgroup, "pods/io.stat",
		 "254:0 rbytes=1 wbytes=20 rios=1\n8:0 wbytes=5 rbytes=0\n");
	tree_put(t.roots.cgroup, "pods/io.pressure",
		 "some avg10=0.00 avg60=0.00 avg300=0.00 total=8\n");
	scrape();
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		CHECK(has(want[i]), "no line %s", want[i]);
	CHECK_LACKS(text, "item=\"limit\"", "\"max\" gives no sample");
	CHECK_LACKS(text, "threads\"}", "status: only memory and context switches");
	tree_remove(&t);
}

/* Checks that each sample follows its family, and that each family is written once and has a
 * sample. */
static void
expect_well_formed(void)
{
	auto_free char *copy = strdup(text);
	char *rest = copy, *line, family[80] = "", seen[4096] = "\n", key[100];
	bool has_sample = true;

	while ((line = strsep(&rest, "\n")) != NULL && *line) {
		size_t n = strcspn(line, "{ ");

		if (strncmp(line, "# HELP ", 7) == 0) {
			CHECK(has_sample, "%s has no sample", family);
			(void)snprintf(family, sizeof(family), "%.*s", (int)strcspn(line + 7, " "),
				       line + 7);
			(void)snprintf(key, sizeof(key), "\n%s\n", family);
			CHECK_LACKS(seen, key, "%s twice", family);
			strncat(seen, key + 1, sizeof(seen) - strlen(seen) - 1);
			has_sample = false;
			continue;
		}
		if (*line == '#')
			continue;
		has_sample = true;
		CHECK(strlen(family) == n && strncmp(line, family, n) == 0, "%s below %s", line,
		      family);
		CHECK(isdigit((unsigned char)line[strlen(line) - 1]), "%s", line);
	}
	CHECK(has_sample);
}

Test(metrics, malformed_sources)
{
	static const char *const files[] = {
		"7/stat",
		"7/status",
		"7/io",
		"loadavg",
		"uptime",
		"stat",
		"meminfo",
		"vmstat",
		"diskstats",
		"thread-self/net/dev",
		"mounts",
		"pressure/io",
		"thread-self/mountinfo",
		"sys/kernel/random/entropy_avail",
	};
	static const char *const absurd[] = {
		"",
		"\n\n \n",
		":",
		"a b c\n",
		"cpu\ncpu \ncpu0 x\n",
		"x: y kB\n: 1\n",
		"7 (\n",
		"7 ) S\n",
		"a\"b\\c: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
		"1 2 \xff\xfe\"\n 3 4 5 6",
		"some avg10=x avg60= total=18446744073709551616\n",
		"1.5.2 -1 1e9 nan inf/1 2",
		"1 0 8:0 / / rw - ext4 /dev/sda rw\n1 0 8:0 / - ext4\n - \n",
		"99999999999999999999 99999999999999999999\n",
	};

	tree_make(&t);
	scrape();
	expect_well_formed();
	for (size_t a = 0; a < ARRAY_LEN(absurd); a++) {
		fill_proc();
		for (size_t f = 0; f < ARRAY_LEN(files); f++)
			tree_put(t.roots.proc, files[f], absurd[a]);
		scrape();
		expect_well_formed();
	}
	tree_remove(&t);
}

Test(metrics, labels_are_escaped)
{
	tree_make(&t);
	tree_put(t.roots.proc, "diskstats", "8 0 a\"b\\c 1\n8 0 d\xff 2\n8 0 \xc3\xa9 3\n");
	scrape();
	CHECK(has("kata_guest_diskstat{disk=\"a\\\"b\\\\c\",item=\"reads\"} 1"), "%s", text);
	CHECK(has("kata_guest_diskstat{disk=\"d?\",item=\"reads\"} 2"));
	CHECK(has("kata_guest_diskstat{disk=\"\xc3\xa9\",item=\"reads\"} 3"));
	tree_remove(&t);
}

Test(metrics, snake_case)
{
	static const struct {
		const char *key, *want;
	} rows[] = {
		{ "MemTotal", "mem_total" },
		{ "Active(file)", "active_file" },
		{ "SecPageTables", "sec_page_tables" },
		{ "KReclaimable", "k_reclaimable" },
		{ "NFS_Unstable", "nfs_unstable" },
		{ "Zswap", "zswap" },
		{ "", "" },
		{ "()", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char out[32];

		metrics_snake(rows[i].key, out, sizeof(out));
		CHECK_STR(out, rows[i].want, "%s became %s", rows[i].key, out);
	}
}

/* A line that is cut off is left out. */
Test(metrics, source_that_is_too_long)
{
	size_t n = METRICS_SOURCE_MAX + 100;
	auto_free char *lines = calloc(1, n + 1);

	tree_make(&t);
	REQUIRE(lines);
	/* lines of 1000 bytes: a long name, and a number */
	for (size_t i = 0; i + 1000 <= n; i += 1000) {
		memset(lines + i, 'k', 1000);
		memcpy(lines + i + 993, " 12345\n", 7);
	}
	tree_put(t.roots.proc, "vmstat", lines);
	scrape();
	CHECK_HAS(text, "kkk\"} 12345\n");
	CHECK(!strstr(text, "k\"} 1\n") && !strstr(text, "k\"} 1234\n"));
	tree_remove(&t);
}
