# Image of the API and the worker; `--target sample` adds the packages that `smarttrip seed` needs.

FROM python:3.11-slim AS build
ENV PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY deploy/image deploy/image
COPY requirements.lock ./
RUN deploy/image/install.sh packages /opt/smarttrip
COPY requirements-dev.lock pyproject.toml README.md LICENSE ./
COPY app app
COPY core core
COPY indexer indexer
COPY migrations migrations
COPY schemas schemas
COPY scoring scoring
COPY scripts scripts
COPY tracking tracking
RUN deploy/image/install.sh program /opt/smarttrip

FROM build AS build-sample
RUN deploy/image/install.sh sample /opt/smarttrip

FROM python:3.11-slim AS base
ENV PATH=/opt/smarttrip/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=5000
RUN useradd --system --uid 10001 --no-create-home smarttrip
WORKDIR /srv
USER 10001
EXPOSE 5000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/livez', timeout=2)"]
CMD ["smarttrip", "serve"]

FROM base AS sample
COPY --from=build-sample /opt/smarttrip /opt/smarttrip

FROM base
COPY --from=build /opt/smarttrip /opt/smarttrip
