"""A simulated force with a documented mechanism and known effects; see README.md for its equations."""

from features.simulation.export import write_export
from features.simulation.force import SimulatedForce, simulate
from features.simulation.intervention import Help, Intervene, Recorded
from features.simulation.mechanism import Mechanism

__all__ = ["Help", "Intervene", "Mechanism", "Recorded", "SimulatedForce", "simulate", "write_export"]
