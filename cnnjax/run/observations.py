"""Observations: one line a trained network, its factors and every number measured of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnjax.run.cells import SEED, Cell, cell_of, text_of
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.statistics import Summary, summarize
from cnnjax.run.stored import csv_text, read_array, read_table

with lazy_imports():
    import numpy as np
    import pandas  # ty: ignore[import-not-found]


class Observations:
    """A table of observations, and what is computed from it.

    Args:
      rows: factors and numbers of each network, by name.
      factors: names of the factors, 'seed' last.
      directory: of the run, where the arrays are; None where there are none.
    """

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        factors: Sequence[str],
        directory: Path | None = None,
    ) -> None:
        self.rows = [dict(row) for row in rows]
        self.factors = tuple(factors)
        self.directory = directory

    @classmethod
    def read(cls, directory: Path | str) -> Observations:
        """The observations of a run.

        Raises:
          FileNotFoundError: the run has no observations.csv.
          ValueError: the file is no table of observations.
        """
        rows, factors = read_table(Path(directory))
        return cls(rows, factors, Path(directory))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def cells(self) -> list[Cell]:
        """The cell of every row."""
        return [cell_of(row, self.factors) for row in self.rows]

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the factors but for the seed."""
        return tuple(name for name in self.factors if name != SEED)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the numbers, in the order of their first appearance."""
        return tuple(
            dict.fromkeys(name for row in self.rows for name in row if name not in self.factors)
        )

    @property
    def seeds(self) -> list[int]:
        """The seeds, each once."""
        return list(dict.fromkeys(row[SEED] for row in self.rows))

    def where(self, **factors: Any) -> Observations:
        """The rows in which these factors have these values; a tuple lists several values."""
        self._require(factors)
        wanted = {
            name: {text_of(each) for each in (value if isinstance(value, tuple) else (value,))}
            for name, value in factors.items()
        }
        kept = [
            row
            for row in self.rows
            if all(text_of(row.get(name)) in values for name, values in wanted.items())
        ]
        return Observations(kept, self.factors, self.directory)

    def values(self, factor: str) -> list[Any]:
        """The values of a factor, each once, in order."""
        self._require([factor])
        return list(dict.fromkeys(row[factor] for row in self.rows if factor in row))

    def column(self, number: str) -> np.ndarray:
        """A number of every row; NaN where a row has none.

        Raises:
          ValueError: no row has this number.
        """
        self._require_number(number)
        values = [row.get(number) for row in self.rows]
        return np.array([np.nan if value is None else value for value in values], np.float64)

    def groups(self, *by: str) -> dict[Any, Observations]:
        """The rows of each combination of values of these factors, by value (a tuple if several).

        Without factors: of all factors but the seed.
        """
        by = by or self.conditions
        self._require(by)
        found: dict[Any, list[dict[str, Any]]] = {}
        for row in self.rows:
            key = tuple(row.get(name) for name in by)
            found.setdefault(key[0] if len(by) == 1 else key, []).append(row)
        return {
            key: Observations(rows, self.factors, self.directory) for key, rows in found.items()
        }

    def summary(self, number: str, *by: str) -> dict[Any, Summary]:
        """Mean, standard deviation and n of a number over the seeds of each group, see `groups`.

        Groups without the number are left out.
        """
        self._require_number(number)
        found = {key: group._over_rows(number) for key, group in self.groups(*by).items()}
        return {key: summary for key, summary in found.items() if summary is not None}

    def differences(self, number: str, factor: str, against: Any) -> dict[Any, Summary]:
        """Paired differences of a number: each value of a factor minus that of `against`.

        Pairs have the same seed and the same values of all other factors.

        Args:
          number: what is compared.
          factor: whose values are compared.
          against: the value that the others are compared with.

        Raises:
          ValueError: `against` is no value of the factor, or a row has no partner.
        """
        values = self.values(factor)
        if against not in values:
            raise ValueError(f"against must be one of {values}, got {against!r}.")

        def numbers(value: Any) -> dict[tuple, float]:
            rows = self.where(**{factor: value})
            others = [name for name in self.factors if name != factor]
            keys = (tuple(text_of(row.get(name)) for name in others) for row in rows.rows)
            return dict(zip(keys, rows.column(number), strict=True))

        base = numbers(against)
        found = {}
        for value in values:
            if value == against:
                continue
            compared = numbers(value)
            if compared.keys() != base.keys():
                raise ValueError(
                    f"{factor} {value} and {against} must have the same seeds and other factors, "
                    f"got {sorted(compared)} and {sorted(base)}."
                )
            found[value] = summarize([compared[key] - base[key] for key in base])
        return found

    def contrast(
        self, number: str, plus: Sequence[Mapping[str, Any]], minus: Sequence[Mapping[str, Any]]
    ) -> Summary | None:
        """Sum of a number over some conditions minus that over others, paired by seed.

        With one condition on each side a difference; with two, by how much a difference changes.
        None where a condition lacks the number for any of the seeds.

        Args:
          number: its name.
          plus, minus: conditions, values of factors that leave one row for each seed, see `where`.

        Raises:
          ValueError: a condition has a seed twice.
        """
        self._require_number(number)
        total = dict.fromkeys(self.seeds, 0.0)
        for sign, conditions in ((1, plus), (-1, minus)):
            for condition in conditions:
                rows = self.where(**condition).rows
                values = {row[SEED]: row[number] for row in rows if row.get(number) is not None}
                if len({row[SEED] for row in rows}) < len(rows):
                    raise ValueError(f"a condition must have each seed once, got {condition}.")
                if values.keys() != total.keys():
                    return None
                total = {seed: total[seed] + sign * values[seed] for seed in total}
        return summarize(list(total.values()))

    def array(self, name: str) -> np.ndarray:
        """An array of every row, stacked: [rows, ...].

        Raises:
          ValueError: the observations are not those of a run's directory, or lack this array.
        """
        if self.directory is None:
            raise ValueError(f"array {name!r} must be in a run's directory, got observations only.")
        return np.stack([read_array(self.directory, cell, name) for cell in self.cells])

    def results(self, *by: str) -> list[dict[str, Any]]:
        """Factors, seeds and summaries of the numbers of each group, for results.json."""
        by = by or self.conditions
        found = []
        for key, group in self.groups(*by).items():
            factors = dict(zip(by, key if len(by) > 1 else (key,)))
            result: dict[str, Any] = {**factors, "seeds": group.seeds}
            result |= {number: group._over_rows(number) for number in group.numbers}
            found.append({name: value for name, value in result.items() if value is not None})
        return found

    def _over_rows(self, number: str) -> Summary | None:
        values = np.array([row[number] for row in self.rows if row.get(number) is not None], float)
        return summarize(values) if len(values) else None

    def to_csv(self) -> str:
        """One line a row: the factors, then every number."""
        columns = [*self.factors, *self.numbers]
        lines = [[row.get(name) for name in columns] for row in self.rows]
        return csv_text([columns, *lines])

    def to_pandas(self) -> Any:
        """The table as a pandas.DataFrame.

        Raises:
          ModuleNotFoundError: pandas is not installed.
        """
        return pandas.DataFrame(self.rows, columns=[*self.factors, *self.numbers])

    def to_latex(self, *by: str) -> str:
        """Mean and half of the 95 % interval of each number, as a LaTeX tabular (booktabs)."""
        rows = self.results(*by)
        columns = list(dict.fromkeys(name for row in rows for name in row if name != "seeds"))
        lines = [" & ".join(_latex(column.replace("_", " ")) for column in columns)]
        lines += [" & ".join(_latex_cell(row.get(name)) for name in columns) for row in rows]
        kinds = "".join("r" if column in self.numbers else "l" for column in columns)
        head, *body = (f"{line} \\\\" for line in lines)
        body = "\n".join(body)
        return (
            f"\\begin{{tabular}}{{{kinds}}}\n\\toprule\n{head}\n\\midrule\n{body}\n"
            "\\bottomrule\n\\end{tabular}\n"
        )

    def _require(self, factors: Any) -> None:
        for name in factors:
            if name not in self.factors:
                raise ValueError(f"factor must be one of {list(self.factors)}, got {name!r}.")

    def _require_number(self, number: str) -> None:
        if number not in self.numbers:
            raise ValueError(f"number must be one of {list(self.numbers)}, got {number!r}.")


def _latex(text: str) -> str:
    return "".join(f"\\{letter}" if letter in "&%$#_{}" else letter for letter in text)


def _latex_cell(value: Any) -> str:
    if not isinstance(value, Summary):
        return _latex(text_of(value))
    half = value.half_width() if value.n >= 3 else None
    return f"${value.mean:.4g}$" if half is None else f"${value.mean:.4g} \\pm {half:.2g}$"
