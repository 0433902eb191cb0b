"""Batches by step: that of step k depends on the seed and k alone, so a run can resume at k."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from evenkeel.data.dataset import Split
from evenkeel.errors import BadOption

SEEDS = 2**64


class Batches:
    """Batches of ``split`` for the steps ``start`` to ``stop`` - 1.

    Math:    epoch e = k // steps_per_epoch, where steps_per_epoch = N // batch_size; the batch of
             step k is the (k mod steps_per_epoch)-th run of batch_size images in the epoch's
             permutation, which depends on (seed, e)
    Shapes:  images [batch_size, C, H, W], labels [batch_size], always full: the images left over
             at the end of an epoch sit it out, because batch statistics over a short batch would
             be noisier than the others and weigh as much; the next epoch leaves out others
    Raises:  BadOption for a batch size outside 1 to N, a seed outside 0 to 2⁶⁴ - 1, or steps that
             do not satisfy 0 ≤ start ≤ stop
    Source:  the permutation is numpy's RandomState, frozen by NEP 19: the same in every version,
             on every machine. No other generator is read or moved

    With ``part`` each batch holds only those of its images: the share of one process of several.

    >>> split = Split(torch.zeros(10, 1, 28, 28), torch.arange(10))
    >>> whole = Batches(split, 4, seed=7, stop=5)
    >>> rest = Batches(split, 4, seed=7, start=3, stop=5)
    >>> [labels.tolist() for _, labels in whole][3:] == [labels.tolist() for _, labels in rest]
    True
    """

    def __init__(
        self,
        split: Split,
        batch_size: int,
        *,
        seed: int,
        start: int = 0,
        stop: int,
        part: slice = slice(None),
    ) -> None:
        _check_size(batch_size, len(split))
        if not 0 <= seed < SEEDS:
            raise BadOption("a seed is 0 to 2⁶⁴ - 1", got=seed, do="give such a seed")
        if not 0 <= start <= stop:
            raise BadOption(
                "steps must satisfy 0 ≤ start ≤ stop",
                got=f"start={start}, stop={stop}",
                do="give stop as the number of the step after the last, counted from 0",
            )
        self.split, self.batch_size, self.seed = split, batch_size, int(seed)
        self.start, self.stop, self.part = start, stop, part
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in one pass over the split."""
        return len(self.split) // self.batch_size

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for step in range(self.start, self.stop):
            chosen = self.indices(step)[self.part]
            yield self.split.images[chosen], self.split.labels[chosen]

    def indices(self, step: int) -> Tensor:
        """Places in the split of the images of a step, also one outside ``start`` to ``stop``.

        Shapes:  [batch_size]
        Dtypes:  int64
        Raises:  BadOption for a negative step
        """
        if step < 0:
            raise BadOption("steps are counted from 0", got=step, do="give a step of 0 or more")
        epoch, within = divmod(step, self.steps_per_epoch)
        first = within * self.batch_size
        return self._permutation(epoch)[first : first + self.batch_size].clone()

    def _permutation(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            # Seeding by a list mixes all of its 32-bit words, so neighbouring seeds and epochs
            # have nothing in common; torch's CPU generator would keep the low 32 bits only.
            low, high = self.seed % 2**32, self.seed // 2**32
            order = np.random.RandomState([low, high, epoch]).permutation(len(self.split))
            self._epoch, self._order = epoch, torch.from_numpy(order).long()
        return self._order


def _check_size(batch_size: int, images: int) -> None:
    if not 1 <= batch_size <= images:
        raise BadOption(
            f"a batch holds 1 to {images} of the split's {images} images",
            got=f"batch_size={batch_size}",
            do=f"give at most {images}" if batch_size > images else "give at least 1",
        )
