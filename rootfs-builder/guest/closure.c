/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/guest/closure.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rootfs-builder/guest/arch.h"
#include "rootfs-builder/guest/elffile.h"
#include "rootfs-builder/guest/initrd_paths.h"

/* Limits of what is read of a file. */
#define HEADERS_MAX   64
#define DYNAMIC_MAX   4096
#define STRING_MAX    ((size_t)1024)
#define SCRIPT_MAX    ((size_t)256)
#define LIBRARIES_MAX 1000

/* A program, and what it loads, in the order of the dynamic linker: all that a file names comes
 * before what those name. */
struct closure {
	const struct image *image;
	uint16_t machine;
	struct {
		const struct image_entry *entry;
		/* As it was looked for, before symlinks were followed. */
		char *path;
		bool is_program, is_static;
	} files[LIBRARIES_MAX];
	size_t n;
};

/* An ELF file that is being read. */
struct elf {
	const char *path;
	const struct image_entry *entry;
	int fd;
	Elf64_Ehdr head;
	Elf64_Phdr parts[HEADERS_MAX];
	/* Offset of the string table. */
	uint64_t strings;
	char run_path[STRING_MAX];
};

/* In addition to those that Debian names after the architecture. */
static const char *const library_dirs[] = {
	"/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib",
};

static int closure_of(const struct image *image, uint16_t machine, const char *program,
		      bool is_static, struct error *err);
static int closure_add(struct closure *c, const char *path, bool is_program, bool is_static,
		       struct error *err);
static int closure_check_file(struct closure *c, size_t i, struct error *err);
static int closure_check_script(struct closure *c, const char *path, const char *text,
				struct error *err);
static int closure_check_elf(struct closure *c, struct elf *elf, bool is_static, struct error *err);
static int closure_check_dynamic(struct closure *c, struct elf *elf, const Elf64_Phdr *part,
				 struct error *err);
static int closure_find_library(struct closure *c, const struct elf *elf, const char *name,
				struct error *err);

int
closure_verify(const struct image *image, uint16_t machine, bool static_init, struct error *err)
{
	if (closure_of(image, machine, "/init", static_init, err) < 0 ||
	    closure_of(image, machine, "/sbin/init", false, err) < 0 ||
	    closure_of(image, machine, INITRD_AGENT_PATH, false, err) < 0)
		return error_wrap(err, "the image would not boot");
	return 0;
}

static int
closure_of(const struct image *image, uint16_t machine, const char *program, bool is_static,
	   struct error *err)
{
	auto_free struct closure *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_nomem(err, "checking programs");
	c->image = image;
	c->machine = machine;
	r = closure_add(c, program, true, is_static, err);
	for (size_t i = 0; r == 0 && i < c->n; i++)
		r = closure_check_file(c, i, err);
	for (size_t i = 0; i < c->n; i++)
		free(c->files[i].path);
	return r;
}

/* Reads up to n bytes at an offset. Returns their number, or -1 and err. */
static ssize_t
closure_read(const struct elf *elf, uint64_t at, void *out, size_t n, struct error *err)
{
	const struct image_entry *entry = elf->entry;
	ssize_t got = 0;

	if (at >= entry->size)
		return 0;
	if (n > entry->size - at)
		n = (size_t)(entry->size - at);
	if (elf->fd < 0) {
		memcpy(out, entry->data + at, n);
		return (ssize_t)n;
	}
	got = pread(elf->fd, out, n, (off_t)at);
	return got < 0 ? error_sys(err, "failed to read %s", entry->source) : got;
}

static int
closure_damaged(const struct elf *elf, struct error *err)
{
	return error_set(err, ERROR_INVALID_ARGUMENT, "%s: damaged ELF headers", elf->path);
}

/* Adds a file unless it is there. A program may be a script, and must be executable. */
static int
closure_add(struct closure *c, const char *path, bool is_program, bool is_static, struct error *err)
{
	const struct image_entry *entry = image_resolve(c->image, path, err);

	if (!entry)
		return -1;
	if (!S_ISREG(entry->mode) || (is_program && !(entry->mode & 0111)))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not %s file", path,
				 is_program ? "an executable" : "a");
	for (size_t i = 0; i < c->n; i++) {
		if (c->files[i].entry == entry)
			return 0;
	}
	if (c->n == LIBRARIES_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "%s: more than %d libraries", path,
				 LIBRARIES_MAX);
	c->files[c->n].path = strdup(path);
	if (!c->files[c->n].path)
		return error_nomem(err, "checking programs");
	c->files[c->n].entry = entry;
	c->files[c->n].is_program = is_program;
	c->files[c->n++].is_static = is_static;
	return 0;
}

