/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Volumes and devices on the command line.
 *
 *	text -> volume_split(): keys and values -> volume_fill(): types, numbers -> volume_look_up()
 */
#include "ctl/spec/volume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/spec/quantity.h"
#include "ctl/vm/find.h"
#include "lib/cleanup.h"
#include "lib/parse.h"

#define TEXT_MAX (2 * PATH_MAX)
#define HUGE_2M  (UINT64_C(2) << 20)

enum volume_key {
	KEY_TYPE,
	KEY_SOURCE,
	KEY_TARGET,
	KEY_READONLY,
	KEY_FSTYPE,
	KEY_DAX,
	KEY_SIZE,
	KEY_MODE,
	KEY_PAGE_SIZE,
	KEYS,
};

#define BIT(key) (1u << (key))

/* Values by key; NULL: not given. */
struct volume_words {
	const char *value[KEYS];
	/* for messages */
	const char *option, *text;
};

static const struct {
	const char *name;
	enum volume_kind kind;
	enum share_kind bus;
	bool is_volume, is_device;
	/* keys in addition to type and target */
	unsigned int required, allowed;
} types[] = {
	{ "bind", VOLUME_ON_SHARE, SHARE_9P, true, false, BIT(KEY_SOURCE), BIT(KEY_READONLY) },
	{ "config", VOLUME_WATCHED, SHARE_9P, true, false, BIT(KEY_SOURCE), BIT(KEY_READONLY) },
	{ "blk", VOLUME_ON_DISK, SHARE_BLK, true, true, BIT(KEY_SOURCE),
	  BIT(KEY_READONLY) | BIT(KEY_FSTYPE) },
	{ "scsi", VOLUME_ON_DISK, SHARE_SCSI, true, true, BIT(KEY_SOURCE),
	  BIT(KEY_READONLY) | BIT(KEY_FSTYPE) },
	{ "nvdimm", VOLUME_ON_DISK, SHARE_NVDIMM, true, true, BIT(KEY_SOURCE),
	  BIT(KEY_READONLY) | BIT(KEY_FSTYPE) | BIT(KEY_DAX) },
	{ "pmem", VOLUME_ON_DISK, SHARE_PMEM, true, true, BIT(KEY_SOURCE),
	  BIT(KEY_READONLY) | BIT(KEY_FSTYPE) | BIT(KEY_DAX) },
	{ "tmpfs", VOLUME_TMPFS, SHARE_9P, true, false, 0,
	  BIT(KEY_SIZE) | BIT(KEY_MODE) | BIT(KEY_READONLY) },
	{ "hugepages", VOLUME_HUGE_PAGES, SHARE_9P, true, false, BIT(KEY_SIZE),
	  BIT(KEY_PAGE_SIZE) },
};

static int volume_split_short(struct volume_words *w, char *copy, struct error *err);
static int volume_split(struct volume_words *w, char *copy, struct error *err);
static int volume_fill(struct volume *v, const struct volume_words *w, bool is_device,
		       struct error *err);
static int volume_fill_memory(struct volume *v, const struct volume_words *w, struct error *err);
static int volume_look_up(struct volume *v, const struct volume_words *w, struct error *err);

static int
volume_parse_as(struct volume *v, const char *option, const char *text, bool is_device,
		struct error *err)
{
	struct volume_words w = { .option = option, .text = text };
	char copy[TEXT_MAX];

	*v = (struct volume){ .share = -1 };
	if (strlen(text) >= sizeof(copy))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s: value is too long", option);
	(void)snprintf(copy, sizeof(copy), "%s", text);
	if (strncmp(text, "type=", 5) == 0 ? volume_split(&w, copy, err) < 0
					   : volume_split_short(&w, copy, err) < 0)
		return -1;
	if (!w.value[KEY_TYPE])
		w.value[KEY_TYPE] = is_device ? "blk" : "bind";
	return volume_fill(v, &w, is_device, err) < 0 ? -1 : volume_look_up(v, &w, err);
}

int
volume_parse(struct volume *v, const char *text, struct error *err)
{
	return volume_parse_as(v, "--volume", text, false, err);
}

