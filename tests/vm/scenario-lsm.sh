# SPDX-License-Identifier: Apache-2.0
# soak: distro
# shellcheck shell=bash
# only on: distro
# Labels of security modules: the distribution's kernel has AppArmor and SELinux, each tested in its
# own VM with a small policy loaded; and labels without either.

# lsm_tools: puts the policies in a rootfs that the VM shares
lsm_tools()
{
	test -d "$work/lsm-rootfs" && return
	scripts/demo-rootfs "$work/lsm-rootfs" >/dev/null && mkdir -p "$work/lsm-rootfs/hostproc" &&
		tests/oci/probe-build "$work/lsm-rootfs/bin/oci-probe" &&
		apparmor_parser -M /etc/apparmor.d/abi/3.0 -Q -K -o "$work/lsm-rootfs/apparmor" \
		tests/vm/lsm/apparmor.profiles &&
		checkpolicy -U allow -c 31 -o "$work/lsm-rootfs/selinux" tests/vm/lsm/selinux.conf
}

lsm_boot()
{
	local name=$1 agent=()
	shift
	if test "$SOAK" = 1; then
		ignore_agent >&2 || return 1
		agent=(--agent-binary "$work/tatami-ignore")
	fi
	lsm_tools && boot "$name" ${agent[@]+"${agent[@]}"} --rootfs "$work/lsm-rootfs" \
		--privileged --guest-proc /hostproc --memory 512 --append "$*"
}

lsm_cases()
{
	ROOTFS="$work/lsm-rootfs" GUEST_ROOTFS=$guest_rootfs timeout -k 10 300 \
		"$BUILD/asan/tests/oci/oci-suite" "$address" "$@" >"$work/lsm-said" 2>&1 ||
		{ cat "$work/lsm-said"; return 1; }
	# Without the module, the cases skip themselves.
	! grep '^ok .*# SKIP' "$work/lsm-said"
}

# lsm_ignored TEXT: the rows of docs/oci.md whose case has TEXT in its name, run with the field
# ignored
lsm_ignored()
{
	tests/oci/rows docs/oci.md |
		awk -F '\t' -v text="$1" -v OFS='\t' 'index($3, text) { print $1, $3 }' \
		>"$work/lsm-rows"
	test -s "$work/lsm-rows" && SOAK=0 lsm_cases --rows "$work/lsm-rows"
}

# lsm_load FILESYSTEM COMMAND: runs COMMAND in a privileged container with that file system at /mnt
lsm_load()
{
	local caps='"CAP_MAC_ADMIN","CAP_SYS_ADMIN","CAP_DAC_OVERRIDE"'
	EXTRA_MOUNTS=",{\"destination\":\"/mnt\",\"type\":\"$1\",\"source\":\"$1\"}" spec load \
		"$guest_rootfs" /bin/sh -c "$2" |
		sed "s/\"Capabilities\":{}/\"Capabilities\":{\"Bounding\":[$caps],\"Effective\":[$caps],\"Permitted\":[$caps]}/" >"$work/load.json"
	rpc CreateContainer "$(cat "$work/load.json")" &&
		rpc StartContainer '{"container_id":"load"}' &&
		rpc WaitProcess '{"container_id":"load"}' | tee "$work/load" &&
		! grep -q '"status": *[1-9]' "$work/load" &&
		rpc RemoveContainer '{"container_id":"load"}'
}

# lsm_create ID PROCESS-FIELDS: CreateContainer
lsm_create()
{
	rpc CreateContainer "$(spec "$1" "$guest_rootfs" /bin/true | sed "s/\"Process\":{/&$2/")"
}

if ! command -v apparmor_parser >/dev/null || ! command -v checkpolicy >/dev/null; then
	skip 'labels' 'apparmor_parser or checkpolicy is missing: run scripts/setup'
else
	if ok 'boot with AppArmor' lsm_boot aa apparmor=1 security=apparmor; then
		ok 'load profiles' lsm_load securityfs 'cat /apparmor >/mnt/apparmor/.load'
		ok 'a profile confines init and execs' lsm_cases --only 'AppArmor profile'
		test "$SOAK" = 0 || ok 'the case fails when the field is ignored' lsm_ignored \
			AppArmor
		ok 'stop leaves nothing' stop aa
	fi
	if ok 'boot with SELinux' lsm_boot se selinux=1 security=selinux; then
		ok 'load a policy' lsm_load selinuxfs 'dd if=/selinux of=/mnt/load bs=1M'
		ok 'a label applies to init, execs and mounts' lsm_cases --only 'SELinux'
		test "$SOAK" = 0 || ok 'the cases fail when the fields are ignored' lsm_ignored \
			SELinux
		ok 'stop leaves nothing' stop se
	fi
	if ok 'boot with neither, and strict labels' lsm_boot none lsm=yama agent.strict_lsm=true; \
		then
		ok 'a profile is refused' says 'process.apparmorProfile: the guest' lsm_create p1 \
			'"ApparmorProfile":"x",'
		ok 'a label is refused' says 'process.selinuxLabel: the guest' lsm_create p2 \
			'"SelinuxLabel":"u:r:x",'
		ok 'an unconfined profile is accepted' lsm_create p3 \
			'"ApparmorProfile":"unconfined",'
		ok 'stop leaves nothing' stop none
	fi
fi
