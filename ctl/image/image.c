/* SPDX-License-Identifier: Apache-2.0 */
/* The root of a container as users name it. */
#include "ctl/image/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/vm/find.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"

#define ARENA_MAX    (4u << 20)
#define ACCOUNTS_MAX (1u << 20)

static int image_open_path(struct image *out, const char *path, const char *choice,
			   const char *arch, struct error *err);
static int image_open_cached(struct image *out, struct cached *cached, struct error *err);

/* Splits "PATH:TAG" or "PATH@DIGEST" if there is PATH, but no file of the whole name. `copy` is
 * modified; returns what follows the path, or NULL if there is no such file. */
static const char *
image_split(char *copy, char *choice, size_t size)
{
	struct stat st;

	if (stat(copy, &st) == 0)
		return "";
	for (char *at = copy + strlen(copy); at > copy; at--) {
		char separator = *at;

		if (separator != ':' && separator != '@')
			continue;
		*at = '\0';
		if (stat(copy, &st) == 0) {
			(void)snprintf(choice, size, "%c%s", separator, at + 1);
			return choice;
		}
		*at = separator;
	}
	return NULL;
}

int
image_open(struct image *out, const char *name, const char *arch, struct error *err)
{
	static const char *const prefixes[] = { "oci-archive:", "docker-archive:", "oci:", "dir:" };
	char copy[PATH_MAX], choice[256] = "";
	struct cached cached = { .lock = -1 };
	struct error why = ERROR_INIT;
	const char *part;

	*out = (struct image){ .lock = -1 };
	arena_init(&out->arena, ARENA_MAX);
	if (cache_is_reference(name)) {
		if (cache_find(name, arch, &cached, &why) < 0 &&
		    cache_pull(name, arch, &cached, err) < 0)
			return -1;
		return image_open_cached(out, &cached, err);
	}
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0 &&
		    access(name, F_OK) < 0) {
			name += strlen(prefixes[i]);
			break;
		}
	}
	if ((size_t)snprintf(copy, sizeof(copy), "%s", name) >= sizeof(copy))
		return error_set(err, ERROR_INVALID_ARGUMENT, "the name of the image is too long");
	part = image_split(copy, choice, sizeof(choice));
	if (part)
		return image_open_path(out, copy, part, arch, err);
	if (cache_find(name, arch, &cached, err) < 0)
		return -1;
	return image_open_cached(out, &cached, err);
}

int
image_open_named(struct image *out, const char *name, const char *arch, enum image_pull pull,
		 struct error *err)
{
	struct cached cached = { .lock = -1 };

	*out = (struct image){ .lock = -1 };
	arena_init(&out->arena, ARENA_MAX);
	if (pull != IMAGE_PULL_ALWAYS) {
		if (cache_find(name, arch, &cached, err) == 0)
			return image_open_cached(out, &cached, err);
		if (pull == IMAGE_PULL_NEVER || err->code != ERROR_NOT_FOUND)
			return -1;
	}
	if (cache_pull(name, arch, &cached, err) < 0)
		return -1;
	return image_open_cached(out, &cached, err);
}

static int
image_open_path(struct image *out, const char *path, const char *choice, const char *arch,
		struct error *err)
{
	char layout[PATH_MAX + 16];
	struct cached cached = { .lock = -1 };
	struct error ignored = ERROR_INIT;
	struct stat st;
	bool is_plain;

	if (stat(path, &st) < 0 || !realpath(path, out->path))
		return error_sys_code(err, ERROR_NOT_FOUND, "failed to look up %s", path);
	(void)snprintf(layout, sizeof(layout), "%s/oci-layout", path);
	if (S_ISDIR(st.st_mode)) {
		is_plain = access(layout, F_OK) < 0;
	} else if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
		out->fstype = find_fstype(path, &ignored);
		is_plain = out->fstype != NULL;
	} else {
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s is neither a directory nor an image", path);
	}
	if (is_plain && *choice)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is not a container image: %s%s",
				 path, path, choice);
	if (is_plain)
		return 0;
	if (cache_unpack(path, choice, arch, &cached, err) < 0)
		return -1;
	return image_open_cached(out, &cached, err);
}

static int
image_open_cached(struct image *out, struct cached *cached, struct error *err)
{
	char path[PATH_MAX + 16];
	const json_t *config;

	out->lock = cached->lock;
	(void)snprintf(path, sizeof(path), "%s/image.json", cached->dir);
	out->json = json_load_file(path, 0, NULL);
	config = json_object_get(json_object_get(out->json, "config"), "config");
	if (!out->json)
		return error_set(err, ERROR_DATA_LOSS, "failed to read %s", path);
	if ((size_t)snprintf(out->path, sizeof(out->path), "%s/root.img", cached->dir) >=
	    sizeof(out->path))
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s is too long a path", cached->dir);
	out->fstype = "ext4";
	out->has_config = true;
	return image_config_read(&out->config, config, &out->arena, err);
}

/* Reads a file of a directory that is a root. Returns "" if there is none. */
static const char *
image_read_file(struct arena *a, const char *root, const char *name)
{
	auto_close int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_close int fd =
		dir < 0 ? -1 : path_try_open(dir, name, O_RDONLY | O_NONBLOCK, 0, PATH_FOLLOW_ALL);
	struct stat st;
	ssize_t n;
	char *text;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > ACCOUNTS_MAX)
		return "";
	text = arena_alloc(a, (size_t)st.st_size + 1);
	n = text ? read_full(fd, text, (size_t)st.st_size) : -1;
	if (n < 0)
		return "";
	text[n] = '\0';
	return text;
}

int
image_find_user(const struct image *image, const char *text, struct account *out, struct error *err)
{
	const char *passwd, *group;
	struct arena a;
	int r;

	if (image->fstype && !image->has_config) {
		if (account_find(text, "", "", out, err) == 0)
			return 0;
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "user %s: a disk is not searched for names: give a number", text);
	}
	arena_init(&a, ARENA_MAX);
	if (image->has_config) {
		passwd = json_string_value(json_object_get(image->json, "passwd"));
		group = json_string_value(json_object_get(image->json, "group"));
	} else {
		passwd = image_read_file(&a, image->path, "etc/passwd");
		group = image_read_file(&a, image->path, "etc/group");
	}
	r = account_find(text, passwd ? passwd : "", group ? group : "", out, err);
	arena_release(&a);
	return r;
}

int
image_find_user_at(const char *path, const char *text, struct account *out, struct error *err)
{
	char description[PATH_MAX + 16];
	struct image image = { .lock = -1 };
	const char *slash = strrchr(path, '/');
	struct stat st;
	int r;

	(void)snprintf(image.path, sizeof(image.path), "%s", path);
	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		image.fstype = "disk";
		/* A disk of the cache has a description next to it. */
		(void)snprintf(description, sizeof(description), "%.*s/image.json",
			       slash ? (int)(slash - path) : 0, path);
		if (slash && strcmp(slash, "/root.img") == 0)
			image.json = json_load_file(description, 0, NULL);
		image.has_config = image.json != NULL;
	}
	r = image_find_user(&image, text, out, err);
	json_decref(image.json);
	return r;
}

void
image_close(struct image *image)
{
	/* All zero: it was never opened. */
	if (image->arena.cap == 0)
		return;
	json_decref(image->json);
	arena_release(&image->arena);
	close_fd(&image->lock);
	*image = (struct image){ .lock = -1 };
}
