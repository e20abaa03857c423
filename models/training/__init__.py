"""What all trainings share: gold tables, files, checkpoints, workers, the run's log, validation users."""

__all__ = [
    "bot_filter",
    "checkpoints",
    "command",
    "files",
    "gold",
    "run_log",
    "validation_users",
    "workers",
]
