/* SPDX-License-Identifier: MIT */
/*
 * hook_names — the libc functions that lesson 8 replaces, listed once.
 *
 * The core must call none of them: with the hooks linked in, its own call
 * would come back to it. tests/layers.bats holds `nm -u` of every library
 * object against this list. The entry points that compilers substitute for
 * them (__read_chk and so on) are names of their own.
 *
 * HOOK(name) is defined by whoever includes this file.
 */
HOOK(read) HOOK(write) HOOK(readv) HOOK(writev)
HOOK(recv) HOOK(recvfrom) HOOK(recvmsg)
HOOK(send) HOOK(sendto) HOOK(sendmsg)
HOOK(connect) HOOK(accept) HOOK(accept4)
HOOK(close) HOOK(fclose) HOOK(dup2) HOOK(dup3)
HOOK(fcntl) HOOK(fcntl64) HOOK(ioctl) HOOK(setsockopt)
HOOK(poll) HOOK(ppoll) HOOK(select) HOOK(pselect)
HOOK(sleep) HOOK(usleep) HOOK(nanosleep) HOOK(clock_nanosleep)
HOOK(getaddrinfo) HOOK(gethostbyname) HOOK(gethostbyname2)
HOOK(gethostbyname_r) HOOK(gethostbyname2_r)
HOOK(setenv) HOOK(getenv) HOOK(unsetenv)
HOOK(__read_chk) HOOK(__recv_chk) HOOK(__recvfrom_chk)
HOOK(__poll_chk) HOOK(__ppoll_chk)
