/* SPDX-License-Identifier: Apache-2.0 */
/* Reasons for a failed execve(2), for files that the kernel has actually rejected. */
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/exec_error.h"
#include "tests/support/check.h"

#if defined(__aarch64__)
#define OUR_MACHINE    EM_AARCH64
#define OUR_MACHINE_32 EM_ARM
#elif defined(__s390x__)
#define OUR_MACHINE    EM_S390
#define OUR_MACHINE_32 EM_S390
#elif defined(__riscv)
#define OUR_MACHINE    EM_RISCV
#define OUR_MACHINE_32 EM_RISCV
#else
#define OUR_MACHINE    EM_X86_64
#define OUR_MACHINE_32 EM_386
#endif

#define IS_BIG_ENDIAN  (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
#define OUR_BYTE_ORDER (IS_BIG_ENDIAN ? ELFDATA2MSB : ELFDATA2LSB)

static char dir[] = "/tmp/exec-error-XXXXXX";
static char path[64];

static void
begin(void)
{
	REQUIRE(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/program", dir);
}

static void
finish(void)
{
	(void)unlink(path);
	(void)rmdir(path);
	(void)rmdir(dir);
}

TestSuite(exec_error, .init = begin, .fini = finish);

static void
make(const void *content, size_t size, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(write(fd, content, size), (ssize_t)size);
	REQUIRE_EQ(fchmod(fd, mode), 0);
	close(fd);
}

/* Returns the errno of execve(2). */
static int
refusal(void)
{
	char *argv[] = { path, NULL };
	int status, fds[2], failed = 0;
	pid_t pid;

	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)execv(path, argv);
		(void)!write(fds[1], &errno, sizeof(errno));
		_exit(0);
	}
	close(fds[1]);
	(void)!read(fds[0], &failed, sizeof(failed));
	close(fds[0]);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	return failed;
}

static void
check(int errnum, int code, const char *want)
{
	char why[EXEC_ERROR_MAX];
	int failed = refusal();

	REQUIRE_EQ(failed, errnum, "the kernel says %s", strerror(failed));
	REQUIRE_EQ(exec_error_code(failed), code);
	exec_error_explain(path, failed, why);
	REQUIRE_HAS(why, want);
}

static void
script(const char *text, int errnum, int code, const char *want)
{
	make(text, strlen(text), 0755);
	check(errnum, code, want);
}

static unsigned char byte_order = OUR_BYTE_ORDER;

/* Writes an unusable program with the given loader. */
static void
elf(unsigned char class, unsigned int machine, unsigned int type, const char *loader)
{
	struct {
		Elf64_Ehdr head;
		Elf64_Phdr segment;
		char loader[64];
	} f = { 0 };

	memcpy(f.head.e_ident, ELFMAG, SELFMAG);
	f.head.e_ident[EI_CLASS] = class;
	f.head.e_ident[EI_DATA] = byte_order;
	f.head.e_ident[EI_VERSION] = EV_CURRENT;
	f.head.e_type = (Elf64_Half)type;
	f.head.e_machine = (Elf64_Half)machine;
	if (byte_order != OUR_BYTE_ORDER) {
		f.head.e_type = __builtin_bswap16(f.head.e_type);
		f.head.e_machine = __builtin_bswap16(f.head.e_machine);
	}
	f.head.e_version = EV_CURRENT;
	f.head.e_phoff = sizeof(f.head);
	f.head.e_ehsize = sizeof(f.head);
	f.head.e_phentsize = sizeof(f.segment);
	f.head.e_phnum = 1;
	f.segment.p_type = PT_INTERP;
	f.segment.p_offset = sizeof(f.head) + sizeof(f.segment);
	f.segment.p_filesz = strlen(loader) + 1;
	memcpy(f.loader, loader, strlen(loader));
	make(&f, sizeof(f), 0755);
}

Test(exec_error, missing_file)
{
	char why[EXEC_ERROR_MAX];

	REQUIRE_EQ(refusal(), ENOENT);
	exec_error_explain(path, ENOENT, why);
	REQUIRE_STR(why, "");
}

Test(exec_error, directory)
{
	REQUIRE_EQ(mkdir(path, 0755), 0);
	check(EACCES, 126, "it is a directory");
}

Test(exec_error, no_permission)
{
	make("#!/bin/sh\n", 10, 0644);
	check(EACCES, 126, "it has no execute permission");
}

