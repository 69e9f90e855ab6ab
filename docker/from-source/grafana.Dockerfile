# Grafana as built by build.py: the ports, paths and user of the official image.
ARG BASE_IMAGE=debian:bookworm-slim
FROM ${BASE_IMAGE}
RUN useradd --uid 472 --gid 0 --home-dir /home/grafana --create-home --shell /usr/sbin/nologin grafana \
 && install -d -o grafana -g root -m 0770 /etc/grafana/provisioning /var/lib/grafana /var/lib/grafana/plugins /var/log/grafana
COPY bin/ /usr/share/grafana/bin/
COPY conf/ /usr/share/grafana/conf/
COPY plugins-bundled/ /usr/share/grafana/plugins-bundled/
COPY public/ /usr/share/grafana/public/
RUN cp /usr/share/grafana/conf/sample.ini /etc/grafana/grafana.ini
ENV PATH=/usr/share/grafana/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    GF_PATHS_CONFIG=/etc/grafana/grafana.ini \
    GF_PATHS_DATA=/var/lib/grafana \
    GF_PATHS_HOME=/usr/share/grafana \
    GF_PATHS_LOGS=/var/log/grafana \
    GF_PATHS_PLUGINS=/var/lib/grafana/plugins \
    GF_PATHS_PROVISIONING=/etc/grafana/provisioning
USER 472:0
WORKDIR /usr/share/grafana
EXPOSE 3000
ENTRYPOINT ["grafana", "server", "--homepath=/usr/share/grafana", "--config=/etc/grafana/grafana.ini"]
ARG VERSION
LABEL org.opencontainers.image.title="shopstream/grafana-from-source" \
      org.opencontainers.image.description="Grafana from its Go module" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="AGPL-3.0-only"
