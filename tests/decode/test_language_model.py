"""Language models in a search: scores against the model's own cross entropy, rows, units that do not fit."""

import dataclasses
import itertools
import json
import random
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from asr_topdown import config as configuration
from asr_topdown.bin import main
from asr_topdown.build import fresh_model
from asr_topdown.config.decode import DecodeConfig
from asr_topdown.data.unit_text import unit_vocabulary
from asr_topdown.decode.joint_beam import joint_beam
from asr_topdown.decode.language_model import LanguageModelScorer, load_language_model
from asr_topdown.models.awd_lstm import AwdLstm
from asr_topdown.text import Vocabulary
from asr_topdown.text.word_vocabulary import WordVocabulary
from asr_topdown.weights import save_weights

VOCABULARY = Vocabulary.build(["a b <NOISE>", "cde"], "char")
UNITS = len(VOCABULARY)
EOS = UNITS
SETTINGS = {"model": {"kind": "awd_lstm", "embedding_size": 6, "hidden_size": 9}, "train": {"metric": "loss"}}


def write_model(folder: Path, dictionary: WordVocabulary, settings: dict = SETTINGS, seed: int = 3) -> Path:
    """A model's folder, as a training leaves it, with weights large enough that words differ."""
    folder.mkdir(parents=True, exist_ok=True)
    config = configuration.parse(settings)
    (folder / "config.yaml").write_text(configuration.dump(config))
    dictionary.save(folder / "tokens.txt")
    network = fresh_model(config, len(dictionary), seed)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.mul_(4)
    save_weights(network, folder / "epoch-2.safetensors")
    (folder / "done.json").write_text(json.dumps({"best_epoch": 2}))
    return folder


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> LanguageModelScorer:
    # Another order than the recogniser's: units are matched by name.
    words = unit_vocabulary(VOCABULARY).words
    shuffled = WordVocabulary(tuple(random.Random(1).sample(words, len(words))))
    return load_language_model(write_model(tmp_path_factory.mktemp("lm") / "node", shuffled), VOCABULARY)


def read(scorer: LanguageModelScorer, labels: list[int]) -> torch.Tensor:
    """(L + 1, V + 1): the log-probabilities of each label and of the end, one sentence alone."""
    state = scorer.init_state(torch.zeros(1, 5, 3), torch.tensor([5]))
    rows = []
    for label in [EOS, *labels]:
        log_probs, state = scorer.score(state, torch.tensor([label]))
        rows.append(log_probs[0])
    return torch.stack(rows)


def sentence(length: int, seed: int) -> list[int]:
    return random.Random(seed).choices(range(1, UNITS), k=length)


@pytest.mark.parametrize("length", [0, 1, 2, 7])
def test_scores_add_up_to_the_models_cross_entropy(scorer: LanguageModelScorer, length: int) -> None:
    labels = sentence(length, length)
    rows = read(scorer, labels)
    score = sum(float(row[label]) for row, label in zip(rows, [*labels, EOS], strict=True))
    words = scorer.words[torch.tensor([EOS, *labels, EOS])][:, None]
    loss, _ = scorer.network.cross_entropy(words[:-1], words[1:])
    assert score == pytest.approx(-(length + 1) * float(loss.detach()), abs=1e-5)


def test_probabilities_are_those_of_units_and_the_end(scorer: LanguageModelScorer) -> None:
    rows = read(scorer, sentence(5, 1))
    assert rows.dtype == torch.float32
    assert rows.shape == (6, UNITS + 1)
    assert rows[:, 0].eq(-torch.inf).all()
    torch.testing.assert_close(rows[:, 1:].exp().sum(1), torch.ones(6))
    assert rows[:, 1:].exp().std() > 0.02  # or the other tests say nothing


def test_scores_are_float32_whatever_the_recognisers_precision(scorer: LanguageModelScorer) -> None:
    state, tokens = scorer.init_state(torch.zeros(2, 5, 3), torch.tensor([5, 4])), torch.tensor([EOS, 2])
    expected, after = scorer.score(state, tokens)
    with torch.autocast("cpu", torch.bfloat16):  # as around a decoder with decode.precision: bfloat16
        found, then = scorer.score(state, tokens)
    assert torch.equal(found, expected)
    assert all(torch.equal(*pair) for pair in zip(then, after, strict=True))


