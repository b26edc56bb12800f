/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CopyFile against a plain copy: the same bytes through the same kind of socket to a process that
 * writes them to a file on the same kind of file system. In parts of 1 MiB, each sent after the
 * reply to the previous one, as hosts do.
 */
#include "tests/bench/copy.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "tests/bench/floor.h"

#define LARGE   (256u << 20)
#define PART    (1u << 20)
#define SMALL   10000
#define WARM_UP 500
#define ROUNDS  3
#define PLACE   "/run/kata-containers/shared/containers/bench"

static void
row(const char *name, double value, const char *unit, const char *baseline, double base)
{
	printf("%s\t%.4f\t%s\t%s\t%.4f\t%.2f\n", name, value, unit, baseline, base,
	       base > 0 ? value / base : 0.0);
	(void)fflush(stdout);
}

static void
copy(struct harness *h, const char *path, int64_t size, int64_t offset, uint8_t *data, size_t n)
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
	if (call(h, "CopyFile", &q, NULL, &err) == 0)
		return;
	(void)fprintf(stderr, "bench: CopyFile: %s\n", err.msg);
	exit(1);
}

/* Returns MiB per second. */
static double
copy_large(struct harness *h, uint8_t *data)
{
	uint64_t start_ns = monotonic_ns();

	for (uint32_t at = 0; at < LARGE; at += PART)
		copy(h, PLACE "/large", LARGE, at, data, PART);
	start_ns = monotonic_ns() - start_ns;
	copy(h, PLACE "/large", 0, 0, data, 0);
	return (double)(LARGE >> 20) * 1e9 / (double)start_ns;
}

/* Returns milliseconds per file. */
static double
copy_small(struct harness *h, uint8_t *data, uint32_t n)
{
	uint64_t start_ns = monotonic_ns();
	char path[128];

	for (uint32_t i = 0; i < n; i++) {
		(void)snprintf(path, sizeof(path), PLACE "/%u/%u", i / 100, i);
		copy(h, path, 1024, 0, data, 1024);
	}
	return (double)(monotonic_ns() - start_ns) / 1e6 / n;
}

static double
best(double a, double b)
{
	return a > b ? a : b;
}

void
bench_copies(struct harness *h)
{
	auto_free uint8_t *data = malloc(PART);
	double agent = 0, plain = 0, each;
	struct counts before, after;

	if (!data)
		exit(1);
	memset(data, 'x', PART);
	/* Alternate, and take the best of each, because the machine has other load. */
	for (int i = 0; i < ROUNDS; i++) {
		plain = best(plain, floor_copy(LARGE, PART));
		agent = best(agent, copy_large(h, data));
	}
	row("CopyFile 256 MiB in parts of 1 MiB", agent, "MiB/s", "plain copy over the same socket",
	    plain);
	(void)copy_small(h, data, WARM_UP);
	harness_settle(h, &before);
	each = copy_small(h, data, SMALL);
	harness_settle(h, &after);
	row("CopyFile of 10,000 small files, each", each, "ms", "a file written by hand",
	    floor_file(SMALL, 1024));
	row("the agent's RSS after 10,000 small files", (double)after.rss_kib, "KiB", "before",
	    (double)before.rss_kib);
}
