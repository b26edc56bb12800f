/* SPDX-License-Identifier: Apache-2.0 */
/* Containers that exhaust resources: each is stopped and removed while the agent keeps answering.
 * See oci.h. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/deadline.h"
#include "tests/oci/checker.h"
#include "tests/oci/oci.h"
#include "tests/support/elapsed.h"

/* duration of a bomb */
#define BURN_MS 3000
#define SOAK_MS 20000
/* limit of the agent's growth in KiB */
#define GREW_KIB 2048

static unsigned int
agent_rss(struct oci *t)
{
	char out[128];

	if (oci_guest(t, out, sizeof(out), "grep RssAnon $P/$A/status | tr -dc 0-9") < 0) {
		CHECK(false, "the agent's memory: %s", t->err.msg);
		return 0;
	}
	return (unsigned int)atoi(out);
}

/* Lets the bomb run while Check is measured. */
static void
burn(const struct oci *t)
{
	unsigned int ms = t->h.soak ? SOAK_MS : BURN_MS;

	(void)nanosleep(
		&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 },
		NULL);
}

/* Starts a bomb that prints "armed", lets it run, stops and removes it in the manner of a
 * runtime. How long the calls take is measured by tests/bench/run, not judged here. */
static void
detonate(struct oci *t, Grpc__Spec *spec, const char *what)
{
	unsigned int before = agent_rss(t), after;
	struct checker checker;
	uint64_t start_ns;

	checker_start(&checker, t);
	CHECK_OK(oci_launch(t, "bomb", spec), &t->err);
	CHECK_OK(oci_read_line(t, "bomb", "", "armed"), &t->err);
	burn(t);
	checker_await(&checker);
	start_ns = monotonic_ns();
	CHECK_OK(oci_kill(t, "bomb", "", SIGTERM), &t->err, "SIGTERM");
	CHECK_OK(oci_kill(t, "bomb", "", SIGKILL), &t->err, "SIGKILL");
	CHECK_GE(oci_wait(t, "bomb", ""), 128, "wait: %s", t->err.msg);
	CHECK_OK(oci_remove(t, "bomb"), &t->err, "remove");
	printf("# %s: stopped and removed in %u ms\n", what, (unsigned int)elapsed_ms(start_ns));
	checker_stop(&checker, what);
	after = agent_rss(t);
	printf("# %s: the agent had %u KiB before, %u after\n", what, before, after);
	CHECK_EQ(checker.failures, 0, "calls of Check failed");
	/* The sanitizers keep freed memory. */
	CHECK(!t->is_vm || after <= before + GREW_KIB, "the agent grew from %u to %u KiB", before,
	      after);
}

#define FORK_BOMB "echo armed; oci-probe forks & read x; exit 9"

static void
fork_bomb(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, FORK_BOMB);

	if (oci_needs_vm(t))
		return;
	oci_pids(t, spec, 400);
	detonate(t, spec, "a fork bomb of 400 processes");
}

/* A fork bomb without limits other than the guest's memory. */
static void
fork_bomb_without_limit(struct oci *t)
{
	if (oci_needs_vm(t))
		return;
	detonate(t, oci_sh(t, FORK_BOMB), "a fork bomb");
}

/* The bomb takes everything except what the agent needs to remove another container. */
static void
remove_beside_a_bomb(struct oci *t)
{
	if (oci_needs_vm(t))
		return;
	if (!CHECK_OK(oci_launch(t, "other", oci_sh(t, "echo up; read x")), &t->err))
		return;
	CHECK_OK(oci_read_line(t, "other", "", "up"), &t->err);
	if (!CHECK_OK(oci_launch(t, "bomb", oci_sh(t, FORK_BOMB)), &t->err))
		return;
	CHECK_OK(oci_read_line(t, "bomb", "", "armed"), &t->err);
	burn(t);
	CHECK_OK(oci_remove(t, "other"), &t->err, "remove the other");
	CHECK_OK(oci_remove(t, "bomb"), &t->err, "remove the bomb");
}

