# `just` lists these. Nothing needs just: each recipe is a line to copy.

default:
    @just --list

# The demo, on a made-up company
run *arguments:
    ./run {{arguments}}

# Play the story in the terminal, and end
story:
    ./run --story

# Every test, or those whose names hold NAME
test *name:
    ./test {{name}}

# All that must hold before a change goes in
ci:
    .ci/run

fmt:
    cargo fmt --all

lint:
    cargo clippy --workspace --all-targets --locked -- -D warnings

doc:
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --open

# A minute: do the benchmarks run at all
bench-smoke:
    cargo run --release --locked --package countermand-bench -- smoke

# The whole report, beside the peers
bench *arguments:
    cargo run --release --locked --package countermand-bench -- {{arguments}}

# Pictures of the console, for the docs
screenshots:
    SCREENSHOTS=docs/screenshots ./test screenshots
