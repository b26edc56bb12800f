/* SPDX-License-Identifier: Apache-2.0 */
/* Root file system, mounts and their options, masked and read-only paths. See oci.h. */
#include <string.h>

#include "tests/oci/oci.h"

/* Prints mount point and attributes of all mounts at and below /m, in mount order. */
#define SHOW "awk '$5 ~ \"^/m\" { print $5, $6 }' /proc/self/mountinfo"

/* Creates a private root with a directory of files to bind. */
static char *
volume(struct oci *t)
{
	(void)oci_rootfs(t);
	oci_dir(t, "volume", 0755);
	oci_file(t, "volume/file", 0644, "content\n");
	return oci_str(t, "%s/volume", t->h.rootfs);
}

static void
root(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");

	spec->root = NULL;
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "root");
}

static void
root_path(struct oci *t)
{
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	oci_file(t, "only-here", 0644, "this one\n");
	spec = oci_sh(t, "cat /only-here; stat -c %%i / ..");
	OCI_SAYS(t, spec, "this one\n");
	oci_link(t, "link", "/");
	spec = oci_sh(t, "true");
	spec->root->path = oci_str(t, "%s/link", t->h.rootfs);
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "link");
	spec->root->path = oci_str(t, "%s/nothing", t->h.rootfs);
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "nothing");
	spec->root->path = oci_str(t, "relative");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "root.path");
}

static void
readonly_root(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "touch /x 2>/dev/null && echo written || echo refused; "
				     "touch /dev/shm/x && echo a tmpfs is not");

	spec->root->readonly = true;
	OCI_PRINTS(t, spec, "refused\na tmpfs is not\n");
}

static void
default_mounts(struct oci *t)
{
	OCI_PRINTS(t,
		   oci_sh(t, "for d in /proc /dev /dev/pts /dev/shm /dev/mqueue /sys; do "
			     "awk -v d=$d '$5 == d { sub(\".* - \", \"\"); print d, $1 }' "
			     "/proc/self/mountinfo; done"),
		   "/proc proc\n/dev tmpfs\n/dev/pts devpts\n/dev/shm tmpfs\n"
		   "/dev/mqueue mqueue\n/sys sysfs\n");
}

static void
destination_and_source(struct oci *t)
{
	char *source = volume(t);
	Grpc__Spec *spec = oci_sh(t, "cat /made/for/it/file /made/one; cat /etc/motd");

	oci_file(t, "etc/motd", 0644, "of the image\n");
	oci_mount(t, spec, "/made/for/it", "bind", source, "rbind");
	oci_mount(t, spec, "/made/one", "bind", oci_str(t, "%s/file", source), "bind,ro");
	OCI_PRINTS(t, spec, "content\ncontent\nof the image\n");
	oci_mount(t, spec, "/etc/motd", "bind", oci_str(t, "%s/file", source), "bind");
	OCI_PRINTS(t, spec, "content\ncontent\ncontent\n");
	CHECK_STR(oci_file_text(t, "etc/motd"), "of the image\n",
		  "the image's own file was written");
	spec = oci_sh(t, "true");
	oci_mount(t, spec, "/x", "bind", oci_str(t, "%s/nothing", source), "bind");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "nothing");
}

static void
type(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "stat -f -c %%T /m/1 /m/2");

	oci_mount(t, spec, "/m/1", "tmpfs", "tmpfs", "");
	oci_mount(t, spec, "/m/2", "ramfs", "ramfs", "");
	OCI_PRINTS(t, spec, "tmpfs\nramfs\n");
	spec = oci_sh(t, "true");
	oci_mount(t, spec, "/x", "no-such-fs", "x", "");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "no-such-fs");
	spec = oci_sh(t, "true");
	oci_mount(t, spec, "/x", "", "x", "");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "/x");
}

static void
order(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, SHOW "; ls /m/a");

	oci_mount(t, spec, "/m", "tmpfs", "a", "");
	oci_mount(t, spec, "/m/a", "tmpfs", "b", "nosuid");
	oci_mount(t, spec, "/m/a/b", "tmpfs", "c", "nodev");
	oci_mount(t, spec, "/m/a", "tmpfs", "d", "noexec");
	OCI_PRINTS(t, spec,
		   "/m rw,relatime\n/m/a rw,nosuid,relatime\n/m/a/b rw,nodev,relatime\n"
		   "/m/a rw,noexec,relatime\n");
}

