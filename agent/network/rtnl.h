/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the kernel over rtnetlink(7), through libnl-3, with the kernel's own words for what
 * it refuses. Worker only: each may block, since others may hold the kernel's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netlink/msg.h>

#include "lib/error.h"

struct rtnexthop;

struct nl_sock;

/* One message of an answer: 0, or -1 and errno, which ends the reading. */
typedef int rtnl_each_fn(const struct nlmsghdr *message, void *data);

struct rtnl {
	struct nl_sock *sock;
	/* of the last answer, 0: none */
	int errnum;
	/* what the kernel added to it, "" if nothing */
	char text[160];
	rtnl_each_fn *each;
	void *data;
};

/* In the worker's network namespace. 0, or -1 and err. */
int rtnl_open(struct rtnl *r, struct error *err);
void rtnl_close(struct rtnl *r);

/* A request that begins with this header; NULL when memory is out. */
struct nl_msg *rtnl_message(uint16_t type, int flags, const void *header, size_t size);

/* Adds an attribute; false when there is no room, or msg is NULL. */
bool rtnl_put(struct nl_msg *msg, int type, const void *data, size_t size);
bool rtnl_put_u32(struct nl_msg *msg, int type, uint32_t value);
bool rtnl_put_text(struct nl_msg *msg, int type, const char *text);

/* The number in an attribute; 0 if there is none, or it is too short for one. */
uint32_t rtnl_u32(const struct nlattr *a);

/* Is there a whole next hop in the `left` bytes of an RTA_MULTIPATH (rtnetlink(7))? RTNH_OK()
 * alone looks behind them to tell. */
bool rtnl_has_hop(const struct rtnexthop *hop, int left);

/* Sends and frees msg (NULL: ENOMEM) and waits for the kernel's verdict: 0, or -1 and errno. */
int rtnl_talk(struct rtnl *r, struct nl_msg *msg);

/* Sends and frees msg; each is called for the one message of the answer. 0, or -1 and errno. */
int rtnl_get(struct rtnl *r, struct nl_msg *msg, rtnl_each_fn *each, void *data);

/* All messages of a dump. If the kernel's table changed meanwhile, reset is called and it begins
 * again. `make` makes the request. */
struct rtnl_dump {
	struct nl_msg *(*make)(const void *what);
	const void *what;
	rtnl_each_fn *each;
	void (*reset)(void *data);
	void *data;
};
int rtnl_dump(struct rtnl *r, const struct rtnl_dump *dump);

/* Sets err for the request that failed last: the text, the kernel's words, errno. Returns -1. */
int rtnl_error(const struct rtnl *r, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
