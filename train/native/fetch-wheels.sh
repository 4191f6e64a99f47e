#!/bin/sh
# fetch-wheels.sh REQUIREMENTS FOLDER: installs pinned wheels into FOLDER, once.
# A finished folder carries a copy of its requirements; a changed list installs afresh.
set -eu
requirements=$1 folder=$2 stamp=$2/.installed
if cmp -s "$requirements" "$stamp"; then exit 0; fi
python=${PYTHON:-python3}
command -v "$python" >/dev/null || { echo "error: \`$python\` not found: install Python 3.10 or newer" >&2; exit 1; }
"$python" -m pip --version >/dev/null 2>&1 || { echo "error: \`$python -m pip\` does not work: install pip for $python" >&2; exit 1; }
case $(uname -s)-$(uname -m) in
  Linux-x86_64 | Linux-aarch64) ;;
  *) echo "error: the pinned wheels are for Linux on x86_64 or aarch64; this is $(uname -s) on $(uname -m)" >&2; exit 1 ;;
esac
echo "installing $requirements into $folder" >&2
rm -rf "$folder" "$folder.partial"
"$python" -m pip install --quiet --disable-pip-version-check --no-compile --no-cache-dir --root-user-action=ignore --no-deps \
  --target "$folder.partial" -r "$requirements"
cp "$requirements" "$folder.partial/.installed"
mv "$folder.partial" "$folder"
