# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# once: ours
# Roots from images that the guest unpacks itself (image_guest_pull): skopeo and umoci of Debian are
# in the initrd, an OCI layout is on a disk. The pod's sandbox container gets the pause image of the
# initrd.

run=/run/kata-containers
layout=$run/sandbox/storage/layout

# blob FILE: adds a file to the layout, and prints its part of a descriptor
blob()
{
	local sum
	sum=$(sha256sum "$1" | cut -d' ' -f1) && cp "$1" "$work/layout/blobs/sha256/$sum" &&
		printf '"digest":"sha256:%s","size":%s' "$sum" "$(stat -c %s "$1")"
}

# put_image NAME ARCHITECTURE TAR...: adds an image of these layers to the layout
put_image()
{
	local name=$1 arch=$2 ids='' layers='' tar part
	shift 2
	for tar; do
		ids="$ids${ids:+,}\"sha256:$(sha256sum "$tar" | cut -d' ' -f1)\""
		gzip -1 -n -k -f "$tar" && part=$(blob "$tar.gz") || return 1
		layers="$layers${layers:+,}{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",$part}"
	done
	printf '{"architecture":"%s","os":"linux","config":{"Cmd":["/bin/sh"],"Env":["A=b"]},"rootfs":{"type":"layers","diff_ids":[%s]}}' \
		"$arch" "$ids" >"$work/config.json" && part=$(blob "$work/config.json") || return 1
	printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",%s},"layers":[%s]}' \
		"$part" "$layers" >"$work/manifest.json" && part=$(blob "$work/manifest.json") ||
		return 1
	echo "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",$part,\"annotations\":{\"org.opencontainers.image.ref.name\":\"$name\"}}" \
		>>"$work/manifests"
}

# pack DIRECTORY NAME OPTION...: makes a layer, whose files belong to root
pack()
{
	local tree=$1 name=$2
	shift 2
	tar -c --owner=0 --group=0 --numeric-owner --sort=name -f "$work/$name.tar" "$@" -C \
		"$tree" .
}

# Makes an image of two layers, of which the upper one replaces a file and removes another, and one
# with a layer whose names lead out of it.
make_layout()
{
	local arch
	arch=$(dpkg --print-architecture) || return 1
	rm -rf "$work/layout" "$work/upper" "$work/evil" "$work/large" "$work/manifests"
	mkdir -p "$work/layout/blobs/sha256" "$work/upper/etc" "$work/evil/a" &&
		echo '{"imageLayoutVersion":"1.0.0"}' >"$work/layout/oci-layout" &&
		userland "$work/lower" && mkdir -p "$work/lower/etc" &&
		echo lower >"$work/lower/etc/layer" && echo gone >"$work/lower/etc/gone" &&
		mkdir -p "$work/lower/hostproc" &&
		cp "$rootfs/bin/busybox" "$work/lower/bin/su-id" &&
		chmod 4755 "$work/lower/bin/su-id" && ln -s /etc/layer "$work/lower/link" &&
		echo upper >"$work/upper/etc/layer" && : >"$work/upper/etc/.wh.gone" &&
		echo escaped >"$work/evil/a/escaped" && ln -s /etc "$work/evil/out" || return 1
	pack "$work/lower" lower && pack "$work/upper" upper &&
		pack "$work/evil" evil --transform='s,^\./a/,out/,' &&
		tar -r --owner=0 --group=0 -f "$work/evil.tar" -P \
			--transform='s,^\./a/,../../../../etc/,' -C "$work/evil" ./a/escaped ||
			return 1
	put_image demo "$arch" "$work/lower.tar" "$work/upper.tar" && make_registry &&
		mkdir -p "$work/large" && truncate -s 160M "$work/large/zeroes" &&
		pack "$work/large" large &&
		put_image large "$arch" "$work/large.tar" && rm "$work/large.tar" &&
		put_image evil "$arch" "$work/lower.tar" "$work/evil.tar" &&
		printf '{"schemaVersion":2,"manifests":[%s]}' \
			"$(paste -s -d, "$work/manifests")" >"$work/layout/index.json" &&
		mkdir "$work/layout/hang" && mkfifo "$work/layout/hang/index.json" &&
		mke2fs -q -t ext4 -O ^has_journal -d "$work/layout" "$work/layout.ext4" 24M
}

