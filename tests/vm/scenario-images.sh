# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# once: ours
# soak: ours
# Every form of an image by tatami-rootfs boots, and runs a container. make test boots five of them,
# make soak the others: docs/images.md lists which.

tree=$work/tree marker=$work/tree/marker
mkdir -p "$rootfs/hostproc" "$tree/srv"
yes 'What a disk of the guest has at this place.' | head -c 65536 >"$marker"
ln -f "$marker" "$tree/srv/link"

# image FILE OPTION...: makes an image with $marker as /marker, which has a second name, and sets
# $parameters for the kernel
image()
{
	local file=$1
	shift
	"$OUT/tatami-rootfs" --init "$OUT/tatami" --from "$tree" --json -o "$work/$file" \
		"$@" >"$work/$file.json" || return 1
	parameters=$(jq -r '.facts.kernel_parameters // empty' "$work/$file.json")
}

# The root of the guest, its marker, and the other name of it, as a container sees them.
# shellcheck disable=SC2016
look='cd /hostproc/1/root; set -- $(grep " / " /hostproc/1/mounts | tail -n 1); echo $3 $4; sha256sum <marker
	cmp marker srv/link && echo "$(stat -c "%h names" marker)"'
sum=$(sha256sum <"$marker")

# in_guest OPTION...: runs `look` in a guest that boots with these options
in_guest()
{
	ctl run --kernel "$OUT/kernel/$kernel/vmlinuz" "$@" --share 9p --rootfs "$rootfs" \
		--privileged --guest-proc /hostproc --verbose -- sh -c "$look" 2>"$work/stderr" ||
		{ cat "$work/stderr"; return 1; }
}

# boots TYPE FLAG: the guest's root has this type and flag, and the marker is intact
boots()
{
	local type=$1 flag=$2 out
	shift 2
	out=$(in_guest "$@") || { echo "$out"; return 1; }
	echo "$out"
	case $out in "$type "*"$flag"*) ;; *) return 1 ;; esac
	grep -qx "$sum" <<<"$out" && grep -qx "$(names "$type") names" <<<"$out"
}

# names TYPE: the number of names of the marker, of which xfs makes files of their own
names() { if test "$1" = xfs; then echo 1; else echo 2; fi; }

# disk TYPE FLAG OPTION...: a disk made with these options boots
disk()
{
	local type=$1 flag=$2
	shift 2
	image disk --format disk --filesystem "$type" "$@" &&
		boots "$type" "$flag" --root-image "$work/disk" --root-parameters "$parameters"
}

initrd()
{
	image initrd --format initrd --compress "$1" && boots rootfs rw --initrd "$work/initrd"
}

# nvdimm TYPE FLAG OPTION...: the same on an NVDIMM, which is not written
nvdimm()
{
	local type=$1 flag=$2 before
	shift 2
	image disk --format disk --filesystem "$type" --dax --align 2M "$@" || return 1
	before=$(sha256sum <"$work/disk")
	boots "$type" "$flag" --root-image "$work/disk" --root-nvdimm \
		--root-parameters "$parameters" || return 1
	test "$(sha256sum <"$work/disk")" = "$before" || { echo 'the image was written'; return 1; }
}

# A byte of the marker differs from what the hash tree says: reading it fails, and other files can
# be read.
flipped()
{
	local at out
	image disk --format disk --filesystem erofs --partitions gpt --verity || return 1
	at=$(grep -abo 'What a disk' "$work/disk" | sed -n '700s/:.*//p')
	printf X | dd of="$work/disk" bs=1 seek="$at" conv=notrunc status=none
	out=$(look='cd /hostproc/1/root; cat marker >/dev/null; echo "exit $?"; sha256sum <etc/hosts' \
		in_guest --root-image "$work/disk" --root-parameters "$parameters" 2>&1)
	echo "$out"
	cat "$work/stderr"
	grep -qx 'exit 1' <<<"$out" && grep -q 'Input/output error' "$work/stderr"
}

if test "$SOAK" = 0; then
	ok 'an ext4 disk with an MBR' disk ext4 data=ordered
	ok 'an erofs disk with a GPT and a hash tree' disk erofs ro --partitions gpt --verity
	ok 'a changed byte below a hash tree is an I/O error' flipped
	ok 'an NVDIMM with ext4 and DAX' nvdimm ext4 dax
	ok 'an initrd compressed by lz4' initrd lz4
fi

# rows: all other forms
rows()
{
	local compress partitions
	for compress in none gzip zstd xz xz-plain; do
		echo "initrd $compress"
	done
	for partitions in mbr gpt none; do
		echo "disk ext4 ro --partitions $partitions"
		echo "disk erofs ro --compress lz4 --partitions $partitions"
		echo "disk squashfs ro --partitions $partitions"
		echo "disk xfs ro --partitions $partitions"
	done
	for compress in gzip xz lz4; do
		echo "disk squashfs ro --compress $compress"
	done
	for partitions in mbr gpt; do
		for type in ext4 erofs xfs; do
			echo "nvdimm $type dax --partitions $partitions"
		done
	done
	for type in ext4 squashfs xfs; do
		echo "disk $type ro --verity"
	done
	for type in ext4 erofs xfs; do
		echo "nvdimm $type ro --verity"
	done
}

test "$SOAK" = 0 || while read -r row; do
	# shellcheck disable=SC2086
	ok "$row" $row </dev/null
done < <(rows | sample)
