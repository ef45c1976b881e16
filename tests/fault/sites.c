// SPDX-License-Identifier: GPL-2.0
/*
 * Call sites of a function: the return address of each call, and how often the fault matched and acted there. A call
 * that was made as a jump (the last thing that its caller does) has the return address of the caller's caller.
 */
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/llist.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "fault.h"

/* `SYMBOL+OFFSET`: the address. */
int fault_site_parse(struct fault *fault, char *text)
{
	char *name = strsep(&text, "+");
	unsigned long base = fault_symbol(name), offset;

	if (!base)
		return -ENOENT;
	if (!text || kstrtoul(text, 0, &offset))
		return -EINVAL;
	fault->caller_from = base + offset;
	fault->caller_to = base + offset + 1;
	return 0;
}

/*
 * A probe on the return of the function may have put an address of the kernel's own in the place of the caller's. Those of
 * kretprobes are kept by rethook, those of fprobes too or, in new kernels, by the function graph.
 */
static unsigned long rethook, graph;
static unsigned long (*rethook_find)(struct task_struct *task, unsigned long frame, struct llist_node **at);
static unsigned long (*graph_find)(struct task_struct *task, int *index, unsigned long from, unsigned long *stack);

void fault_returns_prepare(void)
{
	rethook = fault_symbol(FAULT_TRAMPOLINE);
	rethook_find = (void *)fault_symbol(FAULT_FIND);
	graph = fault_symbol("return_to_handler");
	graph_find = (void *)fault_symbol("ftrace_graph_ret_addr");
}

/* The return address of a call, by where it is (machine.h). */
unsigned long fault_return(unsigned long *where)
{
	unsigned long from = fault_from(where), found = 0;
	struct llist_node *at = NULL;
	int index = 0;

	if (from == graph && graph_find)
		found = graph_find(current, &index, from, where);
	else if (from == rethook && rethook_find)
		found = rethook_find(current, fault_frame(where), &at);
	return found ? found : from;
}
NOKPROBE_SYMBOL(fault_return);

/* The module btrfs, whose calls alone count. */
int fault_btrfs(struct fault *fault)
{
	struct module *(*module_of)(unsigned long) = (void *)fault_symbol("__module_address");
	unsigned long inside = fault_symbol("btrfs_alloc_path");

	if (!module_of || !inside)
		return -EOPNOTSUPP;
	preempt_disable();
	fault->within = module_of(inside);
	preempt_enable();
	return fault->within ? 0 : -EOPNOTSUPP;
}

/* The site's place in the table; NULL if the table is full. */
struct fault_site *fault_site(struct fault *fault, unsigned long from)
{
	int i;

	for (i = 0; i < SITES; i++) {
		struct fault_site *site = &fault->sites[i];
		unsigned long there = READ_ONCE(site->from);

		if (!there)
			there = cmpxchg(&site->from, 0, from) ?: from;
		if (there == from)
			return site;
	}
	return NULL;
}
NOKPROBE_SYMBOL(fault_site);

void fault_sites_show(const struct fault *fault, struct seq_file *file)
{
	char text[KSYM_SYMBOL_LEN], *rest;
	int i;

	for (i = 0; i < SITES; i++) {
		const struct fault_site *site = &fault->sites[i];

		if (!site->from)
			break;
		/* NAME+0xOFFSET/0xSIZE [MODULE] */
		sprint_symbol(text, site->from);
		rest = text;
		seq_printf(file, "%s %s %d %d\n", fault->name, strsep(&rest, "/"), atomic_read(&site->matched),
			   atomic_read(&site->acted));
	}
}
