# The service alone: no tests, no embedded database, no compiler. Configured by environment variables (docs/operations.md).
ARG PYTHON=python:3.14-slim

FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# two environments, so that the one that is shipped holds neither pip nor the build backend
RUN python3 -m venv tools && python3 -m venv --without-pip /opt/todo-api
COPY requirements.txt requirements-run.txt ./
# nothing is resolved and nothing is built: a lock names all that is needed, and each file by its hash
RUN sed -n '/^flit-core==/,/[^\\]$/p' requirements-run.txt > requirements-build.txt \
 && tools/bin/pip install --quiet --no-deps --require-hashes --only-binary :all: -r requirements-build.txt \
 && tools/bin/pip --python /opt/todo-api/bin/python install --quiet \
        --no-deps --require-hashes --only-binary :all: -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY app app
# the version of what is no release has its commit's hash too: --build-arg COMMIT=$(git rev-parse --short HEAD)
ARG COMMIT=
RUN sed -i "/^version = /s/\"\$/${COMMIT:++g$COMMIT}\"/" pyproject.toml \
 && tools/bin/python -m flit_core.wheel --outdir dist \
 && tools/bin/pip --python /opt/todo-api/bin/python install --quiet --no-deps dist/*.whl \
 && tools/bin/pip --python /opt/todo-api/bin/python check

FROM ${PYTHON}
COPY --from=build /opt/todo-api /opt/todo-api
ENV PATH=/opt/todo-api/bin:$PATH ENVIRONMENT=production HOST=0.0.0.0 PORT=8000
# a user that is not root; it needs no name and no home
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=4s --start-period=30s CMD ["todo-api-health"]
CMD ["todo-api", "serve"]
