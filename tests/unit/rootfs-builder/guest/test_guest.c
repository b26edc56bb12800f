/* SPDX-License-Identifier: Apache-2.0 */
/* tatami-rootfs: additions for a guest, units of systemd, the bill of materials. */
#include <elf.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "tests/support/check.h"
#include "tests/unit/rootfs-builder/fixture.h"

static const char *dir;

static void
init(void)
{
	static const char components[] =
		"@(#)tatami-components tatami|9.8.7|Apache-2.0|abc;musl|1.2|MIT;libcap|2.66|"
		"BSD-3-Clause OR GPL-2.0-only;";
	struct utsname here;
	FILE *file;

	dir = scratch_dir(NULL);
	REQUIRE_EQ(uname(&here), 0);
	put_elf(path_in(dir, "tatami"), strcmp(here.machine, "aarch64") ? EM_X86_64 : EM_AARCH64,
		NULL);
	file = fopen(path_in(dir, "tatami"), "ae");
	REQUIRE_NE(file, NULL);
	REQUIRE_EQ(fwrite(components, sizeof(components), 1, file), 1u);
	REQUIRE_EQ(fclose(file), 0);
}

TestSuite(guest, .init = init, .fini = scratch_fini, .timeout = 120);

/* Runs tatami-rootfs with further options; the output is the directory "out". */
static int
build(char **out, const char *options)
{
	auto_free char *command = NULL;
	char *argv[] = { "sh", "-c", NULL, NULL };

	REQUIRE_GT(asprintf(&command,
			    "rm -rf out; " TATAMI_ROOTFS " --init tatami -f dir -o out %s",
			    options),
		   0);
	argv[2] = command;
	return run_program(dir, NULL, argv, out);
}

static void
must_build(const char *options)
{
	char *out;

	REQUIRE_EQ(build(&out, options), 0, "%s", out);
}

static char *
content(const char *name)
{
	size_t n;

	return (char *)get_file(path_in(dir, name), &n);
}

#define PEM(text) "-----BEGIN CERTIFICATE-----\n" text "\n-----END CERTIFICATE-----\n"

