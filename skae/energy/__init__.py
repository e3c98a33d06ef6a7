"""The mathematics of Boltzmann machines."""
