"""Synthetic events: made from a seed, of any size, calibrated on a real shop's log, never rows of it."""

from spark_apps.generator.events import event_batches, write_events
from spark_apps.generator.spec import GeneratorSpec

__all__ = ["GeneratorSpec", "event_batches", "write_events"]
