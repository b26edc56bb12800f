/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of an image that single options ask for. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/cleanup.h"
#include "lib/parse.h"
#include "rootfs-builder/build.h"
#include "rootfs-builder/guest/layout.h"
#include "rootfs-builder/image/content.h"

static int add_path(struct build *build, const char *value, struct error *err);
static int add_owner(struct build *build, const char *value, struct error *err);
static int add_certificate(struct build *build, const char *value, struct error *err);
static int add_policy(struct build *build, const char *value, struct error *err);
static int add_config(struct build *build, const char *value, struct error *err);
static int add_hooks(struct build *build, const char *value, struct error *err);
static int add_pause(struct build *build, const char *value, struct error *err);

/* Programs look for certificates in the first two; an administrator keeps them in the third. */
#define CERTIFICATES     "/etc/ssl/certs/ca-certificates.crt"
#define CERTIFICATES_RPM "/etc/pki/tls/certs/ca-bundle.crt"
#define CERTIFICATES_OWN "/usr/local/share/ca-certificates"
/* agent/policy/policy.h; the one of Kata's agent, too. */
#define POLICY "/etc/kata-opa/default-policy.rego"
/* The agent has no default: a kernel parameter names it. */
#define CONFIG "/etc/agent-config.toml"
/* The value that Kata's configuration proposes for guest_hook_path. */
#define HOOKS "/usr/share/oci/hooks"
/* agent/storage/image_pause.h */
#define PAUSE    "/pause_bundle"
#define TEXT_MAX ((size_t)16 << 20)

const struct addition_kind additions[] = {
	{ "add", "SRC:DST[:MODE[:UID:GID]]", "add a file or directory of this machine", add_path },
	{ "owner", "UID:GID:PATH", "set the owner of one path", add_owner },
	{ "certificate", "FILE", "trust the certificates of authorities in a PEM file",
	  add_certificate },
	{ "policy", "FILE", "the agent's policy, in force from the start", add_policy },
	{ "config", "FILE", "the agent's configuration (TOML)", add_config },
	{ "hooks", "DIR", "guest hooks: prestart/, poststart/, poststop/ and others", add_hooks },
	{ "pause", "BUNDLE|builtin|none", "the container of a pod whose image the guest pulls",
	  add_pause },
	{ NULL, NULL, NULL, NULL },
};

/* "SRC:DST[:MODE[:UID:GID]]": a directory's content is added below DST. */
static int
add_path(struct build *build, const char *value, struct error *err)
{
	auto_free char *copy = strdup(value);
	char *rest = copy, *field[5];
	uint32_t mode = 0, uid = 0, gid = 0;
	size_t n = 0;
	struct stat st;

	if (!copy)
		return error_nomem(err, "adding a file");
	while (n < ARRAY_LEN(field) && rest)
		field[n++] = strsep(&rest, ":");
	if (n < 2 || n == 4 || rest || !*field[0] || !*field[1] ||
	    (n > 2 && *field[2] && (!parse_octal(field[2], &mode) || mode > 07777)) ||
	    (n > 4 && (!parse_u32(field[3], &uid) || !parse_u32(field[4], &gid))))
		return error_set(err, ERROR_INVALID_ARGUMENT, "not SRC:DST[:MODE[:UID:GID]]");
	if (stat(field[0], &st) < 0)
		return error_sys_code(err, ERROR_NOT_FOUND, "failed to stat %s", field[0]);
	if (S_ISDIR(st.st_mode) && n > 2)
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "%s is a directory: mode and owner are for files", field[0]);
	if (S_ISDIR(st.st_mode))
		return image_add_tree_at(&build->image, field[0], field[1],
					 build->spec->keep_owners, err);
	if (image_add_file(&build->image, field[1], n > 2 && *field[2] ? mode : st.st_mode,
			   field[0], err) < 0)
		return -1;
	return n > 4 ? image_set_owner(&build->image, field[1], uid, gid, err) : 0;
}

static int
add_owner(struct build *build, const char *value, struct error *err)
{
	return layout_set_owner(&build->image, value, err);
}

static int
add_take(const uint8_t *bytes, size_t n, void *data, struct error *err)
{
	return buf_append(data, bytes, n) < 0 ? error_nomem(err, "adding a file") : 0;
}

