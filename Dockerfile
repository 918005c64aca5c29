# The image of the programs: collector, server, and the load source that tests run; the command
# chooses. The lab builds it from a staged folder (lab/staging.ts) that holds the sources and the
# production packages, because a build may have no package registry to reach. BASE is an image with
# Node.js 26: the official one, or the stand-in that the lab makes where there is no image registry.
ARG BASE
FROM ${BASE}

# A fresh named volume takes its owner and mode from the image's folder.
RUN mkdir -p /app /queue /store /compiled \
  && chown 1000:1000 /queue /store /compiled && chmod 0700 /queue /store

WORKDIR /app
ENV NODE_ENV=production
# From what changes least to what changes most, so that an edit rebuilds only the last layers.
COPY node_modules ./node_modules
COPY package.json ./
COPY protocol ./protocol
COPY server ./server
COPY dashboard/dist ./dashboard/dist
COPY collector ./collector
COPY chaos ./chaos
COPY lab ./lab

USER 1000:1000
# What Node.js makes of the sources, for this user and these flags of V8 (the size of the young
# generation is not one that matters); where it is not to be had it is made anew, in memory.
ENV NODE_COMPILE_CACHE=/compiled
RUN ["node", "lab/image/keep-compiled.ts", "--heap-growing-percent=60"]
