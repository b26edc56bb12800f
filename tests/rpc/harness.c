/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the agent in its namespaces, counts resources that may leak, and runs tests. */
#include "tests/rpc/harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "lib/cleanup.h"
#include "lib/deadline.h"
#include "lib/io.h"
#include "lib/parse.h"
#include "tests/support/elapsed.h"
#include "tests/support/orphan.h"
#include "tests/support/soak.h"

#define SETTLE_MS 30000
/* time for the exit of the supervisor and of the processes that it has killed */
#define END_MS 60000
/* number of consecutive equal counts */
#define SETTLED 10

static void
die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static void count_outside(struct counts *out);

/* Returns in a child that runs the tests. The parent waits outside its cgroup, kills what it
 * left there, removes the cgroup, and exits with its status. */
static void
clean_up_after_child(int root, const char *name)
{
	struct error err = ERROR_INIT;
	pid_t outside = getpid(), child = fork();
	int status = 0;

	if (child == 0) {
		die_with_parent(outside);
		return;
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		die("run the tests in a child");
	if (cgroup_remove(root, name, SETTLE_MS, &err) < 0) {
		printf("# %s\n", err.msg);
		exit(1);
	}
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* Enters a new cgroup, which the cgroup namespace makes the root of what the agent sees. */
static void
enter_cgroup(void)
{
	char name[64], pid[16];
	auto_close int root = -1;
	auto_close int fd = -1;

	if (mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0)
		die("mount cgroup2");
	root = open("/sys/fs/cgroup", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* The name includes the time: pids are reused, and a killed run leaves its cgroup. */
	(void)snprintf(name, sizeof(name), "tatami-test-%d-%llu", (int)getpid(),
		       (unsigned long long)monotonic_ns());
	if (root < 0 || mkdirat(root, name, 0755) < 0)
		die(name);
	clean_up_after_child(root, name);
	fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (write_text_at(fd, "cgroup.procs", pid) < 0)
		die("enter the test's cgroup");
	if (unshare(CLONE_NEWCGROUP) < 0)
		die("unshare the cgroup namespace");
	if (umount2("/sys/fs/cgroup", MNT_DETACH) < 0 ||
	    mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0)
		die("mount the test's cgroups");
}

static void
enter_namespaces(void)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET) < 0)
		die("unshare (the rpc tests need root)");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		die("make mounts private");
	if (mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
		die("mount /run");
	enter_cgroup();
}

static const char *
required(const char *name)
{
	const char *value = getenv(name);

	if (!value || !*value) {
		errno = EINVAL;
		die(name);
	}
	return value;
}

static pid_t
start_supervisor(const struct harness *h)
{
	const char *program = required("AGENT");
	pid_t suite = getpid(), pid = fork();

	if (pid > 0 && h->faults && h->listen(h->faults, pid) < 0)
		die("make system calls fail (that needs Linux 5.14)");
	if (pid != 0)
		return pid;
	{
		int log = open(required("AGENT_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			       0600);
		int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

		die_with_parent(suite);
		if (log < 0 || null < 0)
			_exit(126);
		(void)dup2(null, 0);
		(void)dup2(log, 1);
		(void)dup2(log, 2);
		(void)setenv("KATA_AGENT_SERVER_ADDR", h->address, 1);
		if (h->faults)
			h->install(h->faults);
		(void)execl(program, "kata-agent", (char *)NULL);
		_exit(127);
	}
}

/* Returns the only child of a process. */
static pid_t
child_of(pid_t parent)
{
	char path[64], text[64];
	uint32_t pid;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	if (read_text_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return 0;
	*strchrnul(text, ' ') = '\0';
	return parse_u32(text, &pid) ? (pid_t)pid : 0;
}

/* Requests a sandbox whose second storage has an unknown driver. It must leave no trace. */
static void
try_bad_sandbox(struct harness *h, const Grpc__CreateSandboxRequest *good)
{
	Grpc__Storage bad = *good->storages[0], *list[] = { good->storages[0], &bad };
	Grpc__CreateSandboxRequest q = *good;
	static char before[1 << 16], after[1 << 16];
	struct error err = ERROR_INIT;

	bad.fstype = (char *)"nosuchfs";
	bad.mount_point = (char *)"/run/kata-containers/sandbox/bad";
	q.storages = list;
	q.n_storages = ARRAY_LEN(list);
	if (read_text_at(AT_FDCWD, "/proc/self/mounts", before, sizeof(before)) > 0 &&
	    call(h, "CreateSandbox", &q, NULL, &err) < 0 && strstr(err.msg, "nosuchfs") &&
	    read_text_at(AT_FDCWD, "/proc/self/mounts", after, sizeof(after)) > 0 &&
	    strcmp(before, after) == 0)
		return;
	printf("Bail out! an invalid sandbox was accepted or left mounts: %s\nbefore:\n%safter:\n"
	       "%s",
	       err.msg, before, after);
	exit(1);
}

static void
make_sandbox(struct harness *h)
{
	Grpc__CreateSandboxRequest q = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	Grpc__Storage shm = GRPC__STORAGE__INIT, *list = &shm;
	char *options[] = { (char *)"noexec", (char *)"nosuid", (char *)"mode=1777" };
	struct error err = ERROR_INIT;

	shm.driver = (char *)"ephemeral";
	shm.source = (char *)"shm";
	shm.fstype = (char *)"tmpfs";
	shm.mount_point = (char *)"/run/kata-containers/sandbox/shm";
	shm.options = options;
	shm.n_options = ARRAY_LEN(options);
	q.sandbox_id = (char *)"sb1";
	q.hostname = (char *)"pod";
	q.guest_hook_path = h->guest_hooks;
	q.storages = &list;
	q.n_storages = 1;
	try_bad_sandbox(h, &q);
	if (call(h, "CreateSandbox", &q, NULL, &err) < 0) {
		printf("Bail out! CreateSandbox: %s\n", err.msg);
		exit(1);
	}
}

static void
start_agent(struct harness *h)
{
	struct error err = ERROR_INIT;

	h->supervisor = start_supervisor(h);
	h->client = ttrpc_client_dial(h->address, 20000, &err);
	if (!h->client || check_health(h->client, &err) < 0) {
		printf("Bail out! the agent does not answer: %s\n", err.msg);
		exit(1);
	}
	h->agent = child_of(h->supervisor);
	if (!h->agent)
		die("find the agent's process");
	make_sandbox(h);
}

static void
report_check(const char *file, int line, const char *text, bool ends_test, void *data)
{
	struct harness *h = data;

	(void)ends_test;
	h->failures++;
	printf("# %s:%d: %s\n", file, line, text);
}

void
harness_start(struct harness *h)
{
	struct error err = ERROR_INIT;
	char path[64];

	enter_namespaces();
	check_set_report(report_check, h);
	count_outside(&h->before_start);
	(void)snprintf(h->address, sizeof(h->address), "unix:///run/agent.sock");
	(void)snprintf(h->rootfs, sizeof(h->rootfs), "%s", required("ROOTFS"));
	h->soak = is_soak();
	h->is_product = getenv("AGENT_IS_PRODUCT") != NULL;
	start_agent(h);
	/* The first container creates /pods and leaves its pid namespace to the sandbox. */
	if (run_container(h, "warm-up", SH("true"), path, sizeof(path), &err) != 0) {
		printf("Bail out! the first container: %s\n", err.msg);
		exit(1);
	}
}

/* ---- leaks ---- */

static unsigned int
count_entries(const char *path)
{
	unsigned int n = 0;
	struct dirent *e;
	DIR *dir = opendir(path);

	while (dir && (e = readdir(dir)) != NULL)
		n += e->d_name[0] != '.';
	if (dir)
		(void)closedir(dir);
	return n;
}

static unsigned int
count_dirs(const char *path)
{
	unsigned int n = 0;
	struct dirent *e;
	DIR *dir = opendir(path);

	while (dir && (e = readdir(dir)) != NULL) {
		char sub[1024];

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		(void)snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
		n += 1 + count_dirs(sub);
	}
	if (dir)
		(void)closedir(dir);
	return n;
}

static unsigned int
count_lines(const char *path)
{
	FILE *f = fopen(path, "re");
	unsigned int n = 0;
	int c;

	while (f && (c = getc(f)) != EOF)
		n += c == '\n';
	if (f)
		(void)fclose(f);
	return n;
}

/* Counts the processes in the test's cgroup namespace, and zombies whose parent is the
 * supervisor. */
static void
count_processes(const struct harness *h, struct counts *out)
{
	struct dirent *e;
	DIR *dir = opendir("/proc");

	while (dir && (e = readdir(dir)) != NULL) {
		char path[64], text[512], *end;
		uint32_t pid;
		int ppid;

		if (!parse_u32(e->d_name, &pid))
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%u/stat", pid);
		if (read_text_at(AT_FDCWD, path, text, sizeof(text)) <= 0)
			continue;
		end = strrchr(text, ')');
		if (!end || sscanf(end, ") %*c %d", &ppid) != 1 || ppid != h->supervisor)
			continue;
		if (end[2] == 'Z')
			out->zombies++;
		else
			out->processes++;
	}
	if (dir)
		(void)closedir(dir);
}

static uint64_t
rss_kib(pid_t pid)
{
	char path[64], line[256];
	unsigned long long kib = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %llu kB", &kib) == 1)
			break;
	if (f)
		(void)fclose(f);
	return kib;
}

/* Counts the resources that need no agent. */
static void
count_outside(struct counts *out)
{
	memset(out, 0, sizeof(*out));
	out->mounts = count_lines("/proc/self/mountinfo");
	/* /pods itself is part of the layout, like the root. */
	out->cgroups = count_dirs("/sys/fs/cgroup") - (access("/sys/fs/cgroup/pods", F_OK) == 0);
	out->processes = count_lines("/sys/fs/cgroup/cgroup.procs");
}

void
harness_count(const struct harness *h, struct counts *out)
{
	char path[64];

	memset(out, 0, sizeof(*out));
	(void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)h->agent);
	out->fds = count_entries(path);
	(void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)h->agent);
	out->mounts = count_lines(path);
	out->cgroups = count_dirs("/sys/fs/cgroup");
	out->run_entries = count_entries("/run/kata-containers") +
			   count_entries("/run/kata-containers/sandbox");
	count_processes(h, out);
	out->rss_kib = rss_kib(h->agent);
}

static bool
same(const struct counts *a, const struct counts *b)
{
	return a->fds == b->fds && a->mounts == b->mounts && a->cgroups == b->cgroups &&
	       a->processes == b->processes && a->zombies == b->zombies &&
	       a->run_entries == b->run_entries;
}

static void
sleep_ms(unsigned int ms)
{
	(void)nanosleep(
		&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 },
		NULL);
}

void
harness_settle(const struct harness *h, struct counts *out)
{
	uint64_t end = deadline_in(SETTLE_MS);
	unsigned int alike = 0;
	struct counts next;

	harness_count(h, out);
	while (alike < SETTLED && !deadline_is_over(end)) {
		sleep_ms(10);
		harness_count(h, &next);
		alike = same(out, &next) ? alike + 1 : 0;
		*out = next;
	}
}

bool
harness_check_leaks(struct harness *h, const struct counts *before)
{
	struct counts now;
	uint64_t end = deadline_in(SETTLE_MS);

	do {
		harness_count(h, &now);
		if (same(before, &now))
			return true;
		sleep_ms(20);
	} while (!deadline_is_over(end));
	CHECK(false,
	      "leaked (before/now): fds %u/%u mounts %u/%u cgroups %u/%u processes %u/%u "
	      "zombies %u/%u run entries %u/%u",
	      before->fds, now.fds, before->mounts, now.mounts, before->cgroups, now.cgroups,
	      before->processes, now.processes, before->zombies, now.zombies, before->run_entries,
	      now.run_entries);
	harness_show(h);
	return false;
}

static void
report(const struct harness *h, const char *name, uint64_t start_ns)
{
	printf("%sok - %s (%llu ms)\n", h->failures ? "not " : "", name,
	       (unsigned long long)elapsed_ms(start_ns));
	(void)fflush(stdout);
}

unsigned int
harness_run(struct harness *h, const struct test *tests, size_t n)
{
	const char *only = getenv("ONLY");
	unsigned int failed = 0;

	for (size_t i = 0; i < n; i++) {
		struct counts before;
		uint64_t start_ns = monotonic_ns();
		struct error err = ERROR_INIT;

		if (only && *only && !strstr(tests[i].name, only))
			continue;
		h->failures = 0;
		harness_settle(h, &before);
		tests[i].run(h);
		if (!tests[i].leaves_volumes)
			(void)harness_check_leaks(h, &before);
		CHECK_OK(check_health(h->client, &err), &err, "Check after the test");
		CHECK_EQ(kill(h->agent, 0), 0, "the agent is gone");
		report(h, tests[i].name, start_ns);
		h->n_run++;
		failed += h->failures != 0;
	}
	return failed;
}

/* Prints the processes of the test's cgroup. */
static void
print_processes(void)
{
	char list[1024], path[64], stat[256], *rest = list, *word;

	if (read_text_at(AT_FDCWD, "/sys/fs/cgroup/cgroup.procs", list, sizeof(list)) <= 0)
		return;
	while ((word = strsep(&rest, "\n")) && *word) {
		(void)snprintf(path, sizeof(path), "/proc/%s/stat", word);
		if (read_text_at(AT_FDCWD, path, stat, sizeof(stat)) > 0)
			printf("# process: %.64s\n", stat);
	}
}

/* Checks that the supervisor exits with 0 and that nothing new is left. The exit of processes that
 * it has killed may take a moment on a machine that is busy. */
static unsigned int
check_end(struct harness *h, const char *name, uint64_t start_ns)
{
	uint64_t end = deadline_in(END_MS);
	struct counts now;
	int status = -1;

	while (waitpid(h->supervisor, &status, WNOHANG) == 0 && !deadline_is_over(end))
		sleep_ms(10);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the supervisor ended with status %#x",
	      (unsigned int)status);
	ttrpc_client_free(h->client);
	count_outside(&now);
	if (!same(&h->before_start, &now))
		print_processes();
	while (!same(&h->before_start, &now) && !deadline_is_over(end)) {
		sleep_ms(10);
		count_outside(&now);
	}
	CHECK(same(&h->before_start, &now),
	      "left (before/now): mounts %u/%u cgroups %u/%u processes %u/%u",
	      h->before_start.mounts, now.mounts, h->before_start.cgroups, now.cgroups,
	      h->before_start.processes, now.processes);
	report(h, name, start_ns);
	h->n_run++;
	return h->failures != 0;
}

