# SPDX-License-Identifier: Apache-2.0
# only on: ours
# shellcheck shell=bash disable=SC2046,SC2016
# Pods as Kubernetes creates them, from its documents. One has most of what a pod can have: init
# containers and a sidecar, a shared pid namespace, an nginx on a disk that serves a config map to
# the host through the VM's network card, volumes of each kind, limits, security contexts, probes
# and hooks. Next to it, in VMs of their own, run two of the examples in tests/data/pods.

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
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=site -days \
		30 \
		-keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null || return 1
	mkdir -p "$work/side" "$work/host" "$work/kept" && echo kept >"$work/kept/file" &&
		truncate -s 16M "$work/disk.ext4" && mke2fs -q -t ext4 "$work/disk.ext4" &&
		cp -a "$rootfs/." "$work/side/" || return 1
	cat >"$work/pod.yaml" <<-END
	apiVersion: v1
	kind: ConfigMap
	metadata: {name: pages}
	data:
	  index.html: |
	    a page of a config map
	---
	apiVersion: v1
	kind: Secret
	metadata: {name: key}
	data: {token: aHVzaA==}
	---
	apiVersion: v1
	kind: Secret
	metadata: {name: tls}
	stringData:
	  tls.conf: |
	    server { listen 8443 ssl; root /var/www/html; ssl_certificate /etc/tls/cert; ssl_certificate_key /etc/tls/key; }
	data: {cert: $(base64 -w0 "$work/cert.pem"), key: $(base64 -w0 "$work/key.pem")}
	---
	apiVersion: v1
	kind: PersistentVolume
	metadata: {name: kept}
	spec:
	  storageClassName: manual
	  capacity: {storage: 1Gi}
	  accessModes: [ReadWriteOnce]
	  hostPath: {path: $work/kept}
	---
	apiVersion: v1
	kind: PersistentVolumeClaim
	metadata: {name: kept}
	spec:
	  storageClassName: manual
	  accessModes: [ReadWriteOnce]
	  resources: {requests: {storage: 1Mi}}
	---
	apiVersion: v1
	kind: Pod
	metadata:
	  name: site
	  labels: {app: site}
	spec:
	  hostname: www
	  runtimeClassName: kata
	  shareProcessNamespace: true
	  terminationGracePeriodSeconds: 60
	  securityContext: {fsGroup: 2000, supplementalGroups: [4000]}
	  hostAliases: [{ip: 10.1.2.3, hostnames: [far.example, far]}]
	  volumes:
	  - {name: pages, configMap: {name: pages}}
	  - {name: key, secret: {secretName: key, defaultMode: 0400}}
	  - {name: tls, secret: {secretName: tls}}
	  - {name: fast, emptyDir: {medium: Memory, sizeLimit: 8Mi}}
	  - {name: scratch, emptyDir: {}}
	  - {name: host, hostPath: {path: $work/host, type: Directory}}
	  - {name: kept, persistentVolumeClaim: {claimName: kept, readOnly: true}}
	  - {name: disk, persistentVolumeClaim: {claimName: disk}}
	  initContainers:
	  - name: first
	    image: busybox
	    command: [sh, -c, 'echo first >/scratch/order']
	    volumeMounts: [{name: scratch, mountPath: /scratch}]
	  - name: shipper
	    image: busybox
	    restartPolicy: Always
	    command: [sh, -c, 'echo shipper >>/scratch/order; exec tail -F /scratch/log']
	    startupProbe: {exec: {command: [grep, -q, shipper, /scratch/order]}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 60}
	    volumeMounts: [{name: scratch, mountPath: /scratch}]
	    securityContext: {seccompProfile: {type: Localhost, localhostProfile: profiles/no-directories.json}}
	  containers:
	  - name: nginx
	    image: nginx:1.25
	    command: [nginx, -g, daemon off;]
	    ports: [{name: web, containerPort: 80, hostPort: $port}]
	    volumeMounts:
	    - {name: pages, mountPath: /var/www/html, readOnly: true}
	    - {name: scratch, mountPath: /scratch}
	    - {name: tls, mountPath: /etc/tls}
	    - {name: tls, mountPath: /etc/nginx/conf.d/tls.conf, subPath: tls.conf}
	    resources: {limits: {memory: 0.09375Gi, cpu: 0.9}}
	    livenessProbe: {httpGet: {scheme: HTTPS, path: /index.html, port: 8443, httpHeaders: [{name: User-Agent, value: by-https}]}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 60}
	    startupProbe: {tcpSocket: {port: web}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 60}
	    readinessProbe: {httpGet: {path: /index.html, port: web}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 60}
	  - name: side
	    image: docker.io/library/busybox:1.36
	    command: [sh, -c]
	    args:
	    - |
	      trap 'echo terminated >>/host/end; exit 0' TERM
	      echo side is up; echo side >>/scratch/order; echo \$GREETING >/scratch/said; touch /tmp/alive
	      while :; do sleep 1; done
	    env:
	    - {name: WORD, value: hello}
	    - {name: GREETING, value: of the image}
	    - {name: GREETING, value: \$(WORD)}
	    - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
	    - {name: TOKEN, valueFrom: {secretKeyRef: {name: key, key: token}}}
	    - {name: MIB, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
	    volumeMounts:
	    - {name: scratch, mountPath: /scratch}
	    - {name: scratch, mountPath: /part, subPath: a/b}
	    - {name: fast, mountPath: /fast}
	    - {name: key, mountPath: /etc/key}
	    - {name: host, mountPath: /host}
	    - {name: pages, mountPath: /page, subPath: index.html}
	    - {name: kept, mountPath: /kept}
	    - {name: disk, mountPath: /disk}
	    resources: {limits: {memory: 32Mi}}
	    lifecycle:
	      postStart: {exec: {command: [sh, -c, 'echo hook >/tmp/hook']}}
	      preStop: {exec: {command: [sh, -c, 'echo hook >>/host/end']}}
	    livenessProbe: {exec: {command: [sh, -c, "test \"\$GREETING \$(WORD)\" = 'hello hello' && test -e /tmp/alive"]}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 2}
	  - name: locked
	    image: busybox
	    command: [sleep, "3600"]
	    volumeMounts: [{name: scratch, mountPath: /scratch}]
	    securityContext:
	      runAsUser: 1000
	      runAsGroup: 3000
	      runAsNonRoot: true
	      allowPrivilegeEscalation: false
	      readOnlyRootFilesystem: true
	      capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}
	      seccompProfile: {type: RuntimeDefault}
	END
}