#define MEMORY_HOG "echo armed; while :; do oci-probe hog; done"

static void
memory_hog(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(t, MEMORY_HOG);

	if (oci_needs_vm(t))
		return;
	oci_memory(t, spec)->limit = 64 << 20;
	detonate(t, spec, "a memory hog of 64 MiB");
}

/* The guest runs out of memory: the hog is killed, not the agent or another container. */
static void
memory_hog_without_limit(struct oci *t)
{
	Grpc__Spec *hog = oci_sh(t, MEMORY_HOG);
	char out[64];

	if (oci_needs_vm(t))
		return;
	if (!CHECK_OK(oci_launch(t, "other", oci_sh(t, "read x; echo alive")), &t->err))
		return;
	hog->process->oomscoreadj = 500;
	detonate(t, hog, "a memory hog");
	CHECK_OK(close_stdin(&t->h, "other", "", &t->err), &t->err);
	CHECK_EQ(oci_read(t, "other", "", out, sizeof(out)), 6, "the other container: %s",
		 t->err.msg);
}

/* Counts of OOM kills in bombs and elsewhere; `global` counts those caused by the guest's own
 * memory. */
struct kills {
	unsigned int bombs, others, global;
};

static void
count_kills(struct oci *t, struct kills *k)
{
	char out[128];

	*k = (struct kills){ 0 };
	if (oci_guest(
		    t, out, sizeof(out),
		    "cd $R/sys/fs/cgroup\n"
		    "kills() { cat \"$@\" 2>/dev/null | awk '/^oom_kill / { n += $2 } END { print "
		    "n + 0 }'; }\n"
		    "kills pods/bomb-*/memory.events\n"
		    "kills pods/main/memory.events pods/other/memory.events agent/memory.events\n"
		    "dmesg | grep -c ' Out of memory: Killed' || true") < 0)
		CHECK(false, "%s", t->err.msg);
	CHECK_EQ(sscanf(out, "%u %u %u", &k->bombs, &k->others, &k->global), 3,
		 "counting kills: %s", out);
}

#define BOMBS_MS     6000
#define SMALL_KIB    300000
#define NOT_SO_SMALL "only in a guest of at most 256 MiB, where memory ends first"

static bool
is_small_guest(struct oci *t)
{
	char out[32];

	if (oci_needs_vm(t))
		return false;
	if (oci_guest(t, out, sizeof(out), "awk '/^MemTotal/ { print $2 }' $P/meminfo") < 0) {
		CHECK(false, "%s", t->err.msg);
		return false;
	}
	if (atoi(out) <= SMALL_KIB)
		return true;
	t->skip = NOT_SO_SMALL;
	return false;
}

/* The bomb's neighbour is the largest process of the guest, the kernel's first choice for an OOM
 * kill. It, the agent and the answering container survive; only bombs are killed. No container
 * has a limit of its own. */
