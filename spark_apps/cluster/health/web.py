"""What the cluster's servers say of themselves on the ports of this machine; None while they do not answer."""

from __future__ import annotations

from collections.abc import Mapping

from spark_apps.cluster.ports import url
from spark_apps.platform.http import NoAnswerError, OtherAnswerError
from spark_apps.platform.namenode import NameNode, ask_namenode
from spark_apps.platform.spark_master import SparkMaster, ask_master


def spark_master(environment: Mapping[str, str]) -> SparkMaster | None:
    """Asks the Spark master for its workers and applications."""
    try:
        return ask_master(url(environment, "SPARK"))
    except (NoAnswerError, OtherAnswerError):
        return None


def namenode(environment: Mapping[str, str]) -> NameNode | None:
    """Asks the NameNode for its state."""
    try:
        return ask_namenode(url(environment, "HDFS"))
    except (NoAnswerError, OtherAnswerError):
        return None
