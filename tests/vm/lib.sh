# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Functions shared by the scenarios. Each scenario has $kernel, $scenario, $work (its own files,
# removed at the end), $rootfs (the userland of its lane) and ctl.

# rootfs of the VM's main container, in the guest
guest_rootfs=/run/kata-containers/shared/containers/main/rootfs
vms=()

# ctl ARGUMENT...: tatamictl with a time limit
ctl() { timeout -k 5 "${LIMIT:-180}" "$OUT/tatamictl" "$@"; }

# kernel_file: this kernel, uncompressed if it is there: with vmlinuz, an emulated guest spends most
# of its boot on unpacking (scenarios ctl, snapshot and recordings do).
kernel_file()
{
	local file=$OUT/kernel/$kernel/vmlinux
	test -f "$file" || file=${file%x}z
	echo "$file"
}

# vm_options: the options that boot this kernel. Directories are shared by 9p unless a scenario says
# otherwise: it has no second program whose state a failure could depend on.
vm_options() \
	{ echo --share "${SHARE:-9p}" --kernel "$(kernel_file)" --initrd \
	"$OUT/kernel/$kernel/initrd.img"; }

# ok NAME COMMAND...: one test; the command's output is shown if it fails
ok()
{
	local status=0
	try "$@" || status=$?
	test "$1" = "${LAST-}" || return $status
	# skips the rest of the scenario
	lane_end
	exit $status
}

try()
{
	local name=$1 begin=${EPOCHREALTIME/./}
	shift
	tests_run=$((tests_run + 1))
	if "$@" >"$work/said" 2>&1; then
		echo "ok - $kernel $scenario: $name ($(((${EPOCHREALTIME/./} - begin) / 1000)) ms)"
		return 0
	fi
	vm_end >>"$work/said"
	failed "$name" "$(sed 's/^/#   /' "$work/said" | tail -n 40)"
	return 1
}

