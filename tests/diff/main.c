/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The randomised differential run: `diff ADDRESS SEED COUNT [FIRST]`. Each spec runs in the VM
 * twice, by the agent at ADDRESS and by crun, on copies of one root, and the outputs of the probe
 * are compared. Differences that explained.txt does not explain are printed, and the exit status is
 * 1. With FIRST and a COUNT of 1 the config.json is printed as well; with "-" as ADDRESS only that.
 * Started by tests/vm/scenario-diff.sh.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/parse.h"
#include "tests/diff/compare.h"
#include "tests/diff/config.h"
#include "tests/diff/generate.h"
#include "tests/diff/link.h"

#define OUTPUT_MAX  (1u << 20)
#define ARENA_BYTES (4u << 20)
#define PLACE       "/diff/run"
#define CONTAINER   "compared"
#define PRINTED_MAX 400
#define KINDS       8
/* share of specs that must run in both: otherwise the generator is broken */
#define MUST_RUN_PERCENT 70

struct run {
	struct harness h;
	struct link link;
	struct table *table;
	/* namespaces of init: "pid:[4026531836]" */
	char guest_ns[KINDS][64];
	uint64_t seed;
	uint32_t number;
	bool verbose;
	unsigned int compared, refused, explained, unexplained;
};

static void
must(int r, const char *what, const struct error *err)
{
	if (r >= 0)
		return;
	printf("# %s: %s\n", what, err->msg);
	exit(125);
}

/* ---- values that differ between two runs of the same spec ---- */

/* Replaces every `from` in text by `to`, which is not longer. */
static void
replace(char *text, const char *from, const char *to)
{
	size_t n = strlen(from), m = strlen(to);
	char *out = text;

	for (const char *p = text; *p;) {
		if (strncmp(p, from, n) == 0) {
			memcpy(out, to, m);
			out += m;
			p += n;
		} else {
			*out++ = *p++;
		}
	}
	*out = '\0';
}

/* Replaces "pid:[4026531836]" by the owner of the namespace. */
static void
name_namespaces(const struct run *r, char *text)
{
	for (size_t i = 0; i < KINDS; i++)
		if (*r->guest_ns[i])
			replace(text, r->guest_ns[i], "guest's");
	for (char *p = text; (p = strstr(p, ":[")) != NULL;) {
		size_t digits = strspn(p + 2, "0123456789");

		if (digits && p[2 + digits] == ']')
			memmove(p, p + 3 + digits, strlen(p + 3 + digits) + 1);
		else
			p += 2;
	}
}

static void
normalise(const struct run *r, char *text, const char *root, const char *cgroup)
{
	replace(text, root, "ROOT");
	replace(text, cgroup, "/CG");
	/* A runtime that mounts cgroup2 in the guest's cgroup namespace changes these for all
	 * mounts (cgroup-v2.rst). */
	replace(text, ",nsdelegate", "");
	replace(text, ",memory_recursiveprot", "");
	name_namespaces(r, text);
}

static void
learn_namespaces(struct run *r)
{
	static const char *const kinds[KINDS] = { "cgroup", "ipc", "mnt",  "net",
						  "pid",    "uts", "user", "time" };
	struct error err = ERROR_INIT;

	for (size_t i = 0; i < KINDS; i++) {
		char path[64];

		(void)snprintf(path, sizeof(path), "/run/guest-proc/1/ns/%s", kinds[i]);
		must(link_run(&r->link, "crun/cli", ARGS("busybox", "readlink", path), &err),
		     "look at init's namespaces", &err);
		r->link.answer[strcspn(r->link.answer, "\n")] = '\0';
		(void)snprintf(r->guest_ns[i], sizeof(r->guest_ns[i]), "%s", r->link.answer);
	}
}

/* ---- one spec ---- */

/* Creates the roots a and b, owned by the root of the user namespace if there is one. */
static void
make_roots(struct run *r, const Grpc__Spec *spec)
{
	static const char *const script =
		"rm -rf " PLACE "; mkdir -p " PLACE "/bundle; cp -a /diff/small " PLACE
		"/a && cp -a /diff/small " PLACE "/b && if [ $0 != 0 ]; then chown -Rh $0:$0 " PLACE
		"/a " PLACE "/b; fi";
	struct error err = ERROR_INIT;
	char owner[16];
	int status;

	(void)snprintf(owner, sizeof(owner), "%u",
		       spec->linux->n_uidmappings ? spec->linux->uidmappings[0]->hostid : 0);
	status = link_run(&r->link, "crun/cli", ARGS("busybox", "sh", "-c", script, owner), &err);
	must(status, "make roots", &err);
	if (status)
		must(error_set(&err, ERROR_INTERNAL, "%s", r->link.answer), "make roots", &err);
}

