# SPDX-License-Identifier: Apache-2.0
# Differences between a transcript and its recording, by scenario:
#   native       replay without a VM: it was recorded so, and needs no share, disk, limits or second
#                processor
#   replace      pairs of texts: the second replaces the first everywhere
#   content      a regular expression for files that the host has prepared, and their text; for a
#                directory, the name of a file in it and its text
#   host         an action of the host: a regular expression for the note about it, and its name for
#                --host of replay
#   skip         omitted calls: the method, a regular expression that the request matches, the
# reason
#   free_output  regular expressions of command lines whose output is not compared, because it
#                depends on the machine
#   drop_text    regular expressions of the part of an output that is not compared, because it
#                depends on the machine
#   succeeds     methods that failed in the recording because its guest lacked something
def cri_files: [["-hosts$", "127.0.0.1 localhost\\n127.0.0.1 hosta\\n127.0.0.1 hb\\n"],
	["-resolv.conf$", "search example.test\\nnameserver 10.89.77.1\\noptions ndots:2\\n"]];
def rules: {
	"go-01-ctr-run": { free_output: ["^sh -c uname"] },
	"go-03-crictl-pod": {
		# The amount of data in the read that is pending at CloseStdin depends on the
		# timing.
		replace: [["\"data\":\"Z290IG9uZQo=\"", "\"data\":\"~Z290IG9uZQ\""]],
		content: (cri_files + [["-data$", "f", "from-host\\n"], ["-one$", "single\\n"]]),
		free_output: ["^sh -c ps;"] },
	"go-04a-configmap-virtiofs-refagent": {
		content: (cri_files + [["-cfg$", "key", "v1\\n"], ["-sec$", "key", "v1\\n"]]),
		host: [["the host changes both volumes", "change-volumes"]],
		drop_text: ["^(mount|none|tmpfs|kata|share|[2-9] )"] },
	"go-04b-configmap-virtiofs-tatami": { content: cri_files, succeeds: ["CreateContainer"] },
	"go-05-copyfile-no-shared-fs": {
		replace: [["do echo \\\"$i $(cat /cfg/key) $(cat /sec/key)\\\"; sleep 1;",
			"do echo \\\"$i $(cat /cfg/key) $(cat /sec/key)\\\"; sleep .3;"]],
		free_output: ["^sh -c ls"] },
	"go-06a-block-rootfs": { content: [["-b$", "f", "c\\n"]], free_output: ["^sh -c mount"] },
	"go-06b-block-device": { free_output: ["^sh -c ls"] },
	"go-06c-direct-volume": {
		replace: [["sleep 12", "sleep 04"]], free_output: ["^sh -c mount"] },
	"go-06d-direct-volume-resize": {
		replace: [["sleep 10", "sleep 04"]], free_output: ["^sh -c mount"] },
	"go-07-network": { free_output: ["^sh -c ip addr"] },
	"go-08a-hotplug-debian-ctr": { drop_text: ["^Mem:"] },
	"go-08b-hotplug-debian-crictl": { content: cri_files, drop_text: ["^Mem:", "^Filesystem"] },
	"go-09-oom-pidns-seccomp": { content: cri_files, drop_text: ["/proc/kcore"], free_output: ["^ps$", "^sh -c ps; exit 0$"] },
	"go-11-volumes-attach": {
		# the host waited until the first container had written
		replace: [["\"cat /disk/x /mem/y\"", "\"until test -s /mem/y; do sleep .1; done; cat /disk/x /mem/y\""]],
		free_output: ["^sh -c mount"] },
	"rs-01-drive": { native: true, replace: [["/host/ctl/b1/rootfs", "${ROOTFS}"]] },
	"rs-02-drive-vm": { succeeds: ["GetIPTables"] },
	"agentctl-01-all-commands": { native: true, replace: [["/run/kata-containers/testing/mycontainer/rootfs", "${ROOTFS}"]] },
	"agentctl-02-bats": { native: true, replace: [["29975", "10001"], ["/run/kata-containers/testing/test_container_4142/rootfs", "${ROOTFS}"], ["test_container_4142", "test_container_0001"]] }
};
