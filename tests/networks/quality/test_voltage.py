"""A week of voltages is judged as EN 50160 says, and never passed on what is not known."""

import numpy as np
import pytest
import xarray as xr

from grid import interval
from grid.errors import BadInputError, Severity
from networks.quality.rules import RULES, Verdict, rules
from networks.quality.voltage import distribution, weekly

ZONE = "Europe/Berlin"
MEAN_S = 600
MONDAY_S = interval.parse("2026-05-17T22:00Z")
"""Monday 2026-05-18 00:00 in Berlin; a week of 1,008 means: 50.4 are 5 %."""
WEEK = 1008


def _series(columns, start_s=MONDAY_S, interval_s=MEAN_S):
    values = np.array(columns, dtype=np.float64).T
    return xr.DataArray(
        values,
        {
            "interval": interval.starts(start_s, len(values), interval_s),
            "usage_point": [f"UP-{n}" for n in range(values.shape[1])],
        },
        ("interval", "usage_point"),
    )


def _week(bad=0, value=0.88, count=WEEK, **more):
    column = np.ones(count)
    column[:bad] = value
    for at, other in more.items():
        column[int(at[1:])] = other
    return column


def _verdicts(series, **options):
    options = {"interval_s": MEAN_S, "time_zone": ZONE} | options
    found = weekly(series, **options)
    return [Verdict(int(one)).words for one in found.weeks["verdict"].to_numpy()[0]]


def test_ninety_five_percent_is_kept_and_one_mean_less_is_not():
    assert _verdicts(_series([_week(50), _week(51), _week(51, 1.12)])) == [
        "kept", "not kept", "not kept",
    ]  # fmt: skip


def test_one_mean_outside_the_wide_band_is_enough():
    series = _series([_week(1, 0.8499), _week(1, 0.85), _week(1, 1.1001), _week(1, 1.10)])
    assert _verdicts(series) == ["not kept", "kept", "not kept", "kept"]


def test_medium_voltage_asks_ninety_nine_percent_of_either_side():
    """10 of 1,008 on each side are 1.98 % together, and 0.99 % of each."""
    both = _week(10)
    both[20:30] = 1.12
    eleven = _week(11)
    beyond = _week(1, 1.151)
    assert _verdicts(_series([both, eleven, beyond]), rules=rules("mv")) == [
        "kept", "not kept", "not kept",
    ]  # fmt: skip
    assert _verdicts(_series([both])) == ["not kept"]


def test_an_island_may_go_lower_but_always_stays_there():
    series = _series([_week(WEEK, 0.86), _week(1, 0.84)])
    assert _verdicts(series, rules=rules("lv-island")) == ["kept", "not kept"]


def test_volts_on_the_limit_are_within():
    series = _series([np.full(WEEK, 253.0), np.full(WEEK, 207.0), np.full(WEEK, 253.1)])
    assert _verdicts(series, nominal_v=230.0) == ["kept", "kept", "not kept"]
    assert _verdicts(series.astype(np.float32), nominal_v=230.0) == ["kept", "kept", "not kept"]
    with pytest.raises(BadInputError, match=r"UP-1: nominal voltage is 0\.0 V"):
        weekly(series, interval_s=MEAN_S, time_zone=ZONE, nominal_v=[230.0, 0.0, 230.0])


def test_too_little_is_never_passed_but_broken_is_broken():
    """907 of 1,008 means are 89.98 %; 51 bad ones break the rule whatever the others were."""
    few, enough, broken, wide = _week(), _week(), _week(51), _week(1, 0.5)
    few[907:] = enough[908:] = broken[200:] = wide[100:] = np.nan
    found = weekly(_series([few, enough, broken, wide]), interval_s=MEAN_S, time_zone=ZONE)
    told = [Verdict(int(one)).words for one in found.weeks["verdict"].to_numpy()[0]]
    assert told == ["insufficient", "kept", "not kept", "not kept"]
    codes = [(one.code, one.subject, one.severity) for one in found.findings]
    assert codes == [
        ("quality.insufficient", "voltage quality", Severity.INFO),
        ("quality.voltage", "UP-2", Severity.ALARM),
        ("quality.voltage", "UP-3", Severity.ALARM),
    ]
    assert "UP-0" in found.findings[0].message
    assert "74.50 % of means" in found.findings[1].message


