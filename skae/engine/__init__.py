"""Sources of batches, optimizers and the only training loop."""
