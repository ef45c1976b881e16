# SPDX-License-Identifier: GPL-2.0
# Loads of the hunt, on top of /loads.sh: each does many small things, so that an injection's load reaches many call sites.
# A step that fails must not end the load: what comes after it meets what the failure left.
setup_data() { setup_truncate; setup_rewrite; setup_unlink; }
load_data() {
	load_write_once; load_small; load_truncate_dirty; load_truncate; load_rewrite; load_unlink_dirty; rm $S/f1 $S/f2 $S/f3; sync
	echo again > $S/s3; truncate -s 2 $S/s4; truncate -s 9000 $S/s4; sync
}

setup_place() { setup_nocow; setup_falloc_holes; setup_mmap; io falloc $S/p 0 262144; sync; }
load_place() {
	load_nocow; io write $S/p 8192 65536; sync; io write $S/p 131072 4096; load_falloc; load_falloc_holes; load_mmap
	io punch $S/h 8192 100000; io zero $S/h 131072 131072; io punch $S/p 0 50000; io zero $S/f9 0 20000; sync
}

# The option of setup_direct() is gone when the filesystem was mounted again.
setup_direct_io() { setup_direct; io nocow $S/n; fill $S/n 64k 10; sync; }
# More than one bio: the ordered extent is split.
load_direct_io() { mount -o remount,nodatasum $M; load_direct; io dwrite $S/e2 0 4194304; io dwrite $S/n 0 262144; io dwrite $S/n 1048576 65536; io dread $S/d 0 262144; io dwrite $S/d 8192 4096; sync; }

setup_kinds() { setup_clone_inline; setup_defrag; fill $S/c1 64k 8; sync; }
load_kinds() {
	load_compress; load_encoded; load_clone_inline; load_defrag
	io clone $S/c2 0 524288 $S/c1; io write $S/c2 65536 16384; io write $S/c1 8192 4096; io clone $S/c3 0 65536 $S/c1; sync
	io clone $S/c3 0 131072 $S/c2; rm $S/c1; sync
}

one_link() { echo x > $S/l$1; ln $S/l$1 $S/ll$1; mv $S/ll$1 $S/lm$1; ln -s target $S/ls$1; mkdir $S/ld$1; mknod $S/lp$1 p; }
setup_tree() { fill $S/f 64k 4; many 3 one_link; sync; }
load_tree() {
	load_names; many 4 one_link; rm -r $S/l?1 $S/l1; chmod 700 $S/l2; touch $S/l2; mv $S/l2 $S/l3; mv -f $S/ls0 $S/ls2; sync
	load_snapshot; load_subvolume
}

setup_log() { many 4 one_link; fill $S/g 64k 4; sync; }
load_log() {
	echo y > $S/k; io fsync $S/k; mv $S/k $S/k2; io fsync $S/k2; fill $S/g 4k 10; io fsync $S/g; ln $S/g $S/g2; io fsync $S/g
	rm $S/l1; io fsync $S; fill $S/big 64k 8; io fsync $S/big; truncate -s 5000 $S/g; io fsync $S/g; io punch $S/big 8192 40000; io fsync $S/big; sync
}

setup_move() { many 4 one_write; many 4 one_small; btrfs subvolume snapshot $S $M/before; fill $S/f0 4k 2; sync; }
load_move() {
	btrfs balance start -d $M; btrfs balance start -m $M
	btrfs subvolume delete $M/before; sync; fill $S/f1 64k 2; sync
}

# What waits for the cleaner waits for ever if the cleaner has given up until the next mount.
setup_more() {
	many 6 one_link; many 4 one_write; btrfs subvolume snapshot $S $M/gone; many 3 one_link; btrfs subvolume create $M/gone2
	fill $S/q 4k 3; btrfs property set $S compression zlib; fill $S/zlib 4k 1; touch $S/lzo; sync
}
load_more() {
	io falloc $S/q 100 70000; truncate -s 300001 $S/q; io zero $S/q 5000 3000; io zero $S/q 70001 100000; io falloc $S/q 290001 100000
	truncate -s 600001 $S/q; io punch $S/q 5000 20000; truncate -s 4100 $S/q; sync
	fill $S/zlib 128k 2; btrfs property set $S/lzo compression lzo; fill $S/lzo 128k 2; sync; cat $S/zlib $S/lzo > /dev/null
	btrfs subvolume delete $M/gone $M/gone2; timeout 3 btrfs subvolume sync $M; sync
	btrfs qgroup create 1/0 $M; btrfs qgroup assign 0/5 1/0 $M; timeout 3 btrfs quota rescan -w $M; btrfs qgroup remove 0/5 1/0 $M; sync
	btrfs filesystem resize -40m $M; btrfs filesystem resize max $M; btrfs scrub start -B $M; sync
	io fsync $S/f1; echo z > $S/k; io fsync $S/k; rm $S/k; io fsync $S/q
}

