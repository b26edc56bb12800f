# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154,SC2016
# Part of tests/check-ctl: what one sees of a boot, of a VM and of this machine.

# ---- progress ----

# on_terminal COMMAND...: the command on a terminal; what it prints is in $scratch/typescript
on_terminal() \
	{ script -qec "stty cols ${columns:-200}; $*" /dev/null >"$scratch/typescript" </dev/null; }
erased=$'\r\e[K'
progress()
{
	local step
	on_terminal "$program" "$1" "${vm[*]}" "$2" -- "sh -c 'echo out'" ||
		{ cat "$scratch/typescript"; return 1; }
	for step in 'starting QEMU (tcg)' 'booting the kernel (tcg)' \
		'waiting for the agent to listen (tcg)' 'waiting for the agent to answer (tcg)' \
		'creating the container (tcg)'; do
		grep -qE "\[  [0-9]+\.[0-9] s\] ${step//[()]/.}" "$scratch/typescript" ||
			{ echo "missing: $step"; cat -v "$scratch/typescript"; return 1; }
	done
	# The line is gone before anything else is printed.
	[[ $(cat "$scratch/typescript") = *"$erased$3"* ]] ||
		{ cat -v "$scratch/typescript"; return 1; }
}
passes_on_terminal 'run: progress on a terminal' progress run '' out
passes_on_terminal 'boot: progress on a terminal' progress boot '--name seen' seen
passes 'rm' code 0 ctl rm -f seen
narrow()
{
	columns=20 on_terminal "$program" run "${vm[*]}" -- true || return 1
	! tr '\r' '\n' <"$scratch/typescript" | sed 's/\x1b\[K//' | grep -qE '.{20}' ||
		{ cat -v "$scratch/typescript"; return 1; }
}
passes_on_terminal 'progress fits into a narrow terminal' narrow
without_progress() { on_terminal "$@" && ! grep -q ' s\]' "$scratch/typescript" ||
	{ cat -v "$scratch/typescript"; return 1; }; }
passes_on_terminal 'no progress with --quiet' without_progress "$program" run -q "${vm[*]}" -- true
passes_on_terminal 'no progress on a dumb terminal' without_progress TERM=dumb "$program" run \
	"${vm[*]}" -- true
progress_in_file() { run -- true 2>"$scratch/err" && ! grep -q 'QEMU' "$scratch/err" ||
	{ cat "$scratch/err"; return 1; }; }
passes 'no progress in a file' progress_in_file
progress_killed()
{
	FAKE_BOOT=silent script -qec "exec $program run ${vm[*]} -- true" /dev/null \
		>"$scratch/typescript" </dev/null &
	within 60 grep -qs 'booting the kernel' "$scratch/typescript" || return 1
	pid=$(pgrep -of "^$program run")
	kill -KILL "$pid"
	wait $!
	# shellcheck disable=SC2009
	within 60 no_program >/dev/null || { pgrep -af "^$program"; return 1; }
	nothing_left_running
}
no_program() { ! pgrep -f "^$program run" >/dev/null; }
nothing_left_running() { within 60 no_process >/dev/null; rm -f "$calls"; }
passes_on_terminal 'the line of progress ends with a killed run' progress_killed

# ---- time limits ----

passes '--boot-timeout' eval \
	'FAKE_BOOT=silent fails 125 "the agent did not answer within 1 s" run --boot-timeout 1 -- true'
passes '--timeout of a call' eval \
	'FAKE_HANG=CreateContainer fails 125 "CreateContainer: timed out after 1000 ms" run --timeout 1 -- true'
passes 'an invalid time' fails 2 '--boot-timeout 0: expected a number from 1' run --boot-timeout 0 \
	-- true

# ---- errors of QEMU ----

refused()
{
	FAKE_BOOT=refuse fails 125 \
		'qemu exited with code 1: qemu: the first line of what is wrong; qemu: the last line' run --qemu-arg "it's broken" -- true || return 1
	# also whole, with the command line
	grep -qx 'qemu: the first line of what is wrong' "$scratch/err" &&
		said "$scratch/bin/qemu-system-x86_64 -nodefaults" "$scratch/err" &&
		said "'it'\\''s broken'" "$scratch/err"
}
passes 'run: all that QEMU said, and its command line' refused
FAKE_BOOT=refuse passes 'boot: all that QEMU said' fails 125 \
	'qemu: the first line of what is wrong' boot -- true

