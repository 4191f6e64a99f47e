#!/bin/sh
# fetch-wheels.sh REQUIREMENTS FOLDER: installs pinned wheels into FOLDER, once.
# A finished folder carries a copy of its requirements; another list or Python installs afresh.
set -eu
requirements=$1 folder=$2
python=${PYTHON:-python3}
command -v "$python" >/dev/null || { echo "error: \`$python\` not found: install Python 3.11 or newer" >&2; exit 1; }
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
stamp=$(echo "# for Python $version"; cat "$requirements")
if [ "$stamp" = "$(cat "$folder/.installed" 2>/dev/null)" ]; then exit 0; fi
printf '3.11\n%s\n' "$version" | sort -CV || { echo "error: Python $version is too old: 3.11 or newer is needed; set PYTHON to one" >&2; exit 1; }
"$python" -m pip --version >/dev/null 2>&1 || { echo "error: \`$python -m pip\` does not work: install pip for $python" >&2; exit 1; }
case $(uname -s)-$(uname -m) in
  Linux-x86_64 | Linux-aarch64) ;;
  *) echo "error: the pinned wheels are for Linux on x86_64 or aarch64; this is $(uname -s) on $(uname -m)" >&2; exit 1 ;;
esac
echo "installing $requirements into $folder" >&2
rm -rf "$folder" "$folder.partial"
PIP_ROOT_USER_ACTION=ignore "$python" -m pip install --quiet --disable-pip-version-check --no-compile --no-cache-dir --no-deps \
  --target "$folder.partial" -r "$requirements"
echo "$stamp" > "$folder.partial/.installed"
mv "$folder.partial" "$folder"