static void
attributes(struct oci *t)
{
	static const char *const words[] = {
		"",
		"ro",
		"nosuid,nodev,noexec",
		"noatime",
		"strictatime",
		"nodiratime",
		"nosymfollow",
		"noatime,relatime",
		"ro,rw",
		"nosuid,suid",
		"noexec,exec",
		"nodev,dev",
		"ro,defaults",
		"noatime,atime",
		"nosymfollow,symfollow",
	};
	Grpc__Spec *spec = oci_sh(t, SHOW);

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		oci_mount(t, spec, oci_str(t, "/m/%02zu", i), "tmpfs", "tmpfs", words[i]);
	OCI_PRINTS(t, spec,
		   "/m/00 rw,relatime\n/m/01 ro,relatime\n/m/02 rw,nosuid,nodev,noexec,relatime\n"
		   "/m/03 rw,noatime\n/m/04 rw\n/m/05 rw,nodiratime,relatime\n"
		   "/m/06 rw,relatime,nosymfollow\n/m/07 rw,relatime\n/m/08 rw,relatime\n"
		   "/m/09 rw,relatime\n/m/10 rw,relatime\n/m/11 rw,relatime\n"
		   "/m/12 ro,relatime\n/m/13 rw,relatime\n/m/14 rw,relatime\n");
}

static void
bind_attributes(struct oci *t)
{
	char *source = volume(t);
	Grpc__Spec *spec;

	spec = oci_sh(t, SHOW "; touch /m/1/x 2>/dev/null || echo refused; cat /m/3/link");
	oci_link(t, "volume/link", "file");
	oci_mount(t, spec, "/m/1", "bind", source, "bind,ro,noexec,dev");
	oci_mount(t, spec, "/m/2", "bind", source, "bind,nosuid,nodev,noatime,remount");
	oci_mount(t, spec, "/m/3", "none", source, "rbind,dev");
	OCI_SAYS(t, spec,
		 "/m/1 ro,noexec,relatime\n/m/2 rw,nosuid,nodev,noatime\n/m/3 rw,relatime\n");
	OCI_SAYS(t, spec, "refused\ncontent\n");
}

/* Adds a mount in the guest that lasts as long as the container. */
static char *
storage(struct oci *t, Grpc__CreateContainerRequest *q, const char *driver, const char *source,
	const char *place, const char *options)
{
	Grpc__Storage *s = OCI_ADD(t, q->storages, q->n_storages, grpc__storage__init);

	s->driver = oci_str(t, "%s", driver);
	s->source = oci_str(t, "%s", source);
	s->fstype = oci_str(t, "%s", strcmp(driver, "blk") == 0 ? "ext4" : driver);
	s->mount_point = oci_str(t, "/run/kata-containers/%s", place);
	s->options = oci_words(t, options, &s->n_options);
	return s->mount_point;
}

/* The second mount lies below the first: only recursive options reach it. "dev" is given because
 * the rootfs may be a share that is mounted nodev. */
static void
recursive(struct oci *t)
{
	static const struct {
		const char *options, *want;
	} rows[] = {
		{ "rbind,dev,ro", "/m ro,relatime\n/m/sub rw,nosuid,noexec,relatime\n" },
		{ "rbind,dev,rro", "/m ro,relatime\n/m/sub ro,nosuid,noexec,relatime\n" },
		{ "rbind,rro,rnodev,rnosymfollow",
		  "/m ro,nodev,relatime,nosymfollow\n"
		  "/m/sub ro,nosuid,nodev,noexec,relatime,nosymfollow\n" },
		{ "rbind,dev,rsuid,rexec,rnoatime", "/m rw,noatime\n/m/sub rw,noatime\n" },
		{ "rbind,dev,rstrictatime,rnodiratime",
		  "/m rw,nodiratime\n/m/sub rw,nosuid,noexec,nodiratime\n" },
		{ "rbind,dev,rro,rw,rnosuid", "/m ro,nosuid,relatime\n"
					      "/m/sub ro,nosuid,noexec,relatime\n" },
		{ "bind,dev,rro", "/m ro,relatime\n" },
	};

	char *source = volume(t);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		Grpc__CreateContainerRequest *q;
		Grpc__Spec *spec = oci_sh(t, SHOW);
		char out[OCI_OUT];

		oci_mount(t, spec, "/m", "bind", "/run/kata-containers/sandbox/outer",
			  rows[i].options);
		q = oci_request(t, "c1", spec);
		oci_dir(t, "volume/sub", 0755);
		(void)storage(t, q, "bind", source, "sandbox/outer", "");
		(void)storage(t, q, "bind", oci_str(t, "%s/sub", source), "sandbox/outer/sub",
			      "nosuid,noexec");
		if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "c1") == 0 &&
				   oci_read(t, "c1", "", out, sizeof(out)) >= 0,
			   "%s: %s", rows[i].options, t->err.msg))
			return;
		CHECK_STR(out, rows[i].want, "%s: %s", rows[i].options, out);
		if (!CHECK_OK(oci_remove(t, "c1"), &t->err))
			return;
	}
}

