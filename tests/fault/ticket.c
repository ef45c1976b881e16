// SPDX-License-Identifier: GPL-2.0
/*
 * Wrong grants: btrfs_try_granting_tickets(fs_info, space_info) of both kernels, which its callers call under
 * space_info->lock. The first ticket that waits is the one that it comes to first.
 */
#include <linux/list.h>
#include <linux/wait.h>

#include "fault.h"

uint fault_priority_tickets, fault_tickets, fault_reclaim_size, fault_ticket_error, fault_ticket_list, fault_ticket_wait;

static struct list_head *first(void *space)
{
	struct list_head *priority = space + fault_priority_tickets, *tickets = space + fault_tickets;

	if (!list_empty(priority))
		return priority->next;
	return list_empty(tickets) ? NULL : tickets->next;
}

int fault_ticket_prepare(void)
{
	return fault_tickets && fault_ticket_list ? 0 : -EOPNOTSUPP;
}

bool fault_ticket_waits(u64 space)
{
	return first((void *)space);
}
NOKPROBE_SYMBOL(fault_ticket_waits);

/* One ticket only: the first that the function comes to, or for what happens after the grant, the first that it grants. */
static bool only(struct fault *fault)
{
	return !atomic_cmpxchg(&fault->done, 0, 1);
}

/* Bytes begin a ticket. */
u64 fault_ticket(struct fault *fault, struct fault_args *args)
{
	void *space = (void *)args->v[1];
	u64 *reclaim = space + fault_reclaim_size;
	struct list_head *list = first(space);
	u64 *bytes, asked, result;
	int *error;
	bool granted;

	if (!list)
		return fault_call(fault, args);
	bytes = (void *)list - fault_ticket_list;
	error = (void *)bytes + fault_ticket_error;
	asked = *bytes;
	if (fault->how == HOW_BYTES && only(fault)) {
		*bytes += (s64)fault->by;
		*reclaim += (s64)fault->by;
	} else if (fault->how == HOW_FAILED && only(fault)) {
		*error = fault->ret;
	} else if (fault->how == HOW_DROP && only(fault)) {
		list_del_init(list);
		*reclaim -= asked;
		*bytes = 0;
		wake_up((wait_queue_head_t *)((void *)bytes + fault_ticket_wait));
	}
	result = fault_call(fault, args);
	/* Its owner cannot go on without the lock. */
	granted = !*bytes && list_empty(list);
	if (fault->how == HOW_FAIL && granted && only(fault)) {
		*error = fault->ret;
	} else if (fault->how == HOW_TWICE && granted && only(fault)) {
		*bytes = asked;
		*reclaim += asked;
		list_add(list, space + fault_tickets);
		fault_call(fault, args);
	}
	return result;
}
