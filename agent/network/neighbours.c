/* SPDX-License-Identifier: Apache-2.0 */
/* AddARPNeighbors' work: adds static entries to the neighbour tables. Worker only: may block.
 * Called by network.c. */
#include "agent/network/network_internal.h"
#include "lib/client_texts.h"

#include <sys/socket.h>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

static int neighbours_add(struct worker *w, struct rtnl *r, const struct net_links *links,
			  const struct net_neighbour *n, bool ipv6_is_off, struct error *err);
static struct nl_msg *neighbours_message(const struct net_neighbour *n, uint32_t link);

int
net_neighbours_work(struct worker *w, struct net_task *task, struct error *err)
{
	bool ipv6_is_off = net_ipv6_is_off(task->roots);
	struct net_links links = { 0 };
	struct rtnl r;
	int result;

	if (rtnl_open(&r, err) < 0)
		return -1;
	result = net_links_read(&r, &links, err);
	for (size_t i = 0; result == 0 && i < task->count; i++)
		result = neighbours_add(w, &r, &links, &task->neighbours[i], ipv6_is_off, err);
	net_links_release(&links);
	rtnl_close(&r);
	return result;
}

static int
neighbours_add(struct worker *w, struct rtnl *r, const struct net_links *links,
	       const struct net_neighbour *n, bool ipv6_is_off, struct error *err)
{
	const struct net_link *link = net_links_by_name(links, n->device);
	char text[NET_ADDRESS_TEXT];

	net_format_address(&n->address, text);
	if (n->address.family == AF_INET6 && ipv6_is_off) {
		worker_log(w, LOG_LEVEL_WARN,
			   "skipping neighbour %s: IPv6 is disabled in the guest", text);
		return 0;
	}
	if (!link)
		return error_set(err, ERROR_NOT_FOUND, TEXT_LINK_NOT_FOUND " (%s): neighbour %s",
				 n->device, text);
	if (rtnl_talk(r, neighbours_message(n, link->index)) < 0)
		return rtnl_error(r, err, "failed to add neighbour %s on %s", text, n->device);
	return 0;
}

static struct nl_msg *
neighbours_message(const struct net_neighbour *n, uint32_t link)
{
	const struct ndmsg head = {
		.ndm_family = n->address.family,
		.ndm_ifindex = (int)link,
		.ndm_state = n->state,
		.ndm_flags = n->flags,
	};
	struct nl_msg *msg =
		rtnl_message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));

	if (rtnl_put(msg, NDA_DST, n->address.bytes, net_address_size(n->address.family)) &&
	    (n->mac.len == 0 || rtnl_put(msg, NDA_LLADDR, n->mac.bytes, n->mac.len)))
		return msg;
	nlmsg_free(msg);
	return NULL;
}
