# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sizes of the agent and of an initrd with it, next to a static busybox.

area_sizes()
{
	local busybox options=()
	busybox=$(command -v busybox)
	exact 'agent binary' bytes low "$(stat -Lc %s "$agent")" \
		'static busybox' "$(stat -Lc %s "$busybox")"
	want 'initrd without modules, gzip' || return 0
	test -z "${AGENT-}" || options=(--agent "$agent")
	"$OUT/tatami-initrd" --quiet -o "$work/initrd" --init "$OUT/tatami" \
		${options[@]+"${options[@]}"} || { fail 'the initrd was not made'; return; }
	gzip -9 <"$busybox" >"$work/busybox.gz"
	exact 'initrd without modules, gzip' bytes low "$(stat -c %s "$work/initrd")" \
		'static busybox, gzip' "$(stat -c %s "$work/busybox.gz")"
}