/* Reads a text file of this machine to *out, with a NUL after it. */
static int
add_load(const char *path, char **out, size_t *len, struct error *err)
{
	uint8_t *bytes;

	if (unpack_file(path, TEXT_MAX, &bytes, len, err) < 0)
		return -1;
	*out = realloc(bytes, *len + 1);
	if (!*out) {
		free(bytes);
		return error_nomem(err, "reading a file");
	}
	(*out)[*len] = '\0';
	return 0;
}

/* Counts the certificates in a text. Returns 0 if one of them is incomplete, or if it has a private
 * key, which no image should have. */
static size_t
add_count_certificates(const char *text)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----";
	static const char end[] = "-----END CERTIFICATE-----";
	size_t n = 0;

	if (strstr(text, "PRIVATE KEY-----"))
		return 0;
	while ((text = strstr(text, begin))) {
		const char *stop = strstr(text, end), *next = strstr(text + 1, begin);

		if (!stop || (next && next < stop))
			return 0;
		text = stop;
		n++;
	}
	return n;
}

/* Appends to a file of the image, or creates it. */
static int
add_append(struct build *build, const char *path, const char *text, size_t n, struct error *err)
{
	struct error ignored;
	const struct image_entry *old = image_resolve(&build->image, path, &ignored);
	const char *to = old ? old->path : path;
	struct buf all;
	int r = 0;

	buf_init(&all, TEXT_MAX * 2);
	if (old && S_ISREG(old->mode))
		r = content_read(old, add_take, &all, err);
	if (r == 0 && buf_len(&all) && buf_head(&all)[buf_len(&all) - 1] != '\n')
		r = add_take((const uint8_t *)"\n", 1, &all, err);
	if (r == 0)
		r = add_take((const uint8_t *)text, n, &all, err);
	if (r == 0 && n && text[n - 1] != '\n')
		r = add_take((const uint8_t *)"\n", 1, &all, err);
	if (r == 0)
		r = image_add_data(&build->image, to, 0644, buf_head(&all), buf_len(&all), err);
	buf_release(&all);
	return r;
}

static int
add_certificate(struct build *build, const char *value, struct error *err)
{
	const char *name = strrchr(value, '/');
	auto_free char *text = NULL, *path = NULL;
	size_t len, stem;

	if (add_load(value, &text, &len, err) < 0)
		return -1;
	if (strlen(text) != len || !add_count_certificates(text))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "not a PEM file with certificates and nothing secret");
	name = name ? name + 1 : value;
	stem = strlen(name);
	if (stem > 4 && (!strcmp(name + stem - 4, ".pem") || !strcmp(name + stem - 4, ".crt")))
		stem -= 4;
	/* update-ca-certificates(8) reads files with this suffix. */
	if (asprintf(&path, CERTIFICATES_OWN "/%.*s.crt", (int)stem, name) < 0) {
		path = NULL;
		return error_nomem(err, "adding a certificate");
	}
	if (image_add_data(&build->image, path, 0644, text, len, err) < 0 ||
	    add_append(build, CERTIFICATES, text, len, err) < 0)
		return -1;
	return image_find(&build->image, CERTIFICATES_RPM)
		       ? add_append(build, CERTIFICATES_RPM, text, len, err)
		       : 0;
}

/* Returns whether a line of the text has these words. */
static bool
add_has_line(const char *text, const char *first, const char *second)
{
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n') {
		const char *at = text + strspn(text, " \t");

		if (strncmp(at, first, strlen(first)) != 0)
			continue;
		at += strlen(first);
		if (!strchr(" \t", *at))
			continue;
		at += strspn(at, " \t");
		if (!strncmp(at, second, strlen(second)) && strchr(" \t\r\n#", at[strlen(second)]))
			return true;
	}
	return false;
}

static int
add_policy(struct build *build, const char *value, struct error *err)
{
	auto_free char *text = NULL;
	size_t len;

	if (add_load(value, &text, &len, err) < 0)
		return -1;
	/* An agent with an invalid policy does not serve. */
	if (strlen(text) != len || !add_has_line(text, "package", "agent_policy"))
		return error_set(err, ERROR_INVALID_ARGUMENT,
				 "not a policy: no line \"package agent_policy\"");
	return image_add_data(&build->image, POLICY, 0644, text, len, err);
}

static int
add_config(struct build *build, const char *value, struct error *err)
{
	if (image_add_file(&build->image, CONFIG, 0644, value, err) < 0)
		return -1;
	report_fact(build->report, "kernel_parameter", "agent.config_file=" CONFIG);
	return 0;
}

