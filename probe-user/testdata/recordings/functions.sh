#!/bin/sh
# Makes the recording `functions`, in a guest: buffered writes, unlink of dirty files, a subvolume at the limit of its
# qgroup, a filesystem that is full, from mount to unmount. From the root of the repository:
#
#   cargo xtask vm --kernel 6.12 --file probe-user/testdata/recordings/functions.sh:/functions.sh \
#       --collect /functions.rsv -- sh /functions.sh
set -e
truncate -s 140M /image
mkfs.btrfs -q -K -U 0f000000-0000-4000-8000-000000000612 -d single -m single /image
cat > /load.sh <<'LOAD'
write() { dd if=/dev/urandom of=$1 bs=$2 count=$3 2>/dev/null || true; }
mount -o loop,nodev,nosuid /image /mnt
for name in a b c; do write /mnt/$name 64k 8; done
write /mnt/inline 100 1
write /mnt/dirty 64k 4
rm /mnt/dirty /mnt/c
btrfs quota enable /mnt
btrfs subvolume create /mnt/limited >/dev/null
btrfs qgroup limit 1M /mnt/limited
write /mnt/limited/over 64k 40
sync
rm -f /mnt/limited/over
write /mnt/full 1M 200
sync
umount /mnt
LOAD
btrfs-probe record --tier functions -o /functions.rsv -- sh /load.sh
