# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2046,SC2016
# only on: ours
# The debug console: over vsock with four sessions at a time, and on the serial line. The guest's
# image has a busybox for it.

console_port=1026

# shell_image: builds an initrd with a shell
shell_image()
{
	mkdir -p "$work/shell/bin" &&
		cp "$rootfs/bin/busybox" "$work/shell/bin/busybox" || return 1
	for applet in sh stty cat sleep ls head; do ln -s busybox "$work/shell/bin/$applet"; done
	"$OUT/tatami-initrd" --quiet -o "$work/shell.img" --tree "$work/shell" --init "$OUT/tatami"
}

# typed LINE...: runs a session with these lines as input, up to its end
typed()
{
	printf '%s\n' "$@" | timeout -k 5 "${HOLD:-20}" "$work/bin/vsock-cat" "$(vsock_address)" \
		$console_port
}

guest_shell()
{
	typed 'echo $((6 * 7)); ls /; exit' | tee "$work/console.out"
	grep -q 42 "$work/console.out" && grep -q init "$work/console.out"
}

ctl_shell()
{
	printf '%s\n' 'echo $((6 * 7)); ls /; exit' | ctl shell console | tee "$work/console.out"
	grep -q 42 "$work/console.out" && grep -q init "$work/console.out"
}

window()
{
	typed 'sleep 0.2; stty size'$'\033[8;33;77t' 'stty size; exit' | tee /dev/stderr |
		grep '33 77'
}

config()
{
	typed '/init --print-config; exit' | tr -d '\r' | tee "$work/config.out"
	grep -Eq '^debug_console = true +# kernel command line: agent.debug_console$' \
		"$work/config.out" &&
		grep -Eq '^log_level = "debug" +# environment: KATA_AGENT_LOG_LEVEL$' \
		"$work/config.out"
}

one_more()
{
	typed 'echo again-$((300 + 3)); exit' >"$work/console.5"
	grep -q again-303 "$work/console.5"
}

# Four sessions stay, a fifth is refused, and there is room again once they have ended.
four()
{
	local pids=() i
	for i in 1 2 3 4; do
		printf '%s\n' "echo ready-$((100 + i))-\$((200 + $i)); sleep 60" |
			timeout 60 "$work/bin/vsock-cat" "$(vsock_address)" $console_port \
			>"$work/console.$i" 2>&1 &
		pids+=($!)
	done
	for i in 1 2 3 4; do
		within 60 grep -q "ready-$((100 + i))-$((200 + i))" "$work/console.$i" ||
			{ cat "$work/console.$i"; return 1; }
	done
	typed 'echo fifth' | tee /dev/stderr | grep 'all sessions are taken' || return 1
	# timeout(1) forwards the signal.
	kill "${pids[@]}"
	wait "${pids[@]}" 2>/dev/null
	within 60 one_more && return 0
	cat "$work/console.5"
	return 1
}

# The serial line has a shell from the start. QEMU's output, so far written to a file, goes to a
# socket.
serial()
{
	grep -a 'guest:/#' "$vmdir/console.log" || { echo 'no prompt on the console'; return 1; }
	"$work/bin/qmp" "$vmdir/qmp.sock" \
		'{"execute":"chardev-change","arguments":{"id":"console","backend":{"type":"socket","data":
		{"addr":{"type":"unix","data":{"path":"'"$work/serial.sock"'"}},"server":true,"wait":false}}}}' || return 1
	{ printf 'echo $((8 * 8)); exit\n'; sleep 1; printf '\n'; sleep 1; printf \
		'echo $((9 * 9))\n'; sleep 2; } |
		timeout 15 socat - "UNIX-CONNECT:$work/serial.sock" >"$work/serial.out"
	cat "$work/serial.out"
	grep -aq 64 "$work/serial.out" && grep -aq 'any key starts another' "$work/serial.out" &&
		grep -aq 81 "$work/serial.out"
}

shell_image || echo '# the image with a shell cannot be made'
if ok 'boot with a debug console' boot console --initrd "$work/shell.img" --rootfs "$rootfs" \
	--debug-console --append KATA_AGENT_LOG_LEVEL=debug; then
	ok 'a shell in the guest' guest_shell
	ok 'tatamictl shell' ctl_shell
	ok 'the shell is notified of the window size' window
	ok 'the agent prints its configuration with the source of each value' config
	ok 'at most four sessions' four
	ok 'stop' stop console
fi
if ok 'boot with a shell on the console' boot serial --initrd "$work/shell.img" --rootfs "$rootfs" \
	--append agent.debug_console; then
	ok 'a shell on the console, twice' serial
	ok 'stop' stop serial
fi
rm -rf "$work/shell" "$work/shell.img"