# ---- console and shell ----

console()
{
	boot --name con --debug-console >/dev/null && prints 'listening on vsock' ctl console con &&
		prints '' ctl console -n 0 con &&
		prints 'listening on vsock' ctl console -n 1 con || return 1
	printf 'more\nlast' >>"$(run_dir con)/console.log"
	prints $'more\nlast' ctl console -n 2 con &&
		prints $'listening on vsock\nmore\nlast' ctl console --tail 9 con || return 1
	ctl console -f con >"$scratch/out" 2>&1 &
	local follower=$!
	within 60 said last "$scratch/out" >/dev/null || return 1
	printf ' line\n' >>"$(run_dir con)/console.log"
	within 60 said 'last line' "$scratch/out" >/dev/null && ctl stop con && wait $follower &&
		prints 'last line' ctl console -n 1 con
}
passes 'console' console
passes 'rm of the VM' code 0 ctl rm -f con
# A guest that writes without end: the begin and the end of its console are kept.
flooded()
{
	local log follower
	booted flood || return 1
	log=$(run_dir flood)/console.log
	"$program" console -f flood >"$scratch/out" 2>"$scratch/err" &
	follower=$!
	seq -f 'line %.0f' 4000000 >>"$log"
	within 60 is_trimmed "$log" >/dev/null || { du -k "$log"; return 1; }
	echo 'the last line' >>"$log"
	within 60 said 'the last line' "$scratch/out" >/dev/null ||
		{ tail -n 1 "$scratch/out"; return 1; }
	ctl console flood >"$scratch/lines" 2>"$scratch/err" || return 1
	said 'bytes are no longer kept here' "$scratch/err" || return 1
	# whole lines, in order, and no byte of the hole
	test "$(head -n 2 "$scratch/lines" | paste -s -d ,)" = 'listening on vsock,line 1' &&
		test "$(tail -n 2 "$scratch/lines" | paste -s -d ,)" = \
		'line 4000000,the last line' &&
		test "$(wc -c <"$scratch/lines")" -gt $((8 << 20)) &&
		! grep -qva '^line [0-9]*$' <(sed '1d; $d' "$scratch/lines" | trim_cut) || return 1
	prints $'line 4000000\nthe last line' ctl console -n 2 flood 2>/dev/null || return 1
	# more lines than the last part has
	test "$(ctl console -n 3999999 flood | grep -vac '^line [0-9]*$')" = 1 || return 1
	ctl stop flood && wait $follower && prints 'the last line' ctl console -n 1 flood &&
		ctl rm flood &&
		nothing_left
}
# trim_cut: without the line that the hole has cut
trim_cut() \
	{ awk 'NR > 1 && $2 != last + 1 { cut++ } { last = $2 } END { exit cut > 2 }' >/dev/null ||
	echo cut; }
is_trimmed() { test "$(du -k "$1" | cut -f 1)" -lt $((17 << 10)); }
passes 'console: a guest that floods it' flooded
passes 'console of a VM that does not exist' fails 125 'no VM named none' ctl console none

