/* SPDX-License-Identifier: Apache-2.0 */
/* Connects to the agent, runs cases and checks each for leaks. See oci.h and suite.h. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/deadline.h"
#include "tests/oci/oci.h"
#include "tests/oci/suite.h"
#include "tests/support/elapsed.h"
#include "tests/support/soak.h"

#define ARENA_MAX (64u << 20)
#define DIAL_MS   60000
#define SETTLE_MS 30000
/* number of consecutive equal counts */
#define SETTLED 5
#define ROW_MAX 512

static const struct {
	const struct oci_case *cases;
	const size_t *n;
} areas[] = {
	{ oci_default_cases, &n_oci_default_cases },
	{ oci_process_cases, &n_oci_process_cases },
	{ oci_exec_cases, &n_oci_exec_cases },
	{ oci_shared_cases, &n_oci_shared_cases },
	{ oci_namespaces_cases, &n_oci_namespaces_cases },
	{ oci_mounts_cases, &n_oci_mounts_cases },
	{ oci_devices_cases, &n_oci_devices_cases },
	{ oci_cdi_cases, &n_oci_cdi_cases },
	{ oci_cgroup_cases, &n_oci_cgroup_cases },
	{ oci_resources_cases, &n_oci_resources_cases },
	{ oci_security_cases, &n_oci_security_cases },
	{ oci_hooks_cases, &n_oci_hooks_cases },
	{ oci_hostile_cases, &n_oci_hostile_cases },
	{ oci_rootfs_cases, &n_oci_rootfs_cases },
	{ oci_bombs_cases, &n_oci_bombs_cases },
	{ oci_quotas_cases, &n_oci_quotas_cases },
};

void
suite_list(void)
{
	for (size_t i = 0; i < ARRAY_LEN(areas); i++) {
		for (size_t k = 0; k < *areas[i].n; k++)
			printf("%s\t%s\n", areas[i].cases[k].field, areas[i].cases[k].name);
	}
}

static void
report_check(const char *file, int line, const char *text, bool ends_test, void *data)
{
	struct oci *t = data;

	(void)ends_test;
	t->h.failures++;
	if (!t->is_quiet)
		printf("# %s:%d: %s\n", file, line, text);
}

bool
oci_needs_vm(struct oci *t)
{
	if (!t->is_vm)
		t->skip = "needs the VM";
	return !t->is_vm;
}

bool
oci_needs_root(struct oci *t)
{
	if (geteuid() != 0)
		t->skip = "the files of a user's share belong to that user";
	return geteuid() != 0;
}

static const char *
required(const char *name)
{
	const char *value = getenv(name);

	if (value && *value)
		return value;
	printf("Bail out! %s is not set\n", name);
	exit(1);
}

static void
begin(struct oci *t, const struct suite_options *o)
{
	arena_init(&t->arena, ARENA_MAX);
	t->base = required("ROOTFS");
	t->h.soak = is_soak();
	t->cache_ms = getenv("ROOTFS_CACHE_MS") ? (unsigned int)atoi(getenv("ROOTFS_CACHE_MS")) : 0;
	t->ignore = o->ignore;
	if (o->address) {
		t->is_vm = true;
		(void)snprintf(t->h.address, sizeof(t->h.address), "%s", o->address);
		(void)snprintf(t->h.rootfs, sizeof(t->h.rootfs), "%s", required("GUEST_ROOTFS"));
		t->h.client = ttrpc_client_dial(t->h.address, DIAL_MS, &t->err);
		if (!t->h.client || check_health(t->h.client, &t->err) < 0) {
			printf("Bail out! the agent does not answer: %s\n", t->err.msg);
			exit(1);
		}
	} else {
		harness_start(&t->h);
	}
	(void)snprintf(t->guest_base, sizeof(t->guest_base), "%s", t->h.rootfs);
	check_set_report(report_check, t);
	if (oci_guest_open(t) < 0) {
		printf("Bail out! cannot inspect the guest: %s\n", t->err.msg);
		exit(1);
	}
}

static bool
same(const struct oci_counts *a, const struct oci_counts *b)
{
	return a->fds == b->fds && a->mounts == b->mounts && a->cgroups == b->cgroups &&
	       a->processes == b->processes && a->run_entries == b->run_entries;
}

static void
pause_ms(unsigned int ms)
{
	(void)nanosleep(&(struct timespec){ .tv_nsec = (long)ms * 1000000 }, NULL);
}

/* Counts resources once the counts are stable. */
static void
settle(struct oci *t, struct oci_counts *out)
{
	uint64_t end = deadline_in(SETTLE_MS);
	unsigned int alike = 0;

	oci_count(t, out);
	while (alike < SETTLED && !deadline_is_over(end)) {
		struct oci_counts next;

		pause_ms(20);
		oci_count(t, &next);
		alike = same(out, &next) ? alike + 1 : 0;
		*out = next;
	}
}

/* Checks for leaks after giving exiting workers and closing connections time to finish. */
static void
check_leaks(struct oci *t)
{
	const struct oci_counts *before = &t->counts;
	struct oci_counts now;
	uint64_t end = deadline_in(SETTLE_MS);

	do {
		oci_count(t, &now);
		if (same(before, &now))
			return;
		pause_ms(20);
	} while (!deadline_is_over(end));
	CHECK(false,
	      "left (before/now): agent's fds %u/%u mounts %u/%u cgroups %u/%u processes %u/%u "
	      "run entries %u/%u",
	      before->fds, now.fds, before->mounts, now.mounts, before->cgroups, now.cgroups,
	      before->processes, now.processes, before->run_entries, now.run_entries);
	/* report a leak only once */
	t->counts = now;
}

