/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process of compared containers: prints its attributes and its view of the container. An
 * argument "path=PATH" also prints the state of a path, "read=PATH" the contents of a file; others
 * are ignored.
 */
#include "probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/capability.h>

#define LINE_SIZE 65536

void
say(const char *key, const char *format, ...)
{
	va_list ap;

	printf("%s\t", key);
	va_start(ap, format);
	(void)vprintf(format, ap);
	va_end(ap);
	(void)putchar('\n');
}

const char *
outcome(long r)
{
	return r < 0 ? strerror(errno) : "ok";
}

void
say_file(const char *key, const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0) {
		say(key, "(%s)", strerror(errno));
	} else {
		while (n > 0 && text[n - 1] == '\n')
			n--;
		text[n] = '\0';
		for (char *p = text; *p; p++)
			if (*p == '\n')
				*p = '|';
		say(key, "%s", text);
	}
	if (fd >= 0)
		(void)close(fd);
}

static void
ids(void)
{
	uid_t r, e, s;
	gid_t groups[64];
	int n;
	mode_t mask = umask(0);
	struct utsname u;
	char cwd[4096];

	(void)umask(mask);
	(void)getresuid(&r, &e, &s);
	say("uid", "%u %u %u", r, e, s);
	(void)getresgid(&r, &e, &s);
	say("gid", "%u %u %u", r, e, s);
	n = getgroups(64, groups);
	for (int i = 0; i < n; i++)
		say("group", "%u", groups[i]);
	say("umask", "%04o", mask);
	say("cwd", "%s", getcwd(cwd, sizeof(cwd)) ? cwd : strerror(errno));
	say("pid", "%s", getpid() == 1 ? "1" : "another");
	say("ppid", "%s", getppid() == 0 ? "0" : "another");
	say("session", "%s", getsid(0) == getpid() ? "own" : "another");
	say("process group", "%s", getpgrp() == getpid() ? "own" : "another");
	if (uname(&u) == 0) {
		say("hostname", "%s", u.nodename);
		say("domainname", "%s", u.domainname);
	}
}

static void
attributes(void)
{
	static const struct {
		const char *name;
		int option;
	} list[] = {
		{ "keep caps", PR_GET_KEEPCAPS },     { "securebits", PR_GET_SECUREBITS },
		{ "dumpable", PR_GET_DUMPABLE },      { "no new privileges", PR_GET_NO_NEW_PRIVS },
		{ "timer slack", PR_GET_TIMERSLACK },
	};
	int sig = 0, reaper = 0;

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		say(list[i].name, "%d", prctl(list[i].option, 0, 0, 0, 0));
	(void)prctl(PR_GET_PDEATHSIG, &sig);
	(void)prctl(PR_GET_CHILD_SUBREAPER, &reaper);
	say("parent death signal", "%d", sig);
	say("child subreaper", "%d", reaper);
	say("personality", "%x", (unsigned int)personality(0xffffffff));
	say("nice", "%d", getpriority(PRIO_PROCESS, 0));
	say("scheduler", "%ld", syscall(SYS_sched_getscheduler, 0));
	say("io priority", "%ld", syscall(SYS_ioprio_get, 1, 0));
}

static void
caps(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	uint64_t bounding = 0, ambient = 0;

	(void)syscall(SYS_capget, &head, data);
	for (int c = 0; c < 64; c++) {
		if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1)
			bounding |= 1ull << c;
		if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, c, 0, 0) == 1)
			ambient |= 1ull << c;
	}
	say("caps effective", "%08x%08x", data[1].effective, data[0].effective);
	say("caps permitted", "%08x%08x", data[1].permitted, data[0].permitted);
	say("caps inheritable", "%08x%08x", data[1].inheritable, data[0].inheritable);
	say("caps bounding", "%016llx", (unsigned long long)bounding);
	say("caps ambient", "%016llx", (unsigned long long)ambient);
}

