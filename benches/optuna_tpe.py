"""Best values that Optuna's TPESampler finds on standard functions: the reference for our `tpe`.

    pip install optuna==5.0.0
    python benches/optuna_tpe.py > tests/reference/optuna_tpe.json

Each function is searched with 100 trials from each of 30 seeds, with the sampler's default settings. `sequential` tells
every value before the next trial is asked for; `pending_8` has always eight trials under way, told in the order in which
they were asked for. The constants of the functions are the usual ones (Surjanovic and Bingham, "Virtual Library of
Simulation Experiments"); tests/search_reference.rs holds the same functions.
"""

import json
import math
import sys
from collections import deque

import numpy
import optuna

TRIALS = 100
SEEDS = 30


def box(low, high, dimensions):
    return lambda trial: [trial.suggest_float(f"x{index}", low, high) for index in range(dimensions)]


def sphere(trial):
    return sum(x * x for x in box(-5.0, 5.0, 5)(trial))


def rosenbrock(trial):
    x = box(-5.0, 10.0, 4)(trial)
    return sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2 for a, b in zip(x, x[1:]))


def ackley(trial):
    x = box(-32.768, 32.768, 5)(trial)
    spread = math.sqrt(sum(value * value for value in x) / len(x))
    waves = sum(math.cos(2.0 * math.pi * value) for value in x) / len(x)
    return -20.0 * math.exp(-0.2 * spread) - math.exp(waves) + 20.0 + math.e


def branin(trial):
    x, y = trial.suggest_float("x0", -5.0, 10.0), trial.suggest_float("x1", 0.0, 15.0)
    parabola = y - 5.1 / (4.0 * math.pi**2) * x * x + 5.0 / math.pi * x - 6.0
    return parabola**2 + 10.0 * (1.0 - 1.0 / (8.0 * math.pi)) * math.cos(x) + 10.0


HEIGHTS = [1.0, 1.2, 3.0, 3.2]
WIDTHS = [
    [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
    [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
    [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
    [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
]
PLACES = [
    [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
    [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
    [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650],
    [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
]


def hartmann(trial):
    x = box(0.0, 1.0, 6)(trial)
    total = 0.0
    for height, widths, places in zip(HEIGHTS, WIDTHS, PLACES):
        total += height * math.exp(-sum(w * (a - p) ** 2 for w, a, p in zip(widths, x, places)))
    return -total


def mixed(trial):
    """A rate on a log scale, whole numbers, a choice, and settings that exist for one choice alone."""
    value = (math.log10(trial.suggest_float("rate", 1e-5, 1e-1, log=True)) + 3.0) ** 2
    value += 0.2 * (trial.suggest_int("layers", 1, 8) - 3) ** 2
    kind = trial.suggest_categorical("kind", ["plain", "bent", "flat"])
    if kind == "plain":
        return value + 4.0 * (trial.suggest_float("share", 0.0, 1.0) - 0.3) ** 2
    if kind == "bent":
        return value + 0.3 + (math.log10(trial.suggest_int("units", 1, 1000, log=True)) - 1.5) ** 2
    return value + 0.6


FUNCTIONS = [sphere, rosenbrock, ackley, branin, hartmann, mixed]


def search(function, seed, pending):
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    waiting = deque()
    for _ in range(TRIALS):
        trial = study.ask()
        waiting.append((trial, function(trial)))
        if len(waiting) >= pending:
            study.tell(*waiting.popleft())
    while waiting:
        study.tell(*waiting.popleft())
    return study.best_value


def main():
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    result = {
        "script": "benches/optuna_tpe.py",
        "optuna": optuna.__version__,
        "numpy": numpy.__version__,
        "python": sys.version.split()[0],
        "trials": TRIALS,
        "best_values": {},
    }
    for function in FUNCTIONS:
        result["best_values"][function.__name__] = {
            name: [search(function, seed, pending) for seed in range(SEEDS)]
            for name, pending in [("sequential", 1), ("pending_8", 8)]
        }
        print(function.__name__, file=sys.stderr)
    json.dump(result, sys.stdout, indent=1)
    print()


main()