# make_registry: makes files of which an HTTP server is a registry with the last image, for a server
# that takes the type of a file from its name
make_registry()
{
	local top=$rootfs/registry file
	rm -rf "$top"
	mkdir -p "$top/v2/demo/manifests" "$top/v2/demo/blobs" && : >"$top/v2/index.html" &&
		cp "$work/manifest.json" "$top/v2/demo/manifests/v1.manifest" &&
		echo '.manifest:application/vnd.oci.image.manifest.v1+json' >"$top/httpd.conf" ||
		return 1
	for file in "$work/layout/blobs/sha256"/*; do
		cp "$file" "$top/v2/demo/blobs/sha256:${file##*/}" || return 1
	done
}

# The pause image is busybox, under the name of its applet.
make_initrd()
{
	local tree=$work/tools
	rm -rf "$tree"
	rootfs-builder/image-tools "$tree" && mkdir -p "$tree/pause_bundle/rootfs/bin" &&
		cp "$rootfs/bin/busybox" "$tree/pause_bundle/rootfs/bin/sleep" &&
		echo '{"process":{"args":["/bin/sleep","4711"],"cwd":"/","env":["PAUSE=1"]}}' \
			>"$tree/pause_bundle/config.json" &&
		printf '[[registry]]\nlocation = "127.0.0.1:5000"\ninsecure = true\n' \
			>"$tree/etc/containers/registries.conf" &&
		initrd_with "$tree" "$work/initrd-image.img"
}

# image ID REFERENCE [KIND]: the storages of a container whose root is an image
image()
{
	echo '[{"driver":"blk","source":"09","fstype":"ext4","mount_point":"'"$layout"'","options":["ro"]},
		{"driver":"image_guest_pull","source":"'"$2"'","fstype":"overlay","mount_point":"'"$run/$1/rootfs"'",
		 "driver_options":["image_guest_pull={\"metadata\":{\"io.kubernetes.cri.container-type\":\"'"${3:-container}"'\"}}"]}]'
}

# created ID STORAGES COMMAND...
created()
{
	local id=$1 r=0
	EXTRA_FIELDS=",\"storages\":$2"
	shift 2
	rpc CreateContainer "$(spec "$id" "$run/$id/rootfs" "$@")" || r=1
	EXTRA_FIELDS=''
	return $r
}

# look COMMAND: in the root of the guest
look() { ctl exec --privileged puller -- sh -c "cd /hostproc/1/root && $1"; }
state()
{
	look "cut -d' ' -f5,9- /hostproc/1/mountinfo; ls -A .$run; ls -A sys/fs/cgroup/pods
		ls -A tmp etc"
}
as_before()
{
	state >"$work/after"
	diff "$work/before" "$work/after"
}
# settled: the guest is as it was, once what had begun has ended
settled() { within 60 as_before >"$work/differs" || { tail -n 20 "$work/differs"; return 1; }; }
removed()
{
	rpc RemoveContainer "{\"container_id\":\"$1\"}" && settled
}

from_layout()
{
	state >"$work/before"
	created one "$(image one "oci:$layout:demo")" sh -c \
		'cat /link >/said; stat -c %a:%u /bin/su-id >>/said; echo done >>/said; sleep 3600' &&
		rpc StartContainer '{"container_id":"one"}' || return 1
	within 60 look "grep -q done .$run/one/rootfs/said" || return 1
	is $'upper\n4755:0\ndone' look "cat .$run/one/rootfs/said" || return 1
	is /etc/layer look "readlink .$run/one/rootfs/link" || return 1
	look "test ! -e .$run/one/rootfs/etc/gone" || return 1
	# a mount of its own, with nothing of the layers left
	is 'bin dev etc hostproc link proc root said sbin sys tmp usr var' \
		look "ls -A .$run/one/rootfs | paste -s -d ' '" || return 1
	removed one
}

