# Sourced by the entry points in this folder. Finds Bun, or gets with npx the version that
# package.json names, and installs the dependencies that bun.lock names. Sets `repository`, `bun`.
# shellcheck shell=bash
set -euo pipefail

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# The version of Bun in a section of package.json, without an operator before it.
bun_version_in() {
  sed -n "/\"$1\"/,/}/s/.*\"bun\": \"[^0-9]*\([^\"]*\)\".*/\1/p" "$repository/package.json"
}

# Whether version $1 is $2 or newer.
is_at_least() {
  [ "$(printf '%s\n%s\n' "$1" "$2" | sort -t . -k 1,1n -k 2,2n -k 3,3n | head -n 1)" = "$2" ]
}

# Whether $1 is a Bun that runs on this machine and is new enough.
is_usable() {
  local version
  version="$("$1" --version 2>/dev/null)" && is_at_least "$version" "$(bun_version_in engines)"
}

# Sets `bun` to the command, a word an element: the installed one, the one on PATH, or npx's.
find_bun() {
  local installed="$repository/node_modules/.bin/bun"
  if is_usable "$installed"; then
    bun=("$installed")
  elif is_usable bun; then
    bun=("$(command -v bun)")
  elif command -v npx >/dev/null; then
    bun=(env npm_config_update_notifier=false
      npx --yes --package "bun@$(bun_version_in devDependencies)" -- bun)
  else
    echo "needs Bun $(bun_version_in engines) or newer (https://bun.com)," \
      "or Node with npm (https://nodejs.org), and found neither on PATH" >&2
    exit 1
  fi
}

find_bun
# The mark is made after an installation that went to its end.
mark="$repository/node_modules/.installed"
if [ ! -e "$mark" ] || [ "$repository/bun.lock" -nt "$mark" ]; then
  echo "Installing dependencies …" >&2
  (cd "$repository" && "${bun[@]}" install --frozen-lockfile >&2)
  touch "$mark"
  find_bun
fi
