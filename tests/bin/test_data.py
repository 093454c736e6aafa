"""New data directories from existing ones: choice of utterances, errors, content."""

from pathlib import Path

import pytest

from asr_topdown import datadir
from asr_topdown.bin.main import main
from asr_topdown.datadir import DataDir

SPOKEN = {"ann": 12, "bob": 6, "cy": 6}


@pytest.fixture
def source(tmp_path: Path, write_tones, monkeypatch) -> Path:
    """24 utterances of three speakers, with features; its folder is the current one."""
    monkeypatch.chdir(tmp_path)
    wav = str(write_tones(tmp_path / "a.wav", "a"))
    utt2spk = {
        f"{speaker}-{number:02}": speaker for speaker, count in SPOKEN.items() for number in range(count)
    }
    data = DataDir(
        path=Path("all"),
        wavs=dict.fromkeys(utt2spk, wav),
        text={utterance: f"w{utterance[-2:]}" for utterance in utt2spk},
        utt2spk=utt2spk,
        feats={utterance: f"{wav}:{number}" for number, utterance in enumerate(utt2spk)},
        num_frames=dict.fromkeys(utt2spk, 9),
    )
    datadir.write(data)
    return data.path


def run(*words: str) -> int:
    return main(["data", *words])


@pytest.mark.parametrize("change", ["combine", "subset", "split", "nested", "speed"])
def test_every_change_has_help_with_an_example(change, capsys):
    with pytest.raises(SystemExit) as left:
        run(change, "--help")
    assert left.value.code == 0
    assert f"example:\n  asr-topdown data {change} data/" in capsys.readouterr().out


def test_a_subset_holds_what_was_asked_for(source, tmp_path):
    (tmp_path / "ids").write_text("cy-03 and more\n\nann-00\n")
    (tmp_path / "speakers").write_text("bob\ncy\n")
    everything = datadir.read(source)
    for option, value, expected in (
        ("--utterances", "ids", ["ann-00", "cy-03"]),
        ("--speakers", "speakers", [u for u in everything.utterances() if not u.startswith("ann")]),
        ("--first", "3", ["ann-00", "ann-01", "ann-02"]),
        ("--per-speaker", "1", ["ann-00", "bob-00", "cy-00"]),
    ):
        assert run("subset", "all", option, value, "--out", f"out{option}") == 0
        made = datadir.read(f"out{option}")
        assert made.utterances() == expected
        assert made.feats == {utterance: everything.feats[utterance] for utterance in expected}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_lists_from_windows(encoding, source, tmp_path):
    for option, id_, expected in (("--utterances", "cy-03", 1), ("--speakers", "cy", SPOKEN["cy"])):
        (tmp_path / "list").write_bytes(f"{id_}\r\n".encode(encoding))
        assert run("subset", "all", option, "list", "--out", f"out{option}") == 0
        assert len(datadir.read(f"out{option}").utt2spk) == expected


def test_a_random_subset_is_fair_to_speakers_and_grows(source):
    chosen = {}
    for number in (8, 12):
        assert run("subset", "all", "--random", str(number), "--out", f"r{number}") == 0
        chosen[number] = set(datadir.read(f"r{number}").utterances())
        assert len(chosen[number]) == number
    assert chosen[8] < chosen[12]
    counts = {speaker: sum(u.startswith(speaker) for u in chosen[12]) for speaker in SPOKEN}
    assert all(abs(counts[speaker] - SPOKEN[speaker] / 2) <= 1 for speaker in SPOKEN)
    assert run("subset", "all", "--random", "8", "--seed", "1", "--out", "other") == 0
    assert set(datadir.read("other").utterances()) != chosen[8]