def test_a_share_that_only_fails_on_what_is_there_needs_enough_of_it():
    """40 bad of 500 are 8 %, but the week could still have been kept."""
    column = _week(40)
    column[500:] = np.nan
    assert _verdicts(_series([column])) == ["insufficient"]
    column = _week(50)
    column[950:] = np.nan
    assert _verdicts(_series([column])) == ["not kept"], "50 of 950 are 5.26 %"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "kept"),
        ({"spot": True}, "indicative kept"),
        ({"interval_s": 900}, "indicative kept"),
        ({"start_s": MONDAY_S + 60}, "indicative kept"),
    ],
)
def test_only_ten_minute_means_on_the_clock_give_a_verdict(options, words):
    length = options.get("interval_s", MEAN_S)
    count = 7 * 86_400 // length
    series = _series(
        [_week(count=count), _week(80, count=count)], options.get("start_s", MONDAY_S), length
    )
    told = _verdicts(series, interval_s=length, spot=options.get("spot", False))
    assert told == [words, words.replace("kept", "not kept")]


def test_what_is_flagged_is_left_out():
    series = _series([_week(60), _week(60)])
    flags = xr.zeros_like(series, dtype=bool)
    flags[:20, 1] = True
    found = weekly(series, interval_s=MEAN_S, time_zone=ZONE, flagged=flags)
    assert found.weeks["verdict"].to_numpy()[0].tolist() == [Verdict.NOT_KEPT, Verdict.KEPT]
    assert found.weeks["intervals_flagged"].to_numpy()[0].tolist() == [0, 20]
    assert float(found.weeks["share_within_percent"][0, 1]) == pytest.approx(100 * (1 - 40 / 988))


def test_an_interruption_and_the_means_it_cuts_are_left_out():
    """0.3 pu beside an interruption is a mean of neither; elsewhere it is a broken rule."""
    cut = _week(s99=0.3, s100=0.0, s101=0.01, s102=0.4)
    alone = _week(s99=0.3)
    found = weekly(_series([cut, alone]), interval_s=MEAN_S, time_zone=ZONE)
    assert found.weeks["verdict"].to_numpy()[0].tolist() == [Verdict.KEPT, Verdict.NOT_KEPT]
    assert found.weeks["intervals_flagged"].to_numpy()[0].tolist() == [4, 0]
    assert float(found.weeks["vm_pu_lowest"][0, 0]) == 1.0


def test_weeks_are_those_of_the_site_and_have_an_hour_more_or_less():
    """The last Sunday of March 2026 has 23 hours in Berlin: 1,002 means."""
    start_s = interval.parse("2026-03-22T23:00Z")
    series = _series([np.ones(3 * WEEK)], start_s)
    found = weekly(series, interval_s=MEAN_S, time_zone=ZONE).weeks
    assert found["week"].to_numpy().tolist() == ["2026-W13", "2026-W14", "2026-W15", "2026-W16"]
    assert str(found["week_start"].to_numpy()[1]) == "2026-03-29T22:00:00"
    assert found["coverage_percent"].to_numpy()[:3, 0].tolist() == [100.0, 100.0, 100.0]
    assert float(found["coverage_percent"][3, 0]) == pytest.approx(100 * 6 / WEEK)
    in_utc = weekly(series, interval_s=MEAN_S, time_zone="UTC").weeks
    assert in_utc["week"].to_numpy()[0] == "2026-W12"


