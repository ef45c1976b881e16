// SPDX-License-Identifier: GPL-2.0
/*
 * A reservation that is visible before it is made, as btrfs did it in 2012: outstanding_extents and csum_bytes of the
 * inode count it, a release on the same inode computes its share from them, and then the reservation fails.
 *
 * It happens within btrfs_delalloc_reserve_metadata(inode, num_bytes, disk_num_bytes, noflush), whose arguments a fault
 * `remember` keeps, in place of the call that reserves there (btrfs_reserve_metadata_bytes): so it is btrfs itself that
 * is seen to be called, to calculate, and to fail.
 */
#include <linux/fs.h>
#include <linux/spinlock.h>

#include "fault.h"

#define MAX_EXTENT_SIZE (128ULL << 20)
#define INODE_NODATASUM 1

static void (*calculate)(void *fs_info, void *inode);
static u64 (*rsv_release)(void *fs_info, void *rsv, u64 bytes, u64 *qgroup);

int fault_publish_prepare(void)
{
	calculate = (void *)fault_symbol("btrfs_calculate_inode_block_rsv_size");
	rsv_release = (void *)fault_symbol("btrfs_block_rsv_release");
	return calculate && rsv_release && fault_lock && fault_outstanding && fault_csum && fault_rsv ? 0 : -EOPNOTSUPP;
}

/* As at the publication in btrfs: under the inode's lock, with its event, the size of the reserve following. */
static u64 change(void *inode, int extents, s64 csum_bytes)
{
	struct inode *vfs = inode + fault_vfs_inode;
	u32 *outstanding = inode + fault_outstanding;
	u64 *csum = inode + fault_csum, size;
	u32 *flags = inode + fault_flags;
	spinlock_t *lock = inode + fault_lock;
	void *fs_info = vfs->i_sb->s_fs_info;

	spin_lock(lock);
	*outstanding += extents;
	fault_trace("btrfs_inode_mod_outstanding_extents", *(u64 *)inode, vfs->i_ino, extents, *outstanding, 0);
	if (!(*flags & INODE_NODATASUM))
		*csum += csum_bytes;
	calculate(fs_info, inode);
	size = *(u64 *)(inode + fault_rsv);
	spin_unlock(lock);
	return size;
}

u64 fault_publish(struct fault *fault, const struct fault_args *failing)
{
	struct fault_args copy = fault_remembered.args, *args = &copy;
	void *inode = (void *)args->v[0];
	u64 disk_num_bytes = args->v[2];
	int extents = DIV_ROUND_UP_ULL(args->v[1], MAX_EXTENT_SIZE);
	struct inode *vfs = inode + fault_vfs_inode;
	u64 before, with, after, released;

	WRITE_ONCE(fault_remembered.task, NULL);
	before = *(u64 *)(inode + fault_rsv);
	with = change(inode, extents, disk_num_bytes);
	fault_wait(fault);
	fault_event(fault, failing);
	if (fault->undo == UNDO_NONE)
		return fault->ret;
	after = change(inode, -extents, -disk_num_bytes);
	if (fault->undo == UNDO_RELEASE) {
		u64 qgroup, bytes = with - before;

		/* What was published, or all that the size still covers: the reserve itself frees above its size only. */
		released = rsv_release(vfs->i_sb->s_fs_info, inode + fault_rsv, min(bytes, after), &qgroup);
		if (released)
			fault_trace("btrfs_space_reservation", (u64)vfs->i_sb->s_fs_info, (u64)"delalloc", vfs->i_ino,
				    released, 0);
	}
	return fault->ret;
}
