# SPDX-License-Identifier: Apache-2.0
# once: ours
# shellcheck shell=bash disable=SC2046,SC2016
# Container images with the host's tool: a layout and archives made by hand, and an image of Debian
# made with umoci. All of them run in one VM; the cache of images is one of the scenario's own.

image=$work/image layers=() digests=()
own_cache() { TATAMI_CACHE=$work/cache "$@"; }
cached() { own_cache ctl "$@"; }

# blob FILE: moves a file to the blobs of the layout, and prints its digest
blob()
{
	local digest
	digest=$(sha256sum "$1") && digest=${digest%% *} && mkdir -p "$image/blobs/sha256" &&
		mv "$1" "$image/blobs/sha256/$digest" && echo "$digest"
}

# layer DIRECTORY PROGRAM SUFFIX: adds a layer with the files of the directory, owned by root unless
# their name begins with "web", compressed by the program
layer()
{
	local tar=$work/layer.tar id digest size
	(cd "$1" && find . -mindepth 1 ! -path './web*' ! -path './hard*' | LC_ALL=C sort |
		tar --no-recursion --owner=0 --group=0 -cf "$tar" -T - &&
		{ ! test -e hard1 || tar --owner=0 --group=0 -rf "$tar" hard1 hard2; } &&
		{ ! test -e web || tar --owner=1234 --group=5678 -rf "$tar" web; }) || return 1
	id=$(sha256sum "$tar") && id=${id%% *} && "$2" -q -f "$tar" && rm -f "$tar" &&
		tar=$tar.$3 && size=$(stat -c %s "$tar") && digest=$(blob "$tar") || return 1
	layers+=("{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+${2}\",\"digest\":\"sha256:$digest\",\"size\":$size}")
	digests+=("\"sha256:$id\"")
}
joined() { local IFS=,; echo "$*"; }

# The second layer removes a file and a directory, and hides what an earlier one has.
make_image()
{
	local top=$work/top config manifest size arch=amd64
	test "$(uname -m)" = x86_64 || arch=arm64
	cp -a "$rootfs" "$work/base" &&
		mkdir -p "$work/base/gone" "$work/base/hidden" "$work/base/web" "$top/hidden" \
		"$top/bin" &&
		echo x >"$work/base/gone/file" && echo old >"$work/base/hidden/old" &&
		echo mine >"$work/base/web/page" &&
		echo one >"$work/base/hard1" && ln "$work/base/hard1" "$work/base/hard2" &&
		echo 'web:x:1234:5678:web:/web:/bin/sh' >>"$work/base/etc/passwd" &&
		printf 'web:x:5678:\nlogs:x:77:web\n' >>"$work/base/etc/group" &&
		: >"$top/.wh.gone" && : >"$top/bin/.wh.vi" && : >"$top/hidden/.wh..wh..opq" &&
		echo new >"$top/hidden/new" &&
		layer "$work/base" gzip gz && layer "$top" zstd zst || return 1
	cat >"$work/config" <<-END
	{"os": "linux", "architecture": "$arch", "config": {"User": "web", "WorkingDir": "/web", "Env": ["GREETING=hello", "PATH=/bin"],
		"Entrypoint": ["sh", "-c"], "StopSignal": "SIGUSR1",
		"Cmd": ["trap 'echo by USR1 >/vol/stopped; exit' USR1; id; pwd; echo \$GREETING; : >/vol/ready; while :; do sleep 0.1; done"]},
		"rootfs": {"type": "layers", "diff_ids": [$(joined "${digests[@]}")]}}
	END
	size=$(stat -c %s "$work/config") && config=$(blob "$work/config") || return 1
	cat >"$work/manifest" <<-END
	{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
		"digest": "sha256:$config", "size": $size}, "layers": [$(joined "${layers[@]}")]}
	END
	size=$(stat -c %s "$work/manifest") && manifest=$(blob "$work/manifest") || return 1
	echo '{"imageLayoutVersion": "1.0.0"}' >"$image/oci-layout"
	cat >"$image/index.json" <<-END
	{"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:$manifest", "size": $size,
		"annotations": {"org.opencontainers.image.ref.name": "v1"}}]}
	END
	# As `docker save` writes it: the same layers, another configuration.
	mkdir -p "$work/docker" &&
		sed 's/"web"/"nobody"/' "$image/blobs/sha256/$config" >"$work/docker/config.json" &&
		for digest in "${layers[@]}"; do digest=${digest#*sha256:} &&
		cp "$image/blobs/sha256/${digest%%\"*}" "$work/docker/" || return 1; done
	echo '[{"Config": "config.json", "RepoTags": ["example/web:v2"], "Layers": ['"$(joined \
		"${layers[@]}" | grep -o '[0-9a-f]\{64\}' | sed 's/.*/"&"/' | paste -sd,)"']}]' >"$work/docker/manifest.json" &&
		tar -C "$work/docker" -cf "$work/docker.tar" . &&
		tar -C "$image" -czf "$work/oci.tgz" .
}

