#compdef tatamictl
# SPDX-License-Identifier: Apache-2.0
# zsh completion of tatamictl

_tatamictl_vms()
{
	local -a names
	names=(${(f)"$(tatamictl ps -q 2>/dev/null)"})
	compadd -a names
}

_tatamictl_all()
{
	local -a names
	names=(${(f)"$(tatamictl ps -aq 2>/dev/null)"})
	compadd -a names
}

_tatamictl_attached()
{
	local -a names
	names=(${(f)"$(tatamictl plug --list $words[2] 2>/dev/null | awk '{ print $1 }')"})
	compadd -a names
}

_tatamictl_images()
{
	local -a names
	names=(${(f)"$(tatamictl images 2>/dev/null | awk 'NR > 1 { print $1 }')"})
	compadd -a names
}

_tatamictl_methods()
{
	local -a names
	names=(${(f)"$(tatamictl rpc --list 2>/dev/null | awk '/^  / { print $1 }')"})
	compadd -a names
}

_tatamictl()
{
	local context state state_descr line ret=1
	typeset -A opt_args
	local -a commands vm
	commands=(
		'run:boot a VM, run a command in a container, clean up'
		'boot:boot a VM with a container in the background'
		'pod:boot a VM with the pod of a file'
		'ps:list the running VMs'
		'attach:connect to a container in the background'
		'cp:copy files from or to a container'
		'plug:plug a device into a running VM'
		'unplug:remove what was plugged in'
		'exec:run a process in the container of a VM'
		'logs:print the output of a container in the background'
		'console:print the console of a guest'
		'shell:open a shell in a guest'
		'stats:print processor time, memory and tasks of a container'
		'inspect:print what is known of a VM'
		'wait:wait for the end of a VM'
		'stop:end a VM'
		'rm:remove what is kept of a VM that has ended'
		'images:list the images that were unpacked'
		'pull:download an image'
		'rmi:remove images that were unpacked'
		'check:print what a VM would be made of'
		'rpc:call a method of an agent'
	)
	vm=(
		'--rootfs[root of the container]:directory or image:_files'
		'--bundle[directory of an OCI bundle]:directory:_files -/'
		'--entrypoint[replace the entry point of the image]:program: '
		'--stop-signal[signal that ends the process]:signal: '
		'--writable[write to the root itself, not to a layer]'
		'--scratch[size of a disk for the layer]:bytes: '
		'--share[how to share directories]:kind:(virtio-fs 9p copy none)'
		'--virtiofsd[virtiofsd to use]:file:_files'
		'--virtiofs-cache[cache of virtio-fs]:policy:(never metadata auto always)'
		'*'{-v,--volume}'[mount a volume]:SRC\:DST[\:ro] or type=TYPE,...:_files'
		'*--device[give the container a block device]:IMAGE\:PATH[\:ro] or type=TYPE,...:_files'
		'*--attach[an additional share]:KIND\:PATH: '
		'--rm[keep nothing after the end]'
		'--log-size[size of a file of a log]:bytes: '
		'--log-files[files of a log]:number: '
		'--name[name of the VM]:name: '
		'(-t --tty)'{-t,--tty}'[give the process a terminal]'
		'(-i --interactive)'{-i,--interactive}'[pass standard input on]'
		'*'{-e,--env}'[environment variable]:KEY=VALUE: '
		'(-w --cwd)'{-w,--cwd}'[working directory]:directory: '
		'(-u --user)'{-u,--user}'[user and group]:USER[\:GROUP]: '
		'--hostname[host name]:name: '
		'--read-only[read-only root]'
		'--privileged[all capabilities, nothing masked]'
		'--guest-proc[mount /proc of the guest]:directory: '
		'--memory[memory of the VM]:MiB: '
		'--cpus[processors of the VM]:number: '
		'--max-memory[memory including hot-plugged memory]:MiB: '
		'--max-cpus[processors including hot-plugged ones]:number: '
		'--hotplug-ports[PCI ports for plug]:number: '
		'--kernel[kernel to boot]:file:_files'
		'--initrd[initrd to boot]:file:_files'
		'--root-image[disk to boot from]:file:_files'
		'--root-nvdimm[that disk is an NVDIMM]'
		'--root-parameters[kernel parameters for that disk]:parameters: '
		'--agent-binary[another agent]:file:_files'
		'--other-agent[the agent of --root-image or --initrd is not tatami]'
		'--nic[add a network card]'
		'--network[add a network card and configure it]:program:(user passt)'
		'--no-network[leave the card unconfigured]'
		'*'{-p,--publish}'[forward a port of the host]:[ADDRESS\:]HOSTPORT\:GUESTPORT: '
		'--no-container[make no call to the agent]'
		'--debug-console[offer the debug console to shell]'
		'--gdb[let the VM wait for gdb]'
		'--append[more kernel parameters]:parameters: '
		'--arch[architecture of the guest]:architecture:(x86_64 aarch64)'
		'--machine[machine of QEMU]:machine:(q35 microvm virt)'
		'*--qemu-arg[one more argument for QEMU]:argument: '
		'--log[log level of the agent]:level:(error warn info debug)'
		'--accel[accelerator]:accelerator:(kvm tcg)'
		'--icount[count instructions as time]'
		'--boot-timeout[time limit of the boot]:seconds: '
		'--timeout[time limit of a call]:seconds: '
		'(-q --quiet)'{-q,--quiet}'[no progress, no notes]'
		'--timing[print a timeline]'
		'--verbose[print the console on failure]'
		'(- *)'{-h,--help}'[print a summary]'
	)

	_arguments -C '(- *)--help[print a summary]' '(- *)--version[print the version]' \
		'1:command:->command' '*::argument:->argument' && ret=0
	case $state in
	command)
		_describe command commands && ret=0 ;;
	argument)
		# $words[1] is the command now.
		case $words[1] in
		run)
			_arguments -S $vm '(-d --detach)'{-d,--detach}'[go on in the background]' '--in[the running VM for the container]:name:_tatamictl_vms' '1:image:_files' && ret=0 ;;
		boot)
			_arguments -S $vm '1:image:_files' && ret=0 ;;
		images)
			_arguments '(-q --quiet)'{-q,--quiet}'[only the digests]' '--json[print JSON]' '(- *)--help[print a summary]' && ret=0 ;;
		pull)
			_arguments '--arch[architecture]:architecture:(x86_64 aarch64)' '(-q --quiet)'{-q,--quiet}'[without progress]' '(- *)--help[print a summary]' && ret=0 ;;
		rmi)
			_arguments '(*)'{-a,--all}'[all that no VM uses]' '(- *)--help[print a summary]' '*:image:_tatamictl_images' && ret=0 ;;
		pod)
			_arguments -S $vm '*--image[where an image is]:IMAGE=DIR: ' \
				'*--claim[directory or disk of a claim]:NAME=DIR: ' \
				'--seccomp-profiles[directory of localhostProfile]:directory:_files -/' \
				'--status[print the state of a pod]:name:_tatamictl_vms' '1:file:_files' && ret=0 ;;
		attach)
			_arguments '(-c --container)'{-c,--container}'[container]:container: ' \
				'--detach-keys[keys that detach]:keys: ' '--no-stdin[pass no input on]' \
				'--close-stdin[close the input of the container at the end]' \
				'--no-signals[detach at any signal]' '--timeout[time for the connection]:seconds: ' '(- *)--help[print a summary]' '1:VM:_tatamictl_vms' && ret=0 ;;
		cp)
			_arguments '(-a --archive)'{-a,--archive}'[keep owners and devices]' \
				'(-c --container)'{-c,--container}'[container]:container: ' \
				'--timeout[time limit of a call]:seconds: ' \
				'(- *)--help[print a summary]' '*:file or NAME\:PATH:_files' && ret=0 ;;
		plug)
			_arguments '(1 2)--list[list what was plugged in]:name:_tatamictl_vms' \
				'--json[with --list, print JSON]' '--timeout[time limit of a call]:seconds: ' '(- *)--help[print a summary]' \
				'1:VM:_tatamictl_vms' '2:device:(type=blk,source= type=scsi,source= type=nic type=memory,size= type=cpu)' && ret=0 ;;
		unplug)
			_arguments '--timeout[time for the guest]:seconds: ' '(- *)--help[print a summary]' '1:VM:_tatamictl_vms' '2:id:_tatamictl_attached' && ret=0 ;;
		exec)
			_arguments -S '--privileged[all capabilities]' '--timeout[time limit of a call]:seconds: ' \
				'(-t --tty)'{-t,--tty}'[give the process a terminal]' \
				'(-i --interactive)'{-i,--interactive}'[pass standard input on]' \
				'*'{-e,--env}'[environment variable]:KEY=VALUE: ' \
				'(-w --cwd)'{-w,--cwd}'[working directory]:directory: ' \
				'(-u --user)'{-u,--user}'[user and group]:user[:group]: ' \
				'(-c --container)'{-c,--container}'[container of a pod]:container: ' \
				'--keep[let the process go on without its client]' '(- *)--help[print a summary]' \
				'1:VM:_tatamictl_vms' && ret=0 ;;
		stop)
			_arguments '(-a --all)'{-a,--all}'[all that run]' '--timeout[time for a VM to end]:seconds: ' '(- *)--help[print a summary]' \
				'*:VM:_tatamictl_vms' && ret=0 ;;
		ps)
			_arguments '(-a --all)'{-a,--all}'[also those that have ended]' \
				'(-c --containers)'{-c,--containers}'[the containers of each]' \
				'(-q --quiet)'{-q,--quiet}'[only the names]' '--json[an array of objects]' \
				'(- *)--help[print a summary]' && ret=0 ;;
		logs)
			_arguments '(-c --container)'{-c,--container}'[container]:container: ' \
				'(-f --follow)'{-f,--follow}'[go on until the VM ends]' \
				'(-n --tail)'{-n,--tail}'[only the last lines]:lines: ' \
				'--since[only lines from this time on]:time: ' \
				'(-t --timestamps)'{-t,--timestamps}'[begin each line with its time]' \
				'(- *)--help[print a summary]' '1:VM:_tatamictl_all' && ret=0 ;;
		console)
			_arguments '(-f --follow)'{-f,--follow}'[go on until the VM ends]' \
				'(-n --tail)'{-n,--tail}'[only the last lines]:lines: ' \
				'(- *)'{-h,--help}'[print a summary]' '1:VM:_tatamictl_all' && ret=0 ;;
		shell)
			_arguments '--port[vsock port of the debug console]:port: ' \
				'--timeout[time limit of the connection]:seconds: ' \
				'(- *)'{-h,--help}'[print a summary]' '1:VM:_tatamictl_vms' && ret=0 ;;
		check)
			_arguments '--arch[architecture of the guest]:architecture:(x86_64 aarch64)' \
				'--kernel[kernel to boot]:file:_files' '--initrd[initrd to boot]:file:_files' \
				'--virtiofsd[virtiofsd to use]:file:_files' '(-q --quiet)--json[an object]' \
				'(-q --quiet --json)'{-q,--quiet}'[only the exit code]' \
				'(- *)'{-h,--help}'[print a summary]' && ret=0 ;;
		stats)
			_arguments '(-c --container)'{-c,--container}'[container]:container: ' \
				'--json[the whole reply]' '--timeout[time limit of a call]:seconds: ' '(- *)--help[print a summary]' '1:VM:_tatamictl_vms' && ret=0 ;;
		inspect|wait)
			_arguments '(- *)--help[print a summary]' '*:VM:_tatamictl_all' && ret=0 ;;
		rm)
			_arguments '(-a --all)'{-a,--all}'[all that have ended]' \
				'(-f --force)'{-f,--force}'[end those that run]' '--timeout[time for a VM to end]:seconds: ' '(- *)--help[print a summary]' \
				'*:VM:_tatamictl_all' && ret=0 ;;
		rpc)
			_arguments '(2 3)--list[list the methods]' '--json[with --list, print JSON]' '--timeout[seconds to wait]:seconds: ' \
				'--raw[write the bytes of the reply]' '--compact[print the reply on one line]' '--id[container that a config.json creates]:id:' \
				'(- *)--help[print a summary]' '1:address: ' '2:method:_tatamictl_methods' \
				'3:request:_files' && ret=0 ;;
		esac ;;
	esac
	return ret
}

_tatamictl "$@"