images() { echo --image "nginx=$work/pod.ext4" --image "busybox=$work/side"; }

make_pod()
{
	ctl pod $(vm_options) --memory 512 $(images) --claim "disk=$work/disk.ext4" \
		--seccomp-profiles tests/data/pods "$work/pod.yaml" 2>"$work/notes" ||
		{ cat "$work/notes"; return 1; }
	vms+=(site)
	vmdir=$XDG_RUNTIME_DIR/tatami/site
	cat "$work/notes"
	grep -q 'ignored: spec.runtimeClassName, metadata.labels' "$work/notes"
}

in_side() { ctl exec -c side site -- sh -c "$1"; }
status() { ctl pod --status site | tr -d ' \n' | tee /dev/stderr | grep -q "$1"; }

served() { is 'a page of a config map' curl -sS --max-time 20 "http://127.0.0.1:$1/"; }
pids()
{
	in_side 'tr "\0" " " </proc/1/cmdline; ps -o comm' | tee /dev/stderr | grep -q nginx &&
		in_side 'tr "\0" " " </proc/1/cmdline' | grep -qx '/pause '
}
# Files of an ordinary user cannot belong to that group.
secret_access='440 2000'
test "$(id -u)" = 0 || secret_access="444 $(id -g)"
secret() { in_side \
	'stat -L -c "%a %g" /etc/key/token; readlink /etc/key/token; cat /etc/key/token'; }
