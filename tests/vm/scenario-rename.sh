# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# only on: distro
# Before Linux 6.2, an interface must be down to change its name or hardware address: what the
# kernel drops with that is restored.

mac=02:00:00:00:00:01
addresses='"IPAddresses":[{"address":"10.0.2.15","mask":"24"},{"family":1,"address":"fec0::15","mask":"64"}]'

card_initrd()
{
	local built
	built=$(scripts/fetch-kernel) &&
		"$OUT/tatami-initrd" --quiet -o "$work/card.img" --init "$OUT/tatami" \
		--modules "$(echo "$built"/lib/modules/*)" --module virtio_net
}

look() { ctl exec card -- "$@"; }

# update NAME MAC
update()
{
	rpc UpdateInterface \
		'{"interface":{"name":"'"$1"'","device":"'"$1"'","hwAddr":"'"$2"'","devicePath":"06",'"$addresses"',"mtu":1400}}'
}

# state NAME: prints its addresses and routes without its name. The kernel reports the carrier up to
# a second after the interface is up (linkwatch), so that flag is omitted: ping shows that the link
# works.
state()
{
	{ look ip addr show dev "$1" && look ip route && look ip -6 route; } |
		sed "s/$1/NAME/; s/^[0-9]*: //; s/<NO-CARRIER,/</" |
		grep -v 'fe80\|valid_lft\|link/ether'
}

set_up()
{
	update eth0 $mac && rpc UpdateRoutes \
		'{"routes":{"Routes":[{"dest":"","gateway":"10.0.2.2","device":"eth0"},
		{"dest":"203.0.113.0/24","gateway":"10.0.2.2","device":"eth0"},{"family":1,"dest":"2001:db8::/32","gateway":"fec0::2","device":"eth0"}]}}' || return 1
	state eth0 >"$work/before" || return 1
	cat "$work/before"
	grep -q '^default via 10.0.2.2' "$work/before" &&
		grep -q '^2001:db8::/32 via fec0::2' "$work/before"
}

# same NAME: the state is as before, and the link works
same() { state "$1" | diff "$work/before" - && look ping -c 1 -W 5 10.0.2.2 >/dev/null; }

renamed() { update pod0 $mac && same pod0; }
readdressed()
{
	update pod0 02:00:00:00:00:77 && look ip link show dev pod0 | grep -q 02:00:00:00:00:77 &&
		same pod0
}

if ok 'an initrd with the card'"'"'s driver' card_initrd &&
	ok 'boot with a card' boot card --initrd "$work/card.img" --nic --rootfs "$rootfs"; then
	ok 'the card is set up' set_up
	ok 'renaming the card while it is up' renamed
	ok 'changing the hardware address while it is up' readdressed
	ok 'stop leaves nothing' stop card
fi
