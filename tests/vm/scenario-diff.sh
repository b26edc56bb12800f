# SPDX-License-Identifier: Apache-2.0
# soak: ours
# shellcheck shell=bash disable=SC2046
# long
# once: ours
# Runs generated specs with the agent and with crun in one VM and compares what the containers see:
# tests/diff. The seed is printed; DIFF_SEED=N selects another seed, DIFF_COUNT=N the number of
# specs.

diff_seed=${DIFF_SEED:-1} diff_count=${DIFF_COUNT:-$((SOAK ? 500 : 40))}

# Both run on the same kernel; a difference that is not in explained.txt fails.
compare_with_crun()
{
	timeout 1500 "$BUILD/asan/tests/diff/diff" "$address" "$diff_seed" "$diff_count" |
		tee "$work/diff.txt"
}

diff_boot()
{
	tests/diff/image "$work/diff.img" || return 1
	cat "$OUT/kernel/$kernel/initrd.img" "$work/diff.img" >"$work/diff-initrd.img"
	boot diff --initrd "$work/diff-initrd.img" --memory 768 --cpus 2 --rootfs "$rootfs"
}

if ! command -v crun >/dev/null; then
	skip 'generated specs compared with crun' 'crun is not installed'
elif ok 'boot with crun in the initrd' diff_boot; then
	ok "$diff_count generated specs of seed $diff_seed look the same with crun, or the difference is explained" compare_with_crun
	tail -n 3 "$work/diff.txt" | grep '^# seed'
	ok 'stop leaves nothing' stop diff
fi
