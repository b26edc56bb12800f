/* SPDX-License-Identifier: Apache-2.0 */
/* Locating programs and guest files on the host. */
#include "ctl/vm/find.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/vm/progress.h"
#include "ctl/vm/spawn.h"
#include "lib/cleanup.h"
#include "lib/io.h"

/* Time for a trial of KVM, in which the guest panics after its kernel, and for a version. */
#define KVM_TRIAL_MS 8000
#define VERSION_MS   10000

/* Accepts or rejects a candidate for a program. */
typedef bool find_accept(const char *path, void *data);

static bool find_in_search_path(char *out, size_t size, const char *name, find_accept *usable,
				void *data);
static bool find_virtiofsd_accept(const char *path, void *data);
static int find_memo_path(char *out, size_t size);
static bool find_kvm_can_be_tried(enum vm_arch arch, char *why, size_t size);
static bool find_kvm_boots(enum vm_arch arch, const char *qemu, const char *kernel,
			   const char *initrd, char *why, size_t size);
static void find_last_line(char *text, char *out, size_t size);

/* Writes the directory of the running executable. */
static int
find_own_directory(char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size - 1);
	char *slash;

	if (n < 0)
		return -1;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash)
		return -1;
	*slash = '\0';
	return 0;
}

static bool
find_try_path(char *out, size_t size, const char *dir, const char *sub, const char *name, int mode)
{
	struct stat st;

	if ((size_t)snprintf(out, size, "%s%s/%s", dir, sub, name) >= size)
		return false;
	return stat(out, &st) == 0 && S_ISREG(st.st_mode) && access(out, mode) == 0;
}

/* Writes the path of the first program of that name which `usable` (NULL: any) accepts. */
static bool
find_in_places(const char *name, char *out, size_t size, find_accept *usable, void *data)
{
	static const char *const dirs[] = {
		"/usr/bin",
		"/usr/sbin",
		"/sbin",
		"/usr/libexec",
		"/usr/lib/qemu",
		"/usr/local/bin",
		"/usr/libexec/qemu-kvm",
	};
	char own[PATH_MAX];

	if (find_own_directory(own, sizeof(own)) == 0 &&
	    (find_try_path(out, size, own, "/libexec", name, X_OK) ||
	     find_try_path(out, size, own, "", name, X_OK)) &&
	    (!usable || usable(out, data)))
		return true;
	if (find_in_search_path(out, size, name, usable, data))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
		if (find_try_path(out, size, dirs[i], "", name, X_OK) &&
		    (!usable || usable(out, data)))
			return true;
	return false;
}

int
find_program(const char *name, char *out, size_t size, struct error *err)
{
	if (find_in_places(name, out, size, NULL, NULL))
		return 0;
	return error_set(
		err, ERROR_NOT_FOUND,
		"program %s not found (next to tatamictl, in libexec/ there, $PATH, /usr/libexec)",
		name);
}

static bool
find_in_search_path(char *out, size_t size, const char *name, find_accept *usable, void *data)
{
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t n = strcspn(path, ":");
		char dir[PATH_MAX];

		if (n && n < sizeof(dir)) {
			memcpy(dir, path, n);
			dir[n] = '\0';
			if (find_try_path(out, size, dir, "", name, X_OK) &&
			    (!usable || usable(out, data)))
				return true;
		}
		path += n + (path[n] == ':');
	}
	return false;
}

/* The reason for rejecting the first candidate. */
struct find_rejected {
	char text[PATH_MAX + 128];
};

int
find_virtiofsd(const char *given, char *out, size_t size, struct error *err)
{
	struct find_rejected rejected = { "" };

	if (given) {
		if (!realpath(given, out) || access(out, X_OK) < 0)
			return error_sys_code(err, ERROR_NOT_FOUND, "failed to look up %s", given);
		if (find_virtiofsd_accept(out, &rejected))
			return 0;
	} else if (find_in_places("virtiofsd", out, size, find_virtiofsd_accept, &rejected)) {
		return 0;
	}
	if (rejected.text[0])
		return error_set(err, ERROR_NOT_FOUND, "%s", rejected.text);
	return error_set(err, ERROR_NOT_FOUND,
			 "no virtiofsd found (in libexec/ next to tatamictl, $PATH, /usr/libexec)");
}

/* Accepts a program that prints "virtiofsd VERSION". QEMU's prints "virtiofsd version VERSION". */
static bool
find_virtiofsd_accept(const char *path, void *data)
{
	static const char current[] = "virtiofsd ", old[] = "virtiofsd version ";
	struct find_rejected *rejected = data;
	char text[64] = "";
	struct error ignored = ERROR_INIT;
	struct argv a = { 0 };

	argv_add(&a, "%s", path);
	argv_add(&a, "--version");
	if (spawn_read(&a, VERSION_MS, text, sizeof(text), &ignored) != 0)
		text[0] = '\0';
	argv_release(&a);
	if (strncmp(text, current, sizeof(current) - 1) == 0 && text[sizeof(current) - 1] >= '0' &&
	    text[sizeof(current) - 1] <= '9')
		return true;
	if (!rejected->text[0])
		(void)snprintf(rejected->text, sizeof(rejected->text),
			       strncmp(text, old, sizeof(old) - 1) == 0
				       ? "%.*s is QEMU's old virtiofsd, which is not supported"
				       : "%.*s is not a virtiofsd that runs here",
			       PATH_MAX, path);
	return false;
}

