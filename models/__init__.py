"""Training: two-tower retrieval, ranker, release bundles, evaluation, registry.

TFRS needs Keras 2, which TensorFlow only uses if this variable is set before it is imported: here, and nowhere else.
"""

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# OpenMP's threads (XGBoost, implicit) sleep while they wait: spinning threads would take the core of another process.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
