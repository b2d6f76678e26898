"""The causal mechanism: hidden states of persons and how a month changes them. README.md gives the equations.

The same `next_month` makes the realised histories and the forward paths behind the true probabilities.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from features.histories.tables import Floats, Ints

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Mechanism:
    """Every parameter of the mechanism; spreads are standard deviations, persistences are per month.

    ``effect_scale`` multiplies the effects of rest and mentoring: 0 switches them off, policies unchanged.
    """

    effect_scale: float = 1.0
    load_persistence: float = 0.86
    load_spread: float = 0.85
    unit_persistence: float = 0.93
    unit_load_spread: float = 0.35
    pressure_spread: float = 0.5
    burden_noise: float = 0.15
    season_swing: float = 0.08
    strain_persistence: float = 0.80
    strain_noise: float = 0.06
    frailty_spread: float = 0.30
    burden_on_strain: float = 0.22
    quick_return_on_strain: float = 0.05
    night_on_strain: float = 0.01
    incident_on_strain: float = 0.04
    pressure_on_strain: float = 0.08
    morale_persistence: float = 0.86
    morale_noise: float = 0.08
    strain_on_morale: float = -0.145
    pressure_on_morale: float = -0.05
    star_on_morale: float = 0.25
    strain_on_performance: float = -0.25
    aptitude_spread: float = 0.55
    transfer_dip: float = 1.3
    transfer_recovery: float = 0.78
    burnout_level: float = -5.0
    burnout_slope: float = 2.0
    burnout_relief: float = 0.9
    leaving_level: float = -5.9
    leaving_slope: float = 0.35
    transfer_chance: float = 0.009
    rest_policy: tuple[float, float, float, float] = (-2.7, -5.0, -4.0, -4.2)
    """Log-odds a month of compensatory leave, recuperation, counselling, roster relief at average strain."""
    rest_slope: float = 0.5
    rest_spread_of_units: float = 0.6
    rest_effect: tuple[float, float, float] = (0.06, 0.07, 0.25)
    """Strain relieved by a day of compensatory leave, a day of recuperation, a session of counselling."""
    relief_effect: float = 0.5
    """Burden taken off by a month of roster relief."""
    effect_differs: float = 0.5
    """Spread of the logarithm of each person's own effect; half of it follows what is on record."""
    mentoring_level: float = -4.6
    mentoring_slope: float = -0.8
    mentoring_effect: float = 0.22
    """Performance gained in a month of mentoring; it lasts with ``mentoring_lasts``."""
    mentoring_lasts: float = 0.93
    mentoring_months: int = 3


@dataclass(frozen=True)
class Traits:
    """What does not change: arrays over persons. ``*_response`` multiply the effects of rest and mentoring."""

    frailty: Floats
    aptitude: Floats  # [person, workload | quality | satisfaction]
    rest_response: Floats  # [person, compensatory leave | recuperation | counselling]
    mentoring_response: Floats
    tenure_years: Floats

    def take(self, who: Ints) -> "Traits":
        """Return the traits of some persons, repeated as often as they are named."""
        return Traits(**{part.name: getattr(self, part.name)[who] for part in fields(self)})


@dataclass(frozen=True)
class State:
    """What changes: arrays over persons. The unit's own states are copied to each of its members."""

    post: Ints
    load: Floats
    unit_load: Floats
    pressure: Floats
    unit_rest: Floats
    strain: Floats
    morale: Floats
    dip: Floats
    coached: Floats
    mentoring: Ints
    relief: Ints

    def take(self, who: Ints) -> "State":
        """Return the states of some persons, repeated as often as they are named."""
        return State(**{part.name: getattr(self, part.name)[who] for part in fields(self)})


@dataclass(frozen=True)
class Month:
    """What a month brought, per person: burden, shifts, incidents, rest taken (days or sessions), mentoring."""

    burden: Floats
    nights: Ints
    quick_returns: Ints
    incidents: Ints
    rest: Floats  # [person, compensatory leave | recuperation | counselling | relief]
    mentored: Mask
    performance: Floats


@dataclass(frozen=True)
class Extra:
    """Help beside the policies: days and sessions of each kind of rest, and who is mentored this month."""

    rest: Floats  # [person, compensatory leave | recuperation | counselling | relief]
    mentored: Mask


NIGHTS = np.array([4.0, 2.0, 4.0, 6.5, 2.0, 0.3, 6.5])
QUICK_RETURNS = np.array([1.5, 0.8, 1.3, 1.8, 0.8, 0.3, 1.6])
INCIDENTS = np.array([0.9, 0.3, 0.5, 1.2, 0.3, 0.05, 0.5])
"""Usual numbers a month by post, in the order of posts.yaml."""
REST_DAYS = np.array([2.0, 6.0, 1.0])


