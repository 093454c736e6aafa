import dataclasses
import json
import shutil

import pytest

from asr_topdown.hashes import file_hash
from asr_topdown.report.collect import collect
from asr_topdown.report.systems import JOINT, TOP_DOWN, systems
from asr_topdown.report.tables import compare_systems
from asr_topdown.runs.store import Store


def first_decoding(experiment):
    return sorted(experiment.glob("decode/*/test"))[0]


def test_a_finished_study_lacks_nothing(experiment):
    found = collect(experiment)
    assert found.notes == ()
    assert len(found.trainings) == len(found.scores) == 14  # 2 seeds x (joint + 2 + 2 + 1 + 1)
    for node_id, score in found.scores.items():
        recorded = json.loads((experiment / "decode" / node_id / "test" / "result.json").read_text())
        assert score.rate == pytest.approx(recorded["cer"])
        assert sum(errors for errors, _ in score.parts.values()) == round(100 * recorded["cer"])
        training = found.trainings[node_id]
        assert training.curve.epochs == tuple(range(1, 9))
        assert training.curve.train_loss[:2] == (200.0, 100.0)
        assert training.layers == ("blstm.0", "blstm.1", "softmax")
        assert training.about.parameters == 250
        assert training.curve.dev["cer"][5] == min(training.curve.dev["cer"]) == training.outcome.error


def test_the_reference_is_found_from_any_folder(experiment, tmp_path, monkeypatch):
    """It is recorded relative to the recipe's folder; another recipe's data must not be taken for it."""
    other = tmp_path / "other"
    (other / "data" / "test").mkdir(parents=True)
    (other / "data" / "test" / "text").write_text("utt0 something else\n")
    expected = collect(experiment)
    for place in (other, tmp_path, experiment):
        monkeypatch.chdir(place)
        assert collect(experiment) == expected


def test_a_missing_reference_leaves_the_recorded_rates(experiment, reference):
    (reference / "data" / "test" / "text").unlink()
    found = collect(experiment)
    assert len(found.notes) == 1
    assert found.notes[0].startswith("The reference data/test/text no longer exists")
    assert all(score.parts == {} for score in found.scores.values())
    assert {score.others["WER %"] for score in found.scores.values()} == {50}  # as recorded


def test_networks_scored_with_other_transcripts_are_named_and_not_compared(experiment, reference):
    """As after a second decoding of one network, with another normalisation of the same set."""
    final = next(one.final for one in Store(experiment).load_results("study") if one.search == "greedy")
    joint = Store(experiment).load_results("study")[0].steps[0].node
    path = experiment / "decode" / final / "test" / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "reference": "data/other/text"}))
    text = (reference / "data" / "test" / "text").read_text()
    (reference / "data" / "other").mkdir()
    (reference / "data" / "other" / "text").write_text(text.replace("efghi", "efghij"))
    found = collect(experiment)
    assert found.notes == (
        f"The networks {joint} and {final} of the study `study` were scored with different transcripts "
        "of test: decode both with the same data.",
    )
    compared = compare_systems(found, systems(found.studies["study"]))[JOINT][TOP_DOWN]
    assert (compared.seeds, compared.difference) == (1, pytest.approx(-4))  # of seed 2 alone


def test_hub5_errors_of_earlier_transcripts_are_left_out(experiment):
    """A decoding of before the scores kept the hash of what they were counted on has none either."""
    folders = sorted(experiment.glob("decode/*/test"))[:3]
    hashes = [{"text": file_hash(folders[0] / "text")}, {"text": file_hash(folders[1] / "text")}, {}]
    for folder, kept in zip(folders, hashes, strict=True):
        (folder / "hub5.json").write_text(json.dumps({"scores": {"all": {"rate": 0.25}}, **kept}))
    text = folders[1] / "text"
    text.write_text(text.read_text().replace("utt0 ", "utt0 z"))
    found = collect(experiment)
    shown = [found.scores[folder.parent.name].others.get("all WER %") for folder in folders]
    assert shown == [25.0, None, None]
    (note,) = found.notes
    assert note.startswith("Some Hub-5 word errors are left out")


