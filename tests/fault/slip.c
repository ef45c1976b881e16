// SPDX-License-Identifier: GPL-2.0
/*
 * Counters that change, and nobody is told.
 */
#include <linux/fs.h>
#include <linux/spinlock.h>

#include "fault.h"

/*
 * outstanding_extents of an inode changes and nobody is told: under the inode's lock, as all changes are, but without
 * the event that belongs to each.
 */
int fault_slip_prepare(void)
{
	return fault_lock && fault_outstanding ? 0 : -EOPNOTSUPP;
}

void fault_slip(const struct fault *fault, u64 arg)
{
	void *inode = (void *)fault_inode(fault, arg) - fault_vfs_inode;
	u32 *outstanding = inode + fault_outstanding;
	spinlock_t *lock = inode + fault_lock;

	spin_lock(lock);
	*outstanding += fault->by;
	spin_unlock(lock);
}

/* A u64 in the struct that the argument points to. */
void fault_poke(const struct fault *fault, u64 arg)
{
	*(u64 *)(arg + fault->offset) += (s64)fault->by;
}
