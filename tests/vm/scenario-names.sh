# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# only on: ours
# Effects of CreateSandbox on the guest itself: resolv.conf, hostname, hosts, kernel modules; and
# the support of our kernel for nested containers. The guest's initrd has the kernel's module tree
# and a userland in /box, whose containers inspect the guest.

# make_initrd: builds that initrd
make_initrd()
{
	local kernel_dir tree=$work/names-tree
	kernel_dir=$(kernel-config/build --cached) || return 1
	mkdir -p "$tree/box" "$tree/lib" && cp -a "$rootfs/." "$tree/box/" &&
		cp "$work/bin/net-probe" "$tree/box/bin/" &&
		cp -a "$kernel_dir/lib/modules" "$tree/lib/" &&
		"$OUT/tatami-initrd" --quiet -o "$work/names.img" --init "$OUT/tatami" \
		--tree "$tree"
}

create() { rpc CreateSandbox "$1"; }
sandbox='{"sandbox_id":"names","hostname":"pod-one","dns":["nameserver 10.1.2.3 ",""," search example.org"],"kernel_modules":[MODULE]}'
with_module() { printf '%s' "${sandbox/MODULE/$1}"; }

# in_guest SCRIPT: runs a container with the guest's /etc and /sys, shows its output and returns its
# exit code
in_guest()
{
	EXTRA_MOUNTS=',{"destination":"/guest-etc","type":"bind","source":"/etc","options":["rbind","ro"]},{"destination":"/sys","type":"bind","source":"/sys","options":["rbind","ro"]}'
	rpc CreateContainer "$(spec look /box sh -c "$1")" >/dev/null || return 1
	EXTRA_MOUNTS=''
	local status=0
	rpc StartContainer '{"container_id":"look"}' >/dev/null || status=1
	rpc ReadStdout '{"container_id":"look","exec_id":"look","len":4096}' |
		sed -n 's/.*"data": "\(.*\)".*/\1/p' | base64 -d
	rpc WaitProcess '{"container_id":"look","exec_id":"look"}' | grep -q '"status": 0' ||
		status=1
	rpc RemoveContainer '{"container_id":"look"}' >/dev/null && return $status
}

# nested_network: tests the kernel's network features that nested containers use, in a container
# with its own network namespace
nested_network()
{
	local caps='["CAP_NET_ADMIN","CAP_NET_RAW"]' all
	all="{\"Bounding\":$caps,\"Effective\":$caps,\"Permitted\":$caps}"
	rpc CreateContainer \
		"$(spec nested /box net-probe |
		sed "s/\"Capabilities\":{}/\"Capabilities\":$all/; s/{\"Type\":\"uts\"}/&,{\"Type\":\"network\"}/")" >/dev/null || return 1
	rpc StartContainer '{"container_id":"nested"}' >/dev/null || return 1
	# The whole output has been printed by now: one read takes only what is available.
	rpc WaitProcess '{"container_id":"nested","exec_id":"nested"}' >/dev/null || return 1
	rpc ReadStdout '{"container_id":"nested","exec_id":"nested","len":4096}' |
		sed -n 's/.*"data": "\(.*\)".*/\1/p' | base64 -d
	rpc RemoveContainer '{"container_id":"nested"}' >/dev/null
}

mkdir -p "$work/names-tree"
if ok 'make a guest with modules' make_initrd &&
	ok 'boot the guest' boot names --no-container --initrd "$work/names.img"; then
	ok 'an unknown module is reported by name' says \
		'failed to load kernel module no-such-thing' \
		create "$(with_module '{"name":"no-such-thing"}')"
	ok 'CreateSandbox' create \
		"$(with_module \
		'{"name":"ifb","parameters":["numifbs=3"]},{"name":"dummy","parameters":["numdummies=3"]}')"
	ok 'resolv.conf has the lines of the host' is $'nameserver 10.1.2.3\n\nsearch example.org' \
		in_guest 'cat /guest-etc/resolv.conf'
	ok 'the hostname in the file and in the kernel' is 'pod-one pod-one' in_guest \
		'echo $(cat /guest-etc/hostname) $(hostname)'
	ok 'hosts has the hostname in addition to the entries of the image' is \
		$'127.0.0.1\tlocalhost\n127.0.1.1\tpod-one' in_guest 'grep -E ^127 /guest-etc/hosts'
	ok 'the module is loaded with its parameter' is 'ifb0 ifb1 ifb2' in_guest \
		'echo $(ls /sys/class/net | grep ifb)'
	ok 'IPVS, IPsec policies, NFQUEUE and dummy interfaces work in a container' is \
		$'ipvs\nxfrm\nnfqueue\ndummy' nested_network
	ok 'a parameter of a built-in module causes a warning' has_event module-parameter-refused \
		"$vmdir/console.log" module=dummy parameter=numdummies
	ok 'stop leaves nothing' stop names
fi
rm -rf "$work/names-tree"
