/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BTRFS_BROKEN_H
#define BTRFS_BROKEN_H

#include <linux/types.h>

/* One bug at a time, chosen at run time; none by default. */
enum broken_bug {
	BROKEN_none,
#define BROKEN_NAME(name) BROKEN_##name,
#include "broken-list.h"
#undef BROKEN_NAME
};

extern int broken_now;

bool broken_hit(u64 root, u64 ino, s64 bytes);

/*
 * True where bug NAME acts now. BYTES are those that the bug makes wrong: kept
 * where positive, given back too much where negative. ROOT and INO are 0 where
 * the bug has no such owner.
 */
#define BROKEN(name, root, ino, bytes)				\
	(unlikely(READ_ONCE(broken_now) == BROKEN_##name) &&	\
	 broken_hit(root, ino, bytes))
#define BROKEN_INODE(name, inode, bytes)			\
	BROKEN(name, btrfs_root_id((inode)->root), btrfs_ino(inode), bytes)

#endif
