#!/usr/bin/env bash
# Makes the environment in .venv, finds or fetches a Java, fetches the jars. Done already: returns at once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly UV_VERSION=0.13.9
readonly UV_OLDEST=0.5
readonly ENVIRONMENT_STAMP=.venv/.headrace-requirements
readonly STAMP=.tools/bootstrapped
readonly PYTHON=.venv/bin/python
# Trust what the machine trusts, as pip and Java do: a company's own index or proxy may have its own authority.
export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}

fail() {
    echo "$*" >&2
    exit 1
}

fingerprint() {
    sha256sum "$@" | sha256sum | cut -d ' ' -f 1
}

at_least() { # at_least FOUND WANTED
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

has_uv() {
    local version
    version=$("$1" --version 2>/dev/null | cut -d ' ' -f 2) && [ -n "$version" ] && at_least "$version" "$UV_OLDEST"
}

find_or_install_uv() {
    UV=.tools/uv/bin/uv
    has_uv "$UV" && return
    echo "Installing uv $UV_VERSION into .tools/uv"
    rm -rf .tools/uv
    if python3 -m venv .tools/uv >/dev/null 2>&1 &&
        .tools/uv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"; then
        return
    fi
    UV=$(command -v uv || true)
    [ -n "$UV" ] && has_uv "$UV" && return
    fail "uv could not be installed: a python3 with its venv module (Debian: apt install python3-venv) and a package index are needed."
}

make_environment() {
    local wanted
    wanted=$(fingerprint requirements/all.txt pyproject.toml)
    if [ -x "$PYTHON" ] && [ "$(cat "$ENVIRONMENT_STAMP" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    find_or_install_uv
    if ! "$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
        echo "Making .venv with Python 3.11; its packages are about 2 GB to download"
        "$UV" venv --quiet --clear --python 3.11 .venv ||
            fail "No Python 3.11 was found and uv could not fetch one: install Python 3.11."
    fi
    echo "Installing the $(grep -c == requirements/all.txt) packages of requirements/all.txt into .venv"
    UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-180} "$UV" pip install --python "$PYTHON" -r requirements/all.txt
    "$UV" pip install --quiet --python "$PYTHON" --no-deps -e .
    echo "$wanted" >"$ENVIRONMENT_STAMP"
}

main() {
    local wanted java
    wanted="$(fingerprint requirements/all.txt pyproject.toml infra/local/ivy.xml infra/bootstrap.sh) ${JAVA_HOME:-} ${HEADRACE_JARS:-}"
    java=$(cat .tools/java_home 2>/dev/null || true)
    if [ "$(cat "$STAMP" 2>/dev/null)" = "$wanted" ] && [ -x "$PYTHON" ] && [ -x "$java/bin/java" ]; then
        return
    fi
    mkdir -p .tools
    exec 9>.tools/lock
    if command -v flock >/dev/null; then flock 9; fi # two terminals wait for one another
    make_environment
    "$PYTHON" -m infra.local.java
    "$PYTHON" -m infra.local.jars
    echo "$wanted" >"$STAMP"
}

main