from_registry()
{
	local name=127.0.0.1:5000/demo:v1.manifest server
	state >"$work/before"
	says 'connection refused' created seven "$(image seven $name)" true || return 1
	# In the foreground: as an orphan it would be a child of the shell that runs $obeys.
	"$OUT/tatamictl" exec puller -- httpd -f -p 127.0.0.1:5000 -h /registry \
		-c /registry/httpd.conf &
	server=$!
	within 60 ctl exec puller -- wget -q -O /dev/null http://127.0.0.1:5000/v2/ || return 1
	created seven "$(image seven $name)" true || return 1
	is upper look "cat .$run/seven/rootfs/etc/layer" || return 1
	ctl exec puller -- killall httpd || return 1
	wait $server
	removed seven
}

# The names lead to files of the image.
hostile()
{
	state >"$work/before"
	created two "$(image two "oci:$layout:evil")" true || return 1
	is escaped look "cat .$run/two/rootfs/etc/escaped" || return 1
	removed two || return 1
	look 'test ! -e etc/escaped && test ! -e escaped'
}

# A layout whose index is a FIFO: skopeo waits for a writer until the caller goes away.
pulling() { look 'grep -qx skopeo /hostproc/[0-9]*/comm'; }
cancelled()
{
	local caller r=0
	state >"$work/before"
	EXTRA_FIELDS=",\"storages\":$(image six "oci:$layout/hang:demo")"
	"$OUT/tatamictl" rpc "$address" CreateContainer "$(spec six "$run/six/rootfs" true)" &
	caller=$!
	EXTRA_FIELDS=''
	within 60 pulling && look 'ls -d sys/fs/cgroup/pods/.image-*' || r=1
	kill $caller
	wait $caller
	settled && test $r = 0 && ! pulling
}

unknown_image()
{
	state >"$work/before"
	says 'skopeo:' created three "$(image three "oci:$layout:none")" true || return 1
	settled || return 1
	says 'failed to open the OCI layout' created three \
		"$(image three "oci:$layout/none:demo")" true || return 1
	says 'invalid image reference' created three "$(image three --help)" true || return 1
	settled
}

# The file is larger than half of the memory of the guest, which has 256 MiB.
too_large()
{
	state >"$work/before"
	says 'failed to unpack image' created eight "$(image eight "oci:$layout:large")" true &&
		settled
}

pause_image()
{
	local id=four
	state >"$work/before"
	created $id "$(image $id pause sandbox)" /host-pause &&
		rpc StartContainer "{\"container_id\":\"$id\"}" || return 1
	within 60 look "grep -q 4711 /hostproc/*/cmdline" || return 1
	look "test -x .$run/$id/rootfs/bin/sleep && ls pause_bundle/rootfs" >"$work/ls" &&
		is bin cat "$work/ls" || return 1
	removed $id
}

# Programs and the pause image are gone: the errors say what is missing.
without()
{
	privileged puller 'cd /hostproc/1/root && mv usr/bin/umoci usr/bin/u && mv pause_bundle p' \
		||
		return 1
	state >"$work/before"
	says 'nor umoci' created five "$(image five "oci:$layout:demo")" true &&
		says 'no pause image' created five \
			"$(image five pause sandbox)" true &&
		settled
}

mkdir -p "$rootfs/hostproc"
if ok 'make an OCI layout on a disk' make_layout &&
	ok 'put skopeo, umoci and a pause image into the initrd' make_initrd &&
	ok 'boot' boot puller --initrd "$work/initrd-image.img" --rootfs "$rootfs" --privileged \
		--guest-proc /hostproc --append 'agent.hotplug_timeout=1' \
		--attach "blk:$work/layout.ext4" -- sh -c "$obeys"; then
	ok 'a container runs from an image that the guest unpacks' from_layout
	ok 'an image from a registry' from_registry
	ok 'an image with a layer whose names lead out of it' hostile
	ok 'an image that cannot be pulled leaves nothing' unknown_image
	ok 'an image that does not fit fails and leaves nothing' too_large
	ok 'a pull that is cancelled leaves nothing' cancelled
	ok 'the sandbox container runs the pause image of the guest' pause_image
	ok 'missing programs are named' without
	ok 'stop' stop puller
fi
