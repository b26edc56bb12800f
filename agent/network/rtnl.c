/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets and messages of libnl-3. Its error codes are not used: they merge many errno values and
 * drop the kernel's text, so the kernel's NLMSG_ERROR is read here. Called by the workers of
 * agent/network.
 */
#include "agent/network/rtnl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/handlers.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

/* Limits the reads of a table that changes faster than it can be read. */
#define DUMP_TRIES 8

/* The kernel fills up to 32 KiB of it with one part of a dump; with less, it sends a page at a
 * time. */
#define RECEIVE_SIZE ((size_t)64 << 10)

static void rtnl_hear_only_the_kernel(struct nl_sock *sock);
static int rtnl_receive(struct nl_sock *sock, struct sockaddr_nl *from, unsigned char **bytes,
			struct ucred **creds);
static int rtnl_post(struct rtnl *r, struct nl_msg *msg, rtnl_each_fn *each, void *data);
static int rtnl_verdict(struct rtnl *r, int status);
static int rtnl_on_message(struct nl_msg *msg, void *arg);
static int rtnl_on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg);
static void rtnl_take_text(struct rtnl *r, const struct nlmsgerr *e);

int
rtnl_open(struct rtnl *r, struct error *err)
{
	static const int options[] = { NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK };
	const int on = 1;
	int status;

	*r = (struct rtnl){ .sock = nl_socket_alloc() };
	if (!r->sock)
		return error_nomem(err, "creating a netlink socket");
	nl_socket_disable_auto_ack(r->sock);
	nl_socket_disable_msg_peek(r->sock);
	(void)nl_socket_set_msg_buf_size(r->sock, RECEIVE_SIZE);
	rtnl_hear_only_the_kernel(r->sock);
	status = nl_connect(r->sock, NETLINK_ROUTE);
	if (status < 0) {
		rtnl_close(r);
		return error_set(err, ERROR_INTERNAL, "failed to open a netlink socket: %s",
				 nl_geterror(status));
	}
	/* Older kernels lack some of these: error texts are then shorter, and dumps contain more to
	 * skip. */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		(void)setsockopt(nl_socket_get_fd(r->sock), SOL_NETLINK, options[i], &on,
				 sizeof(on));
	if (nl_socket_modify_err_cb(r->sock, NL_CB_CUSTOM, rtnl_on_error, r) < 0 ||
	    nl_socket_modify_cb(r->sock, NL_CB_VALID, NL_CB_CUSTOM, rtnl_on_message, r) < 0) {
		rtnl_close(r);
		return error_nomem(err, "creating a netlink socket");
	}
	return 0;
}

/* Sets NL_SOCK_PASSCRED: nl_recv() gives *creds only then. */
static void
rtnl_hear_only_the_kernel(struct nl_sock *sock)
{
	struct nl_cb *cb = nl_socket_get_cb(sock);

	nl_cb_overwrite_recv(cb, rtnl_receive);
	nl_cb_put(cb);
}

/* Receives messages from the kernel (port 0) only. A process with CAP_NET_ADMIN in this network
 * namespace, such as a container of the pod, can also send to our port: its message could pass for
 * a reply, or end the reading. */
static int
rtnl_receive(struct nl_sock *sock, struct sockaddr_nl *from, unsigned char **bytes,
	     struct ucred **creds)
{
	for (;;) {
		int n = nl_recv(sock, from, bytes, creds);

		if (n <= 0 || from->nl_pid == 0)
			return n;
		free(*bytes);
		*bytes = NULL;
	}
}

void
rtnl_close(struct rtnl *r)
{
	if (r->sock)
		nl_socket_free(r->sock);
	r->sock = NULL;
}

/* ---- requests ---- */

int
rtnl_talk(struct rtnl *r, struct nl_msg *msg)
{
	if (msg)
		nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_ACK;
	if (rtnl_post(r, msg, NULL, NULL) < 0)
		return -1;
	return rtnl_verdict(r, nl_wait_for_ack(r->sock));
}

int
rtnl_get(struct rtnl *r, struct nl_msg *msg, rtnl_each_fn *each, void *data)
{
	if (rtnl_post(r, msg, each, data) < 0)
		return -1;
	return rtnl_verdict(r, nl_recvmsgs_default(r->sock));
}