static void
begin_crun(struct run *r, const Grpc__Spec *spec)
{
	static const struct config_place place = { PLACE "/b", "/crun/compared" };
	auto_free char *json = config_json(spec, &place);
	struct error err = ERROR_INIT;

	if (!json)
		must(error_nomem(&err, "config.json"), "make", &err);
	if (r->verbose)
		printf("# config.json: %s\n", json);
	must(link_write(&r->link, PLACE "/bundle/config.json", json, strlen(json), &err),
	     "write the bundle", &err);
	must(link_send_run(&r->link, "crun/cli",
			   ARGS("crun", "--cgroup-manager=cgroupfs", "run", "-b", PLACE "/bundle",
				CONTAINER),
			   &err),
	     "start crun", &err);
}

/* Returns the last line of a message without parts that are irrelevant to the table. */
static void
set_refusal(char *out, const char *text)
{
	char line[512];
	const char *end = text + strlen(text), *begin;

	while (end > text && end[-1] == '\n')
		end--;
	for (begin = end; begin > text && begin[-1] != '\n';)
		begin--;
	(void)snprintf(line, sizeof(line), "%.*s", (int)(end - begin), begin);
	for (char *p = line; *p; p++)
		if (*p == '\t')
			*p = ' ';
	(void)snprintf(out, OUTPUT_MAX, "outcome\trefused: %s\n", line);
}

/* Writes the probe's output and the outcome to out. */
static void
run_agent(struct run *r, Grpc__Spec *spec, char *out)
{
	Grpc__CreateContainerRequest q = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	struct error err = ERROR_INIT, ignored = ERROR_INIT;
	ssize_t n = -1;
	int code = -1;

	q.container_id = q.exec_id = (char *)(uintptr_t)CONTAINER;
	q.oci = spec;
	spec->root->path = (char *)(uintptr_t)PLACE "/a";
	spec->linux->cgroupspath = (char *)(uintptr_t) "/compared";
	if (call(&r->h, "CreateContainer", &q, NULL, &err) == 0) {
		if (start(&r->h, CONTAINER, &err) == 0 &&
		    (n = read_all(&r->h, false, CONTAINER, CONTAINER, out, OUTPUT_MAX - 64,
				  &err)) >= 0)
			code = wait_process(&r->h, CONTAINER, CONTAINER, &err);
		must(remove_container(&r->h, CONTAINER, code < 0 ? &ignored : &err),
		     "remove a container", code < 0 ? &ignored : &err);
	}
	if (code < 0)
		set_refusal(out, err.msg);
	else
		(void)snprintf(out + n, 64, "outcome\tran, code %d\n", code);
}

static void
end_crun(struct run *r, char *out)
{
	struct error err = ERROR_INIT;
	int code = link_take(&r->link, &err);

	must(code, "run crun", &err);
	if (strstr(r->link.answer, "\nend\treached\n") || code == 0 || code > 2)
		(void)snprintf(out, OUTPUT_MAX, "%soutcome\tran, code %d\n", r->link.answer, code);
	else
		set_refusal(out, r->link.answer);
}

static bool
is_refused(const char *out)
{
	return strncmp(out, "outcome\trefused", 15) == 0;
}

static void
on_difference(void *data, const struct difference *d)
{
	struct run *r = data;

	if (r->unexplained++ < PRINTED_MAX)
		printf("# spec %u: %s\n#   agent: %.600s\n#   crun:  %.600s\n", r->number, d->key,
		       d->agent, d->crun);
}

static bool
lists_namespace(const Grpc__Linux *l, const char *type)
{
	for (size_t i = 0; i < l->n_namespaces; i++)
		if (strcmp(l->namespaces[i]->type, type) == 0)
			return true;
	return false;
}