shell()
{
	boot --name sh --debug-console >/dev/null || return 1
	printf 'echo $((40 + 2)); exit\n' | ctl shell sh >"$scratch/out" || return 1
	said 42 "$scratch/out" && ! grep -q $'\e\[18t' "$scratch/out" ||
		{ cat -v "$scratch/out"; return 1; }
	# ends with its input
	echo 'echo $((40 + 3))' | ctl shell sh >"$scratch/out" && said 43 "$scratch/out" || return 1
	printf 'stty size\nexit\n' |
		script -qec "stty rows 31 cols 71; exec $program shell sh" /dev/null \
		>"$scratch/typescript" || { cat "$scratch/typescript"; return 1; }
	said '31 71' "$scratch/typescript" || return 1
	# Ctrl-]
	rm "$scratch/typescript"
	{ printf 'cat\n'; within 60 grep -q cat "$scratch/typescript" >/dev/null; printf '\035'; } |
		script -qec "exec $program shell sh" /dev/null >"$scratch/typescript"
}
passes_on_terminal 'shell: commands, end of input, size, Ctrl-]' shell
resized()
{
	mkfifo "$scratch/keys"
	script -qec \
		"stty rows 20 cols 60; echo \$\$ >$scratch/shell.pid; tty >$scratch/shell.tty; exec $program shell sh" /dev/null >"$scratch/typescript" <"$scratch/keys" &
	exec 7>"$scratch/keys"
	echo 'echo $((1 + 1))ready' >&7
	within 60 grep -q 2ready "$scratch/typescript" >/dev/null || return 1
	stty rows 33 cols 77 -F "$(cat "$scratch/shell.tty")"
	echo 'until test "$(stty size)" = "33 77"; do sleep 0.1; done; exit' >&7
	wait $!
	exec 7>&-
}
passes_on_terminal 'shell: the window changes its size' resized
passes 'rm of that VM' code 0 ctl rm -f sh
no_console()
{
	boot --name plain >/dev/null &&
		fails_alive 'it is offered after `boot --debug-console`' ctl shell plain &&
		ctl rm -f plain && nothing_left
}
# ends_with_input TEXT LINE...: the shell ends with these lines as input, and prints TEXT
ends_with_input()
{
	local text=$1
	shift
	printf '%s\n' "$@" | ctl shell in >"$scratch/out" && said "$text" "$scratch/out"
}
# A shell reads the end of its input once its own prompt is there: more shells than there are
# silences in the time that the command has.
in_shells()
{
	booted in --debug-console &&
		ends_with_input 46 sh sh sh sh sh sh sh sh sh sh sh sh sh sh sh sh \
		'echo $((40 + 6))'
}
passes 'shell: the end of input ends shells in shells' in_shells
passes 'shell: the end of input ends programs without a prompt' ends_with_input 47 \
	'cat; cat; cat; echo $((40 + 7))'
in_line() { printf 'echo $((40 + 8))' | ctl shell in >"$scratch/out" && said 48 "$scratch/out"; }
passes 'shell: input that ends within a line' in_line
# Neither side waits for the other to read.
much()
{
	{ seq -f ': $((sum += %.0f))' 60000 && echo 'echo sum-$sum'; } |
		ctl shell in >"$scratch/out" && said sum-1800030000 "$scratch/out"
}
passes 'shell: more input and output than buffers hold' much
passes 'rm of the VM of these shells' code 0 ctl rm -f in
passes 'shell without a debug console' no_console

# ---- the accelerator, the network ----

accelerator()
{
	booted acc || return 1
	test "$(ctl inspect acc | jq -c .accelerator)" = \
		'{"name":"tcg","kvmTried":false,"reason":"chosen by --accel"}' ||
		{ ctl inspect acc; return 1; }
	ctl ps | grep -qE '^acc +up +[0-9]+ +tcg +' && ctl ps --json |
		jq -e '.[0].accelerator.name == "tcg"' >/dev/null && ctl rm -f acc || return 1
	# found out: refused by a trial, or there is no KVM
	local vm=(--share 9p --kernel "$scratch/kernel" --initrd "$scratch/kernel" --rootfs \
		"$scratch/root")
	booted acc && ctl inspect acc | jq -e '.accelerator | .name == "tcg" and
		(if .kvmTried then .reason == "/dev/kvm could not start a VM: qemu: fake KVM does not work"
		 else .reason | test("/dev/kvm|architecture") end)' >/dev/null || { ctl inspect acc; return 1; }
	ctl rm -f acc && nothing_left
}
passes 'ps and inspect: the accelerator, and the reason' accelerator

