/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replays a transcript of a client's calls to an agent: replay [OPTION...] ADDRESS FILE
 * [NAME=VALUE...]. Calls are made in the order of the file, which is that of the recording: a
 * request that followed a reply in the recording follows it here as well. Each line begins with
 * one of
 *   open N, close N     opens or closes a connection; 1 is opened implicitly
 *   call [MANNER...] METHOD JSON
 *                       waits for the reply; the call must succeed unless `fails` follows
 *   reply JSON          the last call's reply has these members; "~text" matches a string that
 *                       contains text, ">" a number over 0, "*" anything
 *   fails CODE text     the last call failed with this code and a message that contains text
 *   start NAME [MANNER...] METHOD JSON
 *                       begins a call without waiting
 *   pending NAME        the call has no reply yet
 *   answer NAME JSON    waits for the reply and compares like `reply`
 *   refused NAME CODE text
 *                       waits for the failure and compares like `fails`
 *   read NAME [MANNER...] METHOD JSON
 *                       begins to repeat a read until the stream ends
 *   saw NAME JSON-STRING
 *                       waits until the data read contains the text
 *   last NAME           stops repeating the read after its current reply
 *   end NAME [N]        waits for the stream's end, or for the reply to the last read; N bytes
 *                       were read
 *   data NAME JSON-STRING
 *                       waits for the end and compares all data read
 *   host NAME           runs the program of --host with this argument
 *   skip REASON         omits the next call and the lines about its reply
 * MANNER is @N (the connection), 60s (the timeout to send), KEY=VALUE (metadata), +N (the frame's
 * body has N bytes). In JSON, {"bytes": N, "first64": BASE64} stands for N bytes, which begin with
 * that text and repeat it. Lines that begin with a tab continue the previous one; # begins a
 * comment; ${NAME} is replaced. Options:
 *   --share DIR         turns storages of a host's share (virtio-fs, 9p) into bind mounts of DIR,
 *                       for an agent outside of a VM
 *   --tag TAG           the tag of the virtio-fs share
 *   --host PROGRAM      performs the actions of the recorded host
 * Exits with 1 and the line's number at the first difference, or if no call was made.
 */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/buf.h"
#include "tests/transcript/replay.h"

#define TEXT_MAX (16u << 20)
/* Time without a reply in which a process has got to its next sleep. */
#define QUIET_MS 500