# Commands that programs use now and then.
setup_rare() { many 3 one_link; many 3 one_write; fill $S/q 4k 8; btrfs subvolume create $M/r1; fill $M/r1/f 64k 2; truncate -s 40m /img/more; sync; }
load_rare() {
	io exchange $S/f0 $S/l1; io exchange $S/l2 $S/ld1; io tmpfile $S $S/named; io xattr $S/f1; io xattr $S; sync
	btrfs filesystem defragment -r -czlib $S; btrfs property set $S ro true; btrfs property set $S ro false; btrfs subvolume set-default $S
	mkdir $S/deep; btrfs subvolume create $S/deep/in; mv $S/deep/in $S/in; rm -r $S/deep; rmdir $S/in; mv $M/r1 $S/r2; sync
	btrfs quota enable $M; fill $S/f2 64k 3; btrfs qgroup create 1/1 $M; btrfs subvolume snapshot -i 1/1 $S $M/rs; btrfs qgroup limit 9m 1/1 $M
	timeout 3 btrfs quota rescan -w $M; btrfs subvolume snapshot -r $S $M/ro; sync; btrfs subvolume delete $M/rs; btrfs qgroup destroy 1/1 $M
	btrfs send $M/ro > /dev/null; btrfs subvolume delete -c $M/ro; btrfs quota disable $M; btrfs quota enable $M; fill $S/f2 64k 2; sync
	loop=$(losetup -f); losetup $loop /img/more && btrfs device add -f $loop $M && fill $S/f3 64k 8 && sync && btrfs device remove $loop $M
	losetup -d $loop; btrfs filesystem label $M hunt; sync
}

# The filesystem is mounted with a log to replay, with a balance to go on with, and with the free space cache of old.
again() { umount $M || { sleep 1; umount $M; }; mount -o loop$1 /img/fs $M; }
setup_mounts() { many 4 one_link; many 3 one_write; fill $S/g 64k 4; sync; }
load_mounts() {
	echo y > $S/k; io fsync $S/k; mv $S/k $S/k2; io fsync $S/k2; fill $S/g 4k 10; ln $S/g $S/g2; io fsync $S/g; rm $S/l1; io xattr $S/l2; io fsync $S
	mkdir $S/dir; echo z > $S/dir/z; io fsync $S/dir/z; io exchange $S/f0 $S/f1; io fsync $S/f0; io punch $S/g 8192 16384; io fsync $S/g
	cp /img/fs /img/copy; umount $M; mv /img/copy /img/fs; mount -o loop /img/fs $M; sync
	again ,clear_cache,space_cache=v1; fill $S/v 64k 6; sync; rm $S/f2; sync; fill $S/v 64k 2; sync
	again ,space_cache=v1; fill $S/w 64k 4; sync; again ,clear_cache,space_cache=v2; fill $S/w 64k 2; sync
	again ,skip_balance; btrfs balance start --full-balance --bg $M; btrfs balance cancel $M; again; fill $S/x 64k 2; sync
}

# Two tasks on one file, one subvolume, one pool of space; a third one where $race is r. Each does what the others undo.
together() {
	"$1_a" & "$1_b" &
	if [ "$race" = r ]; then "$1_c" & fi
	wait
	sync
}
setup_same_inode() { fill $S/i 64k 8; io nocow $S/in; fill $S/in 64k 8; sync; }
same_inode_a() {
	for n in 0 1 2 3; do
		io write $S/i $((n*40000)) 70000; io fsync $S/i; io write $S/in $((n*65536)) 50000; io write $S/i 4096 8192; io mmap $S/i 0 65536
	done
}
same_inode_b() {
	for n in 0 1 2 3; do
		io punch $S/i 8192 50000; io dwrite $S/i 65536 65536; truncate -s $((300000-n*50001)) $S/i; io falloc $S/i 100000 200000
		io dwrite $S/in 0 131072; io punch $S/in 65536 65536; io falloc $S/in 65536 131072
	done
}
same_inode_c() {
	for n in 0 1 2; do
		io zero $S/i 30000 60000; io clone $S/i2 0 131072 $S/i; sync -f $S; io clone $S/i 262144 65536 $S/i2; rm -f $S/i2
		btrfs filesystem defragment $S/i; io mmap $S/in 0 131072
	done
}
load_same_inode() { mount -o remount,nodatasum $M; together same_inode; }

