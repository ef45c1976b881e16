// SPDX-License-Identifier: GPL-2.0
/*
 * The commands: one line of words `key=value` arms one fault.
 *
 *   func=NAME action=skip|fail|double|delay|swap|remember|publish|slip|poke|count|stall|ticket
 *   ret=N              what skip, fail and publish return (signed)
 *   enospc             skip and publish of btrfs_reserve_metadata_bytes fire the event of a reservation that failed
 *   at=entry|return|both us=N sleep hold      of delay and publish; us=N of stall
 *   undo=counters|release|none                of publish (of btrfs_reserve_metadata_bytes, after a remember)
 *   nth=N | first=N every=N times=N           which matches; nth=N is first=N times=1; without any of them: all
 *   arg=N vfs fd=N ino=N                      which argument is the inode, and of which inode only
 *   other=FD                                  of swap
 *   by=N                                      of slip and poke (signed)
 *   offset=N                                  of poke: where in the struct of argument `arg`
 *   how=twice|bytes|fail|failed|drop          of ticket (btrfs_try_granting_tickets), with by=N or ret=N
 *   tgid=N comm=NAME caller=SYMBOL site=SYMBOL+OFFSET btrfs value=ARG:N clear=ARG:BITS set=ARG:BITS
 */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/kallsyms.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "fault.h"

static DEFINE_MUTEX(commands);

static const char *const actions[] = { "skip", "fail", "double", "delay", "swap", "remember", "publish", "slip",
					"poke", "count", "stall", "ticket" };
static const char *const undos[] = { "counters", "release", "none" };
static const char *const hows[] = { "twice", "bytes", "fail", "failed", "drop" };
static const char *const ats[] = { "", "entry", "return", "both" };

static int one_of(const char *const *names, int count, const char *value)
{
	int index = match_string(names, count, value);

	return index < 0 ? -EINVAL : index;
}

/* An inode that the caller has open. */
static struct inode *inode_of(const char *value, bool keep)
{
	struct inode *inode;
	struct file *file;
	int number;

	if (kstrtoint(value, 0, &number))
		return ERR_PTR(-EINVAL);
	file = fget(number);
	if (!file)
		return ERR_PTR(-EBADF);
	inode = file_inode(file);
	if (keep)
		ihold(inode);
	fput(file);
	return inode;
}

/* The addresses that belong to a function. */
static int span(struct fault *fault, const char *name)
{
	char text[KSYM_SYMBOL_LEN], *slash;
	unsigned long from = fault_symbol(name), size;

	if (!from)
		return -ENOENT;
	/* NAME+0xOFFSET/0xSIZE [MODULE] */
	sprint_symbol(text, from);
	slash = strchr(text, '/');
	if (!slash)
		return -ENOENT;
	strsep(&slash, "/");
	if (kstrtoul(strsep(&slash, " "), 0, &size))
		return -ENOENT;
	fault->caller_from = from;
	fault->caller_to = from + size;
	return 0;
}

static int word(struct fault *fault, char *key, char *value)
{
	int index;

	if (!strcmp(key, "sleep"))
		fault->sleep = true;
	else if (!strcmp(key, "hold"))
		fault->hold = true;
	else if (!strcmp(key, "enospc"))
		fault->enospc = true;
	else if (!strcmp(key, "vfs"))
		fault->vfs = true;
	else if (!strcmp(key, "btrfs"))
		return fault_btrfs(fault);
	else if (!value)
		return -EINVAL;
	else if (!strcmp(key, "func"))
		return strscpy(fault->name, value, sizeof(fault->name)) < 0 ? -EINVAL : 0;
	else if (!strcmp(key, "comm"))
		strscpy(fault->comm, value, sizeof(fault->comm));
	else if (!strcmp(key, "action")) {
		index = one_of(actions, ARRAY_SIZE(actions), value);
		if (index < 0)
			return index;
		fault->action = index;
	} else if (!strcmp(key, "undo")) {
		index = one_of(undos, ARRAY_SIZE(undos), value);
		if (index < 0)
			return index;
		fault->undo = index;
	} else if (!strcmp(key, "at")) {
		index = one_of(ats, ARRAY_SIZE(ats), value);
		if (index <= 0)
			return -EINVAL;
		fault->at = index;
	} else if (!strcmp(key, "how")) {
		index = one_of(hows, ARRAY_SIZE(hows), value);
		if (index < 0)
			return index;
		fault->how = index;
	} else if (!strcmp(key, "ret"))
		return kstrtos64(value, 0, (s64 *)&fault->ret);
	else if (!strcmp(key, "by"))
		return kstrtos32(value, 0, &fault->by);
	else if (!strcmp(key, "offset"))
		return kstrtou32(value, 0, &fault->offset);
	else if (!strcmp(key, "us"))
		return kstrtou32(value, 0, &fault->us);
	else if (!strcmp(key, "first"))
		return kstrtou64(value, 0, &fault->first);
	else if (!strcmp(key, "every"))
		return kstrtou64(value, 0, &fault->every);
	else if (!strcmp(key, "times"))
		return kstrtou64(value, 0, &fault->times);
	else if (!strcmp(key, "nth")) {
		fault->times = 1;
		return kstrtou64(value, 0, &fault->first);
	} else if (!strcmp(key, "arg"))
		return kstrtoint(value, 0, &fault->inode_arg);
	else if (!strcmp(key, "ino"))
		return kstrtou64(value, 0, &fault->ino);
	else if (!strcmp(key, "tgid"))
		return kstrtoint(value, 0, &fault->tgid);
	else if (!strcmp(key, "caller"))
		return span(fault, value);
	else if (!strcmp(key, "site"))
		return fault_site_parse(fault, value);
	else if (!strcmp(key, "fd")) {
		struct inode *inode = inode_of(value, false);

		if (IS_ERR(inode))
			return PTR_ERR(inode);
		fault->target = inode;
		fault->ino = inode->i_ino;
	} else if (!strcmp(key, "other")) {
		struct inode *inode = inode_of(value, true);

		if (IS_ERR(inode))
			return PTR_ERR(inode);
		fault->other = inode;
	} else if (!strcmp(key, "value")) {
		char *arg = strsep(&value, ":");

		if (!value || kstrtoint(arg, 0, &fault->value_arg))
			return -EINVAL;
		return kstrtou64(value, 0, &fault->value);
	} else if (!strcmp(key, "clear")) {
		char *arg = strsep(&value, ":");

		if (!value || kstrtoint(arg, 0, &fault->clear_arg))
			return -EINVAL;
		return kstrtou64(value, 0, &fault->clear);
	} else if (!strcmp(key, "set")) {
		char *arg = strsep(&value, ":");

		if (!value || kstrtoint(arg, 0, &fault->set_arg))
			return -EINVAL;
		return kstrtou64(value, 0, &fault->set);
	} else
		return -EINVAL;
	return 0;
}

