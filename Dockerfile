# Two stages: the first installs what is pinned, the second carries only the result and runs as nobody in particular.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
COPY requirements/server.txt requirements/
# Without a pip of its own: the environment that travels holds what runs, no installer.
RUN python -m venv --without-pip /opt/km0 \
    && pip --python /opt/km0/bin/python install --no-cache-dir --require-hashes -r requirements/server.txt
COPY . .
RUN pip --python /opt/km0/bin/python install --no-cache-dir --no-build-isolation --no-deps . \
    && pip --python /opt/km0/bin/python uninstall --yes hatchling editables

FROM python:3.11.14-slim-bookworm
# Any user may run it (docker-compose.yml names one), so the working directory is everybody's to enter.
RUN install -d -m 0755 -o 10001 -g 10001 /var/lib/km0
COPY --from=build /opt/km0 /opt/km0
ENV PATH=/opt/km0/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 XDG_CACHE_HOME=/var/lib/km0/.cache
USER 10001:10001
WORKDIR /var/lib/km0
EXPOSE 8080
ENTRYPOINT ["km0"]
CMD ["run", "/etc/km0/plant.toml"]
