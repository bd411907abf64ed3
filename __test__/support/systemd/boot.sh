#!/bin/bash
# boot.sh STATE ROOT [NAME=PATH...]: boots a real systemd as PID 1 of namespaces of its own (pid, mount, cgroup, network, ipc, uts).
# Needs root. No unit of this machine runs in it, and nothing of it reaches this machine.
#   STATE  a folder, /run/test inside; STATE/units holds the units. Written to: pid (of PID 1, as seen here), cgroup.
#   ROOT   the root folder of the system whose systemd it is; / for this machine's own.
#   PATH   is seen inside as /srv/NAME, whoever may reach it here. The rest of /srv is empty there, and may be written to.
set -eu
state=$1 root=${2%/}
shift 2
paths="$*"
mkdir -p "$state/units"

# A cgroup of its own. Where no cgroup 2 is mounted, a mount of it that ends with the test.
tree=$(findmnt -n -t cgroup2 -o TARGET | head -1)
if [ -z "$tree" ]; then
  tree=$state/cgroup2
  mkdir "$tree"
  mount -t cgroup2 cgroup2 "$tree"
fi
cgroup=$tree/shellflip.$$
mkdir "$cgroup"
echo "$cgroup" >"$state/cgroup"

# As few units as a system can have: a journal, and a way to end.
unit() { printf '%s\n' '[Unit]' DefaultDependencies=no "${@:2}" >"$state/units/$1"; }
for target in basic sysinit sockets shutdown umount final; do unit $target.target; done
unit exit.target Requires=systemd-exit.service After=systemd-exit.service AllowIsolate=yes
unit systemd-exit.service SuccessAction=exit-force Requires=shutdown.target After=shutdown.target \
  '[Service]' Type=oneshot ExecStart=/bin/true
unit test.target Wants=systemd-journald.service After=systemd-journald.service AllowIsolate=yes
unit systemd-journald.socket IgnoreOnIsolate=yes '[Socket]' ListenStream=/run/systemd/journal/stdout \
  ListenDatagram=/run/systemd/journal/socket SocketMode=0666 PassCredentials=yes ReceiveBuffer=8M
unit systemd-journald.service Requires=systemd-journald.socket After=systemd-journald.socket IgnoreOnIsolate=yes \
  '[Service]' Type=notify ExecStart=/lib/systemd/systemd-journald Sockets=systemd-journald.socket StandardOutput=null \
  FileDescriptorStoreMax=4224

export state root paths
(
  echo $BASHPID >"$cgroup/cgroup.procs"
  exec setsid unshare --mount --pid --fork --cgroup --uts --ipc --net --propagation private --kill-child bash -euc '
    mount -t proc proc "$root/proc"
    [ -z "$root" ] || mount -t sysfs -o ro sysfs "$root/sys"
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"

    dev=$(mktemp -d) run=$(mktemp -d)
    mount -t tmpfs -o mode=755 tmpfs "$dev"
    for name in null zero full random urandom tty; do
      touch "$dev/$name"
      mount --bind "/dev/$name" "$dev/$name"
    done
    touch "$dev/kmsg"
    mount --bind /dev/null "$dev/kmsg"
    mkdir "$dev/pts" "$dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$dev/pts"
    mount -t tmpfs tmpfs "$dev/shm"
    ln -s pts/ptmx "$dev/ptmx"
    ln -s /proc/self/fd "$dev/fd"
    mount --move "$dev" "$root/dev"

    mount -t tmpfs -o mode=755 tmpfs "$run"
    mkdir "$run/systemd" "$run/test"
    mount --bind "$state" "$run/test"
    mount --rbind "$run" "$root/run"
    umount -l "$run"
    rmdir "$dev" "$run"
    mount -t tmpfs tmpfs "$root/var/log"
    tr -d - </proc/sys/kernel/random/uuid >"$root/run/machine-id"
    [ -e "$root/etc/machine-id" ] || touch "$root/etc/machine-id"
    mount --bind "$root/run/machine-id" "$root/etc/machine-id"
    mount -t tmpfs -o mode=755 tmpfs "$root/srv"
    for pair in $paths; do
      path=${pair#*=} there=$root/srv/${pair%%=*}
      if [ -d "$path" ]; then mkdir "$there"; else touch "$there"; fi
      mount --bind "$path" "$there"
    done
    # The settings of the kernel are this machine'"'"'s.
    mount --bind "$root/proc/sys" "$root/proc/sys"
    mount -o remount,bind,ro "$root/proc/sys"
    ip link set lo up
    hostname test
    cd /
    enter=
    if [ -n "$root" ]; then
      mount --rbind "$root" "$root"
      cd "$root"
      enter="chroot $root"
    fi
    exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=test SYSTEMD_UNIT_PATH=/run/test/units \
      SYSTEMD_GENERATOR_PATH=/none SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/none \
      $enter /lib/systemd/systemd --system --unit=test.target --log-target=journal --show-status=no \
      --default-standard-output=journal
  ' >"$state/boot.log" 2>&1 </dev/null
) &
outer=$!

# Its PID 1 is the only child of unshare.
for _ in $(seq 500); do
  kill -0 $outer 2>/dev/null || break
  init=$(cat /proc/$outer/task/$outer/children 2>/dev/null || true)
  if [ -n "$init" ]; then
    echo "${init% }" >"$state/pid"
    nsenter -t ${init% } -m -p -C -u -i -n -r -w systemctl is-active -q test.target 2>/dev/null && exit 0
  fi
  sleep .02
done
echo "systemd did not come up:" >&2
cat "$state/boot.log" >&2
exit 1
