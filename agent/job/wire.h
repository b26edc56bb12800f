/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol between a worker and the agent over their SOCK_SEQPACKET pair. Only agent/job uses
 * it. Both ends are forks of the same binary: plain structs.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

enum job_wire {
	/* worker -> agent; those marked * are answered as `reply` says */
	/* *type: the kind's index in jobs.kinds; pid: the id; its fd; payload: the name */
	JOB_WIRE_STEP = 1,
	/* type: the number of the step; payload: struct job_wire_taken, or nothing: it was not
	 * taken */
	JOB_WIRE_TAKEN,
	/* *type: the job's own; payload and fds unchanged */
	JOB_WIRE_MESSAGE,
	/* *pid; two fds: its pidfd twice */
	JOB_WIRE_PROCESS,
	/* payload: at most JOB_OUTPUT_PIECE bytes */
	JOB_WIRE_OUTPUT,
	/* type: enum log_level; payload: see JOB_LOG_MAX */
	JOB_WIRE_LOG,
	/* payload: struct error; the last message */
	JOB_WIRE_RESULT,
	/* agent -> worker */
	/* The worker is registered with init: begin. */
	JOB_WIRE_GO,
	/* payload: struct error of the callback */
	JOB_WIRE_ACK,
};

/* The way in which a worker learns of a refused message. */
enum job_wire_reply {
	/* Not at all; the agent logs it. */
	JOB_REPLY_NONE,
	/* By the ACK. */
	JOB_REPLY_NOW,
	/* By the next ACK, or else it is the error of the job. */
	JOB_REPLY_LATER,
};

struct job_wire_head {
	uint32_t kind;
	uint32_t type;
	int32_t pid;
	uint32_t reply;
};

_Static_assert(sizeof(struct job_wire_head) % _Alignof(max_align_t) == 0,
	       "payloads must be aligned after their heads");

/* The limits of a journal, which the worker counts, too. Each step may hold an fd of the agent. */
#define JOURNAL_STEPS_MAX 80
#define JOURNAL_NAME_MAX  4096

/* Identifies what a step has created. */
struct job_wire_taken {
	uint64_t dev, ino;
};

/* Payload of JOB_WIRE_LOG: the event's name or "", then key and value of each field, then "", all
 * NUL-terminated; the rest is the message. */
#define JOB_LOG_MAX 2048

/* Far below the limit of a message. */
#define JOB_OUTPUT_PIECE (32u << 10)

/* GO and ACK. */
struct job_wire_ack {
	struct job_wire_head head;
	struct error err;
};
