/* SPDX-License-Identifier: Apache-2.0 */
/* Packages of distributions. */
#include <criterion/criterion.h>

#include "ctl/vm/packages.h"
#include "tests/support/check.h"

#define DEBIAN "PRETTY_NAME=\"Debian GNU/Linux\"\nID=debian\n"
#define UBUNTU "ID=ubuntu\nID_LIKE=debian\n"
#define MINT   "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"
#define FEDORA "NAME=\"Fedora Linux\"\nID=fedora\n"
#define ROCKY  "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"
#define ALPINE "ID=alpine\nVERSION_ID=3.20"

Test(ctl_packages, names)
{
	static const struct {
		const char *program, *os_release, *package;
	} rows[] = {
		{ "qemu-system-x86_64", DEBIAN, "qemu-system-x86" },
		{ "qemu-system-aarch64", MINT, "qemu-system-arm" },
		{ "qemu-system-x86_64", ROCKY, "qemu-system-x86-core" },
		{ "qemu-system-x86_64", ALPINE, "qemu-system-x86_64" },
		{ "debugfs", UBUNTU, "e2fsprogs" },
		{ "debugfs", ALPINE, "e2fsprogs-extra" },
		{ "vhost-device-vsock", FEDORA, "vhost-device-vsock" },
		{ "vhost-device-vsock", DEBIAN, NULL },
		{ "virtiofsd",
		  "PRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=\"12\"\nID=debian\n", NULL },
		{ "virtiofsd",
		  "PRETTY_NAME=\"Debian GNU/Linux 13\"\nVERSION_ID=\"13\"\nID=debian\n",
		  "virtiofsd" },
		{ "no-such-program", DEBIAN, NULL },
		/* neither a part of a word nor another key */
		{ "passt", "ID=debianish\nHOME=arch\n", NULL },
		{ "passt", "", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *package = package_of(rows[i].program, rows[i].os_release);

		CHECK_STR(package ? package : "none", rows[i].package ? rows[i].package : "none");
	}
}

Test(ctl_packages, advice)
{
	char text[100];

	package_advice("passt", DEBIAN, text, sizeof(text));
	CHECK_STR(text, "install the package passt");
	package_advice("tatami-rootfs", DEBIAN, text, sizeof(text));
	CHECK_STR(text, "put it into libexec/ next to tatamictl, as `make` of tatami does");
}
