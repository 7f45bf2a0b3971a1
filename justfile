# What people type. `just` lists it; each line also works without just.

# The list of recipes.
[private]
default:
    @just --list

# Does it compile, tests and benches included?
check:
    cargo check --workspace --all-targets

# The tests that need nothing but Rust and a C compiler.
test:
    cargo test --workspace

# Formatting, clippy, docs; warnings are errors.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The API documentation and, where mdbook is installed, the book.
docs:
    cargo doc --workspace --no-deps
    if command -v mdbook >/dev/null; then mdbook build docs; else echo "the book is in docs/src; mdbook makes pages of it"; fi

# Simulated networks: `just simulate` runs 100,000 seeds, `just simulate 5000` fewer; each that fails is told at once, and all at the end.
simulate seeds="100000":
    CALLBOARD_SIMULATION_SEEDS={{seeds}} cargo test --release -p callboard-actors --test simulation many_seeds -- --ignored --nocapture

# One simulated network, event by event, as a failing test names it, in the build that found it.
simulate-seed seed profile="test":
    CALLBOARD_SIMULATION_SEED={{seed}} cargo test --profile {{profile}} -p callboard-actors --test simulation one_seed -- --ignored --nocapture

# The official Ethereum test vectors in the folder CALLBOARD_VECTORS.
vectors:
    test -n "${CALLBOARD_VECTORS:-}"
    cargo test --workspace --test vectors -- --show-output
    cargo test --workspace --lib -- --show-output official_vectors schemas

# Wallets and libraries that others wrote, against real nodes. Needs Node.
clients:
    tests/clients/run

# The figures of docs/performance.md.
bench:
    cargo bench -p callboard-chain --bench recovery
    cargo bench -p callboard-chain --bench execution
    cargo bench -p callboard-chain --bench trie
    cargo bench -p callboard-store --bench commit
    cargo bench --bench sync
    cargo bench --bench propagation
    cargo bench --bench rpc
    cargo bench --bench live

# How fast a follower catches up: `just bench-sync`, `just bench-sync 2000x100 --runs 5`.
bench-sync *arguments:
    cargo bench --bench sync -- {{arguments}}

# The generated parts of the book, after a change of keys, defaults or answers.
reference:
    CALLBOARD_WRITE_DOCS=1 cargo test --test it documents
    CALLBOARD_WRITE_DOCS=1 cargo test --test it reference
    CALLBOARD_WRITE_DOCS=1 cargo test --lib top::

# What measuring costs, in instructions. Needs valgrind.
meters:
    cargo bench --bench meters

# All of CI, and what takes too long for it.
full:
    .ci/run
    cargo test --workspace --release -- --include-ignored
    just bench
