# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
# Part of tests/check-ctl: what `pod` refuses, by one sentence and before a VM is booted.

pod() { ctl pod --share 9p --accel tcg --kernel "$scratch/kernel" --initrd "$scratch/kernel" "$@"; }

# refused FIELD ARGUMENT...: one line that names the field, and no VM
refused()
{
	local status=0
	FAKE_CALLS=$scratch/pod-calls pod "${@:2}" >"$scratch/err" 2>&1 </dev/null || status=$?
	test $status = 2 || { echo "exit code $status"; cat "$scratch/err"; return 1; }
	said "$1" "$scratch/err" || return 1
	test "$(grep -c . "$scratch/err")" = 1 || { cat "$scratch/err"; return 1; }
	test ! -e "$scratch/pod-calls"
}

each()
{
	local file
	for file in tests/data/pods/refused-*.yaml; do
		refused "$file: line " "$file" &&
			grep -qE ': (spec|metadata)\.[^ ]+: ' "$scratch/err" ||
			{ cat "$scratch/err"; return 1; }
	done
}
passes 'pod: each example that is refused names its field' each

cat >"$scratch/pod.yaml" <<END
metadata: {name: p}
spec:
  containers:
  - name: c
    image: registry.invalid/web:1
    imagePullPolicy: Never
    command: [sleep, "60"]
    ports: [{containerPort: 80, hostPort: 8080, hostIP: "::1"}]
    livenessProbe: {httpGet: {scheme: HTTPS, port: 443}}
    securityContext: {seccompProfile: {type: Localhost, localhostProfile: none.json}}
  volumes:
  - {name: v, persistentVolumeClaim: {claimName: data}}
END
passes 'pod: a host port of an IPv6 address' refused \
	'pod.yaml: line 8: spec.containers[0].ports[0].hostIP: ports of IPv6 addresses require --network passt' "$scratch/pod.yaml"
sed -i 's/"::1"/127.0.0.1/' "$scratch/pod.yaml"
passes 'pod: a claim without a volume' refused 'give its directory or disk by --claim data=PATH' \
	"$scratch/pod.yaml"
passes 'pod: a claim that is not given well' refused \
	'--claim data: expected NAME=DIR or NAME=DISK' --claim data "$scratch/pod.yaml"
passes 'pod: a seccomp profile that is not there' refused \
	"spec.containers[0].securityContext.seccompProfile.localhostProfile: failed to read $scratch/none.json" --claim "data=$scratch/root" "$scratch/pod.yaml"
echo '{"defaultAction": "SCMP_ACT_LOG", "syscalls": [{}]}' >"$scratch/root/none.json"
passes 'pod: an invalid seccomp profile of another directory' refused \
	"$scratch/root/none.json: syscalls[0].names: missing" --seccomp-profiles "$scratch/root" \
	--claim "data=$scratch/root" "$scratch/pod.yaml"
echo '{}' >"$scratch/none.json"
passes 'pod: HTTPS without a network' refused \
	'line 9: spec.containers[0].livenessProbe.httpGet.scheme: HTTPS needs a network' \
	--no-network --claim "data=$scratch/root" "$scratch/pod.yaml"
passes 'pod: an image that may not be downloaded' refused \
	'line 5: spec.containers[0].image: not given by --image, and imagePullPolicy is Never: no image registry.invalid/web:1' \
	--claim "data=$scratch/root" "$scratch/pod.yaml"
rm "$scratch/root/none.json"
