# The agent's image where an image registry can be reached: bottle's `dockerfile: images/claude.Dockerfile`.
# Without one, images/bootstrap.sh makes its like from packages.
FROM node:22-bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl diffutils file git jq less openssh-client patch procps python3 ripgrep unzip xz-utils \
 && rm -rf /var/lib/apt/lists/*
ARG VERSION=latest
RUN npm install --global --no-audit --no-fund @anthropic-ai/claude-code@$VERSION && npm cache clean --force
# The base image's user `node` has uid 1000; the bottle's is called agent.
RUN userdel --remove node && useradd --uid 1000 --create-home --shell /bin/bash agent \
 && install -d -o agent -g agent -m 0777 /workspace && install -d /run/bottle \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
USER agent
WORKDIR /workspace
RUN claude --version
