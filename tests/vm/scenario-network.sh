# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2046
# only on: ours
# The network calls: a card plugged in while the agent waits for it, routes and neighbours that
# packets follow, rules that drop them. A shell in the guest's network namespace checks the result
# of each. docs/protocol.md names these tests.

# The guest's image has iptables, in a second archive after the initrd.
with_iptables()
{
	test ! -f "$work/iptables.img" || return 0
	iptables_into "$work/iptables" && initrd_with "$work/iptables" "$work/iptables.img"
}

look() { ctl exec net -- "$@"; }
looks() { look sh -c "$1"; }

# The card: QEMU's own network, 10.0.2.0/24 and fec0::/64, with the host's end at .2
mac=02:00:00:00:00:42
interface='"name":"pod0","device":"pod0","hwAddr":"'$mac'","devicePath":"1e/00"'

plugged()
{
	rpc UpdateInterface \
		'{"interface":{'"$interface"',"mtu":1400,"IPAddresses":[{"address":"10.0.2.15","mask":"24"},
		{"family":1,"address":"fec0::15","mask":"64"}]}}' >"$work/plugged" 2>&1 &
	local call=$!
	# other calls are not blocked
	rpc ListInterfaces '{}' >/dev/null || return 1
	kill -0 $call || { echo "it did not wait: $(cat "$work/plugged")"; return 1; }
	"$work/bin/qmp" "$vmdir/qmp.sock" \
		'{"execute":"netdev_add","arguments":{"type":"user","id":"n0"}}' \
		'{"execute":"device_add","arguments":{"driver":"virtio-net-pci","id":"nic0","netdev":"n0","bus":"hotplug0","mac":"'$mac'","romfile":""}}' || return 1
	wait $call || { cat "$work/plugged"; return 1; }
	look ip addr show dev pod0 | tee "$work/pod0"
	grep -q 'mtu 1400' "$work/pod0" && grep -q 'UP' "$work/pod0" &&
		grep -q "link/ether $mac" "$work/pod0" &&
		grep -q 'inet 10.0.2.15/24 brd 10.0.2.255' "$work/pod0" &&
		grep -q 'inet6 fec0::15/64' "$work/pod0" &&
		look ping -c 1 -W 5 10.0.2.2
}

# A card is identified by its PCI path there: a VF comes with an arbitrary hardware address.
changed()
{
	rpc UpdateInterface \
		'{"interface":{"name":"pod0","hwAddr":"02:00:00:00:00:43","devicePath":"1e/00","mtu":1300,
		"IPAddresses":[{"address":"10.0.2.16","mask":"24"}]}}' || return 1
	look ip addr show dev pod0 | tee "$work/pod0"
	grep -q 'link/ether 02:00:00:00:00:43' "$work/pod0" && grep -q 'mtu 1300' "$work/pod0" &&
		grep -q 'inet 10.0.2.16/24' "$work/pod0" &&
		! grep -q 10.0.2.15 "$work/pod0" && ! grep -q fec0::15 "$work/pod0"
}

never()
{
	rpc UpdateInterface \
		'{"interface":{"name":"pod1","hwAddr":"02:00:00:00:00:99","devicePath":"1e/01"}}'
}

listed()
{
	local told seen
	told=$(rpc ListInterfaces '{}' |
		jq -r '.Interfaces[] | "\(.name) \(.hwAddr | ascii_downcase) \(.mtu)"' | sort)
	# "2: pod0: <...> mtu 1300 qdisc ...\    link/ether 02:..."
	seen=$(look ip -o link | awk \
		'{ for (i = 1; i < NF; i++) { if ($i == "mtu") mtu = $(i + 1); if ($i ~ /^.?link\//) mac = $(i + 1) }
		sub(/:$/, "", $2); print $2, mac, mtu }' | sort)
	test "$told" = "$seen" || { printf 'told:\n%s\nseen:\n%s\n' "$told" "$seen"; return 1; }
	rpc ListInterfaces '{}' | jq \
		-e '.Interfaces[] | select(.name == "pod0") | .devicePath == "1e/00" and
		any(.IPAddresses[]; .address == "10.0.2.16" and .mask == "24")'
}

