# What one does with Airside. `make` alone says what there is.

CARGO ?= cargo
# Where builds go: cargo's own variable, so that both agree.
CARGO_TARGET_DIR ?= target
AIRSIDE := $(CARGO_TARGET_DIR)/release/airside
# More arguments for `airside demo`.
ARGS ?=

.PHONY: help demo build test check bench-micro load clean-demo build-deps test-deps
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## the whole system at once: gateway, identity, two upstreams (ARGS=… are passed on)
	$(AIRSIDE) demo $(ARGS)

build: build-deps ## a release build
	$(CARGO) build --release --locked

test: build-deps test-deps ## all tests, against real servers
	$(CARGO) test --locked
# Those that measure time need the machine for themselves.
	$(CARGO) test --locked --test it -- --ignored alone:: --test-threads=1

check: build-deps ## formatting and lints
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings

bench-micro: build-deps ## what a request costs: times and allocations, without a network
	$(CARGO) bench --locked --bench micro

load: build test-deps ## ten seconds of load on a release build
	scripts/load $(AIRSIDE)

clean-demo: ## forget what the demo has stored
	rm -rf demo-data

build-deps:
	@scripts/install-build-deps

test-deps:
	@scripts/install-test-deps