Test(guest, certificates)
{
	static const struct {
		const char *text;
	} bad[] = {
		{ "" },
		{ "no certificate" },
		{ "-----BEGIN CERTIFICATE-----\nx\n" },
		{ "-----BEGIN CERTIFICATE-----\n" PEM("x") },
		{ PEM("x") "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n" },
	};
	char *out;

	put_text(path_in(dir, "tree/etc/ssl/certs/ca-certificates.crt"), "old");
	put_text(path_in(dir, "tree/etc/pki/tls/certs/ca-bundle.crt"), "rpm\n");
	put_text(path_in(dir, "my.pem"), PEM("one") PEM("two"));
	put_text(path_in(dir, "other.crt"), PEM("three"));
	must_build("--from dir:tree --certificate my.pem --certificate other.crt");
	CHECK_STR(content("out/etc/ssl/certs/ca-certificates.crt"),
		  "old\n" PEM("one") PEM("two") PEM("three"));
	CHECK_STR(content("out/etc/pki/tls/certs/ca-bundle.crt"),
		  "rpm\n" PEM("one") PEM("two") PEM("three"));
	CHECK_STR(content("out/usr/local/share/ca-certificates/my.crt"), PEM("one") PEM("two"));
	CHECK_STR(content("out/usr/local/share/ca-certificates/other.crt"), PEM("three"));
	must_build("--certificate my.pem");
	CHECK_STR(content("out/etc/ssl/certs/ca-certificates.crt"), PEM("one") PEM("two"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		put_text(path_in(dir, "bad.pem"), bad[i].text);
		CHECK_EQ(build(&out, "--certificate bad.pem"), 1, "row %zu", i);
		CHECK_HAS(out, "not a PEM file with certificates and nothing secret");
	}
}

Test(guest, policy_and_config)
{
	char *out;

	put_text(path_in(dir, "p.rego"), "# x\npackage agent_policy\ndefault X := true\n");
	put_text(path_in(dir, "c.toml"), "log_level = \"debug\"\n");
	REQUIRE_EQ(build(&out, "--policy p.rego --config c.toml"), 0, "%s", out);
	CHECK_HAS(content("out/etc/kata-opa/default-policy.rego"), "default X := true");
	CHECK_STR(content("out/etc/agent-config.toml"), "log_level = \"debug\"\n");
	CHECK_HAS(out, "kernel_parameter: agent.config_file=/etc/agent-config.toml");
	put_text(path_in(dir, "p.rego"), "package agent_policy_of_another\n");
	CHECK_EQ(build(&out, "--policy p.rego"), 1);
	CHECK_HAS(out, "no line \"package agent_policy\"");
	CHECK_EQ(build(&out, "--policy missing"), 1);
	CHECK_HAS(out, "--policy missing: ");
	CHECK_HAS(out, "No such file");
}

Test(guest, hooks)
{
	char *out;

	put_file(path_in(dir, "hooks/prestart/10-a"), "#!", 2, 0755);
	put_file(path_in(dir, "hooks/poststop/b"), "#!", 2, 0700);
	put_text(path_in(dir, "hooks/.ignored"), "x");
	REQUIRE_EQ(build(&out, "--hooks hooks"), 0, "%s", out);
	CHECK_HAS(out, "guest_hook_path: /usr/share/oci/hooks");
	CHECK_EQ(access(path_in(dir, "out/usr/share/oci/hooks/prestart/10-a"), X_OK), 0);
	CHECK_EQ(access(path_in(dir, "out/usr/share/oci/hooks/poststop/b"), X_OK), 0);
	put_text(path_in(dir, "hooks/prestart/plain"), "x");
	CHECK_EQ(build(&out, "--hooks hooks"), 1);
	CHECK_HAS(out, "hooks/prestart/plain is not an executable file");
	put_text(path_in(dir, "other/startContainer/x"), "x");
	CHECK_EQ(build(&out, "--hooks other"), 1);
	CHECK_HAS(out, "invalid kind of hooks \"startContainer\"");
	REQUIRE_EQ(mkdir(path_in(dir, "empty"), 0755), 0);
	CHECK_EQ(build(&out, "--hooks empty"), 1);
	CHECK_HAS(out, "no hooks in empty");
}

Test(guest, pause)
{
	char *out;

	must_build("--pause builtin");
	CHECK_HAS(content("out/pause_bundle/config.json"), "\"args\":[\"/pause\"]");
	CHECK_EQ(access(path_in(dir, "out/pause_bundle/rootfs/pause"), X_OK), 0);
	must_build("--pause none");
	CHECK_NE(access(path_in(dir, "out/pause_bundle"), F_OK), 0);
	put_text(path_in(dir, "bundle/config.json"), "{}");
	CHECK_EQ(build(&out, "--pause bundle"), 1);
	CHECK_HAS(out, "not a bundle: failed to read bundle/rootfs");
	put_text(path_in(dir, "bundle/rootfs/p"), "x");
	must_build("--pause bundle");
	CHECK_STR(content("out/pause_bundle/rootfs/p"), "x");
}

Test(guest, systemd_units)
{
	static const char unit[] = "out/usr/lib/systemd/system/kata-agent.service";

	char *copy[] = { "sh", "-c",
			 "mkdir -p tree/usr/lib/systemd tree/sbin && "
			 "cp tatami tree/usr/lib/systemd/systemd && "
			 "ln -s ../usr/lib/systemd/systemd tree/sbin/init",
			 NULL };

	REQUIRE_EQ(run_program(dir, NULL, copy, NULL), 0);
	must_build("--from dir:tree --keep-init");
	CHECK_HAS(content(unit), "ExecStart=/usr/bin/kata-agent");
	CHECK_HAS(content("out/usr/lib/systemd/system/kata-containers.target"), "AllowIsolate=yes");
	must_build("--from dir:tree");
	CHECK_NE(access(path_in(dir, unit), F_OK), 0);
	/* Those of the input are kept. */
	put_text(path_in(dir, "tree/usr/lib/systemd/system/kata-agent.service"), "own");
	must_build("--from dir:tree --keep-init");
	CHECK_STR(content(unit), "own");
}

/* ---- bill of materials ---- */

static json_t *
load(const char *name)
{
	json_error_t why;
	json_t *doc = json_load_file(path_in(dir, name), JSON_REJECT_DUPLICATES, &why);

	REQUIRE_NE(doc, NULL, "%s: line %d: %s", name, why.line, why.text);
	return doc;
}

static const char *
text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

/* Checks that an identifier is valid and not used before. */
static void
check_id(json_t *ids, const json_t *element)
{
	const char *id = text_of(element, "SPDXID");

	REQUIRE_NE(id, NULL);
	CHECK(!strncmp(id, "SPDXRef-", 8) &&
		      id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789.-")] == '\0',
	      "%s", id);
	CHECK_EQ(json_object_get(ids, id), NULL, "%s", id);
	REQUIRE_EQ(json_object_set_new(ids, id, json_true()), 0);
}

static void
check_checksums(const json_t *element, const char *first, size_t n)
{
	const json_t *sums = json_object_get(element, "checksums");
	size_t i;
	json_t *sum;

	REQUIRE_GE(json_array_size(sums), n);
	json_array_foreach(sums, i, sum)
	{
		const char *name = text_of(sum, "algorithm"),
			   *value = text_of(sum, "checksumValue");

		if (i == 0)
			CHECK_STR(name, first);
		CHECK_EQ(strlen(value), strcmp(name, "SHA1") ? 64u : 40u);
		CHECK_EQ(value[strspn(value, "0123456789abcdef")], '\0');
	}
}

/* Checks what the schema of SPDX 2.3 requires of each part, and that all identifiers exist. */
static void
check_document(json_t *doc)
{
	static const char *const required[] = { "spdxVersion", "dataLicense", "SPDXID", "name",
						"documentNamespace" };
	static const char *const of_package[] = { "name", "downloadLocation", "licenseDeclared",
						  "licenseConcluded", "copyrightText" };
	json_t *ids = json_object(), *element;
	size_t i;

	for (i = 0; i < ARRAY_LEN(required); i++)
		CHECK_NE(text_of(doc, required[i]), NULL, "%s", required[i]);
	CHECK_STR(text_of(doc, "spdxVersion"), "SPDX-2.3");
	CHECK_STR(text_of(doc, "dataLicense"), "CC0-1.0");
	CHECK_STR(text_of(doc, "SPDXID"), "SPDXRef-DOCUMENT");
	CHECK_LACKS(text_of(doc, "documentNamespace"), "#");
	check_id(ids, doc);
	element = json_object_get(doc, "creationInfo");
	CHECK_STR(text_of(element, "created"), "2025-01-01T00:00:00Z");
	CHECK_HAS(json_string_value(json_array_get(json_object_get(element, "creators"), 0)),
		  "Tool: tatami-rootfs-");
	json_array_foreach(json_object_get(doc, "packages"), i, element)
	{
		const json_t *refs = json_object_get(element, "externalRefs");

		check_id(ids, element);
		for (size_t k = 0; k < ARRAY_LEN(of_package); k++)
			CHECK_NE(text_of(element, of_package[k]), NULL, "%s", of_package[k]);
		CHECK_EQ(json_is_true(json_object_get(element, "filesAnalyzed")),
			 json_object_get(element, "packageVerificationCode") != NULL);
		if (refs)
			CHECK_HAS(text_of(json_array_get(refs, 0), "referenceLocator"), "pkg:");
	}
	json_array_foreach(json_object_get(doc, "files"), i, element)
	{
		check_id(ids, element);
		CHECK_EQ(strncmp(text_of(element, "fileName"), "./", 2), 0);
		check_checksums(element, "SHA1", 2);
	}
	json_array_foreach(json_object_get(doc, "relationships"), i, element)
	{
		CHECK_NE(json_object_get(ids, text_of(element, "spdxElementId")), NULL);
		CHECK_NE(json_object_get(ids, text_of(element, "relatedSpdxElement")), NULL);
		CHECK_NE(text_of(element, "relationshipType"), NULL);
	}
	json_decref(ids);
}

/* Returns the element of an array with this value of a key, or NULL. */
static json_t *
find(const json_t *doc, const char *array, const char *key, const char *value)
{
	json_t *element;
	size_t i;

	json_array_foreach(json_object_get(doc, array), i, element)
	{
		if (text_of(element, key) && !strcmp(text_of(element, key), value))
			return element;
	}
	return NULL;
}

static const char *
purl(const json_t *doc, const char *name)
{
	const json_t *package = find(doc, "packages", "name", name);

	return text_of(json_array_get(json_object_get(package, "externalRefs"), 0),
		       "referenceLocator");
}

Test(guest, sbom)
{
	json_t *doc;

	put_text(path_in(dir, "tree/etc/os-release"), "ID=alpine\nVERSION_ID=3.18.4\n");
	put_text(path_in(dir, "tree/lib/apk/db/installed"),
		 "P:libstdc++\nV:12.2.1_git-r10\nA:x86_64\nL:GPL-2.0-or-later\nF:bin\nR:tool\n");
	put_text(path_in(dir, "tree/bin/tool"), "x");
	put_text(path_in(dir, "tree/srv/a\"b"), "abc");
	put_text(path_in(dir, "tree/usr/lib/modules/6.1.0-9/modules.dep"), "");
	must_build("--from dir:tree");
	doc = load("out.spdx.json");
	check_document(doc);
	CHECK_STR(purl(doc, "libstdc++"),
		  "pkg:apk/alpine/libstdc%2B%2B@12.2.1_git-r10?arch=x86_64&distro=alpine-3.18.4");
	CHECK_STR(text_of(find(doc, "packages", "name", "tatami"), "versionInfo"), "9.8.7");
	CHECK_STR(text_of(find(doc, "packages", "name", "tatami"), "sourceInfo"), "commit abc");
	CHECK_STR(text_of(find(doc, "packages", "name", "libcap"), "licenseDeclared"),
		  "BSD-3-Clause OR GPL-2.0-only");
	CHECK_NE(find(doc, "relationships", "relationshipType", "STATIC_LINK"), NULL);
	CHECK_STR(purl(doc, "linux modules"), "pkg:generic/linux@6.1.0-9");
	/* Files of a package are not listed again. */
	CHECK_EQ(find(doc, "files", "fileName", "./bin/tool"), NULL);
	CHECK_NE(find(doc, "files", "fileName", "./usr/bin/kata-agent"), NULL);
	/* The sums of "abc" are well known. */
	CHECK_STR(
		text_of(json_array_get(json_object_get(find(doc, "files", "fileName", "./srv/a\"b"),
						       "checksums"),
				       0),
			"checksumValue"),
		"a9993e364706816aba3e25717850c26c9cd0d89d");
	json_decref(doc);
	CHECK_HAS(content("out/var/lib/osbuilder/osbuilder.yaml"), "name: \"alpine\"");
	CHECK_HAS(content("out/var/lib/osbuilder/osbuilder.yaml"), "- \"libstdc++\"");
}

/* The checksum of the image; the document depends on nothing else. */
Test(guest, sbom_of_a_file)
{
	char *argv[] = { "sh", "-c",
			 "set -e; mkdir a b; R='" TATAMI_ROOTFS " -q --init tatami -f tar -o'; "
			 "$R a/x.tar; umask 077; TZ=Asia/Tokyo $R b/x.tar; cmp a/x.tar b/x.tar; "
			 "cmp a/x.tar.spdx.json b/x.tar.spdx.json; "
			 "grep -q \"$(sha256sum <a/x.tar | cut -d' ' -f1)\" a/x.tar.spdx.json; "
			 "$R c.tar --no-sbom; test ! -e c.tar.spdx.json",
			 NULL };
	char *out;
	json_t *doc;

	REQUIRE_EQ(run_program(dir, NULL, argv, &out), 0, "%s", out);
	doc = load("a/x.tar.spdx.json");
	check_document(doc);
	check_checksums(find(doc, "packages", "SPDXID", "SPDXRef-Image"), "SHA256", 1);
	json_decref(doc);
}

/* The description for engines: a directory has no configuration, but it may have users. */
Test(guest, description)
{
	char *argv[] = { "sh", "-c",
			 TATAMI_ROOTFS " -q --rootfs-only --no-sbom --describe -f tar "
				       "--from dir:tree -o out.tar",
			 NULL };
	char *out;
	json_t *doc;

	put_text(path_in(dir, "tree/usr/etc/passwd"), "root:x:0:0::/:\n");
	REQUIRE_EQ(symlink("usr/etc", path_in(dir, "tree/etc")), 0);
	REQUIRE_EQ(run_program(dir, NULL, argv, &out), 0, "%s", out);
	doc = load("out.tar.image.json");
	CHECK_STR(json_string_value(json_object_get(doc, "passwd")), "root:x:0:0::/:\n");
	CHECK(json_is_null(json_object_get(doc, "group")));
	CHECK(json_is_null(json_object_get(doc, "config")));
	json_decref(doc);
}

Test(guest, rootfs_only)
{
	put_text(path_in(dir, "tree/file"), "x");
	must_build("--rootfs-only --from dir:tree");
	CHECK_NE(access(path_in(dir, "out/usr/bin/kata-agent"), F_OK), 0);
	CHECK_NE(access(path_in(dir, "out/init"), F_OK), 0);
	CHECK_STR(content("out/file"), "x");
}
