# SPDX-License-Identifier: GPL-2.0
# Runs each line "BUG NTH MAX QUOTA LOAD SIZE" of /bugs on a filesystem of its own, under a recording of its own.
. /loads.sh
P=/sys/module/btrfs/parameters
M=/tmp/m S=/tmp/m/s
rmmod btrfs; insmod /btrfs.ko || exit 1
mkdir -p $M /out; cd /tmp
while read -r bug nth max quota load size; do
	truncate -s ${size}M img; mkfs.btrfs -q img >/dev/null 2>&1 || { echo mkfs; continue; }
	mount -o loop img $M || { echo mount; continue; }
	[ $quota = q ] && btrfs quota enable $M
	btrfs subvolume create $S >/dev/null
	sync
	type setup_$load >/dev/null 2>&1 && setup_$load >/dev/null 2>&1
	cat > work.sh <<W
. /loads.sh
M=$M S=$S
cd /tmp
echo $nth > $P/broken_nth; echo $max > $P/broken_max; echo $bug > $P/broken
load_$load
echo 3 > /proc/sys/vm/drop_caches
sync
sleep 1
umount \$M || { sleep 2; umount \$M; }
W
	dmesg -c > /dev/null
	timeout -s KILL 200 btrfs-probe record --tier functions -o /out/$bug.rsv -- sh work.sh > /out/$bug.log 2>&1
	rc=$?
	[ $bug = none ] || cat $P/broken_hits > /out/$bug.hits
	echo none > $P/broken
	dmesg | grep -v 'loop\|BTRFS info' | head -60 > /out/$bug.dmesg
	echo "$bug: status $rc, $(head -n 1 /out/$bug.hits 2>/dev/null)"
	umount $M 2>/dev/null
	grep -q " $M " /proc/mounts && { echo "$bug: still mounted"; umount -l $M; }
	rm -f img
done < /bugs