# vm_end: what is known of each VM that no longer runs, once per VM
vm_end()
{
	local vm dir
	for vm in ${vms[@]+"${vms[@]}"}; do
		dir=${vmdir%/*}/$vm
		test ! -e "$work/end-$vm" && no_process "qemu-system.*$dir/" || continue
		: >"$work/end-$vm"
		echo "VM $vm is not running; its state and the end of its console:"
		cat "$dir/state.json" 2>/dev/null
		tail -n 15 "$dir/vhost-device-vsock.log" "$work/console-$vm" 2>/dev/null
	done
}

# failed NAME TEXT: reports a failed test, unless it will be retried. $tests_run already counts it.
failed()
{
	local how='not ok -'
	if test "$again" = 1; then
		how='# failed:' tests_run=$((tests_run - 1))
		failures=$failures,$1
		echo "$kernel $scenario: $1" >>"$base/unsteady"
	else
		tests_failed=$((tests_failed + 1))
	fi
	# A single write: the other lane writes as well.
	printf '%s\n' "$how $kernel $scenario: $1${2:+
$2}"
}

skip()
{
	tests_run=$((tests_run + 1))
	echo "ok - $kernel $scenario: $1 # SKIP $2"
}

# ok_on_terminal NAME COMMAND...: as ok, if the user can open a terminal, which a devpts that was
# mounted without ptmxmode leaves to root
ok_on_terminal()
{
	if script -qc true /dev/null </dev/null >/dev/null 2>&1; then
		ok "$@"
	else
		skip "$1" 'the user cannot open a terminal on this machine'
	fi
}

# ok_as_root NAME WHY COMMAND...: as ok; an ordinary user skips it, because of WHY
ok_as_root()
{
	if test "$(id -u)" = 0; then
		ok "$1" "${@:3}"
	else
		skip "$1" "$2"
	fi
}

# is WANT COMMAND...: the command succeeds and prints WANT
is()
{
	local want=$1 got
	shift
	got=$("$@") || { echo "failed with $?: $*"; echo "$got"; return 1; }
	test "$got" = "$want" || { echo "printed: $got"; echo "not: $want"; return 1; }
}

# code WANT COMMAND...: the command exits with code WANT
code()
{
	local want=$1 got=0
	shift
	"$@" </dev/null || got=$?
	test "$got" = "$want" || { echo "exit code $got, not $want: $*"; return 1; }
}

# says TEXT COMMAND...: the command fails and its output contains TEXT
says()
{
	local text=$1 got
	shift
	if got=$("$@" 2>&1); then
		echo "it succeeded: $got"
		return 1
	fi
	case $got in *"$text"*) return 0 ;; esac
	echo "printed: $got"
	return 1
}

# has_event NAME FILE [KEY=VALUE...]: FILE has a record of this event (docs/log-events.md) with
# these fields
has_event()
{
	local name=$1 file=$2 text field
	shift 2
	text=$(grep -a "\"event\":\"$name\"" "$file") || return 1
	for field; do
		text=$(grep -F "\"${field%%=*}\":\"${field#*=}\"" <<<"$text") || return 1
	done
}

# within SECONDS COMMAND...: retries the command ten times a second until it succeeds or the time is
# over
within()
{
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@"; do
		test "${EPOCHREALTIME/./}" -lt $end || { echo "not in time: $*"; return 1; }
		sleep 0.1
	done
}

# boot NAME OPTION...: boots a VM in the background; sets $address and $vmdir. A --rootfs is used
# as it is: the agent's storages are tested, not tatamictl's layer.
# $boot_options replaces the options of the kernel.
boot()
{
	local name=$1 writable=
	shift
	case " $* " in *' --rootfs '*) writable=--writable ;; esac
	# shellcheck disable=SC2046
	ctl boot --name "$name" $writable ${boot_options-$(vm_options)} "$@" || return 1
	vms+=("$name")
	vmdir=${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/tatami}
	vmdir=${vmdir:-/tmp/tatami-vms-$(id -u)}/$name
	address=$(sed -n 's/.*"address": "\(.*\)".*/\1/p' "$vmdir/state.json")
	# Keep the console: tatamictl removes it with the VM, and it is needed most when the VM
	# dies.
	ln -f "$vmdir/console.log" "$work/console-$name" 2>/dev/null
	test -n "$address"
}

# The first process of a privileged container has all capabilities, unlike processes executed later.
# With this command it runs the scripts that privileged() puts in /dev/shm. Each has an id, which
# comes first and, with the exit status, last in its output.
# shellcheck disable=SC2016,SC2034
obeys='mkfifo /dev/shm/command /dev/shm/output; while :; do read -r id line </dev/shm/command; { echo "$id"; sh -c "$line"; printf "\n%s %s\n" "$id" $?; } >/dev/shm/output 2>&1; done'
# privileged NAME COMMAND: prints its output and returns its exit status. The output of a
# command whose caller was killed is dropped.
privileged()
{
	# shellcheck disable=SC2016
	printf '%s %s\n' "$BASHPID-${EPOCHREALTIME/./}" "$2" | ctl exec -i "$1" -- sh -c '
		read -r id line
		said=/dev/shm/said-$id got=
		printf "%s %s\n" "$id" "$line" >/dev/shm/command
		while test "$got" != "$id"; do cat /dev/shm/output >"$said"; read -r got <"$said"; done
		sed "1d;\$d" "$said" | sed "\${/^\$/d;}"
		status=$(sed -n "\$s/.* //p" "$said")
		rm "$said"
		exit "$status"'
}

# guest_busybox NAME ARGUMENT...: runs busybox in the guest's own mount namespace; the VM must be
# booted with --guest-proc /hostproc
guest_busybox()
{
	local name=$1
	shift
	privileged "$name" "nsenter --mount=/hostproc/1/ns/mnt $guest_rootfs/bin/busybox $*"
}

stop()
{
	ctl stop "$1" && ctl rm "$1" || return 1
	local rest=() vm
	for vm in ${vms[@]+"${vms[@]}"}; do test "$vm" = "$1" || rest+=("$vm"); done
	vms=(${rest[@]+"${rest[@]}"})
	test ! -e "$vmdir" || { echo "$vmdir is still there"; return 1; }
	within 60 no_process "$vmdir/" >/dev/null && return 0
	echo 'left:'
	pgrep -af "$vmdir/"
	return 1
}

# no_process TEXT: no process has TEXT in its command line
no_process() { ! pgrep -f "$1" >/dev/null; }

# vsock_address: the VM's address in the format of vsock-cat
vsock_address() { case $address in vsock://*) echo "$address" ;; *) echo "$vmdir/vsock.sock" \
	;; esac; }

# rpc METHOD JSON
rpc() { ctl rpc "$address" "$@"; }

# spec ID ROOT COMMAND...: a CreateContainer request as JSON, without storages
spec()
{
	local id=$1 root=$2 args='' a
	shift 2
	for a in "$@"; do args="$args${args:+,}\"$a\""; done
	cat <<-END
	{"container_id":"$id","OCI":{"Version":"1.1.0","Root":{"Path":"$root"},
	 "Process":{"Args":[$args],"Env":["PATH=/bin:/sbin:/usr/bin:/usr/sbin"],"Cwd":"/","User":{}, "Capabilities":{}},
	 "Mounts":[{"destination":"/proc","type":"proc","source":"proc"},
	  {"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","mode=755"]}${EXTRA_MOUNTS-}],
	 "Linux":{"CgroupsPath":"/$id","Namespaces":[{"Type":"mount"},{"Type":"ipc"},{"Type":"uts"}]}}${EXTRA_FIELDS-}}
	END
}