static void
data(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "df -k /m | awk 'END { print $2 }'; stat -c '%%a %%u %%g' /m;"
				     "grep -c ' /m .* - .*sync.*lazytime' /proc/self/mountinfo");

	oci_mount(t, spec, "/m", "tmpfs", "tmpfs", "size=64k,mode=0710,uid=3,gid=4,sync,lazytime");
	OCI_PRINTS(t, spec, "64\n710 3 4\n1\n");
	spec = oci_sh(t, "true");
	oci_mount(t, spec, "/x", "tmpfs", "tmpfs", "colour=blue");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "colour=blue");
	/* ignored for a bind mount */
	(void)oci_rootfs(t);
	spec = oci_sh(t, "test -e /x/sh && echo bound");
	oci_mount(t, spec, "/x", "bind", oci_str(t, "%s/bin", t->h.rootfs),
		  "bind,size=1k,mode=755");
	OCI_PRINTS(t, spec, "bound\n");
	/* Options that are the host's own notes are not passed to the file system. */
	spec = oci_sh(t, "echo fine");
	oci_mount(t, spec, "/x", "tmpfs", "tmpfs", "x-note=1,io.katacontainers.volume=2");
	OCI_PRINTS(t, spec, "fine\n");
}

/* The new mount API takes at most 255 bytes per option, mount(2) a page for all. */
static void
long_options(struct oci *t)
{
	enum { LAYERS = 12 };
	char *layers = oci_str(t, "lowerdir=");
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	oci_dir(t, "layers", 0755);
	for (int i = 0; i < LAYERS; i++) {
		char *name = oci_str(t, "layers/a-layer-with-a-name-as-long-as-a-digest-%02d", i);

		oci_dir(t, name, 0755);
		oci_file(t, oci_str(t, "%s/file-%d", name, i), 0644, oci_str(t, "%d\n", i));
		layers = oci_str(t, "%s%s%s/%s", layers, i ? ":" : "", t->h.rootfs, name);
	}
	if (!CHECK_GT(strlen(layers), 600, "%zu", strlen(layers)))
		return;
	spec = oci_sh(t, "cat /m/file-0 /m/file-11; ls /m | wc -l; touch /m/new 2>&1; "
			 "awk '$5 == \"/m\" { print $6 }' /proc/self/mountinfo");
	oci_mount(t, spec, "/m", "overlay", "overlay", oci_str(t, "ro,nosuid,%s", layers));
	OCI_PRINTS(t, spec,
		   "0\n11\n12\ntouch: /m/new: Read-only file system\nro,nosuid,relatime\n");
	/* An option too long for either API. */
	spec = oci_sh(t, "true");
	oci_mount(t, spec, "/m", "overlay", "overlay",
		  oci_str(t, "%s%*s", layers, 5000, ":/longer/than/a/page"));
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "longer than one page");
}