def test_what_was_split_can_be_combined_again(source):
    assert run("split", "all", "--parts", "train:0.5,dev:0.5", "--by", "speaker", "--out", "parts") == 0
    parts = [datadir.read(f"parts/{name}") for name in ("train", "dev")]
    assert not set(parts[0].utt2spk.values()) & set(parts[1].utt2spk.values())
    assert run("combine", "parts/dev", "parts/train", "--out", "again") == 0
    names = {path.name for path in source.iterdir()}
    assert {path.name for path in Path("again").iterdir()} == names
    for name in names:
        assert (Path("again") / name).read_bytes() == (source / name).read_bytes()


def test_speed_makes_a_copy_per_factor_without_the_features(source, capsys):
    assert run("speed", "all", "--factors", "0.9", "1", "--out", "faster") == 0
    assert capsys.readouterr().out.splitlines()[1].split()[:3] == ["faster", "48", "6"]
    speeds = (Path("faster") / "utt2speed").read_text().splitlines()
    assert speeds[0] == "sp0.9-ann-00 0.9"
    assert not (Path("faster") / "feats.scp").exists()  # they are others


def test_new_directories_go_without_what_features_left_out_and_say_so(source, capsys):
    for name in ("feats.scp", "utt2num_frames"):
        lines = (source / name).read_text().splitlines(keepends=True)
        (source / name).write_text("".join(line for line in lines if not line.startswith("ann-00 ")))
    (source / "features.json").write_text('{"dropped": {"ann-00": "too short"}}')
    left_out = "left out: 1 utterances of all without features (ann-00)\n"
    for words, names in (
        ("subset all --first 3 --out s", ["s"]),
        ("combine all --out c", ["c"]),
        ("split all --parts a:0.5,b:0.5 --by speaker --out p", ["p/a", "p/b"]),
        ("nested all --percent 50 --out n", ["n/all_p50", "n/all_unseen"]),
    ):
        assert run(*words.split()) == 0
        assert capsys.readouterr().out.startswith(left_out)
        made = [utterance for name in names for utterance in datadir.read(name).utterances()]
        expected = ["ann-01", "ann-02"] if words.startswith("subset") else sorted(datadir.read("all").feats)
        assert sorted(made) == expected
    assert run("subset", "all", "--first", "1", "--out", "bare") == 1
    capsys.readouterr()
    (Path("s") / "feats.scp").unlink()
    assert run("combine", "s", "p/b", "--out", "both") == 0
    assert capsys.readouterr().out.startswith("both: gets no features, because s has none\n")


def test_an_id_that_a_copy_would_have_is_named(source, capsys):
    """It was said to be in more than one of all and all."""
    assert run("speed", "all", "--factors", "0.9", "1.1", "--out", "copies") == 0
    (Path("copies") / "utt2speed").unlink()  # as Kaldi writes them
    assert run("speed", "copies", "--factors", "0.9", "1.1", "--out", "again") == 0  # all are new
    assert run("combine", "all", "copies", "--out", "both") == 0
    capsys.readouterr()
    assert run("speed", "both", "--factors", "0.9", "1", "--out", "again") == 1
    said = "both: ann-00 at the speed 0.9 would be called sp0.9-ann-00, as an utterance is already"
    assert said in capsys.readouterr().err


def test_what_an_earlier_split_left_is_named_where_it_is_in_several_of_the_new_sets(source, caplog):
    """A test set stayed beside a train set with its utterances, without a word."""
    split = ("split", "all", "--by", "stratified", "--out", ".", "--parts")
    assert run(*split, "train:0.5,dev:0.25,test:0.25") == 0
    assert run("subset", "train", "--first", "3", "--out", "few") == 0
    assert run(*split, "train:0.5,dev:0.25,test:0.25") == 0
    assert not caplog.records
    old = set(datadir.read("test").utterances())
    assert run(*split, "train:0.5,dev:0.5", "--seed", "1") == 0
    shared = {name: len(old & set(datadir.read(name).utterances())) for name in ("train", "dev")}
    inside = ", ".join(f"{count} in {name}" for name, count in shared.items())
    said = f"test: is of another split: of its utterances are {inside}"
    assert said in [record.getMessage() for record in caplog.records]


