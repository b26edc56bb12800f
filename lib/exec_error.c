/* SPDX-License-Identifier: Apache-2.0 */
/* Called by processes that are about to exit because execve(2) has failed. */
#include "lib/exec_error.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/cleanup.h"

/* The number of bytes that the kernel reads of a file (BINPRM_BUF_SIZE). */
#define HEAD_MAX 256

#define INTERPRETERS_MAX 2

/* Maximum number of program headers that are read. */
#define SEGMENTS_MAX 64

#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

#if defined(__x86_64__)
#define OUR_MACHINE    EM_X86_64
#define OUR_MACHINE_32 EM_386
#elif defined(__aarch64__)
#define OUR_MACHINE    EM_AARCH64
#define OUR_MACHINE_32 EM_ARM
#elif defined(__s390x__)
#define OUR_MACHINE    EM_S390
#define OUR_MACHINE_32 EM_S390
#elif defined(__powerpc64__)
#define OUR_MACHINE    EM_PPC64
#define OUR_MACHINE_32 EM_PPC
#elif defined(__riscv)
#define OUR_MACHINE    EM_RISCV
#define OUR_MACHINE_32 EM_RISCV
#else
#error "the ELF machine of this architecture"
#endif

#define OUR_BYTE_ORDER (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? ELFDATA2MSB : ELFDATA2LSB)

/* The fields that have the same offset in headers of both classes. */
struct elf_head {
	unsigned char ident[EI_NIDENT];
	uint16_t type, machine;
};

static void exec_error_text(const char *path, int errnum, int depth, char out[EXEC_ERROR_MAX]);
static void exec_error_explain_content(int fd, int errnum, int depth, char out[EXEC_ERROR_MAX]);
static void exec_error_explain_elf(int fd, const struct elf_head *head, int errnum,
				   char out[EXEC_ERROR_MAX]);
static const char *exec_error_machine_name(unsigned int machine);
static bool exec_error_elf_interpreter(int fd, bool is_64, char out[PATH_MAX]);
static void exec_error_explain_script(char *line, bool is_cut, int errnum, int depth,
				      char out[EXEC_ERROR_MAX]);

int
exec_error_code(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR ? 127 : 126;
}

void
exec_error_explain(const char *path, int errnum, char out[EXEC_ERROR_MAX])
{
	out[0] = '\0';
	exec_error_text(path, errnum, 0, out);
}

static void
exec_error_text(const char *path, int errnum, int depth, char out[EXEC_ERROR_MAX])
{
	auto_close int fd = -1;
	struct statvfs fs;
	struct stat st;

	if (fstatat(AT_FDCWD, path, &st, 0) < 0)
		return;
	if (!S_ISREG(st.st_mode)) {
		(void)snprintf(out, EXEC_ERROR_MAX, "%s",
			       S_ISDIR(st.st_mode) ? "it is a directory"
						   : "it is not a regular file");
		return;
	}
	if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 && errno == EACCES) {
		bool is_noexec;

		fd = openat(AT_FDCWD, path, O_PATH | O_CLOEXEC);
		is_noexec = fd >= 0 && fstatvfs(fd, &fs) == 0 && fs.f_flag & ST_NOEXEC;

		(void)snprintf(out, EXEC_ERROR_MAX, "%s",
			       is_noexec ? "its file system is mounted noexec"
			       : (st.st_mode & 0111) == 0
				       ? "it has no execute permission"
				       : "the user has no permission to execute it");
		return;
	}
	fd = openat(AT_FDCWD, path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		exec_error_explain_content(fd, errnum, depth, out);
}

static void
exec_error_explain_content(int fd, int errnum, int depth, char out[EXEC_ERROR_MAX])
{
	char bytes[HEAD_MAX + 1];
	ssize_t n = pread(fd, bytes, HEAD_MAX, 0);
	struct elf_head head;

	if (n < 0)
		return;
	bytes[n] = '\0';
	if (n >= (ssize_t)sizeof(head) && memcmp(bytes, ELFMAG, SELFMAG) == 0) {
		memcpy(&head, bytes, sizeof(head));
		if (head.ident[EI_DATA] != OUR_BYTE_ORDER) {
			head.type = __builtin_bswap16(head.type);
			head.machine = __builtin_bswap16(head.machine);
		}
		exec_error_explain_elf(fd, &head, errnum, out);
	} else if (n >= 2 && bytes[0] == '#' && bytes[1] == '!') {
		exec_error_explain_script(bytes, n == HEAD_MAX, errnum, depth, out);
	} else if (errnum == ENOEXEC) {
		(void)snprintf(out, EXEC_ERROR_MAX, "%s",
			       n == 0 ? "it is empty"
				      : "it is neither an ELF program nor a script that begins "
					"with #!");
	}
}

