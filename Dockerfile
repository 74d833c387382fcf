# A digest holds it: --build-arg PYTHON_IMAGE=python:3.11-slim@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim

# Builds the stubs and both wheels, and installs them into an environment of their own.
FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY requirements requirements
RUN python -m venv /tools \
 && /tools/bin/pip install --no-cache-dir --require-hashes -r requirements/uv.txt \
 && /tools/bin/uv pip install --no-cache --python /tools/bin/python --no-deps --require-hashes -r requirements/run.txt
RUN python -m venv --without-pip /opt/backroom \
 && /tools/bin/uv pip install --no-cache --compile-bytecode --python /opt/backroom/bin/python --require-hashes -r requirements/runtime.txt
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY proto proto
COPY client client
COPY server server
COPY storage storage
COPY migrations migrations
COPY load load
COPY sandbox sandbox
COPY replay replay
# The server's wheel from its source distribution: it names the client by its version, and no folder of this stage.
RUN /tools/bin/uv build --no-cache --no-build-isolation --python /tools/bin/python --wheel -o dist client \
 && /tools/bin/uv build --no-cache --no-build-isolation --python /tools/bin/python -o dist . \
 && /tools/bin/uv pip install --no-cache --compile-bytecode --python /opt/backroom/bin/python --no-deps dist/*.whl

# Runs: no compiler, no build tools, no root. A production server: it refuses to start until it is told
# DATABASE_URL, BACKROOM_MASTER_KEY, BACKROOM_ISSUER, BACKROOM_MAIL, and certificates or BACKROOM_ALLOW_PLAINTEXT.
FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --user-group --no-create-home backroom \
 && install --directory --owner=10001 /var/lib/backroom
COPY --from=build /opt/backroom /opt/backroom
ENV PATH=/opt/backroom/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BACKROOM_ENVIRONMENT=production \
    BACKROOM_GRPC_ADDRESS=0.0.0.0:50051 \
    BACKROOM_HTTP_ADDRESS=0.0.0.0:8080 \
    BACKROOM_DRAIN_SECONDS=5 \
    LOG_FORMAT=json
# By its number, so that Kubernetes can see that it is not root's.
USER 10001
WORKDIR /
EXPOSE 50051 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import os, ssl, urllib.request as u; t = os.environ.get('BACKROOM_HTTP_TLS', '').lower() in ('true', '1', 'yes', 'on'); u.urlopen('http' + 's' * t + '://127.0.0.1:8080/readyz', timeout=2, context=ssl._create_unverified_context() if t else None)"]
ENTRYPOINT ["backroom"]
CMD ["serve"]
