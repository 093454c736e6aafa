"""`asr-topdown decode` with each search: files, settings, errors. The networks have random weights."""

import argparse
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kaldiio
import networks
import numpy as np
import pytest
import soundfile
import torch
from toy_data import write_data

import asr_topdown
from asr_topdown import config as configuration
from asr_topdown.bin import options
from asr_topdown.bin.decoding import Size
from asr_topdown.bin.main import main
from asr_topdown.build import fresh_model
from asr_topdown.config.decode import DecodeConfig
from asr_topdown.data.inputs import read_utterances
from asr_topdown.data.unit_text import unit_vocabulary
from asr_topdown.decode import error_rates, parts
from asr_topdown.decode.decoders import build_decoder, with_beam
from asr_topdown.decode.model import load_trained
from asr_topdown.decode.result import DecodeResult, Hypothesis
from asr_topdown.engines.alone import alone_in
from asr_topdown.features.front_end import front_end
from asr_topdown.runs.store import Store
from asr_topdown.schedule.protocol import Result, Step
from asr_topdown.score.calibration import calibrate, greedy_paths
from asr_topdown.text import Vocabulary
from asr_topdown.text.word_vocabulary import WordVocabulary
from asr_topdown.transcription.transcriber import Transcriber
from asr_topdown.weights import save_weights

MODELS: dict[str, dict[str, Any]] = {
    "ctc": networks.blstm_ctc(1, 6),
    "attention": {
        "encoder": [networks.blstm(1, 6, projection_size=7)],
        "ctc": {"weight": 0.3},
        "attention": networks.LSTM,
    },
}
AWD_LSTM = {"kind": "awd_lstm", "embedding_size": 5, "hidden_size": 6}
VOCABULARY = Vocabulary.build(["abcd"], "char")
SIZES = {"a-1": 9, "a-2": 14, "a-3": 6}


def write_model(
    folder: Path, settings: dict[str, Any], vocabulary: Vocabulary | WordVocabulary = VOCABULARY
) -> Path:
    """A model's folder as written by a training, with weights large enough that hypotheses differ."""
    folder.mkdir(parents=True)
    features = {"fbank": {"num_mels": 8}, "cmvn": "none"}
    config = configuration.parse({"features": features, **settings})
    network = fresh_model(config, len(vocabulary), init_seed=1)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.mul_(3)
    (folder / "config.yaml").write_text(configuration.dump(config))
    vocabulary.save(folder / "tokens.txt")
    save_weights(network, folder / "epoch-1.safetensors")
    (folder / "done.json").write_text(json.dumps({"best_epoch": 1}))
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    found = {name: write_model(root / name, {"model": model}) for name, model in MODELS.items()}
    write_model(root / "lm", {"model": AWD_LSTM, "train": {"metric": "loss"}})
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "dev"
    folder.mkdir()
    noise = np.random.default_rng(1)
    feats = {name: noise.normal(0, 1, (size, 8)).astype(np.float32) for name, size in SIZES.items()}
    kaldiio.save_ark(str(folder / "feats.ark"), feats, scp=str(folder / "feats.scp"))
    tables: dict[str, dict[str, Any]] = {
        "text": {"a-1": "ab", "a-2": "dab", "a-3": "c"},
        "utt2num_frames": SIZES,
        "utt2spk": dict.fromkeys(SIZES, "a"),
    }
    for name, table in tables.items():
        (folder / name).write_text("".join(f"{key} {value}\n" for key, value in table.items()))
    return folder


def decode(model: Path, data: Path, out: Path, *settings: str) -> int:
    (out / "decode.yaml").write_text("decode: {method: joint_beam, beam: 6}\n")
    sets = [word for setting in settings for word in ("--set", f"decode.{setting}")]
    arguments = ["--model", str(model), "--out", str(out), "--config", str(out / "decode.yaml"), *sets]
    return main(["decode", str(data), *arguments])


