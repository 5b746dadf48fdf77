# This is the agent's image if an image registry can be reached; set bottle's `dockerfile: images/codex.Dockerfile`.
# Without a registry, images/bootstrap.sh makes a similar image from packages.
FROM node:22-bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl diffutils file git jq less openssh-client patch procps python3 ripgrep unzip xz-utils \
 && rm -rf /var/lib/apt/lists/*
ARG VERSION=latest
RUN npm install --global --no-audit --no-fund @openai/codex@$VERSION && npm cache clean --force
# The user `node` of the base image has uid 1000. The bottle's user with that uid is called agent.
RUN userdel --remove node && useradd --uid 1000 --create-home --shell /bin/bash agent \
 && install -d -o agent -g agent -m 0777 /workspace && install -d /run/bottle \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
USER agent
WORKDIR /workspace
RUN codex --version
