"""Transformations of images, and measures of how any function responds to them.

Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from cnnjax.run.lazy import lazy_exports

if TYPE_CHECKING:  # read by `lazy_exports`, too
    from cnnjax.ops.photometric import brightness as brightness, contrast as contrast
    from cnnjax.symmetry.alignment import (
        fit_linear_map as fit_linear_map,
        linear_equivalence as linear_equivalence,
    )
    from cnnjax.symmetry.decomposition import (
        Decomposition as Decomposition,
        lie_decomposition as lie_decomposition,
    )
    from cnnjax.symmetry.detectors import (
        Specialisation as Specialisation,
        class_shares as class_shares,
        shuffled_specialisation as shuffled_specialisation,
        specialisation as specialisation,
    )
    from cnnjax.symmetry.equivariance import (
        EXACT as EXACT,
        INDEPENDENT as INDEPENDENT,
        assert_equivariant as assert_equivariant,
        equivariance_error as equivariance_error,
        equivariance_pair as equivariance_pair,
        errors_over_shifts as errors_over_shifts,
        relative_error as relative_error,
        translate_output as translate_output,
    )
    from cnnjax.symmetry.errors import (
        border_errors as border_errors,
        equivariance_errors as equivariance_errors,
    )
    from cnnjax.symmetry.groups import Group as Group, cyclic as cyclic, dihedral as dihedral
    from cnnjax.symmetry.invariance import (
        accuracy_curve as accuracy_curve,
        chance_corrected_consistency as chance_corrected_consistency,
        classes_over_crops as classes_over_crops,
        classes_over_shifts as classes_over_shifts,
        one_pixel_flip_rate as one_pixel_flip_rate,
        shift_consistency as shift_consistency,
        worst_case_accuracy as worst_case_accuracy,
    )
    from cnnjax.symmetry.lattices import (
        errors_by_lattice as errors_by_lattice,
        lattice_of_errors as lattice_of_errors,
        layer_lattices as layer_lattices,
        on_lattice as on_lattice,
        translation_lattice as translation_lattice,
    )
    from cnnjax.symmetry.layerwise import layer_errors as layer_errors
    from cnnjax.symmetry.lie_derivatives import (
        MOTIONS as MOTIONS,
        Generators as Generators,
        estimated_layer_errors as estimated_layer_errors,
        invariant_generators as invariant_generators,
        invariant_plane_motions as invariant_plane_motions,
        layer_terms as layer_terms,
        lie_derivative as lie_derivative,
        local_equivariance_error as local_equivariance_error,
        rotation as rotation,
        scaling as scaling,
        shearing as shearing,
        term_products as term_products,
        translation as translation,
        unchanged as unchanged,
    )
    from cnnjax.symmetry.moves import (
        Move as Move,
        MoveResponses as MoveResponses,
        MoveTest as MoveTest,
        amount_of as amount_of,
        move_responses as move_responses,
        moved_images as moved_images,
        rotations_both_ways as rotations_both_ways,
        shifts_around as shifts_around,
    )
    from cnnjax.symmetry.sensitivity import (
        changes_over_rotations as changes_over_rotations,
        changes_over_shifts as changes_over_shifts,
        equivariance_psnr as equivariance_psnr,
        noise_like as noise_like,
        normalised_invariance_error as normalised_invariance_error,
    )
    from cnnjax.symmetry.transformations import (
        affine as affine,
        flip as flip,
        fourier_shift as fourier_shift,
        rotate as rotate,
        rotate90 as rotate90,
        scale as scale,
        shear as shear,
        shift as shift,
        translate as translate,
    )
    from cnnjax.symmetry.units import (
        argmax_shares as argmax_shares,
        effective_number as effective_number,
        firing_invariance as firing_invariance,
        firing_scores as firing_scores,
        variance_ratio as variance_ratio,
        vector_strength as vector_strength,
    )
    from cnnjax.symmetry.weights import (
        effective_spatial_rank as effective_spatial_rank,
        match_channels as match_channels,
        matched_defects as matched_defects,
        shared_part as shared_part,
        sharing_defect as sharing_defect,
        weight_mean_over_deviation as weight_mean_over_deviation,
        weight_signal_to_noise as weight_signal_to_noise,
    )
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)
