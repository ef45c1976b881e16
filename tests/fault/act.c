// SPDX-License-Identifier: GPL-2.0
/*
 * What happens at a call. The handler of the kprobe decides, with preemption off, and must not wait: where there is
 * something to do it sends the call to a function of ours in its place, which has the caller's arguments, return
 * address and context, and may do what the real function may do.
 *
 * A handler that changes the address ends the list of handlers of this call: probes that were there before ours do
 * not see it. They see what our function then calls: nothing for a call that is skipped, as if it had been forgotten;
 * two calls for one that is doubled. So a fault has to be armed after the observer came, or the observer sees one
 * call, from outside, that did nothing or did it twice.
 */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/version.h>

#include "fault.h"

struct fault faults[FAULTS];
atomic_t fault_go = ATOMIC_INIT(0);
struct fault_remembered fault_remembered;

/* The next entry of this task into the function is our own call of it. */
bool fault_pass(struct fault *fault)
{
	int i;

	for (i = 0; i < PASSES; i++)
		if (!cmpxchg(&fault->passes[i], NULL, current))
			return true;
	return false;
}

static bool pass_take(struct fault *fault)
{
	int i;

	for (i = 0; i < PASSES; i++)
		if (READ_ONCE(fault->passes[i]) == current) {
			WRITE_ONCE(fault->passes[i], NULL);
			return true;
		}
	return false;
}

/* The real function, from its entry, so that every other probe sees it. */
u64 fault_call(struct fault *fault, const struct fault_args *args)
{
	fault_fn fn = (fault_fn)fault->probe.addr;

	while (!fault_pass(fault))
		cpu_relax();
	return fn(args->v[0], args->v[1], args->v[2], args->v[3], args->v[4], args->v[5]);
}

void fault_wait(struct fault *fault)
{
	u64 end = local_clock() + (u64)fault->us * NSEC_PER_USEC;

	atomic_inc(&fault->holding);
	while (local_clock() < end) {
		if (fault->hold && atomic_read(&fault_go))
			break;
		if (fault->sleep)
			usleep_range(100, 200);
		else
			udelay(2);
	}
	atomic_dec(&fault->holding);
}

/*
 * btrfs_reserve_metadata_bytes(fs_info, _, bytes, _), or (space_info, bytes, _) of new kernels, found no space;
 * 4: BTRFS_BLOCK_GROUP_METADATA.
 */
void fault_event(const struct fault *fault, const struct fault_args *args)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 0, 0)
	bool old = false;
#else
	bool old = true;
#endif
	if (!fault->enospc)
		return;
	if (old)
		fault_trace("btrfs_space_reservation", args->v[0], (u64)"space_info:enospc", 4, args->v[2], 1);
	else
		/* A space_info begins with its fs_info. */
		fault_trace("btrfs_space_reservation", *(u64 *)args->v[0], (u64)"space_info:enospc", 4, args->v[1], 1);
}

static u64 act(struct fault *fault, struct fault_args *args)
{
	u64 result = fault->ret;

	switch (fault->action) {
	case ACTION_SKIP:
		fault_event(fault, args);
		break;
	case ACTION_FAIL:
		fault_call(fault, args);
		break;
	case ACTION_DOUBLE:
		result = fault_call(fault, args);
		fault_call(fault, args);
		break;
	case ACTION_DELAY:
		if (fault->at & WAIT_ENTRY)
			fault_wait(fault);
		result = fault_call(fault, args);
		if (fault->at & WAIT_RETURN)
			fault_wait(fault);
		break;
	case ACTION_SWAP:
		args->v[fault->inode_arg] = (u64)fault->other - (fault->vfs ? 0 : fault_vfs_inode);
		result = fault_call(fault, args);
		break;
	case ACTION_PUBLISH:
		result = fault_publish(fault, args);
		break;
	case ACTION_SLIP:
		fault_slip(fault, args->v[fault->inode_arg]);
		result = fault_call(fault, args);
		break;
	case ACTION_POKE:
		fault_poke(fault, args->v[fault->inode_arg]);
		result = fault_call(fault, args);
		break;
	case ACTION_TICKET:
		result = fault_ticket(fault, args);
		break;
	case ACTION_REMEMBER:
	case ACTION_COUNT:
	case ACTION_STALL:
		break;
	}
	atomic_dec(&fault->inside);
	return result;
}

