# Two images from one file: `docker build --target cpu -t latent_style .`, and `--target cuda` for graphics cards.
# They differ in PyTorch alone. Its wheels bring CUDA's libraries, so the image needs no base of NVIDIA's, and the
# machine no more than NVIDIA's driver and container toolkit: `docker run --gpus all ...` hands the cards on.
ARG PYTHON=3.12

# The wheel is built apart: neither sources nor tools are in the images
FROM python:${PYTHON}-slim AS wheel
WORKDIR /src
COPY settings.ini setup.py pyproject.toml MANIFEST.in README.md CHANGELOG.md LICENSE ./
COPY latent_style/ latent_style/
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim AS base
# Threads sleep while they wait, lines are shown at once, and what is downloaded lies with the runs
ENV OMP_WAIT_POLICY=passive PYTHONUNBUFFERED=1 HF_HOME=/work/.cache/huggingface MPLCONFIGDIR=/tmp/matplotlib
RUN useradd --create-home --uid 1000 painter && install --directory --owner painter --group painter /work
WORKDIR /work
VOLUME /work
ENTRYPOINT ["latent_style"]
CMD ["--help"]

FROM base AS cpu
ARG TORCH=2.14.1
ARG TORCHVISION=0.29.1
ARG EXTRAS=sd,onnx
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu \
    "torch==${TORCH}" "torchvision==${TORCHVISION}"
RUN --mount=from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir "latent_style[${EXTRAS}] @ file://$(echo /wheels/*.whl)"
USER 1000

FROM base AS cuda
ARG TORCH=2.14.1
ARG TORCHVISION=0.29.1
ARG EXTRAS=sd,onnx
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN pip install --no-cache-dir "torch==${TORCH}" "torchvision==${TORCHVISION}"
RUN --mount=from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir "latent_style[${EXTRAS}] @ file://$(echo /wheels/*.whl)"
USER 1000