static int
closure_check_file(struct closure *c, size_t i, struct error *err)
{
	const struct image_entry *entry = c->files[i].entry;
	struct elf elf = { .path = c->files[i].path, .entry = entry, .fd = -1 };
	char text[SCRIPT_MAX + 1] = "";
	ssize_t n;
	int r;

	if (entry->source) {
		elf.fd = image_open_source(entry, err);
		if (elf.fd < 0)
			return -1;
	}
	n = closure_read(&elf, 0, text, SCRIPT_MAX, err);
	if (n < 0)
		r = -1;
	else if (c->files[i].is_program && n > 2 && !memcmp(text, "#!", 2))
		r = closure_check_script(c, elf.path, text, err);
	else
		r = closure_check_elf(c, &elf, c->files[i].is_static, err);
	close_fd(&elf.fd);
	return r;
}

static int
closure_check_script(struct closure *c, const char *path, const char *text, struct error *err)
{
	char interpreter[SCRIPT_MAX + 1];

	text += 2 + strspn(text + 2, " \t");
	(void)snprintf(interpreter, sizeof(interpreter), "%.*s", (int)strcspn(text, " \t\n"), text);
	if (closure_add(c, interpreter, true, false, err) < 0)
		return error_wrap(err, "interpreter of %s", path);
	return 0;
}

static int
closure_check_elf(struct closure *c, struct elf *elf, bool is_static, struct error *err)
{
	uint8_t first[sizeof(Elf64_Ehdr)] = { 0 };
	size_t size;
	ssize_t n = closure_read(elf, 0, first, sizeof(first), err);

	if (n < 0 || elf_check(elf->path, first, (size_t)n, c->machine, err) < 0)
		return -1;
	elf_read_head(first, &elf->head);
	size = elf->head.e_phnum * sizeof(Elf64_Phdr);
	if (elf->head.e_phnum > HEADERS_MAX || elf->head.e_phentsize != sizeof(Elf64_Phdr))
		return closure_damaged(elf, err);
	n = closure_read(elf, elf->head.e_phoff, elf->parts, size, err);
	if (n < 0)
		return -1;
	if ((size_t)n != size)
		return closure_damaged(elf, err);
	for (size_t i = 0; i < elf->head.e_phnum; i++)
		elf_order_part(&elf->head, &elf->parts[i]);
	for (size_t i = 0; i < elf->head.e_phnum; i++) {
		const Elf64_Phdr *part = &elf->parts[i];
		char interpreter[STRING_MAX] = "";

		if (part->p_type == PT_DYNAMIC && closure_check_dynamic(c, elf, part, err) < 0)
			return -1;
		if (part->p_type != PT_INTERP)
			continue;
		if (part->p_filesz >= sizeof(interpreter))
			return closure_damaged(elf, err);
		n = closure_read(elf, part->p_offset, interpreter, part->p_filesz, err);
		if (n < 0)
			return -1;
		if (is_static)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "%s is not a static program: it needs the interpreter %s",
					 elf->path, interpreter);
		if (closure_add(c, interpreter, false, false, err) < 0)
			return error_wrap(err, "interpreter of %s", elf->path);
	}
	return 0;
}

/* Stores the offset of an address in the file. */
static bool
closure_offset(const struct elf *elf, uint64_t address, uint64_t *out)
{
	for (size_t i = 0; i < elf->head.e_phnum; i++) {
		const Elf64_Phdr *part = &elf->parts[i];

		if (part->p_type == PT_LOAD && address >= part->p_vaddr &&
		    address - part->p_vaddr < part->p_filesz) {
			*out = address - part->p_vaddr + part->p_offset;
			return true;
		}
	}
	return false;
}

/* Reads a string of the string table. */
static int
closure_string(const struct elf *elf, uint64_t at, char out[STRING_MAX], struct error *err)
{
	ssize_t n = closure_read(elf, elf->strings + at, out, STRING_MAX, err);

	if (n < 0)
		return -1;
	return n > 0 && memchr(out, '\0', (size_t)n) ? 0 : closure_damaged(elf, err);
}

