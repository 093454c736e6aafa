"""`prepare librispeech`: subsets are found, checked and joined; errors name the culprit."""

import hashlib
import io
import tarfile

import pytest

from asr_topdown import audio, datadir
from asr_topdown.bin.main import main
from asr_topdown.corpora import download, librispeech
from asr_topdown.corpora.fake import librispeech as fake

SIZES = dict.fromkeys(librispeech.SUBSETS, 20)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return fake.write(tmp_path_factory.mktemp("slr"), SIZES, engine="tones", seconds_each=0.003)


def test_the_subsets_of_the_distribution():
    """Panayotov et al. 2015 and ESPnet's tables; the three training sets are 281,241 utterances together."""
    counts = {name: subset.utterances for name, subset in librispeech.SUBSETS.items()}
    assert sum(counts[name] for name in librispeech.PARTS["960"][0]) == 281_241
    assert [counts[name] for name in librispeech.PARTS["100"][1]] == [2703, 2864, 2620, 2939]
    digits = {len(subset.checksum) for name, subset in librispeech.SUBSETS.items() if subset.resource == 12}
    assert digits == {64}


@pytest.mark.parametrize(
    ("parts", "trained", "sets"),
    [
        ("mini", 1, ["dev_clean_2", "test_clean", "test_other"]),
        ("460", 2, ["dev_clean", "dev_other", "test_clean", "test_other"]),
        ("960", 3, ["dev_clean", "dev_other", "test_clean", "test_other"]),
    ],
)
def test_parts_select_the_subsets_of_each_set(parts, trained, sets, root, tmp_path, capsys):
    command = ["prepare", "librispeech", "--parts", parts, "--librispeech", str(root.parent), "--partial"]
    assert main([*command, "--out", str(tmp_path / "data")]) == 0
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [*sets, "train"]
    train = datadir.read(tmp_path / "data" / "train")
    assert len(train.text) == 20 * trained
    assert len(set(train.utt2spk.values())) == 2 * trained  # 16 utterances a reader
    for utterance, speaker in train.utt2spk.items():
        assert utterance.split("-")[0] == speaker
    assert {len(datadir.read(tmp_path / "data" / name).text) for name in sets} == {20}
    assert audio.read(next(iter(train.clips().values())))[1] == 16000
    assert (tmp_path / "data/train/licence").read_text() == "LibriSpeech, CC BY 4.0\n"
    assert "20" in capsys.readouterr().out


def test_transcripts_stay_as_they_are(root, tmp_path):
    train, *_ = librispeech.prepare(tmp_path / "data", parts="100", librispeech=root, partial=True)
    letters = {letter for text in train.text.values() for letter in text}
    assert letters <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ' ")
    path = next((root / "train-clean-100").rglob("*.trans.txt"))
    name, _, text = path.read_text().splitlines()[0].partition(" ")
    assert train.text[name] == text


def test_a_copy_that_differs_is_refused(root, tmp_path, capsys):
    command = ["prepare", "librispeech", "--parts", "100", "--librispeech", str(root), "--out", str(tmp_path)]
    assert main(command) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("train-clean-100: must have 28539 utterances, got 20 (see --partial)")


def test_a_subset_that_is_missing_is_named(root, tmp_path):
    (tmp_path / "LibriSpeech").mkdir()
    (tmp_path / "LibriSpeech" / "train-clean-5").symlink_to(root / "train-clean-5")
    with pytest.raises(FileNotFoundError, match=r"no folder dev-clean-2 with \*\.trans\.txt in it"):
        librispeech.prepare(tmp_path / "data", parts="mini", librispeech=tmp_path, partial=True)
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        librispeech.prepare(tmp_path / "data", parts="mini", librispeech=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("5-9-0001 A", r"5-7\.trans\.txt:2: not `5-7-NUMBER TEXT`: '5-9-0001 A'"),
        ("5-7-0001", r"5-7\.trans\.txt:2: not `5-7-NUMBER TEXT`: '5-7-0001'"),
        ("5-7-0001 A", r"5-7\.trans\.txt: no 5-7-0001\.flac next to it"),
        ("5-7-0000 B", r"5-7\.trans\.txt:2: 5-7-0000 occurs twice, with different transcripts"),
    ],
)
def test_a_line_that_is_wrong_is_named(line, message, tmp_path, write_tones):
    chapter = tmp_path / "train-clean-5" / "5" / "7"
    write_tones(chapter / "5-7-0000.wav", "a", rate=16000)
    (chapter / "5-7.trans.txt").write_text(f"5-7-0000 A\n{line}\n")
    with pytest.raises(ValueError, match=message):
        librispeech.prepare(tmp_path / "data", parts="mini", librispeech=tmp_path, partial=True)


def test_names_in_upper_case_and_what_macos_leaves_on_a_disk(tmp_path):
    for subset in ("train-clean-5", *librispeech.PARTS["mini"][1]):
        chapter = tmp_path / subset / "5" / "7"
        chapter.mkdir(parents=True)
        (chapter / "5-7.trans.txt").write_text("5-7-0000 A B\n5-7-0000  A B\n")
        for name in ("5-7-0000.FLAC", "._5-7-0000.FLAC", "._5-7.trans.txt", ".DS_Store"):
            (chapter / name).write_bytes(b"\x00\x05\x16\x07")
    train, *_ = librispeech.prepare(tmp_path / "data", parts="mini", librispeech=tmp_path, partial=True)
    assert train.text == {"5-7-0000": "A B"}
    assert train.wavs == {"5-7-0000": str(tmp_path / "train-clean-5/5/7/5-7-0000.FLAC")}


def test_what_is_downloaded_must_have_its_sum_and_is_kept(root, tmp_path, monkeypatch):
    asked = []
    packed = {}
    for subset in ("train-clean-5", *librispeech.PARTS["mini"][1]):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w:gz") as tar:
            tar.add(root / subset, f"LibriSpeech/{subset}")
        packed[subset] = content.getvalue()
        known = librispeech.SUBSETS[subset]
        digest = hashlib.new("md5" if known.resource == 31 else "sha256", packed[subset]).hexdigest()
        monkeypatch.setitem(librispeech.SUBSETS, subset, known._replace(checksum=digest, utterances=20))

    def receive(url, part):
        asked.append(url)
        part.write_bytes(packed[url.rpartition("/")[2].removesuffix(".tar.gz")])

    monkeypatch.setattr(download, "_receive", receive)
    for _ in range(2):
        parts = librispeech.prepare(tmp_path / "data", parts="mini")
        assert [len(part.text) for part in parts] == [20] * 4
    assert asked == [
        "https://www.openslr.org/resources/31/train-clean-5.tar.gz",
        "https://www.openslr.org/resources/31/dev-clean-2.tar.gz",
        "https://www.openslr.org/resources/12/test-clean.tar.gz",
        "https://www.openslr.org/resources/12/test-other.tar.gz",
    ]
