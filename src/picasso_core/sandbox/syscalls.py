"""The system calls that a confined process may make, with their numbers; whatever is not listed is refused."""

from __future__ import annotations

import platform
from dataclasses import dataclass

# Name, number on x86-64, number on aarch64 (- where it has none), from the kernel's unistd.h.
_READ_AND_WRITE = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69, pwritev 296 70,
preadv2 327 286, pwritev2 328 287, lseek 8 62, sendfile 40 71, copy_file_range 326 285, readahead 187 213,
fadvise64 221 223, fsync 74 82, fdatasync 75 83, close 3 57, close_range 436 436, dup 32 23, dup2 33 -, dup3 292 24,
pipe 22 -, pipe2 293 59, flock 73 32
"""
# What they reach is Landlock's business. ftruncate needs a descriptor that was opened for writing, which the input's
# never is; truncate takes a path and is not here.
_FILES = """
open 2 -, openat 257 56, creat 85 -, ftruncate 77 46, stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79,
statx 332 291, access 21 -, faccessat 269 48, faccessat2 439 439, readlink 89 -, readlinkat 267 78, getdents 78 -,
getdents64 217 61, getcwd 79 17, chdir 80 49, fchdir 81 50, mkdir 83 -, mkdirat 258 34, rmdir 84 -, unlink 87 -,
unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276, statfs 137 43, fstatfs 138 44, umask 95 166,
fcntl 72 25, ioctl 16 29
"""
# No memfd_create: what it holds counts against no limit of the process.
_MEMORY = """
mmap 9 222, munmap 11 215, mremap 25 216, mprotect 10 226, brk 12 214, madvise 28 233, mincore 27 232, msync 26 227
"""
_THREADS = """
clone 56 220, futex 202 98, set_robust_list 273 99, get_robust_list 274 100, set_tid_address 218 96, rseq 334 293,
sched_yield 24 124, sched_getaffinity 204 123, sched_getparam 143 121, sched_getscheduler 145 120,
sched_get_priority_max 146 125, sched_get_priority_min 147 126, arch_prctl 158 -, membarrier 324 283, getcpu 309 168,
prctl 157 167, exit 60 93, exit_group 231 94, restart_syscall 219 128
"""
_SIGNALS = """
kill 62 129, tgkill 234 131, rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136,
rt_sigtimedwait 128 137, rt_sigsuspend 130 133, sigaltstack 131 132, alarm 37 -, pause 34 -, setitimer 38 103,
getitimer 36 102
"""
_WAITING = """
poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72, epoll_create 213 -, epoll_create1 291 20, epoll_ctl 233 21,
epoll_wait 232 -, epoll_pwait 281 22, eventfd 284 -, eventfd2 290 19, timerfd_create 283 85, timerfd_settime 286 86,
timerfd_gettime 287 87, nanosleep 35 101, clock_nanosleep 230 115, wait4 61 260, waitid 247 95
"""
_QUESTIONS = """
clock_gettime 228 113, clock_getres 229 114, gettimeofday 96 169, time 201 -, times 100 153, getrusage 98 165,
getrlimit 97 163, prlimit64 302 261, sysinfo 99 179, uname 63 160, getrandom 318 278, getpid 39 172, getppid 110 173,
gettid 186 178, getpgrp 111 -, getpgid 121 155, getsid 124 156, getuid 102 174, geteuid 107 175, getgid 104 176,
getegid 108 177, getgroups 115 158, getresuid 118 148, getresgid 120 150, getpriority 140 141
"""
_TABLE = ",".join((_READ_AND_WRITE, _FILES, _MEMORY, _THREADS, _SIGNALS, _WAITING, _QUESTIONS))


@dataclass(frozen=True)
class Architecture:
    """What a filter has to know about a machine."""

    audit: int
    """AUDIT_ARCH_*, by which the kernel says how a call was made."""
    numbers: dict[str, int]
    seccomp: int
    """The number of seccomp(2)."""


def _numbers(column: int) -> dict[str, int]:
    rows = (row.split() for row in _TABLE.split(","))
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


ARCHITECTURES = {
    "x86_64": Architecture(audit=0xC000003E, numbers=_numbers(1), seccomp=317),
    "aarch64": Architecture(audit=0xC00000B7, numbers=_numbers(2), seccomp=277),
}


def architecture() -> Architecture | None:
    """Return this machine's, if its system calls are known."""
    return ARCHITECTURES.get(platform.machine())