# passt's end is not that of the VM
passt() { pgrep -f "^$scratch/bin/passt .*$1"; }
network_down()
{
	booted net --no-network --network passt || return 1
	ctl inspect net | jq -e 'has("networkDown") | not' >/dev/null || return 1
	# shellcheck disable=SC2046
	kill -KILL $(passt "$(run_dir net)") || return 1
	within 60 is_down net >/dev/null || { ctl inspect net; return 1; }
	ctl ps | grep -qE '^net +up \(no net\) ' && ctl exec net -- true && ctl stop net &&
		ctl inspect net | jq -e 'has("networkDown") | not' >/dev/null && ctl rm net &&
		nothing_left
}
is_down() { ctl inspect "$1" | jq -e '.networkDown | test("passt has ended")' >/dev/null; }
passes 'the end of passt is reported, and ends no VM' network_down
network_down_run()
{
	begin ReadStdout run "${vm[@]}" --no-network --network passt -- sh -c \
		"read -r x <$scratch/net-gate; exit 3" || return 1
	# shellcheck disable=SC2046
	kill -KILL $(passt /tmp/tatami-) &&
		within 60 said 'passt has ended, so the VM has no network' "$scratch/err" \
		>/dev/null ||
		{ cat "$scratch/err"; return 1; }
	echo >"$scratch/net-gate"
	local status=0
	wait $pid || status=$?
	test $status = 3 && nothing_left
}
mkfifo "$scratch/net-gate"
passes 'run: the end of passt is reported' network_down_run

# ---- gdb ----

gdb()
{
	run --gdb -- true 2>"$scratch/err" || { cat "$scratch/err"; return 1; }
	grep -qE "^gdb -ex 'target remote /tmp/tatami-[A-Za-z0-9]+/gdb.sock'" "$scratch/err" ||
		{ cat "$scratch/err"; return 1; }
	# the symbols of the kernel that is booted, not of another next to tatamictl
	: >"$scratch/vmlinux"
	run --gdb -- true 2>"$scratch/err" &&
		grep -qE "gdb.sock' $scratch/vmlinux$" "$scratch/err" ||
		{ cat "$scratch/err"; return 1; }
	rm "$scratch/vmlinux"
	nothing_left
}
passes '--gdb prints how gdb is attached' gdb

# ---- check ----

check() { ctl check --kernel "$scratch/kernel" --initrd "$scratch/kernel" "$@"; }
# row NAME: what check --json says of one thing
row() { jq -c ".checks[] | select(.name == \"$1\") | [.ok, .required]" "$scratch/check"; }
checked()
{
	local r
	check --json >"$scratch/check" || { cat "$scratch/check"; return 1; }
	for r in kernel initrd qemu vsock; do
		test "$(row $r)" = '[true,true]' || { cat "$scratch/check"; return 1; }
	done
	for r in 9p user-network; do
		test "$(row $r)" = '[true,false]' || { cat "$scratch/check"; return 1; }
	done
	test "$(jq -r '.bootable, .accelerator, (.checks[] | select(.name == "qemu") | .version)' \
		"$scratch/check")" = $'true\ntcg\n9.8.7' || { cat "$scratch/check"; return 1; }
	check >"$scratch/out" &&
		grep -qE "^ok +qemu +$scratch/bin/qemu-system-.* 9.8.7$" "$scratch/out" &&
		grep -q '^A VM can be booted, with tcg: ' "$scratch/out" ||
		{ cat "$scratch/out"; return 1; }
	prints '' check -q
}
passes 'check' checked
# in_chroot COMMAND...: in a chroot, where no user namespace can be made
in_chroot()
{
	mkdir -p "$scratch/chroot" && unshare --map-root-user --mount sh -c \
		'mount --rbind / "$0" && exec chroot "$0" "$@"' "$scratch/chroot" "$@"
}
sandbox_refused()
{
	local why='user namespaces are refused here: Operation not permitted'
	in_chroot "$program" check --kernel "$scratch/kernel" --initrd "$scratch/kernel" --json \
		>"$scratch/check"
	test "$(jq -r '.checks[] | select(.name == "passt") | "\(.ok) \(.detail)"' \
		"$scratch/check")" \
		= "false $why" || { cat "$scratch/check"; return 1; }
	mkdir -p "$scratch/bad" && printf '#!/bin/sh\necho no sandbox >&2\nexit 1\n' \
		>"$scratch/bad/passt" && chmod +x "$scratch/bad/passt" || return 1
	PATH=$scratch/bad:$PATH fails 125 "no sandbox ($why: --network user does without)" \
		in_chroot "$program" run "${vm[@]}" --network passt -- true || return 1
	PATH=$scratch/bad:$PATH fails 125 'passt exited with code 1: no sandbox' \
		run --network passt -- true && ! grep -q 'namespaces' "$scratch/err"
}
if in_chroot true 2>/dev/null; then
	passes 'check and run: user namespaces are refused' sandbox_refused
