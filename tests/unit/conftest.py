"""Generated tests have all the time that a busy machine makes them take."""

import tests.support.patience  # noqa: F401
