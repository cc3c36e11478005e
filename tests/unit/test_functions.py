"""Row-wise features on plain numbers and arrays, against values worked out by hand."""

import inspect

import numpy as np
import pytest

from paceline.features import functions as f

# Function, inputs, value. The arithmetic stands beside each.
EXAMPLES = [
    # 50 min / 10 km
    (f.pace_min_km, {"distance_km": 10.0, "duration_s": 3000}, 5.0),
    # 60 min / 12 km
    (f.elapsed_pace_min_km, {"distance_km": 12.0, "elapsed_time_s": 3600}, 5.0),
    # 10 km in 50 min = 10 km x 6/5 an hour
    (f.speed_km_h, {"distance_m": 10000.0, "duration_s": 3000}, 12.0),
    # 80 m over 10 km
    (f.elevation_per_km, {"elevation_gain_m": 80.0, "distance_km": 10.0}, 8.0),
    # 4.5 / 5: slower than threshold is below 1
    (f.intensity_factor, {"pace_min_km": 5.0, "threshold_pace_min_km": 4.5}, 0.9),
    # 5 / 4: faster than threshold is above 1
    (f.intensity_factor, {"pace_min_km": 4.0, "threshold_pace_min_km": 5.0}, 1.25),
    # One hour at threshold is 100 by definition.
    (f.estimated_tss, {"pace_min_km": 4.5, "threshold_pace_min_km": 4.5, "duration_s": 3600}, 100),
    # 100 x 1/2 h x 0.9 x 0.9
    (f.estimated_tss, {"pace_min_km": 5.0, "threshold_pace_min_km": 4.5, "duration_s": 1800}, 40.5),
    # 100 x 1/3600 h = 0.02777..., rounded to six decimals
    (
        f.estimated_tss,
        {"pace_min_km": 4.5, "threshold_pace_min_km": 4.5, "duration_s": 1},
        0.027778,
    ),
    # (150 - 50) / (250 - 50)
    (
        f.hr_reserve_ratio,
        {"average_heartrate_bpm": 150.0, "hr_rest_bpm": 50.0, "hr_max_bpm": 250.0},
        0.5,
    ),
    # Below rest and above the maximum are clamped.
    (
        f.hr_reserve_ratio,
        {"average_heartrate_bpm": 45.0, "hr_rest_bpm": 50.0, "hr_max_bpm": 190.0},
        0.0,
    ),
    (
        f.hr_reserve_ratio,
        {"average_heartrate_bpm": 195.0, "hr_rest_bpm": 50.0, "hr_max_bpm": 190.0},
        1.0,
    ),
    # 60 min x 0.5 x 0.64 x e^0.96 = 19.2 x 2.611696473423118
    (
        f.trimp,
        {"duration_s": 3600, "hr_reserve_ratio": 0.5, "trimp_factor": 0.64, "trimp_exponent": 1.92},
        pytest.approx(50.144572289724, rel=1e-12),
    ),
    # The constants for women: 60 x 0.5 x 0.86 x e^0.835 = 25.8 x 2.304814048287
    (
        f.trimp,
        {"duration_s": 3600, "hr_reserve_ratio": 0.5, "trimp_factor": 0.86, "trimp_exponent": 1.67},
        pytest.approx(59.464202445805, rel=1e-12),
    ),
    # 100 x 60 / 80
    (f.estimated_tss_from_heartrate, {"trimp": 60.0, "threshold_trimp": 80.0}, 75.0),
    # 100 x 1 / 3 = 33.333...
    (f.estimated_tss_from_heartrate, {"trimp": 1.0, "threshold_trimp": 3.0}, 33.333333),
    # 12,000 m in 60 min = 200 m/min, at 160 beats/min
    (
        f.efficiency_m_per_beat,
        {"distance_m": 12000.0, "duration_s": 3600, "average_heartrate_bpm": 160.0},
        1.25,
    ),
    # Three runs of 100 a week for six weeks: 18 x 100 / 42 = 42.857...
    (f.ctl_42d, {"tss_42d": 1800.0}, pytest.approx(42.857142857142857, rel=1e-15)),
    # 7 x 50 / 7
    (f.atl_7d, {"tss_7d": 350.0}, 50.0),
    # 21 x 30 then 7 x 50: 50 / ((630 + 350) / 28) = 50 / 35, and 50 / 30
    (f.acwr, {"tss_7d": 350.0, "tss_28d": 980.0}, pytest.approx(10 / 7, rel=1e-15)),
    (f.acwr_uncoupled, {"tss_7d": 350.0, "tss_28d": 980.0}, pytest.approx(5 / 3, rel=1e-15)),
    # 70 x 1.5
    (f.strain_7d, {"tss_7d": 70.0, "monotony_7d": 1.5}, 105.0),
    # 100 min / 20 km
    (f.run_pace_min_km, {"moving_time_s": 6000, "distance_km": 20.0}, 5.0),
    # The tools of the features themselves.
    (f.ratio, {"numerator": 3, "denominator": 4}, 0.75),
    (f.clamped, {"value": 7, "low": 0.0, "high": 5.0}, 5.0),
    (f.rounded_to_micro, {"value": 1.0000004}, 1.0),
    (f.rounded_to_micro, {"value": 1.0000006}, 1.000001),
    # 2^-7 = 0.0078125 is exact, and half a millionth above 0.007812: halves go up.
    (f.rounded_to_micro, {"value": 0.0078125}, 0.007813),
]

