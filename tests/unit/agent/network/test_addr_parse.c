/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and names from and to text. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/network/addr_parse.h"
#include "lib/cleanup.h"
#include "tests/support/check.h"

Test(network_text, prefixes)
{
	static const struct {
		/* NULL: refused */
		const char *text, *again;
		/* as an address, too */
		bool is_plain;
	} rows[] = {
		{ "10.0.0.1", "10.0.0.1/32", true },
		{ "10.0.0.1/8", "10.0.0.1/8", false },
		{ "0.0.0.0/0", "0.0.0.0/0", false },
		{ "fd00::1", "fd00::1/128", true },
		{ "FD00:0::1/64", "fd00::1/64", false },
		{ "::/0", "::/0", false },
		{ "::ffff:10.0.0.1", "::ffff:10.0.0.1/128", true },
		{ "", NULL, false },
		{ "10.0.0", NULL, false },
		{ "10.0.0.256", NULL, false },
		{ "10.0.0.1/33", NULL, false },
		{ "10.0.0.1/", NULL, false },
		{ "10.0.0.1/-1", NULL, false },
		{ "10.0.0.1/ 8", NULL, false },
		{ "10.0.0.1/8/8", NULL, false },
		{ "fd00::1/129", NULL, false },
		{ "fe80::1%eth0", NULL, false },
		{ ":", NULL, false },
		{ "/8", NULL, false },
		{ "eth0", NULL, false },
		{ "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff/64",
		  NULL, false },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct net_address a, b;
		char text[NET_ADDRESS_TEXT];

		CHECK_EQ(net_parse_prefix(rows[i].text, &a), rows[i].again != NULL, "%s",
			 rows[i].text);
		CHECK_EQ(net_parse_address(rows[i].text, &b), rows[i].is_plain, "%s", rows[i].text);
		if (rows[i].again)
			CHECK_STR(net_format_prefix(&a, text), rows[i].again);
		if (rows[i].is_plain)
			CHECK_EQ(net_address_compare(&a, &b), 0);
	}
}

Test(network_text, bits_behind_a_prefix)
{
	static const char *const rows[][2] = {
		{ "10.1.2.3/24", "10.1.2.0/24" },       { "10.1.2.3/32", "10.1.2.3/32" },
		{ "10.1.2.3/0", "0.0.0.0/0" },          { "10.255.2.3/9", "10.128.0.0/9" },
		{ "fd00::ffff/121", "fd00::ff80/121" }, { "fd00::1/64", "fd00::/64" },
		{ "fd00::1/128", "fd00::1/128" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct net_address a;
		char text[NET_ADDRESS_TEXT];

		REQUIRE(net_parse_prefix(rows[i][0], &a));
		net_mask_prefix(&a);
		CHECK_STR(net_format_prefix(&a, text), rows[i][1]);
	}
}

Test(network_text, order)
{
	/* as it shall be */
	static const char *const rows[] = { "10.0.0.0/8", "10.0.0.0/16", "10.1.0.0/16", "::/0",
					    "fd00::/64" };
	struct net_address a[ARRAY_LEN(rows)];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		REQUIRE(net_parse_prefix(rows[i], &a[i]));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (size_t j = 0; j < ARRAY_LEN(rows); j++) {
			int order = net_address_compare(&a[i], &a[j]);

			CHECK_EQ(order < 0, i < j, "%s %s", rows[i], rows[j]);
			CHECK_EQ(order == 0, i == j, "%s %s", rows[i], rows[j]);
		}
	}
}

Test(network_text, hardware_addresses)
{
	static const struct {
		const char *text;
		/* 0: refused */
		unsigned int len;
	} rows[] = {
		{ "02:00:ca:fe:00:01", 6 },
		{ "02:00:CA:FE:00:01", 6 },
		{ "00:01", 2 },
		{ "80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:2e:d8:41", 20 },
		{ "", 0 },
		{ "02", 0 },
		{ "02:", 0 },
		{ ":02", 0 },
		{ "02:00:ca:fe:00:0", 0 },
		{ "02:00:ca:fe:00:01:", 0 },
		{ "02-00-ca-fe-00-01", 0 },
		{ "02:00:ca:fe:00:0g", 0 },
		{ "0x:00", 0 },
		{ "02:00:ca:fe:00:01 ", 0 },
		{ "00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:"
		  "00:00:00:00:00:00:00:00:00",
		  0 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct net_mac mac = { 0 };
		char text[NET_MAC_TEXT];

		CHECK_EQ(net_parse_mac(rows[i].text, &mac), rows[i].len > 0, "%s", rows[i].text);
		CHECK_EQ(mac.len, rows[i].len, "%s", rows[i].text);
		if (rows[i].len)
			CHECK_EQ(strcasecmp(net_format_mac(&mac, text), rows[i].text), 0);
	}
}

Test(network_text, names)
{
	static const char *const good[] = { "eth0", "a", "veth1234567890a", "eth0.5", "..." };
	static const char *const bad[] = { "",       ".",     "..",     "a/b",
					   "eth0:1", "eth 0", "eth0\n", "0123456789abcdef" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK(net_name_is_valid(good[i]), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(!net_name_is_valid(bad[i]), "%s", bad[i]);
}
