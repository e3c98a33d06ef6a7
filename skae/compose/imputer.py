"""AutoencoderImputer: missing entries, filled from a Gaussian and networks, or from any model that takes gaps."""
