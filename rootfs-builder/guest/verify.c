/* SPDX-License-Identifier: Apache-2.0 */
#include "rootfs-builder/guest/verify.h"

#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "lib/cleanup.h"
#include "rootfs-builder/archive/cpio.h"
#include "rootfs-builder/guest/elffile.h"
#include "rootfs-builder/guest/initrd_paths.h"

/* In real programs the program headers and the interpreter are in the first page. */
#define HEAD_MAX ((size_t)16 << 10)

/* The first bytes of a program in the archive. */
struct head {
	const struct image_entry *entry;
	size_t n;
	uint8_t bytes[HEAD_MAX];
};

struct verify {
	const struct image *image;
	const struct image_links *links;
	uint32_t mtime;
	/* Index of the entry that the next member must match. */
	size_t next;
	uint32_t crc;
	struct head init, agent;
};

static int verify_find_program(const struct verify *v, const char *path, struct head *head,
			       struct error *err);
static int verify_read_back(int fd, struct verify *v, struct error *err);
static int verify_see_member(const struct cpio_member *member, void *data, struct error *err);
static int verify_check_last(const struct verify *v, struct error *err);
static int verify_see_content(const uint8_t *bytes, size_t n, void *data, struct error *err);
static int verify_check_program(const struct verify *v, const char *path, const struct head *head,
				bool is_static, uint16_t machine, struct error *err);

int
verify_archive(int fd, const struct image *image, uint32_t mtime, uint16_t machine,
	       bool static_init, struct error *err)
{
	auto_free struct verify *v = calloc(1, sizeof(*v));
	auto_free struct image_links *links = image_links(image, err);

	if (!links)
		return -1;
	if (!v)
		return error_nomem(err, "verifying an archive");
	v->image = image;
	v->links = links;
	v->mtime = mtime;
	if (verify_find_program(v, "/init", &v->init, err) < 0 ||
	    verify_find_program(v, "/sbin/init", &v->agent, err) < 0 ||
	    verify_find_program(v, INITRD_AGENT_PATH, &v->agent, err) < 0 ||
	    verify_read_back(fd, v, err) < 0 ||
	    verify_check_program(v, "/init", &v->init, static_init, machine, err) < 0 ||
	    verify_check_program(v, INITRD_AGENT_PATH, &v->agent, false, machine, err) < 0)
		return error_wrap(err, "failed to verify the archive");
	return 0;
}

/* Finds the program that a path resolves to, which must be an executable file. */
static int
verify_find_program(const struct verify *v, const char *path, struct head *head, struct error *err)
{
	head->entry = image_resolve(v->image, path, err);
	if (!head->entry)
		return -1;
	if (!S_ISREG(head->entry->mode) || !(head->entry->mode & 0100))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not an executable file", path);
	/* The last of several hard links has the content. */
	if (head->entry->link_group)
		head->entry = v->image->entries[v->links[head->entry->link_group].last];
	return 0;
}

static int
verify_read_back(int fd, struct verify *v, struct error *err)
{
	const struct cpio_visitor visitor = {
		.member = verify_see_member,
		.content = verify_see_content,
		.data = v,
	};
	struct unpacker *unpacker;
	int r;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_sys(err, "failed to seek");
	unpacker = unpacker_new(fd, err);
	if (!unpacker)
		return -1;
	r = cpio_read(unpacker, &visitor, err);
	unpacker_free(unpacker);
	if (r < 0 || verify_check_last(v, err) < 0)
		return -1;
	if (v->next != v->image->n)
		return error_set(err, ERROR_DATA_LOSS, "/%s is missing",
				 v->image->entries[v->next]->path);
	return 0;
}

static int
verify_differs(struct error *err, const char *path, const char *what)
{
	return error_set(err, ERROR_DATA_LOSS, "/%s: wrong %s", path, what);
}

static int
verify_see_member(const struct cpio_member *member, void *data, struct error *err)
{
	struct verify *v = data;
	struct cpio_member want;

	if (verify_check_last(v, err) < 0)
		return -1;
	if (v->next == v->image->n)
		return error_set(err, ERROR_DATA_LOSS, "unexpected member %s", member->path);
	want = cpio_describe(v->image, v->next++, v->links, v->mtime);
	if (strcmp(member->path, want.path) != 0)
		return error_set(err, ERROR_DATA_LOSS, "/%s found in place of /%s", member->path,
				 want.path);
	if (member->mode != want.mode || member->size != want.size)
		return verify_differs(err, want.path, "mode and size");
	if (member->uid != want.uid || member->gid != want.gid)
		return verify_differs(err, want.path, "owner");
	if (member->dev_major != want.dev_major || member->dev_minor != want.dev_minor)
		return verify_differs(err, want.path, "device number");
	if (member->mtime != want.mtime || member->ino != want.ino || member->nlink != want.nlink)
		return verify_differs(err, want.path, "time and number");
	v->crc = (uint32_t)crc32(0, NULL, 0);
	return 0;
}

/* Checks the content of the previous member, which has been read to its end. */
static int
verify_check_last(const struct verify *v, struct error *err)
{
	const struct image_entry *last = v->next ? v->image->entries[v->next - 1] : NULL;

	return last && last->crc != v->crc ? verify_differs(err, last->path, "content") : 0;
}

static void
verify_keep_head(struct head *head, const struct image_entry *entry, const uint8_t *bytes, size_t n)
{
	if (head->entry != entry)
		return;
	if (n > HEAD_MAX - head->n)
		n = HEAD_MAX - head->n;
	memcpy(head->bytes + head->n, bytes, n);
	head->n += n;
}

static int
verify_see_content(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	struct verify *v = data;
	const struct image_entry *entry = v->image->entries[v->next - 1];

	(void)err;
	v->crc = (uint32_t)crc32(v->crc, bytes, (uInt)n);
	verify_keep_head(&v->init, entry, bytes, n);
	verify_keep_head(&v->agent, entry, bytes, n);
	return 0;
}

static int
verify_check_program(const struct verify *v, const char *path, const struct head *head,
		     bool is_static, uint16_t machine, struct error *err)
{
	const char *interp;

	if (elf_check(path, head->bytes, head->n, machine, err) < 0 ||
	    elf_interpreter(path, head->bytes, head->n, &interp, err) < 0)
		return -1;
	if (interp && is_static)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s is not a static program: it needs the interpreter %s", path,
				 interp);
	if (interp && !image_resolve(v->image, interp, err))
		return error_wrap(err, "interpreter of %s is missing (use --tree)", path);
	return 0;
}
