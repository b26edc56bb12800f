# SPDX-License-Identifier: Apache-2.0
# fish completion of tatamictl

function __tatamictl_vms
    tatamictl ps -q 2>/dev/null
end

function __tatamictl_all
    tatamictl ps -aq 2>/dev/null
end

function __tatamictl_attached
    tatamictl plug --list (commandline -opc)[3] 2>/dev/null | awk '{ print $1 }'
end

# The number of words behind the command.
function __tatamictl_has
    test (count (commandline -opc)) = $argv[1]
end

function __tatamictl_images
    tatamictl images 2>/dev/null | awk 'NR > 1 { print $1 }'
end

function __tatamictl_methods
    tatamictl rpc --list 2>/dev/null | awk '/^  / { print $1 }'
end

# True if the command line's command is one of the arguments, and the container's own has not begun.
function __tatamictl_in
    set -l words (commandline -opc)
    contains -- "$words[2]" $argv; and not contains -- -- $words
end

complete -c tatamictl -f
complete -c tatamictl -n __fish_use_subcommand -l help -d 'Print a summary'
complete -c tatamictl -n __fish_use_subcommand -l version -d 'Print the version'
complete -c tatamictl -n __fish_use_subcommand -a run -d 'Boot a VM, run a command in a container, clean up'
complete -c tatamictl -n __fish_use_subcommand -a boot -d 'Boot a VM with a container in the background'
complete -c tatamictl -n __fish_use_subcommand -a pod -d 'Boot a VM with the pod of a file'
complete -c tatamictl -n __fish_use_subcommand -a ps -d 'List the running VMs'
complete -c tatamictl -n __fish_use_subcommand -a attach -d 'Connect to a container in the background'
complete -c tatamictl -n __fish_use_subcommand -a cp -d 'Copy files from or to a container'
complete -c tatamictl -n __fish_use_subcommand -a plug -d 'Plug a device into a running VM'
complete -c tatamictl -n __fish_use_subcommand -a unplug -d 'Remove what was plugged in'
complete -c tatamictl -n __fish_use_subcommand -a exec -d 'Run a process in the container of a VM'
complete -c tatamictl -n __fish_use_subcommand -a logs -d 'Print the output of a container in the background'
complete -c tatamictl -n __fish_use_subcommand -a console -d 'Print the console of a guest'
complete -c tatamictl -n __fish_use_subcommand -a shell -d 'Open a shell in a guest'
complete -c tatamictl -n __fish_use_subcommand -a check -d 'Print what a VM would be made of'
complete -c tatamictl -n __fish_use_subcommand -a stats -d 'Print processor time, memory and tasks of a container'
complete -c tatamictl -n __fish_use_subcommand -a inspect -d 'Print what is known of a VM'
complete -c tatamictl -n __fish_use_subcommand -a wait -d 'Wait for the end of a VM'
complete -c tatamictl -n __fish_use_subcommand -a stop -d 'End a VM'
complete -c tatamictl -n __fish_use_subcommand -a rm -d 'Remove what is kept of a VM that has ended'
complete -c tatamictl -n __fish_use_subcommand -a images -d 'List the images that were unpacked'
complete -c tatamictl -n __fish_use_subcommand -a pull -d 'Download an image'
complete -c tatamictl -n __fish_use_subcommand -a rmi -d 'Remove images that were unpacked'
complete -c tatamictl -n __fish_use_subcommand -a rpc -d 'Call a method of an agent'

