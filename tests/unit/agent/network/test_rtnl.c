/* SPDX-License-Identifier: Apache-2.0 */
/* Netlink replies are accepted from the kernel only. Needs CAP_NET_ADMIN, to send forged ones. */
#include <criterion/criterion.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>

#include "agent/network/links.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

/* A message to the port of r, as any process of the network namespace may send it. */
static void
forge(const struct rtnl *r)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK,
				  .nl_pid = nl_socket_get_local_port(r->sock) };
	struct {
		struct nlmsghdr head;
		struct ifinfomsg link;
	} message = {
		.head = { .nlmsg_len = sizeof(message), .nlmsg_type = RTM_NEWLINK },
		.link = { .ifi_index = 4711 },
	};
	auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	REQUIRE_GE(fd, 0);
	REQUIRE_EQ(sendto(fd, &message, sizeof(message), 0, (struct sockaddr *)&to, sizeof(to)),
		   sizeof(message));
}

Test(network_rtnl, only_the_kernel_is_heard)
{
	struct error err = ERROR_INIT;
	struct net_link link = { 0 };
	struct net_links links;
	struct rtnl r;

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		cr_skip_test("needs root");
	REQUIRE_OK(rtnl_open(&r, &err), &err);
	forge(&r);
	REQUIRE_OK(net_link_get(&r, "lo", &link, &err), &err);
	REQUIRE_STR(link.name, "lo");
	forge(&r);
	REQUIRE_OK(net_links_read(&r, &links, &err), &err);
	REQUIRE_EQ(links.n, 1);
	net_links_release(&links);
	rtnl_close(&r);
}

Test(network_rtnl, short_numbers_are_not_read)
{
	struct nlattr a[2] = { { .nla_len = NLA_HDRLEN + 3 } };

	REQUIRE_EQ(rtnl_u32(NULL), 0);
	REQUIRE_EQ(rtnl_u32(a), 0);
	a[0].nla_len = NLA_HDRLEN + 4;
	a[1] = (struct nlattr){ 1, 1 };
	REQUIRE_EQ(rtnl_u32(a), 0x10001);
}
