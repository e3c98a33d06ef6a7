"""Variational autoencoders: generative models of rows, whose code is a distribution."""
