/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the machine decides: where the arguments of a call are at its entry, and its return address. "Where a call is" is an address:
 * on x86-64 that of the return address on the stack; on arm64 that of a pair, the frame pointer and the return address.
 */
#ifndef BTRFS_PROBE_FAULT_MACHINE_H
#define BTRFS_PROBE_FAULT_MACHINE_H

#include <linux/kprobes.h>
#include <linux/ptrace.h>

#if defined(CONFIG_X86_64)

#define FAULT_ARGUMENTS(regs) { (regs)->di, (regs)->si, (regs)->dx, (regs)->cx, (regs)->r8, (regs)->r9 }
/* Declares `where`. */
#define FAULT_WHERE(where, regs) unsigned long *where = (unsigned long *)(regs)->sp

static inline unsigned long fault_from(const unsigned long *where)
{
	return *where;
}

/* By which return probes keep their calls. */
static inline unsigned long fault_frame(const unsigned long *where)
{
	return (unsigned long)where;
}

#define FAULT_TRAMPOLINE "arch_rethook_trampoline"
#define FAULT_FIND "rethook_find_ret_addr"

/*
 * The call goes on there. Where fentry or fexit programs are on the function, ftrace has left their trampoline for later, and that
 * would run them and the real function whatever the address is: they are to see nothing of this call.
 */
static inline void fault_go_to(const struct kprobe *probe, struct pt_regs *regs, unsigned long to)
{
	if (probe->flags & KPROBE_FLAG_FTRACE)
		regs->orig_ax = 0;
	regs->ip = to;
}

#elif defined(CONFIG_ARM64)

#define FAULT_ARGUMENTS(regs)                                                                                          \
	{ (regs)->regs[0], (regs)->regs[1], (regs)->regs[2], (regs)->regs[3], (regs)->regs[4], (regs)->regs[5] }
#define FAULT_WHERE(where, regs) unsigned long where[2] = { (regs)->regs[29], (regs)->regs[30] }

static inline unsigned long fault_from(const unsigned long *where)
{
	return where[1];
}

static inline unsigned long fault_frame(const unsigned long *where)
{
	return where[0];
}

/* 6.12 has no rethook for this machine. */
#define FAULT_TRAMPOLINE "__kretprobe_trampoline"
#define FAULT_FIND "kretprobe_find_ret_addr"

/* The probe is before the instruction that calls fentry. */
static inline void fault_go_to(const struct kprobe *probe, struct pt_regs *regs, unsigned long to)
{
	instruction_pointer_set(regs, to);
}

#else
#error "neither x86-64 nor arm64"
#endif

#endif
