# A static binary in an image that holds nothing else, run as nobody.
#
#   docker build -t authtap:0.1.0 .
#   docker run --rm -p 8080:8080 -e AUTHTAP_TAPS=0.0.0.0:8080=https://api.example.com authtap:0.1.0

FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
# Alpine's target links the C library statically.
RUN cargo build --release --locked --features otel && strip target/release/authtap

FROM scratch
LABEL org.opencontainers.image.title="authtap" \
      org.opencontainers.image.description="Finds out why HTTP authentication fails"
COPY --from=build /src/target/release/authtap /authtap
USER 65532:65532
ENV AUTHTAP_LOG_FORMAT=json
ENTRYPOINT ["/authtap"]
