# Everything that continuous integration runs.
ci *steps:
    tests/run {{ steps }}

# Tests of the Rust workspace alone.
test:
    tests/run rust doctest

# The official SDKs against the real binary.
sdk:
    tests/run python node

# A small real model behind the gateway.
model:
    tests/model/run

# Builds the bundled plugins' components again
plugins:
    plugins/build
