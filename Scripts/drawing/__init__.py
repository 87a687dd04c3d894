"""Reading and drawing of the CSVs that `veclab figures` writes: what Scripts/plot and Scripts/report share."""

import os
import sys


def need(*modules, install="run Scripts/install plot"):
    """Makes sure that Debian's Python modules can be imported.

    Debian's packages belong to Debian's interpreter, which need not be the first in PATH: if this one lacks a
    module, the program is started again with that one.
    """
    import importlib.util

    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if not missing:
        return
    debian = "/usr/bin/python3"
    if os.path.exists(debian) and os.path.realpath(sys.executable) != os.path.realpath(debian):
        os.execv(debian, [debian, *sys.argv])
    name = os.path.basename(sys.argv[0])
    sys.exit(f"Scripts/{name}: {', '.join(missing)} is missing: {install}")
