"""Several processes that train one model: each takes samples of its own, and their gradients are averaged.

torch.distributed.run starts them; without it there is one. On CPUs two processes with a core each are faster than one
with two threads, which would wait for each other at every small operation.
"""

import os

import torch
import torch.distributed as dist


class Together:
    def __init__(self):
        self.rank, self.count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if self.count > 1:
            dist.init_process_group("gloo")

    @property
    def is_first(self):
        """Whether it is this process that prints, measures and saves."""
        return self.rank == 0

    @torch.no_grad()
    def average_(self, parameters):
        """Replaces each parameter's gradient by the mean over the processes; all must have the same ones."""
        if self.count == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in gradients]).cpu()
        dist.all_reduce(flat)
        flat /= self.count
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients])):
            gradient.copy_(part.view_as(gradient))

    @torch.no_grad()
    def shared(self, function, rows):
        """function(rows) in all of them, each having computed a part of the rows; their number and order stay."""
        if self.count == 1:
            return function(rows)
        mine = slice(self.rank * len(rows) // self.count, (self.rank + 1) * len(rows) // self.count)
        found = torch.zeros_like(rows, device="cpu")
        if mine.start < mine.stop:
            found[mine] = function(rows[mine]).cpu()
        dist.all_reduce(found)
        return found.to(rows.device)

    def from_first(self, value):
        """What the first process gives, in all of them."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self):
        """Until all processes are here."""
        if self.count > 1:
            dist.barrier()

    def end(self):
        if self.count > 1:
            dist.destroy_process_group()
