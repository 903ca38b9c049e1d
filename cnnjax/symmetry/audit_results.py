"""An audit as plain values, for a file and for the figures of it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from cnnjax.symmetry.audit import Audit, Break, Stage
from cnnjax.symmetry.responses import Response


def audit_results(found: Audit, sizes: Mapping[int, Response | str]) -> dict[str, Any]:
    """Everything that an audit found, in mappings, lists, numbers and text.

    Args:
      found: from `audit`.
      sizes: from `over_sizes`.

    Returns:
      'stages': for each call of a submodule its path, module, attributes, shapes, and its responses
      'from_image' and 'alone', None where it has none; 'breaks': for each transformation whether it
      is 'kept', and else where it is lost; 'sizes': for each size the response of the output, or
      the 'problem' that there is. A response has the exact 'lattice' of shifts, the 'errors' of all
      transformations, and the names of those that are 'kept' and 'reordered'.
    """
    return {
        "stages": [_stage(stage) for stage in found.stages],
        "breaks": [
            {"transformation": name, "kept": at is None, **(_place(at) if at else {})}
            for name, at in found.breaks.items()
        ],
        "sizes": [
            {"size": size, "problem": at}
            if isinstance(at, str)
            else {"size": size, "problem": None, **_response(at)}
            for size, at in sizes.items()
        ],
    }


def _stage(stage: Stage) -> dict[str, Any]:
    names = ("path", "module", "innermost", "input_shape", "output_shape")
    return {
        **{name: getattr(stage, name) for name in names},
        "attributes": {name: str(value) for name, value in stage.attributes.items()},
        "from_image": stage.response and _response(stage.response),
        "alone": stage.alone and _response(stage.alone),
    }


def _response(found: Response) -> dict[str, Any]:
    kept = [name for name in found.errors if found.keeps(name)]
    reordered = sorted(found.reordered)
    return {"lattice": found.lattice, "errors": found.errors, "kept": kept, "reordered": reordered}


def _place(at: Break) -> dict[str, Any]:
    attributes = {name: str(value) for name, value in at.attributes.items()}
    return {**dataclasses.asdict(at), "attributes": attributes}
