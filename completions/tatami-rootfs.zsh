#compdef tatami-rootfs
# SPDX-License-Identifier: Apache-2.0
# zsh completion of tatami-rootfs

_arguments \
	'(-o --output)'{-o,--output}'[file or directory to make]:file:_files' \
	'(-f --format)'{-f,--format}'[form of the output]:form:(initrd disk dir tar oci)' \
	'*'{-F,--from}'[input]:file:_files' \
	'(-i --init)'{-i,--init}'[the static tatami]:file:_files' \
	'(-a --agent)'{-a,--agent}'[another agent]:file:_files' \
	'--keep-init[keep /sbin/init of the input]' \
	'--keep-owners[keep the owners of files in directories]' \
	'(-m --modules)'{-m,--modules}'[directory of kernel modules]:directory:_files -/' \
	'*--module[one more module]:name: ' \
	'--no-default-modules[only modules named with --module]' \
	'--modules-as-is[leave compressed modules compressed]' \
	'--arch[machine of the guest]:machine:(x86_64 aarch64 riscv64 s390x)' \
	'--epoch[time of all files]:seconds: ' \
	'--max-size[fail above this size]:size: ' \
	'--json[print the result as JSON]' \
	'(-q --quiet)'{-q,--quiet}'[print warnings and errors only]' \
	'(- *)'{-h,--help}'[print a summary]' \
	'(- *)'{-V,--version}'[print the version]' \
	'*--add[file or directory to add]:SRC\:DST:_files' \
	'--rootfs-only[add no programs and files of ours]' \
	'--describe[write what an engine needs to run the image]' \
	'--no-sbom[write no bill of materials]' \
	'*--certificate[trust the authorities in a PEM file]:file:_files' \
	'*--policy[policy of the agent]:file:_files' \
	'*--config[configuration of the agent]:file:_files' \
	'*--hooks[directory of guest hooks]:directory:_files -/' \
	'*--pause[bundle of the pause container]:bundle:_files' \
	'--no-prune[keep documentation and translations]' \
	'--refresh[read recent package lists again]' \
	'*--owner[owner of one path]:UID\:GID\:PATH: ' \
	'(-c --compress)'{-c,--compress}'[compression]:method:(none gzip zstd xz xz-plain lz4)' \
	'--filesystem[file system of a disk]:type:(ext4 erofs squashfs xfs)' \
	'--partitions[partition table of a disk]:table:(none mbr gpt)' \
	'--verity[add a hash tree]' \
	'--dax[add the header of an NVDIMM]' \
	'--size[size of the file system]:size: ' \
	'--free[free space in it]:size: ' \
	'--align[multiple for the size of a disk]:size: ' \
	'*--package[package to add]:name: ' \
	'*--mirror[mirror of packages]:URL: ' \
	'--offline[use the cache only]' \
	'--cache[directory for downloads]:directory:_files -/'
