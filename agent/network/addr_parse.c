/* SPDX-License-Identifier: Apache-2.0 */
/* Parses and formats addresses. Called by the rest of agent/network, and by agent/rpc for its
 * replies. */
#include "agent/network/addr_parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/parse.h"

unsigned int
net_address_size(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

unsigned int
net_address_bits(uint8_t family)
{
	return 8 * net_address_size(family);
}

bool
net_parse_address(const char *text, struct net_address *out)
{
	struct net_address a = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };

	if (inet_pton(a.family, text, a.bytes) != 1)
		return false;
	a.len = (uint8_t)net_address_bits(a.family);
	*out = a;
	return true;
}

bool
net_parse_length(const char *text, uint8_t family, uint8_t *out)
{
	uint32_t len;

	if (!parse_u32(text, &len) || len > net_address_bits(family))
		return false;
	*out = (uint8_t)len;
	return true;
}

bool
net_parse_prefix(const char *text, struct net_address *out)
{
	const char *slash = strchr(text, '/');
	char address[NET_ADDRESS_TEXT];
	struct net_address a;

	if (!slash)
		return net_parse_address(text, out);
	if ((size_t)(slash - text) >= sizeof(address))
		return false;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (!net_parse_address(address, &a) || !net_parse_length(slash + 1, a.family, &a.len))
		return false;
	*out = a;
	return true;
}

void
net_mask_prefix(struct net_address *a)
{
	for (unsigned int i = 0; i < sizeof(a->bytes); i++) {
		unsigned int kept = a->len > 8 * i ? a->len - 8 * i : 0;

		if (kept < 8)
			a->bytes[i] &= (uint8_t)(0xff00u >> kept);
	}
}

static bool
addr_is_octet(const char *s)
{
	return isxdigit((unsigned char)s[0]) && isxdigit((unsigned char)s[1]);
}

bool
net_parse_mac(const char *text, struct net_mac *out)
{
	struct net_mac mac = { 0 };

	for (const char *s = text; mac.len < NET_MAC_MAX && addr_is_octet(s); s += 3) {
		char octet[3] = { s[0], s[1], '\0' };
		uint64_t value;

		if (!parse_hex(octet, &value))
			return false;
		mac.bytes[mac.len++] = (uint8_t)value;
		if (s[2] == '\0' && mac.len >= 2) {
			*out = mac;
			return true;
		}
		if (s[2] != ':')
			return false;
	}
	return false;
}

const char *
net_format_address(const struct net_address *a, char out[NET_ADDRESS_TEXT])
{
	if (a->family == AF_UNSPEC || !inet_ntop(a->family, a->bytes, out, NET_ADDRESS_TEXT))
		out[0] = '\0';
	return out;
}

const char *
net_format_prefix(const struct net_address *a, char out[NET_ADDRESS_TEXT])
{
	size_t n = strlen(net_format_address(a, out));

	if (n > 0)
		(void)snprintf(out + n, NET_ADDRESS_TEXT - n, "/%u", a->len);
	return out;
}

const char *
net_format_mac(const struct net_mac *mac, char out[NET_MAC_TEXT])
{
	size_t n = 0;

	out[0] = '\0';
	for (unsigned int i = 0; i < mac->len && i < NET_MAC_MAX; i++)
		n += (size_t)snprintf(out + n, NET_MAC_TEXT - n, "%s%02X", i > 0 ? ":" : "",
				      mac->bytes[i]);
	return out;
}

bool
net_mac_equal(const struct net_mac *a, const struct net_mac *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

int
net_address_compare(const struct net_address *a, const struct net_address *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool
net_name_is_valid(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= IFNAMSIZ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] == '/' || name[i] == ':' || isspace((unsigned char)name[i]))
			return false;
	return true;
}
