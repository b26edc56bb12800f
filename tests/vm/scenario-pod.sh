# SPDX-License-Identifier: Apache-2.0
# only on: ours
# shellcheck shell=bash disable=SC2046,SC2016
# A pod as created by Kubernetes: pause container, shared pid namespace, an nginx on a disk that
# serves a config map to the host through the VM's network card, and a busybox next to it; secret,
# empty directories, limits, probes.

make_disk()
{
	local tree
	tree=$(tests/support/userland web) && mke2fs -q -t ext4 -d "$tree" "$work/pod.ext4" 300M
}

# Prints a port that is not in use.
free_port()
{
	local port
	for port in $(shuf -i 20000-29999 -n 50); do
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
}

describe()
{
	mkdir -p "$work/side" && cp -a "$rootfs/." "$work/side/" || return 1
	cat >"$work/pod.json" <<-END
	{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "site"}, "spec": {
	 "hostname": "www", "shareProcessNamespace": true, "restartPolicy": "Always",
	 "volumes": [
	  {"name": "pages", "configMap": {"data": {"index.html": "a page of a config map\n"}}},
	  {"name": "key", "secret": {"stringData": {"token": "hush"}}},
	  {"name": "fast", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
	  {"name": "scratch", "emptyDir": {}}],
	 "containers": [
	  {"name": "nginx", "image": "$work/pod.ext4", "command": ["nginx", "-g", "daemon off;"],
	   "ports": [{"containerPort": 80, "hostPort": $port}],
	   "volumeMounts": [{"name": "pages", "mountPath": "/var/www/html", "readOnly": true}, {"name": "scratch", "mountPath": "/scratch"}],
	   "resources": {"limits": {"memory": "0.09375Gi", "cpu": 0.9}},
	   "readinessProbe": {"exec": {"command": ["curl", "-sf", "-o", "/dev/null", "http://127.0.0.1/"]}, "periodSeconds": 1, "timeoutSeconds": 10, "failureThreshold": 60}},
	  {"name": "side", "image": "$work/side", "command": ["sh", "-c"], "args": ["echo side is up; echo \$GREETING >/scratch/said; touch /tmp/alive; exec sleep 3600"],
	   "env": [{"name": "WORD", "value": "hello"}, {"name": "GREETING", "value": "of the image"}, {"name": "GREETING", "value": "\$(WORD)"}],
	   "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}, {"name": "fast", "mountPath": "/fast"}, {"name": "key", "mountPath": "/etc/key"}],
	   "resources": {"limits": {"memory": "32Mi"}},
	   "livenessProbe": {"exec": {"command": ["sh", "-c", "test \"\$GREETING \$(WORD)\" = 'hello hello' && test -e /tmp/alive"]}, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 2}}]}}
	END
}

make_pod()
{
	ctl pod $(vm_options) --memory 512 "$work/pod.json" || return 1
	vms+=(site)
	vmdir=$XDG_RUNTIME_DIR/tatami/site
}

in_side() { ctl exec -c side site -- sh -c "$1"; }
status() { ctl pod --status site | tr -d ' \n' | tee /dev/stderr | grep -q "$1"; }

served() { is 'a page of a config map' curl -sS --max-time 20 "http://127.0.0.1:$port/"; }
pids()
{
	in_side 'tr "\0" " " </proc/1/cmdline; ps -o comm' | tee /dev/stderr | grep -q nginx &&
		in_side 'tr "\0" " " </proc/1/cmdline' | grep -qx '/pause '
}
secret() { in_side 'stat -L -c %a /etc/key/token; readlink /etc/key/token; cat /etc/key/token'; }
shared() { ctl exec site -- cat /scratch/said; }
memory_dir()
{
	in_side 'grep " /fast " /proc/mounts' | tee /dev/stderr | grep 'tmpfs' |
		grep -q 'size=8192k'
}
limits()
{
	in_side 'cat /sys/fs/cgroup/memory.max' &&
		ctl exec site -- cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max
}
read_only()
{
	! in_side 'echo x >/etc/key/token' &&
		! ctl exec site -- sh -c 'echo x >/var/www/html/index.html'
}

started_twice()
{
	status '"side".*"ready":true,"restarts":1' 2>/dev/null &&
		test "$(grep -c 'side is up' "$vmdir/side.log")" = 2
}
restarted()
{
	status '"side".*"restarts":0' || return 1
	in_side 'rm /tmp/alive' || return 1
	within 60 started_twice && return 0
	status '"side".*"ready":true,"restarts":1'
	cat "$vmdir/side.log"
	return 1
}

port=$(free_port)
if ok 'make a disk with nginx' make_disk && ok 'describe the pod' describe; then
	ok 'an unknown member is refused by name' says 'hostname2' ctl pod \
		<(sed 's/"hostname"/"hostname2"/' "$work/pod.json")
	if LIMIT=240 ok 'a pod of two containers becomes ready by its probe' make_pod; then
		ok 'nginx answers the host through the network card' served
		ok 'a shared pid namespace with the pause container as process 1' pids
		ok 'a secret' is $'600\n..data/token\nhush' secret
		ok 'an empty directory is shared' is hello shared
		ok 'an empty directory in memory has the given size' memory_dir
		ok 'limits' is $'33554432\n100663296\n90000 100000' limits
		ok 'secret and config map cannot be written' read_only
		ok 'the log of a container' grep -qx 'side is up' "$vmdir/side.log"
		ok 'a container is restarted when its liveness probe fails' restarted
		ok 'nginx still answers' served
		ok 'stop leaves nothing' stop site
	fi
fi
rm -rf "$work/side" "$work/pod.ext4"
