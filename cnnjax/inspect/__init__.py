"""Properties of a layer or network: cost, linear map, receptive field, derivatives, features.

Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from cnnjax.run.lazy import lazy_exports

if TYPE_CHECKING:  # read by `lazy_exports`, too
    from cnnjax.inspect.architecture import (
        Layer as Layer,
        cost_of as cost_of,
        layers_of as layers_of,
    )
    from cnnjax.inspect.cost import (
        CompiledProgram as CompiledProgram,
        MachineLimits as MachineLimits,
        arithmetic_intensity as arithmetic_intensity,
        bytes_moved as bytes_moved,
        compiled_program as compiled_program,
        interleaved_seconds as interleaved_seconds,
        machine_limits as machine_limits,
        multiply_adds as multiply_adds,
        parameter_count as parameter_count,
    )
    from cnnjax.inspect.features import (
        feature_maps as feature_maps,
        occlusion_map as occlusion_map,
        preferred_inputs as preferred_inputs,
        saliency as saliency,
        smooth_saliency as smooth_saliency,
        top_patches as top_patches,
    )
    from cnnjax.inspect.gabor_fit import (
        GaborFit as GaborFit,
        fit_gabor as fit_gabor,
        gabor_features as gabor_features,
    )
    from cnnjax.inspect.gradient_check import (
        GradientCheck as GradientCheck,
        check_gradients as check_gradients,
    )
    from cnnjax.inspect.learned import (
        Evidence as Evidence,
        FirstFilters as FirstFilters,
        Unit as Unit,
        convolutions_spread as convolutions_spread,
        evidence as evidence,
        first_filters as first_filters,
        preferred_classes as preferred_classes,
        varied_units as varied_units,
    )
    from cnnjax.inspect.learning_speed import (
        examples_to_reach as examples_to_reach,
        power_law_exponent as power_law_exponent,
        power_laws as power_laws,
    )
    from cnnjax.inspect.linear_maps import (
        UNCONNECTED as UNCONNECTED,
        affine_error as affine_error,
        linear_map as linear_map,
        sharing_pattern as sharing_pattern,
        sharing_rule as sharing_rule,
    )
    from cnnjax.inspect.predictions import (
        classification_metrics as classification_metrics,
        image_overlap as image_overlap,
        intersection_over_union as intersection_over_union,
        most_probable as most_probable,
        segmentation_metrics as segmentation_metrics,
    )
    from cnnjax.inspect.receptive_fields import (
        ReceptiveField as ReceptiveField,
        receptive_field as receptive_field,
    )
    from cnnjax.inspect.scales import layer_scales as layer_scales
    from cnnjax.inspect.turns import (
        BUSY as BUSY,
        Clocks as Clocks,
        Quartiles as Quartiles,
        Sketch as Sketch,
        Turn as Turn,
        array_sketch as array_sketch,
        interleaved_turns as interleaved_turns,
        machine_cpu_seconds as machine_cpu_seconds,
        sketch_distance as sketch_distance,
        speedup_quartiles as speedup_quartiles,
        timed_turn as timed_turn,
        turn_quartiles as turn_quartiles,
    )
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