int
device_parse(struct volume *v, const char *text, struct error *err)
{
	return volume_parse_as(v, "--device", text, true, err);
}

/* ---- the text ---- */

/* SOURCE:TARGET[:ro|:rw] */
static int
volume_split_short(struct volume_words *w, char *copy, struct error *err)
{
	char *target = strchr(copy, ':');
	char *mode = target ? strchr(target + 1, ':') : NULL;

	if (target)
		*target++ = '\0';
	if (mode)
		*mode++ = '\0';
	if (!target || !copy[0] || (mode && strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s %s: expected SRC:DST[:ro] or type=TYPE,KEY=VALUE,...",
				 w->option, w->text);
	w->value[KEY_SOURCE] = copy;
	w->value[KEY_TARGET] = target;
	if (mode && strcmp(mode, "ro") == 0)
		w->value[KEY_READONLY] = "";
	return 0;
}

/* KEY[=VALUE],... */
static int
volume_split(struct volume_words *w, char *copy, struct error *err)
{
	static const struct {
		const char *name;
		enum volume_key key;
		bool has_value;
	} keys[] = {
		{ "type", KEY_TYPE, true },          { "source", KEY_SOURCE, true },
		{ "src", KEY_SOURCE, true },         { "target", KEY_TARGET, true },
		{ "dst", KEY_TARGET, true },         { "destination", KEY_TARGET, true },
		{ "readonly", KEY_READONLY, false }, { "ro", KEY_READONLY, false },
		{ "fstype", KEY_FSTYPE, true },      { "dax", KEY_DAX, false },
		{ "size", KEY_SIZE, true },          { "mode", KEY_MODE, true },
		{ "pagesize", KEY_PAGE_SIZE, true },
	};
	char *save = NULL;

	for (char *word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		char *value = strchr(word, '=');
		size_t i = 0;

		if (value)
			*value++ = '\0';
		while (i < ARRAY_LEN(keys) && strcmp(keys[i].name, word) != 0)
			i++;
		if (i == ARRAY_LEN(keys))
			return error_set(err, ERROR_INVALID_ARGUMENT, "%s %s: unknown key \"%s\"",
					 w->option, w->text, word);
		if (keys[i].has_value != (value && *value))
			return error_set(err, ERROR_INVALID_ARGUMENT, "%s %s: %s %s", w->option,
					 w->text, word,
					 keys[i].has_value ? "needs a value" : "takes no value");
		if (w->value[keys[i].key])
			return error_set(err, ERROR_INVALID_ARGUMENT, "%s %s: %s is given twice",
					 w->option, w->text, word);
		w->value[keys[i].key] = value ? value : "";
	}
	return 0;
}

/* Checks that the path is absolute and normal. */
static bool
volume_target_is_valid(const char *path)
{
	if (path[0] != '/' || path[1] == '\0' || strlen(path) >= PATH_MAX)
		return false;
	for (const char *p = path; (p = strstr(p, "/..")) != NULL; p += 3)
		if (p[3] == '\0' || p[3] == '/')
			return false;
	return true;
}

static int
volume_fill(struct volume *v, const struct volume_words *w, bool is_device, struct error *err)
{
	static const char *const names[KEYS] = {
		"type", "source", "target", "readonly", "fstype", "dax", "size", "mode", "pagesize",
	};
	size_t t = 0;

	while (t < ARRAY_LEN(types) && (strcmp(types[t].name, w->value[KEY_TYPE]) != 0 ||
					!(is_device ? types[t].is_device : types[t].is_volume)))
		t++;
	if (t == ARRAY_LEN(types))
		return error_set(
			err, ERROR_INVALID_ARGUMENT, "%s %s: type %s: expected %s", w->option,
			w->text, w->value[KEY_TYPE],
			is_device ? "blk, scsi, nvdimm or pmem"
				  : "bind, config, blk, scsi, nvdimm, pmem, tmpfs or hugepages");
	v->kind = is_device ? VOLUME_DEVICE : types[t].kind;
	v->bus = types[t].bus;
	for (size_t key = 0; key < KEYS; key++) {
		unsigned int required = types[t].required | BIT(KEY_TYPE) | BIT(KEY_TARGET);
		unsigned int allowed = types[t].allowed | required;

		if (is_device)
			allowed &= ~(BIT(KEY_FSTYPE) | BIT(KEY_DAX));
		if (!w->value[key] && (required & BIT(key)))
			return error_set(err, ERROR_INVALID_ARGUMENT, "%s %s: %s is missing",
					 w->option, w->text, names[key]);
		if (w->value[key] && !(allowed & BIT(key)))
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "%s %s: type %s does not take %s", w->option, w->text,
					 types[t].name, names[key]);
	}
	if (!volume_target_is_valid(w->value[KEY_TARGET]))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s %s: invalid target %s: expected an absolute path without ..",
				 w->option, w->text, w->value[KEY_TARGET]);
	(void)snprintf(v->target, sizeof(v->target), "%s", w->value[KEY_TARGET]);
	v->readonly = w->value[KEY_READONLY] || v->kind == VOLUME_WATCHED;
	if (w->value[KEY_DAX])
		(void)snprintf(v->options, sizeof(v->options), "dax");
	return volume_fill_memory(v, w, err);
}

