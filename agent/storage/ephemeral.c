/* SPDX-License-Identifier: Apache-2.0 */
/* ephemeral: a file system in guest memory (tmpfs, hugetlbfs) that lives as long as the sandbox. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/storage/driver.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "lib/path.h"

/* Parses the number of the option "key=". */
static bool
number_option(const struct storage_spec *spec, const char *key, uint64_t *out)
{
	const char *value = storage_option(spec, key);

	return value && parse_u64(value, out);
}

static int
ephemeral_check(const struct storage_spec *spec, struct error *err)
{
	const char *gid = storage_option(spec, "fsgid");
	uint64_t page, size;
	uint32_t v;

	if (gid && !parse_u32(gid, &v))
		return error_set(err, ERROR_INVALID_ARGUMENT, "storage %s: invalid fsgid \"%.32s\"",
				 spec->mount_point, gid);
	if (!*spec->fstype)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: ephemeral requires an fstype", spec->mount_point);
	if (strcmp(spec->fstype, "hugetlbfs") != 0)
		return 0;
	if (!number_option(spec, "pagesize", &page) || !number_option(spec, "size", &size) ||
	    page < 1024 || size < page)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: hugetlbfs requires pagesize=<bytes> and size=<bytes> "
				 "of at least one page",
				 spec->mount_point);
	return 0;
}

/* The guest's pool of huge pages of one size. */
struct page_pool {
	/* Bytes of a page; number of pages of the volume. */
	uint64_t page, wanted;
	/* below /sys */
	char path[96];
};

static int
pool_of(const struct storage_mount *m, struct page_pool *p, struct error *err)
{
	uint64_t size = 0;

	if (!number_option(m->spec, "pagesize", &p->page) ||
	    !number_option(m->spec, "size", &size) || !p->page)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "storage %s: invalid pagesize or size", m->spec->mount_point);
	p->wanted = size / p->page;
	(void)snprintf(p->path, sizeof(p->path),
		       "kernel/mm/hugepages/hugepages-%llukB/nr_hugepages",
		       (unsigned long long)(p->page / 1024));
	return 0;
}

static int
pool_count(const struct storage_mount *m, const struct page_pool *p, uint64_t *n)
{
	char text[32];

	return read_text_at(m->roots->sys, p->path, text, sizeof(text)) > 0 && parse_u64(text, n)
		       ? 0
		       : -1;
}

static int
pool_set(const struct storage_mount *m, const struct page_pool *p, uint64_t n)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return write_text_at(m->roots->sys, p->path, text);
}

/* Adds the pages of this volume to the pool and checks that the kernel found them. */
static int
reserve_pages(const struct storage_mount *m, struct error *err)
{
	struct page_pool p;
	uint64_t had = 0, got = 0;

	if (pool_of(m, &p, err) < 0)
		return -1;
	if (pool_count(m, &p, &had) < 0)
		return error_sys(err, "failed to count the huge pages of %llu bytes",
				 (unsigned long long)p.page);
	if (pool_set(m, &p, had + p.wanted) < 0)
		return error_sys(err, "failed to reserve %llu huge pages of %llu bytes",
				 (unsigned long long)p.wanted, (unsigned long long)p.page);
	if (pool_count(m, &p, &got) == 0 && got >= had + p.wanted)
		return 0;
	/* The volume cannot be made: its share goes back. */
	(void)pool_set(m, &p, had);
	return error_set(err, ERROR_RESOURCE_EXHAUSTED,
			 "failed to reserve %llu huge pages of %llu bytes: only %llu available",
			 (unsigned long long)p.wanted, (unsigned long long)p.page,
			 (unsigned long long)(got > had ? got - had : 0));
}

/* Takes the pages of a volume out of the pool; other volumes may have reserved theirs since. Pages
 * that a process still uses follow when it unmaps them. */
static void
return_pages(struct worker *w, const struct storage_mount *m)
{
	struct error err = ERROR_INIT;
	struct page_pool p;
	uint64_t now;

	(void)w;
	if (strcmp(m->spec->fstype, "hugetlbfs") != 0)
		return;
	if (pool_of(m, &p, &err) == 0 && pool_count(m, &p, &now) == 0 && now >= p.wanted)
		(void)pool_set(m, &p, now - p.wanted);
}

/* Applies fsgid: the group of the root directory, inherited by everything created in it. */
static int
give_to_group(const struct storage_mount *m, int tree, struct error *err)
{
	const char *gid_text = storage_option(m->spec, "fsgid");
	uint32_t gid = 0;
	struct stat st;
	char name[64];

	if (!gid_text || !parse_u32(gid_text, &gid))
		return 0;
	if (fchownat(tree, "", (uid_t)-1, gid, AT_EMPTY_PATH) < 0 || fstat(tree, &st) < 0 ||
	    chmod(path_of_fd(tree, name), (st.st_mode & 07777) | S_ISGID) < 0)
		return error_sys(err, "failed to change the group of %s to %u",
				 m->spec->mount_point, gid);
	return 0;
}

static int
mount_ephemeral(struct worker *w, const struct storage_mount *m, struct error *err)
{
	/* The kernel's default mode for a tmpfs is 1777. The kubelet makes emptyDir volumes 0777,
	 * so that the users of a pod may rename and remove each other's files, and append to them
	 * regardless of fs.protected_regular. */
	static const char *const open_to_all[] = { "mode=0777", NULL };
	bool is_huge = strcmp(m->spec->fstype, "hugetlbfs") == 0;
	bool has_mode =
		strcmp(m->spec->fstype, "tmpfs") != 0 || storage_option(m->spec, "mode") != NULL;
	const struct storage_source source = {
		.name = *m->spec->source ? m->spec->source : m->spec->fstype,
		.type = m->spec->fstype,
		.extra = has_mode ? NULL : open_to_all,
	};

	if (is_huge && reserve_pages(m, err) < 0)
		return -1;
	if (storage_mount_common(w, m, &source, give_to_group, err) == 0)
		return 0;
	return_pages(w, m);
	return -1;
}

const struct storage_driver storage_ephemeral = {
	.name = "ephemeral",
	.pod_lifetime = true,
	.check = ephemeral_check,
	.mount = mount_ephemeral,
	.unmounted = return_pages,
};
