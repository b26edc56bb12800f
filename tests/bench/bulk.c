/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bulk data: the same calls, by the same client, alternately to the agent and to the bare server
 * (bare.c), which moves the same bytes from and to the same programs and files. Each call is sent
 * after the reply to the previous one, as hosts do. Producer and consumer live as long as the
 * measurement, and wait while the other side is measured.
 */
#include "tests/bench/bulk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "tests/bench/rows.h"

#define MIB        (1u << 20)
#define WARM_UP    2
#define SMALL_FILE 1024
#define PLACE      "/run/kata-containers/shared/containers/bench"
#define NAME_MAX_  96

struct bulk {
	struct harness *sides[SIDES];
	const char *prefix, *floor;
	const struct bulk_sizes *sizes;
	uint8_t *data;
	/* unique names for small files */
	unsigned int next_file[SIDES];
};

/* Moves at least 1 MiB and returns the nanoseconds for each `part` bytes. */
typedef double bulk_fn(struct bulk *b, enum side side, size_t part);

static double
bulk_read(struct bulk *b, enum side side, size_t part)
{
	uint64_t start_ns = monotonic_ns(), got = 0;
	struct error err = ERROR_INIT;

	while (got < MIB) {
		ssize_t n = read_stream(b->sides[side], false, "read", "read", b->data, part, &err);

		if (n <= 0)
			bench_die("ReadStdout", &err);
		got += (uint64_t)n;
	}
	return (double)(monotonic_ns() - start_ns) / (double)got * (double)part;
}

static double
bulk_write(struct bulk *b, enum side side, size_t part)
{
	uint64_t start_ns = monotonic_ns();
	struct error err = ERROR_INIT;

	for (size_t sent = 0; sent < MIB; sent += part)
		if (write_stdin(b->sides[side], "write", "write", b->data, part, &err) < 0)
			bench_die("WriteStdin", &err);
	return (double)(monotonic_ns() - start_ns) / MIB * (double)part;
}

static void
bulk_copy(struct harness *h, const char *path, int64_t size, int64_t offset, uint8_t *data,
	  size_t n)
{
	Grpc__CopyFileRequest q = GRPC__COPY_FILE_REQUEST__INIT;
	struct error err = ERROR_INIT;

	q.path = (char *)(uintptr_t)path;
	q.file_mode = S_IFREG | 0644;
	q.dir_mode = 0755;
	q.file_size = size;
	q.offset = offset;
	q.data.data = data;
	q.data.len = n;
	if (call(h, "CopyFile", &q, NULL, &err) < 0)
		bench_die("CopyFile", &err);
}

/* The rows of one stream with parts of one size: the time of a call, and the throughput. */
static void
bulk_stream(struct bulk *b, const char *method, bulk_fn *move, size_t part)
{
	char name[NAME_MAX_], throughput[NAME_MAX_ + 16];
	struct row time = { .name = name, .unit = "us", .good = LOW_IS_GOOD, .floor = b->floor };
	struct row rate = {
		.name = throughput, .unit = "MiB/s", .good = HIGH_IS_GOOD, .floor = b->floor
	};

	(void)snprintf(name, sizeof(name), "%s%s, %zu KiB", b->prefix, method, part >> 10);
	(void)snprintf(throughput, sizeof(throughput), "%s, throughput", name);
	if (!row_is_wanted(name) && !row_is_wanted(throughput))
		return;
	time.warm_up = rate.warm_up = WARM_UP;
	for (int side = 0; side < SIDES; side++)
		for (int i = 0; i < WARM_UP; i++)
			(void)move(b, side, part);
	for (unsigned int i = 0; i < rows_rounds(); i++) {
		for (int side = 0; side < SIDES; side++)
			for (unsigned int n = 0; n < b->sizes->mib; n++) {
				double ns = move(b, side, part);

				row_sample(&time, side, ns / 1e3);
				row_sample(&rate, side, (double)part / MIB / ns * 1e9);
			}
		row_round(&time);
		row_round(&rate);
	}
	row_print(&time);
	row_print(&rate);
}

/* One file per side and round, in parts of 1 MiB; a sample is a part. The last part, which ends the
 * file, is counted like the others. */
