#!/bin/sh
# Resolves the peers anew: package-lock.json and requirements.lock, with hashes and without addresses.
set -eu
cd "$(dirname "$0")"
rm -f package-lock.json
npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund
node -e '
const fs = require("node:fs");
const lock = JSON.parse(fs.readFileSync("package-lock.json"));
for (const each of Object.values(lock.packages)) delete each.funding;
fs.writeFileSync("package-lock.json", JSON.stringify(lock, null, 2) + "\n");
'
../../.venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
    requirements.in -o requirements.lock