/* One function for each slot: its address is all that the handler can pass on. */
#define STAND_IN(n)                                                                                                    \
	static noinline u64 stand_in_##n(u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)                                     \
	{                                                                                                              \
		struct fault_args args = { { a, b, c, d, e, f } };                                                     \
		return act(&faults[n], &args);                                                                         \
	}
FAULT_ALL(STAND_IN)
#define ENTRY(n) [n] = stand_in_##n,
static u64 (*const stand_ins[FAULTS])(u64, u64, u64, u64, u64, u64) = { FAULT_ALL(ENTRY) };

static bool matches(const struct fault *fault, unsigned long from, const struct fault_args *args)
{
	if (fault->tgid && current->tgid != fault->tgid)
		return false;
	if (fault->comm[0] && strncmp(current->comm, fault->comm, sizeof(fault->comm)))
		return false;
	if (fault->action == ACTION_PUBLISH && READ_ONCE(fault_remembered.task) != current)
		return false;
	if (fault->action == ACTION_TICKET && (atomic_read(&fault->done) || !fault_ticket_waits(args->v[1])))
		return false;
	if (fault->clear_arg >= 0 && (args->v[fault->clear_arg] & fault->clear))
		return false;
	if (fault->set_arg >= 0 && (args->v[fault->set_arg] & fault->set) != fault->set)
		return false;
	if (fault->value_arg >= 0 && args->v[fault->value_arg] != fault->value)
		return false;
	if (fault->inode_arg >= 0) {
		const struct inode *inode = fault_inode(fault, args->v[fault->inode_arg]);

		if (fault->target && inode != fault->target)
			return false;
		/* An inode of that number may have come where another was. */
		if (fault->ino && inode->i_ino != fault->ino)
			return false;
	}
	if (fault->caller_from && (from < fault->caller_from || from >= fault->caller_to))
		return false;
	if (fault->within && !within_module(from, fault->within))
		return false;
	return true;
}

/* The call goes to a function of ours, which runs behind what fentry left (see `fault_init()`). */
static int redirect(const struct kprobe *probe, struct pt_regs *regs, unsigned long to)
{
	fault_go_to(probe, regs, to);
	return 1;
}
NOKPROBE_SYMBOL(redirect);

int fault_pre_handler(struct kprobe *probe, struct pt_regs *regs)
{
	struct fault *fault = container_of(probe, struct fault, probe);
	struct fault_args args = { FAULT_ARGUMENTS(regs) };
	FAULT_WHERE(where, regs);
	unsigned long from = fault_return(where);
	struct fault_site *site;
	u64 number, past;

	if (!READ_ONCE(fault->armed) || !in_task())
		return 0;
	if (pass_take(fault))
		return 0;
	if (!matches(fault, from, &args))
		return 0;
	site = fault_site(fault, from);
	if (site)
		atomic_inc(&site->matched);
	number = atomic64_inc_return(&fault->matched);
	if (number < fault->first)
		return 0;
	past = number - fault->first;
	if (past % fault->every)
		return 0;
	if (fault->times && past / fault->every >= fault->times)
		return 0;
	if (fault->action == ACTION_STALL) {
		/* Only there it can be told whether it may sleep: probes themselves switch preemption off. */
		atomic_inc(&fault->inside);
		return redirect(probe, regs, (unsigned long)fault_stalls[fault - faults]);
	}
	atomic64_inc(&fault->acted);
	if (site)
		atomic_inc(&site->acted);
	if (fault->action == ACTION_COUNT)
		return 0;
	if (fault->action == ACTION_REMEMBER) {
		fault_remembered.args = args;
		smp_store_release(&fault_remembered.task, current);
		return 0;
	}
	atomic_inc(&fault->inside);
	return redirect(probe, regs, (unsigned long)stand_ins[fault - faults]);
}
NOKPROBE_SYMBOL(fault_pre_handler);