def test_batched_is_one_by_one_and_rows_can_be_taken_anew(scorer: LanguageModelScorer) -> None:
    texts = [sentence(6, seed) for seed in range(4)]
    state = scorer.init_state(torch.zeros(2, 5, 3), torch.tensor([5, 4]))
    state = scorer.select(state, torch.tensor([0, 0, 1, 1]))
    kept = [part.clone() for part in state]
    before = state
    for step, labels in enumerate(zip(*[[EOS, *text] for text in texts], strict=True)):
        log_probs, state = scorer.score(state, torch.tensor(labels))
        for row, text in enumerate(texts):
            torch.testing.assert_close(log_probs[row], read(scorer, text)[step])
    assert all(torch.equal(*pair) for pair in zip(before, kept, strict=True))  # nothing changed in place

    rows = torch.tensor([3, 3, 0])
    log_probs, _ = scorer.score(scorer.select(state, rows), torch.tensor([2, 3, 2]))
    for index, (row, label) in enumerate([(3, 2), (3, 3), (0, 2)]):
        torch.testing.assert_close(log_probs[index], read(scorer, [*texts[row], label])[-1])

    # Rows of two states in one: the second's come after the four of the first.
    joined = scorer.select(scorer.join([before, state]), torch.tensor([1, 4 + 3, 4 + 0]))
    log_probs, _ = scorer.score(joined, torch.tensor([EOS, 3, 2]))
    for index, labels in enumerate([[], [*texts[3], 3], [*texts[0], 2]]):
        torch.testing.assert_close(log_probs[index], read(scorer, labels)[-1])


def enumerated(
    scorer: LanguageModelScorer, log_probs: torch.Tensor, longest: int, lm_weight: float
) -> dict[tuple[int, ...], float]:
    """Every text of at most `longest` labels: CTC's log-probability by PyTorch's loss, and the model's."""
    scores = {}
    for size in range(longest + 1):
        for text in itertools.product(range(1, UNITS), repeat=size):
            rows = read(scorer, list(text))
            lm = sum(float(row[label]) for row, label in zip(rows, [*text, EOS], strict=True))
            target, length = torch.tensor([text], dtype=torch.long), torch.tensor([size])
            ctc = -F.ctc_loss(
                log_probs.transpose(0, 1), target, torch.tensor([len(log_probs[0])]), length, reduction="sum"
            )
            scores[text] = float(ctc) + lm_weight * lm
    return scores


@torch.no_grad()
def test_a_fused_search_finds_what_enumeration_finds(scorer: LanguageModelScorer) -> None:
    """All 73 texts of up to two labels in a beam that holds them, for three utterances; the model matters."""
    log_probs = torch.randn(3, 4, UNITS, generator=torch.Generator().manual_seed(5)).log_softmax(-1)
    lengths, changed = torch.tensor([4, 4, 4]), 0
    for lm_weight in (0.0, 0.5, 2.0):
        config = DecodeConfig(
            method="joint_beam", beam=80, nbest=80, ctc_weight=1.0, lm="lm", lm_weight=lm_weight,
            max_length_ratio=0.5,
        )  # fmt: skip
        found = joint_beam(
            log_probs, lengths, vocab_size=UNITS, config=config, ctc_log_probs=log_probs, lm=scorer
        )
        for row, result in enumerate(found):
            scores = enumerated(scorer, log_probs[row : row + 1], 2, lm_weight)
            assert len(scores) == 73
            assert result.best.ids == max(scores, key=scores.__getitem__)
            for one in result.hypotheses:
                assert one.score == pytest.approx(scores[one.ids], abs=1e-4)
            alone = enumerated(scorer, log_probs[row : row + 1], 2, 0.0)
            changed += result.best.ids != max(alone, key=alone.__getitem__)
    assert changed >= 3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda words: words[1:], "lacks <unk>"),
        (lambda words: (*words, "zz"), "also has zz"),
        (lambda words: tuple(word.upper() for word in words), "lacks <unk>, <space>, a, b, c, ..."),
    ],
)
def test_other_units_than_the_recognisers(tmp_path: Path, change, problem: str) -> None:
    folder = write_model(tmp_path, WordVocabulary(change(unit_vocabulary(VOCABULARY).words)))
    with pytest.raises(ValueError, match="units must be the recogniser's") as error:
        load_language_model(folder, VOCABULARY)
    assert f"it {problem};" in str(error.value)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_language_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"not a model folder"):
        load_language_model(tmp_path, VOCABULARY)
    folder = write_model(tmp_path, unit_vocabulary(VOCABULARY))
    (folder / "done.json").unlink()
    with pytest.raises(ValueError, match="not a finished model"):
        load_language_model(folder, VOCABULARY)
    (folder / "config.yaml").write_text("")
    with pytest.raises(ValueError, match=r"config.yaml: damaged: it ends before its last section, run"):
        load_language_model(folder, VOCABULARY)
    (folder / "config.yaml").write_text("run: {}\n")
    with pytest.raises(ValueError, match=f"{folder}: not a language model"):
        load_language_model(folder, VOCABULARY)


def test_a_unit_that_ends_sentences_is_refused() -> None:
    with pytest.raises(ValueError, match="has a unit <eos>"):
        unit_vocabulary(Vocabulary.build(["a <eos>"], "char"))


