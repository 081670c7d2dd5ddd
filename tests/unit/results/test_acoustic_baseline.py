"""Tests of ridge regression against other solvers, and of the complete baseline."""

import numpy as np
import pytest
import soundfile

from data_prep.schema import MANIFEST_COLUMNS
from emosphere_sb.results.acoustic_baseline import PENALTIES, evaluate_baseline, ridge_regression
from emosphere_sb.results.scores import prediction_metrics
from emosphere_sb.scale import DIMENSIONS


@pytest.fixture
def drawn():
    """Features of very different size, labels that depend on them, and speakers."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((60, 5)) * [1, 10, 100, 0.1, 3] + [0, 5, 50, 1, -6]
    weights = rng.standard_normal((5, 3)) / [[1], [10], [100], [0.1], [3]]
    vad = 4 + features @ weights + rng.standard_normal((60, 3))
    return features, vad, np.repeat(np.arange(12), 5)


def penalised(features, target, penalty):
    """The definition, by another route: least squares with the penalty as further rows."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    x = np.column_stack([np.ones(len(features)), (features - mean) / deviation])
    extra = np.sqrt(penalty) * np.eye(x.shape[1])[1:]
    rows, values = np.vstack([x, extra]), np.concatenate([target, np.zeros(len(extra))])
    weights = np.linalg.lstsq(rows, values, rcond=None)[0]
    return lambda new: weights[0] + (new - mean) / deviation @ weights[1:]


def test_noiseless_linear_relation_is_recovered():
    features = np.random.default_rng(1).standard_normal((30, 5))
    vad = 4 + features @ np.arange(15.0).reshape(5, 3)
    new = np.eye(5)
    predicted = ridge_regression(features, vad, new, penalties=[0.0])
    np.testing.assert_allclose(predicted, 4 + np.arange(15.0).reshape(5, 3), atol=1e-9)


@pytest.mark.parametrize("penalty", [0.01, 1.0, 100.0])
def test_ridge_matches_definition(drawn, penalty):
    features, vad, _ = drawn
    predicted = ridge_regression(features, vad, features[:7], penalties=[penalty])
    for column, target in zip(predicted.T, vad.T, strict=True):
        np.testing.assert_allclose(column, penalised(features, target, penalty)(features[:7]))


def test_penalty_minimises_leave_one_speaker_out_error():
    # One feature tells the speaker: without leaving speakers out whole it would be trusted.
    rng = np.random.default_rng(2)
    speakers = np.repeat(np.arange(8), 30)
    features = rng.standard_normal((8, 1))[speakers] + 0.01 * rng.standard_normal((240, 1))
    vad = rng.standard_normal((8, 1))[speakers] + 0.1 * rng.standard_normal((240, 1))
    z = (features - features.mean()) / features.std()
    errors = []
    for penalty in PENALTIES:
        error = 0.0
        for speaker in range(8):
            held = speakers == speaker
            x, y = z[~held, 0], vad[~held, 0]
            slope = np.sum((x - x.mean()) * y) / (np.sum((x - x.mean()) ** 2) + penalty)
            guess = y.mean() + slope * (z[held, 0] - x.mean())
            error += np.sum((vad[held, 0] - guess) ** 2)
        errors.append(error)
    best = PENALTIES[int(np.argmin(errors))]
    expected = penalised(features, vad[:, 0], best)(features)
    np.testing.assert_allclose(
        ridge_regression(features, vad, features, groups=speakers)[:, 0], expected
    )
    alone = ridge_regression(features, vad, features)[:, 0]
    assert np.abs(alone - expected).max() > 0.01


def test_result_is_invariant_to_feature_scaling(drawn):
    features, vad, speakers = drawn
    factor = np.array([1.0, 1e3, 1e-3, 7.0, 1.0])
    expected = ridge_regression(features, vad, features, groups=speakers)
    predicted = ridge_regression(features * factor, vad, features * factor, groups=speakers)
    np.testing.assert_allclose(predicted, expected)


def test_missing_label_affects_only_its_dimension(drawn):
    features, vad, _ = drawn
    holed = vad.copy()
    holed[:10, 2] = np.nan
    kept = ridge_regression(features, vad, features, penalties=[1.0])
    predicted = ridge_regression(features, holed, features, penalties=[1.0])
    np.testing.assert_array_equal(predicted[:, :2], kept[:, :2])
    assert np.isfinite(predicted).all() and np.abs(predicted[:, 2] - kept[:, 2]).max() > 1e-3


def test_missing_feature_is_replaced_by_training_mean(drawn):
    features, vad, _ = drawn
    unknown, mean = features[:1].copy(), features[:1].copy()
    unknown[0, 3], mean[0, 3] = np.nan, features[:, 3].mean()
    np.testing.assert_allclose(
        ridge_regression(features, vad, unknown), ridge_regression(features, vad, mean)
    )


def test_constant_feature_has_no_effect(drawn):
    features, vad, _ = drawn
    constant = np.column_stack([features, np.full(60, 3.0)])
    np.testing.assert_allclose(
        ridge_regression(constant, vad, constant), ridge_regression(features, vad, features)
    )


def test_single_speaker_raises(drawn):
    features, vad, _ = drawn
    with pytest.raises(ValueError, match="two speakers; found 1"):
        ridge_regression(features, vad, features, groups=["a"] * 60)


@pytest.fixture
def sets(tmp_path):
    """Noise whose level is the arousal and whose length is the valence; dominance is empty."""
    rng = np.random.default_rng(3)
    (tmp_path / "wav").mkdir()
    found = {}
    for name, count in (("train", 40), ("test", 12), ("hidden", 3)):
        found[name] = {}
        for i in range(count):
            valence, arousal = rng.uniform(1, 7, 2)
            seconds, level = 0.3 + 0.1 * valence, 0.005 * 10 ** (0.2 * arousal)
            noise = level * rng.standard_normal(round(16000 * seconds))
            path = tmp_path / "wav" / f"{name}{i}.wav"
            soundfile.write(path, np.clip(noise, -1, 1), 16000)
            row = dict.fromkeys(MANIFEST_COLUMNS[1:], "")
            row |= {"duration": seconds, "speaker": f"{name}{i % 5}", "wav": str(path)}
            if name != "hidden":
                vad = (valence, arousal, (i % 2) * 2 + 1)
                row |= dict(zip(DIMENSIONS, map(str, vad), strict=True))
            found[name][f"{name}{i}"] = row
    return found


def test_baseline_learns_from_features(sets):
    tables = evaluate_baseline(sets)
    assert list(tables) == ["test", "hidden"]
    result = prediction_metrics(tables["test"])
    assert result["valence"]["ccc"] > 0.98 and result["arousal"]["ccc"] > 0.95
    assert abs(result["dominance"]["ccc"]) < 0.4


def test_unlabelled_set_is_predicted(sets):
    table = evaluate_baseline(sets)["hidden"]
    assert table["ID"].tolist() == ["hidden0", "hidden1", "hidden2"]
    assert table[list(DIMENSIONS)].isna().all(axis=None)
    assert np.isfinite(table[[f"{name}_predicted" for name in DIMENSIONS]]).all(axis=None)


def test_missing_training_set_raises(sets):
    with pytest.raises(ValueError, match="training set 'train'; found test"):
        evaluate_baseline({"test": sets["test"]})
