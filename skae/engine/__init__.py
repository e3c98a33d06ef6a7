"""Sources of batches, optimizers and the training loop."""