/* Returns whether the case passed (or was skipped). */
static bool
run_case(struct oci *t, const struct oci_case *c)
{
	unsigned int failures;

	t->running = c;
	t->skip = NULL;
	t->err = ERROR_INIT;
	t->h.failures = 0;
	c->run(t);
	failures = t->h.failures;
	/* The checks below apply to any case. */
	t->is_quiet = false;
	oci_calls_end(t);
	oci_rootfs_end(t);
	check_leaks(t);
	CHECK_OK(check_health(t->h.client, &t->err), &t->err, "Check after the case");
	arena_release(&t->arena);
	if (ttrpc_client_is_broken(t->h.client)) {
		printf("Bail out! the connection is gone after case \"%s\"\n", c->name);
		exit(1);
	}
	if (t->h.failures > failures)
		printf("# ^ after case \"%s\"\n", c->name);
	return t->h.failures == 0;
}

static unsigned int
ms_since(uint64_t start_ns)
{
	return (unsigned int)elapsed_ms(start_ns);
}

static bool
is_wanted(const struct suite_options *o, const struct oci_case *c)
{
	for (size_t i = 0; i < o->n_without; i++) {
		if (strcmp(c->field, o->without[i]) == 0 || strcmp(c->name, o->without[i]) == 0)
			return false;
	}
	for (size_t i = 0; i < o->n_only; i++) {
		if (strstr(c->name, o->only[i]) || strstr(c->field, o->only[i]))
			return true;
	}
	return o->n_only == 0;
}

/* A --without that names no case would let cases run that are meant to be skipped. */
static unsigned int
check_without(struct oci *t, const struct suite_options *o)
{
	unsigned int unknown = 0;

	for (size_t n = 0; n < o->n_without; n++) {
		bool found = false;

		for (size_t i = 0; i < ARRAY_LEN(areas); i++)
			for (size_t k = 0; k < *areas[i].n; k++)
				found |= strcmp(areas[i].cases[k].field, o->without[n]) == 0 ||
					 strcmp(areas[i].cases[k].name, o->without[n]) == 0;
		if (found)
			continue;
		t->h.n_run++;
		unknown++;
		printf("not ok - --without: no case or field is called \"%s\"\n", o->without[n]);
	}
	return unknown;
}

static unsigned int
run_all(struct oci *t, const struct suite_options *o)
{
	unsigned int failed = check_without(t, o);

	for (size_t i = 0; i < ARRAY_LEN(areas); i++) {
		for (size_t k = 0; k < *areas[i].n; k++) {
			const struct oci_case *c = &areas[i].cases[k];
			uint64_t start_ns = monotonic_ns();
			bool passed;

			if (!is_wanted(o, c))
				continue;
			passed = run_case(t, c);
			failed += !passed;
			t->h.n_run++;
			if (t->skip && passed)
				printf("ok - %s: %s # SKIP %s\n", c->field, c->name, t->skip);
			else
				printf("%sok - %s: %s (%u ms)\n", passed ? "" : "not ", c->field,
				       c->name, ms_since(start_ns));
		}
	}
	return failed;
}

static const struct oci_case *
find_case(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(areas); i++) {
		for (size_t k = 0; k < *areas[i].n; k++) {
			if (strcmp(areas[i].cases[k].name, name) == 0)
				return &areas[i].cases[k];
		}
	}
	return NULL;
}

/* Runs a case with its field ignored by the agent; passes if the case fails. */
static bool
run_row(struct oci *t, const char *field, const char *name)
{
	const struct oci_case *c = find_case(name);
	uint64_t start_ns = monotonic_ns();
	bool passed;

	t->h.n_run++;
	if (!c) {
		printf("not ok - %s: unknown case \"%s\"\n", field, name);
		return false;
	}
	if (!suite_has_field(field)) {
		printf("not ok - %s: unknown field\n", field);
		return false;
	}
	t->ignore = field;
	t->is_quiet = true;
	passed = run_case(t, c);
	t->is_quiet = false;
	t->ignore = NULL;
	if (t->skip) {
		printf("ok - %s ignored: %s # SKIP %s\n", field, name, t->skip);
		return true;
	}
	printf("%sok - %s ignored: \"%s\" fails (%u ms)\n", passed ? "not " : "", field, name,
	       ms_since(start_ns));
	return !passed;
}

static unsigned int
run_rows(struct oci *t, const struct suite_options *o)
{
	char line[ROW_MAX];
	unsigned int failed = 0;
	FILE *f = fopen(o->rows, "re");

	if (!f) {
		printf("Bail out! cannot read %s\n", o->rows);
		exit(1);
	}
	while (fgets(line, sizeof(line), f)) {
		char *name = strchr(line, '\t');

		line[strcspn(line, "\n")] = '\0';
		if (!name)
			continue;
		*name++ = '\0';
		failed += !run_row(t, line, name);
	}
	(void)fclose(f);
	return failed;
}

int
suite_run(const struct suite_options *o)
{
	static struct oci t;
	unsigned int failed;

	begin(&t, o);
	settle(&t, &t.counts);
	failed = o->rows ? run_rows(&t, o) : run_all(&t, o);
	if (t.is_vm) {
		oci_guest_close(&t);
		ttrpc_client_free(t.h.client);
	} else {
		failed += harness_stop(&t.h);
	}
	printf("1..%u\n", t.h.n_run);
	return failed != 0;
}
