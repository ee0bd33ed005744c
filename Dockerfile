# The reference server with all that it needs to let machines netboot: dnsmasq and iPXE's programs.
#
#   docker build --tag provisioning .
#
# Builds with BuildKit and with the classic builder. For the classic one's sake stages stand in the order in which they
# are needed: `--target prebuilt` ends before anything is compiled, and takes a program that was built elsewhere:
#
#   docker build --target prebuilt --build-arg PROGRAM=target/release/provisioning --tag provisioning .

# Debian 13, whose iPXE (2025) speaks HTTPS and leaves UEFI machines able to boot from their disks; Debian 12's is of 2019.
ARG BASE_IMAGE=debian:trixie-slim
# Any image with cargo, gcc and the C library's headers; its Debian must not be newer than the base image's.
ARG BUILD_IMAGE=rust:1.90-slim-trixie

# ---- Tools that prepare files and are not in the image.
FROM ${BASE_IMAGE} AS tools
ENV DEBIAN_FRONTEND=noninteractive
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates libcap2-bin \
    && apt-get clean
WORKDIR /prepared
# The package brings images of disks and CDs for every purpose, 17 MB in all: firmware that netboots is handed these few.
# `apt-get download` looks at signatures as an installation does. Of the certificates, by which inventories and webhooks are
# asked over HTTPS, the one file that is read: their package would bring openssl with it.
RUN apt-get download ipxe && dpkg-deb --extract ipxe_*.deb package \
    && mkdir -p files/usr/lib/ipxe files/usr/share/doc/ipxe \
    && for name in undionly.kpxe ipxe.efi snponly.efi ipxe-arm64.efi snponly-arm64.efi; do \
           if [ -e "package/usr/lib/ipxe/$name" ]; then cp "package/usr/lib/ipxe/$name" files/usr/lib/ipxe/; fi; \
       done \
    && cp package/usr/share/doc/ipxe/copyright files/usr/share/doc/ipxe/ \
    && mkdir -p files/etc/ssl/certs files/usr/share/doc/ca-certificates \
    && cp /etc/ssl/certs/ca-certificates.crt files/etc/ssl/certs/ \
    && cp /usr/share/doc/ca-certificates/copyright files/usr/share/doc/ca-certificates/ \
    && test -e files/usr/lib/ipxe/undionly.kpxe && test -e files/usr/lib/ipxe/ipxe.efi

# ---- The system that the server runs in, without the server.
FROM ${BASE_IMAGE} AS system
# No program is left that another user's rights come with: the server's own capabilities are all that can be gained here.
RUN export DEBIAN_FRONTEND=noninteractive \
    && apt-get update \
    && apt-get install --yes --no-install-recommends dnsmasq-base \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/log/*.log /var/log/apt \
    && find /usr/share/doc -depth -type f ! -name copyright -delete \
    && rm -rf /usr/share/man/* /usr/share/locale/* /usr/share/info/* \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && groupadd --system --gid 10001 provisioning \
    && useradd --system --uid 10001 --gid provisioning --home-dir /var/lib/provisioning --shell /usr/sbin/nologin \
           provisioning \
    && install -d -m 0750 -o root -g provisioning /etc/provisioning \
    && install -d -m 0700 -o provisioning -g provisioning /var/lib/provisioning
COPY --from=tools /prepared/files/ /
COPY deploy/provisioning.example.yaml deploy/server-types.example.yaml /usr/share/doc/provisioning/examples/
# Wherever the configuration says the data lie: here is the volume, and here the health check asks.
ENV PROVISIONING__SERVER__DATA_DIR=/var/lib/provisioning
USER 10001:10001
WORKDIR /var/lib/provisioning
VOLUME ["/var/lib/provisioning"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["provisioning", "healthcheck", "--data-dir", "/var/lib/provisioning"]
ENTRYPOINT ["/usr/bin/provisioning"]
CMD ["serve", "--config", "/etc/provisioning/provisioning.yaml"]

# ---- A program that was built elsewhere: `--build-arg PROGRAM=…`, a path below the sources.
FROM tools AS program-prebuilt
ARG PROGRAM=none
# The licence is there so that there is something to copy: the classic builder comes through here, too, when it builds from
# source, and then there is no program.
COPY LICENSE-MIT ${PROGRAM}* /in/
# What dnsmasq needs, and what ports below 1024 take. Permitted and not effective: the server takes up what the container
# was given of it (`--cap-add`), and starts without, too.
RUN mkdir -p /out/usr/bin \
    && if [ "$PROGRAM" = none ]; then \
           printf '#!/bin/sh\necho "this image was built without --build-arg PROGRAM=..." >&2\nexit 1\n' \
               > /out/usr/bin/provisioning; \
       else \
           cp "/in/${PROGRAM##*/}" /out/usr/bin/provisioning; \
       fi \
    && chmod 0755 /out/usr/bin/provisioning \
    && setcap cap_net_bind_service,cap_net_raw,cap_net_admin=p /out/usr/bin/provisioning

FROM system AS prebuilt
COPY --from=program-prebuilt /out/ /
ARG VERSION=0.1.0
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="provisioning" \
      org.opencontainers.image.description="Turns bare machines into members of a Proxmox VE cluster" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"

# ---- The program from source. First a skeleton of the workspace, manifests with empty programs: the layer of compiled
# dependencies then depends on nothing but the manifests and the lock file.
FROM ${BUILD_IMAGE} AS skeleton
COPY . /source
WORKDIR /source
RUN find . -name Cargo.toml -o -name Cargo.lock -o -path './.cargo/*' -type f > /files \
    && tar --create --files-from=/files | (mkdir /skeleton && tar --extract --directory=/skeleton) \
    && find . \( -path '*/src/lib.rs' -o -path '*/src/main.rs' -o -path '*/src/bin/*.rs' -o -name build.rs \
           -o -path './benches/*.rs' -o -path './examples/*.rs' \) -type f \
       | while read -r file; do \
             mkdir -p "/skeleton/$(dirname "$file")" && echo '//! Empty.' > "/skeleton/$file"; \
             echo 'fn main() {}' >> "/skeleton/$file"; \
         done \
    && find /skeleton -exec touch --date=@0 {} +

FROM ${BUILD_IMAGE} AS build
WORKDIR /build
ENV CARGO_INCREMENTAL=0
COPY --from=skeleton /skeleton/ ./
RUN cargo build --release --locked --package provisioning-server --bin provisioning
COPY . ./
ARG COMMIT=unknown
ENV PROVISIONING_COMMIT=${COMMIT}
# The sources may be older than what was compiled of their empty likenesses.
RUN find . -path ./target -prune -o -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --package provisioning-server --bin provisioning

FROM tools AS program-from-source
COPY --from=build /build/target/release/provisioning /out/usr/bin/provisioning
RUN setcap cap_net_bind_service,cap_net_raw,cap_net_admin=p /out/usr/bin/provisioning

FROM system AS from-source
COPY --from=program-from-source /out/ /
ARG VERSION=0.1.0
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="provisioning" \
      org.opencontainers.image.description="Turns bare machines into members of a Proxmox VE cluster" \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}"