else
	skips 'check and run: user namespaces are refused' 'no chroot can be made here'
fi
check_poor()
{
	FAKE_QEMU=poor check --json >"$scratch/check" &&
		test "$(row 9p)$(row user-network)" = '[false,false][false,false]' ||
		{ cat "$scratch/check"; return 1; }
	FAKE_QEMU=poor check | grep -qE '^no +user-network +this QEMU has no user network'
}
passes 'check of a QEMU with few devices' check_poor
check_missing()
{
	mv "$scratch/bin/vhost-device-vsock" "$scratch/bin/other"
	code 1 check --json >"$scratch/check"
	local r=$?
	code 1 check >"$scratch/out"
	mv "$scratch/bin/other" "$scratch/bin/vhost-device-vsock"
	test $r = 0 && test "$(row vsock)" = '[false,true]' &&
		said 'modprobe vhost_vsock' "$scratch/out" &&
		said 'No VM can be booted' "$scratch/out" || return 1
	code 1 ctl check -q --kernel /no/such --initrd "$scratch/kernel" &&
		test "$(ctl check --json --kernel $'/no/\377such' --initrd "$scratch/kernel" |
		jq -r '.checks[0].path')" = $'/no/\xef\xbf\xbdsuch'
}
passes 'check of what is missing' check_missing
if test -r /dev/kvm && test -w /dev/kvm &&
	test "$(uname -m)" = \
	"$(ctl check --json --kernel "$scratch/kernel" --initrd "$scratch/kernel" |
	jq -r .architecture)"; then
	kvm()
	{
		FAKE_KVM=works check --json >"$scratch/check" &&
			test "$(jq -r .accelerator "$scratch/check")" = kvm ||
			{ cat "$scratch/check"; return 1; }
		check | grep -q \
			'with tcg: /dev/kvm could not start a VM: qemu: fake KVM does not work\.$' \
			|| return 1
		# The failure is remembered for this kernel.
		local vm=(--share 9p --kernel "$scratch/kernel" --initrd "$scratch/kernel" \
			--rootfs "$scratch/root")
		rm -f "$calls"
		on_terminal "$program" run "${vm[*]}" -- true &&
			grep -q 'booting the kernel (tcg: /dev/kvm could not start a VM: qemu: fake KVM does not work)' "$scratch/typescript" || { cat -v "$scratch/typescript"; return 1; }
		! grep -q trial "$calls" || return 1
		# not for another one
		echo other >"$scratch/kernel2"
		on_terminal FAKE_KVM=works "$program" run "${vm[*]}" --kernel "$scratch/kernel2" \
			-- true && grep -q trial "$calls" &&
			grep -q 'booting the kernel (kvm)' "$scratch/typescript" ||
			{ cat -v "$scratch/typescript"; return 1; }
	}
	passes_on_terminal 'KVM is tried, and the reason for not using it is shown' kvm
fi

# ---- listings ----

