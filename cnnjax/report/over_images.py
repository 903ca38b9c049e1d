"""Means over seeds and test images, and paired differences, with intervals that count both."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnjax.report.findings import Names, name_of
from cnnjax.report.table import LEAST, MISSING, Table, format_interval, format_number
from cnnjax.run.cells import SEED, text_of
from cnnjax.run.observations import Observations
from cnnjax.run.statistics import bootstrap_interval


def results_over_images(
    found: Observations, arrays: Sequence[str], factor: str, against: Any
) -> list[dict[str, Any]]:
    """Means over seeds and images of what was measured of every image, and paired differences.

    Where test images are few, which ones they are is as uncertain as the seed. Differences are made
    image by image and seed by seed, so that what images share, such as how hard they are, cancels.

    Args:
      found: the observations; every network was evaluated on the same images in the same order.
      arrays: names of arrays `[images]`, such as 1 where a network is correct and 0 where not.
      factor: whose values are compared.
      against: the value that is subtracted.

    Returns:
      For each combination of the factors that vary, and of `factor`, their values under 'factors';
      'seeds' and 'images', how many; 'means' and 'differences' by the name of the array, each with
      'mean' and, from three seeds on, 'interval' of 95 %, see `statistics.bootstrap_interval`, else
      None. 'differences' is None for `against` and where it is missing. 'against' is that value.

    Raises:
      ValueError: another factor, a seed that a group has twice, or seeds without a partner.
    """
    by = [
        name
        for name in found.conditions
        if name == factor or len({text_of(row.get(name)) for row in found.rows}) > 1
    ]
    if factor not in by:
        raise ValueError(f"factor must be one of {list(found.conditions)}, got {factor!r}.")
    groups = {key if len(by) > 1 else (key,): group for key, group in found.groups(*by).items()}
    seeds = {key: sorted(row[SEED] for row in group.rows) for key, group in groups.items()}
    values = {
        key: {name: _by_seed(group, name) for name in arrays} for key, group in groups.items()
    }
    results = []
    for key, own in values.items():
        other = tuple(against if name == factor else each for name, each in zip(by, key))
        if len(set(seeds[key])) < len(seeds[key]) or seeds[key] != seeds.get(other, seeds[key]):
            raise ValueError(
                f"{', '.join(map(str, key))} must have each seed once, those of {factor} "
                f"{against}, got {seeds[key]}."
            )
        differences = None
        if other != key and other in values:
            differences = {name: _estimate(own[name] - values[other][name]) for name in arrays}
        results.append(
            {
                "factors": dict(zip(by, key)),
                "seeds": len(seeds[key]),
                "images": own[arrays[0]].shape[1],
                "means": {name: _estimate(each) for name, each in own.items()},
                "against": against,
                "differences": differences,
            }
        )
    return results


def table_over_images(
    results: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    names: Names = None,
    caption: str = "",
) -> Table:
    """The table of `results_over_images`, in percent with intervals: '81 (78 to 84)'.

    A row for each combination of factors, for each array its mean, and its difference where any
    row has one. A dash where there is no difference, and for fewer than 3 seeds, which are no
    comparison.

    Args:
      results: of `results_over_images`, at least one.
      columns: for each heading the name of an array.
      names: words for values of factors, and for factors in the headings.
      caption: what to say of the numbers.
    """
    names = names or {}
    first, compared = results[0], any(each["differences"] for each in results)
    heads = [names.get(name, name.replace("_", " ")) for name in first["factors"]]
    against = name_of(first["against"], names)
    for heading in columns:
        heads += [f"{heading} (%)"] + compared * [f"{heading}, minus {against} (points)"]
    rows = []
    for each in results:
        cells = [name_of(value, names) for value in each["factors"].values()]
        for array in columns.values():
            cells.append(_percent(each["means"][array]))
            if compared:
                change = (each["differences"] or {}).get(array)
                cells.append(_percent(change) if change and change["interval"] else MISSING)
        rows.append(cells)
    return Table(heads, rows, caption=f"{caption} {_said(results, compared)}".strip())


def _by_seed(group: Observations, array: str) -> np.ndarray:
    """Values `[seeds, images]`, the smallest seed first."""
    order = np.argsort([row[SEED] for row in group.rows])
    return group.array(array).astype(float)[order]


def _estimate(values: np.ndarray) -> dict[str, Any]:
    interval = bootstrap_interval(values) if len(values) >= LEAST else None
    return {"mean": float(values.mean()), "interval": interval}


def _percent(estimate: Mapping[str, Any]) -> str:
    if estimate["interval"] is None:
        return format_number(100 * estimate["mean"])
    return format_interval(estimate["mean"], estimate["interval"], 100)


def _said(results: Sequence[Mapping[str, Any]], compared: bool) -> str:
    """What the numbers are, and over what."""
    seeds, images = min(each["seeds"] for each in results), [each["images"] for each in results]
    some = " to ".join(f"{each:,}" for each in sorted({min(images), max(images)}))
    over = f"{'one seed' if seeds == 1 else f'{seeds} seeds'} and {some} images"
    paired = ", differences paired by both" if compared else ""
    if seeds < LEAST:
        return f"Mean over {over}, no intervals{paired}."
    return f"Mean over {over}, 95 % interval by bootstrap of both{paired}."
