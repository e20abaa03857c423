#!/usr/bin/env bash
# Pins each role's packages at the versions of requirements/all.txt, so that an image holds only what it needs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

UV=.tools/uv/bin/uv
[ -x "$UV" ] || UV=uv

for role in batch streaming training serving orchestration demo dev; do
    "$UV" pip compile pyproject.toml --extra "$role" --constraint requirements/all.txt --output-file "requirements/$role.txt" \
        --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links --quiet
    echo "requirements/$role.txt: $(grep -c == "requirements/$role.txt") packages"
done

missing=$(grep -vxFf requirements/all.txt requirements/dev.txt || true)
if [ -n "$missing" ]; then
    echo "requirements/all.txt does not pin: ${missing//$'\n'/, }" >&2
    exit 1
fi