odd_names()
{
	local odd=$scratch/$'odd"\377\n' list
	mkdir -p "$odd"
	boot --rootfs "$odd" --name odd -- sh -c 'echo "a  b"; exec sleep 1000' >/dev/null ||
		return 1
	for list in 'ps -a' 'inspect odd'; do
		# shellcheck disable=SC2086
		ctl ${list/ps/ps --json} |
			jq -e 'if type == "array" then .[0] else . end | (.rootfs | endswith("odd\"\ufffd\n")) and (.command | contains("a  b"))' >/dev/null || { ctl ${list/ps/ps --json}; return 1; }
	done
	ctl rm -f odd && nothing_left
}
passes 'ps --json and inspect of a VM with odd names' odd_names
images()
{
	local digest=sha256:$(printf '%064d' 7) images=$scratch/cache/tatami/images
	mkdir -p "$images/${digest/:/-}" "$images/sources"
	echo disk >"$images/${digest/:/-}/root.img"
	printf 'key\n%s\nan, odd\377name\n' "$digest" >"$images/sources/1"
	printf 'key\n%s\nanother\n' "$digest" >"$images/sources/2"
	test "$(ctl images --json | jq -c '.[] | [.digest, (.names | sort)]')" = \
		"[\"$digest\",[\"an, odd"$'\xef\xbf\xbd'"name\",\"another\"]]" ||
		{ ctl images --json; return 1; }
	prints "$digest" ctl images -q && ctl images | grep -q 'another'
}
passes 'images: --json, -q' images
methods() \
	{ test "$(ctl rpc --list --json |
	jq -r '.[] | select(.method == "Check") | .service, .response')" = $'grpc.Health\ngrpc.HealthCheckResponse'; }
passes 'rpc --list --json' methods

# json_of COMMAND: prints what the command lists as JSON
json_of()
{
	case $1 in
	ps) ctl ps -a --json ;;
	stats) ctl stats --json listed ;;
	plug) ctl plug --list --json listed ;;
	images) ctl images --json ;;
	check) check --json ;;
	rpc) ctl rpc --list --json ;;
	inspect) ctl inspect listed ;;
	*) echo "no test of $1 --json"; return 1 ;;
	esac
}
# The commands are those whose help has the option: a new one fails until it has a line above.
listings()
{
	local command
	FAKE_QMP=1 booted listed || return 1
	for command in inspect $(for command in $(command_names); do
		ctl "$command" --help | grep -q -- --json && echo "$command"; done); do
		json_of "$command" >"$scratch/out" 2>"$scratch/err" &&
			jq -e 'type == "array" or type == "object"' <"$scratch/out" >/dev/null &&
			test ! -s "$scratch/err" ||
			{ echo "$command:"; cat "$scratch/out" "$scratch/err"; return 1; }
	done
	test "$(json_of plug | jq -c .)" = '[{"id":"disk1","type":"virtio-blk-pci"}]' &&
		prints 'disk1 virtio-blk-pci' ctl plug --list listed || { json_of plug; return 1; }
	code 2 ctl plug --json listed type=cpu && ctl rm -f listed && nothing_left
}
command_names() { ctl --help | sed -n 's/^  \([a-z]*\) .*/\1/p'; }
passes '--json of every listing' listings

# ---- time limits of commands ----

limits()
{
	FAKE_HANG=ExecProcess boot --name slow >/dev/null &&
		fails_alive 'timed out' ctl exec --timeout 1 slow -- true && ctl rm -f slow ||
		return 1
	FAKE_HANG=ExecProcess booted slow &&
		fails_alive 'timed out' ctl cp --timeout 1 slow:/etc - &&
		fails_alive 'look up a user' ctl exec --timeout 1 -u nobody slow -- true &&
		ctl rm -f slow || return 1
	FAKE_HANG=StatsContainer boot --name slow >/dev/null &&
		fails_alive 'timed out' ctl stats --timeout 1 slow && ctl rm -f slow || return 1
	FAKE_HANG=DestroySandbox boot --name slow -- sh -c \
		'trap "" TERM; while :; do sleep 0.1; done' >/dev/null &&
		ctl stop --timeout 1 slow &&
		test "$(ctl ps -a --json | jq -r ".[].state")" = failed && ctl rm slow &&
		nothing_left
}
passes '--timeout of exec, cp, stats and stop' limits

# ---- help ----

commands=$(command_names)
# helps COMMAND: on standard output, also after other arguments
helps()
{
	local word
	for word in -h --help; do
		ctl "$1" $word >"$scratch/out" 2>"$scratch/err" ||
			{ echo "exit code $?: $1 $word"; return 1; }
		test ! -s "$scratch/err" && grep -qi "^usage: tatamictl " "$scratch/out" ||
			{ cat "$scratch/err" "$scratch/out"; return 1; }
		grep -q -- '-h, --help' "$scratch/out" ||
			{ echo "no --help in the help"; return 1; }
	done
	ctl help "$1" | cmp - "$scratch/out"
}
for command in $commands; do
	passes "$command -h, --help" helps "$command"
