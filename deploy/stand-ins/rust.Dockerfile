# Stands in for rust:*-bookworm. `toolchain` (the machine's own) and `ca-certificates.crt` are laid beside it.
FROM debian:12-slim
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends ca-certificates gcc g++ libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
# Where the machine trusts an authority of its own, its builds have to.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY toolchain /usr/local/rustup/toolchains/stand-in
ENV CARGO_HOME=/usr/local/cargo \
    PATH=/usr/local/cargo/bin:/usr/local/rustup/toolchains/stand-in/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RUN mkdir -p "$CARGO_HOME" && cargo --version
