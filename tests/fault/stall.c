// SPDX-License-Identifier: GPL-2.0
/*
 * A call that comes later: the task sleeps at the function's entry, and then runs it as if nothing had been. The way to
 * the function is a jump with the caller's registers and stack, so arguments beyond the sixth are passed on too, and no
 * function of ours is in stacks.
 *
 * Only where the caller may sleep: not below a spinlock, with interrupts or preemption off, in an RCU section, or between
 * the two halves of a wait. There the function runs at once.
 */
#include <linux/delay.h>
#include <linux/linkage.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#ifdef CONFIG_X86_64
#include <asm/ibt.h>
#endif

#include "fault.h"

/* Without a count of what switched preemption off, who holds a spinlock is not known: nothing is late then. */
static bool may_sleep(void)
{
	return IS_ENABLED(CONFIG_PREEMPT_COUNT) && preemptible() && !rcu_preempt_depth() && READ_ONCE(current->__state) == TASK_RUNNING;
}

/* Where the call goes on; `where` it is, see machine.h. */
unsigned long fault_stall(unsigned long slot, unsigned long *where);
unsigned long fault_stall(unsigned long slot, unsigned long *where)
{
	struct fault *fault = &faults[slot];
	unsigned long to = (unsigned long)fault->probe.addr;

	if (may_sleep()) {
		struct fault_site *site = fault_site(fault, fault_return(where));

		atomic64_inc(&fault->acted);
		if (site)
			atomic_inc(&site->acted);
		usleep_range(fault->us, fault->us + fault->us / 4 + 1);
	}
	while (!fault_pass(fault))
		cpu_relax();
	atomic_dec(&fault->inside);
	return to;
}

/* One entry for each slot: its address is all that the handler can pass on. */
#ifdef CONFIG_X86_64
#if defined(CONFIG_MITIGATION_RETPOLINE) || defined(CONFIG_RETPOLINE)
#define JUMP "jmp __x86_indirect_thunk_r11\n"
#else
#define JUMP "jmp *%r11\n\tint3\n"
#endif
#define ENTRY_OF(n)                                                                                                    \
	extern void fault_stall_##n(void);                                                                             \
	asm(".pushsection .text, \"ax\"\n"                                                                             \
	    ".type fault_stall_" #n ", @function\n"                                                                    \
	    "fault_stall_" #n ":\n\t" ASM_ENDBR                                                                        \
	    "push %rbp\n\tmov %rsp, %rbp\n\t"                                                                          \
	    "push %rdi\n\tpush %rsi\n\tpush %rdx\n\tpush %rcx\n\tpush %r8\n\tpush %r9\n\t"                             \
	    "mov $" #n ", %edi\n\tlea 8(%rbp), %rsi\n\tcall fault_stall\n\tmov %rax, %r11\n\t"                         \
	    "pop %r9\n\tpop %r8\n\tpop %rcx\n\tpop %rdx\n\tpop %rsi\n\tpop %rdi\n\tpop %rbp\n\t"                       \
	    JUMP ".size fault_stall_" #n ", . - fault_stall_" #n "\n"                                                  \
	    ".popsection\n");
#else
/* `hint 34` is `bti c`. A jump by x16 or x17 may go to where a call may. */
#define ENTRY_OF(n)                                                                                                    \
	extern void fault_stall_##n(void);                                                                             \
	asm(".pushsection .text, \"ax\"\n"                                                                             \
	    ".type fault_stall_" #n ", %function\n"                                                                    \
	    "fault_stall_" #n ":\n\thint #34\n\t"                                                                      \
	    "stp x29, x30, [sp, #-96]!\n\tmov x29, sp\n\t"                                                            \
	    "stp x0, x1, [sp, #16]\n\tstp x2, x3, [sp, #32]\n\tstp x4, x5, [sp, #48]\n\tstp x6, x7, [sp, #64]\n\t"    \
	    "str x8, [sp, #80]\n\tmov x0, #" #n "\n\tmov x1, sp\n\tbl fault_stall\n\tmov x16, x0\n\t"                 \
	    "ldp x0, x1, [sp, #16]\n\tldp x2, x3, [sp, #32]\n\tldp x4, x5, [sp, #48]\n\tldp x6, x7, [sp, #64]\n\t"    \
	    "ldr x8, [sp, #80]\n\tldp x29, x30, [sp], #96\n\tbr x16\n"                                               \
	    ".size fault_stall_" #n ", . - fault_stall_" #n "\n"                                                       \
	    ".popsection\n");
#endif
FAULT_ALL(ENTRY_OF)
#define ADDRESS_OF(n) [n] = fault_stall_##n,
void (*const fault_stalls[FAULTS])(void) = { FAULT_ALL(ADDRESS_OF) };