def test_shares_and_quantiles_are_those_of_numpy():
    draw = np.random.default_rng(5)
    values = draw.normal(1.02, 0.04, (3 * WEEK, 300)).astype(np.float32)
    values[draw.random(values.shape) < 0.05] = np.nan
    series = _series(values.T).astype(np.float32)
    found = weekly(series, interval_s=MEAN_S, time_zone=ZONE).weeks
    for week in range(3):
        some = values[week * WEEK : (week + 1) * WEEK].astype(np.float64)
        inside = ((some >= 0.9) & (some <= 1.1)).sum(axis=0) / np.isfinite(some).sum(axis=0)
        assert np.abs(found["share_within_percent"][week] - 100 * inside).max() < 0.11
        for name, share in (("low_end", 0.025), ("high_end", 0.975)):
            expected = np.nanquantile(some, share, axis=0)
            assert np.abs(found[f"vm_pu_{name}"][week] - expected).max() < 1e-12
        assert np.abs(found["vm_pu_highest"][week] - np.nanmax(some, axis=0)).max() == 0.0


def test_of_three_phases_the_worst_counts():
    good, bad, lost = _week(), _week(80, 1.12), _week()
    lost[500:] = np.nan
    values = np.stack([[good, bad, good], [good, good, good], [good, lost, good]])
    series = xr.DataArray(
        values.transpose(2, 0, 1),
        {"interval": interval.starts(MONDAY_S, WEEK, MEAN_S), "usage_point": ["A", "B", "C"]},
        ("interval", "usage_point", "phase"),
    )
    assert _verdicts(series) == ["not kept", "kept", "insufficient"]


def test_unbalance_above_two_percent_in_more_than_a_twentieth_is_told():
    series = _series([_week(), _week()])
    unbalance = _series([_week(50, 2.5), _week(51, 2.5)])
    found = weekly(series, interval_s=MEAN_S, time_zone=ZONE, unbalance_percent=unbalance)
    assert found.weeks["unbalance_verdict"].to_numpy()[0].tolist() == [
        Verdict.KEPT, Verdict.NOT_KEPT,
    ]  # fmt: skip
    assert found.weeks["verdict"].to_numpy()[0].tolist() == [Verdict.KEPT, Verdict.KEPT]
    (told,) = found.findings
    assert told.code == "quality.unbalance"
    assert "highest 2.50 %" in told.message


def test_a_gap_in_the_series_is_refused_with_its_place():
    series = _series([_week()]).isel(interval=[0, 1, 3, 4])
    with pytest.raises(BadInputError, match="after 2026-05-17T22:10Z go on after 1200 s"):
        weekly(series, interval_s=MEAN_S, time_zone=ZONE)


def test_nothing_at_all_is_insufficient_and_has_no_figures():
    found = weekly(_series([np.full(WEEK, np.nan)]), interval_s=MEAN_S, time_zone=ZONE).weeks
    assert int(found["verdict"][0, 0]) == Verdict.INSUFFICIENT
    for name in ("share_within_percent", "vm_pu_lowest", "vm_pu_highest", "vm_pu_low_end"):
        assert np.isnan(float(found[name][0, 0])), name


def test_the_distribution_counts_every_known_value_once():
    values = np.array([[0.80, np.nan], [0.95, 1.0], [1.30, 1.0]])
    counted = distribution(values, np.array([0.85, 0.9, 1.0, 1.1]))
    assert counted.tolist() == [[1, 1, 1], [0, 0, 2]]


def test_every_rule_set_names_its_edition():
    assert all("EN 50160:2010" in one.edition for one in RULES.values())
    with pytest.raises(BadInputError, match="'hv' are none of lv, lv-island, mv"):
        rules("hv")


def test_a_series_of_no_interval_has_no_week():
    found = weekly(_series([_week()])[:0], interval_s=MEAN_S, time_zone=ZONE)
    assert dict(found.weeks.sizes) == {"week": 0, "usage_point": 1}
    assert found.findings == ()
