# InfluxDB as built by build.py: the ports, paths and user of the official image.
ARG BASE_IMAGE=debian:bookworm-slim
FROM ${BASE_IMAGE}
RUN groupadd --gid 1000 influxdb \
 && useradd --uid 1000 --gid influxdb --home-dir /home/influxdb --create-home --shell /usr/sbin/nologin influxdb \
 && install -d -o influxdb -g influxdb -m 0700 /var/lib/influxdb2 /etc/influxdb2
COPY influxd /usr/local/bin/influxd
USER influxdb
EXPOSE 8086
VOLUME ["/var/lib/influxdb2", "/etc/influxdb2"]
ENV INFLUXD_BOLT_PATH=/var/lib/influxdb2/influxd.bolt INFLUXD_ENGINE_PATH=/var/lib/influxdb2/engine
ENTRYPOINT ["influxd"]
ARG VERSION
LABEL org.opencontainers.image.title="shopstream/influxdb-from-source" \
      org.opencontainers.image.description="InfluxDB from its Go module, without web pages" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT"
