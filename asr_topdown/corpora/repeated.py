"""What occurs twice in a corpus's files, such as an utterance's transcript."""


def add(texts: dict[str, str], name: str, text: str, where: str, *, what: str = "transcripts") -> None:
    """Add an entry to `texts`; an identical repetition changes nothing.

    Args:
        texts: utterance -> transcript, or the like.
        name: the utterance.
        text: its transcript.
        where: the place in the corpus, FILE:LINE.
        what: `texts` in the error's words.

    Raises:
        ValueError: starting with `where`, if `name` already has a different text.
    """
    if texts.setdefault(name, text) != text:
        raise ValueError(f"{where}: {name} occurs twice, with different {what}")