def test_other_utterances_than_the_reference_are_an_error(experiment):
    text = first_decoding(experiment) / "text"
    text.write_text("".join(text.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(ValueError, match=r"text: does not fit .*utterance utt0"):
        collect(experiment)


@pytest.mark.parametrize("content", ["{}", "[]", '{"reference": "data/test/text", "cer": "low"}'])
def test_a_damaged_decoding_is_one_clear_line(experiment, content):
    (first_decoding(experiment) / "result.json").write_text(content)
    with pytest.raises(ValueError, match=r"result\.json") as caught:
        collect(experiment)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_said_with_the_command(experiment):
    store = Store(experiment)
    gone = first_decoding(experiment).parent.name
    shutil.rmtree(experiment / "decode" / gone)
    assert collect(experiment).notes == (f"Not decoded on test: {gone}.",)
    assert collect(experiment, "eval92").notes == (
        f"No decoding of eval92 yet: run `asr-topdown decode data/eval92 --exp {experiment}`.",
    )
    (experiment / "features" / "eval92").mkdir(parents=True)  # as linked by a recipe
    experiment = experiment.rename(experiment.with_name("my exp"))
    store = Store(experiment)
    (note,) = collect(experiment, "eval92").notes
    decode = f"asr-topdown decode '{experiment}/features/eval92' --exp '{experiment}'"
    assert note == f"No decoding of eval92 yet: run `{decode}`."
    shutil.rmtree(experiment / "results")
    assert "No study yet: run `asr-topdown topdown`." in collect(experiment).notes
    (store.node_dir(gone) / "done.json").unlink()
    assert f"1 of 14 trainings are not finished: {gone}." in collect(experiment).notes


def test_no_experiment_at_all(tmp_path):
    with pytest.raises(FileNotFoundError, match="no training here"):
        collect(tmp_path / "nothing")


def test_a_training_without_its_configuration(experiment):
    node = Store(experiment).nodes()[0]
    path = Store(experiment).node_dir(node) / "config.yaml"
    path.write_text("train: {no_such_key: 1}\nrun: {}\n")  # of another version
    found = collect(experiment)
    assert found.trainings[node.id].config == ""
    said = "A training's settings are not shown: "
    assert found.notes[-1].startswith(f"{said}{path}:1: unknown key train.no_such_key")
    path.write_text("")  # by a crash of the machine
    assert collect(experiment).notes[-1] == f"{said}{path}: damaged: it ends before its last section, run."
    path.write_bytes(b"\xff")
    assert collect(experiment).notes[-1] == f"{said}{path}:1: not UTF-8 text."
    path.unlink()
    found = collect(experiment)
    assert (found.trainings[node.id].config, found.notes) == ("", ())


def test_a_bad_record_is_named(experiment):
    path = sorted(experiment.glob("nodes/*/metrics.jsonl"))[0]
    path.write_text('{"kind": "epoch", "epoch": 1, "step": 3, "dev_cer": 0.5}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl: .*train_loss"):
        collect(experiment)
    path.write_bytes(b'{"kind": "epoch"}\n\xff\n')
    with pytest.raises(ValueError, match=rf"^{path}:2: not UTF-8 text$"):
        collect(experiment)


def test_decodings_that_are_not_alike_are_noted(experiment):
    paths = sorted(experiment.glob("decode/*/test/result.json"))
    for path in paths:
        decoder = "greedy" if path == paths[0] else "beam"
        path.write_text(json.dumps({**json.loads(path.read_text()), "decoder": decoder}))
    (note,) = collect(experiment).notes
    assert f"{paths[0].parent}" in note
    assert "were decoded with different settings" in note


@pytest.mark.parametrize("change", [{"error": 0.2}, {"decoder": "another"}])
def test_dev_sets_that_another_study_decoded_otherwise_are_noted(experiment, change):
    """They were shown beside those of the study's own decoder, and nothing told them apart."""
    store = Store(experiment)
    joint = store.outcome(store.node(store.load_results("study")[0].steps[0].node))
    store.finish(dataclasses.replace(joint, **change))
    (note,) = collect(experiment).notes
    assert note.startswith("The dev errors of the study `study` are not all those by which it chose: ")
    store.finish(joint)
    assert collect(experiment).notes == ()
