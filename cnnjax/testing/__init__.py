"""Checks of the properties that a convolution must have, for a layer of your own.

    print(check_variant(MyConv).text)                     all checks, with a verdict

    @pytest.mark.parametrize("check", variant_checks(MyConv), ids=str)
    def test_my_conv(check):                              each check as a test
        check()

    python launch.py check my_module:MyConv               from the command line

A layer may claim three properties, all tested: `predicted_lattice(space)`, the translations it
commutes with, as in `cnnjax.layers.ConvolutionLayer`; `predicted_group`, 4 for rotations by 90
degrees, 8 for reflections as well, 1 for neither; and `is_linear`, True or False: whether the
output is affine in the input. Without a claim the property is measured and reported.

What a convolution must satisfy is told apart from advice, `ADVICE`, which fails no layer; and
`check_variant(MyConv, waive={"linear map": "its gate is made of the input"})` says why a property
does not matter.

Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from cnnjax.run.lazy import lazy_exports

if TYPE_CHECKING:  # read by `lazy_exports`, too
    from cnnjax.testing.checks import (
        Check as Check,
        Finding as Finding,
        Verdict as Verdict,
        check_variant as check_variant,
        findings as findings,
        variant_checks as variant_checks,
    )
    from cnnjax.testing.properties import ADVICE as ADVICE, PROPERTIES as PROPERTIES
    from cnnjax.testing.subject import Subject as Subject
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