static void
exec_error_explain_elf(int fd, const struct elf_head *head, int errnum, char out[EXEC_ERROR_MAX])
{
	bool is_64 = head->ident[EI_CLASS] == ELFCLASS64;
	const char *name = exec_error_machine_name(head->machine);
	char loader[PATH_MAX];
	struct stat st;

	if (head->machine != OUR_MACHINE && head->machine != OUR_MACHINE_32) {
		(void)snprintf(
			out, EXEC_ERROR_MAX, "it is a program for %s, and this machine is %s",
			name ? name : "another architecture", exec_error_machine_name(OUR_MACHINE));
	} else if (!is_64 && errnum == ENOEXEC) {
		(void)snprintf(out, EXEC_ERROR_MAX,
			       "it is a 32-bit program (%s), which this kernel does not support",
			       head->machine == EM_X86_64 ? "x32" : name);
	} else if (head->type != ET_EXEC && head->type != ET_DYN) {
		(void)snprintf(out, EXEC_ERROR_MAX, "it is an ELF file, but not a program");
	} else if (exec_error_elf_interpreter(fd, is_64, loader) &&
		   fstatat(AT_FDCWD, loader, &st, 0) < 0) {
		(void)snprintf(out, EXEC_ERROR_MAX, "its dynamic loader %.256s does not exist",
			       loader);
	}
}

static const char *
exec_error_machine_name(unsigned int machine)
{
	static const struct {
		unsigned int machine;
		const char *name;
	} names[] = {
		{ EM_X86_64, "x86_64" },   { EM_386, "i386" },
		{ EM_AARCH64, "aarch64" }, { EM_ARM, "arm" },
		{ EM_S390, "s390x" },      { EM_PPC64, "ppc64" },
		{ EM_PPC, "ppc" },         { EM_RISCV, "riscv" },
		{ EM_MIPS, "mips" },       { EM_LOONGARCH, "loongarch" },
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (names[i].machine == machine)
			return names[i].name;
	}
	return NULL;
}

/* Reads the path that the header of segment `s` points to. */
static bool
exec_error_read_interpreter(int fd, uint64_t offset, uint64_t size, char out[PATH_MAX])
{
	ssize_t n;

	if (size < 2 || size > PATH_MAX || offset > INT64_MAX)
		return false;
	n = pread(fd, out, (size_t)size, (off_t)offset);
	if (n != (ssize_t)size)
		return false;
	out[size - 1] = '\0';
	return true;
}

/* Finds the loader of a dynamically linked program (PT_INTERP, elf(5)). */
static bool
exec_error_elf_interpreter(int fd, bool is_64, char out[PATH_MAX])
{
	union {
		Elf64_Ehdr h64;
		Elf32_Ehdr h32;
	} head;
	size_t size = is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	uint64_t offset;
	unsigned int n;

	if (pread(fd, &head, sizeof(head), 0) <
	    (ssize_t)(is_64 ? sizeof(head.h64) : sizeof(head.h32)))
		return false;
	offset = is_64 ? head.h64.e_phoff : head.h32.e_phoff;
	n = is_64 ? head.h64.e_phnum : head.h32.e_phnum;
	for (unsigned int i = 0; i < n && i < SEGMENTS_MAX && offset < INT64_MAX / 2; i++) {
		union {
			Elf64_Phdr p64;
			Elf32_Phdr p32;
		} p;

		if (pread(fd, &p, size, (off_t)(offset + i * size)) != (ssize_t)size)
			return false;
		if (is_64 && p.p64.p_type == PT_INTERP)
			return exec_error_read_interpreter(fd, p.p64.p_offset, p.p64.p_filesz, out);
		if (!is_64 && p.p32.p_type == PT_INTERP)
			return exec_error_read_interpreter(fd, p.p32.p_offset, p.p32.p_filesz, out);
	}
	return false;
}

/* Finds the interpreter of a script: the first word of the first line, up to a space or the end of
 * the line. */
static void
exec_error_explain_script(char *line, bool is_cut, int errnum, int depth, char out[EXEC_ERROR_MAX])
{
	char *name = line + 2 + strspn(line + 2, " \t"), why[EXEC_ERROR_MAX] = "";
	size_t n = strcspn(name, " \t\n");
	struct stat st;

	if (name[n] == '\0' && is_cut) {
		(void)snprintf(out, EXEC_ERROR_MAX, "its first line is too long");
		return;
	}
	name[n] = '\0';
	if (n == 0 || (n == 1 && *name == '\r')) {
		(void)snprintf(out, EXEC_ERROR_MAX, "its first line names no interpreter");
	} else if (name[n - 1] == '\r') {
		name[n - 1] = '\0';
		(void)snprintf(
			out, EXEC_ERROR_MAX,
			"its first line ends with a carriage return (CR LF line ends), which "
			"becomes part of the interpreter's name %.200s",
			name);
	} else if (fstatat(AT_FDCWD, name, &st, 0) < 0) {
		(void)snprintf(out, EXEC_ERROR_MAX, "its interpreter %.256s does not exist", name);
	} else if (depth < INTERPRETERS_MAX) {
		exec_error_text(name, errnum, depth + 1, why);
		if (*why)
			(void)snprintf(out, EXEC_ERROR_MAX, "its interpreter %.200s: %.250s", name,
				       why);
	}
}

void
exec_error_write(int fd, const char *path, const char *reason, int errnum)
{
	char line[2 * EXEC_ERROR_MAX];
	int n = snprintf(line, sizeof(line), "failed to execute %.256s: %s%s%s\n", path, reason,
			 *reason ? ": " : "", strerror(errnum));

	if (n > 0)
		(void)!write(fd, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}
