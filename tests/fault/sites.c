// SPDX-License-Identifier: GPL-2.0
/*
 * Call sites of a function: the return address of each call, and how often the fault matched and acted there. A call
 * that was made as a jump (the last thing that its caller does) has the return address of the caller's caller.
 */
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
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
