"""`python -m augury.data`, the same as `augury data`."""

import sys

from augury.data.cli import main

sys.exit(main())
