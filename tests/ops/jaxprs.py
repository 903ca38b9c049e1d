"""What a function hands to XLA: every equation of its jaxpr, calls opened."""

from collections.abc import Iterator


def equations(jaxpr, platform="cpu") -> Iterator:
    """The equations of `jaxpr` that are no calls, and those of what it calls, at any depth.

    Of the branches of `jax.lax.platform_dependent` only that of `platform` is opened. Loops and
    data-dependent branches are refused: how often their body runs is not written in the jaxpr.
    """
    for equation in jaxpr.eqns:
        inner = list(_called(equation, platform))
        if not inner:
            yield equation
        for called in inner:
            yield from equations(called, platform)


def _called(equation, platform) -> Iterator:
    params = dict(equation.params)
    name = equation.primitive.name
    if params.get("branches_platforms"):
        named = [platforms or (platform,) for platforms in params["branches_platforms"]]
        chosen = next(i for i, platforms in enumerate(named) if platform in platforms)
        params = {"branch": params["branches"][chosen]}
    elif name in ("scan", "while", "cond"):
        raise NotImplementedError(f"cannot count what runs inside {name}")
    for value in params.values():
        for item in value if isinstance(value, (list, tuple)) else [value]:
            item = getattr(item, "jaxpr", item)  # a ClosedJaxpr holds one
            if hasattr(item, "eqns"):
                yield item