set -l vm '__tatamictl_in run boot pod'
complete -c tatamictl -n $vm -l rootfs -rF -d 'Root of the container'
complete -c tatamictl -n $vm -l bundle -xa '(__fish_complete_directories)' -d 'Directory of an OCI bundle'
complete -c tatamictl -n '__tatamictl_in run boot' -F
complete -c tatamictl -n $vm -l entrypoint -x -d 'Replace the entry point of the image'
complete -c tatamictl -n $vm -l stop-signal -x -d 'Signal that ends the process'
complete -c tatamictl -n $vm -l writable -d 'Write to the root itself, not to a layer'
complete -c tatamictl -n $vm -l scratch -x -d 'Size of a disk for the layer'
complete -c tatamictl -n $vm -l share -x -a 'virtio-fs 9p copy none' -d 'How to share directories'
complete -c tatamictl -n $vm -l virtiofsd -rF -d 'virtiofsd to use'
complete -c tatamictl -n $vm -l virtiofs-cache -x -a 'never metadata auto always' -d 'Cache of virtio-fs'
complete -c tatamictl -n $vm -s v -l volume -rF -d 'SRC:DST[:ro] or type=TYPE,...'
complete -c tatamictl -n $vm -l device -rF -d 'IMAGE:PATH[:ro] or type=TYPE,...'
complete -c tatamictl -n $vm -l attach -x -d 'KIND:PATH, an additional share'
complete -c tatamictl -n $vm -l rm -d 'Keep nothing after the end'
complete -c tatamictl -n $vm -l log-size -x -d 'Size of a file of a log'
complete -c tatamictl -n $vm -l log-files -x -d 'Files of a log'
complete -c tatamictl -n '__tatamictl_in run' -s d -l detach -d 'Go on in the background'
complete -c tatamictl -n $vm -s t -l tty -d 'Give the process a terminal'
complete -c tatamictl -n $vm -s i -l interactive -d 'Pass standard input on'
complete -c tatamictl -n $vm -s e -l env -x -d 'KEY=VALUE'
complete -c tatamictl -n $vm -s w -l cwd -x -d 'Working directory'
complete -c tatamictl -n $vm -s u -l user -x -d 'USER[:GROUP]'
complete -c tatamictl -n $vm -l hostname -x -d 'Host name'
complete -c tatamictl -n $vm -l read-only -d 'Read-only root'
complete -c tatamictl -n $vm -l privileged -d 'All capabilities, nothing masked'
complete -c tatamictl -n $vm -l guest-proc -x -d 'Mount the guest\'s /proc here'
complete -c tatamictl -n $vm -l memory -x -d 'Memory of the VM in MiB'
complete -c tatamictl -n $vm -l cpus -x -d 'Processors of the VM'
complete -c tatamictl -n $vm -l max-memory -x -d 'Memory including hot-plugged memory'
complete -c tatamictl -n $vm -l max-cpus -x -d 'Processors including hot-plugged ones'
complete -c tatamictl -n $vm -l hotplug-ports -x -d 'PCI ports for plug'
complete -c tatamictl -n $vm -l kernel -rF -d 'Kernel to boot'
complete -c tatamictl -n $vm -l initrd -rF -d 'Initrd to boot'
complete -c tatamictl -n $vm -l root-image -rF -d 'Disk to boot from'
complete -c tatamictl -n $vm -l root-nvdimm -d 'That disk is an NVDIMM'
complete -c tatamictl -n $vm -l root-parameters -x -d 'Kernel parameters for that disk'
complete -c tatamictl -n $vm -l agent-binary -rF -d 'Another agent'
complete -c tatamictl -n $vm -l other-agent -d 'The agent of --root-image or --initrd is not tatami'
complete -c tatamictl -n $vm -l nic -d 'Add a network card'
complete -c tatamictl -n $vm -l network -x -a 'user passt' -d 'Add a network card and configure it'
complete -c tatamictl -n $vm -l no-network -d 'Leave the card unconfigured'
complete -c tatamictl -n $vm -s p -l publish -x -d '[ADDRESS:]HOSTPORT:GUESTPORT'
complete -c tatamictl -n $vm -l no-container -d 'Make no call to the agent'
complete -c tatamictl -n $vm -l debug-console -d 'Offer the debug console to shell'
complete -c tatamictl -n $vm -l gdb -d 'Let the VM wait for gdb'
complete -c tatamictl -n $vm -l append -x -d 'More kernel parameters'
complete -c tatamictl -n $vm -l arch -x -a 'x86_64 aarch64' -d 'Architecture of the guest'
complete -c tatamictl -n $vm -l machine -x -a 'q35 microvm virt' -d 'Machine of QEMU'
complete -c tatamictl -n $vm -l qemu-arg -x -d 'One more argument for QEMU'
complete -c tatamictl -n $vm -l log -x -a 'error warn info debug' -d 'Log level of the agent'
complete -c tatamictl -n $vm -l accel -x -a 'kvm tcg' -d 'Accelerator'
complete -c tatamictl -n $vm -l icount -d 'Count instructions as time'
complete -c tatamictl -n $vm -l boot-timeout -x -d 'Seconds for the boot'
complete -c tatamictl -n $vm -l timeout -x -d 'Seconds for a call'
complete -c tatamictl -n $vm -s q -l quiet -d 'No progress, no notes'
complete -c tatamictl -n $vm -l timing -d 'Print a timeline'
complete -c tatamictl -n $vm -l verbose -d 'Print the console on failure'
complete -c tatamictl -n $vm -l help -d 'Print a summary'
complete -c tatamictl -n '__tatamictl_in run boot pod' -l name -x -d 'Name of the VM'
complete -c tatamictl -n '__tatamictl_in pod' -l image -x -d 'IMAGE=DIR: where an image is'
complete -c tatamictl -n '__tatamictl_in pod' -l claim -x -d 'NAME=DIR: directory or disk of a claim'
complete -c tatamictl -n '__tatamictl_in pod' -l seccomp-profiles -xa '(__fish_complete_directories)' -d 'Where profiles of localhostProfile are'
complete -c tatamictl -n '__tatamictl_in pod' -l status -x -a '(__tatamictl_vms)' -d 'Print the state of a pod'
complete -c tatamictl -n '__tatamictl_in pod' -F

