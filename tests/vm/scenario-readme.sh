# SPDX-License-Identifier: Apache-2.0
# once: ours
# shellcheck shell=bash disable=SC2016
# The commands of README.md and docs/ as they stand (tests/data/documented-commands), in a copy of
# out/ in another directory. If the tests run as root, an ordinary user runs them, who owns nothing
# of it. The images have scripts in the place of nginx and curl.

clone=$work/clone
here="env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=$clone/home XDG_RUNTIME_DIR=$clone/run TMPDIR=$clone/tmp TERM=xterm SHELL=/bin/bash"
test "$(id -u)" != 0 ||
	here="setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all $here"

copy_products()
{
	local name
	mkdir -p "$clone/out" "$clone/home/data" "$clone/run" "$clone/tmp" "$clone/ROOTFS/usr/bin" \
		"$clone/ROOTFS/sbin" &&
		cp -a "$OUT"/{tatami,tatamictl,tatami-initrd,tatami-rootfs,rootfs} "$clone/out/" ||
		return 1
	test ! -d "$OUT/libexec" || cp -a "$OUT/libexec" "$clone/out/" || return 1
	for name in vmlinuz vmlinux initrd.img; do
		test ! -f "$OUT/kernel/$kernel/$name" ||
			cp -a "$OUT/kernel/$kernel/$name" "$clone/out/" || return 1
	done
	echo x >"$clone/home/data/a-file"
}

# The helper programs do not depend on the cache that they come from.
no_path_of_cache()
{
	! grep -rF "${TATAMI_CACHE:-${HOME:-/root}/.cache/tatami}/" "$clone/out/libexec" 2>/dev/null
}

# blob FILE: moves a file to the blobs of IMAGE, and prints its digest and size
blob()
{
	local digest size
	digest=$(sha256sum "$1") && digest=${digest%% *} && size=$(stat -c %s "$1") &&
		mv "$1" "$clone/IMAGE/blobs/sha256/$digest" &&
		echo "\"digest\": \"sha256:$digest\", \"size\": $size"
}

make_images()
{
	local dir=$clone/DIR image=$clone/IMAGE id layer arch=amd64 config \
		type=application/vnd.oci.image
	test "$(uname -m)" = x86_64 || arch=arm64
	cp -a "$rootfs" "$dir" && mkdir "$dir/www" && echo 'a page' >"$dir/www/index.html" ||
		return 1
	printf '#!/bin/sh\necho serving a page\ntrap exit TERM\nhttpd -f -h /www & wait\n' \
		>"$dir/bin/nginx"
	# The server may not listen yet.
	printf '#!/bin/sh\nuntil wget -q -O - "$2"; do sleep 0.1; done\n' >"$dir/bin/curl"
	chmod 755 "$dir/bin/nginx" "$dir/bin/curl"
	mke2fs -q -t ext4 -d "$dir" "$clone/image.ext4" 32M &&
		mke2fs -q -t ext4 "$clone/disk.ext4" 4M &&
		mke2fs -q -t ext4 "$clone/more.ext4" 4M || return 1

	# The archive has the image's layer, and another configuration.
	mkdir -p "$image/blobs/sha256" "$work/docker" &&
		tar -C "$rootfs" --owner=0 --group=0 -cf "$work/docker/layer.tar" . &&
		id=$(sha256sum "$work/docker/layer.tar") || return 1
	config='{"os": "linux", "architecture": "'$arch'", "config": {"Env": ["PATH=/bin", "GREETING=image"], "Cmd": ["echo", "started by the archive"]},
		"rootfs": {"type": "layers", "diff_ids": ["sha256:'${id%% *}'"]}}'
	echo "$config" >"$work/docker/config.json" &&
		echo '[{"Config": "config.json", "RepoTags": ["app:latest"], "Layers": ["layer.tar"]}]' >"$work/docker/manifest.json" &&
		tar -C "$work/docker" -cf "$clone/app.tar" . &&
		layer=$(blob "$work/docker/layer.tar") &&
		echo "$config" >"$work/config" && config=$(blob "$work/config") || return 1
	echo '{"schemaVersion": 2, "mediaType": "'$type.manifest.v1+json'", "config": {"mediaType": "'$type.config.v1+json'", '"$config"'},
		"layers": [{"mediaType": "'$type.layer.v1.tar'", '"$layer"'}]}' >"$work/manifest"
	echo '{"schemaVersion": 2, "manifests": [{"mediaType": "'$type.manifest.v1+json'", '"$(blob "$work/manifest")"'}]}' >"$image/index.json"
	echo '{"imageLayoutVersion": "1.0.0"}' >"$image/oci-layout"

	cat >"$clone/site.yaml" <<-'END'
	apiVersion: v1
	kind: Pod
	metadata: {name: site}
	spec:
	  containers:
	  - name: web
	    image: nginx:1.25
	    command: [nginx, -g, daemon off;]
	    readinessProbe: {httpGet: {port: 80}, periodSeconds: 1}
	  - name: side
	    image: busybox
	    command: [sleep, "3600"]
	END
}

# The user owns the directory, but neither out/ nor what is above.
hand_over()
{
	test "$(id -u)" = 0 || return 0
	chmod o+x "$base" "$lane_files" "$work" &&
		find "$clone" -path "$clone/out" -prune -o -exec chown -h 65534:65534 {} +
}

# run_line COMMAND TYPED: runs the command as the user, on a terminal if something is typed, which
# not every machine lets a user open
run_line()
{
	cd "$clone" || return 1
	# shellcheck disable=SC2086
	if test -z "$2"; then
		timeout -k 5 180 $here bash -c "$1" </dev/null
	else
		printf '%s\n' "$2" |
			SHELL=/bin/bash timeout -k 5 180 script -qec "$here bash -c ${1@Q}" \
			/dev/null
	fi
}

# documented COMMAND TYPED PATTERN...: the command succeeds, and prints lines that match
documented()
{
	local command=$1 typed=$2 pattern
	shift 2
	(run_line "$command" "$typed") >"$work/printed" 2>&1 ||
		{ echo "failed with $?"; cat "$work/printed"; return 1; }
	tr -d '\r' <"$work/printed" >"$work/lines"
	for pattern; do
		grep -qaE -e "$pattern" "$work/lines" ||
			{ echo "no line matches $pattern:"; cat "$work/lines"; return 1; }
	done
}

# Runs the command that was read, once all that belongs to it was.
run_last()
{
	local ok=ok
	test -z "$typed" || ok=ok_on_terminal
	test -z "$command" ||
		$ok "$command" documented "$command" "$typed" ${patterns[@]+"${patterns[@]}"}
	command='' typed='' patterns=()
}

if ok 'a copy of the products' copy_products && ok 'no path of the cache in it' no_path_of_cache &&
	ok 'make images' make_images && ok 'another user' hand_over; then
	command='' typed=''
	run_last
	while IFS= read -r line; do
		case $line in
		'$ '*|'! '*)	run_last; command=${line#??} ;;
		'< '*)		typed=${line#??} ;;
		'> '*)		patterns+=("${line#??}") ;;
		esac
	done < <(cat tests/data/documented-commands; echo '! out/tatamictl rm -f --all || :')
	run_last
	ok 'no process is left' within 60 no_process "$clone/out/"
fi
