#!/bin/bash
# root.sh DIRECTORY: makes a root folder of Debian trixie, whose systemd is 257 (80 MB, half a minute; nothing is configured
# and no maintainer script runs), with what any Node needs. One that is there already is kept. Needs root and the package
# mmdebstrap.
set -eu
directory=$1
mkdir -p "$(dirname "$directory")"
# Tests may ask for it side by side.
exec 9>"$directory.lock"
flock 9
[ ! -e "$directory/etc/os-release" ] || exit 0
# Where this machine is a Debian itself, from where it has its packages; else from Debian's own servers.
mirror=
if grep -q '^ID=debian$' /etc/os-release; then
  mirror=$(apt-get indextargets --format '$(SITE)' | grep -v security | head -1)
fi
making=$(mktemp -d "$directory.XXXXXX")
trap 'rm -rf "$making"' EXIT
mmdebstrap --quiet --variant=extract --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' --include=systemd,libsystemd-shared,bash,coreutils,util-linux,dash \
  --include=libc-bin,base-files,libpam-modules,libstdc++6,libatomic1 trixie "$making" ${mirror:+"$mirror"}
mkdir -p "$making/srv"
mv -T "$making" "$directory"