complete -c tatamictl -n '__tatamictl_in run' -l in -x -a '(__tatamictl_vms)' -d 'The running VM for the container'
complete -c tatamictl -n '__tatamictl_in plug' -l list -x -a '(__tatamictl_vms)' -d 'List what was plugged in'
complete -c tatamictl -n '__tatamictl_in plug unplug; and __tatamictl_has 2' -a '(__tatamictl_vms)'
complete -c tatamictl -n '__tatamictl_in plug; and __tatamictl_has 3' -a 'type=blk,source= type=scsi,source= type=nic type=memory,size= type=cpu'
complete -c tatamictl -n '__tatamictl_in unplug; and __tatamictl_has 3' -a '(__tatamictl_attached)'
complete -c tatamictl -n '__tatamictl_in attach exec stop stats shell' -a '(__tatamictl_vms)'
complete -c tatamictl -n '__tatamictl_in logs console inspect wait rm' -a '(__tatamictl_all)'
complete -c tatamictl -n '__tatamictl_in ps' -s a -l all -d 'Also those that have ended'
complete -c tatamictl -n '__tatamictl_in ps' -s c -l containers -d 'The containers of each'
complete -c tatamictl -n '__tatamictl_in ps' -s q -l quiet -d 'Only the names'
complete -c tatamictl -n '__tatamictl_in ps stats' -l json -d 'Print JSON'
complete -c tatamictl -n '__tatamictl_in attach cp logs stats' -s c -l container -x -d 'Container'
complete -c tatamictl -n '__tatamictl_in logs' -s f -l follow -d 'Go on until the VM ends'
complete -c tatamictl -n '__tatamictl_in logs' -s n -l tail -x -d 'Only the last lines'
complete -c tatamictl -n '__tatamictl_in logs' -s t -l timestamps -d 'Begin each line with its time'
complete -c tatamictl -n '__tatamictl_in cp' -F -a '(__tatamictl_vms):'
complete -c tatamictl -n '__tatamictl_in cp' -s a -l archive -d 'Keep owners and devices'
complete -c tatamictl -n '__tatamictl_in logs' -l since -x -d 'Only lines from this time on'
complete -c tatamictl -n '__tatamictl_in attach' -l detach-keys -x -d 'Keys that detach'
complete -c tatamictl -n '__tatamictl_in attach' -l no-stdin -d 'Pass no input on'
complete -c tatamictl -n '__tatamictl_in attach' -l close-stdin -d 'Close the container\'s input at the end'
complete -c tatamictl -n '__tatamictl_in attach' -l no-signals -d 'Detach at any signal'
complete -c tatamictl -n '__tatamictl_in console' -s f -l follow -d 'Go on until the VM ends'
complete -c tatamictl -n '__tatamictl_in console' -s n -l tail -x -d 'Only the last lines'
complete -c tatamictl -n '__tatamictl_in shell' -l port -x -d 'vsock port of the debug console'
complete -c tatamictl -n '__tatamictl_in shell' -l timeout -x -d 'Seconds for the connection'
complete -c tatamictl -n '__tatamictl_in check' -l arch -x -a 'x86_64 aarch64' -d 'Architecture of the guest'
complete -c tatamictl -n '__tatamictl_in check' -l kernel -rF -d 'Kernel to boot'
complete -c tatamictl -n '__tatamictl_in check' -l initrd -rF -d 'Initrd to boot'
complete -c tatamictl -n '__tatamictl_in check' -l virtiofsd -rF -d 'virtiofsd to use'
complete -c tatamictl -n '__tatamictl_in check' -l json -d 'Print JSON'
complete -c tatamictl -n '__tatamictl_in check' -s q -l quiet -d 'Only the exit code'
complete -c tatamictl -n '__tatamictl_in stop rm' -s a -l all -d 'All VMs'
complete -c tatamictl -n '__tatamictl_in rm' -s f -l force -d 'End those that run'
complete -c tatamictl -n '__tatamictl_in exec' -l privileged -d 'All capabilities'
complete -c tatamictl -n '__tatamictl_in exec' -s t -l tty -d 'Give the process a terminal'
complete -c tatamictl -n '__tatamictl_in exec' -s i -l interactive -d 'Pass standard input on'
complete -c tatamictl -n '__tatamictl_in exec' -s e -l env -x -d 'KEY=VALUE'
complete -c tatamictl -n '__tatamictl_in exec' -s w -l cwd -x -d 'Working directory'
complete -c tatamictl -n '__tatamictl_in exec' -s u -l user -x -d 'User and group'
complete -c tatamictl -n '__tatamictl_in exec' -s c -l container -x -d 'Container of a pod'
complete -c tatamictl -n '__tatamictl_in exec' -l keep -d 'Let the process go on without its client'
complete -c tatamictl -n '__tatamictl_in exec' -l help -d 'Print a summary'

