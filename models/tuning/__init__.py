"""Search of hyperparameters (Optuna), tracked in MLflow."""
