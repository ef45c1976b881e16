#!/bin/bash
# What somebody does who meets btrfs-probe for the first time: install it, get an answer, watch unattended, use a container,
# upgrade, remove. Runs as a unit of a fresh Debian with systemd; the packages are in /root/new. A line for each step says
# what, the seconds that it took and the seconds since the start; the last line is `newcomer: ok`.
exec > /dev/ttyS1 2>&1
cd /root || exit
mkdir -p out
export HOME=/root LC_ALL=C.UTF-8

now() { cut -d' ' -f1 /proc/uptime; }
begin=$(now)
number=0
failed=0

fail() {
	failed=1
	echo "FAILED: $*"
}

# step WHAT STATUS COMMAND...: its output is in out/last.
step() {
	local what=$1 wanted=$2 from status
	shift 2
	number=$((number + 1))
	from=$(now)
	"$@" > "out/$number" 2>&1
	status=$?
	ln -sf "$number" out/last
	awk -v what="$what" -v from="$from" -v begin="$begin" -v now="$(now)" \
		'BEGIN { printf "step %-46s %6.1f s  %6.1f s\n", what, now - from, now - begin }'
	if [ "$status" != "$wanted" ]; then
		fail "$what: status $status, not $wanted"
		cat "out/$number"
	fi
}

# has TEXT: the output of the last step has it.
has() {
	grep -qF -- "$1" out/last && return
	fail "the last step does not say: $1"
	cat out/last
}

# soon SECONDS COMMAND...: until it is true.
soon() {
	local tries=$1
	shift
	while [ "$tries" -gt 0 ]; do
		"$@" > /dev/null 2>&1 && return
		sleep 1
		tries=$((tries - 1))
	done
	fail "not within time: $*"
}

load() {
	local i
	for i in 1 2 3 4 5; do dd if=/dev/urandom of="/srv/data/$1$i" bs=1M count=10 status=none; done
	sync
	rm "/srv/data/${1}1"
	sync
}
export -f load

echo "kernel $(uname -r), PID 1 is $(cat /proc/1/comm), $(nproc) processors, /tmp is $(stat -fc %T /tmp)"

step "dpkg -i" 0 dpkg -i new/btrfs-probe.deb
step "btrfs-probe demo --broken" 3 btrfs-probe demo --broken
has "FINDINGS: 4 broken rules"
step "btrfs-probe doctor" 0 btrfs-probe doctor
has "Everything that both tiers need is there"
step "btrfs-probe demo" 0 btrfs-probe demo
has "CLEAN"
if grep -q WARN out/last; then
	fail "the demo warns"
	cat out/last
fi

truncate -s 2G disk
mkfs.btrfs -q disk
mkdir -p /srv/data
mount -o loop disk /srv/data
uuid=$(findmnt -no UUID /srv/data)
step "btrfs-probe run --fs /srv/data -- LOAD" 0 btrfs-probe run --fs /srv/data -- bash -c 'load a'
has "CLEAN"
has "functions"

unit="btrfs-probe-watch@$(systemd-escape --path /srv/data).service"
state=/var/lib/btrfs-probe/srv-data
step "systemd-analyze verify" 0 systemd-analyze verify /usr/lib/systemd/system/btrfs-probe-watch@.service
step "systemctl enable --now" 0 systemctl enable --now "$unit"
soon 120 grep -q '^btrfs_probe_watching 1' "$state/btrfs-probe.prom"
load b
grep -q '^CapBnd:.*000000c400000000' "/proc/$(systemctl show -p MainPID --value "$unit")/status" ||
	fail "the unit has other capabilities than CAP_BPF, CAP_PERFMON and CAP_SYSLOG"
systemctl kill --kill-whom=main --signal=USR1 "$unit"
soon 60 bash -c "ls $state/*.rsv"
step "systemctl stop" 0 systemctl stop "$unit"
step "the verdict in the journal" 0 journalctl --no-pager -t btrfs-probe -u "$unit"
has "CLEAN"
step "btrfs-probe report RECORDING" 0 bash -c "btrfs-probe report $state/*.rsv"
step "the unit by UUID" 0 systemctl start "btrfs-probe-watch@$uuid"
soon 120 grep -q '^btrfs_probe_watching 1' "/var/lib/btrfs-probe/$uuid/btrfs-probe.prom"
step "umount under the unit" 0 umount /srv/data
step "systemctl stop" 0 systemctl stop "btrfs-probe-watch@$uuid"
systemctl is-failed -q "btrfs-probe-watch@$uuid" && fail "the unit failed"
mount -o loop disk /srv/data

mkdir top
step "tar -xzf" 0 tar -xzf new/btrfs-probe.tar.gz --strip-components=1 -C top
step "podman build" 0 bash -c 'cd top && podman build -f share/doc/btrfs-probe/Containerfile -t btrfs-probe .'
pod=(podman run --rm --user 0 --cap-drop=all --cap-add=BPF,PERFMON,SYSLOG --pid=host --security-opt seccomp=unconfined
	--device /dev/kmsg btrfs-probe)
step "podman run: doctor" 0 "${pod[@]}"
has "the tracepoints tier needs is there"
has "kernel.perf_event_paranoid is 3"
(soon 200 grep -q attached out/pod && load c) &
step "podman run: watch" 0 bash -c '"$@" > out/pod 2>&1' sh "${pod[@]}" watch --fs "$uuid" --duration 40s
wait
cp out/pod out/last
has "CLEAN"

step "dpkg -i, a newer version" 0 dpkg -i new/btrfs-probe-newer.deb
step "dpkg --purge" 0 dpkg --purge btrfs-probe
left=$(find /usr /etc -name '*btrfs-probe*' ! -path '*/btrfs-probe-watch@srv-data.service')
[ -z "$left" ] || fail "left behind: $left"

step "rpm -i" 0 rpm -i --nodeps new/btrfs-probe.rpm
step "btrfs-probe --version" 0 btrfs-probe --version
# As after 30 days.
date -s '+31 days' > /dev/null
touch "$state/today.rsv"
step "systemd-tmpfiles --clean" 0 systemd-tmpfiles --clean
[ "$(ls "$state")" = today.rsv ] || fail "after 31 days there is $(ls -m "$state")"
step "rpm -e" 0 rpm -e btrfs-probe
left=$(find /usr /etc -name '*btrfs-probe*' ! -path '*/btrfs-probe-watch@srv-data.service')
[ -z "$left" ] || fail "left behind by rpm: $left"

[ "$failed" = 0 ] && echo "newcomer: ok"
systemctl poweroff