complete -c tatamictl -n '__tatamictl_in images' -s q -l quiet -d 'Only the digests'
complete -c tatamictl -n '__tatamictl_in pull' -s q -l quiet -d 'Without progress'
complete -c tatamictl -n '__tatamictl_in exec attach cp plug unplug stats stop rm' -l timeout -x -d 'Seconds'
complete -c tatamictl -n '__tatamictl_in plug rpc' -l json -d 'With --list, print JSON'
complete -c tatamictl -n '__tatamictl_in images' -l json -d 'Print JSON'
complete -c tatamictl -n '__tatamictl_in pull' -l arch -x -a 'x86_64 aarch64' -d 'Architecture'
complete -c tatamictl -n '__tatamictl_in rmi' -s a -l all -d 'All that no VM uses'
complete -c tatamictl -n '__tatamictl_in rmi' -a '(__tatamictl_images)'

complete -c tatamictl -n '__tatamictl_in rpc' -l list -d 'List the methods'
complete -c tatamictl -n '__tatamictl_in rpc' -l timeout -x -d 'Seconds to wait'
complete -c tatamictl -n '__tatamictl_in rpc' -l raw -d 'Write the bytes of the reply'
complete -c tatamictl -n '__tatamictl_in rpc' -l compact -d 'Print the reply on one line'
complete -c tatamictl -n '__tatamictl_in rpc' -l id -x -d 'Container that a config.json creates'
complete -c tatamictl -n '__tatamictl_in rpc' -a '(__tatamictl_methods)'
