# The base image with strace in it, where a build reaches Debian's packages.
ARG BASE
FROM ${BASE}
USER 0
RUN apt-get update && apt-get install --yes --no-install-recommends strace