def table(path: Path) -> dict[str, str]:
    return dict((line + " ").split(" ", 1) for line in path.read_text().splitlines())


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("attention", ["nbest=4"]),
        ("attention", ["nbest=4", "method=attention", "length_penalty=1.0"]),
        ("attention", ["nbest=4", "ctc_weight=1.0"]),
        ("ctc", ["nbest=4", "ctc_weight=1.0"]),
        ("ctc", ["nbest=4", "method=prefix_beam"]),
    ],
)
def test_nbest_lists_are_kaldi_tables(
    name: str, settings: list[str], models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    assert decode(models[name], data, tmp_path, *settings) == 0
    texts, nbest = table(tmp_path / "dev" / "text"), table(tmp_path / "dev" / "text.nbest")
    scores = {key: float(score) for key, score in table(tmp_path / "dev" / "score.nbest").items()}
    assert list(texts) == list(SIZES)
    assert set(scores) == set(nbest)
    for utterance in SIZES:
        ranked = [f"{utterance}-{rank}" for rank in range(1, 5)]
        assert set(ranked) <= set(nbest)
        assert nbest[ranked[0]] == texts[utterance]
        assert [scores[key] for key in ranked] == sorted((scores[key] for key in ranked), reverse=True)
    result = json.loads((tmp_path / "dev" / "result.json").read_text())
    assert result["real_time_factor"] > 0
    assert result["device"] == "cpu"
    assert result["decode"]["nbest"] == 4
    assert decode(models[name], data, tmp_path, *settings, "nbest=1") == 0
    assert table(tmp_path / "dev" / "text") == texts
    assert not list((tmp_path / "dev").glob("*.nbest"))


def test_a_letter_in_two_units_is_the_letter_of_the_reference(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`decode` counted two errors where `score`, which reads what it had written, found none."""
    vocabulary = Vocabulary.build(["e\u00e9 \u025b\u0301"], "char")
    ids = tuple(map(vocabulary.units.index, ("e", "\u0301")))
    found = dict.fromkeys(SIZES, DecodeResult((Hypothesis(ids, -1.0),)))
    folder = shutil.copytree(data, tmp_path / "dev")
    (folder / "text").write_text("".join(f"{name} \u00e9\n" for name in SIZES))
    model = write_model(tmp_path / "model", {"model": MODELS["ctc"]}, vocabulary)
    for module in (parts, error_rates):
        monkeypatch.setattr(module, "recognize", lambda *_, **__: found)
    out = tmp_path / "out"
    out.mkdir()
    assert decode(model, folder, out, "ctc_weight=1.0", "nbest=2") == 0
    assert table(out / "dev" / "text") == dict.fromkeys(SIZES, "\u00e9 ")
    assert set(table(out / "dev" / "text.nbest").values()) == {"\u00e9 "}
    result = json.loads((out / "dev" / "result.json").read_text())
    network = load_trained(model)
    dataset = read_utterances(folder, vocabulary, network.config.features, None)
    rates = error_rates.error_rates(
        network.network, dataset, dict.fromkeys(SIZES, "\u00e9"), vocabulary, DecodeConfig()
    )
    assert {name: result[name] for name in rates} == rates == {"cer": 0.0, "wer": 0.0}


class _Killed(BaseException):
    """As good as a kill: nothing catches it."""


@pytest.mark.parametrize(
    ("step", "kept"),
    [("asr_topdown.bin.decode._rates", True), ("os.fsync", True), ("os.replace", False)],
    ids=["while it counts errors", "while it writes", "between one file and the next"],
)
def test_killed_at_any_step_it_leaves_no_result_of_other_transcripts(
    step: str,
    kept: bool,
    models: dict[str, Path],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = tmp_path / "dev"
    assert decode(models["attention"], data, tmp_path, "method=greedy") == 0
    before = (target / "text").read_text()
    (target / "hub5.json").write_text("{}")

    def killed(*_: object) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(step, killed)
        with pytest.raises(_Killed):
            decode(models["attention"], data, tmp_path, "method=attention", "max_length_ratio=0.5")
    assert [(target / name).exists() for name in ("result.json", "hub5.json")] == [kept, kept]
    assert decode(models["attention"], data, tmp_path, "method=greedy") == 0
    assert (target / "text").read_text() == before


def test_a_full_disk_leaves_the_old_result(
    models: dict[str, Path],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It was removed before there was room for the new one."""
    target = tmp_path / "dev"
    assert decode(models["ctc"], data, tmp_path, "method=prefix_beam", "nbest=2") == 0
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    assert {*before} == {"text", "text.nbest", "score.nbest", "result.json"}
    fsync, left = os.fsync, 1

    def full(handle: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert decode(models["ctc"], data, tmp_path, "method=greedy") == 1
    problem = f"cannot write {target / 'result.json'}: No space left on device (make room and run"
    assert f"asr-topdown decode: error: {problem}" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in target.iterdir()} == before
    assert decode(models["ctc"], data, tmp_path, "method=prefix_beam", "nbest=2") == 0
    assert "done already" in capsys.readouterr().out


def test_two_at_once_do_not_mix_their_transcripts_and_results(
    models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    with ThreadPoolExecutor() as threads:
        with alone_in(tmp_path / "dev"):  # as another process that is writing there
            second = threads.submit(decode, models["attention"], data, tmp_path, "method=greedy")
            time.sleep(5)
            assert list((tmp_path / "dev").iterdir()) == []
        assert second.result() == 0
    assert {path.name for path in (tmp_path / "dev").iterdir()} >= {"text", "result.json"}


def test_the_settings_reach_the_search(models: dict[str, Path], data: Path, tmp_path: Path) -> None:
    """Attention alone is a CTC weight of 0; a penalty above 0 makes texts longer, a maximum short."""

    def decoded(*settings: str) -> list[str]:
        assert decode(models["attention"], data, tmp_path, *settings) == 0
        texts = table(tmp_path / "dev" / "text").values()
        return [text.strip().replace("<unk>", "?") for text in texts]

    assert decoded("method=attention") == decoded("ctc_weight=0.0")
    usual, long = decoded(), decoded("length_penalty=8.0")
    assert sum(map(len, long)) > sum(map(len, usual))
    assert [len(text) for text in decoded("length_penalty=8.0", "max_length_ratio=0.5")] == [4, 7, 3]


def test_what_a_model_cannot_do_is_one_line(
    models: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lm = models["ctc"].parent / "lm"
    for name, settings, problem in (
        ("ctc", [], "decode.method: joint_beam with a ctc_weight of 0.3 reads model.attention"),
        ("ctc", ["method=attention"], "attention reads model.attention, and this model has ctc: use greedy"),
        ("attention", ["nbest=7"], "nbest 7 is more than the beam, 6"),
        ("attention", ["lm_weight=0.5"], "an lm_weight of 0.5 and no lm"),
        ("attention", ["lm=x", "lm_weight=0.5"], "x: not a model folder"),
        ("attention", ["method=greedy", f"lm={lm}"], "not greedy"),
    ):
        assert decode(models[name], data, tmp_path, *settings) == 1
        error = [line for line in capsys.readouterr().err.splitlines() if line]
        assert len(error) == 1
        assert problem in error[0]


def test_a_beam_without_a_search_is_told(
    models: dict[str, Path], data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for method, lines in (("greedy", 1), ("attention", 0)):
        caplog.clear()
        assert decode(models["attention"], data, tmp_path, f"method={method}", "beam=7") == 0
        told = [
            one for one in caplog.messages if one.startswith("decode.beam: 7 has no effect with decode.met")
        ]
        assert len(told) == lines


def test_a_beam_asked_for_by_its_width(models: dict[str, Path]) -> None:
    for name, method in (("ctc", "prefix_beam"), ("attention", "joint_beam")):
        model = load_trained(models[name])
        config = with_beam(model.network, model.config.decode, 4)
        assert (config.method, config.beam) == (method, 4)
        decoder = build_decoder(model.network, config, model.vocabulary)
        sound = 0.1 * torch.randn(16000).numpy()
        feats = front_end(sound, 16000, model.config.features.fbank)
        (found,) = decoder(*model.network.encode(feats[None], torch.tensor([len(feats)])))
        (transcript,) = Transcriber.load(models[name], beam=4).transcribe((sound, 16000))
        assert transcript.text == model.vocabulary.decode(found.best.ids)
        attention = config.model_copy(update={"method": "attention"})
        assert with_beam(model.network, attention, 2).method == "attention"


def test_a_language_model_is_named_and_not_its_features(
    models: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lm = models["ctc"].parent / "lm"
    assert main(["decode", str(data), "--model", str(lm), "--out", str(tmp_path)]) == 1
    message = f"{lm}: a language model, which cannot recognise speech"
    assert capsys.readouterr().err == f"asr-topdown decode: error: {message}\n"


@pytest.mark.parametrize("words", ["features dev", "tokens --train dev --out tokens.txt"])
def test_a_language_models_configuration_has_neither_features_nor_units(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lm.yaml"
    path.write_text("model: {kind: awd_lstm}\ntrain: {metric: loss}\n")
    assert main([*words.split(), "--config", str(path)]) == 1
    assert f": error: {path}: a language model's, which reads text alone" in capsys.readouterr().err


def test_sounds_are_transcribed_with_the_models_language_model(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, lm = shutil.copytree(models["attention"], tmp_path / "model"), tmp_path / "lm"
    words = unit_vocabulary(load_trained(model).vocabulary).words
    write_model(lm, {"model": AWD_LSTM, "train": {"metric": "loss"}}, WordVocabulary(tuple(words)))
    search = {"method": "joint_beam", "beam": 3, "lm": str(lm), "lm_weight": 2.0}
    config = configuration.load(model / "config.yaml")
    config = config.model_copy(update={"decode": config.decode.model_copy(update=search)})
    (model / "config.yaml").write_text(configuration.dump(config))
    sound = (0.1 * np.random.default_rng(2).standard_normal(16000)).astype(np.float32)
    trained = load_trained(model)
    feats = front_end(torch.from_numpy(sound), 16000, trained.config.features.fbank)
    scores = []
    for changes in ({}, {"beam": 5}, {"lm_weight": 0.0}):
        decoding = trained.config.decode.model_copy(update=changes)
        decoder = build_decoder(trained.network, decoding, trained.vocabulary)
        (wanted,) = decoder(*trained.network.encode(feats[None], torch.tensor([len(feats)])))
        (found,) = Transcriber(trained, decoding).transcribe((sound, 16000))
        assert found.segments[0].hypotheses[0].score == pytest.approx(wanted.best.score, abs=1e-4)
        scores.append(wanted.best.score)
    (wider,) = asr_topdown.load(model, beam=5).transcribe((sound, 16000))
    assert wider.segments[0].hypotheses[0].score == pytest.approx(scores[1], abs=1e-4)
    assert abs(scores[2] - scores[0]) > 0.1
    shutil.rmtree(lm)
    soundfile.write(tmp_path / "a.wav", sound, 16000)
    assert main(["transcribe", str(model), str(tmp_path / "a.wav")]) == 1
    assert capsys.readouterr().err == (
        f"asr-topdown transcribe: error: {lm}: not a model folder (no config.yaml)\n"
    )


def test_the_search_is_no_part_of_a_training(models: dict[str, Path]) -> None:
    config = configuration.load(models["attention"] / "config.yaml")
    other = configuration.load(
        models["attention"] / "config.yaml", ["decode.method=joint_beam", "decode.ctc_weight=0.5"]
    )
    assert other.identity() == config.identity()


def test_processes_decide_no_bit_and_a_damaged_set_costs_itself_alone(
    models: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = write_data(tmp_path / "good", 12, 1, dim=8, letters="abcd")
    bad = shutil.copytree(good, tmp_path / "bad")
    (bad / "feats.scp").write_text((good / "feats.scp").read_text().replace(str(good), str(bad)))
    nan = np.float32(np.nan).tobytes()
    (bad / "feats.ark").write_bytes((bad / "feats.ark").read_bytes()[: -len(nan)] + nan)
    settings = ["method=prefix_beam", "nbest=4", "frames_per_batch=40"]
    sets = [word for setting in settings for word in ("--set", f"decode.{setting}")]
    found = {}
    for nj in (1, 2):
        out = tmp_path / str(nj)
        arguments = ["--model", str(models["ctc"]), "--out", str(out), "--nj", str(nj), *sets]
        assert main(["decode", str(bad), str(good), *arguments]) == 1
        said = capfd.readouterr()
        lines = [line for line in said.err.splitlines() if "error" in line]
        assert len(lines) == 1
        assert lines[0].startswith(f"asr-topdown decode: error: {out / 'bad'}: features of ")
        assert "finite frames" in lines[0]
        assert "Traceback" not in said.err
        assert not (out / "bad" / "text").exists()
        names = ("text", "text.nbest", "score.nbest")
        result = json.loads((out / "good" / "result.json").read_text())
        kept = {key: result[key] for key in ("cer", "wer", "audio_seconds", "content", "calibration")}
        found[nj] = [*((out / "good" / name).read_bytes() for name in names), kept]
        assert not (out / "good" / "jobs").exists()
    assert found[1] == found[2]
    assert len(found[1][0].splitlines()) == 12
    assert main(["decode", str(good), *arguments]) == 0
    assert "done already" in capfd.readouterr().out


def test_a_request_to_end_beside_the_result_leaves_nothing_over(
    models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    data, jobs = write_data(tmp_path / "set", 3, 1, dim=8, letters="abcd"), tmp_path / "out" / "set" / "jobs"
    (jobs / "0123.1of1").mkdir(parents=True)  # of an engine
    replace = os.replace

    def asked(aside: Path, path: Path) -> None:
        replace(aside, path)
        if path.name == "result.json":
            os.kill(os.getpid(), signal.SIGTERM)

    arguments = ["decode", str(data), "--model", str(models["ctc"]), "--out", str(tmp_path / "out")]
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", asked)
        assert main(arguments) == 128 + signal.SIGTERM
    assert not jobs.exists()
    assert main(arguments) == 0
    assert "done already" in capfd.readouterr().out


def test_a_process_for_every_few_minutes_of_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(4)))

    def processes(seconds: float, **said: object) -> int:
        chosen = {"nj": None, "device": "cpu", "engine": "local", **said}
        return options.processes(argparse.Namespace(**chosen), seconds)

    each = options.SECONDS_PER_PROCESS
    assert [processes(each * share) for share in (0, 1.9, 2, 3.5, 1000)] == [1, 1, 2, 3, 4]
    assert processes(1e6, device="cuda") == processes(1e6, engine="slurm") == 1
    assert processes(0, nj=3) == 3
    with pytest.raises(ValueError, match="--nj 0: must be at least 1"):
        processes(0, nj=0)


def test_long_sets_get_more_processes_and_none_more_than_it_has_batches() -> None:
    sizes = [Size(30, 300.0, 5), Size(10, 100.0, 2), Size(1, 0.0, 1)]
    assert [size.parts(4, 400.0) for size in sizes] == [3, 1, 1]
    assert [size.parts(100, 400.0) for size in sizes] == [5, 2, 1]
    assert Size(1, 0.0, 1).parts(4, 0.0) == 1


def _runs(process: str) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_asked_to_end_it_takes_all_its_processes_with_it(models: dict[str, Path], tmp_path: Path) -> None:
    data = write_data(tmp_path / "long", 60, 1, dim=8, letters="abcd", frames=60)
    sets = ["--set", "decode.method=prefix_beam", "--set", "decode.beam=50", "--set"]
    where = ["--model", str(models["ctc"]), "--out", str(tmp_path / "out"), "--nj", "2"]
    command = ["decode", str(data), *where, *sets, "decode.frames_per_batch=1000"]
    with subprocess.Popen([sys.executable, "-m", "asr_topdown.bin.main", *command]) as process:
        tasks, deadline = Path(f"/proc/{process.pid}/task"), time.monotonic() + 120
        children: list[str] = []
        while len(children) < 3:  # Python's own that tracks resources, too
            children = [one for path in tasks.glob("*/children") for one in path.read_text().split()]
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM
    while any(_runs(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not (tmp_path / "out" / "long" / "text").exists()


@pytest.mark.parametrize("name", ["ctc", "attention"])
def test_the_calibration_of_the_ctc_head_is_kept(
    name: str, models: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    """Calibration of the greedy path, with any decoder: computed by hand for each utterance."""
    model = load_trained(models[name])
    head, encode = model.network.ctc, model.network.encode
    assert head is not None
    paths, truth = [], table(data / "text")
    for utterance, feats in kaldiio.load_scp(str(data / "feats.scp")).items():
        memory, lengths = encode(torch.tensor(feats)[None], torch.tensor([len(feats)]))
        (path,) = greedy_paths(head.log_probs(memory), lengths)
        paths.append((path, model.vocabulary.encode(truth[utterance].strip())))
    expected = calibrate(paths).to_json()
    for setting in ("method=greedy", "ctc_weight=1.0"):
        assert decode(models[name], data, tmp_path, setting) == 0
        found = json.loads((tmp_path / "dev" / "result.json").read_text())["calibration"]
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert found[key] == (value if value is None else pytest.approx(value, rel=1e-4))
    assert expected["frame_entropy"] is not None
    assert expected["frame_entropy"] > 0


def test_an_experiment_is_decoded_whole_or_study_by_study(
    models: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "exp")
    for node, tag in (("a" * 16, "A"), ("b" * 16, "B")):
        (store.root / "nodes").mkdir(parents=True, exist_ok=True)
        (store.root / "nodes" / node).symlink_to(models["ctc"])
        steps = (Step(node, 0.5, accepted=True),)
        store.save_results(tag, [Result(search="greedy", seed=1, steps=steps, final=node)])
    command = ["decode", str(data), "--exp", str(store.root)]
    assert main([*command, "--results", "B"]) == 0
    assert [path.name for path in (store.root / "decode").iterdir()] == ["b" * 16]
    assert main(command) == 0
    assert sorted(path.name for path in (store.root / "decode").iterdir()) == ["a" * 16, "b" * 16]
    capsys.readouterr()
    assert main([*command, "--results", "C"]) == 1
    assert "C.json" in capsys.readouterr().err


def test_a_network_without_its_weights_costs_itself_alone(
    models: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of an experiment of which somebody removed a part, nothing at all was decoded."""
    store = Store(tmp_path / "exp")
    nodes = store.root / "nodes"
    for node in ("a" * 16, "b" * 16):
        shutil.copytree(models["ctc"], nodes / node)
    steps = tuple(Step(node, 0.5, accepted=True) for node in ("a" * 16, "b" * 16, "c" * 16))
    store.save_results("A", [Result(search="greedy", seed=1, steps=steps, final="b" * 16)])
    weights = next((nodes / ("a" * 16)).glob("*.safetensors"))
    weights.unlink()
    command = ["decode", str(data), "--exp", str(store.root)]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert f"{store.root / 'decode' / ('a' * 16)}: {weights}: missing\n" in said
    assert f"{nodes / ('c' * 16)}: not a finished model (no done.json)" in said
    assert [path.name for path in (store.root / "decode").iterdir()] == ["b" * 16]
    next((nodes / ("b" * 16)).glob("*.safetensors")).unlink()
    assert main(command) == 1
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_what_has_no_sound_is_all_deletions(
    models: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A segment after the end of its recording counts with an empty hypothesis."""
    assert decode(models["ctc"], data, tmp_path, "method=greedy") == 0
    heard = table(tmp_path / "dev" / "text")
    folder = shutil.copytree(data, tmp_path / "silent" / "dev")
    with open(folder / "text", "a") as text, open(folder / "utt2spk", "a") as speakers:
        text.write("a-4 abcd\n")
        speakers.write("a-4 a\n")
    out = tmp_path / "out"
    out.mkdir()
    assert decode(models["ctc"], folder, out, "method=greedy") == 1
    assert "a-4" in capsys.readouterr().err  # nobody has said that it has no sound
    (folder / "features.json").write_text(json.dumps({"dropped": {"a-4": "x.wav: has no samples"}}))
    assert decode(models["ctc"], folder, out, "method=greedy") == 0
    assert table(out / "dev" / "text") == {**heard, "a-4": ""}


def test_a_set_in_which_nothing_is_said_is_done_like_any_other(
    models: dict[str, Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(data, tmp_path / "silent" / "dev")
    (folder / "text").write_text("a-1\na-2\na-3\n")
    assert decode(models["ctc"], folder, tmp_path, "method=greedy") == 0
    assert "no error rate, for all references are empty" in capsys.readouterr().out
    result = json.loads((tmp_path / "dev" / "result.json").read_text())
    assert result["cer"] is None
    assert decode(models["ctc"], folder, tmp_path, "method=greedy") == 0
    assert "done already" in capsys.readouterr().out
