# Builds the stubs and the wheel, and installs both into an environment of their own.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements requirements
RUN python -m venv /tools \
 && /tools/bin/pip install --no-cache-dir --require-hashes -r requirements/uv.txt \
 && /tools/bin/uv pip install --no-cache --python /tools/bin/python --require-hashes -r requirements/dev.txt
RUN python -m venv --without-pip /opt/backroom \
 && /tools/bin/uv pip install --no-cache --compile-bytecode --python /opt/backroom/bin/python --require-hashes -r requirements/runtime.txt
COPY pyproject.toml README.md ./
COPY proto proto
RUN /tools/bin/python proto/generate.py
COPY server server
COPY storage storage
COPY migrations migrations
COPY client client
COPY load load
RUN /tools/bin/python -m hatchling build -t wheel \
 && /tools/bin/uv pip install --no-cache --compile-bytecode --python /opt/backroom/bin/python --no-deps dist/*.whl

# Runs: no compiler, no build tools, no root. A production server: it refuses to start until it is told
# DATABASE_URL, BACKROOM_MASTER_KEY, and either certificates or BACKROOM_ALLOW_PLAINTEXT.
FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home backroom
COPY --from=build /opt/backroom /opt/backroom
ENV PATH=/opt/backroom/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BACKROOM_ENVIRONMENT=production \
    BACKROOM_GRPC_ADDRESS=0.0.0.0:50051 \
    BACKROOM_HTTP_ADDRESS=0.0.0.0:8080 \
    BACKROOM_DRAIN_SECONDS=5 \
    LOG_FORMAT=json
USER backroom
WORKDIR /
EXPOSE 50051 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import os, ssl, urllib.request as u; t = os.environ.get('BACKROOM_HTTP_TLS', '').lower() in ('true', '1', 'yes', 'on'); u.urlopen('http' + 's' * t + '://127.0.0.1:8080/readyz', timeout=2, context=ssl._create_unverified_context() if t else None)"]
ENTRYPOINT ["backroom"]
CMD ["serve"]
