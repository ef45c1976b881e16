#!/bin/sh
# Makes the recording `broken` (`assets/broken.rsv`, what `btrfs-probe demo --broken` replays), in a guest: work of a correct
# btrfs, in which the fault module of `tests/fault` makes four calls go wrong, each of another kind. The module has to be built
# for the guest's kernel (`cargo xtask test --only vm-6.12` does). The offsets are those of the guest's `struct btrfs_inode`. From
# the root of the repository:
#
#   cargo xtask vm --kernel 6.12 --file probe-user/testdata/recordings/broken.sh:/broken.sh \
#       --file target/vm/6.12/fault/btrfs_probe_fault.ko:/fault.ko --collect /broken.rsv -- sh /broken.sh
set -e
insmod /fault.ko vfs_inode=392 lock=12 outstanding_extents=112 csum_bytes=224 flags=256 block_rsv=264 \
    priority_tickets=176 tickets=192 reclaim_size=208 ticket_error=8 ticket_list=16 ticket_wait=32
truncate -s 512M /image
mkfs.btrfs -q -K -U 0b000000-0000-4000-8000-000000000612 -d single -m single /image
cat > /load.sh <<'LOAD'
fault=/sys/module/btrfs_probe_fault/parameters
arm() { echo "$*" > $fault/arm; }
disarm() { cat $fault/arm >&2; echo 1 > $fault/disarm; }
write() { dd if=/dev/zero of=/mnt/$1 bs=64k seek=$2 count=1 conv=notrunc,fsync 2>/dev/null; }
dirty() { dd if=/dev/zero of=/mnt/$1 bs=64k seek=$2 count=1 conv=notrunc 2>/dev/null; }
mount -o loop,nodev,nosuid /image /mnt
mkdir /mnt/db /mnt/log /mnt/spool /mnt/var
for file in db/journal log/messages spool/job var/left var/right; do write $file 0; done
for file in a b c d e f g h; do write var/$file 0; done
sync; sleep 1

# over-release: btrfs_delalloc_release_extents() runs twice at the end of one write.
dirty db/journal 16
exec 7<> /mnt/db/journal
arm func=btrfs_delalloc_release_extents action=double nth=1 fd=7
dirty db/journal 32
disarm
exec 7>&-
sleep 1

# leak: an ordered extent ends without btrfs_delalloc_release_metadata().
exec 7<> /mnt/log/messages
arm func=btrfs_delalloc_release_metadata action=skip nth=1 caller=btrfs_remove_ordered_extent fd=7
write log/messages 16
disarm
exec 7>&-
sleep 1

# error-path-leak: no space for metadata, and the data that was reserved for the same write is not given back.
for at in 1 2 3 4; do dirty var/a $((at * 16)); done
exec 7<> /mnt/spool/job
arm func=btrfs_reserve_metadata_bytes action=skip ret=-28 enospc nth=1 caller=btrfs_delalloc_reserve_metadata comm=dd
arm func=btrfs_free_reserved_data_space action=skip nth=1 fd=7
dirty spool/job 16 || true
disarm
exec 7>&-
sleep 1

# wrong-owner: a write to one inode gives its extent back to another.
exec 7<> /mnt/var/left 8<> /mnt/var/right
dirty var/left 16
dirty var/right 16
arm func=btrfs_delalloc_release_extents action=swap nth=1 fd=7 other=8
dirty var/left 32
disarm
exec 7>&- 8>&-
sleep 1

rm -r /mnt/spool /mnt/log
sync
umount /mnt
LOAD
btrfs-probe record --tier functions -o /broken.rsv -- sh /load.sh