unsigned int
harness_stop(struct harness *h)
{
	Grpc__DestroySandboxRequest q = GRPC__DESTROY_SANDBOX_REQUEST__INIT;
	uint64_t start_ns = monotonic_ns();
	struct ttrpc_client *other;
	struct error err = ERROR_INIT;
	unsigned int failed;

	h->failures = 0;
	CHECK_OK(create_start(h, "left", SH("sleep 3600"), &err), &err);
	CHECK_OK(call(h, "DestroySandbox", &q, NULL, &err), &err);
	failed = check_end(h, "DestroySandbox ends agent and supervisor, and nothing is left",
			   start_ns);

	start_ns = monotonic_ns();
	h->failures = 0;
	start_agent(h);
	CHECK_OK(create_start(h, "left", SH("sleep 3600"), &err), &err);
	other = ttrpc_client_dial(h->address, 5000, &err);
	CHECK(other && ttrpc_client_start(other, &grpc__agent_service__descriptor, "DestroySandbox",
					  &q.base, 0, NULL, NULL, &err) != 0,
	      "%s", err.msg);
	ttrpc_client_free(other);
	failed += check_end(h, "DestroySandbox completes after its caller disconnects", start_ns);

	start_ns = monotonic_ns();
	h->failures = 0;
	make_guest_hooks(h);
	start_agent(h);
	CHECK_OK(create_start(h, "left", SH("trap '' TERM; sleep 3600"), &err), &err);
	CHECK_OK(create(h, "waits", SH("true"), &err), &err);
	/* In the manner of systemd: every process gets the signal, and the supervisor forwards
	 * its own. */
	CHECK(kill(h->agent, SIGTERM) == 0 && kill(h->supervisor, SIGTERM) == 0, "kill");
	failed += check_end(h, "SIGTERM removes the containers first", start_ns);
	h->failures = 0;
	check_guest_hooks(h);
	report(h, "hooks of the guest's image run for every container", start_ns);
	h->n_run++;
	return failed + (h->failures != 0);
}