runs_as_configured()
{
	within 60 test -e "$work/vol/ready" || return 1
	is $'uid=1234(web) gid=5678(web) groups=77(logs)\n/web\nhello' ctl logs box
}
tree_is_right()
{
	is $'new\n2\nmine 1234 5678\nnone none' ctl exec box -- sh -c \
		'ls /hidden; stat -c %h /hard1; echo "$(cat /web/page) $(stat -c "%u %g" /web/page)"
		a=yes b=yes; test -e /gone || a=none; test -e /bin/vi || b=none; echo $a $b' &&
		is same ctl exec box -- sh -c 'test /hard1 -ef /hard2 && echo same'
}
# Users are those of the container's files as they are now, or without cat those of the image.
users()
{
	is $'1234\n5678\n5678 77' ctl exec -u web box -- sh -c 'id -u; id -g; id -G' &&
		is '1234 77 77' ctl exec -u web:logs box -- sh -c 'echo $(id -u; id -g; id -G)' &&
		ctl exec -u 0 box -- sh -c 'echo late:x:4321:77::/:/bin/sh >>/etc/passwd' &&
		is '4321 77' ctl exec -u late box -- sh -c 'echo $(id -u; id -g)' &&
		says 'no user none' ctl exec -u none box -- true &&
		ctl exec -u 0 box -- rm /bin/cat &&
		is 1234 ctl exec -u web box -- id -u &&
		says 'no user late' ctl exec -u late box -- true &&
		ctl exec -u 0 box -- ln -s busybox /bin/cat
}
options_override()
{
	is $'uid=65534(nobody) gid=77(logs)\n/tmp\nbye' cached run --in box --rootfs "$image:v1" \
		-u nobody:logs -w /tmp -e GREETING=bye -- 'id; pwd; echo $GREETING' &&
		is 'A B' cached run --in box --rootfs "$image" --entrypoint '["echo", "A"]' B
}
# Archives of both formats. The first is the image that is there.
archives()
{
	is 1234 cached run --in box --rootfs "$work/oci.tgz" --entrypoint id -- -u &&
		test "$(ls "$work/cache/images" | grep -c sha256)" = 1 &&
		is 65534 cached run --in box --rootfs "docker-archive:$work/docker.tar:v2" \
		--entrypoint id -- -u &&
		says 'no image v9 ' cached run --in box --rootfs "$image:v9" true &&
		says '--writable' cached run --in box --rootfs "$image" --writable true
}
# Without the blobs nothing could be unpacked; the image is not written either.
again()
{
	local before
	before=$(sha256sum "$work"/cache/images/sha256-*/root.img) &&
		mv "$image/blobs" "$work/blobs" &&
		is again cached run --in box --rootfs "$image:v1" -u 0 -- \
		'echo x >/new; rm -r /web; echo again' &&
		test "$(sha256sum "$work"/cache/images/sha256-*/root.img)" = "$before" &&
		mv "$work/blobs" "$image/blobs"
}
listed()
{
	cached images | tee /dev/stderr | grep -q " in use .*$image" &&
		test "$(cached images --json | jq 'length')" = 2 &&
		says 'a VM uses' cached rmi "$image" && cached rmi "$work/docker.tar:v2" &&
		test "$(cached images --json | jq 'length')" = 1
}
removed() { is "$1 removed" cached rmi --all && is 0 eval 'cached images --json | jq length' &&
	test -z "$(ls -A "$work/cache/images" | grep -v '^sources$')"; }
stopped() { stop box && test "$(cat "$work/vol/stopped")" = 'by USR1'; }

# A Debian made by mmdebstrap becomes an image, of which the second layer removes a program and one
# of three names of a file. The second start works without the image.
debian()
{
	local tree layout=$work/umoci bundle=$work/bundle script
	script='. /etc/os-release; echo $ID $(id -un) $PWD $GREETING; ls /usr/bin/perl /hard3; stat -c %h /hard1; test /hard1 -ef /hard2 && cat /hard2'
	tree=$(tests/support/userland systemd) && umoci init --layout "$layout" &&
		umoci new --image "$layout:v1" &&
		umoci unpack $(test "$(id -u)" = 0 ||
		echo --rootless) --image "$layout:v1" "$bundle" &&
		tar -C "$tree" --exclude=./usr/share --exclude=./usr/lib/systemd --exclude=./var \
		--exclude=./dev --exclude=./etc/shadow --exclude=./etc/gshadow -cf - . |
			tar -C "$bundle/rootfs" -xf - &&
		echo linked >"$bundle/rootfs/hard1" &&
		ln "$bundle/rootfs/hard1" "$bundle/rootfs/hard2" &&
		ln "$bundle/rootfs/hard1" "$bundle/rootfs/hard3" &&
		umoci repack --refresh-bundle --image "$layout:v1" "$bundle" &&
		rm "$bundle/rootfs/usr/bin/perl" "$bundle/rootfs/hard3" &&
		umoci repack --image "$layout:v1" "$bundle" && rm -rf "$bundle" &&
		umoci config --image "$layout:v1" --config.entrypoint /bin/sh --config.entrypoint \
		-c --config.cmd "$script" --config.user daemon --config.workingdir /usr/sbin \
		--config.env GREETING=hello ||
		return 1
	debian_runs && mv "$layout/blobs" "$work/blobs" && debian_runs &&
		mv "$work/blobs" "$layout/blobs"
}
debian_runs()
{
	is $'debian daemon /usr/sbin hello\n2\nlinked' cached run --in box --rootfs \
		"$work/umoci:v1" 2>"$work/stderr" &&
		grep -q "cannot access '/usr/bin/perl'" "$work/stderr" &&
		grep -q "cannot access '/hard3'" "$work/stderr" && return
	cat "$work/stderr"
	return 1
}