static int
closure_check_dynamic(struct closure *c, struct elf *elf, const Elf64_Phdr *part, struct error *err)
{
	size_t count = part->p_filesz / sizeof(Elf64_Dyn);
	auto_free Elf64_Dyn *rows = NULL;
	uint64_t address = 0;
	char name[STRING_MAX];
	ssize_t n;

	if (count > DYNAMIC_MAX)
		return closure_damaged(elf, err);
	rows = calloc(count + 1, sizeof(*rows));
	if (!rows)
		return error_nomem(err, "checking programs");
	n = closure_read(elf, part->p_offset, rows, count * sizeof(*rows), err);
	if (n < 0)
		return -1;
	count = (size_t)n / sizeof(*rows);
	for (size_t i = 0; i < count; i++) {
		elf_order_dynamic(&elf->head, &rows[i]);
		if (rows[i].d_tag == DT_STRTAB)
			address = rows[i].d_un.d_ptr;
	}
	for (size_t i = 0; i < count && rows[i].d_tag != DT_NULL; i++) {
		bool is_path = rows[i].d_tag == DT_RPATH || rows[i].d_tag == DT_RUNPATH;

		if (!is_path && rows[i].d_tag != DT_NEEDED)
			continue;
		if (!closure_offset(elf, address, &elf->strings))
			return closure_damaged(elf, err);
		if (is_path && closure_string(elf, rows[i].d_un.d_val, elf->run_path, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < count && rows[i].d_tag != DT_NULL; i++) {
		if (rows[i].d_tag != DT_NEEDED)
			continue;
		if (closure_string(elf, rows[i].d_un.d_val, name, err) < 0 ||
		    closure_find_library(c, elf, name, err) < 0)
			return -1;
	}
	return 0;
}

/* Adds the library in a directory, whose name may begin with $ORIGIN. Returns 1 if it is there. */
static int
closure_try(struct closure *c, const struct elf *elf, const char *dir, size_t n, const char *name,
	    struct error *err)
{
	static const char *const origins[] = { "$ORIGIN", "${ORIGIN}" };
	auto_free char *path = NULL;
	const char *base = elf->entry->path, *slash = strrchr(base, '/');
	int base_len = 0;

	for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
		size_t len = strlen(origins[i]);

		if (n >= len && !strncmp(dir, origins[i], len)) {
			base_len = slash ? (int)(slash - base) : 0;
			dir += len;
			n -= len;
			break;
		}
	}
	if (asprintf(&path, "/%.*s/%.*s/%s", base_len, base, (int)n, dir, name) < 0) {
		path = NULL;
		return error_nomem(err, "checking programs");
	}
	if (!image_resolve(c->image, path, err))
		return 0;
	return closure_add(c, path, false, false, err) < 0 ? -1 : 1;
}

static int
closure_find_library(struct closure *c, const struct elf *elf, const char *name, struct error *err)
{
	const struct arch *arch = arch_of_machine(c->machine);
	int r = 0;

	if (strchr(name, '/'))
		return closure_add(c, name, false, false, err);
	for (const char *dir = elf->run_path; r == 0 && *dir;) {
		size_t n = strcspn(dir, ":");

		r = closure_try(c, elf, dir, n, name, err);
		dir += n + (dir[n] == ':');
	}
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(library_dirs); i++)
		r = closure_try(c, elf, library_dirs[i], strlen(library_dirs[i]), name, err);
	for (size_t i = 0; r == 0 && i < 2; i++) {
		char dir[STRING_MAX];

		(void)snprintf(dir, sizeof(dir), "%s/%s", i == 0 ? "/lib" : "/usr/lib",
			       arch ? arch->triplet : "");
		r = closure_try(c, elf, dir, strlen(dir), name, err);
	}
	/* A library that is loaded already need not be where this file would look for it: those of
	 * systemd find one another by way of the programs. */
	for (size_t i = 0; r == 0 && i < c->n; i++) {
		const char *base = strrchr(c->files[i].path, '/');

		r = base && !strcmp(base + 1, name);
	}
	if (r == 0)
		return error_set(err, ERROR_NOT_FOUND, "library %s, which %s needs, is missing",
				 name, elf->path);
	return r < 0 ? -1 : 0;
}
