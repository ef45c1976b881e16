// SPDX-License-Identifier: GPL-2.0
/*
 * Symbols by name, and tracepoints of btrfs fired as btrfs would: neither is exported to modules.
 */
#include <linux/kprobes.h>
#include <linux/tracepoint-defs.h>

#include "fault.h"

static unsigned long (*lookup)(const char *name);

/* Address of a symbol, of btrfs first (names of static functions are not unique); 0 if there is none. */
unsigned long fault_symbol(const char *name)
{
	char qualified[96];
	unsigned long address;

	if (!lookup) {
		struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };

		if (register_kprobe(&probe))
			return 0;
		lookup = (void *)probe.addr;
		unregister_kprobe(&probe);
	}
	snprintf(qualified, sizeof(qualified), "btrfs:%s", name);
	address = lookup(qualified);
	return address ? address : lookup(name);
}

typedef void (*probe_fn)(void *, u64, u64, u64, u64, u64);

/* Callees take as many of the arguments as they have: the rest lies in registers that nobody reads. */
void fault_trace(const char *name, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	char symbol[96];
	struct tracepoint *tracepoint;
	struct tracepoint_func *func;

	snprintf(symbol, sizeof(symbol), "__tracepoint_%s", name);
	tracepoint = (struct tracepoint *)fault_symbol(symbol);
	if (!tracepoint)
		return;
	preempt_disable_notrace();
	func = READ_ONCE(tracepoint->funcs);
	if (func)
		do {
			((probe_fn)READ_ONCE(func->func))(func->data, a, b, c, d, e);
		} while ((++func)->func);
	preempt_enable_notrace();
}
