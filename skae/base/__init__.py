"""The contract with scikit-learn, and what a new variant is made of."""
