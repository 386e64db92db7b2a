# Two stages: the first installs what is pinned, the second carries only the result and runs as nobody in particular.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY requirements/demo.txt requirements/uv.txt requirements/
RUN python -m venv /opt/km0 \
    && /opt/km0/bin/pip install --no-cache-dir --require-hashes -r requirements/demo.txt
COPY . .
RUN /opt/km0/bin/pip install --no-cache-dir --no-build-isolation --no-deps .

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/km0 --create-home km0
COPY --from=build /opt/km0 /opt/km0
ENV PATH=/opt/km0/bin:$PATH PYTHONUNBUFFERED=1
USER km0
WORKDIR /var/lib/km0
VOLUME /var/lib/km0
EXPOSE 8080
ENTRYPOINT ["km0"]
CMD ["run", "/etc/km0/plant.toml"]
