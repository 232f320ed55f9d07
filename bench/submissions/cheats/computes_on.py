"""Refused. Hides its work from the clock: a grandchild, whom no parent will ask for its time, computes, and the entry
itself sleeps until it has finished."""
import os, time

def fit(photo, impressionist, task):
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()                     # a session of its own, and soon no parent
            last = time.monotonic()+10*task.seconds
            while time.monotonic() < last: sum(range(10_000))
        os._exit(0)
    os.wait()
    time.sleep(10*task.seconds)
    return lambda x: x
