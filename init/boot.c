/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Console, links, loopback, host name, limits, sysctls: called by init in this order, once. Nothing here
 * may be fatal, and nothing reads what a peer sent.
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

#define NOFILE_MAX 1048576u /* fs.nr_open as the kernel starts */

void
boot_reserve_stdio(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* open(2) takes the lowest free number; / can always be opened this way */
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
			log_warn("boot", "link %s to %s: %s", links[i].link, links[i].to,
				 strerror(errno));
	}
}

void
boot_loopback(void)
{
	auto_close int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq req = { .ifr_name = "lo" };

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &req) < 0) {
		log_warn("boot", "read the flags of lo: %s", strerror(errno));
		return;
	}
	req.ifr_flags = (short)(req.ifr_flags | IFF_UP);
	if (ioctl(fd, SIOCSIFFLAGS, &req) < 0)
		log_warn("boot", "bring up lo: %s", strerror(errno));
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
	if (len > 64) /* __NEW_UTS_LEN */
		len = 64;
	if (sethostname(name, len) < 0)
		log_warn("boot", "set the host name: %s", strerror(errno));
}

/* Soft and hard limit to `most`, or the soft one to the hard one. */
static void
raise_limit(int resource, rlim_t most, const char *what)
{
	struct rlimit limit = { .rlim_cur = most, .rlim_max = most };

	if (setrlimit(resource, &limit) == 0)
		return;
	if (getrlimit(resource, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(resource, &limit) == 0)
			return;
	}
	log_warn("boot", "raise the limit of %s: %s", what, strerror(errno));
}

void
boot_limits(void)
{
	if (write_text_at(AT_FDCWD, "/proc/self/oom_score_adj", "-1000") < 0)
		log_warn("boot", "set oom_score_adj: %s", strerror(errno));
	raise_limit(RLIMIT_NOFILE, NOFILE_MAX, "open files");
	/* The kernel's default grows with memory and is a few hundred in a small guest, for each uid. */
	raise_limit(RLIMIT_NPROC, RLIM_INFINITY, "processes");
}

/* Names below /proc/sys with dots for slashes, as on the kernel command line. Nothing here changes what a program in a
 * container can do with its own files and processes: that (fs.protected_*, kernel.yama.*) is the kernel's default, or
 * the host's to set by sysctl.NAME=VALUE on the kernel command line. */
static const struct {
	const char *name, *value;
} sysctls[] = {
	{ "vm.panic_on_oom", "0" }, /* a container out of memory must not end the guest */
	{ "kernel.sysrq", "0" },    /* no keys on the console; /proc/sysrq-trigger still works */
	{ "kernel.kptr_restrict", "2" },  /* no kernel addresses for anybody */
	{ "kernel.dmesg_restrict", "1" }, /* the kernel log is not for containers */
	{ "kernel.unprivileged_bpf_disabled", "1" },
	{ "kernel.core_pattern", "core" }, /* a file: never a program of the guest's root */
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
			log_debug("boot", "write %s: %s", path, strerror(errno));
	}
}