static int check(struct fault *fault)
{
	bool inode = fault->target || fault->ino || fault->action == ACTION_SWAP ||
		     fault->action == ACTION_SLIP;

	if (!fault->name[0] || !fault->first || !fault->every)
		return -EINVAL;
	if (inode && fault->inode_arg < 0)
		fault->inode_arg = 0;
	if (fault->inode_arg >= ARGS || fault->value_arg >= ARGS || fault->clear_arg >= ARGS || fault->set_arg >= ARGS)
		return -EINVAL;
	/* 0 is no offset of it in any kernel. */
	if (fault->inode_arg >= 0 && !fault->vfs && !fault_vfs_inode)
		return -EOPNOTSUPP;
	if (fault->action == ACTION_POKE && fault->inode_arg < 0)
		return -EINVAL;
	if (fault->action == ACTION_SWAP && !fault->other)
		return -EINVAL;
	if (fault->action == ACTION_TICKET)
		return fault_ticket_prepare();
	if (fault->action == ACTION_SLIP)
		return fault_slip_prepare();
	return fault->action == ACTION_PUBLISH ? fault_publish_prepare() : 0;
}

static int arm(struct fault *fault, char *line)
{
	char *text;
	int error = 0;

	memset(fault, 0, sizeof(*fault));
	fault->first = fault->every = 1;
	fault->inode_arg = fault->value_arg = fault->clear_arg = fault->set_arg = -1;
	fault->at = WAIT_ENTRY;
	while (!error && (text = strsep(&line, " \n")) != NULL) {
		char *key = strsep(&text, "=");

		if (*key)
			error = word(fault, key, text);
	}
	if (!error)
		error = check(fault);
	if (!error) {
		fault->probe.addr = (void *)fault_symbol(fault->name);
		fault->probe.pre_handler = fault_pre_handler;
		error = fault->probe.addr ? register_kprobe(&fault->probe) : -ENOENT;
	}
	if (error) {
		if (fault->other)
			iput(fault->other);
		memset(fault, 0, sizeof(*fault));
		return error;
	}
	WRITE_ONCE(fault->armed, true);
	return 0;
}

int fault_arm(char *line)
{
	int i, error = -ENOSPC;

	mutex_lock(&commands);
	for (i = 0; i < FAULTS; i++)
		if (!faults[i].name[0]) {
			error = arm(&faults[i], line);
			break;
		}
	mutex_unlock(&commands);
	return error;
}

/* When it returns, no call is in our hands any more. */
void fault_disarm(void)
{
	int i;

	mutex_lock(&commands);
	for (i = 0; i < FAULTS; i++) {
		struct fault *fault = &faults[i];

		if (!fault->name[0])
			continue;
		WRITE_ONCE(fault->armed, false);
	}
	/* Handlers that still saw it armed are done, and whom they redirected has counted itself in. */
	synchronize_rcu();
	for (i = 0; i < FAULTS; i++) {
		struct fault *fault = &faults[i];

		if (!fault->name[0])
			continue;
		while (atomic_read(&fault->inside))
			msleep(1);
		unregister_kprobe(&fault->probe);
		if (fault->other)
			iput(fault->other);
		memset(fault, 0, sizeof(*fault));
	}
	mutex_unlock(&commands);
}

int fault_show(char *buffer, size_t size)
{
	int i, length = 0;

	mutex_lock(&commands);
	for (i = 0; i < FAULTS; i++) {
		struct fault *fault = &faults[i];

		if (fault->name[0])
			length += scnprintf(buffer + length, size - length, "%d %s %s matched=%lld acted=%lld holding=%d missed=%lu\n",
					    i, fault->name, actions[fault->action], atomic64_read(&fault->matched),
					    atomic64_read(&fault->acted), atomic_read(&fault->holding),
					    fault->probe.nmissed);
	}
	mutex_unlock(&commands);
	return length;
}

void fault_show_sites(struct seq_file *file)
{
	int i;

	mutex_lock(&commands);
	for (i = 0; i < FAULTS; i++)
		if (faults[i].name[0])
			fault_sites_show(&faults[i], file);
	mutex_unlock(&commands);
}
