"""The PyTorch modules inside the autoencoders: networks and likelihoods."""
