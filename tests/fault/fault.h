/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Faults: what is done to which call. One slot holds one fault from its arming to the disarming of all.
 */
#ifndef BTRFS_PROBE_FAULT_H
#define BTRFS_PROBE_FAULT_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/kprobes.h>
#include <linux/seq_file.h>
#include <linux/types.h>

#include "machine.h"

#define FAULTS 40
#define ARGS 6
/* Calls that were redirected and have not yet reached the real function; a task is here for some instructions. */
#define PASSES 64
/* Call sites that a fault tells apart. */
#define SITES 120

enum fault_action {
	ACTION_SKIP,	/* return `ret`, do nothing */
	ACTION_FAIL,	/* do it, then return `ret` */
	ACTION_DOUBLE,	/* do it twice with the same arguments, return what the first returned */
	ACTION_DELAY,	/* wait before or after it */
	ACTION_SWAP,	/* do it to the other inode */
	ACTION_REMEMBER,	/* its arguments, for the next publish of the same task */
	ACTION_PUBLISH,	/* see publish.c */
	ACTION_SLIP,	/* see slip.c, then do it */
	ACTION_POKE,	/* change a number behind its argument, see slip.c, then do it */
	ACTION_COUNT,	/* only count */
	ACTION_STALL,	/* see stall.c */
	ACTION_TICKET,	/* see ticket.c */
};

enum fault_undo {
	UNDO_COUNTERS,	/* the counters alone */
	UNDO_RELEASE,	/* the counters, and bytes as if they had been reserved */
	UNDO_NONE,
};

/* What is wrong with a grant. */
enum fault_how {
	HOW_TWICE,	/* the ticket is put back after its grant, and granted again */
	HOW_BYTES,	/* it asks for `by` bytes more than its owner knows */
	HOW_FAIL,	/* it is granted, and then ends with the error `ret` */
	HOW_FAILED,	/* it ends with the error `ret`, and then is granted */
	HOW_DROP,	/* it leaves its list as if it had been granted */
};

enum fault_at {
	WAIT_ENTRY = 1,
	WAIT_RETURN = 2,
};

struct fault_site {
	unsigned long from;	/* return address; 0: the end of the table */
	atomic_t matched, acted;
};

struct fault {
	struct kprobe probe;
	char name[64];
	bool armed;

	enum fault_action action;
	u64 ret;
	enum fault_undo undo;
	unsigned int at;
	bool enospc;	/* of a skipped reservation: with the event of a failed one */
	s32 by;	/* of slip and poke */
	u32 offset;	/* of poke */
	enum fault_how how;	/* of ticket */
	atomic_t done;	/* of ticket: it has acted */
	u32 us;
	bool sleep;	/* the function may sleep wherever it is called; otherwise waiting burns the processor */
	bool hold;	/* wait until `go` is written, `us` at most */

	u64 first;	/* the first match that is acted on, from 1 */
	u64 every;
	u64 times;	/* 0: without end */

	int inode_arg;	/* which argument is the inode; -1: none */
	bool vfs;	/* it is a struct inode, not a struct btrfs_inode */
	struct inode *target;	/* compared, never followed: the fault must not keep it alive */
	u64 ino;	/* 0: any */
	pid_t tgid;
	char comm[16];
	unsigned long caller_from, caller_to;
	int value_arg;	/* only calls whose argument `value_arg` is `value`; -1: all */
	u64 value;
	int clear_arg;	/* only calls whose argument `clear_arg` has none of the bits `clear`; -1: all */
	u64 clear;
	int set_arg;	/* only calls whose argument `set_arg` has all of the bits `set`; -1: all */
	u64 set;

	struct inode *other;	/* held */
	struct module *within;	/* only calls from its code; NULL: all */

	atomic64_t matched, acted, missed;
	atomic_t inside, holding;
	struct task_struct *passes[PASSES];
	struct fault_site sites[SITES];
};

typedef u64 (*fault_fn)(u64, u64, u64, u64, u64, u64);

struct fault_args {
	u64 v[ARGS];
};

/* The call that a publish happens in. */
struct fault_remembered {
	struct task_struct *task;
	struct fault_args args;
};

extern struct fault faults[FAULTS];
extern atomic_t fault_go;
extern struct fault_remembered fault_remembered;

/* Offsets within struct btrfs_inode, module parameters: the headers of btrfs are not installed, its BTF is. */
extern uint fault_vfs_inode, fault_lock, fault_outstanding, fault_csum, fault_flags, fault_rsv;

static inline struct inode *fault_inode(const struct fault *fault, u64 arg)
{
	return (struct inode *)(fault->vfs ? arg : arg + fault_vfs_inode);
}

/* One of each for every slot. Slots are numbered in octal: eight to a row. */
#define FAULT_EIGHT(X, t) X(t##0) X(t##1) X(t##2) X(t##3) X(t##4) X(t##5) X(t##6) X(t##7)
#define FAULT_ALL(X) FAULT_EIGHT(X, 0) FAULT_EIGHT(X, 01) FAULT_EIGHT(X, 02) FAULT_EIGHT(X, 03) FAULT_EIGHT(X, 04)

/* act.c */
bool fault_pass(struct fault *fault);
int fault_pre_handler(struct kprobe *probe, struct pt_regs *regs);
u64 fault_call(struct fault *fault, const struct fault_args *args);
void fault_wait(struct fault *fault);
void fault_event(const struct fault *fault, const struct fault_args *args);

/* publish.c */
int fault_publish_prepare(void);
u64 fault_publish(struct fault *fault, const struct fault_args *failing);

/* sites.c */
int fault_site_parse(struct fault *fault, char *text);
int fault_btrfs(struct fault *fault);
struct fault_site *fault_site(struct fault *fault, unsigned long from);
void fault_returns_prepare(void);
unsigned long fault_return(unsigned long *where);
void fault_sites_show(const struct fault *fault, struct seq_file *file);

/* slip.c */
int fault_slip_prepare(void);
void fault_slip(const struct fault *fault, u64 arg);
void fault_poke(const struct fault *fault, u64 arg);

/* stall.c */
extern void (*const fault_stalls[FAULTS])(void);
/* ticket.c; offsets within struct btrfs_space_info and struct reserve_ticket, module parameters */
extern uint fault_priority_tickets, fault_tickets, fault_reclaim_size, fault_ticket_error, fault_ticket_list, fault_ticket_wait;
int fault_ticket_prepare(void);
bool fault_ticket_waits(u64 space);
u64 fault_ticket(struct fault *fault, struct fault_args *args);

/* tracepoint.c */
unsigned long fault_symbol(const char *name);
void fault_trace(const char *tracepoint, u64 a, u64 b, u64 c, u64 d, u64 e);

/* command.c */
int fault_arm(char *line);
void fault_disarm(void);
int fault_show(char *buffer, size_t size);
void fault_show_sites(struct seq_file *file);

#endif