/* Sets the conditions that rows of explained.txt may use. */
static void
set_conditions(struct run *r, const Grpc__Spec *spec, char *out, size_t size)
{
	const Grpc__Linux *l = spec->linux;
	static const char *const kinds[] = { "pid", "ipc", "uts", "network", "cgroup", "user" };
	size_t len = (size_t)snprintf(out, size, " ");

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		len += (size_t)snprintf(out + len, size - len, "%s%s ",
					lists_namespace(l, kinds[i]) ? "" : "no-", kinds[i]);
	for (size_t i = 0; l->seccomp && i < l->seccomp->n_syscalls; i++)
		if (l->seccomp->syscalls[i]->errno_ret_case && !l->seccomp->syscalls[i]->errnoret) {
			len += (size_t)snprintf(out + len, size - len, "errno-0 ");
			break;
		}
	for (size_t i = 0; i < spec->n_mounts; i++)
		for (size_t k = 0; k < spec->mounts[i]->n_options; k++)
			if (strcmp(spec->mounts[i]->options[k], "tmpcopyup") == 0)
				len += (size_t)snprintf(out + len, size - len, "tmpcopyup ");
	for (size_t i = 0; i < l->n_readonlypaths; i++)
		len += (size_t)snprintf(out + len, size - len, "ro:%s ", l->readonlypaths[i]);
	if (!l->resources || !l->resources->n_devices)
		len += (size_t)snprintf(out + len, size - len, "no-device-rules ");
	(void)snprintf(out + len, size - len, "propagation-%s ",
		       *l->rootfspropagation ? l->rootfspropagation : "none");
	table_set_conditions(r->table, out);
}

static void
one_spec(struct run *r)
{
	char conditions[1024];
	static char agent[OUTPUT_MAX], crun[OUTPUT_MAX];
	struct arena a;
	Grpc__Spec *spec;

	arena_init(&a, ARENA_BYTES);
	spec = generate(&a, r->seed, r->number);
	set_conditions(r, spec, conditions, sizeof(conditions));
	make_roots(r, spec);
	/* Both run at the same time on two processors. */
	begin_crun(r, spec);
	run_agent(r, spec, agent);
	end_crun(r, crun);
	arena_release(&a);
	normalise(r, agent, PLACE "/a", "/pods/compared");
	normalise(r, crun, PLACE "/b", "/crun/compared");
	if (is_refused(agent) && is_refused(crun)) {
		if (r->verbose)
			printf("# both refuse: %s# and: %s", agent, crun);
		r->refused++;
		return;
	}
	if (is_refused(agent) || is_refused(crun)) {
		char *a_end = strrchr(agent, '\n'), *c_end = strrchr(crun, '\n');

		*a_end = *c_end = '\0';
		{
			const char *a_line = strrchr(agent, '\t') + 1,
				   *c_line = strrchr(crun, '\t') + 1;
			struct difference d = { "outcome", a_line, c_line };

			if (table_explains(r->table, &d))
				r->explained++;
			else
				on_difference(r, &d);
		}
		return;
	}
	r->compared++;
	r->explained += compare(r->table, agent, crun, on_difference, r);
}

static int
show(uint64_t seed, uint32_t number)
{
	static const struct config_place place = { PLACE "/b", "/crun/compared" };
	auto_free char *json = NULL;
	struct arena a;

	arena_init(&a, ARENA_BYTES);
	json = config_json(generate(&a, seed, number), &place);
	arena_release(&a);
	if (!json)
		return 125;
	printf("%s\n", json);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct run r;
	struct error err = ERROR_INIT;
	uint32_t count, first = 0;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 4 || argc > 5 || !parse_u64(argv[2], &r.seed) || !parse_u32(argv[3], &count) ||
	    !count || (argc == 5 && !parse_u32(argv[4], &first))) {
		(void)fprintf(stderr, "usage: diff ADDRESS SEED COUNT [FIRST]\n");
		return 2;
	}
	r.verbose = argc == 5 && count == 1;
	if (strcmp(argv[1], "-") == 0)
		return show(r.seed, first);
	r.table = table_read("tests/diff/explained.txt");
	if (!r.table)
		return 125;
	must(link_open(&r.link, &r.h, argv[1], &err), "connect", &err);
	learn_namespaces(&r);
	for (r.number = first; r.number < first + count; r.number++)
		one_spec(&r);
	link_close(&r.link);
	printf("# seed %" PRIu64 ": %u specs, %u ran in both, %u refused by both, "
	       "%u differences explained by %u rows, %u not explained\n",
	       r.seed, count, r.compared, r.refused, r.explained, table_n_used(r.table),
	       r.unexplained);
	if (count >= 500)
		(void)table_print_unused(r.table);
	table_free(r.table);
	if (r.compared * 100 < count * MUST_RUN_PERCENT) {
		printf("# too few specs ran in both\n");
		return 1;
	}
	return r.unexplained > 0;
}
