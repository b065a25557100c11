# What one does with Airside. `make` alone says what there is.

CARGO ?= cargo
# Where builds go: cargo's own variable, so that both agree.
CARGO_TARGET_DIR ?= target
AIRSIDE := $(CARGO_TARGET_DIR)/release/airside
# More arguments for `airside demo`, and for the bench (`--only plain --rounds 3`).
ARGS ?=
BENCH ?=

.PHONY: help demo build test check load bench bench-instructions bench-micro deny fuzz clean-demo build-deps test-deps bench-deps
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## the whole system at once: gateway, identity, two upstreams (ARGS=… are passed on)
	$(AIRSIDE) demo $(ARGS)

build: build-deps ## a release build
	$(CARGO) build --release --locked

test: build-deps test-deps ## all tests, against real servers
	$(CARGO) test --locked
# Those that measure time need the machine for themselves, and the program as it is run.
	$(CARGO) build --release --locked
	AIRSIDE_PROGRAM=$(abspath $(AIRSIDE)) $(CARGO) test --locked --test it -- --ignored alone:: --test-threads=1

check: build-deps ## formatting and lints
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings

bench-micro: build-deps ## what a request costs: times and allocations, without a network
	$(CARGO) bench --locked --bench micro

deny: ## what the dependencies are and bring in, held against deny.toml
	scripts/deny

TARGET ?= all
SECONDS ?= 60
fuzz: ## searches for bytes that break a property (TARGET=path SECONDS=600; without, each for a minute)
	scripts/fuzz $(TARGET) $(SECONDS)

load: build test-deps ## ten seconds of load on a release build
	scripts/load $(AIRSIDE)

bench: build bench-deps ## CPU time and latency beside nginx, HAProxy, Caddy and Express (an hour; BENCH=… are passed on)
	$(CARGO_TARGET_DIR)/bench-tools/bin/python benches/load/bench.py $(AIRSIDE) --tools $(CARGO_TARGET_DIR)/bench-tools $(BENCH)

bench-instructions: build bench-deps ## what a request costs in instructions and allocations, held against benches/budget.toml
	benches/instructions/count.py $(AIRSIDE)

clean-demo: ## forget what the demo has stored
	rm -rf demo-data

build-deps:
	@scripts/install-build-deps

bench-deps:
	@scripts/install-bench-deps

test-deps:
	@scripts/install-test-deps
