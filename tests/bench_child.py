"""Runs a command and prints what it took: wall seconds, processor seconds, largest memory in GB, and how it ended.

`python -m tests.bench_child COMMAND...` is a process of its own because Linux counts to a child's largest memory what
its parent ever held: a benchmark that has run for an hour would be measured instead of the command.
"""

import json
import os
import subprocess
import sys
import time

if __name__ == "__main__":
    began = time.perf_counter()
    process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds, cpu = time.perf_counter() - began, used.ru_utime + used.ru_stime
    print(json.dumps([seconds, cpu, used.ru_maxrss / 1e6, process.returncode]))