setup_same_subvolume() { many 4 one_link; fill $S/v 64k 4; sync; }
same_subvolume_a() {
	for n in 0 1 2 3; do
		fill $S/v$n 64k 4; mkdir $S/vd$n; mv $S/v$n $S/vd$n/v; ln $S/vd$n/v $S/vl$n; echo x > $S/vs$n; io fsync $S/vs$n; rm -f $S/vl$n
	done
}
same_subvolume_b() {
	for n in 0 1 2; do
		btrfs subvolume snapshot $S $M/same$n; fill $S/v 64k 4; sync -f $S; btrfs subvolume delete $M/same$n; truncate -s 9000 $S/v
	done
}
same_subvolume_c() {
	for n in 0 1 2; do btrfs quota enable $M; fill $S/w$n 64k 4; btrfs qgroup limit 400k $S; fill $S/x$n 64k 8; btrfs quota disable $M; rm -f $S/w$n; done
}
load_same_subvolume() { [ "$quota" = q ] && btrfs qgroup limit 600k $S; together same_subvolume; btrfs qgroup limit none $S; }

# Quotas go and come while data is written and thrown away.
setup_quotas() { fill $S/q 64k 2; sync; }
quotas_a() { for n in 0 1 2; do btrfs quota disable $M; btrfs quota enable $M; usleep 200000; done; }
quotas_b() { for n in 0 1 2 3; do fill $S/q 64k 4; truncate -s 0 $S/q; fill $S/q$n 4k 3; usleep 100000; rm -f $S/q$n; done; }
quotas_c() { for n in 0 1 2; do io dwrite $S/qd 0 262144; io falloc $S/qf 0 131072; rm -f $S/qf; mkdir $S/qm$n; sync -f $S; done; }
load_quotas() { together quotas; }

# Nearly full: reservations wait for each other and are flushed.
setup_same_pool() { io falloc $M/fat 0 $((200<<20)); n=0; while io falloc $M/fat$n 0 $((8<<20)); do n=$((n+1)); done; rm -f $M/fat0; sync; }
same_pool_a() { for n in 0 1 2 3; do fill $S/p$n 256k 6; fill $S/p$n 64k 2; rm -f $S/p$((n-1)); done; }
same_pool_b() { for n in 0 1 2; do io falloc $S/pf 0 $((3<<20)); fill $S/pf 256k 5; io dwrite $S/pd 0 1048576; rm -f $S/pf; sync -f $S; done; }
same_pool_c() { for n in 0 1; do many 20 one_small; btrfs balance start -dlimit=1 -mlimit=1 $M; rm -f $M/fat$((n+1)) $S/s1*; sync -f $S; done; }
load_same_pool() { together same_pool; }

# What a racing task does, in files of its own, until /tmp/racing is gone.
race() {
	while [ -e /tmp/racing ]; do
		fill $S/race 16k 4; io dwrite $S/raced 0 16384; sync -f $M; echo x > $S/racing; rm -f $S/racing; truncate -s 4096 $S/race
		btrfs subvolume snapshot $S $M/racesnap; btrfs subvolume delete $M/racesnap
	done
}

# Steps that are no function: arm_NAME and disarm_NAME.
# The image's tmpfs is full: every write to a block that the image does not have yet fails with an I/O error.
arm_io() { mount -o remount,size=$(($(stat -f -c '(%b-%f)*%S' /img)))  /img; }
disarm_io() { mount -o remount,size=1200M /img; }
# The image is cut: what lies behind cannot be read any more. Data lies there, or metadata too.
arm_cut() { echo 3 > /proc/sys/vm/drop_caches; truncate -s 60m /img/fs; }
disarm_cut() { :; }
arm_lost() { echo 3 > /proc/sys/vm/drop_caches; truncate -s 20m /img/fs; }
disarm_lost() { :; }
arm_limit() { btrfs quota enable $M; btrfs qgroup limit 600k $S; }
disarm_limit() { btrfs qgroup limit none $S; }
arm_full() { i=0; while dd if=/dev/zero of=$M/fill$i bs=1M count=16 2>/dev/null; do i=$((i+1)); done; sync; }
disarm_full() { rm -f $M/fill*; }
# Whatever the load runs at that time is killed, again and again.
killer() { while [ -e /tmp/killing ]; do usleep 20000; for task in io dd btrfs truncate; do killall -KILL $task; done; done; }
arm_kill() { touch /tmp/killing; killer >/dev/null 2>&1 & }
disarm_kill() { rm -f /tmp/killing; sleep 1; }
