/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the kernel over rtnetlink(7), through libnl-3, with the kernel's own error texts.
 * Worker only: each may block, since others may hold the kernel's lock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netlink/msg.h>

#include "lib/error.h"

struct rtnexthop;

struct nl_sock;

/* Called for each message of a reply: returns 0, or -1 and errno, which ends the reading. */
typedef int rtnl_each_fn(const struct nlmsghdr *message, void *data);

struct rtnl {
	struct nl_sock *sock;
	/* The errno of the last reply, 0: none. */
	int errnum;
	/* The kernel's error text, "" if none. */
	char text[160];
	rtnl_each_fn *each;
	void *data;
};

/* Opens a socket in the worker's network namespace. Returns 0, or -1 and err. */
int rtnl_open(struct rtnl *r, struct error *err);
void rtnl_close(struct rtnl *r);

/* Makes a request with this header. Returns NULL if out of memory. */
struct nl_msg *rtnl_message(uint16_t type, int flags, const void *header, size_t size);

/* Adds an attribute. Returns false if there is no room, or msg is NULL. */
bool rtnl_put(struct nl_msg *msg, int type, const void *data, size_t size);
bool rtnl_put_u32(struct nl_msg *msg, int type, uint32_t value);
bool rtnl_put_text(struct nl_msg *msg, int type, const char *text);

/* Returns the number in an attribute; 0 if there is none, or it is too short. */
uint32_t rtnl_u32(const struct nlattr *a);

/* Returns whether a whole next hop is in the `left` bytes of an RTA_MULTIPATH (rtnetlink(7)).
 * RTNH_OK() alone reads past them. */
bool rtnl_has_hop(const struct rtnexthop *hop, int left);

/* Sends and frees msg (NULL: ENOMEM) and waits for the kernel's acknowledgement. Returns 0, or -1
 * and errno. */
int rtnl_talk(struct rtnl *r, struct nl_msg *msg);

/* Sends and frees msg; calls each for the one message of the reply. Returns 0, or -1 and errno. */
int rtnl_get(struct rtnl *r, struct nl_msg *msg, rtnl_each_fn *each, void *data);

/* Reads all messages of a dump. If the kernel's table changes meanwhile, calls reset and starts
 * over. `make` makes the request. */
struct rtnl_dump {
	struct nl_msg *(*make)(const void *what);
	const void *what;
	rtnl_each_fn *each;
	void (*reset)(void *data);
	void *data;
};
int rtnl_dump(struct rtnl *r, const struct rtnl_dump *dump);

/* Sets err for the last failed request: the given text, the kernel's text, errno. Returns -1. */
int rtnl_error(const struct rtnl *r, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
