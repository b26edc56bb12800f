# SPDX-License-Identifier: Apache-2.0
# soak: ours
# shellcheck shell=bash
# long
# only on: ours
# make soak: the test of each row of docs/protocol.md fails when the method's handler is switched
# off. METHOD=REGEX: only methods that match.

# off_agent: builds an agent whose handlers can be switched off, and the guests with it; $work/off
# has the layout of $OUT
off_agent()
{
	scripts/mk ignore tatami || return 1
	mkdir -p "$work/off/kernel/ours" "$work/off-tree/etc/tatami"
	strip -s -o "$work/off/tatami" "$BUILD/ignore/tatami" &&
		ln -s "$(realpath "$OUT/tatamictl")" "$work/off/tatamictl" &&
		ln -s "$(realpath "$OUT/kernel/ours/vmlinuz")" "$work/off/kernel/ours/vmlinuz" ||
		return 1
	# each initrd built by a scenario names the method
	printf '#!/bin/sh\nexec "%s" --tree "%s" "$@"\n' "$(realpath "$OUT/tatami-initrd")" \
		"$work/off-tree" >"$work/off/tatami-initrd"
	chmod 755 "$work/off/tatami-initrd"
}

# fails_without METHOD SCENARIO TITLE: with the method switched off, the test fails, or one that it
# depends on. tests/check-protocol and make test show that it exists and passes otherwise.
fails_without()
{
	local said status=0
	echo "$1" >"$work/off-tree/etc/tatami/test-off"
	"$work/off/tatami-initrd" --quiet -o "$work/off/kernel/ours/initrd.img" \
		--init "$work/off/tatami" || return 1
	# without the variables set for this run
	said=$(env -u ONLY -u METHOD OUT="$work/off" SOAK=0 AGAIN=0 KERNELS=ours LANES=1 \
		EXACTLY="${2#scenario-}" LAST="$3" LIMIT=60 \
		timeout -k 10 300 tests/vm/run 2>&1) || status=$?
	printf '%s\n' "$said"
	case $said in *"ok - ours ${2#scenario-}: "*) ;; *) echo 'nothing was tested'; return 1 ;; \
		esac
	! grep -F "ok - ours ${2#scenario-}: $3 (" <<<"$said" | grep -v '^not ' ||
		{ echo 'it passes anyway'; return 1; }
	grep -q '^not ok' <<<"$said" && test $status != 0
}

# no_console: that build also lacks the debug console, and reports so when asked for it.
no_console()
{
	! nm "$BUILD/ignore/tatami" |
		grep -E ' [tTdDbBrR] (console_|shell_work|session_start|window_filter)' || return 1
	grep -qa console-left-out "$work/off/tatami" && ! grep -qa shell-started "$work/off/tatami"
}

if test "$SOAK" = 1 && ok 'an agent whose handlers can be switched off' off_agent; then
	ok 'a build without the debug console contains none of its code' no_console
	while IFS=$'\t' read -r method _ name title <&3; do
		[[ $method =~ ${METHOD-} ]] || continue
		ok "without $method its test fails" fails_without "$method" "$name" "$title"
	done 3< <(tests/vm/rows docs/protocol.md | sample)
fi