static void
copy_up(struct oci *t)
{
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	oci_dir(t, "m", 0751);
	oci_dir(t, "m/dir", 02755);
	oci_file(t, "m/dir/file", 0640, "copied\n");
	oci_link(t, "m/link", "dir/file");
	oci_link(t, "m/out", "/etc/passwd");
	spec = oci_sh(t, "cd /m; cat link; stat -c '%%n %%a %%F' . dir dir/file; readlink out; "
			 "echo more > dir/file; echo new > new; stat -f -c %%T .");
	oci_mount(t, spec, "/m", "tmpfs", "tmpfs", "tmpcopyup");
	OCI_PRINTS(t, spec,
		   "copied\n. 751 directory\ndir 2755 directory\ndir/file 640 regular file\n"
		   "/etc/passwd\ntmpfs\n");
	CHECK_STR(oci_file_text(t, "m/dir/file"), "copied\n", "the image's own file was written");
	/* Made read-only after copying; content larger than the tmpfs. */
	spec = oci_sh(t, "cat /m/link; touch /m/x 2>/dev/null || echo refused; stat -c %%a /m");
	oci_mount(t, spec, "/m", "tmpfs", "tmpfs", "tmpcopyup,ro,mode=0700");
	OCI_PRINTS(t, spec, "copied\nrefused\n700\n");
	spec = oci_sh(t, "true");
	oci_mount(t, spec, "/bin", "tmpfs", "tmpfs", "tmpcopyup,size=16k");
	OCI_REFUSED(t, spec, ERROR_RESOURCE_EXHAUSTED, "tmpcopyup");
	spec = oci_sh(t, "true");
	oci_mount(t, spec, "/x", "ramfs", "ramfs", "tmpcopyup");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "tmpcopyup");
}

/* Files of uid 0 on the disk belong to the container's root, whatever its uid outside, and vice
 * versa. */
static void
id_mapped(struct oci *t)
{
	Grpc__CreateContainerRequest *q;
	Grpc__Spec *spec;
	char out[256];
	char *disk;

	if (oci_needs_vm(t))
		return;
	(void)oci_rootfs(t);
	oci_dir(t, "m", 0755);
	oci_dir(t, "plain", 0755);
	spec = oci_sh(t, "touch /m/new && stat -c %%u:%%g /m /m/new /plain /plain/new; rm /m/new");
	oci_userns(t, spec, 100000, 65536);
	q = oci_request(t, "c1", spec);
	disk = storage(t, q, "blk", "/dev/vda", "sandbox/storage/disk", "");
	oci_mount(t, spec, "/plain", "bind", disk, "bind");
	oci_mount(t, spec, "/m", "bind", disk, "rbind,ridmap");
	if (!CHECK(oci_create_request(t, q) == 0 && oci_start(t, "c1") == 0 &&
			   oci_read(t, "c1", "", out, sizeof(out)) >= 0,
		   "%s", t->err.msg))
		return;
	CHECK_STR(out, "0:0\n0:0\n65534:65534\n65534:65534\n");
}

static void
id_mapped_refused(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, "true");

	oci_mount(t, spec, "/m", "bind", "/", "bind,idmap");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "/m: option idmap");
	spec = oci_sh(t, "true");
	oci_userns(t, spec, 100000, 65536);
	oci_mount(t, spec, "/m", "tmpfs", "tmpfs", "ridmap");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "/m: option idmap or ridmap");
	spec = oci_sh(t, "true");
	oci_userns(t, spec, 100000, 65536);
	oci_mount(t, spec, "/m", "bind", "/proc", "bind,idmap");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "/m: option idmap: kernel");
}

static void
mount_propagation(struct oci *t)
{
	Grpc__Spec *spec =
		oci_sh(t, "awk '$5 ~ \"^/m\" { print $5, $7 ~ \"^[a-z]\" ? $7 : \"none\" }' "
			  "/proc/self/mountinfo | sed 's/:[0-9]*//' | sort");

	oci_mount(t, spec, "/m/1", "tmpfs", "tmpfs", "shared");
	oci_mount(t, spec, "/m/2", "tmpfs", "tmpfs", "private");
	oci_mount(t, spec, "/m/3", "tmpfs", "tmpfs", "unbindable");
	oci_mount(t, spec, "/m/4", "bind", t->h.rootfs, "rbind,rshared");
	oci_mount(t, spec, "/m/5", "bind", t->h.rootfs, "rbind,rprivate");
	oci_mount(t, spec, "/m/6", "tmpfs", "tmpfs", "shared,private");
	OCI_PRINTS(t, spec,
		   "/m/1 shared\n/m/2 none\n/m/3 unbindable\n/m/4 shared\n/m/5 none\n/m/6 none\n");
}