shared() { ctl exec -c nginx site -- cat /scratch/said /scratch/order; }
parts() { in_side \
	'cat /page; echo x >/part/file; cat /scratch/a/b/file; stat -c %g /scratch /scratch/a/b'; }
memory_dir()
{
	in_side 'grep " /fast " /proc/mounts' | tee /dev/stderr | grep 'tmpfs' |
		grep -q 'size=8192k'
}
claims()
{
	is $'kept\n2000 2775' in_side \
		'cat /kept/file && echo x >/disk/file && stat -c "%g %a" /disk' &&
		! in_side 'echo x >/kept/file'
}
# The log is that of nginx, where the answers stand.
asked() { ctl exec -c nginx site -- grep -q '"GET /index.html HTTP/[12.]*" 200 .*by-https' \
	/var/log/nginx/access.log; }
limits()
{
	in_side 'cat /sys/fs/cgroup/memory.max' &&
		ctl exec -c nginx site -- cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max
}
read_only()
{
	! in_side 'echo x >/etc/key/token' &&
		! ctl exec -c nginx site -- sh -c 'echo x >/var/www/html/index.html'
}
# The environment of the first process: exec has its own.
variables() \
	{ in_side \
	'tr "\0" "\n" <"$(grep -l "[s]ide is up" /proc/[0-9]*/cmdline | head -n 1 | sed s/cmdline/environ/)" | grep -E "^(POD|TOKEN|MIB|HOSTNAME)=" | sort'; }
names()
{
	in_side 'cat /etc/hosts /etc/hostname /etc/resolv.conf; ip addr show dev eth0' |
		tee /dev/stderr >"$work/names"
	grep -qx $'10.1.2.3\tfar.example\tfar' "$work/names" &&
		grep -qx $'10.0.2.15\twww' "$work/names" &&
		grep -qx www "$work/names" && grep -q '^nameserver 10.0.2.3' "$work/names" &&
		grep -q 'inet6 fec0::15/64' "$work/names"
}
# The status of the process itself; exec may have other rights.
locked()
{
	in_side 'cat "$(grep -l "^slee[p].3600" /proc/[0-9]*/cmdline | sed s/cmdline/status/)"' |
		tee /dev/stderr >"$work/locked"
	grep -q $'^Uid:\t1000\t' "$work/locked" && grep -q $'^Gid:\t3000\t' "$work/locked" &&
		grep -q '^Groups:.*2000.*4000' "$work/locked" &&
		grep -q $'^NoNewPrivs:\t1' "$work/locked" &&
		grep -q $'^CapBnd:\t0000000000000400' "$work/locked" &&
		grep -q $'^Seccomp:\t2' "$work/locked" &&
		says 'Read-only file system' ctl exec -c locked site -- touch /x
}

# Without the filter each user may make a namespace of users.
filtered()
{
	in_side 'unshare -U true' && is 2 ctl exec -c locked site -- sh -c 'echo one two | wc -w' &&
		says 'Operation not permitted' ctl exec -c locked site -- unshare -U true
}
filtered_by_file() { says 'Input/output error' ctl exec -c shipper site -- mkdir /scratch/made; }

container_log() { ctl logs -t site/side >"$work/side.log" &&
	grep -qE '^20[0-9T:.-]+Z side is up$' "$work/side.log"; }
started_twice()
{
	status '"side".*"ready":true,"restarts":1' 2>/dev/null &&
		test "$(grep -c 'side is up' "$vmdir/container-side.log")" = 2
}
restarted()
{
	status '"side".*"restarts":0' || return 1
	in_side 'test -e /tmp/hook && rm /tmp/alive' || return 1
	within 90 started_twice && is $'hook\nterminated' cat "$work/host/end" && return 0
	status '"side".*"ready":true,"restarts":1'
	cat "$vmdir/container-side.log"
	return 1
}
ended() { rm "$work/host/end" && stop site && is $'hook\nterminated' cat "$work/host/end"; }

