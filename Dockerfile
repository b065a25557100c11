# Airside as a container: one program, its configuration, and a folder for what it keeps.
#
#   docker build -t airside .
#   docker run -p 3001:3001 -v airside-data:/var/lib/airside \
#     -e AIRSIDE_FLIGHTS=192.0.2.10:3000 -e AIRSIDE_BOOKINGS=192.0.2.11:4000 airside

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY scripts scripts
RUN scripts/install-train-deps && rustup component add llvm-tools && rm -rf /var/lib/apt/lists/*
COPY . .
RUN scripts/dist

FROM debian:bookworm-slim
# Roots of trust, for upstreams and issuers that are reached over TLS.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 airside \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin airside \
    && install -d -o airside -g airside -m 0700 /var/lib/airside
COPY --from=build /src/target/dist/airside /usr/local/bin/airside
COPY conf/airside.yaml /etc/airside/airside.yaml

# Paths of the configuration are relative to its file, so the data's is absolute. Identity and the
# admin listener stay on loopback: only the gateway is reached from outside.
ENV AIRSIDE_CONFIG=/etc/airside/airside.yaml \
    AIRSIDE_LISTEN=0.0.0.0:3001 \
    AIRSIDE_DATA=/var/lib/airside
USER 10001:10001
WORKDIR /var/lib/airside
VOLUME /var/lib/airside
EXPOSE 3001

# The image has no HTTP client, so bash opens the connection to the admin listener itself.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/3003 && printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]

STOPSIGNAL SIGTERM
ENTRYPOINT ["airside"]
CMD ["run"]
