# Two commands: `make demo` and `make test`. Both set everything up first, and do so only once.
#
#   make setup                install what everything but the tests needs
#   make demo [DATA=folder]   train, distill, convert, and answer from the TFLite interpreter
#   make test                 Python tests, C++ tests, and the aarch64 library under emulation
#   make test-all             the slow tests, too

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

DATA ?=
OUT ?= demo
PYTHON_TESTS ?= -m "not slow"
# In order, out of order, and with the dot product of ARMv8.2.
CORES := cortex-a53 cortex-a72 neoverse-n1

.PHONY: help setup setup-test ops demo test test-all wheel-aarch64 clean

help:
	@sed -n '3,6p' Makefile | sed 's/^# *//'

setup:
	@tools/setup.sh demo

setup-test:
	@tools/setup.sh test

ops:
	@tools/build_ops.sh

demo: setup
	@.venv/bin/python tools/demo.py --out "$(OUT)" $(if $(DATA),--data "$(DATA)")

test: setup-test
	@echo "== C++ tests, this machine"
	@bazel test --noshow_progress //...
	@echo "== C++ tests, this machine, with AddressSanitizer and UndefinedBehaviorSanitizer"
	@bazel test --noshow_progress --config=asan --config=ubsan --platform_suffix=-sanitizers //...
	@for core in $(CORES); do \
	  echo "== C++ tests, aarch64 under emulation, $$core"; \
	  bazel test --noshow_progress --config=aarch64 --test_env=QEMU_CPU=$$core //...; \
	done
	@echo "== Python tests"
	@TF_CPP_MIN_LOG_LEVEL=3 .venv/bin/python -m pytest -q -o addopts= $(PYTHON_TESTS)

test-all:
	@$(MAKE) test PYTHON_TESTS=

# A wheel for a 64-bit Raspberry Pi OS: needs only numpy and a TFLite interpreter there.
wheel-aarch64: setup-test
	@rm -rf build
	@BIFSMN_TF_MACHINE=aarch64 .venv/bin/python -m pip wheel -q --use-pep517 --no-deps -w dist . \
	  --config-settings=--build-option=--plat-name=linux_aarch64
	@rm -rf build
	@ls dist/*linux_aarch64.whl

clean:
	rm -rf .venv .setup .emulated build dist bazel-* bifsmn_tf/runtime/lib bifsmn_tf.egg-info
