# SPDX-License-Identifier: Apache-2.0
# soak: ours distro
# shellcheck shell=bash disable=SC2046
# Cost of init and agent when idle; booted with only invalid kernel parameters.

idle_seconds=$((SOAK ? 60 : 10))

measure()
{
	cat >"$work/idle/idle.sh" <<-END
	agents=
	for d in /hostproc/[0-9]*; do
		name=\$(tr '\\0' ' ' <\$d/cmdline)
		case \${d##*/}:\$name in 1:*) ;; *:kata-agent* | */kata-agent*) agents="\$agents \${d##*/}" ;; esac
	done
	# KiB of the writable mappings of the program's file
	writable() { awk '\$2 ~ /^.w/ && \$5 > 0 { print \$1 }' /hostproc/\$1/maps |
		while IFS=- read -r a b; do echo \$(((0x\$b - 0x\$a) / 1024)); done; }
	kib() { awk '/^Pss:/ { print \$2 }' /hostproc/\$1/smaps_rollup; }
	switches() { for p in 1 \$agents; do awk '/ctxt_switches/ { print \$2 }' /hostproc/\$p/status; done | awk '{ n += \$1 } END { print n }'; }
	total=0
	for p in 1 \$agents; do total=\$((total + \$(kib \$p))); done
	echo processes 1 \$agents
	for p in 1 \$agents; do writable \$p; done | awk '{ n += \$1 } END { print "writable", n }'
	sleep 1
	before=\$(switches)
	sleep $idle_seconds
	after=\$(switches)
	echo pss \$total
	echo wakeups \$((after - before))
	END
	ctl run $(vm_options) --rootfs "$work/idle" --privileged --guest-proc /hostproc \
		--append "$bad_parameters" -- sh /idle.sh \
		>"$work/idle.txt" || return 1
	grep '^wakeups' "$work/idle.txt"
}

# at_most KEY N
at_most()
{
	cat "$work/idle.txt"
	local value
	value=$(sed -n "s/^$1 //p" "$work/idle.txt")
	test -n "$value" && test "$value" -gt -1 && test "$value" -le "$2"
}

bad_parameters='agent.log=loud agent.log_vport=-7 agent.hotplug_timeout=x agent.server_addr= agent.container_pipe_size=9999999999999'
bad_parameters="$bad_parameters cgroup_no_v1=all systemd.unified_cgroup_hierarchy=maybe"
userland "$work/idle"
mkdir -p "$work/idle/hostproc"
if ok 'invalid kernel parameters cause only warnings' measure; then
	ok 'init and agent run' grep -Eqx 'processes 1( [0-9]+)+' "$work/idle.txt"
	ok 'init and agent take at most 900 KiB (PSS)' at_most pss 900
	ok 'the relocated constants of init and agent are read-only' at_most writable 16
	ok "no wakeups in $idle_seconds idle seconds" at_most wakeups 0
	sed 's/^/# /' "$work/idle.txt"
fi
rm -rf "$work/idle"
