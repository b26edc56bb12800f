# SPDX-License-Identifier: Apache-2.0
# bash completion of tatamictl

# _tatamictl_vms: the names of the VMs that run in the background
_tatamictl_vms() { "${COMP_WORDS[0]}" ps -q 2>/dev/null; }

# _tatamictl_attached VM: the ids of what was attached to it
_tatamictl_attached() { "${COMP_WORDS[0]}" plug --list "$1" 2>/dev/null | awk '{ print $1 }'; }

# _tatamictl_images: the beginnings of the digests of the images in the cache
_tatamictl_images() { "${COMP_WORDS[0]}" images 2>/dev/null | awk 'NR > 1 { print $1 }'; }

_tatamictl_methods() { "${COMP_WORDS[0]}" rpc --list 2>/dev/null | awk '/^  / { print $1 }'; }

# _tatamictl_files TEST: files and directories that begin with the current word; TEST: -f or -d
_tatamictl_files() { compopt -o filenames; mapfile -t COMPREPLY < <(compgen "$1" -- "${COMP_WORDS[COMP_CWORD]}"); }

# _tatamictl_words WORDS: those that begin with the current word
_tatamictl_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}"); }

_tatamictl()
{
	local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD - 1]} i n=0
	local vm='--rootfs --bundle --entrypoint --stop-signal --writable --scratch --share --virtiofsd --virtiofs-cache --volume --device --in --attach --detach --rm --name --log-size --log-files --tty --interactive --env --cwd --user
		--hostname --read-only --privileged --guest-proc --memory --cpus --max-memory --max-cpus --hotplug-ports
		--kernel --initrd --root-image --root-nvdimm --root-parameters --agent-binary --other-agent --nic --network --no-network --publish --no-container --debug-console --gdb --append --arch
		--machine
		--qemu-arg --log
		--accel --icount --boot-timeout --timeout --quiet --timing --verbose --help'

	COMPREPLY=()
	if test "$COMP_CWORD" = 1; then
		_tatamictl_words 'run boot pod attach plug unplug cp ps exec logs console shell stats inspect wait stop rm images pull rmi check rpc --help --version'
		return
	fi
	for ((i = 2; i < COMP_CWORD; i++)); do
		# The container's command: its program lies in the container.
		test "${COMP_WORDS[i]}" = -- && return
		[[ ${COMP_WORDS[i]} = -* ]] || n=$((n + 1))
	done
	case ${COMP_WORDS[1]}:$last in
	rpc:--list)
		_tatamictl_words "$(_tatamictl_methods)"
		return ;;
	*:--timeout|*:--boot-timeout|*:--id|*:--port|console:-n)
		return ;;
	pod:--status|plug:--list|run:--in)
		_tatamictl_words "$(_tatamictl_vms)"
		return ;;
	*:--rootfs|*:--kernel|*:--initrd|*:--root-image|*:--agent-binary|*:--virtiofsd|*:-v|*:--volume|*:--device)
		_tatamictl_files -f
		return ;;
	*:--bundle)
		_tatamictl_files -d
		return ;;
	*:--share)
		_tatamictl_words 'virtio-fs 9p copy none'
		return ;;
	*:--image|*:--claim)
		return ;;
	*:--seccomp-profiles)
		_tatamictl_files -d
		return ;;
	*:--network)
		_tatamictl_words 'user passt'
		return ;;
	*:--virtiofs-cache)
		_tatamictl_words 'never metadata auto always'
		return ;;
	*:--accel)
		_tatamictl_words 'kvm tcg'
		return ;;
	*:--arch)
		_tatamictl_words 'x86_64 aarch64'
		return ;;
	*:--machine)
		_tatamictl_words 'q35 microvm virt'
		return ;;
	*:--log)
		_tatamictl_words 'error warn info debug'
		return ;;
	*:--attach|*:--log-size|*:--log-files|*:--since|*:--detach-keys|*:--env|*:--cwd|*:--user|*:--hostname|*:--scratch|*:--entrypoint|*:--stop-signal|*:--guest-proc|*:--memory|*:--cpus|*:--max-memory|*:--max-cpus|*:--hotplug-ports|*:--publish|*:--append|*:--qemu-arg|*:--name|*:--container|*:--tail|logs:-n|*:-[ewupc])
		return ;;
	esac
	case ${COMP_WORDS[1]}:$word in
	run:-*)
		_tatamictl_words "$vm" ;;
	boot:-*)
		_tatamictl_words "$vm" ;;
	run:*|boot:*)
		_tatamictl_files -f ;;
	images:*)
		_tatamictl_words '--quiet --json --help' ;;
	pull:*)
		_tatamictl_words '--arch --quiet --help' ;;
	rmi:-*)
		_tatamictl_words '--all --help' ;;
	rmi:*)
		_tatamictl_words "$(_tatamictl_images)" ;;
	pod:-*)
		_tatamictl_words "$vm --image --claim --seccomp-profiles --status" ;;
	pod:*)
		_tatamictl_files -f ;;
	exec:-*)
		_tatamictl_words '--container --interactive --tty --env --cwd --user --privileged --keep --timeout --help' ;;
	attach:-*)
		_tatamictl_words '--container --detach-keys --no-stdin --close-stdin --no-signals --timeout --help' ;;
	cp:-*)
		_tatamictl_words '--archive --container --timeout --help' ;;
	cp:*)
		mapfile -t COMPREPLY < <(compgen -f -- "$word"; compgen -W "$(_tatamictl_vms)" -S : -- "$word")
		compopt -o nospace ;;
	plug:-*)
		_tatamictl_words '--list --json --timeout --help' ;;
	unplug:-*)
		_tatamictl_words '--timeout --help' ;;
	plug:*)
		if test $n = 0; then
			_tatamictl_words "$(_tatamictl_vms)"
		else
			_tatamictl_words 'type=blk,source= type=scsi,source= type=nic type=memory,size= type=cpu'
			compopt -o nospace
		fi ;;
	unplug:*)
		if test $n = 0; then
			_tatamictl_words "$(_tatamictl_vms)"
		else
			_tatamictl_words "$(_tatamictl_attached "${COMP_WORDS[2]}")"
		fi ;;
	ps:*)
		_tatamictl_words '--all --containers --quiet --json --help' ;;
	logs:-*)
		_tatamictl_words '--container --follow --tail --since --timestamps --help' ;;
	console:-*)
		_tatamictl_words '--follow --tail --help' ;;
	shell:-*)
		_tatamictl_words '--port --timeout --help' ;;
	check:*)
		_tatamictl_words '--arch --kernel --initrd --virtiofsd --json --quiet --help' ;;
	stats:-*)
		_tatamictl_words '--container --json --timeout --help' ;;
	stop:-*)
		_tatamictl_words '--all --timeout --help' ;;
	rm:-*)
		_tatamictl_words '--all --force --timeout --help' ;;
	inspect:-*|wait:-*)
		_tatamictl_words --help ;;
	logs:*|console:*|inspect:*|wait:*|rm:*)
		_tatamictl_words "$("${COMP_WORDS[0]}" ps -aq 2>/dev/null)" ;;
	attach:*|exec:*|stop:*|stats:*|shell:*)
		_tatamictl_words "$(_tatamictl_vms)" ;;
	rpc:-*)
		_tatamictl_words '--list --json --timeout --raw --compact --id --help' ;;
	rpc:*)
		if test $n = 0; then
			_tatamictl_words "unix:// vsock:// tcp:// hvsock:// $(_tatamictl_vms)"
			compopt -o nospace
		elif test $n = 1; then
			_tatamictl_words "$(_tatamictl_methods)"
		fi ;;
	esac
}

complete -F _tatamictl tatamictl
