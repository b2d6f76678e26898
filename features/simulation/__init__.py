"""A simulated force with a documented mechanism and known effects; see README.md for its equations."""

from features.simulation.export import write_export
from features.simulation.force import SimulatedForce, simulate
from features.simulation.intervention import Help, Intervene, Recorded, Trial, known_waves
from features.simulation.mechanism import Mechanism

__all__ = [
    "Help",
    "Intervene",
    "Mechanism",
    "Recorded",
    "SimulatedForce",
    "Trial",
    "known_waves",
    "simulate",
    "write_export",
]
