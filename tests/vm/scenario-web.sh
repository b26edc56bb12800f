# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2046
# once: ours
# A Debian userland on a virtio-blk disk serves a page with nginx, which is fetched next to it in
# the VM.

make_web()
{
	local tree
	test ! -f "$work/web.ext4" || return 0
	tree=$(scripts/debian-rootfs web) && mke2fs -q -t ext4 -d "$tree" "$work/web.ext4" 300M
}

fetched()
{
	# nginx may still be starting: curl retries.
	ctl exec web -- curl -sS --retry 30 --retry-delay 1 --retry-connrefused http://127.0.0.1/
}

shared_page() { fetched | grep -q 'A page from nginx in a container'; }
is_debian() { ctl exec web -- sh -c '. /etc/os-release; echo $ID'; }
workers() { ctl exec web -- ps -C nginx -o comm= | sort | uniq -c | grep -q '[2-9] nginx'; }

if ok 'make the disk of a Debian userland with nginx' make_web &&
	ok 'boot the VM' boot web --rootfs "$work/web.ext4" -- nginx -g 'daemon off;'; then
	ok 'exec runs next to nginx' is debian is_debian
	ok 'curl in the VM gets the page' shared_page
	ok 'nginx has its worker processes' workers
	ok 'stop leaves nothing' stop web
fi
