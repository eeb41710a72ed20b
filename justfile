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

# A few minutes: the main figures, beside nginx, smtp-source and lettre; --json FILE keeps them
bench-smoke *arguments:
    cargo run --release --locked --package countermand-bench -- smoke {{arguments}}

# Notices beside smtp-source, lettre and smtplib; an order of a million planned notices taken back
bench-notices *arguments:
    cargo run --release --locked --package countermand-bench -- notices {{arguments}}

# Every front door of mail, with the gate and without; as root, for Dovecot and Postfix
bench-doors *arguments:
    cargo run --release --locked --package countermand-bench -- doors {{arguments}}

# All figures; --json FILE keeps them
bench *arguments:
    cargo run --release --locked --package countermand-bench -- smoke --notices 20000 --planned 1000000 --doors {{arguments}}

# Every page with sample data, to look at in a browser: target/pages
pages:
    COUNTERMAND_WRITE_PAGES='{{justfile_directory()}}/target/pages' ./test samples_are_written

# Mutate the corpora of all parsers for so many seconds each; what is found stays in fuzz/corpus
fuzz seconds="60":
    COUNTERMAND_FUZZ={{seconds}} cargo test --package countermand --locked --test fuzz -- --nocapture --test-threads 2