/* Fills in the options of file systems in the guest's memory. */
static int
volume_fill_memory(struct volume *v, const struct volume_words *w, struct error *err)
{
	const char *size_text = w->value[KEY_SIZE], *page_text = w->value[KEY_PAGE_SIZE];
	uint64_t size = 0, page = HUGE_2M;
	uint32_t mode = 0;

	if (size_text && (!quantity_parse(size_text, 0, INT64_MAX, &size) || size == 0))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s %s: invalid size %s: expected bytes, such as 64Mi", w->option,
				 w->text, size_text);
	if (page_text && (!quantity_parse(page_text, 0, INT64_MAX, &page) || page < HUGE_2M ||
			  (page & (page - 1))))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s %s: invalid pagesize %s: expected 2Mi or 1Gi", w->option,
				 w->text, page_text);
	if (w->value[KEY_MODE] && (!parse_octal(w->value[KEY_MODE], &mode) || mode > 07777))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s %s: invalid mode %s: expected octal digits", w->option,
				 w->text, w->value[KEY_MODE]);
	if (v->kind == VOLUME_HUGE_PAGES) {
		if (size % page)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "%s %s: size is not a multiple of the page size",
					 w->option, w->text);
		(void)snprintf(v->options, sizeof(v->options), "pagesize=%llu,size=%llu",
			       (unsigned long long)page, (unsigned long long)size);
	} else if (v->kind == VOLUME_TMPFS) {
		int n = snprintf(v->options, sizeof(v->options), "nosuid,nodev,mode=%o",
				 w->value[KEY_MODE] ? mode : 01777u);

		if (size)
			(void)snprintf(v->options + n, sizeof(v->options) - (size_t)n, ",size=%llu",
				       (unsigned long long)size);
	}
	return 0;
}

/* ---- files of the host ---- */

bool
volume_bus(const char *name, enum share_kind *out)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i].is_device && strcmp(types[i].name, name) == 0) {
			*out = types[i].bus;
			return true;
		}
	}
	return false;
}

bool
volume_has_share(const struct volume *v)
{
	return v->kind != VOLUME_TMPFS && v->kind != VOLUME_HUGE_PAGES;
}

int
volume_find_image(const char *path, enum share_kind bus, bool readonly, char *out,
		  struct error *err)
{
	auto_close int fd = -1;
	struct stat st;

