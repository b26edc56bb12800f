# SPDX-License-Identifier: Apache-2.0
# only on: ours
# shellcheck shell=bash
# The calls of both runtimes in a pod's whole life (tests/transcript), made to an agent in a freshly
# booted VM, with all their comparisons.

share=$work/transcript

# root ID...: creates root file systems in the share, where the runtime puts them
make_roots()
{
	local id
	for id in "$@"; do
		mkdir -p "$share/$id" && userland "$share/$id/rootfs" || return 1
	done
}

replay()
{
	timeout -k 5 150 "$BUILD/asan/tests/transcript/replay" "$address" \
		"tests/transcript/$1.transcript" TAG=share0 MAC=02:00:00:00:00:01
}

bare() { boot "$1" --no-container --nic --attach "virtio-fs:$share"; }

# Both runtimes abandon a VM whose connection breaks: it must end by itself after DestroySandbox.
ends()
{
	within 60 test ! -S "$vmdir/qmp.sock" && return 0
	tail -n 5 "$vmdir/console.log"
	return 1
}

make_roots 6f3c1e0a9b a17d22c3 passthrough/rs0 passthrough/rs1
echo "the host's file" >"$share/a17d22c3-0011223344556677-hostname"
if ok 'boot a VM without a sandbox' bare go; then
	ok 'the runtime in Go: a pod'"'"'s life' replay go
	ok 'the VM powers off by itself' ends
	vms=()
fi
if ok 'boot another VM' bare rust; then
	ok 'the runtime in Rust: a pod'"'"'s life' replay rust
	ok 'stop leaves nothing' stop rust
fi
rm -rf "$share"
