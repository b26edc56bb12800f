# SPDX-License-Identifier: Apache-2.0
# bash completion of tatami-initrd

_tatami_initrd()
{
	local word=${COMP_WORDS[COMP_CWORD]} words=

	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-t|--tree|-m|--modules)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return ;;
	-o|--output|-i|--init|-a|--agent|-l|--list)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return ;;
	-c|--compress)
		words='none gzip zstd xz xz-plain lz4' ;;
	--arch)
		words='x86_64 aarch64 riscv64 s390x' ;;
	--owner|--module|--max-size|--epoch)
		;;
	*)
		words='--output --init --agent --tree --keep-init --keep-owners --owner --modules --module
			--no-default-modules --modules-as-is --compress --max-size --arch --epoch --list
			--quiet --help --version' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _tatami_initrd tatami-initrd