# The network of the second VM. passt isolates itself, which not every container allows.
isolates() { unshare --ipc --mount --uts $(test "$(id -u)" = 0 || echo --user) true 2>/dev/null; }
if command -v passt >/dev/null && isolates; then network=passt; else network=user; fi
# Two examples, with a port that is free here.
examples()
{
	sed "s/hostPort: 8080/hostPort: $second/" tests/data/pods/nginx.yaml >"$work/nginx.yaml" &&
		ctl pod $(vm_options) --network $network $(images) "$work/nginx.yaml" &&
		vms+=(nginx) &&
		ctl pod $(vm_options) $(images) tests/data/pods/busybox-sleep.yaml &&
		vms+=(sleeper) &&
		is 'sleep 3600 ' ctl exec sleeper -- sh -c 'tr "\0" " " </proc/1/cmdline' &&
		curl -sS --max-time 20 "http://127.0.0.1:$second/" |
		grep -q 'A page from nginx in a container'
}
# The gateway stands for the host, where the first pod publishes its port.
outside()
{
	pgrep -f "^[^ ]*passt.*$XDG_RUNTIME_DIR/tatami/nginx/passt.sock" >/dev/null &&
		is 'a page of a config map' ctl exec nginx -- curl -sS --max-time 20 \
		"http://10.0.2.2:$port/"
}
in_use() { says "failed to publish port $port of 127.0.0.1" ctl boot --name clash $(vm_options) -p \
	"$port:80" --rootfs "$rootfs"; }
side_by_side()
{
	ctl ps | tee /dev/stderr | grep -c ' up ' | grep -qx 3 && served "$port" || return 1
	vmdir=$XDG_RUNTIME_DIR/tatami/nginx
	stop nginx || return 1
	vmdir=$XDG_RUNTIME_DIR/tatami/sleeper
	stop sleeper || return 1
	vmdir=$XDG_RUNTIME_DIR/tatami/site
}

# Pods that end by themselves, and what is known of them afterwards.
ends()
{
	cat >"$work/$1.yaml" &&
		ctl pod $(vm_options) $(images) --image "content=$work/kept" "$work/$1.yaml" ||
		return 1
	vms+=("$1")
	ctl wait "$1" >"$work/$1.code" 2>"$work/$1.said"
	cat "$work/$1.code" "$work/$1.said"
}
last_words()
{
	ends words <<-END || return 1
	metadata: {name: words}
	spec:
	  restartPolicy: Never
	  hostname: here
	  subdomain: sub
	  setHostnameAsFQDN: true
	  securityContext:
	    sysctls: [{name: net.core.somaxconn, value: "777"}, {name: kernel.msgmax, value: "65536"}]
	  volumes: [{name: v, image: {reference: content}}]
	  containers:
	  - name: file
	    image: busybox
	    command: [sh, -c, 'cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax /v/file; hostname; touch /v/x; echo it was me >/dev/termination-log; exit 3']
	    volumeMounts: [{name: v, mountPath: /v}]
	  - name: log
	    image: busybox
	    command: [sh, -c, 'echo said on the way; exit 4']
	    terminationMessagePolicy: FallbackToLogsOnError
	  - name: user
	    image: busybox
	    command: [sh, -c, 'id -u >/tmp/words']
	    terminationMessagePath: /tmp/words
	    securityContext: {runAsUser: 1000}
	END
	is 3 cat "$work/words.code" &&
		is $'words/file: it was me \nwords/log: said on the way \nwords/user: 1000 ' cat \
		"$work/words.said" &&
		ctl logs words/file | tee /dev/stderr |
		grep -c -x -e 777 -e 65536 -e kept -e here.sub.default.svc.cluster.local |
		grep -qx 4 &&
		ctl logs words/file 2>&1 | grep 'Read-only file system' >/dev/null &&
		ctl inspect words | grep -F '"message": "it was me\n"' >/dev/null
}
deadline()
{
	ends late <<-END || return 1
	metadata: {name: late}
	spec:
	  activeDeadlineSeconds: 20
	  containers: [{name: c, image: busybox, command: [sh, -c, 'trap "echo ended >/dev/termination-log; exit 0" TERM; while :; do sleep 1; done']}]
	END
	is 124 cat "$work/late.code" &&
		grep -q 'VM late: DeadlineExceeded: the pod was active for longer than 20 s' \
		"$work/late.said" &&
		grep -qx 'late/c: ended ' "$work/late.said"
}
# Each index has names and an empty directory of its own. The second fails once.
indexes()
{
	mkdir -p "$work/made" && ends sum <<-END || return 1
	kind: Job
	metadata: {name: sum}
	spec:
	  completionMode: Indexed
	  completions: 3
	  backoffLimitPerIndex: 1
	  template:
	    spec:
	      restartPolicy: Never
	      volumes:
	      - {name: made, hostPath: {path: $work/made}}
	      - {name: empty, emptyDir: {}}
	      - {name: names, downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}
	      containers:
	      - name: c
	        image: busybox
	        command:
	        - sh
	        - -c
	        - |
	          echo \$(hostname) \$(cat /names/name) \$(ls /empty) >>/made/all; touch /empty/file
	          test \$(JOB_COMPLETION_INDEX) != 1 || test -e /made/second || { touch /made/second; exit 7; }
	        volumeMounts:
	        - {name: made, mountPath: /made}
	        - {name: empty, mountPath: /empty}
	        - {name: names, mountPath: /names}
	END
	is 0 cat "$work/sum.code" &&
		is $'sum-0 sum-0\nsum-1 sum-1\nsum-1 sum-1\nsum-2 sum-2' cat "$work/made/all" &&
		ctl pod --status sum | tr -d ' \n' | tee /dev/stderr |
		grep -q '"job":{"completions":3,"succeeded":3,"failed":1}'
}

