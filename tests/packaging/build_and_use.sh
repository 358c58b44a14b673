#!/usr/bin/env bash
# Build the wheel and the sdist, install each into an empty environment outside the checkout, and
# use it once: the version, help texts, the files of the page, and the fruit in the sample picture.
#
#   bash tests/packaging/build_and_use.sh PYTHON    # a python with `build` installed
set -euo pipefail
python=$(realpath -s "$1")
checkout=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$python" -m build --outdir "$folder/dist" "$checkout"
"$python" -m venv "$folder/empty"
# PyTorch's gigabytes are links to what is installed beside PYTHON: pip finds them there, and
# installs all that they do not bring.
from=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
to=$("$folder/empty/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
for name in torch torch-* torchgen functorch torchvision torchvision-* torchvision.libs nvidia nvidia_* cuda* triton triton-*; do
    for package in "$from"/$name; do
        [ ! -e "$package" ] || cp -al "$package" "$to" 2> /dev/null || cp -a "$package" "$to"
    done
done
cd "$folder"
for package in dist/*.whl dist/*.tar.gz; do
    # The second package finds its dependencies installed already.
    empty/bin/python -m pip install --quiet --no-compile --force-reinstall --no-deps "$package"
    empty/bin/python -m pip install --quiet --no-compile --constraint "$checkout/constraints.txt" "$package"
    where=$(empty/bin/python -c 'import sppdet; print(sppdet.__file__)')
    case "$where" in
        "$folder"/empty/*) ;;
        *) echo "$package: $where is imported instead of the package" >&2; exit 1 ;;
    esac
    empty/bin/sppdet --version
    empty/bin/sppdet train --help > help.txt
    empty/bin/sppdet label --help > help.txt
    diff -r "$checkout/sppdet/serving/static" "$(dirname "$where")/serving/static"
    rm -rf out
    empty/bin/sppdet detect "$checkout/data/sample/fruit.jpg" --output out
    grep --quiet '"label"' out/fruit.json
    echo "$(basename "$package"): installed and used"
done
