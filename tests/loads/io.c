// SPDX-License-Identifier: GPL-2.0
/* What the loads need and busybox has not. Built static. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

struct encoded {
	const struct iovec *iov;
	unsigned long iovcnt;
	__s64 offset;
	__u64 flags, len, unencoded_len, unencoded_offset;
	__u32 compression, encryption;
	__u8 reserved[64];
};
#define ENCODED_WRITE _IOW(0x94, 64, struct encoded)

static int fail(const char *what)
{
	printf("io: %s: %s\n", what, strerror(errno));
	return 1;
}

static void fault(int number)
{
	(void)number;
	printf("io: SIGBUS\n");
	fflush(stdout);
	_exit(1);
}

static int flags(int fd, int add)
{
	int value = 0;

	if (ioctl(fd, FS_IOC_GETFLAGS, &value))
		return fail("getflags");
	value |= add;
	return ioctl(fd, FS_IOC_SETFLAGS, &value) ? fail("setflags") : 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "", *file = argc > 2 ? argv[2] : ".";
	long long at = argc > 3 ? atoll(argv[3]) : 0, len = argc > 4 ? atoll(argv[4]) : 0;
	char *memory;
	int fd;

	if (!strcmp(what, "squota")) {
		struct btrfs_ioctl_quota_ctl_args args = { .cmd = 4 };

		fd = open(file, O_RDONLY);
		return ioctl(fd, BTRFS_IOC_QUOTA_CTL, &args) ? fail("squota") : 0;
	}
	/* io exchange A B */
	if (!strcmp(what, "exchange"))
		return renameat2(AT_FDCWD, file, AT_FDCWD, argv[3], RENAME_EXCHANGE) ? fail("exchange") : 0;
	/* A file without a name in a folder, which gets one. */
	if (!strcmp(what, "tmpfile")) {
		char path[64];

		fd = open(file, O_RDWR | O_TMPFILE, 0644);
		if (fd < 0 || write(fd, "x", 1) != 1)
			return fail("tmpfile");
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		return linkat(AT_FDCWD, path, AT_FDCWD, argv[3], AT_SYMLINK_FOLLOW) ? fail("linkat") : 0;
	}
	fd = open(file, O_RDWR | O_CREAT | (strcmp(what, "dwrite") && strcmp(what, "dread") ? 0 : O_DIRECT), 0644);
	if (fd < 0)
		return fail("open");
	if (!strcmp(what, "nocow"))
		return flags(fd, FS_NOCOW_FL);
	if (!strcmp(what, "compress"))
		return flags(fd, FS_COMPR_FL);
	if (!strcmp(what, "xattr"))
		return fsetxattr(fd, "user.x", file, strlen(file), 0) || fsetxattr(fd, "user.y", "", 0, 0) ||
		       fremovexattr(fd, "user.x") ? fail("xattr") : 0;
	if (!strcmp(what, "fsync"))
		return fsync(fd) ? fail("fsync") : 0;
	if (!strcmp(what, "falloc"))
		return fallocate(fd, 0, at, len) ? fail("fallocate") : 0;
	if (!strcmp(what, "punch"))
		return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, len) ?
		       fail("punch") : 0;
	if (!strcmp(what, "zero"))
		return fallocate(fd, FALLOC_FL_ZERO_RANGE, at, len) ? fail("zero") : 0;
	if (!strcmp(what, "flush"))
		return sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE |
				       SYNC_FILE_RANGE_WAIT_AFTER) ? fail("flush") : 0;
	if (!strcmp(what, "clone")) {
		/* io clone DST DST-OFFSET LEN SRC */
		struct file_clone_range range = { .src_fd = open(argv[5], O_RDONLY),
						  .src_length = len, .dest_offset = at };

		return ioctl(fd, FICLONERANGE, &range) ? fail("clone") : 0;
	}
	if (posix_memalign((void **)&memory, 4096, len + 4096))
		return 1;
	memset(memory, 'x', len);
	if (!strcmp(what, "write") || !strcmp(what, "dwrite"))
		return pwrite(fd, memory, len, at) < 0 ? fail("write") : 0;
	if (!strcmp(what, "read") || !strcmp(what, "dread"))
		return pread(fd, memory, len, at) < 0 ? fail("read") : 0;
	if (!strcmp(what, "mmap")) {
		struct sigaction action = { .sa_handler = fault };
		char *map;

		sigaction(SIGBUS, &action, NULL);
		map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, at);
		if (map == MAP_FAILED)
			return fail("mmap");
		for (long long i = 0; i < len; i += 4096)
			map[i] = 'y';
		return 0;
	}
	if (!strcmp(what, "encoded")) {
		struct iovec iov = { memory, 4096 };
		struct encoded args = { .iov = &iov, .iovcnt = 1, .offset = at, .len = len,
					.unencoded_len = len, .compression = 2 };

		return ioctl(fd, ENCODED_WRITE, &args) < 0 ? fail("encoded") : 0;
	}
	printf("io: what is %s?\n", what);
	return 2;
}