port=$(free_port)
second=$(free_port)
if ok 'make a disk with nginx' make_disk && ok 'describe the pod' describe; then
	ok 'an unknown field is refused with its path and line' \
		says 'refused-field.yaml: line 8: spec.containers[0].volumeMount: unknown field' \
		ctl pod tests/data/pods/refused-field.yaml
	if LIMIT=240 ok 'a pod with init containers becomes ready by its probes' make_pod; then
		ok 'two examples run in VMs of their own' examples
		if test $network = passt; then
			ok 'passt connects a VM to the world outside' outside
		else
			skip 'passt connects a VM to the world outside' \
				'passt is not installed, or cannot isolate itself'
		fi
		ok 'a port that is in use is named' in_use
		ok 'three VMs side by side' side_by_side
		ok 'nginx answers the host through the network card' served "$port"
		ok 'a shared pid namespace with the pause container as process 1' pids
		ok 'a secret, for the group of the pod' is "$secret_access"$'\n..data/token\nhush' secret
		ok 'an empty directory is shared, in the order of the containers' is \
			$'hello\nfirst\nshipper\nside' shared
		ok 'parts of volumes' is $'a page of a config map\nx\n2000\n2000' parts
		ok 'an empty directory in memory has the given size' memory_dir
		ok 'a probe by HTTPS reaches the pod' within 30 asked
		ok 'claims: a directory that nobody may write, a disk for the group of the pod' \
			claims
		ok 'limits' is $'33554432\n100663296\n90000 100000' limits
		ok 'secret and config map cannot be written' read_only
		ok 'variables' is $'HOSTNAME=www\nMIB=32\nPOD=site\nTOKEN=hush' variables
		ok 'names and addresses' names
		ok 'a restricted container' locked
		ok 'the default seccomp profile refuses new namespaces' filtered
		ok 'a seccomp profile of a file' filtered_by_file
		ok 'the log of a container' container_log
		ok 'a container is ended by its hook and restarted when its liveness probe fails' \
			restarted
		ok 'nginx still answers' served "$port"
		ok 'stop runs the hook, and leaves nothing' ended
		ok 'termination messages, kernel parameters, an image volume' last_words
		ok 'a pod is ended at its deadline' deadline
		ok 'the pods of an Indexed Job' indexes
	fi
fi
rm -rf "$work/made" "$work/side" "$work/pod.ext4" "$work/disk.ext4" "$work/host" "$work/kept"
