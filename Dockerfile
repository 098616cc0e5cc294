# Two images from one file: `docker build --target agent .` for the box beside the recorder, `--target collector` for the centre.
# The first stage builds, the second one runs: as a user without rights, with no compiler, no pip cache and no other extra.

# hadolint global ignore=DL3008
# DL3008: Debian keeps only the newest security fix of a package, so a pinned version soon can't be built.

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --home-dir /var/lib/cradlewatch cradlewatch \
    && install -d -o cradlewatch -g cradlewatch -m 0750 /var/lib/cradlewatch
ENV LANG=C.UTF-8 PATH=/opt/cradlewatch/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1

FROM base AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/build \
    && python3 -m venv /opt/cradlewatch
WORKDIR /src
COPY requirements/ requirements/
RUN /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md ./
COPY monitor/ monitor/
COPY agents/ agents/
COPY dashboards/ dashboards/
COPY config/ config/
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .

FROM build AS build-agent
RUN /opt/cradlewatch/bin/pip install --no-cache-dir --require-hashes -r requirements/agent.txt \
    && /opt/cradlewatch/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl \
    && /opt/cradlewatch/bin/pip uninstall --yes pip setuptools

FROM build AS build-collector
RUN /opt/cradlewatch/bin/pip install --no-cache-dir --require-hashes -r requirements/collector.txt \
    && /opt/cradlewatch/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl \
    && /opt/cradlewatch/bin/pip uninstall --yes pip setuptools

FROM base AS agent
COPY --from=build-agent /opt/cradlewatch /opt/cradlewatch
USER 10001:10001
WORKDIR /var/lib/cradlewatch
VOLUME ["/var/lib/cradlewatch"]
ENTRYPOINT ["cradlewatch"]
CMD ["agent", "run", "--config", "/etc/cradlewatch/site.yaml"]

FROM base AS collector
COPY --from=build-collector /opt/cradlewatch /opt/cradlewatch
USER 10001:10001
WORKDIR /var/lib/cradlewatch
VOLUME ["/var/lib/cradlewatch"]
EXPOSE 8080
HEALTHCHECK CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health/live', timeout=3)"]
ENTRYPOINT ["cradlewatch"]
CMD ["collector", "serve", "--listen", "0.0.0.0:8080"]
