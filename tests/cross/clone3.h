/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stand-in for clone3(2), which qemu-user lacks: a test's process announces the arguments to
 * with-clone3, which traces QEMU, by an lseek(2) of a descriptor that cannot exist, and then forks.
 * with-clone3 makes clone3(2) with these arguments of the call by which QEMU forks.
 */
#pragma once

/* The descriptor. The offset is the flags of clone3(2), and `whence` holds the exit signal and the
 * descriptor of the cgroup: lseek(2) returns 0. */
#define CLONE3_ANNOUNCE 0x7c3a0001
/* With offset and `whence` 0: lseek(2) returns the pidfd of the last process that was cloned. */
#define CLONE3_PIDFD 0x7c3a0002

#define CLONE3_WHENCE(signal, cgroup) ((signal) << 20 | (cgroup))
#define CLONE3_SIGNAL(whence)         ((whence) >> 20)
#define CLONE3_CGROUP(whence)         ((whence)&0xfffff)
