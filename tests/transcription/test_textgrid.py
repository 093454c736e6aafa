"""Praat's TextGrid."""

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from asr_topdown.transcription.textgrid import Interval, text_grid


def test_a_text_grid_is_what_praat_writes():
    """As Praat itself saves it (Save as text file), but for spaces at the ends of lines."""
    tiers = {'ann - "words"': [Interval(0.25, 0.5, "oui"), Interval(0.5, 1.0, 'dit "non"')]}
    assert text_grid(tiers, 1.25) == (
        'File type = "ooTextFile"\n'
        'Object class = "TextGrid"\n'
        "\n"
        "xmin = 0\n"
        "xmax = 1.25\n"
        "tiers? <exists>\n"
        "size = 1\n"
        "item []:\n"
        "    item [1]:\n"
        '        class = "IntervalTier"\n'
        '        name = "ann - ""words"""\n'
        "        xmin = 0\n"
        "        xmax = 1.25\n"
        "        intervals: size = 4\n"
        "        intervals [1]:\n"
        "            xmin = 0\n"
        "            xmax = 0.25\n"
        '            text = ""\n'
        "        intervals [2]:\n"
        "            xmin = 0.25\n"
        "            xmax = 0.5\n"
        '            text = "oui"\n'
        "        intervals [3]:\n"
        "            xmin = 0.5\n"
        "            xmax = 1\n"
        '            text = "dit ""non"""\n'
        "        intervals [4]:\n"
        "            xmin = 1\n"
        "            xmax = 1.25\n"
        '            text = ""\n'
    )


times = st.floats(0, 10).map(lambda seconds: round(seconds, 3))


@given(st.lists(st.tuples(times, times), max_size=6))
def test_a_tier_is_covered_without_gaps(pairs):
    intervals = [Interval(min(pair), max(pair), "x") for pair in pairs]
    text = text_grid({"words": intervals}, 10.0)
    found = re.findall(r"xmin = (\S+)\n {12}xmax = (\S+)\n {12}text", text)
    assert found[0][0] == "0"
    assert found[-1][1] == "10"
    assert all(one[1] == following[0] for one, following in itertools.pairwise(found))
    assert all(float(start) < float(end) for start, end in found)
    assert int(re.search(r"intervals: size = (\d+)", text)[1]) == len(found)
