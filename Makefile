# SPDX-License-Identifier: Apache-2.0
#
# Entry points. The work is done by scripts/; meson and ninja compile.
# Variables: OUT (products), BUILD (build directories), TATAMI_CACHE (files shared between
# clones), JOBS, FUZZ_SECONDS, KERNEL=auto|ours|distro, PROFILE=minimal|standard|full,
# AGENT=PATH (another agent, for bench), WERROR=0,
# ALLOW_UNSTEADY=1 (test, soak: a test that passes when repeated alone has not failed), DESTDIR, PREFIX (install),
# ARCH=aarch64|riscv64|s390x (product, kernel, image, demo: for a guest of another architecture than this machine's).

# ARCH is for the scripts, not for other makefiles (the kernel has an ARCH, too).
MAKEOVERRIDES =
ifneq ($(ARCH),)
ifneq ($(ARCH),$(shell uname -m))
OUT ?= out/$(ARCH)
endif
export ARCH
endif
OUT ?= out
BUILD ?= $(OUT)/.build
KERNEL ?= auto
export OUT BUILD KERNEL AGENT
# Of our own kernel: a file of kernel-config/profiles.
PROFILE ?= standard
export PROFILE
export DESTDIR PREFIX
export TATAMI_T0 := $(shell date +%s)
SUITES ?= checks unit cross fuzz rpc oci transcript vm

.PHONY: help demo test soak fuzz bench bench-compare coverage build product asan kernel image install dist agent-tarball clean

help:
	@echo 'make demo    boot a VM with our init and agent, run "uname -a" in a container in it'
	@echo 'make test    build everything, run all tests (reduced counts; SUITES="unit rpc")'
	@echo 'make soak    the full counts that make test left out'
	@echo '             ALLOW_UNSTEADY=1: both do not count a VM test that passes when repeated alone as failed'
	@echo 'make fuzz    run every fuzz target for FUZZ_SECONDS (20) with libFuzzer; prints executions and coverage'
	@echo 'make bench   measure; writes $(OUT)/bench.tsv and $(OUT)/bench.md (AGENT=PATH: another agent; ONLY=REGEX: these rows)'
	@echo 'make bench-compare OLD=FILE  what changed between two bench.tsv beyond the noise'
	@echo 'make coverage  which lines the unit tests and fuzz corpora reach: $(OUT)/coverage/index.html'
	@echo 'make build   $(OUT)/tatami, $(OUT)/tatamictl, $(OUT)/tatami-initrd, $(OUT)/tatami-rootfs'
	@echo 'make image   $(OUT)/vmlinuz, $(OUT)/vmlinux, $(OUT)/initrd.img (KERNEL=ours|distro)'
	@echo 'make kernel  build our own guest kernel (PROFILE=minimal|standard|full; kept in the cache)'
	@echo 'make install  install what was built below $$DESTDIR$$PREFIX (PREFIX=/usr/local)'
	@echo 'make dist    $(OUT)/dist: the files of a release (KERNEL=none: without our kernel)'
	@echo 'make ARCH=aarch64 build|image|kernel|demo  for a guest of that architecture, in out/aarch64'
	@echo 'make agent-tarball  $(OUT)/kata-agent.tar.zst, the AGENT_TARBALL of Kata'"'"'s osbuilder'
	@echo 'make clean   remove $(OUT); the cache stays: '"$${TATAMI_CACHE:-$$HOME/.cache/tatami}"
	@echo
	@echo 'Each sets up what it needs: as root it installs Debian packages, else it names them.'

product build:
	@scripts/setup build
	@scripts/products

asan:
	@scripts/setup build test
	@scripts/mk asan

kernel:
	@scripts/setup build kernel
	@kernel-config/build $(if $(ARCH),--arch $(ARCH))

image:
	@scripts/setup build demo $(if $(filter ours,$(KERNEL)),kernel)
	@scripts/products
	@scripts/image $(KERNEL)

install:
	@scripts/install

agent-tarball:
	@scripts/setup build
	@scripts/agent-tarball

dist:
	@scripts/setup build $(if $(filter none,$(KERNEL)),,kernel)
	@scripts/dist

demo:
	@scripts/setup build demo
	@scripts/prefetch
	@scripts/products
	@scripts/image $(KERNEL)
	@scripts/host-programs
	@scripts/demo-rootfs $(OUT)/rootfs
	@scripts/demo

test:
	@scripts/test

soak:
	@SOAK=1 scripts/test

fuzz:
	@scripts/setup build test fuzz
	@tests/fuzz/run

bench:
	@scripts/setup build demo test
	@scripts/products
	@scripts/image $(KERNEL)
	@scripts/host-programs
	@scripts/demo-rootfs $(OUT)/rootfs
	@scripts/mk bench benches
	@tests/bench/run

bench-compare:
	@tests/bench/compare $(or $(OLD),$(error OLD=FILE: an older $(OUT)/bench.tsv))

coverage:
	@scripts/setup build test coverage
	@scripts/coverage

clean:
	@rm -rf $(OUT)
