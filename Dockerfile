# A small image for CPUs: the page, and every command for pictures and clips. The networks are inside the package, so a
# container needs no network. See docs/scale.md.
#
#   docker build -t reliableswap .
#   docker run --rm -p 127.0.0.1:7860:7860 reliableswap
#   docker run --rm -v "$PWD:/work" -w /work -u "$(id -u)" -e HOME=/tmp reliableswap \
#     reliableswap swap ME.jpg THEM.jpg -o OUT.png

ARG PYTHON=3.11.13-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
# PyPI's torch for Linux brings CUDA along, which is gigabytes.
RUN pip install --index-url https://download.pytorch.org/whl/cpu "torch>=2.6,<2.14"
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY reliableswap/weights/LICENSE reliableswap/weights/
# The dependencies are a layer of their own, which stays when only the code changes.
ARG EXTRAS=space
RUN touch reliableswap/__init__.py && pip install ".[${EXTRAS}]" && pip uninstall -y reliableswap
COPY reliableswap reliableswap
RUN pip install --no-deps .

FROM python:${PYTHON}
WORKDIR /app
COPY packages.txt ./
# hadolint ignore=DL3008
RUN apt-get update \
    && xargs -a packages.txt apt-get install -y --no-install-recommends \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home swapper
COPY --from=build /opt/venv /opt/venv
COPY app.py ./
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 \
    GRADIO_SERVER_NAME=0.0.0.0 GRADIO_ANALYTICS_ENABLED=False HF_HUB_OFFLINE=1
USER 10001
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/', timeout=4)"]
CMD ["python", "app.py"]