def test_what_an_earlier_call_left_is_named_where_it_is_not_nested_with_the_new(source, caplog):
    def warned(*words: str) -> list[str]:
        caplog.clear()
        assert run("nested", "all", "--out", "parts", *words) == 0
        return [record.getMessage() for record in caplog.records]

    assert warned("--percent", "25", "50", "75") == []
    assert warned("--percent", "50", "75") == []  # 25 % of the same choice are among the 50
    seen = [set(datadir.read(f"parts/all_p{share}").utterances()) for share in (25, 75)]
    (said_25, said_75) = warned("--percent", "50", "--seed", "1")
    unseen = set(datadir.read("parts/all_unseen").utterances())
    for said, share, found in zip((said_25, said_75), (25, 75), seen, strict=True):
        assert said == (
            f"parts/all_p{share}: stays from an earlier call and is not nested with these: "
            f"{len(found & unseen)} of its {len(found)} utterances are in all_unseen"
        )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("combine all all --out c", "ann-00 occurs in more than one of all and all"),
        ("subset all --first 2 --out all", "all: is the source itself; name another folder with --out"),
        ("split all --parts all:0.5,dev:0.5 --out .", "all: is the source itself"),
        ("split all --parts a:0.5 --out s", "--parts a:0.5: names must differ and shares sum to 1"),
        ("subset all --first 0 --out s", "--first 0: must be 1 to 24, the size of all"),
        ("subset all --random 25 --out s", "--random 25: must be 1 to 24"),
        ("subset all --speakers who --out s", "who:1: all has no speaker dan"),
        ("subset all --utterances who --out s", "who:1: all has no utterance dan"),
        ("subset all --utterances latin --out s", "latin:2: not UTF-8 text"),
        ("subset none --first 1 --out s", "none: not a data directory"),
        ("speed all --factors 0 --out s", "above 0 and differ in the first six digits, got 0.0"),
        ("speed all --factors 1 nan --out s", "speed factors must be finite, above 0 and differ"),
        ("subset all --first 2 --seed 0 --out s", "--seed needs --random"),
        (
            "nested all --percent 9 10 --out s",
            "all: 24 utterances are too few: all_p09 and all_p10 are the same 2",
        ),
        ("nested all --percent 50 20 --out s", "--percent 50 20: must increase, between 1 and 99"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(words, message, source, tmp_path, capsys):
    (tmp_path / "who").write_text("dan\n")
    (tmp_path / "latin").write_bytes("ann-00\nandré-00\n".encode("latin-1"))
    before = sorted(tmp_path.rglob("*"))
    assert run(*words.split()) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "words",
    [
        "speed all --out out",
        "combine all --out out",
        "subset all --per-speaker 5 --out out",
        "split all --parts out:0.5,other:0.5 --out .",
        "nested all --percent 95 --out out",
    ],
)
@pytest.mark.parametrize(
    ("table", "old", "new", "said"),
    [
        ("text", "ann-01 w01\n", "", "text: no line for utterance @ann-01"),
        ("utt2spk", "ann-01 ann\n", "ann-01 dan\n", "speaker ann comes after dan"),
        ("wav.scp", "ann-01 ", "ann-01 no", "@ann-01: no such file: no"),
    ],
)
def test_what_would_not_be_valid_is_not_written(words, table, old, new, said, source, tmp_path, capsys):
    """It was written first, over what was there, and refused then."""
    assert run("subset", "all", "--first", "2", "--out", "out") == 0
    content = (source / table).read_text()
    assert old in content
    (source / table).write_text(content.replace(old, new))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert run(*words.split()) == 1
    error = capsys.readouterr().err
    assert ": not written, for it would not be valid:\n" in error
    assert said.replace("@", "sp0.9-" if words.startswith("speed") else "") in error
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
