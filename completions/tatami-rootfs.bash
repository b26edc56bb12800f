# SPDX-License-Identifier: Apache-2.0
# bash completion of tatami-rootfs

_tatami_rootfs()
{
	local word=${COMP_WORDS[COMP_CWORD]} words=

	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-m|--modules|--cache|--hooks)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return ;;
	-o|--output|-i|--init|-a|--agent|-F|--from|--add|--certificate|--policy|--config|--pause)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
		return ;;
	-f|--format)
		words='initrd disk dir tar oci' ;;
	-c|--compress)
		words='none gzip zstd xz xz-plain lz4' ;;
	--arch)
		words='x86_64 aarch64 riscv64 s390x' ;;
	--filesystem)
		words='ext4 erofs squashfs xfs' ;;
	--partitions)
		words='none mbr gpt' ;;
	--owner|--module|--max-size|--epoch|--size|--free|--align|--package|--mirror)
		;;
	*)
		words='--output --format --from --init --agent --keep-init --keep-owners --modules
			--module --no-default-modules --modules-as-is --arch --epoch --max-size
			--json --quiet --help --version --rootfs-only --describe --no-sbom --add --owner --certificate
			--policy --config --hooks --pause --compress --filesystem
			--partitions --verity --dax --size --free --align --package --mirror
			--no-prune --refresh --offline --cache' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}

complete -F _tatami_rootfs tatami-rootfs