# The route to 203.0.113.0/24 goes via the host, whatever the order; a list with an impossible route
# changes nothing.
routed()
{
	local before
	rpc UpdateRoutes \
		'{"routes":{"Routes":[{"dest":"203.0.113.0/24","gateway":"10.0.2.2","device":"pod0","mtu":1200},
		{"gateway":"10.0.2.2","device":"pod0"},{"dest":"10.0.2.0/24","device":"pod0","scope":253,"source":"10.0.2.16"}]}}' || return 1
	before=$(look ip route) || return 1
	echo "$before"
	grep -q '^203.0.113.0/24 via 10.0.2.2 dev pod0' <<<"$before" &&
		grep -q '^default via 10.0.2.2 dev pod0' <<<"$before" || return 1
	look ip route get 203.0.113.5 | tee /dev/stderr | grep -q 'via 10.0.2.2' || return 1
	says 198.51.100.9 rpc UpdateRoutes \
		'{"routes":{"Routes":[{"dest":"203.0.113.0/24","device":"pod0"},
		{"dest":"192.0.2.0/24","gateway":"198.51.100.9","device":"pod0"}]}}' || return 1
	test "$(look ip route)" = "$before" ||
		{ echo 'after a list that failed:'; look ip route; return 1; }
}

routes_listed()
{
	local told seen
	told=$(rpc ListRoutes '{}' |
		jq -r '.Routes[] | select((.family // "v4") | tostring | . == "v4" or . == "0") |
		"\(if (.dest // "") == "" then "default" else .dest end) \(.gateway // "")"' |
		sed 's/ $//' | sort)
	seen=$(look ip route | awk '{ print $1 ($2 == "via" ? " " $3 : "") }' | sort)
	test "$told" = "$seen" || { printf 'told:\n%s\nseen:\n%s\n' "$told" "$seen"; return 1; }
}

# An address that answers no ARP request has an entry nevertheless.
neighbour()
{
	rpc AddARPNeighbors \
		'{"neighbors":{"ARPNeighbors":[{"toIPAddress":{"address":"10.0.2.77"},"device":"pod0","lladdr":"02:00:00:00:00:77"}]}}' || return 1
	looks 'cat /proc/net/arp' | tee /dev/stderr |
		grep -q '^10.0.2.77 .* 0x6 .*02:00:00:00:00:77 .*pod0'
}

# rules FAMILY TEXT
rules() { rpc SetIPTables '{"is_ipv6":'"$1"',"data":"'"$(base64 -w0 <<<"$2")"'"}'; }
ping_host() { look ping -c 1 -W "$1" 10.0.2.2 >/dev/null 2>&1; }

filtered()
{
	local drop=$'*filter\n-A OUTPUT -d 10.0.2.2/32 -m comment --comment "no way" -j DROP\nCOMMIT'
	ping_host 5 || { echo 'no answer without any rule'; return 1; }
	rules false "$drop" || return 1
	! ping_host 1 || { echo 'the rule stops nothing'; return 1; }
	says 'line 2' rules false $'*filter\n-A NOWHERE -j DROP\nCOMMIT' || return 1
	! ping_host 1 || { echo 'rules that cannot be have replaced the former ones'; return 1; }
}

filtered6()
{
	rules true $'*filter\n-A INPUT -s fec0::99/128 -j DROP\nCOMMIT' || return 1
	looks 'cat /hostproc/1/net/ip6_tables_names' | tee /dev/stderr | grep -qx filter
}

filter_told()
{
	rpc GetIPTables '{"is_ipv6":true}' | jq -r .data | base64 -d |
		grep -q '^-A INPUT -s fec0::99/128 -j DROP$' || return 1
	rpc GetIPTables '{}' | jq -r .data | base64 -d | tee "$work/rules"
	grep -q '^-A OUTPUT -d 10.0.2.2/32 -m comment --comment "no way" -j DROP$' "$work/rules" ||
		return 1
	# The saved rules can be restored: the packet counter starts again, and without the rule the
	# path is open.
	rules false "$(grep -v 'no way' "$work/rules")" && ping_host 5
}

if ok 'an initrd with iptables' with_iptables &&
	ok 'boot without a card' boot net --initrd "$work/iptables.img" --rootfs "$rootfs" \
	--privileged --guest-proc /hostproc -- sleep 3600; then
	ok 'UpdateInterface: a card plugged in during the call has name, MTU and addresses, and works' plugged
	ok 'UpdateInterface: new addresses and a new hardware address replace the former' changed
	ok 'UpdateInterface: a card that never appears: Link not found' says 'Link not found' never
	ok 'ListInterfaces agrees with ip' listed
	ok 'UpdateRoutes: packets follow the routes; a failed list changes nothing' routed
	ok 'ListRoutes agrees with ip' routes_listed
	ok 'AddARPNeighbors: the entry is permanent' neighbour
	ok 'SetIPTables: packets are dropped' filtered
	ok 'SetIPTables: rules for IPv6' filtered6
	ok 'GetIPTables returns the rules, which can be restored' filter_told
	ok 'stop leaves nothing' stop net
fi
