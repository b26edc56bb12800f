/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <elf.h>
#include <endian.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/io.h"
#include "lib/path.h"
#include "tests/support/check.h"

/* Static, since each test has its own process. */
static char *scratch[4];
static void *kept[256];

static void *
keep(void *p)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		if (!kept[i]) {
			kept[i] = p;
			return p;
		}
	}
	REQUIRE(false, "a test keeps too much");
	return NULL;
}

const char *
scratch_dir(const char *parent)
{
	const char *tmp = getenv("TMPDIR");
	char *path = NULL;

	REQUIRE_GT(asprintf(&path, "%s/rootfs-test.XXXXXX",
			    parent ? parent
			    : tmp  ? tmp
				   : "/tmp"),
		   0);
	REQUIRE(mkdtemp(path), "make a directory in %s", path);
	for (size_t i = 0; i < ARRAY_LEN(scratch); i++) {
		if (!scratch[i]) {
			scratch[i] = path;
			return path;
		}
	}
	REQUIRE(false, "a test makes too many directories");
	return NULL;
}

void
scratch_fini(void)
{
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(scratch); i++) {
		auto_close int parent = -1;
		char *slash;

		if (!scratch[i])
			continue;
		slash = strrchr(scratch[i], '/');
		*slash = '\0';
		parent = open(scratch[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		CHECK(parent >= 0 && path_remove_tree(parent, slash + 1, &err) == 0, "%s", err.msg);
		free(steal_ptr(&scratch[i]));
	}
	for (size_t i = 0; i < ARRAY_LEN(kept); i++)
		free(steal_ptr(&kept[i]));
}

char *
path_in(const char *dir, const char *name)
{
	char *path = NULL;

	REQUIRE_GT(asprintf(&path, "%s/%s", dir, name), 0);
	return keep(path);
}

static void
make_parents(const char *path)
{
	auto_free char *copy = strdup(path);

	for (char *slash = copy + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(copy, 0755);
		*slash = '/';
	}
}

void
put_file(const char *path, const void *bytes, size_t n, mode_t mode)
{
	auto_close int fd = -1;

	make_parents(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE_GE(fd, 0, "create %s", path);
	REQUIRE_EQ(write_full(fd, bytes, n), 0, "write %s", path);
	REQUIRE_EQ(fchmod(fd, mode), 0);
}

void
put_text(const char *path, const char *text)
{
	put_file(path, text, strlen(text), 0644);
}

uint8_t *
get_file(const char *path, size_t *n)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint8_t *bytes;

	REQUIRE(fd >= 0 && fstat(fd, &st) == 0, "open %s", path);
	bytes = keep(malloc((size_t)st.st_size + 1));
	REQUIRE_EQ(read_full(fd, bytes, (size_t)st.st_size), st.st_size, "read %s", path);
	bytes[st.st_size] = 0;
	*n = (size_t)st.st_size;
	return bytes;
}

void
put_elf(const char *path, uint16_t machine, const char *interp)
{
	struct {
		Elf64_Ehdr head;
		Elf64_Phdr load, interp;
		char name[64];
	} file = {
		.head = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB },
			.e_type = ET_EXEC,
			.e_machine = machine,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = interp ? 2 : 1,
		},
		.load = { .p_type = PT_LOAD },
		.interp = { .p_type = PT_INTERP },
	};

	if (interp) {
		REQUIRE_LT(strlen(interp), sizeof(file.name));
		memcpy(file.name, interp, strlen(interp));
		file.interp.p_offset = (Elf64_Off)((char *)file.name - (char *)&file);
		file.interp.p_filesz = strlen(interp) + 1;
	}
	/* The fields above, in the byte order of s390x. */
	if (machine == EM_S390) {
		file.head.e_ident[EI_DATA] = ELFDATA2MSB;
		file.head.e_type = htobe16(file.head.e_type);
		file.head.e_machine = htobe16(file.head.e_machine);
		file.head.e_phoff = htobe64(file.head.e_phoff);
		file.head.e_phentsize = htobe16(file.head.e_phentsize);
		file.head.e_phnum = htobe16(file.head.e_phnum);
		file.load.p_type = htobe32(file.load.p_type);
		file.interp.p_type = htobe32(file.interp.p_type);
		file.interp.p_offset = htobe64(file.interp.p_offset);
		file.interp.p_filesz = htobe64(file.interp.p_filesz);
	}
	put_file(path, &file, sizeof(file), 0755);
}

static char *
read_all(int fd)
{
	size_t n = 0, size = 64 << 10;
	char *text = malloc(size);
	ssize_t got;

	REQUIRE(text);
	while ((got = read_full(fd, text + n, size - n - 1)) > 0) {
		n += (size_t)got;
		if (n == size - 1) {
			text = realloc(text, size *= 2);
			REQUIRE(text);
		}
	}
	text[n] = '\0';
	return keep(text);
}

int
run_program(const char *dir, const char *input, char *const argv[], char **out)
{
	int ends[2], status;
	char *text;
	pid_t pid;

	REQUIRE_EQ(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	REQUIRE_GE(pid, 0);
	if (pid == 0) {
		int in = open(input ? input : "/dev/null", O_RDONLY | O_CLOEXEC);

		if (in < 0 || chdir(dir) < 0 || dup2(in, 0) < 0 || dup2(ends[1], 1) < 0 ||
		    dup2(ends[1], 2) < 0)
			_exit(126);
		execvp(argv[0], argv);
		_exit(127);
	}
	close_fd(&ends[1]);
	text = read_all(ends[0]);
	close_fd(&ends[0]);
	REQUIRE_EQ(waitpid(pid, &status, 0), pid);
	if (out)
		*out = text;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
