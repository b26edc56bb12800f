/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the seeds of all targets below a directory: `make_corpus tests/fuzz/corpus`. The files are
 * the same each time. Inputs found by the fuzzers are kept next to them (found-*) and never
 * overwritten.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/ttrpc/frame.h"
#include "tests/fuzz/mutate.h"

static const char *const ids[] = { "c1", "c2", NULL };
static int corpus;

static void
save(const char *target, const char *name, const void *data, size_t n)
{
	char path[128];
	auto_close int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", target, name);
	fd = openat(corpus, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write_full(fd, data, n) < 0) {
		perror(path);
		exit(1);
	}
}

/* Writes a valid and a mutated message of each method, preceded by the selector. */
static void
messages(void)
{
	static uint8_t out[4096];
	const ProtobufCMethodDescriptor *method;
	const char *service;
	struct mutator m;
	char name[128];

	for (unsigned i = 0; (method = mutate_method(i, &service)); i++) {
		for (unsigned kind = 0; kind < 3; kind++) {
			static const char *const kinds[] = { "valid", "mutated", "broken" };
			size_t n = 0;

			mutate_init(&m, 1000 + 3 * i + kind, ids);
			/* Seeds are small. */
			for (int tries = 0; n == 0 && tries < 1000; tries++)
				n = mutate_message(&m, method->input, kind > 0, kind > 1, out + 1,
						   tries < 900 ? 600 : sizeof(out) - 1);
			out[0] = (uint8_t)i;
			snprintf(name, sizeof(name), "%s-%s", kinds[kind], method->name);
			save("pb", name, out, n + 1);
		}
	}
}

/* Writes frames for the frame reader and their payloads for the envelope. */
static void
frames(void)
{
	static uint8_t out[MUTATE_FRAME_MAX], stream[65536];
	struct mutator m;
	size_t n, len = 1;
	char name[64];

	mutate_init(&m, 4711, ids);
	for (unsigned i = 0; i < 40;) {
		n = mutate_next(&m, out, sizeof(out));
		if (n > 700)
			continue;
		snprintf(name, sizeof(name), "%s-%02u-%s", m.broken ? "broken" : "valid", i,
			 m.method);
		save("envelope", name, out + FRAME_HEADER_SIZE, n - FRAME_HEADER_SIZE);
		memcpy(stream + len, out, n);
		len += n;
		stream[0] = (uint8_t)(37 * i);
		if (i % 8 == 7) {
			snprintf(name, sizeof(name), "stream-%u", i / 8);
			save("frame", name, stream, len);
			len = 1;
		}
		i++;
	}
	save("envelope", "response-ok", "\x0a\x00\x12\x02\x08\x01", 6);
	save("envelope", "response-failed",
	     "\x0a\x07\x08\x05\x12\x03"
	     "why",
	     9);
}

struct edge {
	const char *name;
	struct frame_header header;
	/* number of following bytes */
	size_t body;
};

static const struct edge edges[] = {
	{ "header-only", { 5, 1, FRAME_REQUEST, 0 }, 0 },
	{ "empty", { 0, 1, FRAME_REQUEST, 0 }, 0 },
	{ "most", { FRAME_PAYLOAD_MAX, 1, FRAME_REQUEST, 0 }, 100 },
	{ "over", { FRAME_PAYLOAD_MAX + 1, 1, FRAME_REQUEST, 0 }, 100 },
	{ "huge", { 0xffffffff, 0xffffffff, 0xff, 0xff }, 100 },
	{ "data", { 3, 2, FRAME_DATA, FRAME_REMOTE_CLOSED | FRAME_NO_DATA }, 3 },
};

static void
edge_frames(void)
{
	static uint8_t out[256];

	for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
		out[0] = (uint8_t)i;
		frame_header_encode(&edges[i].header, out + 1);
		save("frame", edges[i].name, out, 1 + FRAME_HEADER_SIZE + edges[i].body);
	}
	save("frame", "cut-header", "\x05\x00\x00\x00", 4);
}

int
main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "Usage: make_corpus DIRECTORY\n");
		return 2;
	}
	corpus = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (corpus < 0) {
		perror(argv[1]);
		return 1;
	}
	messages();
	frames();
	edge_frames();
	return 0;
}
