# One image for every process of Playhead; the command says which: `playhead commands`, `playhead relay`, ...

# The full image has compilers, for a platform on which some requirement has no wheel.
FROM python:3.11-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/playhead
ENV PATH=/opt/playhead/bin:$PATH
WORKDIR /src
# The requirements first: they change less often than the code, and this layer is kept until they do.
COPY requirements.txt ./
RUN pip install --require-hashes -r requirements.txt
COPY pyproject.toml requirements.in ./
COPY audits audits
COPY commands commands
COPY events events
COPY infra infra
COPY playhead playhead
COPY projections projections
COPY query_api query_api
COPY schemas schemas
RUN pip install --no-build-isolation --no-deps . && python -m compileall -q /opt/playhead/lib

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/playhead --shell /usr/sbin/nologin playhead \
    # A named volume takes over the owner of the directory that it is mounted on.
    && install -d -o playhead -g playhead -m 0750 /var/lib/playhead \
    && install -d -o playhead -g playhead -m 0700 /var/lib/playhead/keys /var/lib/playhead/mail /var/lib/playhead/archive
COPY --from=build /opt/playhead /opt/playhead
ENV PATH=/opt/playhead/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PLAYHEAD_STATE_DIR=/var/lib/playhead \
    PLAYHEAD_KEYS_DIR=/var/lib/playhead/keys \
    PLAYHEAD_HOST=0.0.0.0
WORKDIR /var/lib/playhead
USER playhead
CMD ["playhead", "--help"]
