/* SPDX-License-Identifier: Apache-2.0 */
/* Network and hardware addresses, from and to the text that hosts write. Pure: allocates
 * nothing, never blocks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* an IPv6 address, "/128" and NUL fit */
#define NET_ADDRESS_TEXT 64
/* MAX_ADDR_LEN of the kernel: 20 are those of InfiniBand */
#define NET_MAC_MAX  32
#define NET_MAC_TEXT (3 * NET_MAC_MAX)

/* family is AF_INET, AF_INET6 or AF_UNSPEC (none); len the prefix in bits; of IPv4 the first
 * four bytes count, the others are 0. */
struct net_address {
	uint8_t family, len;
	uint8_t bytes[16];
};

/* len 0: none. */
struct net_mac {
	uint8_t len;
	uint8_t bytes[NET_MAC_MAX];
};

/* Of a family: 4 or 16; and its bits. */
unsigned int net_address_size(uint8_t family);
unsigned int net_address_bits(uint8_t family);

/* "10.0.0.1" or "fd00::1", whose prefix is then all of it. False, *out untouched, for anything
 * else. */
bool net_parse_address(const char *text, struct net_address *out);

/* The same with or without "/LEN". */
bool net_parse_prefix(const char *text, struct net_address *out);

/* A prefix length alone: decimal, at most all bits of the family. */
bool net_parse_length(const char *text, uint8_t family, uint8_t *out);

/* Clears the bits behind the prefix. */
void net_mask_prefix(struct net_address *a);

/* "02:00:ca:fe:00:01": 2 to NET_MAC_MAX octets of two hexadecimal digits. */
bool net_parse_mac(const char *text, struct net_mac *out);

/* Without the prefix length; "" for none. Returns out. */
const char *net_format_address(const struct net_address *a, char out[NET_ADDRESS_TEXT]);
/* With it. */
const char *net_format_prefix(const struct net_address *a, char out[NET_ADDRESS_TEXT]);
/* Upper case, as the reference agent writes it; "" for none. */
const char *net_format_mac(const struct net_mac *mac, char out[NET_MAC_TEXT]);

bool net_mac_equal(const struct net_mac *a, const struct net_mac *b);

/* Order of family, length and bytes; 0 when they are alike. */
int net_address_compare(const struct net_address *a, const struct net_address *b);

/* A name that the kernel takes for an interface (dev_valid_name() in net/core/dev.c). */
bool net_name_is_valid(const char *name);
