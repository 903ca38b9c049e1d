"""Checks of the properties that a convolution must have, for a layer of your own.

    print(check_variant(MyConv).text)                     all checks, with a verdict

    @pytest.mark.parametrize("check", variant_checks(MyConv), ids=str)
    def test_my_conv(check):                              each check as a test
        check()

    python launch.py check my_module:MyConv               from the command line

A layer may claim two properties, both tested: `predicted_lattice(space)`, the translations it
commutes with, as in `cnnjax.layers.ConvolutionLayer`, and `is_linear`, True or False: whether the
output is affine in the input. Without a claim the property is measured and reported.

Names are loaded when first used.
"""

from cnnjax.run.lazy import lazy_exports

_SUBMODULES = {
    "checks": ("Check", "Finding", "Verdict", "check_variant", "variant_checks"),
    "properties": ("PROPERTIES",),
    "subject": ("Subject",),
}

__getattr__, __dir__, __all__ = lazy_exports(__name__, _SUBMODULES)
