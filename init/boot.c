/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Console, links, loopback, host name, limits and sysctls: called by init once, in this order. No
 * failure is fatal, and no input of a peer is read.
 */
#include "init/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/cmdline.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/log.h"

/* Initial value of fs.nr_open. */
#define NOFILE_MAX 1048576u

void
boot_reserve_stdio(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* open(2) returns the lowest free number, and / can always be opened. */
		if (open("/dev/null", O_RDWR) < 0)
			(void)open("/", O_PATH | O_DIRECTORY);
	}
}

bool
boot_console(void)
{
	bool is_console = true;
	int fd = open("/dev/console", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		is_console = false;
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	}
	(void)setsid();
	if (fd < 0)
		return false;
	for (int i = 0; i <= STDERR_FILENO; i++)
		(void)dup2(fd, i);
	if (fd > STDERR_FILENO)
		(void)close(fd);
	return is_console;
}

void
boot_dev_links(void)
{
	static const struct {
		const char *to, *link;
	} links[] = {
		{ "pts/ptmx", "/dev/ptmx" },          { "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },  { "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};

	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		(void)unlink(links[i].link);
		if (symlink(links[i].to, links[i].link) < 0)
			log_warn("boot", "failed to link %s to %s: %s", links[i].link, links[i].to,
				 strerror(errno));
	}
}

void
boot_loopback(void)
{
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_name = "lo" };

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &req) < 0) {
		log_warn("boot", "failed to read the flags of lo: %s", strerror(errno));
		return;
	}
	req.ifr_flags = (short)(req.ifr_flags | IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		log_warn("boot", "failed to bring up lo: %s", strerror(errno));
}

void
boot_hostname(const char *path)
{
	char text[256], *name = text;
	size_t len;

	if (read_text_at(AT_FDCWD, path, text, sizeof(text)) < 0)
		text[0] = '\0';
	name += strspn(name, " \t\r\n");
	len = strcspn(name, " \t\r\n");
	if (len == 0) {
		name = "localhost";
		len = strlen(name);
	}
	/* __NEW_UTS_LEN of the kernel. */
	if (len > 64)
		len = 64;
	if (sethostname(name, len) < 0)
		log_warn("boot", "failed to set the host name: %s", strerror(errno));
}

/* Raises soft and hard limit to `most`, or else the soft limit to the hard one. */
static void
boot_raise_limit(int resource, rlim_t most, const char *what)
{
	struct rlimit limit = { .rlim_cur = most, .rlim_max = most };

	if (setrlimit(resource, &limit) == 0)
		return;
	if (getrlimit(resource, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(resource, &limit) == 0)
			return;
	}
	log_warn("boot", "failed to raise the limit of %s: %s", what, strerror(errno));
}

void
boot_limits(void)
{
	if (write_text_at(AT_FDCWD, "/proc/self/oom_score_adj", "-1000") < 0)
		log_warn("boot", "failed to set oom_score_adj: %s", strerror(errno));
	boot_raise_limit(RLIMIT_NOFILE, NOFILE_MAX, "open files");
	/* The default of the kernel depends on memory and is a few hundred for each uid in a small
	 * guest. */
	boot_raise_limit(RLIMIT_NPROC, RLIM_INFINITY, "processes");
}

/* Names below /proc/sys with dots for slashes, as on the kernel command line. Settings that affect
 * programs in containers (fs.protected_*, kernel.yama.*) keep the default of the kernel; the host
 * can set them by sysctl.NAME=VALUE on the kernel command line. */
static const struct {
	const char *name, *value;
} sysctls[] = {
	/* A container that is out of memory must not crash the guest. */
	{ "vm.panic_on_oom", "0" },
	/* Ignores keys on the console; /proc/sysrq-trigger still works. */
	{ "kernel.sysrq", "0" },
	/* Hides kernel addresses from all processes. */
	{ "kernel.kptr_restrict", "2" },
	/* Hides the kernel log from containers. */
	{ "kernel.dmesg_restrict", "1" },
	{ "kernel.unprivileged_bpf_disabled", "1" },
	/* A file name, never a program in the root of the guest. */
	{ "kernel.core_pattern", "core" },
};

void
boot_sysctls(const char *cmdline)
{
	for (size_t i = 0; i < ARRAY_LEN(sysctls); i++) {
		char key[80], path[96];

		(void)snprintf(key, sizeof(key), "sysctl.%s", sysctls[i].name);
		if (cmdline_has(cmdline, key))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/sys/%s", sysctls[i].name);
		for (char *p = path + sizeof("/proc/sys"); *p; p++)
			if (*p == '.')
				*p = '/';
		if (write_text_at(AT_FDCWD, path, sysctls[i].value) < 0)
			log_debug("boot", "failed to write %s: %s", path, strerror(errno));
	}
}
