# Every target first installs what this machine lacks for it (scripts/setup).

# Also where a new toolchain is not in PATH yet.
export PATH := $(PATH):$(or $(CARGO_HOME),$(HOME)/.cargo)/bin

.PHONY: help run test check sweep bench fuzz guest setup fmt clean
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# Who looks on sees what is compiled; else there is a line where it takes long.
quiet := $(shell test -t 2 || echo --quiet)
# Says what is built where FILE, which comes of it, is not there yet.
tell_first = @test -e $(1) || echo 'Building $(2) (some minutes the first time)' >&2

help: ## show this help
	@echo 'make TARGET, with TARGET one of:'
	@sed -n 's/^\([a-z]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 10

run: guest ## start the daemon with a sample guest (Ctrl-C stops both)
	$(call tell_first,target/release/inn,Innkeeper)
	@cargo build --release $(quiet) -p inn
	@scripts/run

test: guest ## run every test, real guests included
	@scripts/setup --test
	$(call tell_first,target/debug/inn,Innkeeper and its tests)
	@cargo build --workspace --tests $(quiet)
	@cargo test --workspace --quiet

check: ## format, lints, docs and the direction of dependencies
	@scripts/setup --build
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --quiet -- -D warnings
	@RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --no-deps --quiet
	@cargo test --quiet -p inn --test dependencies

sweep: guest ## cut every operation short at every point; resumes the same build's, and writes target/sweep.json and .md
	@cargo build --release $(quiet) -p inn-sweep
	@cargo run --release --quiet -p inn-sweep -- --driver sim,qemu --resume

bench: ## measure, print a table and write target/bench.json
	@scripts/setup --bench
	@scripts/guest
	@cargo build --release --workspace $(quiet)
	@cargo run --release --quiet -p inn-bench

fuzz: ## look for what breaks the parsers: TARGET=jwt for one of them, TIME=600 for that many seconds each
	@scripts/setup --fuzz
	@scripts/fuzz "$(TARGET)" "$(TIME)"

guest: setup ## make the sample guests in target/guests
	@scripts/guest

setup: ## install what is missing on this machine
	@scripts/setup

fmt: ## format the sources
	@cargo fmt --all

clean: ## remove everything that was built
	@cargo clean
