#!/bin/bash
# Takes PostgreSQL's regression SQL out of Debian's source package of the newest PostgreSQL that is installed here, into the directory
# corpus. Needs apt-get, tar and bzip2; the machine's own package lists stay as they are.
set -euo pipefail
cd "$(dirname "$0")"
[ -d corpus ] && exit 0

version=$(basename "$(printf '%s\n' /usr/lib/postgresql/* | sort -V | tail -1)")
. /etc/os-release
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{parts,lists/partial,cache/archives/partial,sql}
cat >"$work/parts/source.sources" <<SOURCES
Types: deb-src
URIs: http://deb.debian.org/debian
Suites: $VERSION_CODENAME
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
apt=(apt-get -q -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/parts"
	-o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root)
"${apt[@]}" update
(cd "$work" && "${apt[@]}" source --download-only "postgresql-$version")
tar -xjf "$work"/postgresql-"$version"_*.orig.tar.bz2 -C "$work/sql" --strip-components=1 --wildcards \
	'*/src/test/regress/sql/*.sql' '*/contrib/*/sql/*.sql' '*/src/pl/plpgsql/src/sql/*.sql'
mv "$work/sql" corpus
