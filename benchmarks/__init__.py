"""What proves the speed and the quality: each benchmark measures ours and a peer in the same run."""

import models  # noqa: F401  # says which Keras, before anything here imports TensorFlow