class Noise:
    """Random numbers for persons: independent ones, or antithetic halves for the forward paths."""

    def __init__(self, rng: np.random.Generator, size: int, *, antithetic: bool = False) -> None:
        self.rng, self.size, self.antithetic = rng, size, antithetic

    def normal(self) -> Floats:
        """Return standard normal numbers."""
        if not self.antithetic:
            return self.rng.standard_normal(self.size)
        half = self.rng.standard_normal(self.size // 2)
        return np.concatenate([half, -half])

    def happens(self, chance: Floats) -> Mask:
        """Return what happens, each with its chance."""
        return np.asarray(self.rng.random(self.size) < chance)

    def count(self, mean: Floats) -> Ints:
        """Return Poisson counts."""
        return self.rng.poisson(mean).astype(np.int32)


@dataclass(frozen=True)
class UnitShocks:
    """The innovations of load and pressure, one number per person (equal within a unit, or a path's own)."""

    load: Floats
    pressure: Floats


def sigmoid(value: Floats) -> Floats:
    """Return 1 / (1 + exp(-value))."""
    return np.asarray(1.0 / (1.0 + np.exp(-value)))


def season(month: int, mechanism: Mechanism) -> float:
    """Return the season's burden: highest in the summer and around the spring festival."""
    return mechanism.season_swing * float(np.cos(2 * np.pi * (month % 12 - 6.5) / 6))


def burnout_hazard(strain: Floats, mechanism: Mechanism) -> Floats:
    """Return the chance of a burnout episode in a month that ends with this strain."""
    return sigmoid(mechanism.burnout_level + mechanism.burnout_slope * strain)


def leaving_hazard(strain: Floats, mechanism: Mechanism) -> Floats:
    """Return the chance of leaving the force at the end of a month."""
    return sigmoid(mechanism.leaving_level + mechanism.leaving_slope * strain)


def performance(state: State, mechanism: Mechanism) -> Floats:
    """Return what a person's work is like this month, beside the aptitudes."""
    tired = mechanism.strain_on_performance * np.maximum(state.strain, -1.0)
    return np.asarray(state.morale + tired - state.dip + state.coached)


def next_month(
    state: State,
    traits: Traits,
    *,
    month: int,
    mechanism: Mechanism,
    noise: Noise,
    shocks: UnitShocks,
    extra: Extra | None = None,
) -> tuple[State, Month]:
    """Return the state at the end of ``month`` and what the month brought; ``extra`` help draws no random number."""
    m = mechanism
    state = _circumstances(state, mechanism=m, noise=noise, shocks=shocks)
    relieved = m.effect_scale * m.relief_effect * (state.relief > 0)
    burden = state.load + state.unit_load + season(month, m) - relieved + m.burden_noise * noise.normal()
    spared = np.where(state.relief > 0, 0.4, 1.0)
    nights = np.minimum(noise.count(NIGHTS[state.post] * np.exp(0.2 * burden) * spared), 14)
    quick = np.minimum(noise.count(QUICK_RETURNS[state.post] * np.exp(0.45 * np.minimum(burden, 3.0) - 0.2)), 12)
    incidents = np.minimum(noise.count(INCIDENTS[state.post] * np.exp(0.2 * burden)), 8)
    rest = _rest(state, mechanism=m, noise=noise)
    offered = sigmoid(m.mentoring_level + m.mentoring_slope * performance(state, m))
    mentored = (state.mentoring > 0) | noise.happens(offered)
    if extra is not None:
        rest, mentored = rest + extra.rest, mentored | extra.mentored
    meetings = np.where(state.mentoring > 0, state.mentoring - 1, (m.mentoring_months - 1) * mentored)
    seen = Month(burden, nights, quick, incidents, rest, mentored, performance=burden)
    strain = _strain(state, traits, mechanism=m, seen=seen)
    morale = m.morale_persistence * state.morale + m.strain_on_morale * state.strain
    morale = morale + m.pressure_on_morale * state.pressure
    gained = m.effect_scale * m.mentoring_effect * traits.mentoring_response * mentored
    after = replace(
        state,
        strain=strain + m.strain_noise * noise.normal(),
        morale=morale + m.morale_noise * noise.normal(),
        dip=state.dip * m.transfer_recovery,
        coached=state.coached * m.mentoring_lasts + gained,
        mentoring=meetings.astype(np.int32),
        relief=(rest[:, 3] > 0).astype(np.int32),
    )
    return after, replace(seen, performance=performance(after, m))


def _circumstances(state: State, *, mechanism: Mechanism, noise: Noise, shocks: UnitShocks) -> State:
    m = mechanism
    keep, unit = m.load_persistence, m.unit_persistence
    return replace(
        state,
        load=keep * state.load + m.load_spread * np.sqrt(1 - keep**2) * noise.normal(),
        unit_load=unit * state.unit_load + m.unit_load_spread * np.sqrt(1 - unit**2) * shocks.load,
        pressure=unit * state.pressure + m.pressure_spread * np.sqrt(1 - unit**2) * shocks.pressure,
    )


def _rest(state: State, *, mechanism: Mechanism, noise: Noise) -> Floats:
    """Rest follows what a superior can see of the strain, and the unit's own custom."""
    seen = state.strain + 0.6 * noise.normal()
    custom = mechanism.rest_slope * seen + state.unit_rest
    given = np.zeros((len(seen), 4))
    for kind, level in enumerate(mechanism.rest_policy):
        taken = noise.happens(sigmoid(level + custom))
        days = REST_DAYS[kind] if kind < len(REST_DAYS) else 1.0
        given[:, kind] = taken * days
    return given


def _strain(state: State, traits: Traits, *, mechanism: Mechanism, seen: Month) -> Floats:
    m, post = mechanism, state.post
    pushed = m.burden_on_strain * seen.burden + m.pressure_on_strain * state.pressure
    pushed = pushed + m.quick_return_on_strain * (seen.quick_returns - QUICK_RETURNS[post])
    pushed = pushed + m.night_on_strain * (seen.nights - NIGHTS[post])
    usual = INCIDENTS[post] * (1.0 + NIGHTS[post] / 15.0)
    pushed = pushed + m.incident_on_strain * (seen.incidents * (1.0 + seen.nights / 15.0) - usual)
    relieved = m.effect_scale * (seen.rest[:, :3] * traits.rest_response * np.array(m.rest_effect)).sum(axis=1)
    settled = (1.0 - m.strain_persistence) * traits.frailty
    return np.asarray(m.strain_persistence * state.strain + settled + pushed - relieved)
