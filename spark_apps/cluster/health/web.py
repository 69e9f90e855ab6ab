"""What the cluster's servers say of themselves on the ports of this machine; None while they do not answer."""

from __future__ import annotations

from spark_apps.cluster.config import ClusterConfig
from spark_apps.platform.http import NoAnswerError, OtherAnswerError
from spark_apps.platform.namenode import NameNode, ask_namenode
from spark_apps.platform.spark_master import SparkMaster, ask_master


def spark_master(config: ClusterConfig) -> SparkMaster | None:
    """Asks the Spark master for its workers and applications."""
    try:
        return ask_master(config.url("SPARK"))
    except (NoAnswerError, OtherAnswerError):
        return None


def namenode(config: ClusterConfig) -> NameNode | None:
    """Asks the NameNode for its state."""
    try:
        return ask_namenode(config.url("HDFS"))
    except (NoAnswerError, OtherAnswerError):
        return None