def test_lm_text_trains_a_language_model_of_the_recognisers_units(tmp_path: Path, capsys) -> None:
    """All commands in order; the language model learns which words follow each other."""
    generator = random.Random(1)
    data = tmp_path / "train"
    data.mkdir()
    lines = [" ".join(generator.choices(["ab", "cd"], k=4)) for _ in range(60)]
    (data / "text").write_text("".join(f"u{i:02} {line}\n" for i, line in enumerate(lines)) + "u99\n")
    (tmp_path / "more.txt").write_text("ab cd é\n\n")
    (tmp_path / "dev.txt").write_text("cd ab cd\n" * 5)
    tokens, out = tmp_path / "tokens.txt", tmp_path / "lm"
    Vocabulary.build(lines, "char").save(tokens)
    command = [
        "prepare",
        "lm-text",
        "--tokens",
        str(tokens),
        "--train",
        str(data),
        str(tmp_path / "more.txt"),
    ]
    command += ["--dev", str(tmp_path / "dev.txt"), "--out", str(out)]
    assert main.main(command) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{out}/train.txt: 61 sentences, {60 * 12 + 8} units with <eos>, 1 of them <unk>"
    assert said[2] == f"{out}/units.txt: 7 char units, <unk> and <eos> among them"
    assert (out / "dev.txt").read_text().splitlines()[0] == "c d <space> a b <space> c d"
    written = (out / "train.txt").read_text()
    assert "a b <space> c d <space> <unk>\n" in written
    assert main.main(command) == 0
    assert (out / "train.txt").read_text() == written

    (tmp_path / "lm.yaml").write_text(
        "model: {kind: awd_lstm, embedding_size: 8, hidden_size: 16, num_layers: 2, input_dropout: 0,"
        " weight_dropout: 0}\n"
        "language_model: {batch: 4, dev_batch: 1, bptt: 12}\n"
        "train: {epochs: 12, patience: 0, metric: loss, optimizer: {lr: 0.03}}\n"
    )
    train = ["train", "--config", str(tmp_path / "lm.yaml"), "--train", str(out / "train.txt")]
    train += [
        "--dev",
        str(out / "dev.txt"),
        "--tokens",
        str(out / "units.txt"),
        "--exp",
        str(tmp_path / "exp"),
    ]
    assert main.main(train) == 0
    (folder,) = (tmp_path / "exp" / "nodes").iterdir()
    vocabulary = Vocabulary.load(tokens)
    scorer = load_language_model(folder, vocabulary)
    assert isinstance(scorer.network, AwdLstm)
    assert not scorer.network.training
    state = scorer.init_state(torch.zeros(1, 1, 1), torch.tensor([1]))
    for label in [len(vocabulary), *vocabulary.encode("ab c")]:
        log_probs, state = scorer.score(state, torch.tensor([label]))
    assert log_probs[0].argmax() == vocabulary.encode("d")[0]
    assert log_probs[0].max().exp() > 0.9


def test_lm_text_is_read_in_the_form_of_transcripts(tmp_path: Path, capsys, leave_half) -> None:
    """Letters in two parts, as macOS writes them, and soft hyphens would be `<unk>`."""
    Vocabulary.build(["\u00e9t\u00e9"], "char").save(tmp_path / "tokens.txt")
    (tmp_path / "text.txt").write_text("\ufeffe\u0301te\u0301\ne\u0301\u00adt\r\n", encoding="utf-8")
    text, tokens = str(tmp_path / "text.txt"), str(tmp_path / "tokens.txt")
    command = ["prepare", "lm-text", "--tokens", tokens, "--out", str(tmp_path / "lm")]
    leave_half(tmp_path / "lm" / "train.txt")
    assert main.main([*command, "--train", text, "--dev", text]) == 0
    assert {path.name for path in (tmp_path / "lm").iterdir()} == {"train.txt", "dev.txt", "units.txt"}
    assert "2 sentences, 7 units with <eos>, 0 of them <unk>" in capsys.readouterr().out
    written = (tmp_path / "lm" / "train.txt").read_text(encoding="utf-8")
    assert sorted(written.splitlines()) == ["\u00e9 t", "\u00e9 t \u00e9"]


def test_lm_text_names_what_is_wrong(tmp_path: Path, capsys) -> None:
    Vocabulary.build(["ab"], "char").save(tmp_path / "tokens.txt")
    (tmp_path / "bad.txt").write_text("ab\na <blank>\n")
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "binary.txt").write_bytes(b"ab\n\xff\n")
    (tmp_path / "good.txt").write_text("ab\n")
    for name, problem in (
        ("bad", "bad.txt:2: a transcript holds <blank>"),
        ("empty", "empty.txt: no sentence in it"),
        ("binary", "binary.txt:2: not UTF-8"),
        ("missing", "missing.txt"),
    ):
        text = str(tmp_path / f"{name}.txt")
        command = [
            "prepare",
            "lm-text",
            "--tokens",
            str(tmp_path / "tokens.txt"),
            "--out",
            str(tmp_path / "lm"),
        ]
        # A text was written before the other one was read.
        assert main.main([*command, "--train", str(tmp_path / "good.txt"), "--dev", text]) == 1
        assert problem in capsys.readouterr().err
        assert not (tmp_path / "lm").exists()


def test_a_scorer_cannot_be_changed(scorer: LanguageModelScorer) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        scorer.words = torch.zeros(1)  # type: ignore[misc]
