"""Becomes another user, and then another program: `python -I -S as_user.py UID GID CAPABILITY PROGRAM ARGUMENT...`.

Run as root. Of root's power, the program keeps the one capability with this number, or with -1 nothing; it gains no
other, whatever it starts. This is a program and not a function between fork and exec: there, with the threads of gRPC
gone in the middle of what they did, little may be called.
"""

import ctypes
import os
import sys

# linux/prctl.h, linux/securebits.h, linux/capability.h
_PR_SET_SECUREBITS = 28
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_KEEP_ACROSS_USERS = 1 << 2 | 1 << 3
"""SECBIT_NO_SETUID_FIXUP, locked: access(2), by which PostgreSQL looks for its own files, minds capabilities then."""
_CAPABILITY_VERSION_3 = 0x20080522
_MORE_THAN_THERE_ARE = 64


def main() -> None:
    uid, gid, capability = map(int, sys.argv[1:4])
    os.umask(0o077)
    if capability >= 0:
        _keep_only(uid, gid, capability)
    else:
        _become(uid, gid)
    os.execv(sys.argv[4], sys.argv[4:])  # noqa: S606 - the whole purpose


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _keep_only(uid: int, gid: int, capability: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def prctl(option: int, *values: int) -> None:
        padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
        _check(libc.prctl(option, *padded), "prctl")

    for each in range(_MORE_THAN_THERE_ARE):
        if each != capability:
            libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(each), 0, 0, 0)
    prctl(_PR_SET_SECUREBITS, _KEEP_ACROSS_USERS)
    _become(uid, gid)
    bit = 1 << capability
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    # Effective, permitted, inheritable, of the lower 32 and then of the upper.
    _check(libc.capset(header, (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)), "capset")
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _check(result: int, call: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{call}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"FATAL:  the system does not let PostgreSQL run as another user than root: {error.strerror}")
