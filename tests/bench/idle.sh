# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# Runs in a container of an idle guest, whose processes are in /hostproc: memory of init and agent,
# and how often any thread of a process wakes up that is not of this container, per minute. IDLE is
# replaced by the seconds.

init=1
agent=
for d in /hostproc/[0-9]*; do
	p=${d##*/}
	name=$(tr '\0' ' ' <"$d/cmdline" 2>/dev/null)
	case $name in
	'') ;;
	*idle.sh*) ;;
	*) agent="$agent $p" ;;
	esac
done
agent=$(for p in $agent; do test "$p" = $init || test ! -d "/hostproc/$p" || echo "$p"; done)

pss() { awk '/^Pss:/ { print $2 }' "/hostproc/$1/smaps_rollup"; }
switches()
{
	for p in $init $agent; do
		cat "/hostproc/$p/task/"*/status
	done | awk '/ctxt_switches/ { n += $2 } END { print n + 0 }'
}

total=$(pss $init)
for p in $agent; do total=$((total + $(pss "$p"))); done
echo "pss $total"
echo "busybox $(pss self)"
before=$(switches)
sleep IDLE
after=$(switches)
awk "BEGIN { print \"wakeups\", ($after - $before) * 60 / IDLE }"
