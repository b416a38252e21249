# Everything runs on this machine: a real Kubernetes API server, and a double in place of AWS.

.PHONY: help demo check test sweep bench image crds docs tools

IMAGE ?= tenantry:latest
# A program for this machine's own architecture, linked with what this machine links with: musl, or glibc 2.34 or newer, in which
# looking up names in files and DNS takes no library at run time.
TARGET = $(shell rustc -vV | sed -n 's/^host: //p')
BUILT := $(or $(CARGO_TARGET_DIR),target)
AUTHORITIES ?= /etc/ssl/certs/ca-certificates.crt
BUILD_IMAGE ?= $(firstword $(foreach tool,buildah podman docker,$(shell command -v $(tool)))) build

help: ## Say what can be made (the default)
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 14

demo: ## Onboard the tenants of examples/ and ask each a question; KEEP=1 leaves all of it running
	@python3 tests/bed/prepare.py --operator
	@.cache/venv/bin/python tests/bed/demo.py $(if $(KEEP),--keep)

check: ## Format, lints, unit and model tests: what to run after each change
	cargo fmt --check
	cargo clippy --quiet --locked --all-targets -- -D warnings
	cargo test --quiet --locked --lib --test model
	cargo test --quiet --locked --doc

test: ## Run every check and test
	@python3 tests/bed/check.py

sweep: ## Let every changing call of every lifecycle be the operator's last; TENANTRY_SWEEP=part/of/a/name picks some
	@python3 tests/bed/prepare.py --operator
	@RUST_LOG=off cargo test --quiet --test e2e -- --ignored --nocapture --exact failures::sweep::everything

bench: ## Measure a release build against its bounds; BENCH='name …' for some of the benches, or for the long ones
	@cargo bench --quiet --bench bench -- $(BENCH)

image: ## Build the container image; IMAGE=name:tag names it, BUILD_IMAGE='docker build' says with what
	@command -v $(firstword $(BUILD_IMAGE)) >/dev/null || \
		{ echo "error: buildah, podman or docker is needed to build an image, or BUILD_IMAGE='… build' must name what builds it" >&2; exit 1; }
	@test -r $(AUTHORITIES) || \
		{ echo "error: there are no certificate authorities in $(AUTHORITIES): install ca-certificates, or name their file with AUTHORITIES=…" >&2; exit 1; }
	RUSTFLAGS='-C target-feature=+crt-static' cargo build --release --locked --target $(TARGET) --bin tenantry
	@mkdir -p $(BUILT)/image
	install $(BUILT)/$(TARGET)/release/tenantry $(BUILT)/image/
	install -m 644 $(AUTHORITIES) $(BUILT)/image/ca-certificates.crt
	$(BUILD_IMAGE) --file charts/Containerfile --tag $(IMAGE) $(BUILT)/image

crds: ## Write the custom resource definitions from src/api/ to crds/
	cargo run --quiet -- crds --dir crds

docs: ## Write the parts of docs/ that are made from the code
	TENANTRY_WRITE_DOCS=1 cargo test --quiet --test model pages::no_page_says_less_than_the_code

tools: ## Build the API server, etcd and the Python environment that tests and demo need
	@python3 tests/bed/prepare.py --tests
