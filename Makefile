# The commands of the README. Each installs what it needs and says what and why.
.PHONY: run test brokers bench browser dashboard trouble uploads large fuzz simulate chaos lint docs

# FILES="a.jpg b.png" ingests these; without it an empty data folder gets a few pictures made on the spot.
FILES ?=

run:
	@scripts/install.sh build
	@scripts/ui.sh
	@scripts/run.sh $(FILES)

test:
	@scripts/install.sh build servers
	@scripts/ui.sh
	cargo test --workspace --no-fail-fast
	@scripts/layering.sh

# What brokers do to listeners, with what takes longer than `make test` should.
brokers:
	@scripts/install.sh build servers
	cargo test -p mediaflow-broker -- --include-ignored --nocapture

bench:
	@scripts/install.sh build bench
	@scripts/bench.sh

# Plays videos and sound in Chromium, natively and with hls.js and Shaka, while they are made and after; FILES as above.
browser:
	@scripts/install.sh build browser
	cargo build -p mediaflow
	@e2e/run target/debug/mediaflow $(FILES)

# Uses the dashboard in Chromium as people do: every screen and action, failures, keys, a phone, a server that goes away.
dashboard:
	@scripts/install.sh build browser
	@scripts/ui.sh
	cargo build -p mediaflow
	@e2e/dashboard target/debug/mediaflow

# Makes troubles happen (a worker killed, a file damaged, a disk full, a broker and a database away), and looks at the dashboard in Chromium.
trouble:
	@scripts/install.sh build servers browser
	@scripts/ui.sh
	cargo build -p mediaflow
	@e2e/trouble target/debug/mediaflow

# Uploads with clients that others wrote: tus-js-client, tuspy, Uppy in Chromium, boto3 and curl; and schemathesis over the whole API.
uploads:
	@scripts/install.sh build uploads
	cargo build -p mediaflow
	cargo build -p mediaflow-servers --example s3
	@e2e/uploads target/debug/mediaflow

# A file of 5 GB by `mediaflow ingest`, killed and gone on with on both sides: `make large BREAKS=20`. Needs 16 GB of disk for a while.
large:
	@scripts/install.sh build
	cargo build --release -p mediaflow
	@$(if $(BREAKS),BREAKS=$(BREAKS)) e2e/large target/release/mediaflow

# Searches for inputs that break a parser: `make fuzz TARGET=image MINUTES=10`. `make test` runs each for a moment.
TARGET ?= image
MINUTES ?= 1
fuzz:
	@scripts/install.sh build fuzz
	@mkdir -p fuzz/corpus/$(TARGET)
	PATH="$$PWD/.tools/bin:$$PATH" cargo fuzz run --sanitizer none --fuzz-dir fuzz $(TARGET) \
		fuzz/corpus/$(TARGET) crates/fuzz/seeds/$(TARGET) -- -max_total_time=$$(($(MINUTES) * 60)) -rss_limit_mb=4096 -timeout=20

# Worlds in which everything goes wrong: `make simulate SEEDS=100000`, without a number for ever; SEED=n shows one.
# FIRST is the first seed; BROKEN=fencing (outbox, idempotency, sweeper) takes a mechanism away.
SEEDS ?=
SEED ?=
FIRST ?=
BROKEN ?=
simulate:
	@scripts/install.sh build
	cargo build -p mediaflow-sim
	@SEEDS=$(SEEDS) SEED=$(SEED) FIRST=$(FIRST) BROKEN=$(BROKEN) target/debug/mediaflow-sim

# The real thing while it is killed, frozen, cut off and refused, first one process on SQLite, also with a disk that
# becomes full, then a cluster on PostgreSQL, a bucket and each
# broker in turn, so many things each: `make chaos KILLS=200`; SEED=n does other things at other moments. `make test` does a few.
KILLS ?= 100
BROKERS ?= redis amqp kafka sqs
CHAOS = KILLS=$(KILLS) $(if $(SEED),SEED=$(SEED)) AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test \
	cargo test -p mediaflow --test it -- --nocapture --test-threads 1
chaos:
	@scripts/install.sh build servers
	$(CHAOS) nothing_is_lost_by_kills
	unshare --map-root-user --mount $(CHAOS) a_full_disk --ignored
	for broker in $(BROKERS); do BROKER=$$broker $(CHAOS) a_cluster_loses_nothing || exit 1; done

lint:
	@scripts/install.sh build lint
	cargo fmt --all --check
	@scripts/ui.sh check
	cargo clippy --workspace --all-targets -- -D warnings
	# Advisories need a database from the internet; they are looked at when dependencies change.
	.tools/bin/cargo-deny check --hide-inclusion-graph licenses bans sources
	@scripts/layering.sh
	@scripts/tidy.sh

# The reference pages that are made from the code; a test compares them.
docs:
	cargo build -p mediaflow
	target/debug/mediaflow config reference > docs/reference/configuration.md
	target/debug/mediaflow errors > docs/reference/error-codes.md
	target/debug/mediaflow events --types > docs/reference/events.md