# disk_options: the options that boot this kernel from a disk. The distribution's kernel needs
# modules for that: its initrd is replaced by one that loads them and switches to the disk.
disk_options()
{
	local tree=$work/switch
	printf -- '--kernel %s' "$(kernel_file)"
	test "$kernel" = distro || return 0
	if test ! -f "$work/switch.img"; then
		mkdir -p "$tree/bin" "$tree/proc" "$tree/disk" &&
			zcat "$OUT/kernel/distro/initrd.img" |
			(cd "$tree" &&
			cpio -id --quiet --no-absolute-filenames 'etc/tatami/*' 'lib/*') &&
			cp "$rootfs/bin/busybox" "$tree/bin/busybox" || return 1
		cat >"$tree/init" <<-'END'
		#!/bin/busybox sh
		export PATH=/bin
		busybox mkdir -p /dev
		busybox mount -t devtmpfs dev /dev
		while read -r module parameters; do busybox insmod $module $parameters; done </etc/tatami/modules
		until test -b /dev/vda1; do busybox usleep 10000; done
		busybox mount -t ext4 -o ro /dev/vda1 /disk || exit 1
		busybox umount -l /dev
		exec busybox switch_root /disk /sbin/init
		END
		chmod 755 "$tree/init"
		(cd "$tree" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/switch.img" ||
			return 1
	fi
	printf -- ' --initrd %s' "$work/switch.img"
}

# copy_program TREE FILE: copies a program of this machine with its libraries
copy_program()
{
	local library
	mkdir -p "$1${2%/*}" && cp -L "$2" "$1$2" || return 1
	ldd "$2" | awk '$2 == "=>" && $3 ~ /^\// { print $3 } $1 ~ /^\// { print $1 }' |
		while read -r library; do
		mkdir -p "$1${library%/*}" && cp -L "$library" "$1$library" || return 1
	done
}

# iptables_into TREE: copies the programs that save and restore rules
iptables_into()
{
	local tree=$1 tool
	local extensions=/usr/lib/$(gcc -dumpmachine)/xtables
	mkdir -p "$tree$extensions" "$tree/run" &&
		copy_program "$tree" /usr/sbin/xtables-legacy-multi || return 1
	for tool in iptables ip6tables; do
		ln -s xtables-legacy-multi "$tree/usr/sbin/$tool-save" &&
			ln -s xtables-legacy-multi "$tree/usr/sbin/$tool-restore" || return 1
	done
	for tool in libxt_standard libxt_comment libipt_icmp libip6t_icmp6 libxt_tcp; do
		cp "$extensions/$tool.so" "$tree$extensions/" || return 1
	done
}

# initrd_with TREE FILE: this kernel's initrd followed by a second archive with the tree
initrd_with() { initrd_join "$OUT/kernel/$kernel/initrd.img" "$1" "$2"; }

# initrd_join INITRD TREE FILE: an initrd followed by a second archive with the tree, whose files
# replace those of the first. Unpacking the first would need root, for its device nodes.
initrd_join()
{
	(cd "$2" && find . -mindepth 1 | cpio -o -H newc -R 0:0 --quiet | gzip -1) >"$3.cpio" &&
		cat "$1" "$3.cpio" >"$3"
}

# verity_append FILE: appends the tree of hashes to an image; its root is in FILE.hash, its place in
# FILE.offset
verity_salt=00112233445566778899aabbccddeeff
verity_append()
{
	local size
	size=$((($(stat -c %s "$1") + 4095) / 4096 * 4096))
	truncate -s "$size" "$1" && echo $size >"$1.offset" &&
		veritysetup format --salt $verity_salt --hash-offset "$size" "$1" "$1" |
		awk '/^Root hash:/ { print $3 }' >"$1.hash" && test -s "$1.hash"
}

# verity_options FILE [HASH]: prints the options of a storage with such an image
verity_options()
{
	local hash=${2:-$(cat "$1.hash")}
	echo '"X-kata.dmverity-enabled=true","X-kata.dmverity.roothash='"$hash"'",
		"X-kata.dmverity.hashoffset='"$(cat "$1.offset")"'","X-kata.dmverity.salt='$verity_salt'"'
}

# ignore_agent: builds the agent that can ignore a field of a spec, as $work/tatami-ignore
ignore_agent()
{
	test ! -f "$work/tatami-ignore" || return 0
	flock "$base/lock-ignore" scripts/mk ignore tatami &&
		strip -s -o "$work/tatami-ignore" "$BUILD/ignore/tatami"
}

build_tools()
{
	mkdir -p "$work/bin"
	"$(scripts/deps)/bin/musl-cc" -std=c17 -D_GNU_SOURCE -O1 -static tests/vm/vsock-probe.c -o \
		"$work/bin/vsock-probe" &&
		"$(scripts/deps)/bin/musl-cc" -std=c17 -D_GNU_SOURCE -O1 -Wall -static \
		tests/vm/net-probe.c -o "$work/bin/net-probe" &&
		"$(scripts/deps)/bin/musl-cc" -std=c17 -D_GNU_SOURCE -O1 -Wall -static \
		tests/vm/watch-probe.c -o "$work/bin/watch-probe" &&
		"$(scripts/deps)/bin/musl-cc" -std=c17 -D_GNU_SOURCE -O1 -Wall -static \
		tests/vm/mount-probe.c -o "$work/bin/mount-probe" &&
		"$(scripts/deps)/bin/musl-cc" -std=c17 -D_GNU_SOURCE -O1 -Wall -static \
		tests/vm/other-agent.c -o "$work/bin/other-agent" &&
		cc -std=c17 -D_GNU_SOURCE -O1 -Wall tests/vm/hangfs.c -o "$work/bin/hangfs" &&
		cc -std=c17 -D_GNU_SOURCE -O1 -Wall tests/vm/qmp.c -o "$work/bin/qmp" &&
		cc -std=c17 -D_GNU_SOURCE -O1 -Wall tests/vm/pmem-header.c -o \
		"$work/bin/pmem-header" &&
		cc -std=c17 -D_GNU_SOURCE -O1 -Wall tests/vm/pty.c -o "$work/bin/pty" -lutil &&
		cc -std=c17 -D_GNU_SOURCE -O1 -Wall tests/vm/vsock-cat.c -o "$work/bin/vsock-cat" ||
		{ echo 'Bail out! the tools of the vm tests cannot be built'; exit 1; }
}

# Checks that the scenario left nothing: its VMs are stopped, and no QEMU or helper of it runs.
scenario_end()
{
	local vm
	for vm in ${vms[@]+"${vms[@]}"}; do
		echo "# console of $vm:"
		tail -n 30 "$work/console-$vm" 2>/dev/null | sed 's/^/#   /'
		ctl rm -f "$vm" >/dev/null 2>&1
	done
	vms=()
}

# userland DIRECTORY: makes a userland anew. The lane's own, $rootfs, keeps the directories that the
# mounts of former scenarios made in it.
userland()
{
	rm -rf --one-file-system "$1" && scripts/demo-rootfs "$1" >/dev/null 2>&1 &&
		belongs_to_all "$1"
}

# belongs_to_all PATH...: lets any process of a container write to these. A directory of an
# ordinary user does not belong to the guest's root, and most containers here have no capability.
belongs_to_all() { test "$(id -u)" = 0 || chmod 777 "$@"; }

# sample: passes on a share of the lines on stdin, SOAK_PERCENT of them. Which ones, changes from
# commit to commit.
sample()
{
	awk -v percent="${SOAK_PERCENT:-100}" \
		-v first="$(git rev-list --count HEAD 2>/dev/null || echo 0)" \
		'{ n = first + NR } int(n * percent / 100) != int((n - 1) * percent / 100)'
}

cleanup()
{
	scenario_end
	test -z "${lane_files-}" || remove_files "$work"
	remove_files "${lane_files:-$base}"
}

# remove_files DIR: unmounts what a scenario may have mounted in it, and removes it
remove_files()
{
	find "$1" -maxdepth 1 -name 'mnt*' -exec umount -l {} \; 2>/dev/null
	rm -rf --one-file-system "$1"
}
