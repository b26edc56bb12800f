/* SPDX-License-Identifier: Apache-2.0 */
/* Network and MAC addresses, from and to the text that hosts use. Pure: allocates nothing, never
 * blocks. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Fits an IPv6 address, "/128" and NUL. */
#define NET_ADDRESS_TEXT 64
/* MAX_ADDR_LEN of the kernel; InfiniBand uses 20. */
#define NET_MAC_MAX  32
#define NET_MAC_TEXT (3 * NET_MAC_MAX)

/* family is AF_INET, AF_INET6 or AF_UNSPEC (none); len is the prefix length in bits. IPv4 uses the
 * first four bytes; the others are 0. */
struct net_address {
	uint8_t family, len;
	uint8_t bytes[16];
};

/* len 0: no address. */
struct net_mac {
	uint8_t len;
	uint8_t bytes[NET_MAC_MAX];
};

/* Returns the size of an address of the family in bytes (4 or 16), and in bits. */
unsigned int net_address_size(uint8_t family);
unsigned int net_address_bits(uint8_t family);

/* Parses "10.0.0.1" or "fd00::1"; the prefix is the whole address. Returns false, without changing
 * *out, if text is invalid. */
bool net_parse_address(const char *text, struct net_address *out);

/* As net_parse_address(), with an optional "/LEN". */
bool net_parse_prefix(const char *text, struct net_address *out);

/* Parses a prefix length: decimal, at most the number of bits of the family. */
bool net_parse_length(const char *text, uint8_t family, uint8_t *out);

/* Clears the bits after the prefix. */
void net_mask_prefix(struct net_address *a);

/* Parses "02:00:ca:fe:00:01": 2 to NET_MAC_MAX octets of two hexadecimal digits. */
bool net_parse_mac(const char *text, struct net_mac *out);

/* Formats the address without the prefix length; "" for none. Returns out. */
const char *net_format_address(const struct net_address *a, char out[NET_ADDRESS_TEXT]);
/* Formats the address with its prefix length. Returns out. */
const char *net_format_prefix(const struct net_address *a, char out[NET_ADDRESS_TEXT]);
/* Formats in upper case, as the reference agent does; "" for none. Returns out. */
const char *net_format_mac(const struct net_mac *mac, char out[NET_MAC_TEXT]);

bool net_mac_equal(const struct net_mac *a, const struct net_mac *b);

/* Compares by family, length and bytes; returns 0 if equal. */
int net_address_compare(const struct net_address *a, const struct net_address *b);

/* Returns whether the kernel accepts this as the name of an interface (dev_valid_name() in
 * net/core/dev.c). */
bool net_name_is_valid(const char *name);
