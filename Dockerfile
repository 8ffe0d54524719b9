# The workflow and its locked environment: docker build --tag pivm . (docs/clusters.md)
FROM python:3.11-slim-bookworm

# a compiler for torch.compile, which long trainings on a GPU use
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

COPY envs/requirements.lock /opt/pivm/envs/requirements.lock
RUN python3 -m venv /opt/env \
    && /opt/env/bin/python -m pip install --no-cache-dir --requirement /opt/pivm/envs/requirements.lock
ENV PATH=/opt/env/bin:$PATH

COPY . /opt/pivm
RUN python -m pip install --no-cache-dir --no-deps --no-build-isolation /opt/pivm

# caches beside the results: a container has no home of its own
ENV XDG_CACHE_HOME=/tmp/cache MPLCONFIGDIR=/tmp/cache/matplotlib
WORKDIR /work
CMD ["snakemake", "--snakefile", "/opt/pivm/Snakefile", "--cores", "all", "--resources", "gpu=1"]
