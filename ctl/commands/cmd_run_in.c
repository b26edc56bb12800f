/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tatamictl run --in: one more container in a VM that runs in the background.
 *
 *	disks attached -> container -> session -> container removed -> disks detached
 *	    | failure        | failure                ^                   ^
 *	    +----------------+------------------------+-------------------+
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent.pb-c.h"
#include "ctl/commands/commands.h"
#include "ctl/commands/options.h"
#include "ctl/commands/single.h"
#include "ctl/spec/spec.h"
#include "ctl/streams/session.h"
#include "ctl/vm/attach.h"
#include "ctl/vm/record.h"
#include "ctl/vm/state.h"
#include "lib/arena.h"
#include "lib/cleanup.h"
#include "lib/parse.h"
#include "lib/ttrpc/client.h"

/* Time for the guest to release a disk, which it may refuse forever. */
#define DETACH_TIMEOUT_MS 30000
/* time between the end of a connection and that of the VM's monitor */
#define VM_GONE_MS  5000
#define REQUEST_MAX (1u << 20)

struct run_in {
	struct run_options *o;
	struct vm_state state;
	struct ttrpc_client *client;
	char id[64];
	/* root of the VM's own container, in the guest */
	char root[256];
	/* ids of the disks of the shares */
	char disks[VM_SHARES_MAX][32];
	unsigned int n_disks;
	bool has_container;
};

static int run_in_attach(struct run_in *r, struct error *err);
static int run_in_create(struct run_in *r, struct error *err);
static int run_in_session(struct run_in *r, struct error *err);
static int run_in_end(struct run_in *r, struct error *err);

int
cmd_run_in(struct run_options *o)
{
	auto_free struct run_in *r = calloc(1, sizeof(*r));
	struct error err = ERROR_INIT, end = ERROR_INIT;
	int code = -1;

	if (!r)
		return EXIT_FAILED;
	r->o = o;
	/* A signal before the session begins is read by it, and so detaches the disks. */
	single_vm_block_signals();
	if (o->name && !container_id_is_valid(o->name)) {
		(void)fprintf(stderr, "tatamictl run: --name %s: invalid name\n", o->name);
		return EXIT_USAGE;
	}
	if (o->name)
		(void)snprintf(r->id, sizeof(r->id), "%.60s", o->name);
	else
		(void)snprintf(r->id, sizeof(r->id), "run-%d", (int)getpid());
	if (state_read_alive(o->in, &r->state, &err) == 0) {
		if (!r->state.command[0])
			error_set(&err, ERROR_FAILED_PRECONDITION, "VM %s has no sandbox", o->in);
		else
			r->client =
				ttrpc_client_dial(r->state.address, o->vm.call_timeout_ms, &err);
	}
	if (r->client && run_in_attach(r, &err) == 0 && run_in_create(r, &err) == 0)
		code = run_in_session(r, &err);
	if (run_in_end(r, &end) < 0) {
		(void)fprintf(stderr, "tatamictl run: %s\n", end.msg);
		code = code < 0 ? code : EXIT_FAILED;
	}
	ttrpc_client_free(r->client);
	/* The monitor knows why. */
	if (code < 0 && err.code == ERROR_UNAVAILABLE && r->state.monitor)
		(void)state_ends_within(&r->state, VM_GONE_MS, &err);
	if (r->has_container && o->remove)
		record_remove_added(r->state.dir, r->id);
	else if (r->has_container)
		(void)record_added(r->state.dir, r->id, false, code < 0 ? 255 : code, &end);
	if (code < 0) {
		(void)fprintf(stderr, "tatamictl run: %s\n", err.msg);
		return exit_code_of(&err);
	}
	return code;
}

/* Attaches the disks, and fills in their addresses. */
static int
run_in_attach(struct run_in *r, struct error *err)
{
	struct run_options *o = r->o;
	struct qmp q = { .fd = -1 };
	int done = o->vm.n_shares ? qmp_open(&q, r->state.dir, err) : 0;

	for (unsigned int i = 0; done == 0 && i < o->vm.n_shares; i++) {
		struct vm_share *s = &o->vm.shares[i];
		struct attached a;

		done = attach_disk(&q, s->kind, s->path, s->readonly, &a, err);
		if (done < 0)
			break;
		(void)snprintf(s->tag, sizeof(s->tag), "%s", a.address);
		(void)snprintf(r->disks[r->n_disks++], sizeof(r->disks[0]), "%s", a.id);
	}
	qmp_close(&q);
	return done;
}

static int
run_in_call(struct run_in *r, const char *method, const ProtobufCMessage *request,
	    struct error *err)
{
	if (ttrpc_client_call(r->client, &grpc__agent_service__descriptor, method, request,
			      r->o->vm.call_timeout_ms, NULL, err) < 0)
		return error_wrap(err, "%s", method);
	return 0;
}

static int
run_in_create(struct run_in *r, struct error *err)
{
	Grpc__StartContainerRequest start = GRPC__START_CONTAINER_REQUEST__INIT;
	Grpc__CreateContainerRequest *create;
	struct run_options *o = r->o;
	struct arena a;
	int done = -1;

	o->container.id = r->id;
	if (!o->rootfs) {
		(void)snprintf(r->root, sizeof(r->root), SPEC_SHARED "/%s/rootfs",
			       r->state.container);
		o->container.root = r->root;
	}
	arena_init(&a, REQUEST_MAX);
	create = spec_container(&a, &o->container);
	if (!create)
		error_nomem(err, "building the requests");
	else
		done = run_in_call(r, "CreateContainer", &create->base, err);
	/* The records are those of this container only once it exists. */
	if (done == 0) {
		r->has_container = true;
		if (record_request(r->state.dir, create, err) < 0 ||
		    record_added(r->state.dir, r->id, true, 0, err) < 0)
			done = -1;
	}
	arena_release(&a);
	if (done < 0)
		return -1;
	start.container_id = r->id;
	return run_in_call(r, "StartContainer", &start.base, err);
}

static int
run_in_session(struct run_in *r, struct error *err)
{
	struct session s = {
		.client = r->client,
		.container_id = r->id,
		.exec_id = r->id,
		.terminal = r->o->container.terminal,
		.in = r->o->interactive ? STDIN_FILENO : -1,
		.out = STDOUT_FILENO,
		.err = STDERR_FILENO,
		.vm_pidfd = -1,
		.stop_fd = -1,
	};

	return session_run(&s, err);
}

/* Removes the container, then its disks. */
static int
run_in_end(struct run_in *r, struct error *err)
{
	Grpc__RemoveContainerRequest remove = GRPC__REMOVE_CONTAINER_REQUEST__INIT;
	struct qmp q = { .fd = -1 };
	int done = 0;

	remove.container_id = r->id;
	if (r->has_container)
		done = run_in_call(r, "RemoveContainer", &remove.base, err);
	if (r->n_disks == 0)
		return done;
	if (qmp_open(&q, r->state.dir, err) < 0)
		done = -1;
	while (q.fd >= 0 && r->n_disks > 0)
		if (attach_remove(&q, r->disks[--r->n_disks], DETACH_TIMEOUT_MS, err) < 0)
			done = -1;
	qmp_close(&q);
	return done;
}
