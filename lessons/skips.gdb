# SPDX-License-Identifier: MIT
# What every call of the library goes through (CO_INSIDE in src/env.h), and nobody wants to
# step into. -fu: by name, whether or not there is such a function yet. Without a word.
python
for name in ("co_go_in", "co_come_out", "co_get_curr_thread_env"):
    gdb.execute("skip -fu " + name, to_string=True)
end
