#!/usr/bin/env python3
"""Makes the recordings of this folder: each is one workload on loop filesystems of its own.

    ./record.py PROGRAM NAME [OUTPUT]     PROGRAM: path of btrfs-probe; NAME: a workload, or `all`

Needs root, loop devices, btrfs-progs and the example `mixload` beside PROGRAM.
"""
import mmap
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid

HERE = os.path.dirname(os.path.realpath(__file__))
MIB = 1 << 20


def sh(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Fs:
    """A loop filesystem; made unmounted, so that a recorder can be attached before it is born."""

    def __init__(self, top, name, size, fsid, *options):
        self.image, self.path = f"{top}/{name}.img", f"{top}/{name}"
        if not os.path.exists(self.image):
            os.makedirs(self.path)
            with open(self.image, "wb") as image:
                image.truncate(size)
            sh("mkfs.btrfs", "-q", "-f", "-K", "-U", fsid, "-d", "single", "-m", "single", *options, self.image)

    def mount(self):
        sh("mount", "-o", "loop,nodev,nosuid", self.image, self.path)
        return self

    def umount(self):
        sh("umount", self.path)

    def file(self, name, flags=0):
        return os.open(f"{self.path}/{name}", os.O_RDWR | os.O_CREAT | flags, 0o600)

    def write(self, name, length, sync=False, offset=0):
        fd = self.file(name)
        os.pwrite(fd, os.urandom(length), offset)
        if sync:
            os.fsync(fd)
        os.close(fd)

    def unlink(self, name):
        os.unlink(f"{self.path}/{name}")

    def sync(self):
        sh("sync", "-f", self.path)

    def subvolume(self, name):
        sh("btrfs", "subvolume", "create", f"{self.path}/{name}")


def attempt(call, *args):
    """False if there was no room."""
    try:
        call(*args)
        return True
    except OSError:
        return False


def full(fs):
    """All of the device to data and half of it free again: little room for metadata from here on."""
    for n in range(8):
        fd = fs.file(f"w{n}")
        os.close(fd)
        # Only these can be written without waiting.
        sh("chattr", "+C", f"{fs.path}/w{n}")
        os.truncate(f"{fs.path}/w{n}", 32 * MIB)
    pieces = 0
    for length in (8 * MIB, MIB, 64 << 10, 4096):
        while True:
            fd = fs.file(f"fill{pieces}")
            room = attempt(os.posix_fallocate, fd, 0, length)
            os.close(fd)
            pieces += 1
            if not room:
                break
    fs.sync()
    for piece in range(0, pieces, 2):
        fs.unlink(f"fill{piece}")
    fs.sync()


def inline(fs):
    """Metadata full of files that live in it."""
    for n in range(20000):
        if not attempt(fs.write, f"inline{n}", 2000):
            break
    fs.sync()


def failing(fs, rounds):
    """Buffered and direct writes that may not wait for a flush, between some that may."""
    blocks = mmap.mmap(-1, 64 << 10)
    buffered = [fs.file(f"w{n}") for n in range(4)]
    direct = [fs.file(f"w{n}", os.O_DIRECT) for n in range(4, 8)]
    for n in range(rounds):
        attempt(os.pwritev, buffered[n % 4], [blocks], n * (128 << 10), os.RWF_NOWAIT)
        attempt(os.pwritev, direct[n % 4], [blocks], n * (128 << 10), os.RWF_NOWAIT)
        if n % 8 == 7:
            attempt(os.pwritev, buffered[n % 4], [blocks], n * (128 << 10))
            attempt(os.pwritev, direct[n % 4], [blocks], n * (128 << 10))
    for fd in buffered + direct:
        attempt(os.fsync, fd)
        os.close(fd)


def mixload(fs, *options):
    path = os.environ["RECORD_PROGRAM"]
    sh(f"{os.path.dirname(path)}/examples/mixload", "--dir", fs.path, *options)


def threads(count, body):
    workers = [threading.Thread(target=body, args=(n,)) for n in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def born(top, ids):
    fs = Fs(top, "a", 512 * MIB, ids[0]).mount()
    for n in range(30):
        fs.write(f"f{n}", 4096 << (n % 8), sync=n % 3 == 0)
    for n in range(0, 30, 2):
        fs.unlink(f"f{n}")
    for n in range(40):
        fs.write(f"inline{n}", 700)
    fs.write("dirty", 3 * MIB)
    fs.unlink("dirty")
    fs.sync()
    fs.umount()


def midlife_before(top, ids):
    fs = Fs(top, "a", 512 * MIB, ids[0]).mount()
    for n in range(30):
        fs.write(f"f{n}", 4096 << (n % 8))


def midlife(top, ids):
    fs = Fs(top, "a", 512 * MIB, ids[0])
    for n in range(30, 60):
        fs.write(f"f{n}", 4096 << (n % 8), sync=n % 3 == 0)
    for n in range(0, 60, 3):
        fs.write(f"f{n}", 8192, offset=4096)
    for n in range(0, 60, 4):
        fs.unlink(f"f{n}")
    fs.sync()
    for n in range(60, 80):
        fs.write(f"f{n}", 4096 << (n % 8), sync=True)
        fs.unlink(f"f{n}")
    fs.sync()
    sh("umount", fs.path)


def enospc(top, ids):
    fs = Fs(top, "a", 128 * MIB, ids[0]).mount()
    full(fs)
    failing(fs, 100)
    inline(fs)
    failing(fs, 60)
    fs.umount()


def edquot(top, ids):
    fs = Fs(top, "a", 512 * MIB, ids[0]).mount()
    sh("btrfs", "quota", "enable", fs.path)
    fs.subvolume("v")
    sh("btrfs", "qgroup", "limit", "4M", f"{fs.path}/v")
    for n in range(40):
        attempt(fs.write, f"v/f{n}", 256 << 10, n % 5 == 0)
    for n in range(20):
        attempt(fs.unlink, f"v/f{n}")
    fs.sync()
    for n in range(40):
        attempt(fs.write, f"v/g{n}", 256 << 10)
    for n in range(20):
        fs.write(f"h{n}", 64 << 10)
    fs.sync()
    fs.umount()


def paths(top, ids):
    fs = Fs(top, "a", 512 * MIB, ids[0]).mount()
    blocks = mmap.mmap(-1, MIB)
    for n in range(8):
        fd = fs.file(f"direct{n}", os.O_DIRECT)
        for at in range(6):
            os.pwrite(fd, blocks, at * MIB)
        os.close(fd)
        fd = fs.file(f"mapped{n}")
        os.ftruncate(fd, MIB)
        with mmap.mmap(fd, MIB) as memory:
            for at in range(0, MIB, 16384):
                memory[at] = 7
            memory.flush()
        os.close(fd)
        fs.write(f"source{n}", 512 << 10, sync=n % 2 == 0)
        sh("cp", "--reflink=always", f"{fs.path}/source{n}", f"{fs.path}/clone{n}")
        fs.write(f"clone{n}", 40000, offset=100000)
        os.truncate(f"{fs.path}/clone{n}", 77777)
        os.truncate(f"{fs.path}/direct{n}", 3 * MIB + 100)
        fd = fs.file(f"prealloc{n}")
        os.posix_fallocate(fd, 0, MIB)
        os.pwrite(fd, bytes(200000), 300000)
        os.close(fd)
    fs.subvolume("v")
    for n in range(10):
        fs.write(f"v/f{n}", 100000)
    sh("btrfs", "subvolume", "snapshot", f"{fs.path}/v", f"{fs.path}/snap")
    for n in range(10):
        fs.write(f"v/f{n}", 50000)
        fs.write(f"snap/f{n}", 50000, offset=20000)
    sh("btrfs", "subvolume", "delete", f"{fs.path}/snap")
    fs.sync()
    fs.umount()


def twins(top, ids):
    fs = Fs(top, "a", 512 * MIB, ids[0]).mount()
    for name in ("one", "two"):
        fs.subvolume(name)
    for n in range(12):
        for name in ("one", "two"):
            fs.write(f"{name}/f{n}", 4096 << (n % 6))
    def body(worker):
        for n in range(24):
            fs.write(f"{('one', 'two')[worker % 2]}/f{n % 12}", 20000, sync=n % 5 == 0)
    threads(2, body)
    for n in range(0, 12, 2):
        fs.unlink(f"one/f{n}")
        fs.unlink(f"two/f{n + 1}")
    fs.sync()
    fs.umount()


def parallel(top, ids):
    fs = Fs(top, "a", 512 * MIB, ids[0]).mount()
    blocks = mmap.mmap(-1, 65536)
    def body(worker):
        fd = fs.file("shared", os.O_DIRECT if worker % 2 else 0)
        for n in range(150):
            os.pwrite(fd, blocks, ((n * 7 + worker * 131) % 512) * 65536)
        os.close(fd)
    threads(6, body)
    fs.sync()
    threads(6, body)
    fs.umount()


def lossy(top, ids):
    fs = Fs(top, "a", 768 * MIB, ids[0]).mount()
    mixload(fs, "--ops", "250", "--threads", "6", "--seed", "3", "--only", "buffered,direct,mapped,small,orphan,truncate")
    fs.umount()


def audited(top, ids):
    """Still mounted at the end, so that the last audits see it."""
    fs = Fs(top, "a", 512 * MIB, ids[0]).mount()
    for n in range(40):
        fs.write(f"f{n}", 4096 << (n % 8), sync=n % 3 == 0)
    fs.sync()


def failures(top, ids):
    small, main = Fs(top, "a", 128 * MIB, ids[0]), Fs(top, "b", 256 * MIB, ids[1])
    for fs in (main, small):
        fs.mount()
    sh("btrfs", "quota", "enable", main.path)
    main.subvolume("v")
    sh("btrfs", "qgroup", "limit", "2M", f"{main.path}/v")
    for n in range(12):
        attempt(main.write, f"v/log{n}", 256 << 10)
    main.sync()
    # All room is data's, so metadata has nowhere to go.
    fd = small.file("data")
    for length in (16 * MIB, MIB, 64 * MIB):
        while attempt(os.posix_fallocate, fd, os.fstat(fd).st_size, length):
            pass
    small.sync()
    os.ftruncate(fd, 4096)
    os.close(fd)
    small.sync()
    # The figures of so many failures are read in a second, and no more.
    time.sleep(1.2)
    for n in range(40):
        attempt(os.mkdir, f"{small.path}/{n:03d}" + "x" * 200)
    attempt(main.write, "v/last", 64 << 10)
    for fs in (main, small):
        fs.umount()


def demo(top, ids):
    main = Fs(top, "a", 1024 * MIB, ids[0], "-L", "btrfs-probe-main").mount()
    small = Fs(top, "b", 128 * MIB, ids[1], "-L", "btrfs-probe-small").mount()
    sh("btrfs", "quota", "enable", main.path)
    mixload(main, "--ops", "200", "--threads", "4", "--seed", "269")
    main.subvolume("limited")
    sh("btrfs", "qgroup", "limit", "8M", f"{main.path}/limited")
    for n in range(60):
        attempt(main.write, f"limited/f{n}", 256 << 10)
    mixload(small, "--ops", "40", "--threads", "2", "--seed", "5")
    mixload(small, "--ops", "1", "--only", "balance", "--balance", "--seed", "5")
    full(small)
    failing(small, 60)
    for fs in (main, small):
        fs.sync()
    for fs in (main, small):
        fs.umount()


# Name: filesystems, what happens before the attach, what is recorded, options.
WORKLOADS = {
    "born": (1, None, born, ()),
    "midlife": (1, midlife_before, midlife, ()),
    "enospc": (1, None, enospc, ()),
    "edquot": (1, None, edquot, ()),
    "paths": (1, None, paths, ()),
    "twins": (1, None, twins, ()),
    "parallel": (1, None, parallel, ()),
    "lossy": (1, None, lossy, ("--ring-size", "64K")),
    "audited": (1, None, audited, ()),
    "failures": (2, None, failures, ()),
    "demo": (2, None, demo, ()),
}


def record(program, name, output):
    count, before, _, options = WORKLOADS[name]
    ids = [str(uuid.uuid4()) for _ in range(count)]
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="recording.") as top:
        if before:
            before(top, ids)
        only = [word for fsid in ids for word in ("--fs", fsid)]
        work = ["./record.py", "--work", name, top, *ids]
        environment = {**os.environ, "RECORD_PROGRAM": program}
        try:
            subprocess.run([program, "record", *options, "-o", output, *only, "--", *work], check=True, cwd=HERE, env=environment)
        finally:
            for letter in "ab":
                if os.path.ismount(f"{top}/{letter}"):
                    sh("umount", f"{top}/{letter}")


def main():
    if sys.argv[1] == "--work":
        WORKLOADS[sys.argv[2]][2](sys.argv[3], sys.argv[4:])
        return
    program = os.path.realpath(sys.argv[1])
    for name in WORKLOADS if sys.argv[2] == "all" else [sys.argv[2]]:
        record(program, name, os.path.realpath(sys.argv[3]) if len(sys.argv) > 3 else f"{HERE}/{name}.rsv")


main()
