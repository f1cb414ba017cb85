"""How the threads of a computation wait for one another."""

import os
from collections.abc import MutableMapping

# PyTorch has GNU's OpenMP on Linux. A thread that waits there looks about 300,000 times before it
# sleeps, some ten milliseconds. Where another program wants the core, that is time taken from the
# very thread waited for. A thirtieth of it is enough on a machine with nothing else to do.
_BRIEF = {"GOMP_SPINCOUNT": "10000"}
# NumPy and SciPy have OpenBLAS, whose threads look on for long after every product, too: beside
# other programs, small regressions took 20 times as long. This is the exponent of 2, in cycles.
_BRIEF_BLAS = ("OPENBLAS_THREAD_TIMEOUT", "16")


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads that wait sleep soon; has to come before torch and NumPy are imported.

    What the user has set for the waiting of OpenMP or OpenBLAS is left as it is.

    Args:
        environment: this process's, or that of one to be started.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & environment.keys():
        environment.update(_BRIEF)
    environment.setdefault(*_BRIEF_BLAS)
