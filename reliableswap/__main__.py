"""`python -m reliableswap` is the `reliableswap` command."""

import sys

from .cli import main

sys.exit(main())