static void
neighbour_lives(struct oci *t, const char *const *scripts, size_t n, const char *what)
{
	struct kills before, after;
	struct checker checker;
	char out[2048], id[32];

	if (!is_small_guest(t))
		return;
	if (!CHECK_OK(oci_launch(t, "other", oci_spec(t, ARGS("/bin/oci-probe", "hold", "24"))),
		      &t->err))
		return;
	CHECK_OK(oci_read_line(t, "other", "", "up"), &t->err);
	count_kills(t, &before);
	checker_start(&checker, t);
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "bomb-%zu", i);
		CHECK_OK(oci_launch(t, id, oci_sh(t, "%s", scripts[i])), &t->err);
		CHECK_OK(oci_read_line(t, id, "", "armed"), &t->err);
	}
	(void)nanosleep(&(struct timespec){ .tv_sec = BOMBS_MS / 1000 }, NULL);
	checker_await(&checker);
	count_kills(t, &after);
	printf("# %s: %u killed in bombs, %u elsewhere; guest out of memory %u times\n", what,
	       after.bombs, after.others - before.others, after.global - before.global);
	if (oci_guest(t, out, sizeof(out),
		      "cd $R/sys/fs/cgroup/pods; grep -H . memory.max memory.high memory.peak "
		      "pids.max */memory.peak */memory.max | sed 's/^/# /'") == 0)
		printf("%s", out);
	CHECK_EQ(after.others, before.others, "%u processes killed in addition to the bombs",
		 after.others - before.others);
	CHECK_EQ(after.global, before.global, "the guest was out of memory");
	CHECK_OK(write_stdin(&t->h, "other", "", "\n", 1, &t->err), &t->err);
	CHECK_OK(oci_read_line(t, "other", "", "alive"), &t->err, "the neighbour");
	for (size_t i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "bomb-%zu", i);
		CHECK_EQ(oci_remove(t, id), 0, "remove %s: %s", id, t->err.msg);
	}
	checker_stop(&checker, what);
	CHECK_EQ(checker.failures, 0, "%u calls of Check failed", checker.failures);
	CHECK_OK(oci_remove(t, "other"), &t->err);
}

static void
fork_bomb_and_neighbour(struct oci *t)
{
	neighbour_lives(t, (const char *const[]){ FORK_BOMB }, 1, "a fork bomb");
}

static void
memory_hog_and_neighbour(struct oci *t)
{
	neighbour_lives(t, (const char *const[]){ MEMORY_HOG }, 1, "a memory hog");
}

static void
both_and_neighbour(struct oci *t)
{
	neighbour_lives(t, (const char *const[]){ FORK_BOMB, MEMORY_HOG }, 2,
			"a fork bomb and a memory hog");
}

static void
flood(struct oci *t)
{
	detonate(t, oci_sh(t, "echo armed; yes 0123456789 >&2 & exec yes 0123456789"),
		 "a flood of unread output");
}

/* Processes that ignore SIGTERM and have left their session, group and parent. */
static void
hiders(struct oci *t)
{
	Grpc__Spec *spec = oci_sh(
		t, "trap 'echo no' TERM; trap '' HUP INT; i=0\n"
		   "while test $i -lt 50; do i=$((i + 1))\n"
		   "(setsid sh -c 'trap \"\" TERM HUP INT; (setsid sh -c \"trap : TERM; while :; "
		   "do sleep 3600; done\" &); while :; do sleep 3600; done' &)\n"
		   "done; echo armed; while :; do sleep 0.1; done");

	if (!CHECK_OK(oci_launch(t, "hider", spec), &t->err))
		return;
	CHECK_OK(oci_read_line(t, "hider", "", "armed"), &t->err);
	CHECK_OK(oci_kill(t, "hider", "", SIGTERM), &t->err);
	CHECK_OK(oci_read_line(t, "hider", "", "no"), &t->err);
	CHECK_OK(oci_remove(t, "hider"), &t->err, "removing it alive");
	detonate(t, spec, "processes that hide and ignore SIGTERM");
}

const struct oci_case oci_bombs_cases[] = {
	{ "bomb", "a fork bomb under a pids limit", fork_bomb },
	{ "bomb", "a fork bomb without a limit", fork_bomb_without_limit },
	{ "bomb", "removal of another container during a fork bomb", remove_beside_a_bomb },
	{ "bomb", "a memory hog under a limit", memory_hog },
	{ "bomb", "a memory hog without a limit", memory_hog_without_limit },
	{ "bomb", "the neighbour of a fork bomb survives", fork_bomb_and_neighbour },
	{ "bomb", "the neighbour of a memory hog survives", memory_hog_and_neighbour },
	{ "bomb", "the neighbour of both survives", both_and_neighbour },
	{ "bomb", "a flood of output", flood },
	{ "bomb", "processes that hide and ignore SIGTERM", hiders },
};
const size_t n_oci_bombs_cases = ARRAY_LEN(oci_bombs_cases);