int
find_guest_file(const char *name, char *out, size_t size, struct error *err)
{
	char own[PATH_MAX];

	if (find_own_directory(own, sizeof(own)) == 0 &&
	    (find_try_path(out, size, own, "", name, R_OK) ||
	     find_try_path(out, size, own, "/../lib/tatami", name, R_OK)))
		return 0;
	if (find_try_path(out, size, "/usr/lib/tatami", "", name, R_OK))
		return 0;
	return error_set(err, ERROR_NOT_FOUND,
			 "guest file %s not found next to tatamictl, in ../lib/tatami or in "
			 "/usr/lib/tatami",
			 name);
}

void
find_accel(enum vm_arch arch, const char *qemu, const char *kernel, const char *initrd, bool again,
	   struct find_accel *out)
{
	char memo[PATH_MAX + 128], text[3 * PATH_MAX + sizeof(out->why)];
	char tried[2 * PATH_MAX + 8], why[sizeof(out->why) - 40] = "";
	bool have_memo = find_memo_path(memo, sizeof(memo)) == 0;
	auto_close int fd = -1;

	*out = (struct find_accel){ .name = "tcg" };
	if (!find_kvm_can_be_tried(arch, out->why, sizeof(out->why)))
		return;
	(void)snprintf(tried, sizeof(tried), "tcg\n%s\n%s\n", qemu, kernel);
	if (have_memo && !again && read_text_at(AT_FDCWD, memo, text, sizeof(text)) > 0) {
		if (strcmp(text, "kvm") == 0) {
			out->name = "kvm";
			out->was_tried = true;
			return;
		}
		if (strncmp(text, tried, strlen(tried)) == 0) {
			(void)snprintf(out->why, sizeof(out->why), "%.*s",
				       (int)sizeof(out->why) - 1, text + strlen(tried));
			out->was_tried = true;
			return;
		}
	}
	progress_step("trying KVM");
	out->was_tried = true;
	if (find_kvm_boots(arch, qemu, kernel, initrd, why, sizeof(why)))
		out->name = "kvm";
	else
		(void)snprintf(out->why, sizeof(out->why), "/dev/kvm could not start a VM: %s",
			       why);
	if (!have_memo)
		return;
	fd = open(memo, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && strcmp(out->name, "kvm") == 0)
		(void)write_full(fd, "kvm", 3);
	else if (fd >= 0)
		(void)dprintf(fd, "%s%s", tried, out->why);
}

/* Returns whether this machine may have KVM for the guest's architecture, and the reason if not. */
static bool
find_kvm_can_be_tried(enum vm_arch arch, char *why, size_t size)
{
	struct utsname here;
	auto_close int fd = -1;

	if (uname(&here) < 0 || strcmp(here.machine, find_arch_name(arch)) != 0) {
		(void)snprintf(why, size, "the guest is of another architecture, %s",
			       find_arch_name(arch));
		return false;
	}
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		(void)snprintf(why, size, "failed to open /dev/kvm: %s", strerror(errno));
	return fd >= 0;
}

/* Writes the path of a file whose name holds the boot id of this machine: the result may change
 * with a reboot. */
static int
find_memo_path(char *out, size_t size)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char boot[64] = "";
	char dir[PATH_MAX];

	if (read_text_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof(boot)) < 0)
		return -1;
	if (cache && *cache)
		(void)snprintf(dir, sizeof(dir), "%s", cache);
	else if (home && *home)
		(void)snprintf(dir, sizeof(dir), "%s/.cache", home);
	else
		return -1;
	(void)mkdir(dir, 0700);
	return (size_t)snprintf(out, size, "%s/tatami-accel-%s", dir, boot) < size ? 0 : -1;
}

/* Returns whether a VM with this kernel reaches its first console output under KVM, and the reason
 * if not. */
