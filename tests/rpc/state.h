/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the state fuzzer (test_state.c) shares with the calls that it makes (state_calls.c): a
 * model of a few containers, changed when a call is sent. The agent does the work on one
 * container in the order of its calls, and all of a container's go over one connection, so a call
 * that the model allows must succeed, whatever else is under way.
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

/* Where CopyFile writes, and under which names, so that what it leaves behind by mistake is
 * found. */
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
	bool is_dying;              /* has been killed, or ends by itself */
	bool is_loose;              /* calls on it were dropped, so nothing is certain */
	bool is_made;               /* the answer of its CreateContainer has come */
	unsigned int generation;    /* counts the removals: they end what the container waits for */
	unsigned int execs, serial; /* since it was created, and in all */
	bool is_hit;                /* a signal was sent to it, or its input closed */
	unsigned int leaving; /* removals that are not answered: until then its name is taken */
	bool has_tty;
};

struct state {
	struct harness *h;
	uint64_t seed, rng;
	struct ttrpc_client *clients[STATE_CLIENTS];
	struct ttrpc_client *other; /* calls go here, and are not waited for; NULL: to their own */
	struct box boxes[STATE_BOXES];
	bool is_harsh; /* something is killed: any call may fail */
	uint64_t n_calls, n_succeeded, n_failed, n_dropped;
	unsigned int n_kills, n_stops, n_drops;
	unsigned int pending, parked; /* calls that are not answered; parked: may wait for long */
	unsigned int wrong;
	unsigned int round;
};

uint64_t state_random(struct state *s);
/* 0 to n-1. */
unsigned int state_below(struct state *s, unsigned int n);

/* Is the container known to be there? Calls that do not wait for it fail before. Now and then
 * true all the same. */
bool state_is_there(struct state *s, const struct box *b);

/* Sends a call that the model allows, chosen at random. */
void state_step(struct state *s);

/* Copies every file once more as a whole: those of which only a part came are no longer waited
 * for. */
void state_complete_copies(struct state *s);

struct state_how {
	bool must;         /* the model says that it succeeds */
	bool survives;     /* also if the container's process ends meanwhile */
	bool survives_end; /* the same, if it ends by itself */
	bool parks;        /* it may wait for as long as the container lives */
};

/* Sends a call on a container, or of none (b NULL), and looks at its answer when that comes. */
void state_send(struct state *s, struct box *b, const char *method, const void *request,
		struct state_how how);

/* Steps in a container's life; false, and nothing is sent: it is not in the phase for it. */
bool state_create(struct state *s, struct box *b);
bool state_start(struct state *s, struct box *b);
bool state_remove(struct state *s, struct box *b);
bool state_pause(struct state *s, struct box *b);
bool state_resume(struct state *s, struct box *b);
bool state_stats(struct state *s, struct box *b);
bool state_update(struct state *s, struct box *b);

/* Creates a container that has every volume, so that they are there from now on, and removes it;
 * copies a file. */
void state_prepare(struct state *s);
