"""``python -m lab`` is ``l2tp-lab``."""

import sys

from lab.cli import main

sys.exit(main())
