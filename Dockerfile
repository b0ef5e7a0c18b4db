# The image of b2o: the command alone, as nobody. Build it in the root of the repository.
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN rustup show && rustup target add wasm32-wasip1
RUN cargo build --locked --release --package b2o
# Where files and objects may be kept, in volumes.
RUN mkdir -p /owned/run/back-to-origin /owned/data

# As old a C library as the one that it is built with.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build --chown=65532:65532 /owned/ /
COPY --from=build /source/target/release/b2o /usr/local/bin/b2o
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/b2o"]
