/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin of QEMU's translator that counts the guest's instructions until its first process
 * starts, exactly and by function. kernel-config/measure compiles and loads it:
 *
 *   -plugin instructions.so,out=FILE[,map=System.map]
 *
 * FILE has lines "count first name": instructions executed in a function, and how many of all
 * had been executed when it was first entered. The lines "total", "before" (firmware, loader and
 * decompressor) and "kernel" come first. FILE is missing if no process started. With map, the
 * kernel must not choose its address (nokaslr).
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The part of QEMU's plugin interface that is used here, and that has stayed as it was from the
 * first version on. Debian does not package the header. */
#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif
#define PLUGIN_EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
					   void (*translated)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb,
					  void (*executed)(unsigned int, void *), int flags,
					  void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_VERSION;
PLUGIN_EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

/* Addresses of the kernel's image are above this one, those of processes below the other. */
#define KERNEL_START UINT64_C(0xffffffff80000000)
#define USER_END     (UINT64_C(1) << 47)

/* The kernel's start code runs at low addresses, too, and returns to them after its first function
 * at a high one. No kernel reaches its first process with fewer instructions than these. */
#define KERNEL_MIN 5000000

struct symbol {
	uint64_t address, count, first;
	char *name;
};

/* Translated instructions that are executed one after another. */
struct block {
	uint64_t address;
	size_t length;
	/* NULL outside of the kernel */
	struct symbol *symbol;
};

static struct symbol *symbols;
static size_t n_symbols;
static uint64_t before, kernel;
static const char *output;

static void
instructions_write(void)
{
	FILE *f = fopen(output, "we");

	if (!f) {
		perror(output);
		return;
	}
	(void)fprintf(f, "%" PRIu64 " 0 total\n%" PRIu64 " 0 before\n%" PRIu64 " 0 kernel\n",
		      before + kernel, before, kernel);
	for (size_t i = 0; i < n_symbols; i++) {
		const struct symbol *s = &symbols[i];

		if (s->count > 0)
			(void)fprintf(f, "%" PRIu64 " %" PRIu64 " %s\n", s->count, s->first,
				      s->name);
	}
	if (fclose(f) != 0)
		perror(output);
}

static void
instructions_on_block(unsigned int cpu, void *data)
{
	const struct block *b = data;
	struct symbol *s = b->symbol;

	(void)cpu;
	if (b->address < USER_END) {
		if (kernel >= KERNEL_MIN) {
			instructions_write();
			_exit(0);
		}
		before += b->length;
		return;
	}
	if (s) {
		if (s->first == 0 && s->address == b->address)
			s->first = before + kernel;
		s->count += b->length;
	}
	kernel += b->length;
}

/* Returns the last symbol whose address is at most this one, or NULL. */
static struct symbol *
instructions_symbol(uint64_t address)
{
	size_t low = 0, high = n_symbols;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? &symbols[low - 1] : NULL;
}

/* Blocks are never freed: QEMU does not say when it forgets a translation. */
static void
instructions_on_translation(plugin_id id, struct qemu_plugin_tb *tb)
{
	struct block *b = malloc(sizeof(*b));

	(void)id;
	if (!b)
		abort();
	b->address = qemu_plugin_tb_vaddr(tb);
	b->length = qemu_plugin_tb_n_insns(tb);
	b->symbol = b->address >= KERNEL_START ? instructions_symbol(b->address) : NULL;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, instructions_on_block, 0, b);
}

static int
instructions_compare(const void *left, const void *right)
{
	const struct symbol *l = left, *r = right;

	return (l->address > r->address) - (l->address < r->address);
}

static int
instructions_add_symbol(uint64_t address, const char *name)
{
	static size_t room;

	if (n_symbols == room) {
		struct symbol *more = realloc(symbols, (room + 4096) * sizeof(*more));

		if (!more)
			return -1;
		symbols = more;
		room += 4096;
	}
	symbols[n_symbols] = (struct symbol){ .address = address, .name = strdup(name) };
	return symbols[n_symbols++].name ? 0 : -1;
}

/* Reads a System.map. Of several names of an address, the first one counts. */
static int
instructions_read_map(const char *path)
{
	FILE *f = fopen(path, "re");
	char line[512];
	int ret = 0;

	if (!f) {
		perror(path);
		return -1;
	}
	while (ret == 0 && fgets(line, sizeof(line), f)) {
		char *rest;
		uint64_t address = strtoull(line, &rest, 16);

		line[strcspn(line, "\n")] = '\0';
		if (address < KERNEL_START || strlen(rest) < 4 ||
		    (n_symbols > 0 && symbols[n_symbols - 1].address == address))
			continue;
		/* " T name" */
		ret = instructions_add_symbol(address, rest + 3);
	}
	(void)fclose(f);
	qsort(symbols, n_symbols, sizeof(*symbols), instructions_compare);
	return ret;
}

int
qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "out=", 4) == 0)
			output = strdup(argv[i] + 4);
		else if (strncmp(argv[i], "map=", 4) != 0 || instructions_read_map(argv[i] + 4) < 0)
			return -1;
	}
	if (!output)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, instructions_on_translation);
	return 0;
}
