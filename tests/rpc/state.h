/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the state fuzzer (test_state.c) and its calls (state_calls.c): a model of a few
 * containers, changed when a call is sent. The agent handles the calls on one container in order,
 * and all of a container's calls use one connection, so a call that the model allows must succeed,
 * whatever else is under way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/rpc/harness.h"

#define STATE_BOXES   6
#define STATE_EXECS   3
#define STATE_CLIENTS 2
#define STATE_VOLUMES 3

/* Target directory and names for CopyFile, so that leftovers are found. */
#define STATE_COPIES "/run/kata-containers/shared/containers/state"
#define STATE_FILES  8

enum phase {
	PHASE_ABSENT,
	PHASE_CREATED,
	PHASE_RUNNING,
	PHASE_PAUSED,
};

/* A container. */
struct box {
	char id[8];
	enum phase phase;
	/* has been killed, or ends by itself */
	bool is_dying;
	/* calls on it were dropped, so its state is uncertain */
	bool is_loose;
	/* CreateContainer has been answered */
	bool is_made;
	/* number of removals, which end the container's waiting calls */
	unsigned int generation;
	/* execs since its creation, and in total */
	unsigned int execs, serial;
	/* a signal was sent to it, or its input closed */
	bool is_hit;
	/* unanswered removals; until then its id is in use */
	unsigned int leaving;
	bool has_tty;
};

struct state {
	struct harness *h;
	uint64_t seed, rng;
	struct ttrpc_client *clients[STATE_CLIENTS];
	/* connection for calls that are not waited for; NULL: the container's own */
	struct ttrpc_client *other;
	struct box boxes[STATE_BOXES];
	/* processes are killed: any call may fail */
	bool is_harsh;
	uint64_t n_calls, n_succeeded, n_failed, n_dropped;
	unsigned int n_kills, n_stops, n_drops;
	/* unanswered calls; parked: those that may wait for long */
	unsigned int pending, parked;
	unsigned int wrong;
	unsigned int round;
};

uint64_t state_random(struct state *s);
/* Returns a random number from 0 to n-1. */
unsigned int state_below(struct state *s, unsigned int n);

/* Returns whether the container is known to exist, and occasionally true otherwise. Calls that
 * do not wait for it fail without it. */
bool state_is_there(struct state *s, const struct box *b);

/* Sends a random call that the model allows. */
void state_step(struct state *s);

/* Copies every file completely, which completes partial copies. */
void state_complete_copies(struct state *s);

struct state_how {
	/* must succeed according to the model */
	bool must;
	/* even if the container's process is killed meanwhile */
	bool survives;
	/* even if it ends by itself */
	bool survives_end;
	/* it may wait for as long as the container lives */
	bool parks;
};

/* Sends a call on a container, or on none (b NULL), and checks the reply when it arrives. */
void state_send(struct state *s, struct box *b, const char *method, const void *request,
		struct state_how how);

/* Steps in a container's life. Return false, without a call, if the container is in another
 * phase. */
bool state_create(struct state *s, struct box *b);
bool state_start(struct state *s, struct box *b);
bool state_remove(struct state *s, struct box *b);
bool state_pause(struct state *s, struct box *b);
bool state_resume(struct state *s, struct box *b);
bool state_stats(struct state *s, struct box *b);
bool state_update(struct state *s, struct box *b);

/* Creates and removes a container with every volume, so that they exist from now on; copies a
 * file. */
void state_prepare(struct state *s);
