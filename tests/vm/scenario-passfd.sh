# SPDX-License-Identifier: Apache-2.0
# only on: ours
# soak: ours
# shellcheck shell=bash disable=SC2016
# Streams passed through: the host connects them to a vsock port, and no call carries their data.

pass_port=1027

# pass REQUEST-FIELDS SCRIPT: runs SCRIPT next to the three connections; $passed is
# "stdin_port":N,...
pass()
{
	local socket=$vmdir/vsock.sock cid=${address#vsock://}
	case $address in vsock://*) socket=vsock://${cid%%:*} ;; esac
	CONSOLE=$vmdir/console.log TATAMICTL=$OUT/tatamictl ADDRESS=$address timeout -k 5 \
		"${LIMIT:-180}" "$work/bin/passfd" "$socket" $pass_port bash -c '
		passed="\"stdin_port\":$STDIN_PORT,\"stdout_port\":$STDOUT_PORT,\"stderr_port\":$STDERR_PORT"
		rpc() { "$TATAMICTL" rpc --compact --timeout 120 "$ADDRESS" "$@"; }
		# ended CONTAINER EXEC: waits for the exit code
		ended()
		{
			local reply
			reply=$(rpc WaitProcess "{\"container_id\":\"$1\",\"exec_id\":\"$2\"}") || return 120
			reply=${reply##*:}
			return "${reply%\}}"
		}
		'"$1"
}

# pass_exec ID TERMINAL COMMAND...: an exec in the VM's container; returns its exit code
pass_exec()
{
	local id=$1 terminal=$2 args='' a
	shift 2
	for a in "$@"; do args="$args${args:+,}\"$a\""; done
	pass 'rpc ExecProcess "{\"container_id\":\"main\",\"exec_id\":\"'"$id"'\",$passed,
		\"process\":{\"Terminal\":'"$terminal"',\"Args\":['"${args//\"/\\\"}"'],\"Cwd\":\"/\",\"User\":{},\"Env\":[\"PATH=/bin:/usr/bin\"]}}" >/dev/null &&
		ended main '"$id"
}

both_ways()
{
	head -c 3000001 /dev/urandom >"$work/random"
	pass_exec both false cat <"$work/random" >"$work/back" || return 1
	cmp "$work/random" "$work/back"
}

apart()
{
	local status=0
	pass_exec apart false sh -c 'echo out; echo err >&2; exit 3' </dev/null >"$work/out" \
		2>"$work/err" || status=$?
	head "$work/out" "$work/err"
	test $status = 3 && test "$(cat "$work/out")" = out && test "$(cat "$work/err")" = err
}

typed()
{
	local status=0
	printf 'stty size; tty\nexit 4\n' | pass_exec typed true sh >"$work/tty" || status=$?
	cat "$work/tty"
	test $status = 4 && grep -q /dev/pts/ "$work/tty"
}

# The typed input has been read and the host has disconnected: that is an end of input, like ^D.
end_of_input() { printf 'abc' | pass_exec eof true cat | tee "$work/tty" | grep -q abcabc; }

grandchild()
{
	pass_exec grandchild false sh -c 'echo hi; sleep 3600 &' </dev/null >"$work/out" || return 1
	test "$(cat "$work/out")" = hi
}

# The container's own process; its ReadStdout reports that there is nothing to read.
container()
{
	spec passed "$guest_rootfs" sh -c 'echo from a container; cat; exit 5' >"$work/create.json"
	local status=0
	echo to its stdin |
		pass 'sed "1s/{/{$passed,/" '"$work/create.json"' >'"$work/create2.json"' &&
		rpc CreateContainer @'"$work/create2.json"' && rpc StartContainer "{\"container_id\":\"passed\"}" &&
		rpc ReadStdout "{\"container_id\":\"passed\",\"len\":100}" && ended passed ""' \
		>"$work/out" || status=$?
	cat "$work/out"
	rpc RemoveContainer '{"container_id":"passed"}' && test $status = 5 &&
		test "$(cat "$work/out")" = $'from a container\nto its stdin'
}

# ticks: the guest's uptime, and the CPU time of agent and splice worker, in hundredths of seconds
ticks()
{
	ctl exec passfd -- sh -c '
		ran() { sed "s/.*) //" /hostproc/$1/stat | { read -r a b c d e f g h i j k user system rest; echo $((user + system)); }; }
		agent= splice=
		for d in /hostproc/[0-9]*; do
			read -r name <$d/comm || continue
			case $name in kata-agent) test "$agent" || agent=${d##*/} ;; kata-splice) splice=${d##*/} ;; esac
		done
		read -r up rest </hostproc/uptime
		echo "${up%.*}${up#*.} $(ran $agent) $(test "$splice" && ran $splice)"'
}

# flood_once MIB: sends zeroes to the host and measures the cost in the guest: sets $took in
# microseconds, and $cost, the agent's share of the time in per mille.
flood_once()
{
	local mib=$1 before after begin=${EPOCHREALTIME/./}
	before=$(ticks) || return 1
	pass_exec "flood$mib" false dd if=/dev/zero bs=1M count="$mib" </dev/null \
		2>"$work/flood-errors" | wc -c >"$work/count" ||
		{ cat "$work/flood-errors" "$work/count"; return 1; }
	after=$(ticks) || return 1
	took=$((${EPOCHREALTIME/./} - begin))
	# shellcheck disable=SC2086
	set -- $before $after
	cost=$(($5 - $2))
	echo "$mib MiB in $((took / 1000)) ms: agent $((cost * 10)) ms, splice worker $((($6 - $3) * 10)) ms of $((($4 - $1) * 10)) ms" | tee "$work/flood"
	test "$(cat "$work/count")" = $((mib << 20)) && cost=$((cost * 1000 / ($4 - $1)))
}

# flood MIB PERMILLE: checks that the agent takes no more than that share. Sends at least MIB, and
# enough to take some seconds, because the guest counts in hundredths and the time before and after
# is not to be measured.
flood()
{
	local mib=$1 took=0 cost
	while test $took -lt 3000000; do
		flood_once "$mib" || return 1
		mib=$((mib * 2))
	done
	echo "agent: $cost per mille"
	test "$cost" -le "$2"
}

# Calls are answered while another stream runs at full speed: before it ends, if it is long enough.
responsive()
{
	local mib is_busy
	for mib in 96 384 1536; do
		pass_exec "busy$mib" false dd if=/dev/zero bs=1M count=$mib </dev/null 2>/dev/null \
			>/dev/null &
		rpc Check '{}' || return 1
		is_busy=true
		kill -0 $! || is_busy=false
		wait $! || return 1
		! $is_busy || return 0
	done
	echo 'Check was answered after the stream only'
	return 1
}

mib=64
test "$SOAK" = 0 || mib=2048
userland "$work/passfd"
mkdir -p "$work/passfd/hostproc"
cc -std=c17 -D_GNU_SOURCE -O2 -Wall -I. tests/vm/passfd.c -o "$work/bin/passfd" ||
	echo 'Bail out! passfd cannot be built'
if ok 'boot with a port for streams' boot passfd --rootfs "$work/passfd" \
	--privileged --guest-proc /hostproc \
	--log debug --append agent.passfd_listener_port=$pass_port; then
	ok 'random bytes through cat, passed through in both directions' both_ways
	ok 'separate stdout and stderr, and the exit code' apart
	ok 'a shell on a terminal' typed
	ok 'end of input on a terminal' end_of_input
	ok 'a grandchild does not delay the exit' grandchild
	ok 'the streams of a container' container
	ok 'a missing connection is reported by its port' says 'no connection from port 4242' \
		rpc ExecProcess \
		'{"container_id":"main","exec_id":"none","stdout_port":4242,"process":{"Args":["true"],"Cwd":"/","User":{}}}'
	LIMIT=1500 ok "$mib MiB to the host: the agent takes at most 5 % of a core" flood $mib 50
	sed 's/^/# /' "$work/flood"
	ok 'calls are answered during a transfer' responsive
	ok 'stop leaves nothing' stop passfd
fi
rm -rf "$work/passfd"
