"""What all tests share."""

import signal

from hypothesis import settings

# A kernel is compiled on its first call, so the first example takes longer than the rest: no deadline an example.
settings.register_profile("leofric", deadline=None)
settings.load_profile("leofric")

# What a shell starts in the background ignores Ctrl-C, and so would every process that a test starts and then interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