# A bundle with the config.json of podman: what of it is seen from inside, and what is ignored.
bundle()
{
	local dir=$work/podman script
	mkdir -p "$dir/userdata/shm" "$dir/data" && cp -a "$rootfs" "$dir/rootfs" &&
		chmod 777 "$dir/data" && : >"$dir/userdata/.containerenv" &&
		echo '192.0.2.1 peer' >"$dir/userdata/hosts" &&
		echo 'nameserver 192.0.2.53' >"$dir/userdata/resolv.conf" &&
		echo 1f2e3d4c5b6a >"$dir/userdata/hostname" || return 1
	script='id -u; id -G; hostname; echo $GREETING; cat /etc/resolv.conf /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /proc/self/oom_score_adj /proc/sys/net/ipv4/ping_group_range
		ulimit -Hc; grep -E "^Seccomp:|^CapEff" /proc/self/status; ls /sys/firmware; test -c /dev/fuse && test ! -e /dev/sda; echo $?; echo from-inside >/data/new; exit 9'
	jq --arg script "$script" '.process.args = ["sh", "-c", $script]' \
		tests/data/oci/podman.json |
		sed 's/18446744073709552000/18446744073709551615/' >"$dir/config.json" || return 1
	is $'1000\n1000 10\n1f2e3d4c5b6a\nhello\nnameserver 192.0.2.53\n67108864\n2048\n200\n0\t0\nunlimited\nCapEff:\t0000000000000000\nSeccomp:\t2\n0\n9' \
		eval 'ctl run $(vm_options) --bundle "$dir" 2>"$work/stderr"; echo $?' ||
		{ cat "$work/stderr"; return 1; }
	test "$(cat "$dir/data/new")" = from-inside &&
		grep -q 'podman/config.json: ignored: .*linux.devices\[1\]' "$work/stderr"
}
# A bundle that umoci has unpacked, with options.
unpacked()
{
	local dir=$work/unpacked image=$work/small:v1 rootless=() user=nobody id=65534
	# A rootless bundle has one user.
	test "$(id -u)" = 0 || { rootless=(--rootless) user=root id=0; }
	umoci init --layout "${image%:v1}" && umoci new --image "$image" &&
		umoci unpack "${rootless[@]}" --image "$image" "$dir" &&
		cp -a "$rootfs/." "$dir/rootfs" &&
		umoci repack --image "$image" "$dir" &&
		umoci config --image "$image" --config.user $user --config.workingdir /tmp \
		--config.env GREETING=hello --config.cmd id &&
		rm -rf "$dir" && umoci unpack "${rootless[@]}" --image "$image" "$dir" || return 1
	# It asks for a terminal, whose lines end with CR LF.
	is $id$'\n/bin\nhello' eval \
		'ctl run $(vm_options) --bundle "$dir" -w /bin -- sh -c "id -u; pwd; echo \$GREETING" | tr -d "\r"'
}

ok 'make images' make_image
ok "a bundle with podman's config.json" bundle
if command -v umoci >/dev/null; then
	ok 'a bundle unpacked by umoci' unpacked
else
	skip 'a bundle unpacked by umoci' 'umoci is not installed'
fi
mkdir -p "$work/vol" && chmod 777 "$work/vol"
if own_cache ok 'boot an image' boot box --hotplug-ports 2 -v "$work/vol:/vol" "$image:v1"; then
	ok 'it runs with its configuration' runs_as_configured
	ok 'whiteouts, hard links, owners' tree_is_right
	ok 'exec by the name of a user' users
	ok 'options override the configuration' options_override
	ok 'an OCI archive and a docker archive' archives
	ok 'the second start unpacks nothing' again
	ok 'a list of images, and an image in use' listed
	if command -v umoci >/dev/null; then
		ok 'an image of Debian, made by mmdebstrap and umoci; its second start' debian
	else
		skip 'an image of Debian, made by mmdebstrap and umoci; its second start' \
			'umoci is not installed'
	fi
	ok "the image's signal stops it" stopped
	ok 'images are removed' removed $((1 + $(test -d "$work/umoci" && echo 1 || echo 0)))
fi
