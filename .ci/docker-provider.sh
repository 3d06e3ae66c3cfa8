#!/bin/bash
# Runs the tests of pganontest against a PostgreSQL in Docker, through the provider that users get.
#
# It installs Docker from Debian where there is none, starts an engine where none answers, and builds an image of
# PostgreSQL from Debian's packages where the image is missing and the machine is Debian: so it needs no image registry.
# Where no engine can run it says so in a banner, and exits 0; everything else that fails is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
engine=
finish() {
	local status=$?
	if [ -n "$engine" ]; then
		kill "$engine" 2>/dev/null || true
		wait "$engine" 2>/dev/null || true
	fi
	rm -rf --one-file-system "$work"
	exit "$status"
}
trap finish EXIT

banner() {
	echo
	echo '################################################################################'
	printf '##  %s\n' "$@"
	echo '################################################################################'
	echo
}

ensure() {
	local missing=()
	for package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
	done
	if [ ${#missing[@]} -gt 0 ]; then
		apt-get update -q
		DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
	fi
}

if ! docker info >/dev/null 2>&1; then
	command -v dockerd >/dev/null || ensure docker.io
	dockerd >"$work/dockerd.log" 2>&1 &
	engine=$!
	for _ in $(seq 300); do
		docker info >/dev/null 2>&1 && break
		kill -0 "$engine" 2>/dev/null || break
		sleep 0.1
	done
	if ! docker info >/dev/null 2>&1; then
		tail -n 20 "$work/dockerd.log"
		banner 'DOCKER PROVIDER NOT TESTED: no Docker engine can be started on this machine.' \
			'What dockerd said stands above. Nothing is known of the provider "docker" here.'
		exit 0
	fi
fi

# The major version that Debian has.
image=${PGANON_TEST_IMAGE:-}
if [ -z "$image" ]; then
	apt-cache show postgresql >/dev/null 2>&1 || apt-get update -q
	major=$(apt-cache show postgresql | sed -n 's/^Version: \([0-9]*\).*/\1/p' | head -n 1)
	image=postgres:$major
fi

if ! docker image inspect "$image" >/dev/null 2>&1; then
	ensure debootstrap
	# The mirror and the suite are the machine's own.
	read -r mirror suite < <(apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(ORIGIN) $(COMPONENT)' 'Created-By: Packages' |
		awk '$3 == "Debian" && $4 == "main" && $2 !~ /-/ { print $1, $2; exit }')
	echo "building $image from the packages of Debian $suite"
	root=$work/root
	debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$work/debootstrap.log" 2>&1 || {
		tail -n 20 "$work/debootstrap.log"
		exit 1
	}
	# The package would make and start a cluster of its own.
	mkdir -p "$root/etc/postgresql-common"
	echo 'create_main_cluster = false' >"$root/etc/postgresql-common/createcluster.conf"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
	DEBIAN_FRONTEND=noninteractive chroot "$root" apt-get install -q -y --no-install-recommends "postgresql-${image##*:}" >"$work/install.log" 2>&1 || {
		tail -n 20 "$work/install.log"
		exit 1
	}
	install -m 0755 pganontest/testdata/docker-entrypoint.sh "$root/usr/local/bin/docker-entrypoint.sh"
	tar -C "$root" --exclude=./var/cache/apt/archives/*.deb --exclude=./var/lib/apt/lists/* -c . |
		docker import \
			--change 'ENTRYPOINT ["docker-entrypoint.sh"]' --change 'CMD ["postgres"]' \
			--change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PGDATA=/var/lib/postgresql/data' \
			--change 'EXPOSE 5432' --change 'VOLUME /var/lib/postgresql/data' \
			- "$image" >/dev/null
fi

PGANON_TEST_PROVIDER=docker PGANON_TEST_IMAGE=$image go test -count=1 ./pganontest

# The tests have ended, and so must their containers.
for _ in $(seq 100); do
	left=$(docker ps -aq --filter label=pganontest)
	[ -z "$left" ] && break
	sleep 0.1
done
if [ -n "$left" ]; then
	docker ps -a --filter label=pganontest
	echo 'containers of pganontest are left over'
	exit 1
fi
banner "The provider \"docker\" works: $image on Docker $(docker version --format '{{.Server.Version}}')."