static void
limits(void)
{
	for (int i = 0; i < 16; i++) {
		struct rlimit r;
		char key[32];

		if (syscall(SYS_prlimit64, 0, i, NULL, &r) < 0)
			continue;
		(void)snprintf(key, sizeof(key), "rlimit %d", i);
		say(key, "%lld %lld", (long long)r.rlim_cur, (long long)r.rlim_max);
	}
}

/* Prints /proc/self/status without the lines that vary between runs. */
static void
status(void)
{
	static const char *const wanted[] = { "Groups",
					      "Threads",
					      "SigQ",
					      "ShdPnd",
					      "SigPnd",
					      "SigBlk",
					      "SigIgn",
					      "SigCgt",
					      "Seccomp",
					      "Spec",
					      "Cpus_allowed_list",
					      "Mems_allowed_list",
					      "NSpid" };
	static char line[LINE_SIZE];
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f)) {
		char *colon = strchr(line, ':'), *value;
		char key[64];

		for (size_t i = 0; colon && i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			if (strncmp(line, wanted[i], strlen(wanted[i])) != 0)
				continue;
			*colon = '\0';
			value = colon + 1 + strspn(colon + 1, " \t");
			value[strcspn(value, "\n")] = '\0';
			(void)snprintf(key, sizeof(key), "status %.40s", line);
			/* The number of queued signals is counted by user in the whole guest. */
			if (strcmp(line, "SigQ") == 0)
				value = strchr(value, '/') ? strchr(value, '/') : value;
			say(key, "%s", value);
			break;
		}
	}
	if (f)
		(void)fclose(f);
}

static void
proc_files(void)
{
	static const char *const list[] = { "oom_score_adj",   "uid_map",       "gid_map",
					    "setgroups",       "loginuid",      "timens_offsets",
					    "coredump_filter", "attr/current",  "cgroup",
					    "attr/exec",       "attr/keycreate" };
	char path[64], link[128];
	static const char *const kinds[] = { "cgroup", "ipc", "mnt",  "net",
					     "pid",    "uts", "user", "time" };

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
		(void)snprintf(path, sizeof(path), "/proc/self/%s", list[i]);
		say_file(list[i], path);
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		n = readlink(path, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		(void)snprintf(path, sizeof(path), "namespace %s", kinds[i]);
		say(path, "%s", link);
	}
}

static void
fds(void)
{
	for (int fd = 0; fd < 256; fd++) {
		char path[64], link[256];
		struct stat st;
		ssize_t n;

		if (fstat(fd, &st) < 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, link, sizeof(link) - 1);
		link[n > 0 ? n : 0] = '\0';
		if (n <= 0)
			(void)snprintf(link, sizeof(link), "(%s)", strerror(errno));
		if (strncmp(link, "pipe:", 5) == 0)
			link[4] = '\0';
		(void)snprintf(path, sizeof(path), "fd %d", fd);
		say(path, "%s %o %d:%d access %o", link, st.st_mode, st.st_uid, st.st_gid,
		    fcntl(fd, F_GETFL));
	}
}

static void
network(void)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq r = { .ifr_name = "lo" };

	if (s < 0 || ioctl(s, SIOCGIFFLAGS, &r) < 0)
		say("lo", "(%s)", strerror(errno));
	else
		say("lo", "%s", r.ifr_flags & IFF_UP ? "up" : "down");
	if (s >= 0)
		(void)close(s);
}

int
main(int argc, char **argv, char **envp)
{
	fds();
	for (int i = 0; i < argc; i++)
		say("arg", "%s", argv[i]);
	for (; *envp; envp++)
		say("env", "%s", *envp);
	ids();
	attributes();
	caps();
	limits();
	status();
	proc_files();
	network();
	probe_mounts();
	probe_cgroup();
	probe_devices();
	probe_tree();
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "path=", 5) == 0)
			probe_path(argv[i] + 5);
		if (strncmp(argv[i], "read=", 5) == 0)
			say_file(argv[i], argv[i] + 5);
	}
	probe_syscalls();
	say("end", "reached");
	return 42;
}
