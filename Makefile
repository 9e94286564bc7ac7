# The few verbs of this repository. `make` alone lists them.
#
# Everything a verb installs (cargo-deny, Python and Node clients, the test control plane) goes to one cache outside the
# clone, so a fresh clone on a warm machine starts warm, and `rm -rf` of that one folder is a full reset.

export HEADGATE_CACHE ?= $(HOME)/.cache/headgate
CARGO ?= cargo
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help test tools fmt lint deny unit fuzz crds run bench image

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-7s %s\n", $$1, $$2}'

run: ## serve examples/quickstart on 127.0.0.1:8080
	$(CARGO) run --locked --bin headgate -- serve --manifests examples/quickstart

test: tools fmt lint deny unit fuzz ## everything CI checks: format, lints, licences, unit, integration and end-to-end tests, a little fuzzing

tools: ## check what `make test` needs; install what it may, name the rest
	@e2e/tools

fmt: ## is the code formatted? (`cargo fmt` formats it)
	$(CARGO) fmt --all --check

lint: ## clippy with warnings as errors
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

deny: ## licences, banned crates, sources
	PATH="$(HEADGATE_CACHE)/tools/bin:$$PATH" cargo-deny --locked check --hide-inclusion-graph bans licenses sources

# One build for binaries and tests together: features are unified once, so nothing is compiled twice, and the end-to-end
# tests find the binaries built.
unit: ## unit, integration and end-to-end tests
	$(CARGO) build --workspace --locked --bins --tests
	HEADGATE_BIN=$(abspath $(or $(CARGO_TARGET_DIR),target))/debug/headgate \
	  HEADGATE_OPERATOR_BIN=$(abspath $(or $(CARGO_TARGET_DIR),target))/debug/headgate-operator $(CARGO) test --workspace --locked --no-fail-fast

fuzz: ## every decoder against 20,000 mutated inputs; skipped where nightly Rust or cargo-fuzz is missing
	dataplane/fuzz

crds: ## write crds/*.yaml from the types, and the chart's copies of them
	$(CARGO) run --locked --package headgate-crds -- write
	cp crds/*.yaml charts/headgate/files/crds/

bench: ## CPU per request, latency and memory next to nginx, as docs/performance.md (BENCH="--write" updates it)
	e2e/bench/run $(BENCH)

image: ## build the container image without a container engine (Debian's buildah) and start it
	e2e/image/build
