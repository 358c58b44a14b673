#!/usr/bin/env bash
# Install the package and run its fast tests on every Python from 3.10 to 3.13 that is there, each in
# a temporary environment. Interpreters come from pyenv, or from the search path (python3.10, ...).
#
#   bash tests/packaging/every_python.sh [3.10 3.12]
set -uo pipefail
cd "$(dirname "$0")/../.."
versions=("$@")
[ ${#versions[@]} -gt 0 ] || versions=(3.10 3.11 3.12 3.13)
failed=()
for version in "${versions[@]}"; do
    python=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python 2> /dev/null | tail -1)
    python=${python:-$(command -v "python$version" || true)}
    if [ -z "$python" ]; then
        echo "Python $version: not installed here"
        continue
    fi
    folder=$(mktemp -d)
    echo "Python $version: $python"
    "$python" -m venv "$folder/venv" \
        && "$folder/venv/bin/python" -m pip install --quiet --constraint constraints.txt '.[test]' \
        && "$folder/venv/bin/python" -m pytest -m "not slow" -p no:cacheprovider \
        || failed+=("$version")
    rm -rf "$folder"
done
[ ${#failed[@]} -eq 0 ] || { echo "failed on: ${failed[*]}" >&2; exit 1; }
