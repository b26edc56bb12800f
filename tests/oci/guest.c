/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest outside the case's containers. In a VM, commands run in a shell in the VM's main
 * container, which has all capabilities and the guest's /proc at /hostproc; natively, in a shell on
 * this machine. See oci.h.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/io.h"
#include "lib/loop.h"
#include "tests/oci/oci.h"

/* container id used by tatamictl */
#define MAIN "main"
#define MARK "=oci-end="

static const char find_agent[] =
	"for d in $P/[0-9]*; do grep -qs '^kata-agent' $d/cmdline && A=${d##*/} && break; done; "
	"echo \"$A\"\n";

/* Returns the exec id of the shell in the VM's main container, which is unique per run: an
 * earlier run may have left one. */
static const char *
peek_id(void)
{
	static char id[32];

	(void)snprintf(id, sizeof(id), "oci-peek-%d", (int)getpid());
	return id;
}

void
oci_guest_close(struct oci *t)
{
	(void)kill_process(&t->h, MAIN, peek_id(), 9, &t->err);
}

/* Reads up to the line with the mark. Returns the text before it in `out` and its number in
 * *status. */
static int
read_answer(struct oci *t, char *out, size_t size, int *status)
{
	static char buf[1 << 18];
	size_t n = 0;
	char *mark;

	for (;;) {
		ssize_t r = read_stream(&t->h, false, MAIN, peek_id(), buf + n, sizeof(buf) - 1 - n,
					&t->err);

		if (r <= 0 || n + (size_t)r >= sizeof(buf) - 1)
			return r < 0 ? -1
				     : error_set(&t->err, ERROR_INTERNAL, "the guest's shell: %s",
						 r ? "too much output" : "it ended");
		n += (size_t)r;
		buf[n] = '\0';
		mark = strstr(buf, MARK);
		if (mark && strchr(mark, '\n'))
			break;
	}
	*status = atoi(mark + strlen(MARK));
	*mark = '\0';
	(void)snprintf(out, size, "%s", buf);
	return 0;
}

static int
ask_vm(struct oci *t, const char *script, char *out, size_t size)
{
	char *text = NULL;
	int status = -1, r;

	if (asprintf(&text, "( %s\n) </dev/null 2>&1; echo " MARK "$?\n", script) < 0)
		return error_nomem(&t->err, "asking the guest");
	r = write_stdin(&t->h, MAIN, peek_id(), text, strlen(text), &t->err);
	free(text);
	if (r < 0 || read_answer(t, out, size, &status) < 0)
		return -1;
	return status == 0 ? 0
			   : error_set(&t->err, ERROR_INTERNAL,
				       "a script in the guest ended with %d: %.400s", status, out);
}

static int
ask_here(struct oci *t, const char *script, char *out, size_t size)
{
	char *text = NULL;
	FILE *f;
	size_t n = 0;
	int status;

	if (asprintf(&text, "P=/proc R= A=%d; ( %s\n) </dev/null 2>&1", (int)t->h.agent, script) <
	    0)
		return error_nomem(&t->err, "asking the guest");
	(void)fflush(stdout);
	/* banned in the product, but a shell is wanted here */
	f = popen(text, "re");
	free(text);
	while (f && n < size - 1 && !feof(f) && !ferror(f))
		n += fread(out + n, 1, size - 1 - n, f);
	out[n] = '\0';
	status = f ? pclose(f) : -1;
	return status == 0 ? 0
			   : error_set(&t->err, ERROR_INTERNAL,
				       "a script on this machine ended with %#x: %.400s",
				       (unsigned int)status, out);
}

int
oci_guest(struct oci *t, char *out, size_t size, const char *fmt, ...)
{
	char *script = NULL;
	va_list args;
	int r;

	va_start(args, fmt);
	r = vasprintf(&script, fmt, args);
	va_end(args);
	if (r < 0)
		return error_nomem(&t->err, "asking the guest");
	r = t->is_vm ? ask_vm(t, script, out, size) : ask_here(t, script, out, size);
	free(script);
	return r;
}

int
oci_guest_open(struct oci *t)
{
	static const char begin[] = "P=/hostproc; R=$P/1/root; ";
	char answer[256], *text = NULL;
	Grpc__Process *p;
	int status, r;

	if (!t->is_vm)
		return 0;
	p = oci_process(t, ARGS("/bin/sh"));
	p->capabilities = oci_zalloc(t, 1, sizeof(*p->capabilities));
	grpc__linux_capabilities__init(p->capabilities);
	oci_caps(t, p,
		 "CAP_SYS_PTRACE,CAP_DAC_OVERRIDE,CAP_DAC_READ_SEARCH,"
		 "CAP_SYS_ADMIN,CAP_KILL,CAP_SYSLOG");
	if (oci_exec(t, MAIN, peek_id(), p) < 0)
		return -1;
	if (asprintf(&text, "%s%secho " MARK "0\n", begin, find_agent) < 0)
		return error_nomem(&t->err, "asking the guest");
	r = write_stdin(&t->h, MAIN, peek_id(), text, strlen(text), &t->err);
	free(text);
	if (r < 0 || read_answer(t, answer, sizeof(answer), &status) < 0)
		return -1;
	t->h.agent = atoi(answer);
	return t->h.agent > 1 ? 0
			      : error_set(&t->err, ERROR_NOT_FOUND,
					  "the agent's process was not found: \"%s\"", answer);
}

/* The agent's cgroup contains the agent, init and the workers, but no kernel threads. */
void
oci_count(struct oci *t, struct oci_counts *out)
{
	char answer[512];

	memset(out, 0, sizeof(*out));
	if (!t->is_vm) {
		struct counts c;

		harness_count(&t->h, &c);
		*out = (struct oci_counts){ c.fds, c.mounts, c.cgroups, c.processes + c.zombies,
					    c.run_entries };
		return;
	}
	if (oci_guest(t, answer, sizeof(answer),
		      "set -- $P/$A/fd/*; echo $#\n"
		      "n=0; while read -r x; do n=$((n + 1)); done <$P/$A/mountinfo; echo $n\n"
		      "find $R/sys/fs/cgroup/pods -type d | wc -l\n"
		      "n=0; for f in $R/sys/fs/cgroup/agent/cgroup.procs "
		      "$R/sys/fs/cgroup/pods/*/cgroup.procs; do case $f in */" MAIN
		      "/*) continue ;; esac; while read -r x; do n=$((n + 1)); done <$f; done; "
		      "echo $n\n"
		      "find $R/run/kata-containers $R/run/kata-containers/sandbox -maxdepth 1 "
		      "| wc -l") < 0 ||
	    sscanf(answer, "%u %u %u %u %u", &out->fds, &out->mounts, &out->cgroups,
		   &out->processes, &out->run_entries) != 5)
		CHECK(false, "counting in the guest: %s: %s", t->err.msg, answer);
}
