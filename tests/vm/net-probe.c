/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net-probe: uses, in a network namespace of its own, what a guest kernel offers to containers in
 * containers, and prints one line for each: "ipvs", "xfrm", "nfqueue", "dummy", with the reason
 * where it fails. For tests/vm/scenario-names.sh.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ip_vs.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>

static int failures;

static void
report(const char *what, bool is_good)
{
	if (is_good)
		(void)printf("%s\n", what);
	else
		(void)printf("%s: %s\n", what, errno ? strerror(errno) : "not as it was set");
	failures += !is_good;
}

/* Returns whether a line of the file contains the text. */
static bool
has(const char *path, const char *text)
{
	char line[256];
	bool found = false;
	FILE *f = fopen(path, "re");

	while (f && !found && fgets(line, sizeof(line), f))
		found = strstr(line, text) != NULL;
	if (f) {
		(void)fclose(f);
		errno = 0;
	}
	return found;
}

/* ---- netlink ---- */

struct request {
	_Alignas(struct nlmsghdr) char bytes[1024];
	struct nlmsghdr *head;
};

static void
begin(struct request *q, int type, int flags, const void *header, size_t size)
{
	memset(q->bytes, 0, sizeof(q->bytes));
	q->head = (struct nlmsghdr *)(void *)q->bytes;
	q->head->nlmsg_len = NLMSG_LENGTH(size);
	q->head->nlmsg_type = (unsigned short)type;
	q->head->nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags);
	memcpy(NLMSG_DATA(q->head), header, size);
}

static struct nlattr *
put(struct request *q, int type, const void *data, size_t size)
{
	struct nlattr *a = (struct nlattr *)(void *)(q->bytes + NLMSG_ALIGN(q->head->nlmsg_len));

	a->nla_type = (unsigned short)type;
	a->nla_len = (unsigned short)(NLA_HDRLEN + size);
	if (size > 0)
		memcpy((char *)a + NLA_HDRLEN, data, size);
	q->head->nlmsg_len = NLMSG_ALIGN(q->head->nlmsg_len) + NLMSG_ALIGN(a->nla_len);
	return a;
}

/* Sends the request and waits for the kernel's acknowledgement. */
static bool
talk(int fd, struct request *q)
{
	_Alignas(struct nlmsghdr) char answer[2048];
	const struct nlmsghdr *head = (const struct nlmsghdr *)(void *)answer;
	const struct nlmsgerr *verdict;

	if (fd < 0 || send(fd, q->bytes, q->head->nlmsg_len, 0) < 0 ||
	    recv(fd, answer, sizeof(answer), 0) < (ssize_t)NLMSG_LENGTH(sizeof(*verdict)))
		return false;
	verdict = NLMSG_DATA(head);
	if (head->nlmsg_type != NLMSG_ERROR)
		errno = EPROTO;
	else
		errno = -verdict->error;
	return errno == 0;
}

static int
netlink(int protocol)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
}

/* ---- probes ---- */

/* Creates a virtual server with one real server. */
static bool
ipvs(void)
{
	struct {
		struct ip_vs_service_user service;
		struct ip_vs_dest_user dest;
	} q = { 0 };
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	q.service.protocol = IPPROTO_TCP;
	q.service.addr = htonl(0x0a010203);
	q.service.port = htons(80);
	(void)snprintf(q.service.sched_name, sizeof(q.service.sched_name), "rr");
	q.dest.addr = htonl(0x0a010204);
	q.dest.port = htons(8080);
	q.dest.conn_flags = IP_VS_CONN_F_MASQ;
	q.dest.weight = 1;
	return fd >= 0 &&
	       setsockopt(fd, IPPROTO_IP, IP_VS_SO_SET_ADD, &q.service, sizeof(q.service)) == 0 &&
	       setsockopt(fd, IPPROTO_IP, IP_VS_SO_SET_ADDDEST, &q, sizeof(q)) == 0 &&
	       has("/proc/net/ip_vs", "TCP  0A010203:0050 rr") &&
	       has("/proc/net/ip_vs", "0A010204:1F90");
}

/* Adds a policy for outgoing packets. */
static bool
xfrm(void)
{
	struct xfrm_userpolicy_info p = {
		.sel = { .family = AF_INET, .daddr.a4 = htonl(0x0a090000), .prefixlen_d = 16 },
		.lft = { .soft_byte_limit = XFRM_INF,
			 .hard_byte_limit = XFRM_INF,
			 .soft_packet_limit = XFRM_INF,
			 .hard_packet_limit = XFRM_INF },
		.dir = XFRM_POLICY_OUT,
		.action = XFRM_POLICY_BLOCK,
	};
	struct request q;

	begin(&q, XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL, &p, sizeof(p));
	return talk(netlink(NETLINK_XFRM), &q);
}

/* Creates a queue served by this process. */
static bool
nfqueue(void)
{
	const struct nfgenmsg header = { .nfgen_family = AF_UNSPEC,
					 .version = NFNETLINK_V0,
					 .res_id = htons(7) };
	const struct nfqnl_msg_config_cmd bind = { .command = NFQNL_CFG_CMD_BIND };
	struct request q;

	begin(&q, (NFNL_SUBSYS_QUEUE << 8) | NFQNL_MSG_CONFIG, 0, &header, sizeof(header));
	(void)put(&q, NFQA_CFG_CMD, &bind, sizeof(bind));
	return talk(netlink(NETLINK_NETFILTER), &q) &&
	       has("/proc/net/netfilter/nfnetlink_queue", "    7");
}

static bool
dummy(void)
{
	const struct ifinfomsg header = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct nlattr *info;
	struct request q;

	begin(&q, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
	(void)put(&q, IFLA_IFNAME, "svc0", 5);
	info = put(&q, IFLA_LINKINFO, NULL, 0);
	(void)put(&q, IFLA_INFO_KIND, "dummy", 6);
	info->nla_len = (unsigned short)(q.bytes + q.head->nlmsg_len - (char *)info);
	return talk(netlink(NETLINK_ROUTE), &q) && if_nametoindex("svc0") > 0;
}

int
main(void)
{
	report("ipvs", ipvs());
	report("xfrm", xfrm());
	report("nfqueue", nfqueue());
	report("dummy", dummy());
	return failures;
}
