#compdef tatami-initrd
# SPDX-License-Identifier: Apache-2.0
# zsh completion of tatami-initrd

_arguments \
	'(-o --output)'{-o,--output}'[initrd to write]:file:_files' \
	'(-i --init)'{-i,--init}'[program that becomes /init]:file:_files' \
	'(-a --agent)'{-a,--agent}'[another agent]:file:_files' \
	'*'{-t,--tree}'[tree to add]:directory:_files -/' \
	'--keep-init[keep /sbin/init of the tree]' \
	'--keep-owners[keep the owners of the files of the trees]' \
	'*--owner[owner of one path]:UID\:GID\:PATH: ' \
	'(-m --modules)'{-m,--modules}'[directory of kernel modules]:directory:_files -/' \
	'*--module[one more module]:name: ' \
	'--no-default-modules[only modules named with --module]' \
	'--modules-as-is[leave compressed modules compressed]' \
	'(-c --compress)'{-c,--compress}'[compression]:method:(none gzip zstd xz xz-plain lz4)' \
	'--max-size[fail above this size]:size: ' \
	'--arch[machine of the guest]:machine:(x86_64 aarch64 riscv64 s390x)' \
	'--epoch[time of all files]:seconds: ' \
	'(-l --list)'{-l,--list}'[list the content of an initrd]:file:_files' \
	'(-q --quiet)'{-q,--quiet}'[print nothing on success]' \
	'(- *)'{-h,--help}'[print a summary]' \
	'(- *)'{-V,--version}'[print the version]'
