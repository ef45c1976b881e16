# SPDX-License-Identifier: GPL-2.0
# Loads by name: `setup_NAME` runs before the tool attaches, `load_NAME` under it. The filesystem is at $M, a subvolume at $S.
many() { i=0; while [ $i -lt $1 ]; do "$2" $i; i=$((i+1)); done; }
fill() { dd if=/dev/zero of="$1" bs="$2" count="$3" conv=notrunc 2>/dev/null; }

one_write() { fill $S/f$1 64k 4; }
load_write() { many 10 one_write; sync; many 3 one_write; sync; }

load_write_once() { many 10 one_write; sync; }

load_write_both() { touch $M/x; many 5 one_write; sync; touch $M/y; sync; }

one_small() { echo x > $S/s$1; }
load_small() { many 20 one_small; sync; many 5 one_small; sync; rm $S/s1*; sync; }

one_drop() { fill $S/d$1 4k 20; truncate -s 0 $S/d$1; fill $S/d$1 4k 3; }
load_truncate_dirty() { many 5 one_drop; sync; }

setup_truncate() { fill $S/t 4k 100; fill $S/u 4k 100; sync; }
load_truncate() { truncate -s 100001 $S/t; truncate -s 5001 $S/u; truncate -s 20000 $S/u; sync; truncate -s 0 $S/t; sync; }

one_gone() { fill $S/g$1 4k 20; rm $S/g$1; }
load_unlink_dirty() { many 5 one_gone; fill $S/keep 4k 3; sync; }

setup_unlink() { many 6 one_write; sync; }
load_unlink() { rm $S/f*; sync; sleep 1; sync; }

setup_nocow() { io nocow $S/n; fill $S/n 64k 10; sync; }
load_nocow() { fill $S/n 64k 10; sync; fill $S/n 64k 2; sync; }
setup_nocow_direct() { setup_nocow; }
load_nocow_direct() { io dwrite $S/n 0 262144; io dwrite $S/n 65536 65536; sync; }

# Since 6.15 (and in stable kernels) a direct write of a file with checksums is a buffered one.
setup_direct() { mount -o remount,nodatasum $M; i=0; while [ $i -lt 8 ]; do fill $S/o$i 64k 1; io dwrite $S/d $((i*65536)) 65536; i=$((i+1)); done; sync; }
load_direct() { io dwrite $S/e 0 262144; io dwrite $S/d 0 524288; io dwrite $S/e 262144 65536; sync; }

setup_mmap() { fill $S/m 64k 4; sync; echo 3 > /proc/sys/vm/drop_caches; }
load_mmap() { io mmap $S/m 0 65536; io mmap $S/m 65536 65536; sync; }

load_falloc() { io falloc $S/a 0 1048576; io falloc $S/b 0 65536; io falloc $S/c 0 262144; sync; }
setup_falloc_holes() { io write $S/h 65536 65536; io write $S/h 196608 65536; truncate -s 393216 $S/h; sync; }
load_falloc_holes() { io falloc $S/h 0 393216; sync; }

load_compress() { io compress $S/z; fill $S/z 128k 8; sync; }
load_encoded() { io encoded $S/e 0 131072; io encoded $S/e 131072 131072; sync; }

load_subvolume() { btrfs subvolume create $M/n1; btrfs subvolume create $M/n2; sync; btrfs subvolume delete $M/n1; sync; }
load_snapshot() { fill $S/f 64k 2; btrfs subvolume snapshot $S $M/snap; btrfs subvolume snapshot $S $M/snap2; sync; }

setup_balance() { many 10 one_write; sync; }
load_balance() { btrfs balance start -d $M; sync; }

setup_clone_inline() { echo inline > $S/i; sync; }
load_clone_inline() { touch $S/c $S/d; io clone $S/c 4096 0 $S/i; io clone $S/d 4096 0 $S/i; sync; }

setup_defrag() { i=0; while [ $i -lt 12 ]; do io write $S/fr $((i*8192)) 4096; sync -f $M; io write $S/fr $((i*8192+4096)) 4096; sync -f $M; i=$((i+1)); done; fill $S/fr2 64k 8; io punch $S/fr 16384 16384; sync; }
load_defrag() { btrfs filesystem defragment $S/fr; sync; }

one_name() { touch $S/name$1; }
load_names() { many 30 one_name; sync; rm $S/name1*; sync; many 5 one_name; rm $S/name3; sync; mv $S/name2 $S/new; sync; }
# Dirty data holds META_PREALLOC meanwhile.
load_names_dirty() { many 10 one_write; touch $S/name1; mkdir $S/name2; touch $S/name3; touch $S/name4; sync; }
# The items of new names go before the transaction is committed.
one_short() { touch $S/short$1; rm $S/short$1; }
load_short_names() { mkdir $S/dir; many 5 one_short; rmdir $S/dir; sync; }

load_chunk() { io falloc $M/big 0 $((300<<20)); sync; }

one_fill() { dd if=/dev/zero of=$M/fill$1 bs=1M count=20 2>/dev/null; }
load_full() { many 20 one_fill; rm $M/fill*; many 20 one_fill; rm $M/fill1*; many 8 one_fill; sync; rm $M/fill*; sync; }

setup_squota() { io squota $M; }
load_squota() { fill $S/q 64k 4; io flush $S/q; sleep 1; rm $S/q; sync; sleep 1; sync; }

setup_rewrite() { fill $S/w 64k 4; }
load_rewrite() { fill $S/w 64k 4; fill $S/w 64k 4; sync; }

# Everything, for a kernel without a bug.
setup_all() { setup_truncate; setup_unlink; setup_nocow; setup_direct; setup_mmap; setup_falloc_holes; setup_clone_inline; setup_defrag; }
load_all() {
	load_write; load_small; load_truncate_dirty; load_truncate; load_unlink_dirty; load_nocow; load_nocow_direct
	load_direct; load_mmap; load_falloc; load_falloc_holes; load_compress; load_encoded; load_clone_inline
	load_defrag; load_names; load_short_names; load_rewrite; load_snapshot; load_subvolume; load_unlink; load_balance
}
