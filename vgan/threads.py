"""How the threads of a computation wait for one another."""

import os

# PyTorch has GNU's OpenMP on Linux. A thread that waits there looks about 300,000 times before it
# sleeps, some ten milliseconds. Where another program wants the core, that is time taken from the
# very thread waited for. A thirtieth of it is enough on a machine with nothing else to do.
BRIEF = {"GOMP_SPINCOUNT": "10000"}


def wait_briefly() -> None:
    """Let threads that wait sleep soon; has to come before torch is imported.

    What the user has set for OpenMP's waiting is left as it is.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys():
        os.environ |= BRIEF
