# The image: gateway and operator on a base without a shell, run by a user that is nobody. One image, since both are
# always of one version; the chart's `command` says which of them a Pod runs.
# `docker build .` compiles; `--build-arg BINARIES=prebuilt` takes binaries already built (target/image/), as CI does.
ARG BINARIES=build

FROM docker.io/library/rust:1-bookworm AS build
WORKDIR /src
COPY . .
# The caches keep a rebuild after a small change to the crates that changed; they are no part of any layer.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bins --package headgate --package headgate-operator \
    && install -D --target-directory /out target/release/headgate target/release/headgate-operator

FROM scratch AS prebuilt
COPY target/image/ /out/

FROM ${BINARIES} AS binaries

# The same Debian release as the build stage, so the C library that was linked is the one that is there.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=binaries /out/headgate /usr/local/bin/headgate
COPY --from=binaries /out/headgate-operator /usr/local/bin/headgate-operator
# By number: Kubernetes' runAsNonRoot cannot check a name.
USER 65532:65532
# Inside a container loopback reaches nobody. Without manifests, `serve` then asks for HEADGATE_VIRTUAL_KEY instead of
# serving strangers with a key it made up.
ENV HEADGATE_LISTEN=0.0.0.0:8080 HEADGATE_ADMIN_LISTEN=0.0.0.0:9090
# 8080 serves clients, 9090 probes, metrics and the admin API.
EXPOSE 8080 9090
ENTRYPOINT ["/usr/local/bin/headgate"]
CMD ["serve"]