static void
root_propagation(struct oci *t)
{
	static const struct {
		const char *word, *want;
	} rows[] = {
		{ "shared", "shared\n" },
		{ "rshared", "shared\n" },
		{ "private", "none\n" },
		{ "unbindable", "unbindable\n" },
	};
	Grpc__Spec *spec;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		spec = oci_sh(t, "awk '$5 == \"/\" { print $7 ~ \"^[a-z]\" ? $7 : \"none\" }' "
				 "/proc/self/mountinfo | sed 's/:[0-9]*//'");
		spec->linux->rootfspropagation = oci_str(t, "%s", rows[i].word);
		OCI_PRINTS(t, spec, rows[i].want);
	}
	spec = oci_sh(t, "true");
	spec->linux->rootfspropagation = oci_str(t, "sideways");
	OCI_REFUSED(t, spec, ERROR_INVALID_ARGUMENT, "linux.rootfsPropagation");
}

static void
masked(struct oci *t)
{
	static const char *const paths[] = {
		"/etc/secret", "/etc/link", "/closed", "/missing", "/etc/secret/not/a/directory",
		"/closed",     NULL
	};
	Grpc__Spec *spec;

	(void)oci_rootfs(t);
	oci_file(t, "etc/secret", 0644, "secret");
	oci_file(t, "etc/other", 0644, "secret");
	oci_link(t, "etc/link", "/etc/other");
	oci_dir(t, "closed", 0755);
	oci_file(t, "closed/file", 0644, "secret");
	spec = oci_sh(t, "cat /etc/secret /etc/other; ls /closed; echo x > /etc/secret; "
			 "touch /closed/x 2>/dev/null || echo refused");
	spec->linux->maskedpaths = oci_strings(t, &spec->linux->n_maskedpaths, paths);
	OCI_PRINTS(t, spec, "refused\n");
	CHECK_STR(oci_file_text(t, "etc/secret"), "secret", "the file is gone");
	CHECK_STR(oci_file_text(t, "etc/other"), "secret", "the file is gone");
}

static void
readonly_paths(struct oci *t)
{
	static const char *const paths[] = { "/m", "/missing", "/m", "/proc/sys", NULL };
	Grpc__Spec *spec =
		oci_sh(t, "for f in /m/x /m/sub/x /proc/sys/kernel/domainname; do "
			  "echo x 2>/dev/null > $f && echo written || echo refused; done");

	spec->linux->readonlypaths = oci_strings(t, &spec->linux->n_readonlypaths, paths);
	oci_mount(t, spec, "/m", "tmpfs", "tmpfs", "");
	oci_mount(t, spec, "/m/sub", "tmpfs", "tmpfs", "");
	OCI_PRINTS(t, spec, "refused\nrefused\nrefused\n");
}

const struct oci_case oci_mounts_cases[] = {
	{ "root", "a spec without a root is refused", root },
	{ "root.path", "the root is the directory at root.path", root_path },
	{ "root.readonly", "a read-only root", readonly_root },
	{ "mounts", "mounts are made in order", order },
	{ "default file systems", "the standard file systems", default_mounts },
	{ "mounts.destination", "source and destination of a bind", destination_and_source },
	{ "mounts.type", "the type of a mount", type },
	{ "mounts.options", "attributes of a mount", attributes },
	{ "mounts.options", "attributes of a bind", bind_attributes },
	{ "mounts.options", "recursive mount attributes", recursive },
	{ "mounts.options", "file system options", data },
	{ "mounts.options", "options of more than 255 bytes", long_options },
	{ "mounts.options", "tmpcopyup", copy_up },
	{ "mounts.options", "idmap", id_mapped },
	{ "mounts.options", "unsupported idmaps", id_mapped_refused },
	{ "mounts.options", "propagation of a mount", mount_propagation },
	{ "linux.rootfspropagation", "the propagation of the root", root_propagation },
	{ "linux.maskedpaths", "masked files and directories are empty", masked },
	{ "linux.readonlypaths", "a read-only path and the mounts below it", readonly_paths },
};
const size_t n_oci_mounts_cases = ARRAY_LEN(oci_mounts_cases);