/* Adds the hooks of one kind, which the agent runs in the order of their names. */
static int
add_hooks_of(struct build *build, const char *dir, const char *kind, size_t *count,
	     struct error *err)
{
	auto_free char *from = NULL;
	struct dirent **names;
	int n, r = 0;

	if (asprintf(&from, "%s/%s", dir, kind) < 0) {
		from = NULL;
		return error_nomem(err, "adding hooks");
	}
	n = scandir(from, &names, NULL, alphasort);
	if (n < 0)
		return error_sys(err, "failed to read %s", from);
	for (int i = 0; i < n; i++) {
		auto_free char *source = NULL, *to = NULL;
		const char *name = names[i]->d_name;
		struct stat st;

		if (r < 0 || !strcmp(name, ".") || !strcmp(name, "..")) {
			free(names[i]);
			continue;
		}
		if (asprintf(&source, "%s/%s", from, name) < 0)
			source = NULL;
		if (asprintf(&to, HOOKS "/%s/%s", kind, name) < 0)
			to = NULL;
		if (!source || !to)
			r = error_nomem(err, "adding hooks");
		else if (stat(source, &st) < 0)
			r = error_sys(err, "failed to stat %s", source);
		else if (!S_ISREG(st.st_mode) || !(st.st_mode & S_IXUSR))
			r = error_set(err, ERROR_INVALID_ARGUMENT,
				      "%s is not an executable file: the agent would ignore it",
				      source);
		else
			r = image_add_file(&build->image, to, st.st_mode & 0755, source, err);
		*count += r == 0;
		free(names[i]);
	}
	free(names);
	return r;
}

static int
add_hooks(struct build *build, const char *value, struct error *err)
{
	/* agent/container/hooks/scan.c */
	static const char *const kinds[] = { "prestart", "createRuntime", "createContainer",
					     "poststart", "poststop" };
	struct dirent **names;
	int n = scandir(value, &names, NULL, alphasort), r = 0;
	size_t count = 0;

	if (n < 0)
		return error_sys_code(err, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_INTERNAL,
				      "failed to read %s", value);
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		bool is_known = false;

		for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
			is_known |= !strcmp(name, kinds[k]);
		if (r == 0 && is_known)
			r = add_hooks_of(build, value, name, &count, err);
		else if (r == 0 && name[0] != '.')
			r = error_set(err, ERROR_INVALID_ARGUMENT,
				      "invalid kind of hooks \"%s\": not prestart, createRuntime, "
				      "createContainer, poststart or poststop",
				      name);
		free(names[i]);
	}
	free(names);
	if (r == 0 && !count)
		r = error_set(err, ERROR_NOT_FOUND, "no hooks in %s", value);
	if (r == 0)
		report_fact(build->report, "guest_hook_path", HOOKS);
	return r;
}

/* The bundle of the reference has args, env, cwd and user in its config.json. */
static int
add_pause(struct build *build, const char *value, struct error *err)
{
	static const char config[] =
		"{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"/pause\"],\"cwd\":\"/\","
		"\"env\":[\"PATH=/\"],\"user\":{\"uid\":65535,\"gid\":65535}},"
		"\"root\":{\"path\":\"rootfs\",\"readonly\":true}}\n";
	auto_free char *path = NULL;

	if (!strcmp(value, "none"))
		return 0;
	if (!strcmp(value, "builtin")) {
		if (!build->spec->init)
			return error_set(err, ERROR_INVALID_ARGUMENT,
					 "the pause program is ours: give --init");
		/* Our program waits for signals if this is its name (init/pause.c). */
		return image_add_data(&build->image, PAUSE "/config.json", 0644, config,
				      sizeof(config) - 1, err) < 0
			       ? -1
			       : image_add_file(&build->image, PAUSE "/rootfs/pause", 0755,
						build->spec->init, err);
	}
	for (unsigned i = 0; i < 2; i++) {
		free(path);
		if (asprintf(&path, "%s/%s", value, i ? "rootfs/." : "config.json") < 0) {
			path = NULL;
			return error_nomem(err, "adding a pause bundle");
		}
		if (access(path, R_OK) < 0)
			return error_sys_code(err, ERROR_NOT_FOUND,
					      "not a bundle: failed to read %s", path);
	}
	return image_add_tree_at(&build->image, value, PAUSE, build->spec->keep_owners, err);
}