	if (!realpath(path, out))
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to look up %s", path);
	if (stat(out, &st) < 0 || (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s is not an image: expected a file or block device", path);
	fd = open(out, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to open %s for %s", path,
				      readonly ? "reading" : "writing");
	if (bus != SHARE_NVDIMM && bus != SHARE_PMEM)
		return 0;
	if (!S_ISREG(st.st_mode) || st.st_size == 0 || (uint64_t)st.st_size % HUGE_2M)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s cannot be memory: expected a file of a whole number of 2 MiB "
				 "(truncate -s %%2M makes it one)",
				 path);
	return 0;
}

static int
volume_look_up(struct volume *v, const struct volume_words *w, struct error *err)
{
	const char *source = w->value[KEY_SOURCE], *fstype = w->value[KEY_FSTYPE];
	struct stat st;

	if (!volume_has_share(v))
		return 0;
	if (v->kind == VOLUME_ON_DISK || v->kind == VOLUME_DEVICE) {
		if (v->kind == VOLUME_ON_DISK && !v->readonly && fstype)
			v->readonly =
				strcmp(fstype, "erofs") == 0 || strcmp(fstype, "squashfs") == 0;
		/* These have no other mode. */
		if (v->kind == VOLUME_ON_DISK && !fstype) {
			fstype = find_fstype(source, err);
			if (!fstype)
				return error_wrap(err, "%s %s", w->option, w->text);
			if (strcmp(fstype, "erofs") == 0 || strcmp(fstype, "squashfs") == 0)
				v->readonly = true;
		}
		if (volume_find_image(source, v->bus, v->readonly, v->source, err) < 0)
			return error_wrap(err, "%s %s", w->option, w->text);
		if (fstype && strlen(fstype) >= sizeof(v->fstype))
			return error_set(err, ERROR_INVALID_ARGUMENT, "%s %s: invalid fstype %s",
					 w->option, w->text, fstype);
		(void)snprintf(v->fstype, sizeof(v->fstype), "%s", fstype ? fstype : "");
		return 0;
	}
	if (!realpath(source, v->source) || stat(v->source, &st) < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "%s %s: failed to look up %s",
				      w->option, w->text, source);
	if (v->kind == VOLUME_WATCHED && !S_ISDIR(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s %s: %s is not a directory",
				 w->option, w->text, source);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s %s: %s is neither a directory nor a file", w->option, w->text,
				 source);
	v->is_file = S_ISREG(st.st_mode);
	return 0;
}

int
volume_bind(struct volume *v, const char *source, const char *target, bool readonly,
	    struct error *err)
{
	struct stat st;

	*v = (struct volume){ .kind = VOLUME_ON_SHARE, .share = -1, .readonly = readonly };
	if (!volume_target_is_valid(target))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "invalid target \"%.200s\": expected an absolute path without ..",
				 target);
	if (!realpath(source, v->source) || stat(v->source, &st) < 0)
		return error_sys_code(err, ERROR_INVALID_ARGUMENT, "failed to look up %.200s",
				      source);
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%.200s is neither a directory nor a file", source);
	v->is_file = S_ISREG(st.st_mode);
	(void)snprintf(v->target, sizeof(v->target), "%s", target);
	return 0;
}

/* ---- all together ---- */

int
volumes_check(const struct volume *list, size_t n, const char *root, struct error *err)
{
	unsigned int memories = 0;

	for (size_t i = 0; i < n; i++) {
		const struct volume *v = &list[i];
		bool is_disk = v->kind == VOLUME_ON_DISK || v->kind == VOLUME_DEVICE;

		for (size_t k = 0; k < i; k++) {
			if (strcmp(list[k].target, v->target) == 0)
				return error_set(err, ERROR_INVALID_ARGUMENT,
						 "two volumes or devices have the target %s",
						 v->target);
			if (is_disk && strcmp(list[k].source, v->source) == 0 &&
			    !(list[k].readonly && v->readonly))
				return error_set(err, ERROR_INVALID_ARGUMENT,
						 "image %s is used twice, and not only for reading",
						 v->source);
		}
		if (is_disk && root && strcmp(root, v->source) == 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "image %s is the container's root, too", v->source);
		if (is_disk && (v->bus == SHARE_NVDIMM || v->bus == SHARE_PMEM))
			memories |= 1u << v->bus;
	}
	/* The guest numbers both kinds in the order in which it finds them. */
	if (memories == (1u << SHARE_NVDIMM | 1u << SHARE_PMEM))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "types nvdimm and pmem cannot be used together");
	return 0;
}
