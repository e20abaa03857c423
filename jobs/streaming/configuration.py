"""Flink's settings for this job, and the environment of the Java that runs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from string import whitespace
from typing import Any

from headrace.machine.jars import engine_jars
from headrace.machine.java import java_home
from headrace.machine.ports import LOOPBACK
from headrace.machine.stream_state import checkpoint_folder
from headrace.settings import Settings

JAVA_OPTIONS = "-Xmx1g -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
"""Heap: enough for the users of `flink.carried_seconds`. Only the C1 compiler: on two busy cores the job then wrote its
first row after 37 s instead of 88, and used 46 s of CPU instead of 70 for 100,000 events; the flag alone would reduce
the code cache to a fifth. `JVM_ARGS` override these."""
LOG_NAME = "stream"

_LOG4J = """\
rootLogger.level = WARN
rootLogger.appenderRef.file.ref = File
logger.job.name = org.apache.flink.runtime.executiongraph.ExecutionGraph
logger.job.level = INFO
logger.python.name = PythonWorker
logger.python.level = INFO
appender.file.name = File
appender.file.type = RollingFile
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{yyyy-MM-dd HH:mm:ss,SSS}} %-5p %c{{1}} - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
"""


def flink_configuration(settings: Settings) -> Any:
    """The job's `Configuration`. Starts Java: call `prepare_java` before."""
    from pyflink.common import Configuration

    configuration = Configuration()
    for name, value in _options(settings).items():
        configuration.set_string(name, value)
    return configuration


def table_environment(settings: Settings) -> Any:
    """A streaming `TableEnvironment` of that configuration."""
    from pyflink.table import EnvironmentSettings, TableEnvironment

    streaming = EnvironmentSettings.new_instance().in_streaming_mode()
    return TableEnvironment.create(streaming.with_configuration(flink_configuration(settings)).build())


def _options(settings: Settings) -> dict[str, str]:
    flink = settings.flink
    options = {
        "pipeline.name": "headrace-stream",
        "pipeline.jars": ";".join(path.as_uri() for path in engine_jars(settings.jars, "flink")),
        "pipeline.object-reuse": "true",
        "parallelism.default": str(flink.parallelism),
        "table.local-time-zone": "UTC",
        "table.exec.state.ttl": f"{flink.carried_seconds} s",
        "io.tmp.dirs": str(temporary_folder(settings)),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.execution-mode": "process",
        "python.fn-execution.bundle.time": str(flink.bundle_time_ms),
        "python.fn-execution.bundle.size": str(flink.bundle_size),
        "python.fn-execution.arrow.batch.size": str(flink.bundle_size),
        "execution.buffer-timeout.interval": f"{flink.buffer_timeout_ms} ms",
        "execution.checkpointing.interval": f"{flink.checkpoint_interval_ms} ms",
        "execution.checkpointing.dir": checkpoint_folder(settings).as_uri(),
        "execution.checkpointing.externalized-checkpoint-retention": "DELETE_ON_CANCELLATION",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "30 s",
    }
    if settings.profile == "local":
        options |= {
            "rest.address": LOOPBACK,
            "rest.bind-address": LOOPBACK,
            "rest.bind-port": "0",
            "jobmanager.rpc.address": LOOPBACK,
            "jobmanager.bind-host": LOOPBACK,
            "taskmanager.host": LOOPBACK,
            "taskmanager.bind-host": LOOPBACK,
        }
    return options


def temporary_folder(settings: Settings) -> Path:
    """What a run unpacks and spills: an ended Java removes it, a killed one cannot."""
    return settings.home_folder / "flink" / "tmp"


def prepare_java(settings: Settings) -> Path:
    """Choose Java, its heap and its log for the engine that PyFlink starts in this process; the log's path.

    Raises HeadraceError if there is no suitable Java.
    """
    logs = settings.home_folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{LOG_NAME}.flink.log"
    properties = settings.home_folder / "flink" / "log4j.properties"
    properties.parent.mkdir(parents=True, exist_ok=True)
    properties.write_text(_LOG4J.format(log=log), encoding="utf-8")
    temporary = temporary_folder(settings)
    temporary.mkdir(parents=True, exist_ok=True)
    options = [JAVA_OPTIONS, os.environ.get("JVM_ARGS", "")]
    if not set(str(temporary)) & set(whitespace):  # PyFlink splits the options there
        options.append(f"-Djava.io.tmpdir={temporary}")
    os.environ |= {
        "JAVA_HOME": str(java_home()),
        "JVM_ARGS": " ".join(options),
        "FLINK_LOG_DIR": str(logs),
        "LOG4J_PROPERTIES": str(properties),
        "_python_worker_execution_mode": "process",  # the other mode opens a port on every network of the machine
    }
    return log
