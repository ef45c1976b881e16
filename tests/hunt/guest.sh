# SPDX-License-Identifier: GPL-2.0
# One boot: each line "ID STEP LOAD QUOTA RACE SIZE FAULT..." of /plan is one injection, on a filesystem whose UUID ends in ID.
# STEP is `fault`, of which FAULT has the lines for the fault module, separated by `;`; or `census`, which fails nothing and counts the calls of the
# functions FAULT, each with more words for the module behind a comma; or one of the steps in /hunt.sh that are no function.
# Runs below btrfs-probe, so that the tool attaches once: faults are armed after it.
. /loads.sh; . /hunt.sh
P=/sys/module/btrfs_probe_fault/parameters
M=/tmp/m S=/tmp/m/s
# Seconds for one load, and for one unmount.
PATIENCE=40
mkdir -p $M /img /out; cd /tmp
mount -t tmpfs -o size=1200M img /img

# stuck PID: true if it is still there after $PATIENCE and a task of the kernel's does not wake up; that is told. What only waits for
# something that will not come is ended.
stuck() {
	i=0
	while [ $i -lt $((PATIENCE * 10)) ]; do
		kill -0 $1 2>/dev/null || return 1
		usleep 100000; i=$((i+1))
	done
	asleep=n
	for task in /proc/[0-9]*/task/*; do
		[ "$(cut -d' ' -f3 $task/stat)" = D ] && { asleep=y; echo "== $(cat $task/comm)"; cat $task/stack; }
	done 2>/dev/null
	[ $asleep = y ] && return 0
	kill -KILL $1
	for program in timeout btrfs io dd; do killall -KILL $program 2>/dev/null; done
	sleep 1
	return 1
}

# For the function's error the log has more than a page only when something is wrong.
keep() { dmesg > /out/$id.dmesg; }

while read -r id step load quota race size fault; do
	[ $(cut -d. -f1 /proc/uptime) -lt $UNTIL ] || { echo "hunt: late"; break; }
	echo "hunt: begin $id"
	racing=
	dmesg -c > /dev/null
	truncate -s ${size}M /img/fs
	mkfs.btrfs -q -U 00000000-0000-4000-8000-$(printf %012d $id) /img/fs >/dev/null 2>&1 || { echo "hunt: end $id no mkfs"; continue; }
	mount -o loop /img/fs $M || { echo "hunt: end $id no mount"; continue; }
	[ $quota = q ] && btrfs quota enable $M
	btrfs subvolume create $S >/dev/null
	sync
	type setup_$load >/dev/null 2>&1 && setup_$load >/dev/null 2>&1
	# Again, and cold: tree blocks have to be read then.
	umount $M; mount -o loop /img/fs $M || { echo "hunt: end $id no mount"; continue; }
	# Some loads have a third task of their own.
	if [ $race = r ] && ! type ${load}_c >/dev/null 2>&1; then touch /tmp/racing; race >/dev/null 2>&1 & racing=$!; fi
	if [ $step = fault ]; then
		IFS=';'; set -- $fault; unset IFS
		armed=y; for line; do echo "$line" > $P/arm || armed=n; done
		[ $armed = y ] || { echo 1 > $P/disarm; echo "hunt: end $id no function"; rm -f /tmp/racing; wait; umount $M; rm /img/*; continue; }
	elif [ $step = census ]; then
		# Which functions the load calls from where; a function that this kernel does not have is left out.
		for function in $fault; do echo "func=$function action=count btrfs" | tr , " " > $P/arm; done 2>/dev/null
	else
		arm_$step >/dev/null 2>&1
	fi
	load_$load >/dev/null 2>&1 &
	if stuck $!; then keep; echo "hunt: end $id stuck in the load"; break; fi
	cat /sys/kernel/debug/btrfs_probe_fault_sites > /out/$id.sites
	echo 1 > $P/disarm
	[ $step = fault ] || [ $step = census ] || disarm_$step >/dev/null 2>&1
	rm -f /tmp/racing
	(
		[ -n "$racing" ] && while kill -0 $racing 2>/dev/null; do usleep 100000; done
		sync; echo 3 > /proc/sys/vm/drop_caches
		# A load may have mounted it on itself.
		for time in 0 1 3; do sleep $time; umount $M; grep -q " $M " /proc/mounts || break; done
	) >/dev/null 2>&1 &
	if stuck $!; then keep; echo "hunt: end $id stuck in the unmount"; break; fi
	keep
	grep -q " $M " /proc/mounts && { echo "hunt: end $id still mounted"; break; }
	# What stands on the device must be right whatever failed, if the device has kept it.
	case $step in
	io|cut|lost) ;;
	*) timeout 20 btrfs check /img/fs > /out/$id.check 2>&1 && rm /out/$id.check ;;
	esac
	rm -f /img/*
	echo "hunt: end $id done"
done < /plan
