// SPDX-License-Identifier: GPL-2.0
/*
 * btrfs_probe_fault: makes btrfs wrong on demand, so that a test can see whether the observer notices.
 *
 * For throw-away kernels in virtual machines only. It leaks, frees and corrupts accounting, as asked.
 */
#include <linux/debugfs.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "fault.h"

uint fault_vfs_inode, fault_lock, fault_outstanding, fault_csum, fault_flags, fault_rsv;
module_param_named(vfs_inode, fault_vfs_inode, uint, 0644);
MODULE_PARM_DESC(vfs_inode, "offset of btrfs_inode.vfs_inode");
module_param_named(lock, fault_lock, uint, 0644);
MODULE_PARM_DESC(lock, "offset of btrfs_inode.lock");
module_param_named(outstanding_extents, fault_outstanding, uint, 0644);
MODULE_PARM_DESC(outstanding_extents, "offset of btrfs_inode.outstanding_extents");
module_param_named(csum_bytes, fault_csum, uint, 0644);
MODULE_PARM_DESC(csum_bytes, "offset of btrfs_inode.csum_bytes");
module_param_named(flags, fault_flags, uint, 0644);
MODULE_PARM_DESC(flags, "offset of btrfs_inode.flags");
module_param_named(block_rsv, fault_rsv, uint, 0644);
MODULE_PARM_DESC(block_rsv, "offset of btrfs_inode.block_rsv, which begins with its size");

module_param_named(priority_tickets, fault_priority_tickets, uint, 0644);
MODULE_PARM_DESC(priority_tickets, "offset of btrfs_space_info.priority_tickets");
module_param_named(tickets, fault_tickets, uint, 0644);
MODULE_PARM_DESC(tickets, "offset of btrfs_space_info.tickets");
module_param_named(reclaim_size, fault_reclaim_size, uint, 0644);
MODULE_PARM_DESC(reclaim_size, "offset of btrfs_space_info.reclaim_size");
module_param_named(ticket_error, fault_ticket_error, uint, 0644);
MODULE_PARM_DESC(ticket_error, "offset of reserve_ticket.error");
module_param_named(ticket_list, fault_ticket_list, uint, 0644);
MODULE_PARM_DESC(ticket_list, "offset of reserve_ticket.list");
module_param_named(ticket_wait, fault_ticket_wait, uint, 0644);
MODULE_PARM_DESC(ticket_wait, "offset of reserve_ticket.wait");

static int set_arm(const char *value, const struct kernel_param *parameter)
{
	char *line = kstrdup(value, GFP_KERNEL);
	int error;

	if (!line)
		return -ENOMEM;
	error = fault_arm(line);
	kfree(line);
	return error;
}

static int get_arm(char *buffer, const struct kernel_param *parameter)
{
	return fault_show(buffer, PAGE_SIZE);
}

static const struct kernel_param_ops arm_ops = { .set = set_arm, .get = get_arm };
module_param_cb(arm, &arm_ops, NULL, 0600);
MODULE_PARM_DESC(arm, "write: one fault more (see README.md); read: the faults and what they did");

/* Not a parameter, which is a page at most. */
static struct dentry *sites;

static int sites_show(struct seq_file *file, void *unused)
{
	fault_show_sites(file);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(sites);

static int set_disarm(const char *value, const struct kernel_param *parameter)
{
	fault_disarm();
	return 0;
}

static const struct kernel_param_ops disarm_ops = { .set = set_disarm };
module_param_cb(disarm, &disarm_ops, NULL, 0200);
MODULE_PARM_DESC(disarm, "write: no faults any more");

static int set_go(const char *value, const struct kernel_param *parameter)
{
	int number, error = kstrtoint(value, 0, &number);

	if (!error)
		atomic_set(&fault_go, number);
	return error;
}

static const struct kernel_param_ops go_ops = { .set = set_go };
module_param_cb(go, &go_ops, NULL, 0200);
MODULE_PARM_DESC(go, "1 lets go what faults with `hold` hold; 0 makes them hold again");

/*
 * The first kprobe makes the kprobes of all functions known to ftrace, which runs the last known first. So those of fentry, which
 * every function makes known by itself, run before ours, if the observer attaches after this module came.
 */
static struct kprobe first = { .addr = (kprobe_opcode_t *)fault_disarm };

static int __init fault_init(void)
{
	int error = register_kprobe(&first);

	if (error)
		return error;
	fault_returns_prepare();
	sites = debugfs_create_file("btrfs_probe_fault_sites", 0400, NULL, NULL, &sites_fops);
	return 0;
}

static void __exit fault_exit(void)
{
	debugfs_remove(sites);
	fault_disarm();
	unregister_kprobe(&first);
	/* The last instructions of a stand-in run after it has counted itself out. */
	synchronize_rcu_tasks();
}

module_init(fault_init);
module_exit(fault_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Faults in the space accounting of btrfs, for tests in virtual machines");