void
die(const struct replay *r, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%u: ", r->file, r->line);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* Sends a request unless it is to be skipped. */
static void
begin(struct replay *r, struct pending *p)
{
	if (!r->skip[0]) {
		r->calls++;
		wire_send(r, p);
		return;
	}
	printf("%s:%u: %s is skipped: %s\n", r->file, r->line, p->method->name, r->skip);
	p->is_skipped = p->is_answered = true;
	r->skipped++;
	r->skip[0] = '\0';
}

static void
forget(struct pending *p)
{
	if (p->reply)
		protobuf_c_message_free_unpacked(p->reply, NULL);
	if (p->request)
		protobuf_c_message_free_unpacked(p->request, NULL);
	free(p->data);
	*p = (struct pending){ 0 };
}

static struct pending *
named(struct replay *r, const char *name, bool make)
{
	struct pending *unused = NULL;

	for (size_t i = 0; i < PENDING_MAX; i++) {
		if (r->pending[i].is_used && strcmp(r->pending[i].name, name) == 0)
			return make ? NULL : &r->pending[i];
		if (!r->pending[i].is_used && !unused)
			unused = &r->pending[i];
	}
	if (!make || !unused)
		return NULL;
	unused->is_used = true;
	(void)snprintf(unused->name, sizeof(unused->name), "%s", name);
	return unused;
}

static struct pending *
find_named(struct replay *r, char **rest, bool make)
{
	const char *name = request_word(r, rest);
	struct pending *p = named(r, name, make);

	if (!p)
		die(r, make ? "%s is in progress already" : "there is no %s", name);
	return p;
}

/* ---- lines ---- */

static void
end_call(const struct replay *r)
{
	if (r->last_unchecked)
		die(r, "before this: %s failed: %s: %s", r->last.method->name,
		    error_code_name(r->last.failure.code), r->last.failure.msg);
}

static void
do_call(struct replay *r, char *rest)
{
	bool is_term = strstr(rest, "SignalProcess ") && strstr(rest, "\"signal\":15}");

	forget(&r->last);
	/* The process had long been asleep when the call was recorded. A wake-up in the moment of
	 * the signal, such as by the end of a child, is taken for that of the signal
	 * (agent/sandbox/terminate.c). */
	while (is_term && wire_poll(r, QUIET_MS))
		continue;
	request_make(r, rest, &r->last);
	begin(r, &r->last);
	wire_wait(r, &r->last);
	r->last_unchecked = !r->last.reply && !r->last.is_skipped;
}

static void
do_start(struct replay *r, char *rest, bool is_read)
{
	struct pending *p = find_named(r, &rest, true);

	request_make(r, rest, p);
	p->is_read = is_read;
	begin(r, p);
}

static void
do_pending(struct replay *r, char *rest)
{
	struct pending *p = find_named(r, &rest, false);

	while (wire_poll(r, 0))
		continue;
	if (p->is_answered && !p->is_skipped)
		die(r, "%s is answered: %s", p->method->name,
		    p->reply ? "it succeeded" : p->failure.msg);
}

static void
do_saw(struct replay *r, char *rest)
{
	struct pending *p = find_named(r, &rest, false);
	json_t *want = compare_parse(r, rest);
	json_t *part = json_sprintf("~%s", json_string_value(want));

	while (!p->is_skipped && !compare_data(p, part)) {
		if (p->is_answered || !wire_poll(r, ANSWER_MS))
			die(r, "%s read: %s\nwanted in it: %s", p->method->name,
			    p->data ? p->data : "(nothing)", json_string_value(want));
	}
	json_decref(want);
	json_decref(part);
}

/* end NAME [N], data NAME JSON-STRING */
static void
do_end(struct replay *r, char *rest, bool is_data)
{
	struct pending *p = find_named(r, &rest, false);
	json_t *want;

	wire_wait(r, p);
	if (!p->is_skipped && !p->reply)
		die(r, "%s failed: %s: %s", p->method->name, error_code_name(p->failure.code),
		    p->failure.msg);
	if (is_data && !p->is_skipped) {
		want = compare_parse(r, rest);
		if (!compare_data(p, want))
			die(r, "%s read: %s\nwanted: %s", p->method->name,
			    p->data ? p->data : "(nothing)", rest);
		json_decref(want);
	} else if (*rest && !p->is_skipped && p->len != request_number(r, rest)) {
		die(r, "%s read %zu bytes, not %s: %.200s", p->method->name, p->len, rest,
		    p->data ? p->data : "");
	}
	forget(p);
}

static void
do_answer(struct replay *r, char *rest, bool is_failure)
{
	struct pending *p = find_named(r, &rest, false);

	wire_wait(r, p);
	if (is_failure)
		compare_failure(r, p, rest);
	else
		compare_reply(r, p, rest);
	forget(p);
}

static void
do_fails(struct replay *r, char *rest)
{
	compare_failure(r, &r->last, rest);
	r->last_unchecked = false;
}

static void
do_host(const struct replay *r, const char *rest)
{
	int status = -1;
	pid_t pid;

	if (!r->host)
		die(r, "no --host for \"%s\"", rest);
	pid = fork();
	if (pid == 0) {
		(void)execl(r->host, r->host, rest, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		die(r, "%s %s: status %#x", r->host, rest, (unsigned int)status);
}

static void
do_line(struct replay *r, char *rest)
{
	const char *what = request_word(r, &rest);

	if (strcmp(what, "reply") == 0) {
		compare_reply(r, &r->last, rest);
		return;
	}
	if (strcmp(what, "fails") == 0) {
		do_fails(r, rest);
		return;
	}
	end_call(r);
	if (strcmp(what, "open") == 0)
		wire_open(r, request_number(r, rest));
	else if (strcmp(what, "close") == 0)
		wire_close(r, request_number(r, rest));
	else if (strcmp(what, "call") == 0)
		do_call(r, rest);
	else if (strcmp(what, "start") == 0 || strcmp(what, "read") == 0)
		do_start(r, rest, what[0] == 'r');
	else if (strcmp(what, "pending") == 0)
		do_pending(r, rest);
	else if (strcmp(what, "saw") == 0)
		do_saw(r, rest);
	else if (strcmp(what, "last") == 0)
		find_named(r, &rest, false)->is_last = true;
	else if (strcmp(what, "end") == 0 || strcmp(what, "data") == 0)
		do_end(r, rest, what[0] == 'd');
	else if (strcmp(what, "answer") == 0 || strcmp(what, "refused") == 0)
		do_answer(r, rest, what[0] == 'r');
	else if (strcmp(what, "host") == 0)
		do_host(r, rest);
	else if (strcmp(what, "skip") == 0)
		(void)snprintf(r->skip, sizeof(r->skip), "%s", rest);
	else
		die(r, "unknown line \"%s\"", what);
}

/* Appends text with ${NAME} replaced. */
static void
append(const struct replay *r, struct buf *out, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "$");
		const char *value = NULL;
		size_t len;

		if (text[n] != '$' || text[n + 1] != '{') {
			n += text[n] == '$';
			if (buf_append(out, text, n) < 0)
				die(r, "out of memory");
			text += n;
			continue;
		}
		if (buf_append(out, text, n) < 0)
			die(r, "out of memory");
		text += n + 2;
		len = strcspn(text, "}");
		for (char *const *v = r->vars; *v && !value; v++)
			if (strncmp(*v, text, len) == 0 && (*v)[len] == '=')
				value = *v + len + 1;
		if (!value)
			die(r, "no value for ${%.*s}", (int)len, text);
		if (buf_append(out, value, strlen(value)) < 0)
			die(r, "out of memory");
		text += len + (text[len] == '}');
	}
}

static void
run(struct replay *r, FILE *f)
{
	struct buf text;
	char *line = NULL;
	size_t size = 0;
	unsigned int n = 0;
	ssize_t len;

	buf_init(&text, TEXT_MAX);
	do {
		len = getline(&line, &size, f);
		n++;
		if (len > 0 && line[len - 1] == '\n')
			line[--len] = '\0';
		if (len > 0 && line[0] == '\t') {
			append(r, &text, line);
			continue;
		}
		if (text.len > 0) {
			if (buf_append(&text, "", 1) < 0)
				die(r, "out of memory");
			do_line(r, (char *)text.data + text.off);
			buf_release(&text);
			buf_init(&text, TEXT_MAX);
		}
		r->line = n;
		if (len > 0 && line[0] != '#')
			append(r, &text, line);
	} while (len >= 0);
	end_call(r);
	free(line);
	buf_release(&text);
}

static int
usage(void)
{
	fprintf(stderr, "usage: replay [--share DIR] [--tag TAG] [--host PROGRAM] ADDRESS FILE "
			"[NAME=VALUE...]\n");
	return 2;
}

/* Parses the options. Returns false if they are invalid. */
static bool
read_options(struct replay *r, int argc, char **argv)
{
	static const struct option options[] = {
		{ "share", required_argument, NULL, 's' },
		{ "tag", required_argument, NULL, 't' },
		{ "host", required_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 's')
			r->share = optarg;
		else if (c == 't')
			r->tag = optarg;
		else if (c == 'h')
			r->host = optarg;
		else
			return false;
	}
	return argc - optind >= 2;
}

int
main(int argc, char **argv)
{
	static struct replay r;
	FILE *f;

	if (!read_options(&r, argc, argv))
		return usage();
	r.address = argv[optind];
	r.file = argv[optind + 1];
	r.vars = argv + optind + 2;
	f = fopen(r.file, "re");
	if (!f) {
		perror(r.file);
		return 2;
	}
	run(&r, f);
	(void)fclose(f);
	if (r.calls == 0)
		die(&r, "no call was made");
	printf("%s: %u calls, %u skipped\n", r.file, r.calls, r.skipped);
	for (size_t i = 0; i < PENDING_MAX; i++)
		forget(&r.pending[i]);
	forget(&r.last);
	for (unsigned int i = 0; i < CONN_MAX; i++)
		if (r.conns[i].number)
			wire_close(&r, r.conns[i].number);
	return 0;
}