int
rtnl_dump(struct rtnl *r, const struct rtnl_dump *dump)
{
	for (unsigned int i = 0; i < DUMP_TRIES; i++) {
		struct nl_msg *msg = dump->make(dump->what);

		dump->reset(dump->data);
		if (msg)
			nlmsg_hdr(msg)->nlmsg_flags |= NLM_F_DUMP;
		if (rtnl_post(r, msg, dump->each, dump->data) < 0)
			return -1;
		if (rtnl_verdict(r, nl_recvmsgs_default(r->sock)) == 0)
			return 0;
		if (r->errnum != EAGAIN)
			return -1;
	}
	return -1;
}

/* Sends and frees msg. Returns 0, or -1 and errno. */
static int
rtnl_post(struct rtnl *r, struct nl_msg *msg, rtnl_each_fn *each, void *data)
{
	int status;

	r->errnum = 0;
	r->text[0] = '\0';
	r->each = each;
	r->data = data;
	if (!msg) {
		r->errnum = errno = ENOMEM;
		return -1;
	}
	errno = 0;
	status = nl_send_auto(r->sock, msg);
	nlmsg_free(msg);
	if (status >= 0)
		return 0;
	r->errnum = errno = errno ? errno : EIO;
	return -1;
}

/* Converts libnl's status after a reply was read. */
static int
rtnl_verdict(struct rtnl *r, int status)
{
	if (r->errnum == 0 && status < 0)
		r->errnum = status == -NLE_DUMP_INTR ? EAGAIN : status == -NLE_NOMEM ? ENOMEM : EIO;
	errno = r->errnum;
	return r->errnum ? -1 : 0;
}

/* ---- what the kernel sends ---- */

static int
rtnl_on_message(struct nl_msg *msg, void *arg)
{
	struct rtnl *r = arg;

	if (!r->each || r->errnum)
		return NL_OK;
	if (r->each(nlmsg_hdr(msg), r->data) < 0) {
		r->errnum = errno ? errno : EIO;
		return NL_STOP;
	}
	return NL_OK;
}

static int
rtnl_on_error(struct sockaddr_nl *from, struct nlmsgerr *e, void *arg)
{
	struct rtnl *r = arg;

	(void)from;
	r->errnum = -e->error;
	rtnl_take_text(r, e);
	return NL_STOP;
}

/* Takes the text after the error: netlink(7), NETLINK_EXT_ACK. */
static void
rtnl_take_text(struct rtnl *r, const struct nlmsgerr *e)
{
	const struct nlmsghdr *head =
		(const struct nlmsghdr *)(const void *)((const char *)e - NLMSG_HDRLEN);
	size_t skip = NLMSG_ALIGN(sizeof(*e));
	size_t size = head->nlmsg_len - NLMSG_HDRLEN;
	const struct nlattr *a;

	if (!(head->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(head->nlmsg_flags & NLM_F_CAPPED))
		skip += NLMSG_ALIGN(e->msg.nlmsg_len - NLMSG_HDRLEN);
	if (skip >= size)
		return;
	a = nla_find((const struct nlattr *)(const void *)((const char *)e + skip),
		     (int)(size - skip), NLMSGERR_ATTR_MSG);
	if (a)
		(void)snprintf(r->text, sizeof(r->text), "%.*s", nla_len(a),
			       (const char *)nla_data(a));
}

int
rtnl_error(const struct rtnl *r, struct error *err, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	errno = r->errnum;
	if (r->text[0])
		return error_sys(err, "%s: %s", what, r->text);
	return error_sys(err, "%s", what);
}

/* ---- messages ---- */

struct nl_msg *
rtnl_message(uint16_t type, int flags, const void *header, size_t size)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, flags);

	if (msg && nlmsg_append(msg, (void *)(uintptr_t)header, size, NLMSG_ALIGNTO) < 0) {
		nlmsg_free(msg);
		return NULL;
	}
	return msg;
}

bool
rtnl_put(struct nl_msg *msg, int type, const void *data, size_t size)
{
	return msg && nla_put(msg, type, (int)size, data) == 0;
}

bool
rtnl_put_u32(struct nl_msg *msg, int type, uint32_t value)
{
	return rtnl_put(msg, type, &value, sizeof(value));
}

bool
rtnl_put_text(struct nl_msg *msg, int type, const char *text)
{
	return rtnl_put(msg, type, text, strlen(text) + 1);
}

uint32_t
rtnl_u32(const struct nlattr *a)
{
	return a && nla_len(a) >= (int)sizeof(uint32_t) ? nla_get_u32(a) : 0;
}

bool
rtnl_has_hop(const struct rtnexthop *hop, int left)
{
	return left >= (int)sizeof(*hop) && RTNH_OK(hop, left);
}
