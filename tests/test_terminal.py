"""The look at what commands tell finds what libraries say."""

from __future__ import annotations

import subprocess
import sys

from tests.terminal import WARNINGS_ARE_ERRORS, strange_lines

NOTICES = """\
WARNING: Using incubator modules: jdk.incubator.vector
✓ Features                       19.3 s  634 users, 1,887 products, 2,521 pairs
! 3 files wait
     3    1,500 events, 2 bad, 510 users  to 11-03 10:00  4.2 s
     4  events-000004.csv  refused
Next: shopstream recommend --user ID, or shopstream report
Error: There is nothing to do.
"""
OF_A_LIBRARY = """\
/shop/spark_apps/recommendation/hybrid.py:92: RuntimeWarning: invalid value encountered in log
  lifts: Scores = np.log(shares)
26/11/30 10:00:00 WARN TaskSetManager: Lost task 0.0
"""


def test_only_notices_of_ours_are_none_of_a_library() -> None:
    assert strange_lines(NOTICES) == []
    assert strange_lines(NOTICES + OF_A_LIBRARY) == OF_A_LIBRARY.splitlines()


def test_a_warning_ends_a_command() -> None:
    script = "import numpy; numpy.log(numpy.array([-1.0]))"
    done = subprocess.run(
        [sys.executable, "-c", script], env=WARNINGS_ARE_ERRORS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "RuntimeWarning" in done.stderr.splitlines()[-1]