/* errno of faccessat(2), as under a seccomp filter; 0 for the real result. */
static int access_error;

/* Replaces that of the C library. */
int
faccessat(int at, const char *name, int mode, int flags)
{
	if (access_error) {
		errno = access_error;
		return -1;
	}
	return (int)syscall(SYS_faccessat2, at, name, mode, flags);
}

Test(exec_error, permission_that_cannot_be_asked_for)
{
	char why[EXEC_ERROR_MAX];

	make("#!/no/such/shell\n", 17, 0755);
	access_error = EPERM;
	exec_error_explain(path, ENOENT, why);
	access_error = 0;
	REQUIRE_HAS(why, "its interpreter /no/such/shell does not exist");
}

Test(exec_error, mounted_noexec)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		cr_skip_test("mounting needs root");
	REQUIRE_EQ(mount("none", dir, "tmpfs", MS_NOEXEC, NULL), 0);
	make("#!/bin/sh\n", 10, 0755);
	check(EACCES, 126, "its file system is mounted noexec");
	REQUIRE_EQ(umount2(dir, MNT_DETACH), 0);
}

Test(exec_error, scripts)
{
	script("#!/no/such/thing -x\n", ENOENT, 127,
	       "its interpreter /no/such/thing does not exist");
	script("#!/bin/sh\r\necho\r\n", ENOENT, 127, "carriage return");
	script("#! /bin/sh\r\n", ENOENT, 127, "interpreter's name /bin/sh");
	script("#!/etc\n", EACCES, 126, "its interpreter /etc: it is a directory");
	script("#!/etc/passwd\n", EACCES, 126, "its interpreter /etc/passwd: it has no execute");
	script("#!\n", ENOEXEC, 126, "names no interpreter");
	script("echo hello\n", ENOEXEC, 126, "neither an ELF program nor a script");
	script("", ENOEXEC, 126, "it is empty");
}

Test(exec_error, another_architecture)
{
	static const struct {
		unsigned int machine;
		unsigned char byte_order;
		const char *name;
	} others[] = {
		{ EM_X86_64, ELFDATA2LSB, "x86_64" },
		{ EM_AARCH64, ELFDATA2LSB, "aarch64" },
		{ EM_S390, ELFDATA2MSB, "s390x" },
		{ EM_PPC64, ELFDATA2MSB, "ppc64" },
	};
	char want[100], why[EXEC_ERROR_MAX];

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (others[i].machine == OUR_MACHINE)
			continue;
		byte_order = others[i].byte_order;
		elf(ELFCLASS64, others[i].machine, ET_EXEC, "");
		(void)snprintf(want, sizeof(want), "it is a program for %s, and this machine is ",
			       others[i].name);
		exec_error_explain(path, ENOEXEC, why);
		CHECK_HAS(why, want);
	}
	REQUIRE_EQ(exec_error_code(refusal()), 126);
}

Test(exec_error, object_file)
{
	elf(ELFCLASS64, OUR_MACHINE, ET_REL, "");
	check(ENOEXEC, 126, "an ELF file, but not a program");
}

Test(exec_error, missing_loader)
{
	elf(ELFCLASS64, OUR_MACHINE, ET_EXEC, "/lib/ld-of-another-libc.so.1");
	check(ENOENT, 127, "its dynamic loader /lib/ld-of-another-libc.so.1 does not exist");
}

/* A kernel without IA32 rejects it as an unknown format; others may execute it. */
Test(exec_error, thirty_two_bits)
{
	char why[EXEC_ERROR_MAX];

	elf(ELFCLASS32, OUR_MACHINE_32, ET_EXEC, "");
	exec_error_explain(path, ENOEXEC, why);
	REQUIRE_HAS(why, "it is a 32-bit program (");
}

Test(exec_error, message)
{
	char line[EXEC_ERROR_MAX] = "";
	int fds[2];

	REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
	exec_error_write(fds[1], "/data", "it is a directory", EACCES);
	exec_error_write(fds[1], "/gone", "", ENOENT);
	REQUIRE_GT(read(fds[0], line, sizeof(line) - 1), 0);
	REQUIRE_STR(line, "failed to execute /data: it is a directory: Permission denied\n"
			  "failed to execute /gone: No such file or directory\n");
}