static void
bulk_large_file(struct bulk *b)
{
	char name[NAME_MAX_];
	struct row row = {
		.name = name,
		.unit = "MiB/s",
		.good = HIGH_IS_GOOD,
		.floor = b->floor,
		.warm_up = WARM_UP,
	};

	(void)snprintf(name, sizeof(name), "%sCopyFile, 1 MiB parts", b->prefix);
	if (!row_is_wanted(name))
		return;
	for (int i = -1; i < (int)rows_rounds(); i++) {
		for (int side = 0; side < SIDES; side++) {
			uint32_t n = i < 0 ? WARM_UP : b->sizes->mib;

			for (uint32_t at = 0; at < n; at++) {
				uint64_t start_ns = monotonic_ns();

				bulk_copy(b->sides[side], PLACE "/large", (int64_t)n * MIB,
					  (int64_t)at * MIB, b->data, MIB);
				if (i >= 0)
					row_sample(&row, side,
						   1e9 / (double)(monotonic_ns() - start_ns));
			}
			/* gives the memory back */
			bulk_copy(b->sides[side], PLACE "/large", 0, 0, b->data, 0);
		}
		if (i >= 0)
			row_round(&row);
	}
	row_print(&row);
}

static double
bulk_small_file(struct bulk *b, enum side side)
{
	unsigned int i = b->next_file[side]++;
	uint64_t start_ns;
	char path[128];

	(void)snprintf(path, sizeof(path), PLACE "/%u/%u", i / 100, i);
	start_ns = monotonic_ns();
	bulk_copy(b->sides[side], path, SMALL_FILE, 0, b->data, SMALL_FILE);
	return (double)(monotonic_ns() - start_ns);
}

static double
bulk_check(struct bulk *b, enum side side)
{
	struct error err = ERROR_INIT;
	uint64_t start_ns = monotonic_ns();

	if (check_health(b->sides[side]->client, &err) < 0)
		bench_die("Check", &err);
	return (double)(monotonic_ns() - start_ns);
}

/* A row whose samples are single calls. */
static void
bulk_calls(struct bulk *b, const char *what, double one(struct bulk *, enum side), unsigned int n)
{
	char name[NAME_MAX_];
	struct row row = { .name = name,
			   .unit = "us",
			   .good = LOW_IS_GOOD,
			   .floor = b->floor,
			   .warm_up = n / 10 };

	(void)snprintf(name, sizeof(name), "%s%s", b->prefix, what);
	if (!row_is_wanted(name))
		return;
	for (int side = 0; side < SIDES; side++)
		for (unsigned int i = 0; i < row.warm_up; i++)
			(void)one(b, side);
	for (unsigned int round = 0; round < rows_rounds(); round++) {
		for (int side = 0; side < SIDES; side++)
			for (unsigned int i = 0; i < n; i++)
				row_sample(&row, side, one(b, side) / 1e3);
		row_round(&row);
	}
	row_print(&row);
}

static void
bulk_create(struct harness *h)
{
	struct error err = ERROR_INIT;

	if (create_start(h, "read", ARGS("/bin/dd", "if=/dev/zero", "bs=64k"), &err) < 0 ||
	    create_start(h, "write", SH("exec cat >/dev/null"), &err) < 0)
		bench_die("create", &err);
}

static void
bulk_remove(struct harness *h)
{
	struct error err = ERROR_INIT;

	if (remove_container(h, "read", &err) < 0 || remove_container(h, "write", &err) < 0)
		bench_die("remove", &err);
}

void
bench_bulk(struct harness *ours, struct harness *bare, const char *prefix,
	   const struct bulk_sizes *sizes)
{
	auto_free uint8_t *data = malloc(MIB);
	struct bulk b = { { ours, bare }, prefix, "bare server", sizes, data, { 0 } };

	if (!data)
		exit(1);
	memset(data, 'x', MIB);
	bulk_create(ours);
	bulk_calls(&b, "Check", bulk_check, sizes->checks);
	/* 16 KiB is what a runtime's shim reads at a time */
	bulk_stream(&b, "ReadStdout", bulk_read, 32u << 10);
	bulk_stream(&b, "ReadStdout", bulk_read, 16u << 10);
	bulk_stream(&b, "WriteStdin", bulk_write, 32u << 10);
	bulk_stream(&b, "WriteStdin", bulk_write, 16u << 10);
	bulk_large_file(&b);
	bulk_calls(&b, "CopyFile, small files", bulk_small_file, sizes->files);
	bulk_remove(ours);
}

void
bench_bulk_agents(struct harness *ours, struct harness *other, const char *prefix,
		  const struct bulk_sizes *sizes)
{
	auto_free uint8_t *data = malloc(MIB);
	struct bulk b = { { ours, other }, prefix, "OLD_AGENT", sizes, data, { 0 } };

	if (!data)
		exit(1);
	memset(data, 'x', MIB);
	bulk_create(ours);
	bulk_create(other);
	bulk_stream(&b, "ReadStdout", bulk_read, 32u << 10);
	bulk_stream(&b, "WriteStdin", bulk_write, 32u << 10);
	bulk_remove(ours);
	bulk_remove(other);
}
