"""`python -m reliableswap` is the `reliableswap` command."""

import sys

from reliableswap.cli.main import main

sys.exit(main())
