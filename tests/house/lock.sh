#!/bin/sh
# Write requirements/*.txt from pyproject.toml: newest versions, every file with its hashes, no index and no host named.
# Options go to uv, e.g. `--upgrade` or `--upgrade-package numpy`; without one, what is locked stays.
set -eu
cd "$(dirname "$0")/../.."

uv=${UV:-uv}
command -v "$uv" >/dev/null || {
    echo "lock: uv is needed (pip install uv, or name it: make lock UV=/path/to/uv)" >&2
    exit 2
}

compile() {
    out=requirements/$1.txt
    shift
    "$uv" pip compile --quiet pyproject.toml "$@" --output-file "$out" --universal --python-version 3.11 \
        --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links
}

mkdir -p requirements
compile dev --all-extras --group dev "$@"
# The others hold the same versions as what is tested.
compile all --all-extras --constraint requirements/dev.txt
compile agent --extra agent --constraint requirements/dev.txt
compile collector --extra collector --constraint requirements/dev.txt
# The tools alone: nothing of the project's own.
for group in build audit; do
    "$uv" pip compile --quiet --group $group --output-file requirements/$group.txt --universal --python-version 3.11 \
        --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --constraint requirements/dev.txt
done

if grep -nE '://|^-' requirements/*.txt; then
    echo "lock: a lock names an index, a host or an option" >&2
    exit 1
fi
