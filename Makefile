# The one front door. `make help` lists the verbs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
JOBS ?= $(shell nproc)

.PHONY: help deps build demo test check bench dev tsan arm64 fuzz fmt clean

help:  ## this list
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

deps:  ## install what is missing (Debian packages; sudo only if not root)
	@tools/deps.sh

build: deps  ## build/release/baton
	@tools/build.sh release $(JOBS)

demo: build  ## two nodes on this machine: discover, plan, hand over, answer
	@tools/demo.sh

test: build  ## all tests, on the release build
	@ctest --test-dir build/release --output-on-failure -j $(JOBS)

check: deps  ## everything that is judged without running the tests
	@tools/check.sh $(JOBS)

bench: build  ## measure this machine: limits, kernels, the shipped model
	@tools/bench.sh

dev: deps  ## build and test under address and undefined-behaviour sanitizers
	@tools/build.sh dev $(JOBS)
	@ctest --test-dir build/dev --output-on-failure -j $(JOBS) -LE slow

tsan: deps  ## build and test under the thread sanitizer
	@tools/build.sh tsan $(JOBS)
	@ctest --test-dir build/tsan --output-on-failure -j $(JOBS) -LE slow

arm64:  ## cross-build for AArch64 and run its tests under QEMU
	@tools/deps.sh arm64
	@tools/build.sh arm64 $(JOBS)
	@tools/check_weak_symbols.sh build/arm64
	@ctest --test-dir build/arm64 --output-on-failure -j $(JOBS) -LE slow

fuzz: deps  ## fuzz targets, RUNS executions each (default 1000000)
	@tools/build.sh fuzz $(JOBS)
	@tools/fuzz.sh $(or $(RUNS),1000000)

fmt:  ## format the tree
	@git ls-files -co --exclude-standard '*.h' '*.cc' | xargs clang-format-14 -i

clean:  ## remove build/
	@rm -rf build
