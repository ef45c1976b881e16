// SPDX-License-Identifier: GPL-2.0
/*
 * Bugs on demand, by parameters of the module:
 *   broken      the name of the bug that acts, or "none"; writing it forgets the hits
 *   broken_nth  act on every n-th call only
 *   broken_max  act that often at most; 0 for no limit
 *   broken_hits what the bug did: calls, hits, bytes, and a line for each hit up to 64
 */
#include <linux/module.h>
#include <linux/spinlock.h>
#include "broken.h"

#define LINES 64

int broken_now;
static unsigned int broken_nth = 1;
static unsigned int broken_max;
module_param(broken_nth, uint, 0644);
module_param(broken_max, uint, 0644);

static DEFINE_SPINLOCK(lock);
static u64 calls, hits;
static s64 total;
static struct {
	u64 root, ino;
	s64 bytes;
} lines[LINES];

static const char * const names[] = {
	"none",
#define BROKEN_NAME(name) #name,
#include "broken-list.h"
#undef BROKEN_NAME
};

noinline bool broken_hit(u64 root, u64 ino, s64 bytes)
{
	unsigned long flags;
	bool act;

	spin_lock_irqsave(&lock, flags);
	act = ++calls % max(broken_nth, 1U) == 0 && (!broken_max || hits < broken_max);
	if (act) {
		if (hits < LINES) {
			lines[hits].root = root;
			lines[hits].ino = ino;
			lines[hits].bytes = bytes;
		}
		hits++;
		total += bytes;
	}
	spin_unlock_irqrestore(&lock, flags);
	return act;
}

static int set(const char *value, const struct kernel_param *param)
{
	int i = sysfs_match_string(names, value);

	if (i < 0)
		return i;
	spin_lock_irq(&lock);
	/* Back to none: what was hit stays to be read. */
	if (i) {
		calls = 0;
		hits = 0;
		total = 0;
	}
	WRITE_ONCE(broken_now, i);
	spin_unlock_irq(&lock);
	return 0;
}

static int get(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%s\n", names[READ_ONCE(broken_now)]);
}

static int get_hits(char *buffer, const struct kernel_param *param)
{
	int at, i;

	spin_lock_irq(&lock);
	at = scnprintf(buffer, PAGE_SIZE, "calls %llu hits %llu bytes %lld\n", calls, hits, total);
	for (i = 0; i < min_t(u64, hits, LINES); i++)
		at += scnprintf(buffer + at, PAGE_SIZE - at, "%llu %llu %lld\n", lines[i].root,
				lines[i].ino, lines[i].bytes);
	spin_unlock_irq(&lock);
	return at;
}

static const struct kernel_param_ops broken_ops = { .set = set, .get = get };
static const struct kernel_param_ops hits_ops = { .get = get_hits };
module_param_cb(broken, &broken_ops, NULL, 0644);
module_param_cb(broken_hits, &hits_ops, NULL, 0444);