static bool
find_kvm_boots(enum vm_arch arch, const char *qemu, const char *kernel, const char *initrd,
	       char *why, size_t size)
{
	char said[16384];
	struct argv a = { 0 };
	struct error err = ERROR_INIT;
	int status;

	argv_add(&a, "%s", qemu);
	for (const char *const *s =
		     (const char *const[]){ "-nodefaults", "-no-user-config", "-no-reboot",
					    "-display", "none", "-M",
					    arch == VM_AARCH64 ? "virt,gic-version=max,accel=kvm"
							       : "q35,accel=kvm",
					    "-cpu", "host", "-m", "256", NULL };
	     *s; s++)
		argv_add(&a, "%s", *s);
	argv_add(&a, "-kernel");
	argv_add(&a, "%s", kernel);
	if (initrd) {
		argv_add(&a, "-initrd");
		argv_add(&a, "%s", initrd);
	}
	argv_add(&a, "-append");
	/* The guest ends by itself when it reaches init: PID 1 exits, the kernel panics, and
	 * -no-reboot ends QEMU. */
	argv_add(&a, "console=%s panic=-1 rdinit=/nonexistent init=/nonexistent",
		 arch == VM_AARCH64 ? "ttyAMA0" : "ttyS0");
	argv_add(&a, "-serial");
	argv_add(&a, "stdio");
	status = spawn_read(&a, KVM_TRIAL_MS, said, sizeof(said), &err);
	argv_release(&a);
	if (status == 0 && said[0])
		return true;
	if (status < 0 && err.code == ERROR_DEADLINE_EXCEEDED)
		(void)snprintf(why, size, "the guest of a trial did not end within %d s",
			       KVM_TRIAL_MS / 1000);
	else if (status < 0)
		(void)snprintf(why, size, "%.*s", (int)size - 1, err.msg);
	else if (status == 0)
		(void)snprintf(why, size, "the guest of a trial printed nothing");
	else
		find_last_line(said, why, size);
	/* The last line of a program that aborted may be about something else. */
	if (status > 0 && WIFSIGNALED(status))
		(void)snprintf(why + strlen(why), size - strlen(why), " (signal %d)",
			       WTERMSIG(status));
	return false;
}

/* Copies the last line that is not empty. */
static void
find_last_line(char *text, char *out, size_t size)
{
	char *line;

	while ((line = strrchr(text, '\n')) && !line[1])
		*line = '\0';
	line = line ? line + 1 : text;
	(void)snprintf(out, size, "%.*s", (int)size - 1, *line ? line : "QEMU failed");
}

static const char *const find_arch_names[] = {
	[VM_X86_64] = "x86_64",
	[VM_AARCH64] = "aarch64",
};

bool
find_arch(const char *name, enum vm_arch *out)
{
	for (size_t i = 0; i < ARRAY_LEN(find_arch_names); i++) {
		if (strcmp(name, find_arch_names[i]) == 0) {
			*out = (enum vm_arch)i;
			return true;
		}
	}
	return false;
}

const char *
find_arch_name(enum vm_arch arch)
{
	return find_arch_names[arch];
}

enum vm_arch
find_kernel_arch(const char *kernel)
{
	/* The boot protocols of x86 (Documentation/arch/x86/boot.rst) and arm64
	 * (Documentation/arch/arm64/booting.rst); uncompressed kernels are ELF files. */
	static const struct {
		enum vm_arch arch;
		size_t at, n;
		const char *magic;
	} known[] = {
		{ VM_X86_64, 0x202, 4, "HdrS" },
		{ VM_AARCH64, 0x38, 4, "ARM\x64" },
		{ VM_X86_64, 0x12, 2, "\x3e\x00" },
		{ VM_AARCH64, 0x12, 2, "\xb7\x00" },
	};
	auto_close int fd = open(kernel, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	char head[1024];
	struct utsname here;
	enum vm_arch arch = VM_X86_64;

	n = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		bool is_elf = known[i].at == 0x12;

		if (n >= (ssize_t)(known[i].at + known[i].n) &&
		    memcmp(head + known[i].at, known[i].magic, known[i].n) == 0 &&
		    (!is_elf || memcmp(head, "\177ELF", 4) == 0))
			return known[i].arch;
	}
	if (uname(&here) == 0)
		(void)find_arch(here.machine, &arch);
	return arch;
}

const char *
find_fstype(const char *image, struct error *err)
{
	static const struct {
		const char *fstype;
		off_t at;
		unsigned char magic[4];
		size_t n;
	} known[] = {
		{ "ext4", 1080, { 0x53, 0xef }, 2 },
		{ "xfs", 0, { 'X', 'F', 'S', 'B' }, 4 },
		{ "erofs", 1024, { 0xe2, 0xe1, 0xf5, 0xe0 }, 4 },
		{ "squashfs", 0, { 'h', 's', 'q', 's' }, 4 },
	};
	auto_close int fd = open(image, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		error_sys(err, "failed to open image %s", image);
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		unsigned char magic[4];

		if (pread(fd, magic, known[i].n, known[i].at) == (ssize_t)known[i].n &&
		    memcmp(magic, known[i].magic, known[i].n) == 0)
			return known[i].fstype;
	}
	error_set(err, ERROR_INVALID_ARGUMENT,
		  "image %s has no supported file system (ext4, xfs, erofs, squashfs)", image);
	return NULL;
}

bool
find_user_namespace(struct error *err)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) == 0 ? 0 : errno);
	errno = pid < 0 ? errno : 0;
	if (pid > 0 && RETRY_EINTR(waitpid(pid, &status, 0)) == pid)
		errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	if (errno == 0)
		return true;
	error_sys(err, "user namespaces are refused here");
	return false;
}
