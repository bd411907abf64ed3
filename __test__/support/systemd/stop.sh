#!/bin/bash
# stop.sh STATE: ends the systemd of boot.sh with everything that runs in it, and removes its cgroups.
set -eu
state=$1
cgroup=$(cat "$state/cgroup")
[ ! -e "$state/pid" ] || kill -KILL "$(cat "$state/pid")" 2>/dev/null || true
for _ in $(seq 500); do
  grep -q 'populated 0' "$cgroup/cgroup.events" && break
  sleep .02
done
find "$cgroup" -depth -type d -exec rmdir {} \;
[ ! -d "$state/cgroup2" ] || umount "$state/cgroup2"
