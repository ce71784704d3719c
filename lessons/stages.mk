# Which files join at which lesson, what they may know, and what tests them.
# Read by the Makefile and by tests/layers.bats. A layer may refer to its own
# files and to those of the layers it NEEDS, to nothing else: the linker checks.

LESSONS := 1 2 3 4 5 6 7 8 9 10 11 12

NAME_1  := 01-swap
FILES_1 := asm/coctx_swap_$(ARCH)
NEEDS_1 :=
TESTS_1 := t_swap

NAME_2  := 02-context
FILES_2 := src/coctx
NEEDS_2 := 1
TESTS_2 := t_context

NAME_3  := 03-coroutine
FILES_3 := src/slab src/stack src/overflow src/assert src/env src/attach src/coroutine src/debug
NEEDS_3 := 1 2
TESTS_3 := t_stack t_overflow t_coroutine t_misuse t_random t_unwind t_exception

NAME_4  := 04-scheduler
FILES_4 := src/loop
NEEDS_4 := 1 2 3
TESTS_4 := t_loop t_misuse_loop t_fault t_thread

NAME_5  := 05-timers
FILES_5 := src/clock src/timer src/timer_far src/timer_heap src/timer_wheel src/alarm src/timer_timerfd src/sleep
NEEDS_5 := 1 2 3 4
TESTS_5 := t_timer t_sleep t_sleep_fault

NAME_6  := 06-epoll
FILES_6 := src/closing src/epoll_sleep src/epoll
NEEDS_6 := 1 2 3 4 5
TESTS_6 := t_epoll

NAME_7  := 07-poll
FILES_7 := src/co_poll src/kept
NEEDS_7 := 1 2 3 4 5 6
TESTS_7 := t_poll t_poll_fault

# One object, build/costep_hooks.o, that programs name on their link line. It is in no
# archive: there, any use of `read` would pull it in silently.
NAME_8  := 08-hooks
FILES_8 := src/hook src/hook_wait src/hook_known src/hook_rw src/hook_socket src/hook_connect src/hook_change src/hook_poll src/hook_sleep src/hook_lookup src/hook_env
NEEDS_8 := 1 2 3 4 5 6 7
TESTS_8 := t_hook t_hook_same t_hook_story t_hook_lookup t_hook_fault t_hook_close t_hook_known
HOOKS   := 8

NAME_9  := 09-stacks
FILES_9 := src/stack_used
NEEDS_9 := 1 2 3
TESTS_9 := t_stack_used

NAME_10  := 10-sharestack
FILES_10 := src/sharestack
NEEDS_10 := 1 2 3
TESTS_10 := t_sharestack t_random_shared t_crowd_shared t_unwind_shared

NAME_11  := 11-sync
FILES_11 := src/waitlist src/cond src/mutex src/specific
NEEDS_11 := 1 2 3 4 5
TESTS_11 := t_cond t_mutex t_specific t_closure

NAME_12  := 12-threads
FILES_12 := src/remote
NEEDS_12 := 1 2 3 4 5 6 7 8 10 11
TESTS_12 := t_remote t_remote_threads t_preempt
