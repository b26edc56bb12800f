# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2016
# Part of tests/check-ctl: config.json of the OCI runtime specification, as a bundle and in a call.

# bundle NAME ARGUMENTS: makes a bundle with this process (a JSON list), after what podman writes
bundle()
{
	local dir=$scratch/$1 name
	rm -rf "$dir" && mkdir -p "$dir/rootfs" "$dir/userdata/shm" "$dir/data" || return 1
	for name in hosts hostname resolv.conf .containerenv; do : >"$dir/userdata/$name"; done
	edited ".process.args = $2" >"$dir/config.json"
}
# edited FILTER: the file of podman, in which jq rounds a number
edited() { jq "$1" <tests/data/oci/podman.json |
	sed 's/18446744073709552000/18446744073709551615/'; }
vm_bundle=("${vm[@]/--rootfs/--bundle}")
vm_bundle=("${vm_bundle[@]/$scratch\/root/$scratch\/web}")

bundled()
{
	bundle web '["sh", "-c", "echo $GREETING $HOME; exit 4"]' || return 1
	local status=0
	ctl run "${vm_bundle[@]}" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
	test $status = 4 && test "$(cat "$scratch/out")" = 'hello /home/app' ||
		{ echo "exit code $status"; cat "$scratch/out" "$scratch/err"; return 1; }
	test "$(grep -c \
		'config.json: ignored: .*hooks.poststop, linux.devices\[1\], .*linux.namespaces\[1\].path$' "$scratch/err")" = 1 || { cat "$scratch/err"; return 1; }
	prints 'bye /home/app' ctl run "${vm_bundle[@]}" -e GREETING=bye -- sh -c \
		'echo $GREETING $HOME' && nothing_left
}
passes 'run --bundle: process, exit code, what is ignored' bundled
booted_bundle()
{
	ctl boot --name web "${vm_bundle[@]}" -- sleep 1000 2>"$scratch/err" ||
		{ cat "$scratch/err"; return 1; }
	ctl inspect web |
		jq -e '.containers[0].request | .container_id == "main" and .OCI.Process.Rlimits[2].Hard == "18446744073709551615" and
		(.OCI.Mounts | length) == 12 and ([.OCI.Linux.Namespaces[].Type] | join(" ")) == "ipc uts mount cgroup"' >/dev/null || { ctl inspect web; return 1; }
	prints 'hello' ctl exec web -- sh -c 'echo $GREETING' && ctl rm -f web && nothing_left
}
passes 'boot --bundle: the recorded request, exec inherits' booted_bundle
bundle_wrong()
{
	edited '.linux.sysctls = {}' >"$scratch/web/config.json"
	fails 2 'web/config.json: linux.sysctls: unknown field' ctl run "${vm_bundle[@]}" ||
		return 1
	fails 2 'failed to look up bundle' ctl run --bundle "$scratch/none" &&
		fails 2 'failed to open' ctl run --bundle "$scratch"
}
passes 'run --bundle: an unknown field, no bundle' bundle_wrong

# A config.json as it is, with a name of its own, and as part of a request.
called()
{
	bundle box '["sh", "-c", "exit 6"]' && ctl boot --name vm "${vm[@]}" || return 1
	ctl rpc vm CreateContainer "@$scratch/box/config.json" >"$scratch/out" 2>"$scratch/err" ||
		{ cat "$scratch/err"; return 1; }
	said 'ignored: process.user.umask, ' "$scratch/err" &&
		said 'the container is "box"' "$scratch/err" || return 1
	ctl rpc vm StartContainer '{"container_id": "box"}' >/dev/null && prints 6 exit_of box ||
		return 1
	ctl rpc --id other vm CreateContainer - <"$scratch/box/config.json" >/dev/null \
		2>"$scratch/err" && ! grep -q 'the container is' "$scratch/err" || return 1
	ctl rpc vm StartContainer '{"container_id": "other"}' >/dev/null &&
		prints 6 exit_of other || return 1
	ctl rpc vm CreateContainer \
		"$(edited \
		'{container_id: "third", OCI: (.process.args = ["sh", "-c", "exit 6"])}')" >/dev/null 2>&1 &&
		ctl rpc vm StartContainer '{"container_id": "third"}' >/dev/null &&
		prints 6 exit_of third || return 1
	ctl rpc vm CreateContainer \
		'{"container_id": "fourth", "OCI": {"Process": {"Args": ["true"]}}}' >/dev/null ||
		return 1
	code 2 ctl rpc vm CreateContainer '{"process": {"arg": []}}' 2>"$scratch/err" &&
		said 'process.arg: unknown field' "$scratch/err" || return 1
	ctl rm -f vm && nothing_left
}
exit_of() { ctl rpc vm WaitProcess "{\"container_id\": \"$1\", \"exec_id\": \"$1\"}" | jq .status; }
passes 'rpc CreateContainer takes a config.json' called
