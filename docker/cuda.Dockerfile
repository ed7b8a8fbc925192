# An image for NVIDIA GPUs: training, triplets and the page. The driver comes from the host's NVIDIA Container Toolkit,
# CUDA's libraries come with torch. See docs/scale.md.
#
#   docker build -f docker/cuda.Dockerfile -t reliableswap:cuda .
#   docker run --rm --gpus all --ipc host -v "$PWD:/work" -w /work -u "$(id -u)" -e HOME=/tmp reliableswap:cuda \
#     reliableswap train generator --triplets s3://triplets/first --output_dir runs/generator

ARG PYTHON=3.11.13-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
ARG CUDA=cu128
RUN pip install --index-url "https://download.pytorch.org/whl/${CUDA}" "torch>=2.6,<2.14"
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY reliableswap/weights/LICENSE reliableswap/weights/
ARG EXTRAS=space,train,s3,gs,ray
RUN touch reliableswap/__init__.py && pip install ".[${EXTRAS}]" && pip uninstall -y reliableswap
COPY reliableswap reliableswap
RUN pip install --no-deps .

FROM python:${PYTHON}
WORKDIR /app
COPY packages.txt ./
# gcc: torch.compile builds its kernels' launchers with it.
# hadolint ignore=DL3008
RUN apt-get update \
    && xargs -a packages.txt apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home swapper
COPY --from=build /opt/venv /opt/venv
COPY app.py ./
COPY configs configs
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    GRADIO_SERVER_NAME=0.0.0.0 GRADIO_ANALYTICS_ENABLED=False
USER 10001
EXPOSE 7860
# Trainings serve no page: run them with --no-healthcheck where unhealthy containers are restarted.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/', timeout=4)"]
CMD ["python", "app.py"]
