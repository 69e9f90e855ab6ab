"""Our batch path as one process, for timing: `python -m bench.pipeline EVENTS.csv WORKDIR [local|spark]`.

Prints one JSON line: seconds per stage, and what came out.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from spark_apps.engine.opening import open_engine
from spark_apps.jobs import clean, load, train
from spark_apps.progress import step, step_times
from spark_apps.settings import load_settings, local_root
from spark_apps.tables import DateRange

STAGES = {
    "Starting": "start",
    "Loading": "load",
    "Cleaning": "clean",
    "Features": "features",
    "Segments": "segments",
    "ALS": "als",
    "Popular products and content": "recommend",
    "Top 10 for every user": "recommend",
}


def main() -> None:
    """Runs load, clean and train and prints their times."""
    events, root, *engine = sys.argv[1:]
    shutil.rmtree(root, ignore_errors=True)
    settings = load_settings(root=root, engine=engine[0] if engine else None)
    folder = local_root(settings)
    began = time.monotonic()
    with ExitStack() as stack:
        with step("Loading"):
            load.run(folder, [Path(events)])
        with step("Starting"):
            opened = stack.enter_context(open_engine(settings, "bench"))
        with step("Cleaning"):
            clean.run(opened, folder, DateRange())
        training = train.run(opened, settings, folder, DateRange(), "5")
        total = time.monotonic() - began
    stages: dict[str, float] = {}
    for name, seconds in step_times.seconds.items():
        if name not in STAGES:
            continue
        stages[STAGES[name]] = round(stages.get(STAGES[name], 0.0) + seconds, 2)
    sizes = {"users": training.als.users, "items": training.als.products, "pairs": training.als.interactions}
    print(json.dumps({"stages": stages, "total": round(total, 2), **sizes}))


if __name__ == "__main__":
    main()
