/* SPDX-License-Identifier: Apache-2.0 */
/* initrd_list(): lists the members of an initrd, one a line. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/cleanup.h"
#include "rootfs-builder/archive/cpio.h"
#include "rootfs-builder/initrd.h"

struct lister {
	FILE *out;
	bool open_line, link;
};

static void list_end_line(struct lister *lister);
static int list_member(const struct cpio_member *member, void *data, struct error *err);
static char list_type_letter(uint32_t mode);
static int list_content(const uint8_t *bytes, size_t n, void *data, struct error *err);

int
initrd_list(const char *path, FILE *out, struct error *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct lister lister = { .out = out };
	const struct cpio_visitor visitor = {
		.member = list_member,
		.content = list_content,
		.data = &lister,
	};
	struct unpacker *unpacker;
	int r;

	if (fd < 0)
		return error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				      "failed to open %s", path);
	unpacker = unpacker_new(fd, err);
	if (!unpacker)
		return error_wrap(err, "%s", path);
	r = cpio_read(unpacker, &visitor, err);
	unpacker_free(unpacker);
	list_end_line(&lister);
	return r < 0 ? error_wrap(err, "%s", path) : 0;
}

static void
list_end_line(struct lister *lister)
{
	if (lister->open_line)
		(void)fputc('\n', lister->out);
	lister->open_line = false;
}

/* Escapes control characters, since the archive may come from elsewhere and `out` may be a
 * terminal. */
static void
list_put_name(FILE *out, const char *name, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c < 0x20 || c == 0x7f || c == '\\')
			(void)fprintf(out, "\\x%02x", c);
		else
			(void)fputc(c, out);
	}
}

static int
list_member(const struct cpio_member *member, void *data, struct error *err)
{
	struct lister *lister = data;
	char size[32];

	(void)err;
	list_end_line(lister);
	if (S_ISCHR(member->mode) || S_ISBLK(member->mode))
		(void)snprintf(size, sizeof(size), "%u,%u", member->dev_major, member->dev_minor);
	else
		(void)snprintf(size, sizeof(size), "%llu", (unsigned long long)member->size);
	(void)fprintf(lister->out, "%c%04o %u:%u %10s ", list_type_letter(member->mode),
		      member->mode & 07777, member->uid, member->gid, size);
	list_put_name(lister->out, member->path, strlen(member->path));
	lister->link = S_ISLNK(member->mode);
	lister->open_line = true;
	if (lister->link)
		(void)fputs(" -> ", lister->out);
	return 0;
}

static char
list_type_letter(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return 'd';
	case S_IFLNK:
		return 'l';
	case S_IFCHR:
		return 'c';
	case S_IFBLK:
		return 'b';
	case S_IFIFO:
		return 'p';
	case S_IFSOCK:
		return 's';
	case S_IFREG:
		return '-';
	}
	return '?';
}

static int
list_content(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	const struct lister *lister = data;

	(void)err;
	if (lister->link)
		list_put_name(lister->out, (const char *)bytes, n);
	return 0;
}