done
passes 'inspect NAME -h' code 0 ctl inspect name -h
commands_with_options='attach boot check console cp exec images inspect logs plug pod ps pull rm rmi rpc
	run shell stats stop unplug wait'
unknown_option()
{
	local command
	for command in $commands_with_options; do
		fails 2 "tatamictl $command: --nonsense: unknown option (see --help)" \
			ctl "$command" --nonsense || { echo "$command"; return 1; }
	done
}
passes 'an unknown option' unknown_option
invalid_values()
{
	fails 2 'tatamictl stop: --timeout 0: expected a number from 1' ctl stop --timeout 0 a &&
		fails 2 'tatamictl rpc: --timeout x: expected' ctl rpc --timeout x a Check &&
		fails 2 'tatamictl console: --tail x: expected a number' ctl console -n x a &&
		fails 2 'tatamictl logs: --since x: expected a time' ctl logs --since x a &&
		fails 2 'tatamictl check: --arch x: expected x86_64 or aarch64' ctl check --arch x \
		&&
		fails 2 'tatamictl exec: --env x: expected KEY=VALUE' ctl exec -e x a b &&
		fails 2 'tatamictl logs: -n: needs a value' ctl logs a -n &&
		fails 2 'tatamictl logs: --since: needs a value' ctl logs a --since &&
		fails 2 'tatamictl ps: --all=1: takes no value' ctl ps --all=1 &&
		fails 2 'tatamictl ps: -z: unknown option' ctl ps -az &&
		fails 2 'tatamictl wait: --all: unknown option' ctl wait --all &&
		fails 2 'tatamictl stop: -f: unknown option' ctl stop -f a
}
passes 'options without or with an invalid value' invalid_values

# meanings: each letter is short for one option in all commands, and for two where the peers' are
meanings()
{
	local command
	for command in $commands; do
		ctl "$command" --help | grep -oE '(^|[ ,])-[a-z], --[a-z-]+' | sed 's/^[ ,]*//'
	done | sort -u >"$scratch/letters"
	# docker, kubectl and crictl have these as well
	grep -vE '^-(t, --timestamps|f, --force|c, --containers|a, --archive)$' "$scratch/letters" |
		cut -c 1-2 | uniq -d >"$scratch/twice"
	test ! -s "$scratch/twice" || { cat "$scratch/letters"; return 1; }
}
passes 'a letter stands for the same option in each command' meanings
# arguments: the options of all commands with what they take; none has a letter or takes something
# in one command, and not in another
arguments()
{
	local command
	for command in $commands; do
		ctl "$command" --help |
			sed -nE 's/^  (-([a-zA-Z]), )?--([a-z-]+)([ =]([A-Z][A-Z_:]*|\[?[A-Z]*))?.*/--\3 -\2 \5/p'
	done | sort -u >"$scratch/options"
	test -s "$scratch/options" || return 1
	cut -d ' ' -f 1 "$scratch/options" | uniq -d >"$scratch/twice"
	test ! -s "$scratch/twice" || { grep -wFf "$scratch/twice" "$scratch/options"; return 1; }
}
passes 'an option has the same letter and argument in each command' arguments

# Other agents mount their tmpfs on a directory of the share, which must be there before.
watched()
{
	local options=(--volume "type=config,source=$scratch/config,target=/config" -- true)
	mkdir -p "$scratch/config" && echo value >"$scratch/config/key" || return 1
	: >"$calls"
	run --other-agent --share virtio-fs "${options[@]}" 2>"$scratch/err" </dev/null ||
		{ cat "$scratch/err"; return 1; }
	grep -A1 CopyFile "$calls" | grep -q CreateContainer || { cat "$calls"; return 1; }
	: >"$calls"
	run "${options[@]}" </dev/null && ! grep CopyFile "$calls" && nothing_left
}
passes 'run: the directory of watched volumes, for other agents' watched
