# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The cost for an idle guest of following 10 ConfigMaps on a share, where inotify does not work.

# follow_request AT: prints the request of a container that has the ConfigMaps
follow_request()
{
	local at=$1 i volumes='' mounts=''
	for i in 0 1 2 3 4 5 6 7 8 9; do
		volumes="$volumes,{\"driver\":\"watchable-bind\",\"source\":\"$at/follow/$i\",
			\"fstype\":\"bind\",\"options\":[\"ro\"],
			\"mount_point\":\"$at/containers/watchable/$i\"}"
		mounts="$mounts,{\"destination\":\"/$i\",\"type\":\"bind\",
			\"source\":\"$at/containers/watchable/$i\",
			\"options\":[\"rbind\",\"ro\"]}"
	done
	cat <<-END
	{"container_id":"follow","storages":[
		{"driver":"virtio-fs","source":"share1","fstype":"virtiofs",
			"mount_point":"$at/follow"}$volumes],
	"OCI":{"Version":"1.1.0","Root":{"Path":"$at/containers/main/rootfs"},
	"Process":{"Args":["sleep","3600"],"Env":["PATH=/bin"],"Cwd":"/","User":{},
		"Capabilities":{}},
	"Mounts":[{"destination":"/proc","type":"proc","source":"proc"},
		{"destination":"/dev","type":"tmpfs","source":"tmpfs",
			"options":["nosuid","mode=755"]}$mounts],
	"Linux":{"CgroupsPath":"/follow",
		"Namespaces":[{"Type":"mount"},{"Type":"ipc"},{"Type":"uts"}]}}}
	END
}

area_follow()
{
	local idle=${IDLE:-60} cost wakeups time pss i map what='following 10 config maps'
	say "bench: following 10 config maps on virtio-fs for $idle idle seconds"
	cp -a "$OUT/rootfs" "$work/follow" && mkdir -p "$work/follow/hostproc"
	for i in 0 1 2 3 4 5 6 7 8 9; do
		map=$work/share/$i
		mkdir -p "$map/..v1" && echo text >"$map/..v1/key" && ln -s ..v1 "$map/..data" &&
			ln -s ..data/key "$map/key"
	done
	vm_boot follow --share 9p --initrd "$OUT/kernel/$kernel/initrd.img" \
		--rootfs "$work/follow" --writable --attach "virtio-fs:$work/share" --privileged \
		--guest-proc /hostproc || return 0
	if "$OUT/tatamictl" rpc "$address" CreateContainer \
			"$(follow_request /run/kata-containers/shared)" >/dev/null &&
		"$OUT/tatamictl" rpc "$address" StartContainer '{"container_id":"follow"}' \
			>/dev/null &&
		cost=$(XDG_RUNTIME_DIR=$work "$OUT/tatamictl" exec --privileged "$vm" -- sh -c '
			for d in /hostproc/[0-9]*; do
				test "$(cat $d/comm 2>/dev/null)" != kata-follow || p=$d
			done
			look()
			{
				awk "/ctxt_switches/ { n += \$2 } END { print n }" $p/status
				cut -d" " -f1 $p/schedstat
				awk "/^Pss:/ { print \$2 }" $p/smaps_rollup
			}
			sleep 5
			set -- $(look)
			sleep '"$idle"'
			set -- "$@" $(look)
			echo $(($4 - $1)) $((($5 - $2) / 1000)) $6'); then
		read -r wakeups time pss <<<"$cost"
		exact "$what: wake-ups" 'a minute' low "$((wakeups * 60 / idle))" none -
		exact "$what: processor time" 'us a minute' low "$((time * 60 / idle))" none -
		exact "$what: PSS of the worker" KiB low "$pss" none -
	else
		fail 'the config maps were not followed'
	fi
	vm_stop
}
