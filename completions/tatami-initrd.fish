# SPDX-License-Identifier: Apache-2.0
# fish completion of tatami-initrd

complete -c tatami-initrd -f
complete -c tatami-initrd -s o -l output -rF -d 'Initrd to write'
complete -c tatami-initrd -s i -l init -rF -d 'Program that becomes /init'
complete -c tatami-initrd -s a -l agent -rF -d 'Another agent'
complete -c tatami-initrd -s t -l tree -x -a '(__fish_complete_directories)' -d 'Tree to add'
complete -c tatami-initrd -l keep-init -d 'Keep /sbin/init of the tree'
complete -c tatami-initrd -l keep-owners -d 'Keep the owners of the trees\' files'
complete -c tatami-initrd -l owner -x -d 'UID:GID:PATH'
complete -c tatami-initrd -s m -l modules -x -a '(__fish_complete_directories)' -d 'Directory of kernel modules'
complete -c tatami-initrd -l module -x -d 'One more module'
complete -c tatami-initrd -l no-default-modules -d 'Only modules named with --module'
complete -c tatami-initrd -l modules-as-is -d 'Leave compressed modules compressed'
complete -c tatami-initrd -s c -l compress -x -a 'none gzip zstd xz xz-plain lz4' -d 'Compression'
complete -c tatami-initrd -l max-size -x -d 'Fail above this size'
complete -c tatami-initrd -l arch -x -a 'x86_64 aarch64 riscv64 s390x' -d 'Machine of the guest'
complete -c tatami-initrd -l epoch -x -d 'Time of all files'
complete -c tatami-initrd -s l -l list -rF -d 'List the content of an initrd'
complete -c tatami-initrd -s q -l quiet -d 'Print nothing on success'
complete -c tatami-initrd -s h -l help -d 'Print a summary'
complete -c tatami-initrd -s V -l version -d 'Print the version'
