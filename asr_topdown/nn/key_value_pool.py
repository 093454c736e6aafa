"""Keys and values of the labels of a beam search, which stay in place when hypotheses are reordered.

Hypotheses of an utterance share most of their labels. So each key and value is kept once, in the order in
which they are computed, and a mask says which belong to a hypothesis. A search that reorders its hypotheses
reorders the rows of this mask, and copies no keys or values.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

MORE_LABELS = 8


@dataclass
class _Storage:
    """Keys and values (2, B, heads, C, D / heads), of which the first `taken` places are in use."""

    entries: Tensor
    taken: int


class KeyValuePool:
    """The keys and values of one block, P per utterance; never changed, only appended to.

    Pools that come from each other by `append` share their memory, as long as each is appended to only once.

    Args:
        storage: where they are.
        size: P.
    """

    def __init__(self, storage: _Storage, size: int) -> None:
        self._storage, self.size = storage, size

    @staticmethod
    def of(fresh: Tensor) -> "KeyValuePool":
        """Start a pool with the keys and values (2, B, heads, k, D / heads) of k first labels."""
        return KeyValuePool(_Storage(fresh, fresh.shape[3]), fresh.shape[3])

    @property
    def entries(self) -> Tensor:
        """Keys and values (2, B, heads, P, D / heads)."""
        return self._storage.entries[:, :, :, : self.size]

    def has_room(self, count: int) -> bool:
        """Whether `count` more per utterance can be appended without copying the others."""
        free = self._storage.entries.shape[3] - self.size
        return count <= free and self._storage.taken == self.size and not torch.is_grad_enabled()

    def append(self, fresh: Tensor) -> "KeyValuePool":
        """Return a pool with the keys and values (2, B, heads, k, D / heads) of k more labels at its end."""
        count = fresh.shape[3]
        storage = self._storage if self.has_room(count) else _copied(self.entries, count)
        size = self.size + count
        storage.entries[:, :, :, self.size : size] = fresh
        storage.taken = size
        return KeyValuePool(storage, size)

    def take(self, places: Tensor, count: int) -> "KeyValuePool":
        """Return a pool of the `places` (B, P') alone, with room for more labels of `count` hypotheses."""
        entries = self.entries
        index = places[None, :, None, :, None].expand(2, -1, entries.shape[2], -1, entries.shape[4])
        return KeyValuePool(_copied(entries.gather(3, index), count), places.shape[1])

    def of_utterances(self, utterances: Tensor) -> "KeyValuePool":
        """Return a pool of the `utterances` (B',) alone."""
        return KeyValuePool(_Storage(self.entries.index_select(1, utterances), self.size), self.size)


def _copied(entries: Tensor, count: int) -> _Storage:
    """Keys and values with room for more: half as many again, at least some labels of `count` hypotheses."""
    size = entries.shape[3]
    room = max(size // 2, MORE_LABELS * count)
    copy = entries.new_empty(*entries.shape[:3], size + room, entries.shape[4])
    copy[:, :, :, :size] = entries
    return _Storage(copy, size)


def with_fresh(ancestors: Tensor) -> Tensor:
    """Append to the mask (B, k, P) the labels that the hypotheses read next, each its own: (B, k, P + k)."""
    batch, beam, _ = ancestors.shape
    own = torch.eye(beam, dtype=torch.bool, device=ancestors.device)
    return torch.cat([ancestors, own.expand(batch, beam, beam)], dim=2)


def living(ancestors: Tensor) -> Tensor:
    """Return the places (B, P') from which a hypothesis of a mask (B, k, P) descends, in their order.

    P' is the most that an utterance needs; those of the others also list places that no hypothesis needs. The
    host reads this number, for which a GPU would have to wait.
    """
    needed = ancestors.any(1)
    most = int(needed.sum(1).max())
    return needed.byte().argsort(dim=1, descending=True, stable=True)[:, :most]
