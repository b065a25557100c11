# What one does with Airside. `make` alone says what there is.

CARGO ?= cargo
# Where builds go: cargo's own variable, so that both agree.
CARGO_TARGET_DIR ?= target
AIRSIDE := $(CARGO_TARGET_DIR)/release/airside
DIST := $(CARGO_TARGET_DIR)/dist/airside
# More arguments for `airside demo`, and for the bench (`--only plain --rounds 3`).
ARGS ?=
BENCH ?=
MINUTES ?= 30
# Of `make figures`, those with these names; of `make mutations`, too.
FIGURES ?=
MUTANTS ?=

.PHONY: help demo build dist test check load bench bench-instructions bench-latency bench-micro bench-scale bench-pairs bench-programs bench-bare bench-pingap bench-builds clean-demo build-deps test-deps count-deps bench-deps test-faults soak figures mutations deny fuzz
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: build ## the whole system at once: gateway, identity, two upstreams (ARGS=… are passed on)
	$(AIRSIDE) demo $(ARGS)

build: build-deps ## a release build
	$(CARGO) build --release --locked

dist: ## the program as it is shipped: optimised as a whole, and by a profile of real load (two builds; DIST_CPU=x86-64-v3)
	CARGO_TARGET_DIR=$(CARGO_TARGET_DIR) scripts/dist

test: build-deps test-deps ## all tests, against real servers
	$(CARGO) test --locked --package airside --package airside-allocator
# Those that measure time need the machine for themselves, and the program as it is run.
	$(CARGO) build --release --locked
	AIRSIDE_PROGRAM=$(abspath $(AIRSIDE)) $(CARGO) test --locked --test it -- --ignored alone:: --test-threads=1

test-faults: build-deps test-deps ## faults by real means, one after another (five minutes, beside the builds)
	$(CARGO) build --release --locked
	AIRSIDE_PROGRAM=$(abspath $(AIRSIDE)) $(CARGO) test --locked --test it -- --ignored faults:: --test-threads=1

check: build-deps ## formatting and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

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

# The programs of the bench are built like what is measured; a cold build of them takes five minutes.
BENCHING = $(CARGO_TARGET_DIR)/bench-tools/bin/python benches/load/$(1).py $(DIST) --tools $(CARGO_TARGET_DIR)/bench-tools $(BENCH)

bench: bench-deps bench-programs ## CPU time and latency beside nginx, HAProxy, Caddy, Express, bare Pingora, and pingap where it is built (an hour; BENCH=… are passed on)
	$(call BENCHING,bench)

bench-pairs: bench-deps bench-programs ## what many routes, clients, idle connections, Redis, a second worker and a flood of sign-ins change (eight minutes; BENCH=…)
	$(call BENCHING,pairs)

bench-programs:
	[ -x $(DIST) ] || $(MAKE) dist
	CARGO_TARGET_DIR=$(CARGO_TARGET_DIR) $(CARGO) build --profile dist --locked --package bench-programs

bench-bare: ## bare Pingora with a profile of its own, as Airside has one (two builds); without, `make bench` builds it without
	DIST_PROGRAM=bare CARGO_TARGET_DIR=$(CARGO_TARGET_DIR) scripts/dist

bench-pingap: ## installs pingap for `make bench`, from crates.io (fifteen minutes)
	CARGO_TARGET_DIR=$(CARGO_TARGET_DIR) scripts/install-pingap

bench-builds: bench-deps bench-programs ## what each step of `make dist` brings: builds that take one step less, or one more, side by side (four builds, and five minutes)
	CARGO_TARGET_DIR=$(CARGO_TARGET_DIR) scripts/dist-steps
	$(call BENCHING,bench) --peers --only full\ HS256 plain --builds $(foreach step,release lto v3 system-allocator,$(step)=$(CARGO_TARGET_DIR)/steps/$(step)/airside)

bench-instructions: build count-deps ## what a request costs in instructions and allocations, held against benches/budget.toml
	benches/instructions/count.py $(AIRSIDE)

bench-latency: bench-deps bench-programs ## latency against offered load, beside nginx and HAProxy (five minutes; BENCH=… are passed on)
	$(call BENCHING,latency)

bench-scale: build count-deps ## what a request costs with more routes and more servers
	benches/instructions/scale.py $(AIRSIDE)

soak: build bench-deps ## a mixed load while everything changes: is memory flat, is every answer explained? (MINUTES=30)
	$(CARGO_TARGET_DIR)/bench-tools/bin/python benches/soak/soak.py $(AIRSIDE) --minutes $(MINUTES) --out $(CARGO_TARGET_DIR)/soak

figures: build bench-deps ## what is reached of docs/RELIABILITY.md's figures (eight minutes; FIGURES=… for some)
	$(CARGO) build --release --locked --package bench-programs
	$(CARGO_TARGET_DIR)/bench-tools/bin/python benches/figures/figures.py $(AIRSIDE) \
		--bare $(CARGO_TARGET_DIR)/release/bare \
		$(if $(FIGURES),--only $(FIGURES)) --out $(CARGO_TARGET_DIR)/figures.md

mutations: build-deps test-deps ## breaks each rule of tests/mutations.toml and has its test fail (ten minutes; MUTANTS=… for some)
	scripts/mutations $(MUTANTS)

clean-demo: ## forget what the demo has stored
	rm -rf demo-data

build-deps:
	@scripts/install-build-deps

count-deps:
	@scripts/install-count-deps

bench-deps:
	@scripts/install-bench-deps

test-deps:
	@scripts/install-test-deps
