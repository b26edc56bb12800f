/* SPDX-License-Identifier: Apache-2.0 */
/* Sends the calls of the state fuzzer, and models a container's life; see state.h. */
#include "lib/deadline.h"
#include "tests/rpc/state.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/spec/spec.h"
#include "lib/cleanup.h"
#include "lib/io.h"
#include "tests/support/elapsed.h"

/* calls that are known to fail: one in so many of those that come up */
#define SELDOM 16

static const struct {
	const char *script;
	bool ends, has_tty;
} scripts[] = {
	{ "exec cat", false, false },
	{ "exec sleep 3600", false, false },
	{ "echo out; echo err >&2; exit 3", true, false },
	{ "trap 'exit 7' TERM; while :; do sleep 0.1; done", false, false },
	{ "exec yes", false, false },
	{ "sleep 3600 & sleep 3600 & exec cat", false, false },
	{ "exec cat", false, true },
};

/* splitmix64 */
uint64_t
state_random(struct state *s)
{
	uint64_t z = s->rng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

unsigned int
state_below(struct state *s, unsigned int n)
{
	return (unsigned int)(state_random(s) >> 32) % n;
}

bool
state_is_there(struct state *s, const struct box *b)
{
	return b->phase != PHASE_ABSENT && (b->is_made || state_below(s, SELDOM) == 0);
}

/* ---- sending ---- */

/* A pending call. */
struct pending {
	struct state *s;
	/* NULL: not on a container */
	struct box *b;
	const char *method;
	uint64_t sent_ns;
	unsigned int generation;
	struct state_how how;
};

/* Returns whether the call must succeed: it had to, and its container was neither removed nor
 * killed since. */
static bool
is_certain(const struct pending *p)
{
	const struct box *b = p->b;

	if (!p->how.must || !b)
		return p->how.must;
	return b->generation == p->generation && !b->is_loose &&
	       (p->how.survives || !b->is_dying || (p->how.survives_end && !b->is_hit));
}

static void
on_reply(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	struct pending *p = data;
	struct state *s = p->s;
	uint64_t ms = elapsed_ms(p->sent_ns);

	s->pending -= !p->how.parks;
	s->parked -= p->how.parks;
	s->n_succeeded += reply != NULL;
	s->n_failed += reply == NULL;
	if (strcmp(p->method, "RemoveContainer") == 0)
		p->b->leaving--;
	if (reply && p->b && p->b->generation == p->generation &&
	    strcmp(p->method, "CreateContainer") == 0)
		p->b->is_made = true;
	if (!reply &&
	    (is_certain(p) || failure->code == ERROR_UNIMPLEMENTED ||
	     failure->code == ERROR_UNKNOWN || failure->code == ERROR_DATA_LOSS) &&
	    s->wrong++ < 10)
		printf("# round %u: %s %s, after %llu ms: code %d: %s\n", s->round, p->method,
		       p->b ? p->b->id : "", (unsigned long long)ms, failure->code, failure->msg);
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
	free(p);
}

static void
on_dropped_reply(void *data, ProtobufCMessage *reply, const struct error *failure)
{
	(void)data;
	(void)failure;
	if (reply)
		protobuf_c_message_free_unpacked(reply, NULL);
}

void
state_send(struct state *s, struct box *b, const char *method, const void *request,
	   struct state_how how)
{
	const bool is_health = strcmp(method, "Check") == 0;
	const ProtobufCServiceDescriptor *service =
		is_health ? &grpc__health__descriptor : &grpc__agent_service__descriptor;
	struct ttrpc_client *client = s->clients[b ? (b - s->boxes) % STATE_CLIENTS : 0];
	struct pending *p = calloc(1, sizeof(*p));
	struct error err = ERROR_INIT;

	s->n_calls++;
	if (s->other) {
		free(p);
		s->n_dropped++;
		(void)ttrpc_client_start(s->other, service, method, request, 0, on_dropped_reply,
					 NULL, &err);
		return;
	}
	*p = (struct pending){
		.s = s,
		.b = b,
		.method = method,
		.sent_ns = monotonic_ns(),
		.generation = b ? b->generation : 0,
		.how = how,
	};
	if ((s->is_harsh && !is_health) || (b && b->is_loose))
		p->how.must = false;
	s->pending += !how.parks;
	s->parked += how.parks;
	if (ttrpc_client_start(client, service, method, request, 0, on_reply, p, &err) == 0) {
		printf("# round %u: %s cannot be sent: %s\n", s->round, method, err.msg);
		s->wrong++;
		s->pending -= !how.parks;
		s->parked -= how.parks;
		free(p);
	}
}

/* ---- a container's life ---- */

/* Adds some of the pod's volumes, and one of the container's own. */
static void
add_storages(struct state *s, const struct box *b, struct arena *a, struct spec_pod *pod,
	     unsigned int volumes)
{
	struct spec_storage *list = arena_zalloc(a, STATE_VOLUMES + 2, sizeof(*list));
	struct spec_bind *binds = arena_zalloc(a, STATE_VOLUMES + 2, sizeof(*binds));

	(void)s;
	for (unsigned int i = 0; i < STATE_VOLUMES + 2; i++) {
		struct spec_storage *to = &list[pod->n_storages];

		if (!(volumes >> i & 1))
			continue;
		if (i < STATE_VOLUMES)
			*to = (struct spec_storage){
				"ephemeral", "tmpfs", "tmpfs", "size=1m",
				arena_printf(a, "/run/kata-containers/sandbox/ephemeral/v%u", i)
			};
		else if (i == STATE_VOLUMES)
			*to = (struct spec_storage){ "local", "local", "local", "mode=0777",
						     "/run/kata-containers/sandbox/local/l" };
		else
			*to = (struct spec_storage){
				"bind", "/run/kata-containers/sandbox/local", "bind", "ro",
				arena_printf(a, "/run/kata-containers/sandbox/state-%s", b->id)
			};
		binds[pod->n_storages++] = (struct spec_bind){ arena_printf(a, "/tmp/v%u", i),
							       "bind", to->mount_point, false };
	}
	pod->storages = list;
	pod->binds = binds;
	pod->n_binds = pod->n_storages;
}

/* Returns whether this machine's cgroups can set limits, which they cannot if cgroup v1 has the
 * controllers. */
static bool
has_controllers(void)
{
	char text[256];

	return read_text_at(AT_FDCWD, "/sys/fs/cgroup/cgroup.controllers", text, sizeof(text)) >
		       0 &&
	       strstr(text, "pids") && strstr(text, "memory");
}

static Grpc__CreateContainerRequest *
make_box(struct state *s, const struct box *b, struct arena *a, const char *script,
	 unsigned int volumes)
{
	static const char *const env[] = { "PATH=/bin:/sbin:/usr/bin" };
	static const struct vm_share no_share = { .kind = SHARE_9P };
	struct spec_pod pod = {
		.sandbox = "state",
		.name = b->id,
		.memory = 64u << 20,
		.milli = 500,
	};
	struct container_options o = {
		.id = b->id,
		.hostname = "pod",
		.args = (char *const *)(uintptr_t)SH(script),
		.env = env,
		.n_env = 1,
		.cwd = "/",
		.terminal = b->has_tty,
		.root = s->h->rootfs,
		.shares = &no_share,
		.pod = &pod,
	};
	Grpc__CreateContainerRequest *q;

	add_storages(s, b, a, &pod, volumes);
	q = spec_container(a, &o);
	if (!has_controllers()) {
		q->oci->linux->resources->memory = NULL;
		q->oci->linux->resources->cpu = NULL;
	}
	return q;
}

bool
state_create(struct state *s, struct box *b)
{
	unsigned int i = state_below(s, ARRAY_LEN(scripts));
	Grpc__CreateContainerRequest *q;
	struct arena a;

	if (b->phase != PHASE_ABSENT || b->leaving)
		return false;
	b->has_tty = scripts[i].has_tty;
	arena_init(&a, 1 << 20);
	q = make_box(s, b, &a, scripts[i].script, state_below(s, 2) ? state_below(s, 32) : 0);
	state_send(s, b, "CreateContainer", &q->base,
		   (struct state_how){ .must = true, .survives = true });
	arena_release(&a);
	b->phase = PHASE_CREATED;
	b->is_dying = scripts[i].ends;
	b->is_hit = false;
	b->is_made = false;
	b->execs = 0;
	return true;
}

bool
state_start(struct state *s, struct box *b)
{
	Grpc__StartContainerRequest q = GRPC__START_CONTAINER_REQUEST__INIT;

	if (b->phase != PHASE_CREATED)
		return false;
	q.container_id = b->id;
	state_send(s, b, "StartContainer", &q.base,
		   (struct state_how){ .must = true, .survives_end = true });
	b->phase = PHASE_RUNNING;
	return true;
}

bool
state_remove(struct state *s, struct box *b)
{
	Grpc__RemoveContainerRequest q = GRPC__REMOVE_CONTAINER_REQUEST__INIT;

	if (b->phase == PHASE_ABSENT)
		return false;
	q.container_id = b->id;
	b->generation++;
	b->leaving += !s->other;
	b->is_made = false;
	state_send(s, b, "RemoveContainer", &q.base,
		   (struct state_how){ .must = true, .survives = true });
	b->phase = PHASE_ABSENT;
	return true;
}

bool
state_pause(struct state *s, struct box *b)
{
	Grpc__PauseContainerRequest q = GRPC__PAUSE_CONTAINER_REQUEST__INIT;

	if (b->phase != PHASE_RUNNING)
		return false;
	q.container_id = b->id;
	state_send(s, b, "PauseContainer", &q.base, (struct state_how){ .must = !b->is_dying });
	b->phase = PHASE_PAUSED;
	return true;
}

bool
state_resume(struct state *s, struct box *b)
{
	Grpc__ResumeContainerRequest q = GRPC__RESUME_CONTAINER_REQUEST__INIT;

	if (b->phase != PHASE_PAUSED)
		return false;
	q.container_id = b->id;
	state_send(s, b, "ResumeContainer", &q.base, (struct state_how){ .must = !b->is_dying });
	b->phase = PHASE_RUNNING;
	return true;
}

bool
state_stats(struct state *s, struct box *b)
{
	Grpc__StatsContainerRequest q = GRPC__STATS_CONTAINER_REQUEST__INIT;

	if (!state_is_there(s, b))
		return false;
	q.container_id = b->id;
	state_send(s, b, "StatsContainer", &q.base,
		   (struct state_how){ .must = b->is_made, .survives = true });
	return true;
}

bool
state_update(struct state *s, struct box *b)
{
	Grpc__UpdateContainerRequest q = GRPC__UPDATE_CONTAINER_REQUEST__INIT;
	Grpc__LinuxResources r = GRPC__LINUX_RESOURCES__INIT;
	Grpc__LinuxPids pids = GRPC__LINUX_PIDS__INIT;
	Grpc__LinuxCPU cpu = GRPC__LINUX_CPU__INIT;

	if ((b->phase != PHASE_CREATED && b->phase != PHASE_RUNNING) ||
	    (!has_controllers() && state_below(s, SELDOM)))
		return false;
	q.container_id = b->id;
	q.resources = &r;
	r.pids = &pids;
	pids.limit = 100 + state_below(s, 100);
	r.cpu = &cpu;
	cpu.shares = 2 + state_below(s, 2000);
	state_send(s, b, "UpdateContainer", &q.base,
		   (struct state_how){ .must = b->is_made && has_controllers() });
	return true;
}

void
state_prepare(struct state *s)
{
	struct box b = { .id = "prepare" };
	Grpc__CreateContainerRequest *q;
	struct error err = ERROR_INIT;
	struct arena a;

	arena_init(&a, 1 << 20);
	q = make_box(s, &b, &a, "true", 31);
	CHECK_OK(call(s->h, "CreateContainer", q, NULL, &err), &err);
	CHECK_OK(remove_container(s->h, b.id, &err), &err);
	arena_release(&a);
	state_complete_copies(s);
}
