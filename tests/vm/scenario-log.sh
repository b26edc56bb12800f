# SPDX-License-Identifier: Apache-2.0
# soak: ours
# shellcheck shell=bash disable=SC2046
# long
# once: ours
# The agent's log over a vsock port: from its first line, buffered without a reader, as JSON.

log_port=1025

# listen FILE: connects to the log's port and writes it to FILE; sets $listener
listen()
{
	rm -f "$work/acknowledge"
	mkfifo "$work/acknowledge"
	"$work/bin/vsock-cat" "$(vsock_address)" $log_port <>"$work/acknowledge" >"$1" &
	listener=$!
}

# acknowledge FILE: acknowledges all lines received so far with one newline each
acknowledge() { tr -cd '\n' <"$1" >"$work/acknowledge"; }

hang_up()
{
	kill "$listener"
	wait "$listener" 2>/dev/null
	listener=
}

# event_comes NAME FILE [KEY=VALUE...]: the record appears within 60 s
event_comes()
{
	within 60 has_event "$@" >/dev/null && return 0
	echo "no record: $*"
	tail -n 20 "$2"
	return 1
}

from_the_start()
{
	listen "$work/log1"
	event_comes agent-ready "$work/log1" && has_event announce "$work/log1"
}

as_it_happens() { rpc Version '{}' && event_comes call "$work/log1" method=Version; }

# Lines logged without a reader go to the next one, which does not get acknowledged lines again.
kept()
{
	rpc Version '{}' && acknowledge "$work/log1" || return 1
	hang_up
	rpc GetGuestDetails '{}' || return 1
	listen "$work/log2"
	event_comes call "$work/log2" method=GetGuestDetails || return 1
	! has_event agent-ready "$work/log2" || { echo 'told twice'; return 1; }
	hang_up
	# This reader acknowledged none of its lines.
	listen "$work/log2"
	event_comes call "$work/log2" method=GetGuestDetails || return 1
	rpc Version '{}' && event_comes call "$work/log2" method=Version
}

all_json()
{
	hang_up
	local lines
	lines=$(cat "$work/log1" "$work/log2" |
		jq -r 'select(.level and .ts and .subsystem) | .ts' | wc -l)
	echo "$lines lines"
	test "$lines" -gt 5 && test "$lines" = "$(cat "$work/log1" "$work/log2" | wc -l)"
}

# A reader connects, stalls and disconnects repeatedly while calls are logged: each call's line
# reaches it or the last reader.
stalls()
{
	local times=$((SOAK ? 1000 : 20)) calls=0 arrived reader
	"$work/bin/vsock-cat" "$(vsock_address)" $log_port stall $times >"$work/log3" &
	reader=$!
	while kill -0 $reader 2>/dev/null; do
		rpc Version '{}' >/dev/null || return 1
		calls=$((calls + 1))
	done
	wait $reader || return 1
	listen "$work/log4"
	rpc GetGuestDetails '{}' >/dev/null &&
		event_comes call "$work/log4" method=GetGuestDetails || return 1
	hang_up
	# Duplicate lines are equal; those of earlier calls have been read before.
	arrived=$(grep -ah '^{.*"event":"call".*"method":"Version".*}$' "$work/log3" "$work/log4" |
		sort -u | comm -23 - <(sort -u "$work/log1" "$work/log2") | wc -l)
	echo "$calls calls, $arrived lines of them; $(wc -l <"$work/log3") lines in all"
	has_event lines-dropped "$work/log3" || has_event lines-dropped "$work/log4" &&
		{ echo 'lines were dropped'; return 1; }
	test "$calls" -gt 10 && test "$arrived" = "$calls"
}

not_on_console()
{
	has_event guest-set-up "$vmdir/console.log" && ! has_event agent-ready "$vmdir/console.log"
}

if ok 'boot with the log on a port' boot log --rootfs "$rootfs" \
	--append "agent.log=debug agent.log_vport=$log_port"; then
	ok 'the log begins with the first line' from_the_start
	ok 'lines arrive as they are written' as_it_happens
	ok 'lines are kept without a reader' kept
	ok 'each line is a JSON object' all_json
	ok 'the console has only the lines of init' not_on_console
	ok 'a reader that connects, stalls and disconnects loses no line' stalls
	ok 'no debug console without its parameter' says '' "$work/bin/vsock-cat" \
		"$(vsock_address)" 1026
	ok 'stop' stop log
fi
rm -f "$work"/log[1-4]