# The input that makes the divisor 0.
ZERO_DIVISORS = [
    (f.pace_min_km, {"distance_km": 0.0, "duration_s": 3000}),
    (f.elapsed_pace_min_km, {"distance_km": 0.0, "elapsed_time_s": 3000}),
    (f.speed_km_h, {"distance_m": 10000.0, "duration_s": 0}),
    (f.elevation_per_km, {"elevation_gain_m": 80.0, "distance_km": 0.0}),
    (f.intensity_factor, {"pace_min_km": 0.0, "threshold_pace_min_km": 4.5}),
    (f.estimated_tss, {"pace_min_km": 0.0, "threshold_pace_min_km": 4.5, "duration_s": 3600}),
    (
        f.hr_reserve_ratio,
        {"average_heartrate_bpm": 150.0, "hr_rest_bpm": 60.0, "hr_max_bpm": 60.0},
    ),
    (f.estimated_tss_from_heartrate, {"trimp": 60.0, "threshold_trimp": 0.0}),
    (
        f.efficiency_m_per_beat,
        {"distance_m": 1000.0, "duration_s": 0, "average_heartrate_bpm": 150.0},
    ),
    (
        f.efficiency_m_per_beat,
        {"distance_m": 1000.0, "duration_s": 300, "average_heartrate_bpm": 0.0},
    ),
    (f.acwr, {"tss_7d": 0.0, "tss_28d": 0.0}),
    # The week is all there is in four weeks.
    (f.acwr_uncoupled, {"tss_7d": 350.0, "tss_28d": 350.0}),
    (f.run_pace_min_km, {"moving_time_s": 6000, "distance_km": 0.0}),
    (f.ratio, {"numerator": 1, "denominator": -0.0}),
]


def named(example):
    return getattr(example, "__name__", None)


def public_functions():
    return {
        function
        for name, function in inspect.getmembers(f, inspect.isfunction)
        if function.__module__ == f.__name__ and function is not f.null_in_null_out
    }


@pytest.mark.parametrize(("function", "inputs", "expected"), EXAMPLES, ids=named)
def test_value(function, inputs, expected):
    assert function(**inputs) == expected
    assert function(*inputs.values()) == expected


def test_every_function_has_an_expected_value():
    assert {function for function, _, _ in EXAMPLES} == public_functions()


@pytest.mark.parametrize(("function", "inputs"), ZERO_DIVISORS, ids=named)
def test_division_by_zero_is_null(function, inputs):
    assert function(**inputs) is None


@pytest.mark.parametrize("function", sorted(public_functions(), key=named), ids=named)
def test_null_in_null_out(function):
    inputs = next(inputs for candidate, inputs, _ in EXAMPLES if candidate is function)
    assert list(inputs) == list(inspect.signature(function).parameters)
    for missing in inputs:
        assert function(**inputs | {missing: None}) is None, missing


def test_a_run_of_no_distance_has_neither_pace_nor_load():
    pace = f.pace_min_km(0.0, 1800)
    assert f.estimated_tss(pace, 4.5, 1800) is None
    # Speed is known: it stood still.
    assert f.speed_km_h(0.0, 1800) == 0.0


def test_arrays_have_nan_for_null():
    tss_7d = np.array([350.0, 0.0, 350.0, np.nan])
    tss_28d = np.array([980.0, 0.0, 350.0, 980.0])
    # 50 / 35; 0 / 0; 50 / 12.5; unknown
    np.testing.assert_allclose(f.acwr(tss_7d, tss_28d), [10 / 7, np.nan, 4.0, np.nan], rtol=1e-15)
    # 50 / 30; 0 / 0; 50 / 0; unknown
    np.testing.assert_allclose(
        f.acwr_uncoupled(tss_7d, tss_28d), [5 / 3, np.nan, np.nan, np.nan], rtol=1e-15
    )
